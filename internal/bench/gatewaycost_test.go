package bench

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
)

// The demo's gateway delays each answer by 20 ms, give or take a fifth: the difference of the medians is that delay,
// since both sides share everything else. It is found within 3 ms, which is most of what this machine's timers and
// neighbours do.
func TestGatewayCostIsTheDelay(t *testing.T) {
	w := world(t, demo.Options{Seed: 7, GatewayDelay: 20 * time.Millisecond})
	cfg := connect(t, w, 1200)
	cfg.Load.Rate = attack.Rate{Hits: 400, Per: time.Second}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := r.GatewayCost
	if g == nil {
		t.Fatal("no gateway cost")
	}
	if g.Why != "" { // a machine that was too busy: the cost must not be stated then
		if r.Load.OnTime || len(g.Costs) != 0 {
			t.Errorf("%s, and stated all the same: %+v", g.Why, g)
		}
		t.Logf("this machine was too busy to be on time, and the cost was refused as it should: %+v", r.Load.SendLag)
		return
	}
	if len(g.Costs) != 1 || g.Reference != "podinfo" || g.Costs[0].Backend != "podinfo-east" ||
		len(g.Costs[0].Shift) != 9 {
		t.Fatalf("%+v", g)
	}
	median := g.Costs[0].Quantiles[0]
	if median.Ms == nil || math.Abs(*median.Ms-20) > 3 || median.LowMs != nil && *median.LowMs < 10 ||
		median.LowMs == nil && median.Why == "" {
		t.Errorf("median %+v", median)
	}
	if median.Why != "" { // neighbours made the answers too alike: then the sentence says that
		t.Logf("no range on this machine: %s", median.Why)
		return
	}
	if !strings.Contains(g.Costs[0].Sentence, "ms longer at the median, range") {
		t.Errorf("%q", g.Costs[0].Sentence)
	}
}
