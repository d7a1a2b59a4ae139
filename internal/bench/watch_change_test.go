package bench

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
)

// Weights that are changed end the watch as what they are: the split that was watched is none any more, and it has not
// failed. It is so where they were changed back at once too, and where only the split says it and no proxy is told.
func TestWatchEndsWhereTheWeightsChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *demo.Clusters, WatchConfig)
		says   string
	}{
		"changed": {func(t *testing.T, w *demo.Clusters, _ WatchConfig) {
			if err := w.SetWeights(70, 30); err != nil {
				t.Error(err)
			}
		}, "the weights were changed: podinfo=50,podinfo-east=50 -> podinfo=70,podinfo-east=30"},
		"and back": {func(t *testing.T, w *demo.Clusters, _ WatchConfig) {
			for _, x := range []int64{70, 50} {
				if err := w.SetWeights(x, 100-x); err != nil {
					t.Error(err)
				}
			}
		}, "changed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t, demo.Options{Seed: 51})
			cfg := watchOf(t, w)
			cfg.For = time.Minute
			neverFails(t, &cfg)
			atLook(&cfg, 4, func(WatchState) { c.change(t, w, cfg) })
			began := time.Now()
			r, err := Watch(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, "; "),
				c.says) || len(r.Verdict.Remedies) == 0 {
				t.Errorf("%s %q, remedies %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Verdict.Remedies, r.Watch)
			}
			// A change is told at once; that nothing but the split says it is known after 5 s.
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if r.Watch.Failure != nil || r.Watch.Requests == 0 {
				t.Errorf("%+v", r.Watch)
			}
		})
	}
}

// A drift that no object shows is a failure, seen from when it began. At 1,000 requests per second and a look each
// quarter of one a true 70/30 in place of 50/50 is seen within 4,000 requests (see analyze.Monitor's test), some 16
// looks.
func TestWatchSeesADrift(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 52})
	cfg := watchOf(t, w)
	cfg.For = time.Minute
	var drifted time.Time
	atLook(&cfg, 8, func(s WatchState) {
		drifted = time.Now()
		if s.Outcome == report.Fail {
			t.Errorf("failed before: %+v", s.Watch)
		}
		if err := w.SetTrueWeights(70, 30); err != nil {
			t.Error(err)
		}
	})
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	x, f := r.Watch, r.Watch.Failure
	if r.Verdict.Outcome != report.Fail || f == nil || x.FailedAt == nil {
		t.Fatalf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, x)
	}
	if x.Requests > 8*250+4000 || f.Requests > x.Requests || f.Observed > f.Requests {
		t.Errorf("%d requests, %+v", x.Requests, f)
	}
	if d := f.Since.Sub(drifted); d < -5*time.Second || d > 5*time.Second {
		t.Errorf("seen since %s from the drift", d)
	}
	if want := "of the last "; !strings.Contains(strings.Join(r.Verdict.Reasons, " "), want) {
		t.Errorf("reasons %q do not say %q", r.Verdict.Reasons, want)
	}
}

// A backend whose last endpoint goes, and whose share goes to the other: not what was declared, and not the split's
// failure.
func TestWatchOfABackendThatDied(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 53})
	cfg := watchOf(t, w)
	cfg.For = time.Minute
	neverFails(t, &cfg)
	atLook(&cfg, 4, func(WatchState) {
		request(t, cfg.REST, "PATCH", "/api/v1/namespaces/test/endpoints/podinfo-east", "application/merge-patch+json",
			`{"subsets":[]}`)
		if err := w.SetTrueWeights(100, 0); err != nil {
			t.Error(err)
		}
	})
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"endpoints of backend podinfo-east") {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
	if !strings.Contains(strings.Join(r.Warnings, " "), "endpoints of backend podinfo-east") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// An answer of a weight-0 backend ends a watch at once, also in a look that broke off.
func TestWatchOfALeak(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 54})
	if err := w.SetWeights(100, 0); err != nil {
		t.Fatal(err)
	}
	cfg := watchOf(t, w)
	cfg.For = time.Minute
	atLook(&cfg, 3, func(WatchState) {
		if err := w.SetTrueWeights(999, 1); err != nil {
			t.Error(err)
		}
	})
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Fail || r.Watch.Failure == nil || r.Watch.Failure.Side != report.SideLeak ||
		!strings.Contains(strings.Join(r.Verdict.Reasons, " "), "podinfo-east has weight 0 and answered") {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
}

// A time that is too short to decide is inconclusive: 20 requests are far from enough.
func TestWatchThatDoesNotDecide(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 55})
	cfg := watchOf(t, w)
	cfg.Load.Rate, cfg.For = attack.Rate{Hits: 20, Per: time.Second}, time.Second
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Inconclusive || r.Watch.Requests == 0 || report.ExitCode(r.Verdict.Outcome,
		report.FailOnInconclusive) != report.ExitInconclusive {
		t.Errorf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Watch)
	}
}

// What a watch holds does not grow with its looks and gaps: between 2,000 and 20,000 looks the heap stays within 256
// KiB. That its monitor does not over 100,000 is tested where that is.
func TestWatchDoesNotGrow(t *testing.T) {
	const looks = 20_000
	w := scripted(t)
	w.began = time.Now()
	var shown int
	w.cfg.State = func(WatchState) { shown++ }
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	var before uint64
	for i := range looks {
		if i == looks/10 {
			before = heap()
		}
		if err := w.update(analyze.Counts{N: []int64{125, 124}, Unattributed: 1}); err != nil {
			t.Fatal(err)
		}
		if w.suspect != nil || w.w.Failed {
			t.Fatalf("look %d: %+v", i, w.suspect)
		}
		if i%50 == 0 {
			w.gap(t.Context(), errCut)
			w.up("frontend")
		}
	}
	if after := heap(); after > before+256<<10 {
		t.Errorf("%d bytes after %d looks, %d after %d", before, looks/10, after, looks)
	}
	if shown < looks || len(w.w.Gaps) != report.MaxWatchList || w.w.GapCount < looks/50 || w.w.Outcome() != report.Pass {
		t.Errorf("%d shown, %d gaps, %d kept, %s", shown, w.w.GapCount, len(w.w.Gaps), w.w.Outcome())
	}
	runtime.KeepAlive(w)
}
