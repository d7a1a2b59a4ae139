package judge

import (
	"math"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"

	"github.com/splitbench/splitbench/analyze"
)

// comparisonInput is a comparison of three targets with a margin, a baseline and rounds of 2 s.
func comparisonInput() *draft {
	in := drafted(record.Manifest{
		Options: analyze.DefaultOptions(), Before: snapshot(), Checks: greenChecks(),
		Agent: record.AgentFacts{Transport: "websocket", How: "uploaded v0.1.0"},
	})
	in.concluded(report.Fail, "svc/podinfo-east: p50 is slower by more than the margin")
	margin := 5.0
	row := func(name string, typical float64) report.LatencyTarget {
		return report.LatencyTarget{
			Name: name, URL: "http://" + name[4:] + ":9898/", Sent: 2400, Counted: 2400, Quantiles: []report.QuantileTime{
				{Quantile: 0.5, Ms: &typical, LowMs: &typical, HighMs: &typical, DesignEffect: 1.3},
				{Quantile: 0.9, Ms: report.Finite(Rounded(1.4 * typical)), LowMs: report.Finite(Rounded(1.35 * typical)), HighMs: report.Finite(Rounded(1.5 * typical)), DesignEffect: 1.3},
				{Quantile: 0.99, DesignEffect: 1, Why: "needs about 1,500 answers"},
			},
		}
	}
	d := func(target string, direction string, outcome string, low, value, high float64) report.TargetDifference {
		out := report.TargetDifference{Target: target, Than: "svc/podinfo", Outcome: outcome, Quantiles: []report.QuantileVerdict{
			{QuantileDifference: report.QuantileDifference{Quantile: 0.5, Difference: report.Difference{Ms: &value, LowMs: &low, HighMs: &high}}, Direction: direction, P: 0.0012, Outcome: outcome},
			{QuantileDifference: report.QuantileDifference{Quantile: 0.99, Difference: report.Difference{Why: "needs about 1,500 answers"}}, Direction: analyze.DirectionNone, P: 1, Outcome: report.Inconclusive},
		}}
		out.Say("slower", "faster")
		return out
	}
	root := row("svc/podinfo", 3)
	root.Root, root.Counted, root.Elsewhere = "TrafficSplit podinfo", 1190, 1210
	in.Comparison = &report.Comparison{
		Against: "svc/podinfo", Targets: []report.LatencyTarget{row("svc/podinfo-east", 41), row("svc/podinfo-north", 3.2), root}, Rounds: 24, RoundTime: 2,
		Rate: 50, WarmUp: 20, Level: 0.99, Margin: &report.Margin{Ms: &margin, Text: "5ms"},
		Differences: []report.TargetDifference{
			d("svc/podinfo-east", analyze.DirectionSlower, report.Fail, 37.2, 38, 38.9), d("svc/podinfo-north", analyze.DirectionNone, report.Pass, -0.4, 0.2, 0.9),
		},
		Baseline: &report.Baseline{
			ID: "20261101t000000z-test-podinfo-aaaa", Started: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Labels: map[string]string{"linkerd": "2.17"},
			Differences: []report.TargetDifference{d("svc/podinfo-east", analyze.DirectionFaster, report.Pass, -2, -1.2, -0.4)},
			Costs: []report.TargetDifference{costDifference("svc/podinfo-east over svc/podinfo", "20261101t000000z-test-podinfo-aaaa", []costAt{
				{0.5, analyze.CostChange{Change: -1_300_000, CI: analyze.Interval{Low: -2_100_000, High: -500_000}, Outcome: analyze.Pass, Different: true}},
				{0.99, analyze.CostChange{CI: analyze.Interval{Low: math.Inf(-1), High: math.Inf(1), Why: "the base run needs about 1,500 answers"}, Outcome: analyze.Inconclusive}},
			}, []float64{0.0003, 1}, 0.002, true)},
		},
	}
	return in
}

