package bench

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// drillOf is a drill of 6 s at 300/s, with something done once so many requests have their results.
func drillOf(t *testing.T, w *demo.Clusters, acts map[uint64]func()) DrillConfig {
	t.Helper()
	cfg := DrillConfig{Config: connect(t, w, 1800)}
	cfg.Load.Rate = attack.Rate{Hits: 300, Per: time.Second}
	cfg.Progress = func(p Progress) {
		for _, at := range slices.Sorted(maps.Keys(acts)) {
			act := acts[at]
			if p.Live != nil && p.Live.Requests >= at {
				delete(acts, at)
				act()
			}
		}
	}
	return cfg
}

// The gateway is cut for some two seconds and nobody takes over: half of the requests are lost until it is back. Then
// the weights go to the other side while it is cut, and they are why the losses end. The shares of 300 fair draws a
// second make every statement below certain: the chance that a side is not drawn in 0.2 s is 2^-60.
func TestDrillFindsTheFailover(t *testing.T) {
	w := world(t, demo.Options{Seed: 21})
	var cutAt, backAt time.Time
	cfg := drillOf(t, w, map[uint64]func(){
		500:  func() { cutAt = time.Now(); w.CutGateway(true) },
		1000: func() { backAt = time.Now(); w.CutGateway(false) },
	})
	outage := 20 * time.Millisecond
	cfg.MaxOutage = &outage
	r, err := Drill(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Drill
	if r.Kind != report.KindDrillReport || d == nil || len(d.Failovers) != 1 {
		t.Fatalf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, d)
	}
	if d.Sent != 1800 || d.Sent != d.Answered+d.Lost || !d.Accounted || d.LostByKind["http 504"] != d.Lost {
		t.Errorf("sent %d, answered %d, lost %d %v", d.Sent, d.Answered, d.Lost, d.LostByKind)
	}
	f := d.Failovers[0]
	m := mustManifest(t, cfg.ResultsDir)
	near := func(what string, i *report.Instant, want time.Time) {
		t.Helper()
		at := want.Sub(m.Drill.Began).Seconds()
		if i == nil || i.AtSeconds < at-0.3 || i.AtSeconds > at+0.5 {
			t.Errorf("%s at %+v, it was at %.2fs", what, i, at)
		}
	}
	near("first error", f.FirstError, cutAt)
	near("recovery", f.Recovered, backAt)
	if f.Backend != "podinfo-east" || f.By != report.ByNobody || f.TakenOver != nil || f.BackToSplit == nil ||
		f.Lost == 0 {
		t.Errorf("%+v", f)
	}
	if text := strings.Join(f.Sentences, " "); !strings.Contains(text, "Nothing took over") {
		t.Errorf("%q", text)
	}
	if r.Verdict.Outcome != report.Fail {
		t.Errorf("an outage of seconds against 20 ms: %s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", diff)
	}
}

func mustManifest(t *testing.T, dir string) record.Manifest {
	t.Helper()
	m, err := record.Read(latest(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDrillSaysThatTheWeightsDidIt(t *testing.T) {
	w := world(t, demo.Options{Seed: 22})
	var cfg DrillConfig
	cfg = drillOf(t, w, map[uint64]func(){
		300: func() {
			folder, err := store.OpenRunning(cfg.ResultsDir, "latest")
			mustDo(t, err)
			if err := MarkRun(folder, "the gateway is cut\x1b[31m"); err != nil {
				t.Error(err)
			}
			w.CutGateway(true)
		},
		700:  func() { mustDo(t, w.SetWeights(100, 0)) },
		1000: func() { w.CutGateway(false) },
		1200: func() { mustDo(t, w.SetWeights(50, 50)) },
	})
	r, err := Drill(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Drill
	if len(d.Failovers) != 1 {
		t.Fatalf("%+v", d.Failovers)
	}
	f := d.Failovers[0]
	if f.By != report.ByWeights || f.TakenOver == nil || f.Recovered == nil || f.BackToSplit == nil {
		t.Errorf("%+v", f)
	}
	var kinds []string
	for _, e := range d.Events {
		kinds = append(kinds, e.Kind)
		if strings.Contains(e.Text, "\x1b") {
			t.Errorf("a mark is not escaped: %q", e.Text)
		}
	}
	if text := strings.Join(kinds, " "); !strings.Contains(text, "mark") || strings.Count(text, "weights") < 2 {
		t.Errorf("events %q: %+v", text, d.Events)
	}
	if r.Verdict.Outcome != report.Measured {
		t.Errorf("no limits: %s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if err := MarkRun(latest(t, cfg.ResultsDir), "too late"); !errors.Is(err, store.ErrNotRunning) {
		t.Errorf("a mark after the end: %v", err)
	}
	b, err := latest(t, cfg.ResultsDir).ReadFile(store.MarksFile)
	var m record.Mark
	if err != nil || json.Unmarshal(b, &m) != nil || !strings.HasPrefix(m.Text, "the gateway is cut") {
		t.Errorf("marks %q, %v", b, err)
	}
	if v, err := latest(t, cfg.ResultsDir).Verify(); err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// A drill in which nothing happens says so, and is never a pass whatever is allowed.
func TestDrillInWhichNothingHappens(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 23})
	cfg := drillOf(t, w, nil)
	cfg.Load.Requests = 300
	lost, outage := int64(100), time.Hour
	cfg.MaxLost, cfg.MaxOutage = &lost, &outage
	r, err := Drill(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Inconclusive || !strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"nothing failed") {
		t.Errorf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}
