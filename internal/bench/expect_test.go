package bench

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/report"
)

func expecting(t *testing.T, cfg *Config, text string, wait time.Duration) {
	t.Helper()
	e, err := ParseExpect(text)
	if err != nil {
		t.Fatal(err)
	}
	e.Wait = wait
	cfg.Expect = e
}

// Other weights than expected are refused before anything is sent.
func TestOtherWeightsThanExpected(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 41})
	for text, want := range map[string]string{
		"90/10":                      "the cluster says 50/50, you expected 90/10",
		"podinfo=90,podinfo-east=10": "the cluster says 50/50, you expected podinfo=90,podinfo-east=10",
		"1/1/1":                      "which are 2 backends, you expected 1/1/1",
		"podinfo=1,podinfo-north=1":  "the backends are others",
	} {
		cfg := connect(t, w, 1000)
		expecting(t, &cfg, text, 0)
		r, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict.Outcome != report.Invalid || len(r.Verdict.Reasons) != 1 || !strings.Contains(r.Verdict.Reasons[0],
			want) || r.Split == nil {
			t.Errorf("%s: outcome %s, reasons %q, split %v", text, r.Verdict.Outcome, r.Verdict.Reasons, r.Split)
		}
	}
	if d := w.Draws(); d["podinfo"]+d["podinfo-east"] > 0 {
		t.Errorf("requests were sent: %v", d)
	}
}

// Weights that come while they are waited for are measured: 3,000 requests at 90/10 pass but for 1 run in 10,000 (5
// points less 2.33 standard deviations of 0.55 points are 6.8 of them; independence is checked at 0.001 and seldom
// takes a pass).
func TestWaitForWeights(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 42})
	cfg := connect(t, w, 3000)
	expecting(t, &cfg, "9/1", time.Minute)
	cfg.Progress = nil
	var once sync.Once
	var phases []string
	cfg.Progress = func(p Progress) {
		phases = append(phases, p.Text)
		if strings.Contains(p.Text, "waiting for the weights: the cluster says 50/50") {
			once.Do(func() {
				if err := w.SetWeights(90, 10); err != nil {
					t.Error(err)
				}
			})
		}
	}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Pass || r.Backends[0].Weight != 90 {
		t.Errorf("outcome %s, reasons %q, backends %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Backends)
	}
	if text := strings.Join(phases, "\n"); !strings.Contains(text, "waiting for the data plane") {
		t.Errorf("the data plane was not waited for:\n%s", text)
	}
	if r.Load.Requests != 3000 {
		t.Errorf("%d requests were counted: the probes must not be", r.Load.Requests)
	}
}

// Weights that never come end the waiting with the same sentence.
func TestWaitInVain(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 43})
	cfg := connect(t, w, 1000)
	expecting(t, &cfg, "90/10", 300*time.Millisecond)
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if why := strings.Join(r.Verdict.Reasons, " "); r.Verdict.Outcome != report.Invalid || !strings.Contains(why,
		"the cluster says 50/50, you expected 90/10; waited 300ms") {
		t.Errorf("outcome %s, reasons %q", r.Verdict.Outcome, why)
	}
}

func TestFollows(t *testing.T) {
	t.Parallel()
	w := func(a, b int64) analyze.Weights { return analyze.Weights{{Backend: "a", W: a}, {Backend: "b", W: b}} }
	for _, tt := range []struct {
		w    analyze.Weights
		n    []int64
		want bool
	}{
		{w(90, 10), []int64{91, 9}, true},
		{w(90, 10), []int64{50, 50}, false},
		{w(100, 0), []int64{100, 0}, true},
		{w(100, 0), []int64{99, 1}, false},
		{w(50, 50), []int64{0, 0}, false},
	} {
		if got := follows(tt.w, analyze.Counts{N: tt.n}, analyze.DefaultOptions()); got != tt.want {
			t.Errorf("%v of %v: %v", tt.n, tt.w, got)
		}
	}
}

func TestParseExpect(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "90", "90/", "0/0", "-1/2", "a=1,a=2", "1/2/x", "90/10%"} {
		if e, err := ParseExpect(s); err == nil && s != "90" {
			t.Errorf("%q is taken for %+v", s, e)
		}
	}
}
