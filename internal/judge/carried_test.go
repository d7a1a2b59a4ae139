package judge

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// drawn is 0 for about percent of 100 requests, the same for every call: seeded by the request's number.
func drawn(i, percent int) int16 {
	if rand.New(rand.NewPCG(uint64(i), 7)).IntN(100) < percent {
		return 0
	}
	return 1
}

// carriedRuns are reports made from samples, one for each way to an outcome.
func carriedRuns(t *testing.T) map[string]report.Report {
	t.Helper()
	reports := map[string]report.Report{}
	for name, c := range map[string]struct {
		pick       func(i int) int16
		n          int
		sequential *record.Sequential
		tolerance  string
	}{
		"pass":       {pick: func(i int) int16 { return drawn(i, 50) }, n: 3000},
		"fail":       {pick: func(i int) int16 { return drawn(i, 70) }, n: 3000},
		"too few":    {pick: func(i int) int16 { return drawn(i, 50) }, n: 40},
		"over time":  {pick: func(i int) int16 { return drawn(i, 20+60*(i/1500)) }, n: 3000},
		"some lost":  {pick: func(i int) int16 { return drawn(i, 50) - int16(1-min(i%7, 1)) }, n: 3000},
		"looked":     {pick: func(i int) int16 { return drawn(i, 50) }, n: 5000, sequential: &record.Sequential{Every: 100}},
		"looked off": {pick: func(i int) int16 { return drawn(i, 70) }, n: 5000, sequential: &record.Sequential{Every: 100}},
		"narrow":     {pick: func(i int) int16 { return drawn(i, 50) }, n: 3000, tolerance: "2pt,10%"},
	} {
		m := record.Manifest{Weights: analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}, Options: analyze.DefaultOptions(), Sequential: c.sequential}
		m.Plan.Requests = uint64(c.n)
		if c.tolerance != "" {
			var err error
			if m.Options.Tolerance, err = analyze.ParseTolerance(c.tolerance); err != nil {
				t.Fatal(err)
			}
		}
		tl := NewTally(2)
		for i := range c.n {
			r := attack.Result{Seq: uint64(i), Sent: time.Duration(i) * 10 * time.Millisecond, Status: 200, Backend: c.pick(i), Conn: int32(i)}
			r.Planned, r.FirstByte, r.Done = r.Sent, r.Sent+2*time.Millisecond, r.Sent+3*time.Millisecond
			if r.Backend < 0 {
				r.Status, r.Err = 0, attack.ErrTimeout
			}
			tl.Add(r)
		}
		reports[name] = conclude(m, wire.Totals{Reason: wire.ReasonDone, Requests: uint64(c.n), Tally: tl.outcomes.Entries()}, tl)
	}
	return reports
}

