package bench

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// again holds the latest stored run against what was said of it live.
func again(t *testing.T, dir string, r report.Report) record.Manifest {
	t.Helper()
	f := latest(t, dir)
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := judge.Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, stored, cmpopts.EquateApproxTime(0)); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
	return m
}

// A drill from several pods sees one failover as one pod does: every request of all of them is in its timeline once.
func TestADrillFromSeveralPods(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 21, Frontends: 3})
	cfg := drillOf(t, w, map[uint64]func(){
		200:  func() { w.CutGateway(true) },
		1000: func() { w.CutGateway(false) },
	})
	cfg.Query.Pods, cfg.Load.Requests = 3, 1500
	r, err := Drill(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := again(t, cfg.ResultsDir, r)
	if d := r.Drill; d == nil || d.Sent != 1500 || !d.Accounted || d.Lost == 0 || len(m.Streams) != 3 {
		t.Fatalf("%s %q: %+v, %d streams", r.Verdict.Outcome, r.Verdict.Reasons, d, len(m.Streams))
	}
	for _, p := range r.Source.Pods {
		if p.Requests != 500 || p.Why != "" {
			t.Errorf("%+v", p)
		}
	}
}

// What splitbench lost of a pod is no outage of the mesh: a drill whose pod is lost says so, and counts no loss of the
// split's.
func TestADrillThatLosesAPod(t *testing.T) {
	t.Parallel()
	cuts := &cutting{after: 9000, pod: 1}
	w := world(t, demo.Options{Seed: 22, Frontends: 3, Mend: cuts.mend})
	cfg := drillOf(t, w, nil)
	cfg.Query.Pods, cfg.Load.Requests, cfg.Witness = 3, 2400, "off"
	r, err := Drill(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	again(t, cfg.ResultsDir, r)
	d := r.Drill
	if d == nil || d.Lost != 0 || d.Accounted || d.Sent < 1600 || d.Sent >= 2400 ||
		!strings.Contains(strings.Join(r.Warnings, " "), "was lost: ") {
		t.Fatalf("%+v, warnings %q", d, r.Warnings)
	}
}

// Rounds of several pods are rounds: each request of the plan is sent once, the stored rounds are those that were judged,
// and a pod that is lost in mid-run has no part in that round and those after it.
func TestLatencyFromSeveralPods(t *testing.T) {
	t.Parallel()
	for name, mend := range map[string]*cutting{"whole": {after: 1 << 30}, "a pod is lost": {after: 40_000, pod: 1}} {
		t.Run(name, func(t *testing.T) {
			w := world(t, demo.Options{Seed: 11, Frontends: 3, Mend: mend.mend})
			cfg := compareTargets(t, w)
			cfg.Margin, cfg.MarginText = analyze.Margin{Absolute: int64(time.Second), Set: true}, "1s"
			cfg.Query.Pods, cfg.Rounds, cfg.Load.Rate = 3, 20, attack.Rate{Hits: 300, Per: time.Second}
			cfg.KeepGoing, cfg.Witness = true, "off"
			r, err := Latency(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			m := again(t, cfg.ResultsDir, r)
			var sent int64
			for _, x := range r.Comparison.Targets {
				sent += x.Sent
			}
			const all = 2 * 20 * 60
			lost := strings.Contains(strings.Join(r.Warnings, " "), "was lost after")
			if whole := name == "whole"; len(m.Streams) != 3 || whole && sent != all || lost == whole ||
				!whole && (sent <= all*2/3 || sent >= all) {
				t.Errorf("%d requests of %d from %d pods: %q, warnings %q", sent, all, len(m.Streams), r.Verdict.Reasons, r.Warnings)
			}
		})
	}
}

// A watch from several pods counts the answers of all of them, and goes on where one is lost.
func TestAWatchFromSeveralPods(t *testing.T) {
	t.Parallel()
	cuts := &cutting{after: 12_000, pod: 1}
	w := world(t, demo.Options{Seed: 31, Frontends: 3, Mend: cuts.mend})
	cfg := watchOf(t, w)
	cfg.Query.Pods, cfg.Load.Rate = 3, attack.Rate{Hits: 600, Per: time.Second}
	r, err := Watch(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	whole, left := int64(150), int64(100)
	n := r.Watch.Requests + r.Watch.Lost
	if r.Watch.Looks < 3 || n <= left*r.Watch.Looks || n >= whole*r.Watch.Looks || r.Watch.GapCount != 0 ||
		r.Verdict.Outcome == report.Fail || r.Verdict.Outcome == report.Invalid {
		t.Errorf("%s %q: %d requests in %d looks, %d gaps", r.Verdict.Outcome, r.Verdict.Reasons, n, r.Watch.Looks,
			r.Watch.GapCount)
	}
}

// A full disk is one reason, however many pods' frames it does not take.
func TestOneFullDiskIsToldOnce(t *testing.T) {
	var errs []error
	for i := range 500 {
		errs = append(errs, &StoreError{fmt.Errorf("write frames-%d.sbw: no space left on device", i)})
	}
	lost := errors.New("pod x was deleted")
	if got := worstOf(append(errs, lost)).Error(); strings.Count(got, "no space left") != 1 || !strings.Contains(got, lost.Error()) {
		t.Errorf("it says %s", got)
	}
}