// sweepInput is a sweep whose limit breaks; the last step is too short for a range of its p99.
func sweepInput() *draft {
	in := comparisonInput()
	held, broke := 500.0, 540.0
	times := func(p50, p90, p99 float64, ranges bool) []report.QuantileTime {
		var out []report.QuantileTime
		for i, v := range []float64{p50, p90, p99} {
			q := report.QuantileTime{Quantile: []float64{0.5, 0.9, 0.99}[i], Ms: report.Finite(v), DesignEffect: 1}
			if ranges || i < 2 {
				q.LowMs, q.HighMs = report.Finite(0.9*v), report.Finite(1.2*v)
			} else {
				q.Why = "needs about 1,500 answers"
			}
			out = append(out, q)
		}
		return out
	}
	in.Comparison = &report.Comparison{
		Targets: in.Comparison.Targets[:1], Rounds: 24, RoundTime: 2, Rate: 50, Level: 0.99, Differences: []report.TargetDifference{},
		Sweep: &report.Sweep{
			Target: "svc/podinfo-east", Limit: &report.SweepLimit{Quantile: 0.99, Ms: 50}, HoldsAt: &held, BreaksAt: &broke,
			Sentence: "svc/podinfo-east keeps to a p99 of at most 50 ms up to 500 requests per second and breaks it at 540.",
			Steps: []report.SweepStep{
				{Rate: 50, Sent: 100, Achieved: 50, State: "holds", Quantiles: times(3.1, 4.4, 7.5, true)},
				{Rate: 200, Sent: 400, Achieved: 200, State: "holds", Quantiles: times(3.4, 5.2, 9.1, true)},
				{Rate: 500, Sent: 1000, Achieved: 499.1, State: "holds", Quantiles: times(4.9, 8.8, 12.5, true)},
				{Rate: 540, Sent: 1080, Achieved: 502, Errors: 3, State: "breaks", Quantiles: times(20, 90, 180, false)},
			},
		},
	}
	in.concluded(report.Fail, in.Comparison.Sweep.Sentence)
	return in
}

// drillInput is a drill in which west died and the weights moved to east.
func drillInput() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 1000, 1300, 100)
	in.decision = nil
	in.concluded(report.Fail, "100 requests were lost, 10 are allowed")
	limit := int64(10)
	at := func(v float64) *report.Instant {
		return &report.Instant{AtSeconds: v, LowSeconds: v - 0.04, HighSeconds: v}
	}
	in.Drill = &report.Drill{
		Sent: 2400, Answered: 2300, Lost: 100, LostByKind: map[string]int64{"http 502": 98, "timeout": 2}, Accounted: true,
		Outage: report.Span{Seconds: 4.1, LowSeconds: 4, HighSeconds: 4.2}, Limits: report.DrillLimits{MaxLost: &limit}, Unwatched: []string{},
		Failovers: []report.Failover{{
			Backend: "podinfo", Silent: *at(10), FirstError: at(10.1), Lost: 100, TakenOver: at(14.2), By: report.ByWeights, Recovered: at(30), BackToSplit: at(30.2),
			Sentences: []string{`podinfo gave its last answer at 10.0s; the first request was lost at 10.1s (between 10.1 and 10.1), 0.4s after mark "scaled podinfo to 0".`},
		}},
		Events:   []report.DrillEvent{{AtSeconds: 9.7, Kind: "mark", Text: "scaled podinfo to 0"}, {AtSeconds: 14.1, Kind: "weights", Text: "TrafficSplit test/podinfo: 50/50 -> 0/100", Weights: map[string]int64{"podinfo": 0, "podinfo-east": 100}}},
		Timeline: drillTimeline(),
	}
	return in
}

// drillTimeline is the timeline of 48 s at 50 a second: podinfo falls silent at 10.1 s, from 14.2 s on podinfo-east carries all, and
// at 30 s podinfo answers again. 98 requests are answered with a 502, 2 time out.
func drillTimeline() report.Timeline {
	const bins = 480
	t := report.Timeline{
		BinMs: 100, Sent: make([]int64, bins), Lost: make([]int64, bins), P50Ms: make([]*float64, bins), MaxMs: make([]*float64, bins),
		Backends: []report.TimelineShare{{Backend: "podinfo", Answered: make([]int64, bins)}, {Backend: "podinfo-east", Answered: make([]int64, bins)}},
		Losses:   []report.TimelineLoss{{Kind: "http 502"}, {Kind: "timeout"}},
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
func watchInput() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 90_100, 89_900, 12)
	in.decision, in.Load, in.Series, in.answers = nil, nil, nil, nil
	in.concluded(report.Pass)
	lnE, share := -3.4, 0.497
	high := 0.503
	in.Watch = &report.Watch{
		Requests: 180_000, Lost: 12, Looks: 720, Seconds: 3600, LnE: &lnE, Anytime: &report.Probability{P: 1, LnP: report.Finite(0), Method: "exact"}, Decided: true, Tolerance: 5,
		Backends: []report.WatchedPart{{Backend: "podinfo", Weight: 50, Observed: 90_100, Interval: &report.Interval{Low: &share, High: &high, Level: 0.99, Method: analyze.MethodConfidenceSequence}}},
		Pods:     []string{"frontend-7d9c-x2x", "frontend-7d9c-k4f"}, GapCount: 1, GapTime: 4.2,
		SetAside: 31, Memory: 52 << 20,
		Gaps: []report.WatchGap{{
			At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), AtSeconds: report.Finite(898), Seconds: 4.2, From: "frontend-7d9c-x2x", To: "frontend-7d9c-k4f",
			Why: "the agent's exit code 137 (killed: container stopped, or out of memory)",
		}},
	}
	for i := range 24 {
		in.Watch.History = append(in.Watch.History, lookAt(i+1))
	}
	return in
}

