package judge

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// burstOf is what a reader has of a burst whose agent had to drop the samples that drop says.
func burstOf(t *testing.T, n int, drop func(i int) bool) (*Tally, wire.Totals) {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 0))
	tl := NewTally(2)
	var all wire.Tally
	var progress wire.BurstProgress
	progress.Latency = []wire.BackendTimes{{Backend: 0}, {Backend: 1}}
	totals := wire.Totals{Reason: wire.ReasonDone, Requests: uint64(n)}
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		r := attack.Result{
			Seq: uint64(i), Planned: at, Sent: at + 50*time.Microsecond, Done: at + 2*time.Millisecond, Status: 200, Backend: int16(rng.IntN(2)),
		}
		if drop(i) {
			r.Done += 8 * time.Millisecond // slow when stdout is
		}
		all.Add(r)
		progress.SendLag.Record(r.SendLag())
		progress.Latency[r.Backend].Service.Record(r.ServiceTime())
		progress.Latency[r.Backend].Response.Record(r.ResponseTime())
		if drop(i) {
			totals.Dropped++
			continue
		}
		totals.Samples++
		tl.Add(r)
	}
	totals.Tally = all.Entries()
	totals.Times.Add(progress)
	return tl, totals
}

// Where samples were dropped, the exact counters keep the verdict, the checks of order are off and say so, and the times are
// those of all requests.
func TestDroppedSamplesKeepTheVerdict(t *testing.T) {
	t.Parallel()
	const n = 8000
	tl, totals := burstOf(t, n, func(i int) bool { return i%2 == 1 })
	m := record.Manifest{
		Weights: analyze.Weights{{Backend: "a", W: 1}, {Backend: "b", W: 1}}, Options: analyze.DefaultOptions(),
		Plan: attack.Plan{Rate: attack.Rate{Hits: 1000, Per: time.Second}, Requests: n}.WithDefaults(),
	}
	r := conclude(m, totals, tl)
	// With 8,000 at 50/50 the share must be off by 0.05-2.33*0.0056 = 0.037, 6.6 standard deviations.
	if r.Verdict.Outcome != report.Pass {
		t.Errorf("outcome %s, %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if got := r.Backends[0].Observed + r.Backends[1].Observed; got != n || r.Load.Dropped != n/2 || r.Load.Requests != n {
		t.Errorf("%d counted, load %+v", got, r.Load)
	}
	if len(r.Diagnostics) != 0 || !strings.Contains(strings.Join(r.Warnings, " "), "the order of requests was not kept whole") {
		t.Errorf("diagnostics %+v, warnings %q", r.Diagnostics, r.Warnings)
	}
	// Half of all took 10 ms, all of them dropped: to one digit in a hundred the 90 % quantile must show them.
	if p := r.Load.ResponseTime.P90Ms; p == nil || *p < 9.8 || *p > 10.2 {
		t.Errorf("p90 %v", p)
	}
	if !r.Load.OnTime {
		t.Error("the generator was on time")
	}
}

func TestAThrottledGeneratorIsNotOnTime(t *testing.T) {
	t.Parallel()
	tl, totals := burstOf(t, 1000, func(int) bool { return false })
	if !tl.onTime(totals) {
		t.Error("on time without throttling")
	}
	totals.ThrottledUs = 200_000 // of 1 s
	if tl.onTime(totals) {
		t.Error("on time though it could not run for a fifth of the burst")
	}
}
