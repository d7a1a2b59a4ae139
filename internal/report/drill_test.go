package report

import (
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// drillInput is a drill in which west died and the weights moved to east.
func drillInput() Input {
	in := run(analyze.Pass, twoWeights(50, 50), 1000, 1300, 100)
	in.Decision = nil
	in.Judged = &Judged{Outcome: Fail, Reasons: []analyze.Reason{{Code: analyze.CodeOutside, Text: "100 requests were lost, 10 are allowed"}}}
	limit := int64(10)
	at := func(v float64) *Instant { return &Instant{AtSeconds: v, LowSeconds: v - 0.04, HighSeconds: v} }
	in.Drill = &Drill{
		Sent: 2400, Answered: 2300, Lost: 100, LostByKind: map[string]int64{"http 502": 98, "timeout": 2}, Accounted: true,
		Outage: Span{Seconds: 4.1, LowSeconds: 4, HighSeconds: 4.2}, Limits: DrillLimits{MaxLost: &limit}, Unwatched: []string{},
		Failovers: []Failover{{
			Backend: "podinfo", Silent: *at(10), FirstError: at(10.1), Lost: 100, TakenOver: at(14.2), By: ByWeights, Recovered: at(30), BackToSplit: at(30.2),
			Sentences: []string{`podinfo gave its last answer at 10.0s; the first request was lost at 10.1s (between 10.1 and 10.1), 0.4s after mark "scaled podinfo to 0".`},
		}},
		Events:   []DrillEvent{{AtSeconds: 9.7, Kind: "mark", Text: "scaled podinfo to 0"}, {AtSeconds: 14.1, Kind: "weights", Text: "TrafficSplit test/podinfo: 50/50 -> 0/100", Weights: map[string]int64{"podinfo": 0, "podinfo-east": 100}}},
		Timeline: drillTimeline(),
	}
	return in
}

// drillTimeline is the timeline of 48 s at 50 a second: podinfo falls silent at 10.1 s, from 14.2 s on podinfo-east carries all, and
// at 30 s podinfo answers again. 98 requests are answered with a 502, 2 time out.
func drillTimeline() Timeline {
	const bins = 480
	t := Timeline{
		BinMs: 100, Sent: make([]int64, bins), Lost: make([]int64, bins), P50Ms: make([]*float64, bins), MaxMs: make([]*float64, bins),
		Backends: []TimelineShare{{Backend: "podinfo", Answered: make([]int64, bins)}, {Backend: "podinfo-east", Answered: make([]int64, bins)}},
		Losses:   []TimelineLoss{{Kind: "http 502"}, {Kind: "timeout"}},
	}
	lost := int64(0)
	for i := range bins {
		t.Sent[i] = 5
		west := int64(2 + i%2)
		switch {
		case i >= 101 && i < 142:
			n := min(west, 100-lost)
			lost += n
			kind := 0
			if i > 139 {
				kind = 1
			}
			t.Lost[i] = n
			l := &t.Losses[kind]
			l.Bins, l.Lost = append(l.Bins, int64(i)), append(l.Lost, n)
			t.Backends[1].Answered[i] = 5 - n
		case i >= 142 && i < 300:
			t.Backends[1].Answered[i] = 5
		default:
			t.Backends[0].Answered[i], t.Backends[1].Answered[i] = west, 5-west
		}
		p50, most := 3+float64(i%7)/10, 40+float64(i%11)
		t.P50Ms[i], t.MaxMs[i] = &p50, &most
	}
	return t
}

// watchInput is a watch of an hour that found nothing.
func watchInput() Input {
	in := run(analyze.Pass, twoWeights(50, 50), 90_100, 89_900, 12)
	in.Decision, in.Load = nil, nil
	in.Judged = &Judged{Outcome: Pass}
	lnE, share := -3.4, 0.497
	high := 0.503
	in.Watch = &Watch{
		Requests: 180_000, Lost: 12, Looks: 720, Seconds: 3600, LnE: &lnE, Anytime: &Probability{P: 1, LnP: finite(0), Method: "exact"}, Decided: true, Tolerance: 5,
		Backends: []WatchedPart{{Backend: "podinfo", Weight: 50, Observed: 90_100, Interval: &Interval{Low: &share, High: &high, Level: 0.99, Method: analyze.MethodConfidenceSequence}}},
		Pods:     []string{"frontend-7d9c-x2x", "frontend-7d9c-k4f"}, GapCount: 1, GapTime: 4.2,
		SetAside: 31, Memory: 52 << 20,
		Gaps: []WatchGap{{
			At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Seconds: 4.2, From: "frontend-7d9c-x2x", To: "frontend-7d9c-k4f",
			Why: "the agent's exit code 137 (killed: container stopped, or out of memory)",
		}},
	}
	return in
}

// failedWatchInput is a watch that ended at a drift.
func failedWatchInput() Input {
	in := watchInput()
	f := WatchFailure{
		Backend: "podinfo", Side: SideAbove, Edge: 0.55, Since: time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC), Seconds: 15.2,
		Requests: 750, Observed: 530, Unattributed: 3,
	}
	at := 3600.0
	in.Watch.Failure, in.Watch.FailedAt, in.Watch.Decided = &f, &at, false
	in.Judged = &Judged{Outcome: Fail, Reasons: []analyze.Reason{{Code: analyze.CodeOutside, Text: f.String()}}}
	return in
}

func TestWatchFailuresAndGapsAsSentences(t *testing.T) {
	for want, got := range map[string]string{
		"podinfo-east has weight 0 and answered 1 request":                                                           WatchFailure{Backend: "podinfo-east", Side: SideLeak, Observed: 1, Requests: 40}.String(),
		"podinfo answered 300 of the 1,000 requests of the last 20s (30 %), below the 45 % where its tolerance ends": WatchFailure{Backend: "podinfo", Side: SideBelow, Edge: 0.45, Seconds: 20, Requests: 1000, Observed: 300}.String(),
		"2026-11-22T07:30:00Z, 4.2s, until the end of the watch, pod a: gone":                                        WatchGap{At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Seconds: 4.2, From: "a", Why: "gone"}.String(),
		"2026-11-22T07:30:00Z, 4.2s, pod a: the API server went away":                                                WatchGap{At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Seconds: 4.2, From: "a", To: "a", Why: "the API server went away"}.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
