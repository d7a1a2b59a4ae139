package report

import (
	"strings"
	"testing"
)

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
		c := BackendCost{Backend: "podinfo-east", Path: x.path, Quantiles: []QuantileDifference{{Quantile: 0.5, Difference: Difference{Ms: &x.value, LowMs: &x.low, HighMs: &x.high}}}}
		if c.Say("podinfo"); c.Sentence != x.want {
			t.Errorf("%q, want %q", c.Sentence, x.want)
		}
	}
	none := BackendCost{Backend: "podinfo-east", Path: PathGateway, Quantiles: []QuantileDifference{{Quantile: 0.5, Difference: Difference{Why: "needs at least 20 blocks"}}}}
	if none.Say("podinfo"); !strings.Contains(none.Sentence, "cannot be compared") || strings.Contains(none.Sentence, "longer") {
		t.Errorf("without an interval: %q", none.Sentence)
	}
}

// A report that refuses to state the cost has no number that could be taken for one.
func TestRefusedGatewayCostHasNoNumbers(t *testing.T) {
	g := readDocument(t, "gateway-cost-refused").GatewayCost
	if g == nil || g.Why == "" || len(g.Costs) != 0 || len(g.Backends) != 0 {
		t.Errorf("%+v", g)
	}
}
