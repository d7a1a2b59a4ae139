package report

import (
	"testing"
	"time"
)

func TestLimitsHaveThreeOutcomes(t *testing.T) {
	num := func(v float64) *float64 { return &v }
	r := Report{GatewayCost: &GatewayCost{Backends: []BackendTimes{
		{Backend: "a", Quantiles: []QuantileTime{{Quantile: 0.5, LowMs: num(3), HighMs: num(5)}, {Quantile: 0.99, LowMs: num(8), Why: "needs about 6,520 answers"}}},
	}}}
	for _, x := range []struct {
		name string
		l    Limit
		r    Report
		want string
	}{
		{"below", Limit{"a", 0.5, 5 * time.Millisecond}, r, Pass},
		{"above", Limit{"*", 0.5, 2 * time.Millisecond}, r, Fail},
		{"between", Limit{"a", 0.5, 4 * time.Millisecond}, r, Inconclusive},
		{"no upper end", Limit{"a", 0.99, time.Second}, r, Inconclusive},
		{"above without an upper end", Limit{"a", 0.99, time.Millisecond}, r, Fail},
		{"another quantile", Limit{"a", 0.75, time.Second}, r, Inconclusive},
		{"another backend", Limit{"b", 0.5, time.Second}, r, Inconclusive},
		{"nothing timed", Limit{"a", 0.5, time.Second}, Report{}, Inconclusive},
		{"late", Limit{"a", 0.5, time.Second}, Report{GatewayCost: &GatewayCost{Why: "the generator was late"}}, Inconclusive},
	} {
		got := x.l.check(x.r)
		if len(got) != 1 || got[0].Outcome != x.want || got[0].Text == "" {
			t.Errorf("%s: %+v, want %s", x.name, got, x.want)
		}
	}
}
