package main

import (
	"os"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

func TestTheExampleSuiteCanBeRead(t *testing.T) {
	b, err := os.ReadFile("../../examples/splitbench.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseSuite(b)
	if err != nil {
		t.Fatal(err)
	}
	one := s.Splits[0].over(s.Defaults)
	limits, err := one.limits()
	if err != nil || len(limits) != 3 || limits[0] != (limit{"podinfo", 0.5, 20 * time.Millisecond}) {
		t.Errorf("limits %+v, %v", limits, err)
	}
	if one.Namespace != "test" || one.Rate != "100" || one.Tolerance != "5pt" || one.Labels["suite"] != "nightly" || s.Splits[1].Requests != "5000" {
		t.Errorf("%+v", one)
	}
}

func TestLimitsHaveThreeOutcomes(t *testing.T) {
	num := func(v float64) *float64 { return &v }
	r := report.Report{GatewayCost: &report.GatewayCost{Backends: []report.BackendTimes{
		{Backend: "a", Quantiles: []report.QuantileTime{{Quantile: 0.5, LowMs: num(3), HighMs: num(5)}, {Quantile: 0.99, LowMs: num(8), Why: "needs about 6,520 answers"}}},
	}}}
	for _, x := range []struct {
		name string
		l    limit
		r    report.Report
		want string
	}{
		{"below", limit{"a", 0.5, 5 * time.Millisecond}, r, report.Pass},
		{"above", limit{"*", 0.5, 2 * time.Millisecond}, r, report.Fail},
		{"between", limit{"a", 0.5, 4 * time.Millisecond}, r, report.Inconclusive},
		{"no upper end", limit{"a", 0.99, time.Second}, r, report.Inconclusive},
		{"above without an upper end", limit{"a", 0.99, time.Millisecond}, r, report.Fail},
		{"another quantile", limit{"a", 0.75, time.Second}, r, report.Inconclusive},
		{"another backend", limit{"b", 0.5, time.Second}, r, report.Inconclusive},
		{"nothing timed", limit{"a", 0.5, time.Second}, report.Report{}, report.Inconclusive},
		{"late", limit{"a", 0.5, time.Second}, report.Report{GatewayCost: &report.GatewayCost{Why: "the generator was late"}}, report.Inconclusive},
	} {
		got := x.l.check(x.r)
		if len(got) != 1 || got[0].Outcome != x.want || got[0].Text == "" {
			t.Errorf("%s: %+v, want %s", x.name, got, x.want)
		}
	}
}

func FuzzParseSuite(f *testing.F) {
	b, err := os.ReadFile("../../examples/splitbench.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSuite(b)
		if err == nil && (len(s.Splits) == 0 || len(s.Splits) > maxSplits) {
			t.Errorf("%d splits were let through", len(s.Splits))
		}
	})
}
