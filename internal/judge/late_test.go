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

// lateTimes are 24 rounds at 50 a second, one request in so many sent 40 ms late.
func lateTimes(every int) (t Times) {
	for round := range 24 {
		b := NewBurst(-1)
		for i := range 100 {
			n := round*100 + i
			at, late := time.Duration(i)*20*time.Millisecond, time.Duration(0)
			if n%every == 0 {
				late = 40 * time.Millisecond
			}
			took := 4*time.Millisecond + time.Duration(n*37%100)*10*time.Microsecond
			b.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at + late, Done: at + late + took, Status: 200})
		}
		t.Add(b, wire.Totals{
			Requests: 100, Arrived: 100, Tally: []wire.TallyEntry{{Status: 200, Class: "ok", N: 100}}, ThrottledUs: 120_000,
			Kept: wire.Kept{Periods: 100, Throttled: 12},
		}, true)
	}
	return t
}

// A machine that is late now and then takes no p50 away that it does not reach, and what it does take is said with how
// late it was, and with what throttled it.
func TestLatencyOfASlightlyLateMachine(t *testing.T) {
	t.Parallel()
	m := latencyManifest(5 * time.Millisecond)
	m.Latency.Rounds, m.Latency.Quantiles = 24, []float64{0.5, 0.9}
	m.Agent.Hello.CPUQuota = 0.1
	r := concludeLatency(m, []Times{lateTimes(33), lateTimes(33)}, nil)
	if r.Verdict.Outcome != report.Pass {
		t.Errorf("%s: %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	q := r.Comparison.Targets[0].Quantiles
	if q[0].Ms == nil || q[1].Ms == nil || q[2].Ms != nil || !strings.Contains(q[2].Why, "by 40ms") {
		t.Errorf("%+v", q)
	}
	says := strings.Join(r.Warnings, " ")
	if !strings.Contains(says, "CPU limit of 100m throttled the generator in 12 % of its periods") {
		t.Error(says)
	}
	r = concludeLatency(m, []Times{lateTimes(1), lateTimes(2)}, nil)
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "by 40ms") {
		t.Errorf("%s: %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}

// What could not be read in the pod is said where it would have mattered, and only there.
func TestWhatKeptAGeneratorCouldNotBeRead(t *testing.T) {
	t.Parallel()
	totals := wire.Totals{Kept: wire.Kept{Unread: "schedstat of the threads"}}
	for late, want := range map[bool]int{false: 0, true: 1} {
		var doc draft
		doc.sayKept(record.Manifest{}, totals, time.Second, late)
		if len(doc.Warnings) != want {
			t.Errorf("late %v: %q", late, doc.Warnings)
		}
	}
}
