package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// timesOf are rounds of a target whose answers take so many nanoseconds each.
func timesOf(rounds, per int, took func(i int) time.Duration) Times {
	var t Times
	for round := range rounds {
		b := NewBurst(-1)
		for i := range per {
			at := time.Duration(i) * 10 * time.Millisecond
			b.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at, Done: at + took(round*per+i), Status: 200})
		}
		t.Add(b, wire.Totals{}, true)
	}
	return t
}

func latencyManifest(margin time.Duration) record.Manifest {
	m := record.Manifest{Kind: report.KindLatency, Options: analyze.DefaultOptions()}
	m.Latency = &record.LatencyPlan{
		Targets: []record.LatencyTarget{{Name: "svc/a", Own: -1}, {Name: "svc/b", Own: -1}}, Against: true, Rounds: 20, Round: time.Second,
		Margin: analyze.Margin{Absolute: int64(margin), Set: margin > 0}, MarginText: margin.String(),
	}
	return m
}

func TestLatencyThatCannotBePassed(t *testing.T) {
	t.Parallel()
	steady := func(i int) time.Duration { return time.Millisecond + time.Duration(i%97)*time.Microsecond }
	whole := timesOf(20, 100, steady)
	none := timesOf(20, 100, func(int) time.Duration { return 0 })
	few := timesOf(20, 5, steady)
	short := timesOf(12, 100, steady)
	for name, x := range map[string]struct {
		times []Times
		want  string
		says  string
	}{
		"whole":                {[]Times{whole, whole}, report.Pass, ""},
		"below the timer":      {[]Times{none, whole}, report.Invalid, "timer"},
		"too few for a p99":    {[]Times{few, few}, report.Inconclusive, "has no interval"},
		"rounds cut short":     {[]Times{whole, short}, report.Invalid, "12 of 20 rounds"},
		"nothing was measured": {nil, report.Inconclusive, ""},
	} {
		r := concludeLatency(latencyManifest(5*time.Millisecond), x.times, nil)
		if name == "nothing was measured" {
			if r.Verdict.Outcome == report.Pass || r.Verdict.Outcome == report.Fail {
				t.Errorf("%s: %s", name, r.Verdict.Outcome)
			}
			continue
		}
		if r.Verdict.Outcome != x.want || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), x.says) {
			t.Errorf("%s: %s %q, want %s", name, r.Verdict.Outcome, r.Verdict.Reasons, x.want)
		}
	}
	if r := concludeLatency(latencyManifest(0), []Times{whole, whole}, nil); r.Verdict.Outcome != report.Measured || r.Comparison.Differences[0].Quantiles[0].Direction != analyze.DirectionNone {
		t.Errorf("no margin: %s %+v", r.Verdict.Outcome, r.Comparison.Differences)
	}
}

func TestCutInto(t *testing.T) {
	t.Parallel()
	if got := cutInto([]int64{1, 2, 3, 4, 5}, 2); !slices.Equal(got[0], []int64{1, 2}) || !slices.Equal(got[1], []int64{3, 4, 5}) {
		t.Errorf("%v", got)
	}
}
