package judge

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// measured is a stored run of n requests to a split of 50/50, of which a share went west.
func measured(t *testing.T, id string, n int, seed uint64, west float64) store.Folder {
	t.Helper()
	split := law.Split{ObjectRef: law.ObjectRef{Kind: "TrafficSplit", Namespace: "test", Name: "podinfo", UID: "1"}, Found: true}
	at := &law.Snapshot{Split: split, Source: law.Pod{Namespace: "test", Name: "frontend-1", Meshed: true}}
	rng := rand.New(rand.NewPCG(seed, 1))
	results := make([]attack.Result, n)
	for i := range results {
		due := time.Duration(i) * time.Millisecond
		r := attack.Result{Seq: uint64(i), Planned: due, Sent: due, FirstByte: due + time.Millisecond, Done: due + 2*time.Millisecond, Status: 200}
		if rng.Float64() >= west {
			r.Backend = 1
		}
		r.Conn = int32(i / 10)
		results[i] = r
	}
	return forged(t, record.Manifest{
		ID: id, Kind: report.KindSplit, Weights: analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}},
		Options: analyze.DefaultOptions(), Plan: attack.Plan{Requests: uint64(n), Rate: attack.Rate{Hits: 1000, Per: time.Second}},
		Simulated: "a test", Before: at, After: at,
	}, results)
}

