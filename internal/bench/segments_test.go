package bench

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// Weights that are changed in the middle give two segments, each judged by its own weights, and the time from the write
// to the first request that was drawn by it. The demo's data plane follows at once; the answers tell it to within a few
// requests.
func TestWeightsThatMoveGiveTwoSegments(t *testing.T) {
	t.Parallel()
	for _, route := range []bool{false, true} {
		w := world(t, demo.Options{Seed: 31, Route: route})
		cfg := connect(t, w, 5000)
		if route {
			cfg.Query.Split = "httproute/podinfo"
		}
		called := false
		cfg.Progress = func(p Progress) {
			if p.Live != nil && p.Live.Requests > 2200 && !called {
				called = true
				if err := w.SetWeights(90, 10); err != nil {
					t.Error(err)
				}
			}
		}
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict.Outcome != report.Invalid || len(r.Segments) != 2 {
			t.Fatalf("route %v: outcome %s, reasons %q, segments %+v", route, r.Verdict.Outcome, r.Verdict.Reasons, r.Segments)
		}
		first, second := r.Segments[0], r.Segments[1]
		// Some 2,200 requests at 50/50 and 2,800 at 90/10: a pass needs the share within 5 points less 2.33 standard
		// deviations, which are 2.5 and 1.3 points, so the first of them passes in 99 of 100 runs; seed 31 is one of these.
		if first.Outcome != report.Pass || second.Outcome != report.Pass || second.Backends[0].Weight != 90 ||
			first.Backends[0].Weight != 50 {
			t.Errorf("route %v: %+v, %+v", route, first, second)
		}
		if lost := 5000 - first.Requests - second.Requests; lost < 0 || lost > 100 {
			t.Errorf("route %v: %d requests in neither segment", route, lost)
		}
		p := second.Propagation
		if p == nil || p.Seconds == nil || *p.Seconds > 0.5 || p.ClockErrorMs > 50 ||
			p.WriteAtSeconds < first.ToSeconds-0.1 || p.WriteAtSeconds > second.FromSeconds+0.1 {
			b, _ := json.Marshal(p)
			t.Errorf("route %v: propagation %s", route, b)
		}
		// The demo's adaptor copies the split at once, and the streams of the two objects are independent: either may be
		// first.
		what := []string{"TrafficSplit test/podinfo", "ServiceProfile test/podinfo.test.svc.cluster.local"}
		if route {
			what = []string{"HTTPRoute test/podinfo"}
		}
		if !slices.Contains(what, p.What) {
			t.Errorf("written was %q, want %q", p.What, what)
		}
		again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r.Segments, again.Segments); d != "" {
			t.Errorf("live and stored differ (-live +stored):\n%s", d)
		}
	}
}

// A change that was taken back is told with its time, though before and after say the same.
func TestMovesThatAreTakenBackAreSeen(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 32})
	cfg := connect(t, w, 1500)
	whenSending(&cfg, func() {
		if err := errors.Join(w.SetWeights(70, 30), w.SetWeights(50, 50)); err != nil {
			t.Error(err)
		}
	})
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := latest(t, cfg.ResultsDir)
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	writes := 0
	for _, x := range m.Moves {
		if x.Law {
			writes++
		}
	}
	// Two writes of the split and two of the profile; a stream may tell two of one object as they come.
	if r.Verdict.Outcome != report.Invalid || writes < 2 {
		t.Errorf("outcome %s, moves %+v", r.Verdict.Outcome, m.Moves)
	}
}
