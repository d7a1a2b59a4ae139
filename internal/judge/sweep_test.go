package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// A sweep whose steps are too short for its limit's quantile is no pass: of 100 answers all are below any limit that is exceeded
// by less than 1 in 100. With enough of them it is.
func TestSweepOfTooFewAnswers(t *testing.T) {
	t.Parallel()
	fast := func(i int) time.Duration { return time.Millisecond + time.Duration(i%97)*time.Microsecond }
	sweep := func(counts ...int) report.Report {
		m := latencyManifest(0)
		m.Latency.Sweep, m.Latency.Against, m.Latency.Targets = true, false, m.Latency.Targets[:1]
		m.Latency.Limit = &report.SweepLimit{Quantile: 0.99, Ms: 50}
		var times Times
		for i, n := range counts {
			one := timesOf(1, n, fast)
			times.steps = append(times.steps, one.steps...)
			m.Latency.Bursts = append(m.Latency.Bursts, record.LatencyBurst{Rate: attack.Rate{Hits: uint64(100 * (i + 1)), Per: time.Second}, Requests: uint64(n)})
		}
		return concludeLatency(m, []Times{times}, nil)
	}
	r := sweep(100, 100)
	if r.Verdict.Outcome != report.Inconclusive || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "p99 needs 528 answers") || r.Comparison.Sweep.HoldsAt != nil {
		t.Errorf("%s %q %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Comparison.Sweep)
	}
	if r := sweep(100, 600); r.Verdict.Outcome != report.Pass || *r.Comparison.Sweep.HoldsAt != 200 || r.Comparison.Sweep.Steps[0].State != "unclear" {
		t.Errorf("%s %q %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Comparison.Sweep)
	}
	if r := sweep(600, 100); r.Verdict.Outcome != report.Inconclusive {
		t.Errorf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if r := sweep(); r.Verdict.Outcome == report.Pass {
		t.Errorf("without a step: %s", r.Verdict.Outcome)
	}
}

// A step holds or breaks where its answers show it: near the limit it does neither, and no gate is green by a coin's fall.
func TestSweepNearItsLimit(t *testing.T) {
	t.Parallel()
	l := &report.SweepLimit{Quantile: 0.99, Ms: 50}
	for _, x := range []struct {
		name  string
		slow  func(i int) bool // of 2,000 requests; 20 may be slow
		fails int64
		state string
		why   string
	}{
		{"none is slow", func(int) bool { return false }, 0, report.StepHolds, ""},
		{"5 here and there", func(i int) bool { return i%400 == 7 }, 0, report.StepHolds, ""},
		{"17", func(i int) bool { return i%117 == 7 }, 0, report.StepUnclear, "18 of 2000 requests took longer, 20 may"},
		{"22", func(i int) bool { return i%91 == 7 }, 0, report.StepUnclear, "22 of 2000 requests took longer, 20 may"},
		{"5, all at once", func(i int) bool { return i/5 == 100 }, 0, report.StepUnclear, "close together"},
		{"40", func(i int) bool { return i%50 == 7 }, 0, report.StepBreaks, ""},
		{"40 that never came", func(int) bool { return false }, 40, report.StepBreaks, ""},
		{"5 that never came", func(int) bool { return false }, 5, report.StepUnclear, "close together"},
		{"nothing but errors", nil, 2000, report.StepBreaks, ""},
	} {
		b := NewBurst(-1)
		for i := range 2000 {
			if x.slow == nil {
				break
			}
			at := time.Duration(i) * time.Millisecond
			took := time.Millisecond
			if x.slow(i) {
				took = 60 * time.Millisecond
			}
			b.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at, Done: at + took, Status: 200, Backend: attack.Unattributed})
		}
		b.errors += x.fails
		state, why := judgeStep(b, l, 0.01)
		if state != x.state || !strings.Contains(why, x.why) {
			t.Errorf("%s: %s %q, want %s %q", x.name, state, why, x.state, x.why)
		}
	}
	if state, why := judgeStep(NewBurst(-1), l, 0.01); state != report.StepUnclear || why == "" {
		t.Errorf("nothing: %s %q", state, why)
	}
}

// A limit that breaks only because requests were sent late says nothing of the target: the generator was late, or had too few
// connections. One that breaks in the answers themselves does.
func TestSweepWhoseGeneratorIsLate(t *testing.T) {
	t.Parallel()
	m := latencyManifest(0)
	m.Latency.Sweep, m.Latency.Against, m.Latency.Targets = true, false, m.Latency.Targets[:1]
	m.Latency.Limit = &report.SweepLimit{Quantile: 0.99, Ms: 50}
	m.Latency.Bursts = []record.LatencyBurst{{Rate: attack.Rate{Hits: 100, Per: time.Second}, Requests: 500}}
	for _, x := range []struct {
		late, took time.Duration
		want       string
	}{{80 * time.Millisecond, time.Millisecond, report.Inconclusive}, {0, 80 * time.Millisecond, report.Fail}, {0, time.Millisecond, report.Pass}} {
		b := NewBurst(-1)
		for i := range 500 {
			at := time.Duration(i) * 10 * time.Millisecond
			b.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at + x.late, Done: at + x.late + x.took, Status: 200, Backend: attack.Unattributed})
		}
		var times Times
		times.Add(b, wire.Totals{}, true)
		r := concludeLatency(m, []Times{times}, nil)
		if r.Verdict.Outcome != x.want {
			t.Errorf("sent %s late and answered in %s: %s %q, want %s", x.late, x.took, r.Verdict.Outcome, r.Verdict.Reasons, x.want)
		}
	}
}