// variant is a copy of a run with another manifest, and with cut bytes of its samples gone.
func variant(t *testing.T, f store.Folder, id string, cut int, edit func(*record.Manifest)) store.Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), id)
	if err := os.CopyFS(dir, os.DirFS(f.Dir)); err != nil {
		t.Fatal(err)
	}
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	m.ID = id
	if edit != nil {
		edit(&m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := os.ReadFile(filepath.Join(dir, store.SamplesFile))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		record.ManifestFile: b, store.SamplesFile: samples[:len(samples)-cut], store.StatusFile: []byte(store.Complete + "\n"),
	}
	var sums strings.Builder
	for name, data := range files {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), name)
	}
	files[store.SumsFile] = []byte(sums.String())
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := store.Open(filepath.Dir(dir), id)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func together(t *testing.T, folders ...store.Folder) report.Report {
	t.Helper()
	r, err := AnalyzeRuns(folders, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func line(t *testing.T, r report.Report, name string) report.Diagnostic {
	t.Helper()
	for _, d := range r.Diagnostics {
		if d.Name == name {
			return d
		}
	}
	t.Fatalf("no diagnostic %q in %+v", name, r.Diagnostics)
	return report.Diagnostic{}
}

func alone(t *testing.T, f store.Folder) report.Report {
	t.Helper()
	r, err := Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// With a seed the draws are fixed. 1,300 requests at 50/50 are too few for the
// default tolerance to be sure of (a share off by more than 1.8 points is inconclusive), 2,600 are enough.
func TestRunsTogether(t *testing.T) {
	t.Parallel()
	a, b := measured(t, "20261122t071502z-test-podinfo-aaaa", 1300, 2, 0.5), measured(t, "20261122t071503z-test-podinfo-bbbb", 1300, 3, 0.5)
	off := measured(t, "20261122t071504z-test-podinfo-cccc", 1300, 4, 0.65)

	t.Run("alike", func(t *testing.T) {
		r, x, y := together(t, a, b), alone(t, a), alone(t, b)
		for i, row := range r.Backends {
			if row.Observed != x.Backends[i].Observed+y.Backends[i].Observed {
				t.Errorf("%s: %d, of %d and %d", row.Name, row.Observed, x.Backends[i].Observed, y.Backends[i].Observed)
			}
		}
		runs, combined := line(t, r, "runs"), line(t, r, report.NameCombined)
		if r.Verdict.Outcome != report.Pass || !runs.OK || !combined.OK || combined.Effect != report.EffectKeep || r.Load != nil || len(r.Warnings) > 0 {
			t.Errorf("outcome %s, %+v, %+v, warnings %q", r.Verdict.Outcome, runs, combined, r.Warnings)
		}
		if !strings.Contains(runs.Text, a.ID) || !strings.Contains(runs.Text, b.ID) {
			t.Errorf("%q does not name the runs", runs.Text)
		}
		if line(t, r, analyze.DiagnosticConnections); r.Run == nil || r.Run.ID != "" || r.Run.Simulated == "" || !r.Run.Complete {
			t.Errorf("run %+v", r.Run)
		}
		if other := together(t, b, a); other.Verdict.Outcome != r.Verdict.Outcome || *line(t, other, "runs").P != *runs.P {
			t.Errorf("the order of the runs matters: %+v", other.Verdict)
		}
	})
	t.Run("options of the first, but for what is given", func(t *testing.T) {
		r, err := AnalyzeRuns([]store.Folder{a, b}, func(o *analyze.Options) { o.Tolerance.Points = 1 })
		if err != nil || r.Verdict.Outcome != report.Inconclusive || r.Verdict.Tolerance[0].Points != 1 {
			t.Errorf("%v, %+v", err, r.Verdict)
		}
	})
	// Off by 15 points: 50 % and 65 % of 1,300 differ by 7.7 standard deviations; together 7.5 points are off, and outside.
	t.Run("different", func(t *testing.T) {
		r := together(t, a, off)
		runs := line(t, r, "runs")
		if r.Verdict.Outcome != report.Inconclusive || r.Verdict.ReasonCodes[0] != "diagnostic" || runs.Effect != report.EffectDowngrade {
			t.Errorf("%+v, %+v", r.Verdict, runs)
		}
		if !strings.Contains(runs.Text, a.ID) || !strings.Contains(runs.Text, off.ID) || !strings.Contains(runs.Text, "no single split") {
			t.Errorf("text %q", runs.Text)
		}
		if n := r.Verdict.RequestsNeeded; n != nil && (n.IfOnTarget != nil || n.IfAsObserved != nil) {
			t.Errorf("more requests do not help, but: %+v", n)
		}
		if c := line(t, r, report.NameCombined); c.OK || c.Effect != report.EffectQualify || *c.P > 1e-9 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a run with lost samples", func(t *testing.T) {
		r := together(t, a, variant(t, b, "cut", 20, nil))
		if why := strings.Join(r.Verdict.Reasons, " "); r.Verdict.Outcome != report.Invalid || !strings.Contains(why, "run cut is invalid") {
			t.Errorf("%+v", r.Verdict)
		}
	})
	t.Run("weights in another order and unit", func(t *testing.T) {
		swapped := variant(t, b, "swapped", 0, func(m *record.Manifest) {
			m.Weights = analyze.Weights{{Backend: "podinfo-east", W: 1}, {Backend: "podinfo", W: 1}}
		})
		r, x, y := together(t, a, swapped), alone(t, a), alone(t, swapped)
		if got, want := r.Backends[0].Observed, x.Backends[0].Observed+y.Backends[1].Observed; r.Backends[0].Name != "podinfo" || got != want {
			t.Errorf("%s: %d, want %d", r.Backends[0].Name, got, want)
		}
	})
	t.Run("one that could stop early", func(t *testing.T) {
		early := variant(t, b, "early", 0, func(m *record.Manifest) { m.Sequential = &record.Sequential{Every: 100} })
		r := together(t, a, early)
		// 2,600 requests: the sequence wants more than the fixed size does.
		if !strings.Contains(strings.Join(r.Warnings, " "), "--sequential") || r.Backends[0].Interval.Method != analyze.MethodConfidenceSequence {
			t.Errorf("warnings %q, interval %+v", r.Warnings, r.Backends[0].Interval)
		}
	})
	t.Run("a weight of 0", func(t *testing.T) {
		none := func(m *record.Manifest) { m.Weights[1].W = 0 }
		r := together(t, variant(t, a, "leak-a", 0, none), variant(t, off, "leak-b", 0, none))
		if c := line(t, r, report.NameCombined); r.Verdict.Outcome != report.Fail || c.OK || !strings.Contains(c.Text, "weight 0") {
			t.Errorf("%s, %+v", r.Verdict.Outcome, c)
		}
	})
	t.Run("no better than its runs", func(t *testing.T) { noBetterThanItsRuns(t, a, b) })
	t.Run("strung together", func(t *testing.T) { strungTogether(t, a, b) })
	t.Run("refused", func(t *testing.T) { refusedTogether(t, a, b) })
}

// What one run alone has against its verdict, and the sum of the counts cannot show, holds for the whole.
func noBetterThanItsRuns(t *testing.T, a, b store.Folder) {
	for name, tt := range map[string]struct {
		edit func(*report.Report)
		want string
	}{
		"its proxy drew otherwise": {func(r *report.Report) {
			r.Diagnostics = append(r.Diagnostics, report.Diagnostic{Name: nameWitness, Text: "the draws do not follow", Effect: report.EffectDowngrade})
		}, report.Inconclusive},
		"a leak after the look that decided": {func(r *report.Report) {
			r.Verdict.Outcome, r.Verdict.Reasons, r.Verdict.ReasonCodes = report.Fail, []string{"old has weight 0 and answered"}, []string{analyze.CodeLeak}
		}, report.Fail},
	} {
		var p pool
		for _, f := range []store.Folder{a, b} {
			if err := p.add(f, nil); err != nil {
				t.Fatal(err)
			}
		}
		tt.edit(&p.runs[1].alone)
		if r := p.report(); r.Verdict.Outcome != tt.want || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), p.runs[1].id) {
			t.Errorf("%s: %s, want %s: %q", name, r.Verdict.Outcome, tt.want, r.Verdict.Reasons)
		}
	}
}

func strungTogether(t *testing.T, a, b store.Folder) {
	var p pool
	for _, f := range []store.Folder{a, b} {
		if err := p.add(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	all := p.inOrder()
	if !all.ordered() || all.N != 2600 {
		t.Fatalf("%d observations of %d", len(all.observations), all.N)
	}
	conns := map[int]int{} // to the run
	var last time.Duration
	for i, o := range all.observations {
		run := i / 1300
		if o.Seq != uint64(i) || o.Planned < last {
			t.Fatalf("observation %d: %+v after %s", i, o, last)
		}
		last = o.Planned
		if r, ok := conns[o.Conn]; o.Conn >= 0 && ok && r != run {
			t.Fatalf("connection %d is of both runs", o.Conn)
		}
		conns[o.Conn] = run
	}
}

func refusedTogether(t *testing.T, a, b store.Folder) {
	edit := func(f func(*record.Manifest)) store.Folder { return variant(t, b, "other", 0, f) }
	for name, tt := range map[string]struct {
		folders []store.Folder
		want    []string
	}{
		"none":       {nil, []string{"no run"}},
		"twice":      {[]store.Folder{a, b, a}, []string{a.ID, "twice"}},
		"a copy":     {[]store.Folder{b, variant(t, b, b.ID, 0, nil)}, []string{b.ID, "twice"}},
		"weights":    {[]store.Folder{a, edit(func(m *record.Manifest) { m.Weights[0].W = 90 })}, []string{a.ID, "podinfo=50,podinfo-east=50", "other", "podinfo=90"}},
		"backends":   {[]store.Folder{a, edit(func(m *record.Manifest) { m.Weights[0].Backend = "x" })}, []string{a.ID, "other", "x=50"}},
		"split":      {[]store.Folder{a, edit(func(m *record.Manifest) { m.Before.Split.Name = "reviews" })}, []string{a.ID, "test/podinfo", "other", "test/reviews"}},
		"a real one": {[]store.Folder{a, edit(func(m *record.Manifest) { m.Simulated = "" })}, []string{"simulated"}},
		"no weights": {[]store.Folder{a, edit(func(m *record.Manifest) { m.Weights = nil })}, []string{"other", "weights"}},
		"no split":   {[]store.Folder{a, edit(func(m *record.Manifest) { m.Before = nil })}, []string{"other", "split"}},
	} {
		_, err := AnalyzeRuns(tt.folders, nil)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", name, err, want)
			}
		}
	}
}
