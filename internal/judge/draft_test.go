package judge

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/report"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// Nothing turns a bad run into a pass, and whatever spoils a run spoils a pass.
func TestNothingButAGoodRunPasses(t *testing.T) {
	good := func() *draft { return run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0) }
	if got := good().finish().Verdict; got.Outcome != report.Pass || got.StatisticalOutcome != "" || len(got.Remedies) != 0 {
		t.Fatalf("the good run: %+v", got)
	}
	for name, c := range map[string]struct {
		spoil func(*draft)
		want  string
	}{
		"a reason":         {func(in *draft) { in.invalid = []string{"the proxy was restarted"} }, report.Invalid},
		"interrupted":      {func(in *draft) { in.Run.CutShort = "SIGTERM" }, report.Invalid},
		"no decision":      {func(in *draft) { in.decision = nil }, report.Invalid},
		"no answers":       {func(in *draft) { in.counts = analyze.Counts{N: []int64{0, 0}, Unattributed: 2400} }, report.Invalid},
		"no counts":        {func(in *draft) { in.counts = analyze.Counts{} }, report.Invalid},
		"unknown outcome":  {func(in *draft) { in.decision.Outcome = "good" }, report.Invalid},
		"fatal check":      {func(in *draft) { in.Checks[1].Status = preflight.Failed }, report.Invalid},
		"split deleted":    {func(in *draft) { in.after.Split.Found, in.after.Split.UID = false, "" }, report.Invalid},
		"split replaced":   {func(in *draft) { in.after.Split.UID = "other" }, report.Invalid},
		"weights changed":  {func(in *draft) { in.after.Split.Effective = []law.Weight{{Service: "podinfo", Weight: 1}} }, report.Invalid},
		"declared changed": {func(in *draft) { in.after.Split.Declared = []law.Declared{{Service: "podinfo", Raw: "90"}} }, report.Invalid},
		"diagnostic":       {func(in *draft) { in.Diagnostics = []report.Diagnostic{{Effect: report.EffectDowngrade, Text: "x"}} }, report.Inconclusive},
		"mild diagnostic":  {func(in *draft) { in.Diagnostics = []report.Diagnostic{{Effect: report.EffectQualify, Text: "x"}} }, report.Pass},
		"mild check":       {func(in *draft) { in.Checks[1].Status, in.Checks[1].Severity = preflight.Failed, preflight.Warn }, report.Pass},
		"annotated":        {func(in *draft) { in.after.Split.ResourceVersion = "4712" }, report.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			in := good()
			c.spoil(in)
			v := in.finish().Verdict
			if v.Outcome != c.want {
				t.Errorf("outcome %s, want %s", v.Outcome, c.want)
			}
			if c.want != report.Pass && (len(v.Reasons) == 0 || len(v.Remedies) == 0) {
				t.Errorf("reasons %q, remedies %q: want some of both", v.Reasons, v.Remedies)
			}
			if c.want == report.Invalid && report.ExitCode(v.Outcome, report.FailOnFail) != report.ExitInvalid {
				t.Error("an invalid run exits green")
			}
		})
	}
	in := good()
	in.invalid, in.decision.Outcome = []string{"x"}, analyze.Fail
	if v := in.finish().Verdict; v.StatisticalOutcome != report.Fail || v.Differs == nil {
		t.Errorf("the decision is not kept as information: %+v", v)
	}
}

func TestBuildKeepsItsInput(t *testing.T) {
	in := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	in.Run.CutShort = "SIGINT"
	r := in.finish()
	r.Checks[0].Name, r.Run.Command[0], r.Backends[0].Statuses["200"] = "changed", "changed", 0
	if in.Checks[0].Name == "changed" || in.Run.Command[0] == "changed" || !in.Run.Complete || in.answers[0].statuses[200] == 0 {
		t.Error("Build changed its input, or shares memory with the report")
	}
}