// lookAt is what a watch of 24 looks in an hour, at 50 requests a second, knew at one of them: ranges that narrow.
func lookAt(n int) report.WatchedLook {
	sent := int64(n) * 7500
	half := 0.9/math.Sqrt(float64(sent)) + 0.001
	wave := math.Sin(float64(n)/3) / (50 * math.Sqrt(float64(n)))
	look := report.WatchedLook{AtSeconds: float64(n) * 150, LnE: report.Finite(Rounded(1.5*math.Sin(float64(n)/2) - 3.4*float64(n)/24))}
	for i, name := range []string{"podinfo", "podinfo-east"} {
		share := 0.5 + wave*float64(1-2*i)
		look.Backends = append(look.Backends, report.WatchedPart{
			Backend: name, Weight: 50, Observed: int64(math.Round(share * float64(sent))),
			Interval: &report.Interval{Low: report.Finite(Rounded(share - half)), High: report.Finite(Rounded(share + half)), Level: 0.99, Method: analyze.MethodConfidenceSequence},
		})
	}
	return look
}

// failedWatchInput is a watch that ended at a drift.
func failedWatchInput() *draft {
	in := watchInput()
	f := report.WatchFailure{
		Backend: "podinfo", Side: report.SideAbove, Edge: 0.55, Since: time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC), Seconds: 15.2,
		Requests: 750, Observed: 530, Unattributed: 3,
	}
	at := 3600.0
	in.Watch.Failure, in.Watch.FailedAt, in.Watch.Decided = &f, &at, false
	in.concluded(report.Fail, f.String())
	return in
}

// gatewayCostOfRun is that of a gateway that costs 38 ms at the median, of which the 99th percentile has no upper end.
func gatewayCostOfRun() *report.GatewayCost {
	f := report.Finite
	const far = "needs about 1,500 answers"
	time := func(q, v, low float64, high *float64, why string) report.QuantileTime {
		return report.QuantileTime{Quantile: q, Ms: f(v), LowMs: f(low), HighMs: high, DesignEffect: 1.2, Why: why}
	}
	difference := func(q, v, low float64, high *float64, why string) report.QuantileDifference {
		return report.QuantileDifference{Quantile: q, Difference: report.Difference{Ms: f(v), LowMs: f(low), HighMs: high, Why: why}}
	}
	c := report.BackendCost{Backend: "podinfo-east", Path: report.PathGateway, Quantiles: []report.QuantileDifference{
		difference(0.5, 38, 37.2, f(38.9), ""), difference(0.9, 39, 38.1, f(40.1), ""), difference(0.99, 43, 39.5, nil, far),
	}}
	for _, decile := range []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9} {
		c.Shift = append(c.Shift, difference(decile, 38+decile, 37, f(40), ""))
	}
	c.Say("podinfo")
	return &report.GatewayCost{
		Reference: "podinfo", Level: 0.99, Windows: 40, WindowSeconds: 1.2, Costs: []report.BackendCost{c}, Backends: []report.BackendTimes{
			{Backend: "podinfo", Requests: 1200, Quantiles: []report.QuantileTime{
				time(0.5, 3, 2.9, f(3.1), ""), time(0.9, 5, 4.8, f(5.3), ""), time(0.99, 8, 7.1, f(9.4), ""),
			}},
			{Backend: "podinfo-east", Requests: 1200, Quantiles: []report.QuantileTime{
				time(0.5, 41, 40.2, f(41.8), ""), time(0.9, 44, 43.1, f(45), ""), time(0.99, 51, 48, nil, far),
			}},
		},
	}
}
