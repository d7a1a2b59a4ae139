package report

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// Nothing turns a bad run into a pass, and whatever spoils a run spoils a pass.
func TestNothingButAGoodRunPasses(t *testing.T) {
	good := func() Input { return run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0) }
	if got := Build(good()).Verdict; got.Outcome != Pass || got.StatisticalOutcome != "" || len(got.Remedies) != 0 {
		t.Fatalf("the good run: %+v", got)
	}
	for name, c := range map[string]struct {
		spoil func(*Input)
		want  string
	}{
		"a reason":         {func(in *Input) { in.Invalid = []string{"the proxy was restarted"} }, Invalid},
		"interrupted":      {func(in *Input) { in.Interrupted = "SIGTERM" }, Invalid},
		"no decision":      {func(in *Input) { in.Decision = nil }, Invalid},
		"no answers":       {func(in *Input) { in.Counts = analyze.Counts{N: []int64{0, 0}, Unattributed: 2400} }, Invalid},
		"no counts":        {func(in *Input) { in.Counts = analyze.Counts{} }, Invalid},
		"unknown outcome":  {func(in *Input) { in.Decision.Outcome = "good" }, Invalid},
		"fatal check":      {func(in *Input) { in.Checks[1].Status = preflight.Failed }, Invalid},
		"split deleted":    {func(in *Input) { in.After.Split.Found, in.After.Split.UID = false, "" }, Invalid},
		"split replaced":   {func(in *Input) { in.After.Split.UID = "other" }, Invalid},
		"weights changed":  {func(in *Input) { in.After.Split.Effective = []law.Weight{{Service: "podinfo", Weight: 1}} }, Invalid},
		"declared changed": {func(in *Input) { in.After.Split.Declared = []law.Declared{{Service: "podinfo", Raw: "90"}} }, Invalid},
		"diagnostic":       {func(in *Input) { in.Diagnostics = []Diagnostic{{Effect: EffectDowngrade, Text: "x"}} }, Inconclusive},
		"mild diagnostic":  {func(in *Input) { in.Diagnostics = []Diagnostic{{Effect: EffectQualify, Text: "x"}} }, Pass},
		"mild check":       {func(in *Input) { in.Checks[1].Status, in.Checks[1].Severity = preflight.Failed, preflight.Warn }, Pass},
		"annotated":        {func(in *Input) { in.After.Split.ResourceVersion = "4712" }, Pass},
	} {
		t.Run(name, func(t *testing.T) {
			in := good()
			c.spoil(&in)
			v := Build(in).Verdict
			if v.Outcome != c.want {
				t.Errorf("outcome %s, want %s", v.Outcome, c.want)
			}
			if c.want != Pass && (len(v.Reasons) == 0 || len(v.Remedies) == 0) {
				t.Errorf("reasons %q, remedies %q: want some of both", v.Reasons, v.Remedies)
			}
			if c.want == Invalid && ExitCode(v.Outcome, FailOnFail) != ExitInvalid {
				t.Error("an invalid run exits green")
			}
		})
	}
	in := good()
	in.Invalid, in.Decision.Outcome = []string{"x"}, analyze.Fail
	if v := Build(in).Verdict; v.StatisticalOutcome != Fail || v.Differs == nil {
		t.Errorf("the decision is not kept as information: %+v", v)
	}
}

func TestBuildKeepsItsInput(t *testing.T) {
	in := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	in.Interrupted = "SIGINT"
	r := Build(in)
	r.Checks[0].Name, r.Run.Command[0], r.Backends[0].Statuses["200"] = "changed", "changed", 0
	if in.Checks[0].Name == "changed" || in.Run.Command[0] == "changed" || !in.Run.Complete || in.Load.Backends[0].Statuses[200] == 0 {
		t.Error("Build changed its input, or shares memory with the report")
	}
}

// Quantiles come from analyze; here is tested what is done with them.
func TestQuantilesThatTheSampleIsTooSmallFor(t *testing.T) {
	need := analyze.MinSamples(0.99, quantileLevel)
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

func TestMerge(t *testing.T) {
	got := merge([]int64{1, 4, 9}, nil, []int64{2, 2}, []int64{0}, []int64{7, 5})
	if want := []int64{0, 1, 2, 2, 4, 5, 7, 9}; !slices.Equal(got, want) {
		t.Errorf("merge = %v, want %v", got, want)
	}
	if merge() != nil {
		t.Error("merge of nothing")
	}
}

func TestLoadAddsUp(t *testing.T) {
	in := run(analyze.Pass, twoWeights(50, 50), 100, 100, 0)
	in.Load.Backends[0].Statuses = map[uint16]int64{200: 90, 503: 6, 404: 4}
	in.Load.Unattributed = Answers{Statuses: map[uint16]int64{502: 3}, Errors: map[attack.ErrorClass]int64{attack.ErrTimeout: 2, attack.ErrReset: 1}}
	in.Load.Duration, in.Load.CPU = 2*time.Second, 206*time.Microsecond*10
	r := Build(in)
	if r.Load.Requests != 206 || r.Load.Errors != 6+3+3 || r.Load.RatePerSecond != 103 || math.Abs(*r.Load.CPUUsPerRequest-10) > 1e-9 {
		t.Errorf("load %+v", r.Load)
	}
	if r.Backends[0].Errors != 6 || r.Unattributed.Errors["timeout"] != 2 || r.Unattributed.Statuses["502"] != 3 || r.Load.StatusCodes["503"] != 6 {
		t.Errorf("errors by backend %d, unattributed %+v", r.Backends[0].Errors, r.Unattributed)
	}
}

// JSON knows no infinity: what is infinite is null with a why.
func TestInfiniteIsNull(t *testing.T) {
	r := Build(inputs()["fail-leak"])
	s := r.GoodnessOfFit.Pearson
	if s.Statistic != nil || s.Why == "" {
		t.Errorf("statistic %v, why %q", s.Statistic, s.Why)
	}
	in := inputs()["fail-leak"]
	in.Decision.Differs = analyze.PValue{P: 0, LnP: math.Inf(-1), Method: analyze.Exact}
	if v := Build(in).Verdict; v.Differs.LnP != nil || v.Differs.Why == "" {
		t.Errorf("impossible p: %+v, want lnP null with a why", v.Differs)
	}
	in.Decision.GoodnessOfFit.TotalVariation, in.Load.TargetRate = math.NaN(), math.Inf(1)
	asJSON(t, Build(in))
}