// Quantiles come from analyze; here is tested what is done with them.
func TestQuantilesThatTheSampleIsTooSmallFor(t *testing.T) {
	need := analyze.MinSamples(0.99, 0.95)
	for n, want := range map[int]bool{need - 1: false, need: true} {
		l := latencyOf(sampleTimes(int64(n), time.Millisecond), sampleTimes(int64(n), time.Millisecond))
		if got := l.ServiceTime.P99Ms != nil; got != want {
			t.Errorf("p99 of %d: given %t, want %t", n, got, want)
		}
		if l.Why == "" || l.ServiceTime.MaxMs == nil {
			t.Errorf("%d: why %q, max %v: want both", n, l.Why, l.ServiceTime.MaxMs)
		}
	}
	if latencyOf(nil, nil) != nil {
		t.Error("latency of nothing")
	}
	// One second is 1000 ms, however it is ordered.
	if l := latencyOf([]int64{3e9, 1e9, 2e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9}, nil); *l.ServiceTime.P50Ms != 1000 || *l.ServiceTime.MaxMs != 3000 {
		t.Errorf("quantiles %v, %v, want 1000 and 3000 ms", *l.ServiceTime.P50Ms, *l.ServiceTime.MaxMs)
	}
}

func TestLoadAddsUp(t *testing.T) {
	in := run(analyze.Pass, twoWeights(50, 50), 100, 100, 0)
	in.answers[0].statuses = map[uint16]int64{200: 90, 503: 6, 404: 4}
	in.rest = answers{statuses: map[uint16]int64{502: 3}, errors: map[attack.ErrorClass]int64{attack.ErrTimeout: 2, attack.ErrReset: 1}}
	in.Load.DurationSeconds, in.cpu = 2, 206*time.Microsecond*10
	r := in.finish()
	if r.Load.Requests != 206 || r.Load.Errors != 6+3+3 || r.Load.RatePerSecond != 103 || math.Abs(*r.Load.CPUUsPerRequest-10) > 1e-9 {
		t.Errorf("load %+v", r.Load)
	}
	if r.Backends[0].Errors != 6 || r.Unattributed.Errors["timeout"] != 2 || r.Unattributed.Statuses["502"] != 3 || r.Load.StatusCodes["503"] != 6 {
		t.Errorf("errors by backend %d, unattributed %+v", r.Backends[0].Errors, r.Unattributed)
	}
}

// JSON knows no infinity: what is infinite is null with a why.
func TestInfiniteIsNull(t *testing.T) {
	r := inputs()["fail-leak"].finish()
	s := r.GoodnessOfFit.Pearson
	if s.Statistic != nil || s.Why == "" {
		t.Errorf("statistic %v, why %q", s.Statistic, s.Why)
	}
	in := inputs()["fail-leak"]
	in.decision.Differs = analyze.PValue{P: 0, LnP: math.Inf(-1), Method: analyze.Exact}
	if v := in.finish().Verdict; v.Differs.LnP != nil || v.Differs.Why == "" {
		t.Errorf("impossible p: %+v, want lnP null with a why", v.Differs)
	}
	in.decision.GoodnessOfFit.TotalVariation, in.Load.TargetRatePerSecond = math.NaN(), math.Inf(1)
	asJSON(t, in.finish())
}

// Documents of every outcome are what the builders make; those of package report are read by its tests and render's.
func TestGoldenDocuments(t *testing.T) {
	for name, in := range inputs() {
		t.Run(name, func(t *testing.T) {
			r := in.finish()
			doc := asJSON(t, r)
			back, err := report.ReadJSON(bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, back); diff != "" {
				t.Errorf("read back (-written +read):\n%s", diff)
			}
			path := filepath.Join("..", "report", "testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, doc, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(doc)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\nrun with -update if it is right", path, diff)
			}
		})
	}
}

var update = flag.Bool("update", false, "write the golden files")

func asJSON(t *testing.T, r report.Report) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
