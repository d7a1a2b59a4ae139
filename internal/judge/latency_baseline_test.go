package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// skewed are rounds whose answers take base and an exponential part of a fifth of it: of so many answers p50 and p90 have likely
// ranges of a few per cent, and p99 has one too.
func skewed(rng *rand.Rand, base time.Duration) Times {
	return timesOf(24, 200, func(int) time.Duration {
		return base + time.Duration(0.2*rng.ExpFloat64()*float64(base))
	})
}

// againstBaseline judges far and near now against far and near then, at a margin of 0 for none.
func againstBaseline(now, then [2]Times, margin time.Duration) report.Report {
	m, old := latencyManifest(margin), latencyManifest(0)
	m.Latency.Rounds, old.Latency.Rounds, old.ID = 24, 24, "20261101t000000z-test-podinfo-aaaa"
	in := draft{options: m.Options, Report: report.Report{Verdict: report.Verdict{Outcome: report.Measured}}}
	c := &report.Comparison{Level: 1 - m.Options.Alpha, Against: "svc/b", Margin: marginOf(m.Latency)}
	in.Comparison = c
	j := &latencyJudge{doc: &in, m: m, p: m.Latency, c: c, times: now[:]}
	j.targets()
	j.compare()
	j.against(old, then[:])
	return in.finish()
}

// The truth is known: the far side takes 40 ms and the near side 2 ms, and then the far side changes. At 4,800 answers for each
// side the standard error of a median is 8 ms / sqrt(4800), about 0.12 ms, and that of a change of the cost 0.17 ms: 2 ms is
// 12 of them, far beyond 1 in 10,000. The median of base + Exp(0.2 base) is base (1 + 0.2 ln 2).
func TestBaselineKnowsHowTheCostChanged(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(31, 41))
	ms := func(x float64) Times { return skewed(rng, time.Duration(x*float64(time.Millisecond))) }
	for name, x := range map[string]struct {
		now, then           [2]Times
		change              float64 // of the cost at the median, in ms
		direction, sentence string
		margin              time.Duration
		outcome             string
	}{
		"the gateway costs more": {
			[2]Times{ms(45), ms(2)}, [2]Times{ms(40), ms(2)}, 5 * (1 + 0.2*math.Ln2), analyze.DirectionSlower, "p50 costs more by 5.", time.Millisecond, report.Fail,
		},
		"the gateway costs less": {
			[2]Times{ms(35), ms(2)}, [2]Times{ms(40), ms(2)}, -5 * (1 + 0.2*math.Ln2), analyze.DirectionFaster, "p50 costs less by 5.", 60 * time.Millisecond, report.Pass,
		},
		"nothing changed": {
			[2]Times{ms(40), ms(2)}, [2]Times{ms(40), ms(2)}, 0, analyze.DirectionNone, "p50 no difference proven", 60 * time.Millisecond, report.Pass,
		},
	} {
		r := againstBaseline(x.now, x.then, x.margin)
		b := r.Comparison.Baseline
		if len(b.Costs) != 1 || len(b.Costs[0].Quantiles) != 3 || len(b.Differences) != 2 {
			t.Errorf("%s: %+v", name, b)
			continue
		}
		c := b.Costs[0]
		q := c.Quantiles[0]
		if q.Ms == nil || q.LowMs == nil || q.HighMs == nil || math.Abs(*q.Ms-x.change) > 1 || *q.LowMs > x.change || *q.HighMs < x.change {
			t.Errorf("%s: p50 %+v, want %g", name, q, x.change)
		}
		if q.Direction != x.direction || !strings.Contains(c.Sentence, x.sentence) || c.Target != "svc/a over svc/b" {
			t.Errorf("%s: %s of %s: %q", name, q.Direction, c.Target, c.Sentence)
		}
		if (q.P <= 0.001) != (x.direction != analyze.DirectionNone) {
			t.Errorf("%s: p %g", name, q.P)
		}
		if c.Outcome != x.outcome {
			t.Errorf("%s: the cost is %s against %s, want %s: %+v", name, c.Outcome, x.margin, x.outcome, c.Quantiles)
		}
		if said := strings.Contains(strings.Join(r.Verdict.Reasons, " "), "What it costs"); said != (x.outcome == report.Fail) {
			t.Errorf("%s: reasons %q", name, r.Verdict.Reasons)
		}
	}
}

// Both sides got slower by the same: each target's own times failed the margin, and what the gateway costs passes it.
func TestBaselineTellsTheCostFromTheTimes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 9))
	plus := func(extra time.Duration) Times {
		return timesOf(24, 200, func(int) time.Duration {
			return extra + 2*time.Millisecond + time.Duration(rng.ExpFloat64()*float64(200*time.Microsecond))
		})
	}
	r := againstBaseline([2]Times{plus(30 * time.Millisecond), plus(10 * time.Millisecond)}, [2]Times{plus(20 * time.Millisecond), plus(0)}, time.Millisecond)
	b := r.Comparison.Baseline
	for _, d := range b.Differences {
		if d.Outcome != report.Fail || d.Quantiles[0].Direction != analyze.DirectionSlower {
			t.Errorf("%s: %s %+v", d.Target, d.Outcome, d.Quantiles[0])
		}
	}
	if c := b.Costs[0]; c.Outcome != report.Pass || c.Quantiles[0].Direction != analyze.DirectionNone {
		t.Errorf("%s: %+v", c.Outcome, c.Quantiles)
	}
	if r.Verdict.Outcome != report.Fail {
		t.Errorf("%s", r.Verdict.Outcome)
	}
	// Without a margin nothing is judged, and the change is said all the same.
	if r := againstBaseline([2]Times{plus(30 * time.Millisecond), plus(0)}, [2]Times{plus(20 * time.Millisecond), plus(0)}, 0); r.Verdict.Outcome != report.Measured ||
		r.Comparison.Baseline.Costs[0].Outcome != report.Measured || r.Comparison.Baseline.Costs[0].Quantiles[0].Direction != analyze.DirectionSlower {
		t.Errorf("%s %+v", r.Verdict.Outcome, r.Comparison.Baseline.Costs)
	}
}

// A baseline that measured something else is no pass, and says so.
func TestBaselineThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	now := [2]Times{skewed(rng, 2*time.Millisecond), skewed(rng, 2*time.Millisecond)}
	m := latencyManifest(time.Second)
	m.Latency.Rounds = 24
	judge := func(old record.Manifest, then []Times) report.Report {
		in := draft{options: m.Options, Report: report.Report{Verdict: report.Verdict{Outcome: report.Measured}}}
		c := &report.Comparison{Against: "svc/b"}
		in.Comparison = c
		j := &latencyJudge{doc: &in, m: m, p: m.Latency, c: c, times: now[:]}
		j.targets()
		j.compare()
		j.against(old, then)
		return in.finish()
	}
	if r := judge(latencyManifest(0), now[:]); r.Verdict.Outcome != report.Pass {
		t.Fatalf("against itself: %s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	other := latencyManifest(0)
	other.Latency.Targets[0].Name = "svc/c"
	if r := judge(other, now[:]); r.Verdict.Outcome != report.Inconclusive || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "has no target svc/a") || len(r.Comparison.Baseline.Costs) != 0 {
		t.Errorf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if r := judge(latencyManifest(0), []Times{now[0], {}}); r.Verdict.Outcome != report.Inconclusive {
		t.Errorf("a side without answers: %s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}