// A page or a document alone gives the verdict and the goodness of fit that the samples gave.
func TestAReportIsJudgedAgainAlike(t *testing.T) {
	t.Parallel()
	reports := carriedRuns(t)
	dir := "../../results"
	runs, err := filepath.Glob(filepath.Join(dir, "2*", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		f, err := store.Open(dir, filepath.Base(filepath.Dir(run)))
		if err != nil {
			t.Fatal(err)
		}
		if reports[f.ID], err = Analyze(f, nil); err != nil {
			t.Fatal(err)
		}
	}
	outcomes := map[string]int{}
	for name, r := range reports {
		outcomes[r.Verdict.Outcome]++
		var page bytes.Buffer
		if err := render.HTML(&page, r.Outline(), r); err != nil {
			t.Fatal(err)
		}
		back, err := report.ReadHTML(&page)
		if err != nil {
			t.Fatal(err)
		}
		again, err := AnalyzeReport(back, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("%s: from samples and from the page (-samples +page):\n%s", name, diff)
		}
	}
	if len(outcomes) < 3 || outcomes[report.Invalid] > 0 {
		t.Errorf("outcomes %v: the test does not try what it should", outcomes)
	}
}

// It is judged, not copied: other options and other counts give another verdict.
func TestAReportIsJudgedNotCopied(t *testing.T) {
	t.Parallel()
	r := carriedRuns(t)["pass"]
	narrow, err := AnalyzeReport(r, func(o *analyze.Options) { o.Tolerance = analyze.Tolerance{Points: 0.01} })
	if err != nil || narrow.Verdict.Outcome != report.Inconclusive {
		t.Errorf("with a tolerance of 0.01 points: %s, %v; want inconclusive", narrow.Verdict.Outcome, err)
	}
	r.Backends[0].Observed += 3000
	if off, err := AnalyzeReport(r, nil); err != nil || off.Verdict.Outcome != report.Fail || *off.GoodnessOfFit.Pearson.Statistic == *r.GoodnessOfFit.Pearson.Statistic {
		t.Errorf("with 3,000 more for podinfo: %s, %v; want fail", off.Verdict.Outcome, err)
	}
	r.Verdict.Outcome, r.Verdict.Reasons = report.Invalid, []string{"the weights changed"}
	if invalid, err := AnalyzeReport(r, nil); err != nil || invalid.Verdict.Outcome != report.Invalid {
		t.Errorf("an invalid run became %s, %v", invalid.Verdict.Outcome, err)
	}
	r.Backends = nil
	if none, err := AnalyzeReport(r, nil); err == nil {
		t.Errorf("without backends: %s, want an error", none.Verdict.Outcome)
	}
}

// The document of another kind of run holds no counts to judge: that is a mistake of whoever gave it, and no invalid split.
func TestAReportOfAnotherKindIsAUsageError(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"drill", "latency", "watch"} {
		f, err := os.Open("../report/testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		r, err := report.ReadJSON(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		usage := new(record.UsageError)
		if got, err := AnalyzeReport(r, nil); !errors.As(err, &usage) || !strings.Contains(err.Error(), r.Kind) {
			t.Errorf("%s: %s, %v; want a usage error", name, got.Verdict.Outcome, err)
		}
	}
}

// What forbids a pass of the samples forbids one of the page too: options that let the shares pass do not bring it back.
func TestAReportIsNoPassWhereItsSamplesAreNone(t *testing.T) {
	t.Parallel()
	wide := func(o *analyze.Options) { o.Tolerance = analyze.Tolerance{Points: 40} }
	weights := analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}
	result := func(i int, backend int16) attack.Result {
		r := attack.Result{Seq: uint64(i), Sent: time.Duration(i) * 10 * time.Millisecond, Status: 200, Backend: backend, Conn: int32(i)}
		r.Planned, r.FirstByte, r.Done = r.Sent, r.Sent+2*time.Millisecond, r.Sent+3*time.Millisecond
		return r
	}
	judged := func(m record.Manifest, n int, pick func(i int) int16) report.Report {
		t.Helper()
		m.Plan.Requests = uint64(n)
		tl := NewTally(len(m.Weights))
		for i := range n {
			tl.Add(result(i, pick(i)))
		}
		totals := wire.Totals{Reason: wire.ReasonDone, Requests: uint64(n), Tally: tl.outcomes.Entries()}
		wide(&m.Options)
		if r := conclude(m, totals, tl); r.Verdict.Outcome == report.Pass {
			t.Fatal("the samples pass: the test does not try what it should")
		}
		m.Options = analyze.DefaultOptions()
		return conclude(m, totals, tl)
	}
	for name, r := range map[string]report.Report{
		// One answer in 50 is of no known backend, and complete.
		"unknown backend": judged(record.Manifest{Weights: weights, Options: analyze.DefaultOptions()}, 3000, func(i int) int16 {
			if i%50 == 0 {
				return attack.Unattributed
			}
			return drawn(i, 70)
		}),
		// A look decided before the backend of weight 0 answered.
		"leak after the look": judged(record.Manifest{
			Weights: append(slices.Clone(weights), analyze.Weight{Backend: "old"}), Options: analyze.DefaultOptions(), Sequential: &record.Sequential{Every: 100},
		}, 5000, func(i int) int16 {
			if i == 4999 {
				return 2
			}
			return drawn(i, 50)
		}),
	} {
		again, err := AnalyzeReport(r, wide)
		if err != nil || again.Verdict.Outcome == report.Pass {
			t.Errorf("%s: %s from the report, %v; the samples give none: %q", name, again.Verdict.Outcome, err, again.Verdict.Reasons)
		}
	}
}

// The second witness is asked again by the options that hold now: draws that were no contradiction where the answers failed are
// one where they pass.
func TestAReportAsksItsWitnessAgain(t *testing.T) {
	t.Parallel()
	r := carriedRuns(t)["fail"] // 70 %
	r.Witness = &report.Witness{Available: true, Draws: []report.WitnessDraws{{Backend: "podinfo", Drawn: 2990}, {Backend: "podinfo-east", Drawn: 10}}}
	r.Diagnostics = append(r.Diagnostics, report.Diagnostic{Name: "witness", OK: true, Text: "nothing found", Effect: report.EffectKeep})
	again, err := AnalyzeReport(r, func(o *analyze.Options) { o.Tolerance = analyze.Tolerance{Points: 40} })
	if err != nil || again.Verdict.Outcome != report.Inconclusive || again.Verdict.StatisticalOutcome != report.Pass {
		t.Errorf("%s (%s by the counts), %v: %q", again.Verdict.Outcome, again.Verdict.StatisticalOutcome, err, again.Verdict.Reasons)
	}
}
