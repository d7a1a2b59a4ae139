package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// gatewayCostFacts are those of a gateway that costs 38 ms at the median, of which the 99th percentile has no upper end.
func gatewayCostFacts() *CostFacts {
	ms := func(v float64) float64 { return v * 1e6 }
	times := func(v, low, high float64) analyze.BlockInterval {
		return analyze.BlockInterval{Value: int64(ms(v)), CI: analyze.Interval{Low: ms(low), High: ms(high), Level: 0.99}, Samples: 1200, Blocks: 40, DesignEffect: 1.2}
	}
	difference := func(q, v, low, high float64) analyze.BlockDifference {
		return analyze.BlockDifference{Q: q, Difference: int64(ms(v)), DifferenceCI: analyze.Interval{Low: ms(low), High: ms(high), Level: 0.99}}
	}
	endless := times(51, 48, math.Inf(1))
	endless.CI.Why = "needs about 1,500 answers"
	open := difference(0.99, 43, 39.5, math.Inf(1))
	open.DifferenceCI.Why = endless.CI.Why
	f := &CostFacts{Reference: "podinfo", Level: 0.99, Windows: 40, Window: 1200 * time.Millisecond, Backends: []BackendCostFacts{
		{Name: "podinfo", Levels: analyze.DefaultQuantiles(), Times: []analyze.BlockInterval{times(3, 2.9, 3.1), times(5, 4.8, 5.3), times(8, 7.1, 9.4)}},
		{
			Name: "podinfo-east", Path: PathGateway, Levels: analyze.DefaultQuantiles(),
			Times:       []analyze.BlockInterval{times(41, 40.2, 41.8), times(44, 43.1, 45), endless},
			Differences: []analyze.BlockDifference{difference(0.5, 38, 37.2, 38.9), difference(0.9, 39, 38.1, 40.1), open},
		},
	}}
	for decile := 1; decile <= 9; decile++ {
		f.Backends[1].Shift = append(f.Backends[1].Shift, difference(float64(decile)/10, 38+float64(decile)/10, 37, 40))
	}
	return f
}

func TestGatewayCostSentence(t *testing.T) {
	for _, x := range []struct {
		low, value, high float64
		path, want       string
	}{
		{37.2, 38, 38.9, PathGateway, "Answers through the gateway (podinfo-east) take 38.0 ms longer at the median, range 37.2 to 38.9."},
		{-2.5, -2, -1.5, PathGateway, "Answers through the gateway (podinfo-east) take 2.00 ms less at the median, range 1.50 to 2.50."},
		{-0.4, 0.1, 0.6, PathGateway, "Answers through the gateway (podinfo-east): no difference proven at the median, range -0.40 to 0.60 ms."},
		{5, 6, 7, "remote-discovery", "Answers from the other cluster (podinfo-east) take 6.00 ms longer at the median, range 5.00 to 7.00."},
	} {
		c := BackendCost{Backend: "podinfo-east", Path: x.path, Quantiles: []QuantileDifference{{Quantile: 0.5, Ms: &x.value, LowMs: &x.low, HighMs: &x.high}}}
		if got := costSentence(c, "podinfo"); got != x.want {
			t.Errorf("%q, want %q", got, x.want)
		}
	}
	none := BackendCost{Backend: "podinfo-east", Path: PathGateway, Quantiles: []QuantileDifference{{Quantile: 0.5, Why: "needs at least 20 blocks"}}}
	if got := costSentence(none, "podinfo"); !strings.Contains(got, "cannot be compared") || strings.Contains(got, "longer") {
		t.Errorf("without an interval: %q", got)
	}
}

// A report that refuses to state the cost has no number that could be taken for one.
func TestRefusedGatewayCostHasNoNumbers(t *testing.T) {
	in := inputs()["gateway-cost-refused"]
	g := Build(in).GatewayCost
	if g == nil || g.Why == "" || len(g.Costs) != 0 || len(g.Backends) != 0 {
		t.Errorf("%+v", g)
	}
}
