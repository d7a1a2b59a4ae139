package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/wire"
)

// manifest is that of a run of podinfo and its mirror.
func costManifest() record.Manifest {
	m := record.Manifest{Before: &law.Snapshot{Backends: []law.Backend{
		{Name: "podinfo"}, {Name: "podinfo-east", Mirror: &law.Mirror{Mode: law.MirrorGateway}},
	}}}
	m.Weights = record.WeightsOf(law.Snapshot{Split: law.Split{Effective: []law.Weight{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}}})
	m.Options.Alpha = 0.01
	return m
}

// results of 4,000 requests at 1,000/s, one in two of each backend, the second slower by 10 ms.
func costTally(late time.Duration) *Tally {
	t := NewTally(2)
	for i := range 4000 {
		at := time.Duration(i) * time.Millisecond
		took := 2*time.Millisecond + time.Duration(i%7)*100*time.Microsecond + time.Duration(i%2)*10*time.Millisecond
		t.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at + late, Done: at + late + took, Status: 200, Backend: int16(i % 2)})
	}
	t.sorted()
	return t
}

// What a request's lag is was settled before its backend was drawn: without the late ones both sides are drawn at random still, and
// the cost is stated. Where most were late it is refused (see TestGatewayCostRefusals). Which side has a few answers more changes nothing.
func TestGatewayCostOfALateGenerator(t *testing.T) {
	t.Parallel()
	whole := wire.Totals{Requests: 4000, Samples: 4000, Reason: wire.ReasonDone}
	for _, odd := range []int{4000, 4001} { // one more answer of the near side
		tl := NewTally(2)
		for i := range odd {
			at := time.Duration(i) * time.Millisecond
			late := time.Duration(i%50/48) * 5 * time.Millisecond // 2 of 50 requests
			took := time.Millisecond + time.Duration(i%2)*40*time.Millisecond
			tl.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at + late, Done: at + late + took, Status: 200, Backend: int16(i % 2)})
		}
		tl.sorted()
		if tl.onTime(whole) {
			t.Error("99 of 100 within 5 ms beside a median of 1 ms is no fact")
		}
		f := gatewayCost(costManifest(), tl, whole)
		if f == nil || f.Why != "" || f.LateShare == nil || *f.LateShare < 0.04 || *f.LateShare > 0.25 || len(f.Backends) != 2 {
			t.Fatalf("%+v", f)
		}
		if d := f.Costs[0].Quantiles[0]; d.Ms == nil || *d.Ms != 40 {
			t.Errorf("cost at the median %+v", d)
		}
	}
}

func TestGatewayCostRefusals(t *testing.T) {
	t.Parallel()
	whole := wire.Totals{Requests: 4000, Samples: 4000, Reason: wire.ReasonDone}
	if f := gatewayCost(costManifest(), costTally(0), whole); f == nil || f.Why != "" || len(f.Backends) != 2 {
		t.Fatalf("healthy: %+v", f)
	}
	closed := costManifest()
	closed.Plan.Shape = &attack.Shape{Kind: attack.ShapeClosed}
	short := NewTally(2)
	short.Add(attack.Result{Status: 200, Done: time.Millisecond})
	one := NewTally(2)
	for i := range 4000 {
		at := time.Duration(i) * time.Millisecond
		one.Add(attack.Result{Seq: uint64(i), Planned: at, Sent: at, Done: at + time.Millisecond, Status: uint16(200 + 303*(i%2)), Backend: int16(i % 2)})
	}
	for name, x := range map[string]struct {
		m      record.Manifest
		t      *Tally
		totals wire.Totals
		why    string
	}{
		"late":        {costManifest(), costTally(50 * time.Millisecond), whole, "late"},
		"short":       {costManifest(), short, whole, "shorter"},
		"closed loop": {closed, costTally(0), whole, "closed loop"},
		"lost times":  {costManifest(), costTally(0), wire.Totals{Requests: 4000, Samples: 3999, Dropped: 1}, "lost"},
		"by curl":     {costManifest(), costTally(0), wire.Totals{Requests: 4000, Samples: 4000, Reason: wire.ReasonDone, Engine: "curl"}, "one after the other"},
		"only errors": {costManifest(), one, whole, "did not answer once"},
	} {
		f := gatewayCost(x.m, x.t, x.totals)
		if f == nil || !strings.Contains(f.Why, x.why) || len(f.Backends) > 1 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	local := costManifest()
	local.Before.Backends[1].Mirror = nil
	if f := gatewayCost(local, costTally(0), whole); f != nil {
		t.Errorf("no backend of another cluster: %+v", f)
	}
}

// More answers than are kept are thinned by their numbers: each window keeps its part, and memory its bound.
func TestCostTimesAreBounded(t *testing.T) {
	t.Parallel()
	var c costTimes
	const n = 3 * maxCostTimes
	for i := range n {
		c.add(attack.Result{Seq: uint64(i), Planned: time.Duration(i) * time.Microsecond, Done: time.Duration(i+1) * time.Microsecond, Status: 200})
	}
	if len(c.kept) > maxCostTimes || len(c.kept) < maxCostTimes/4 {
		t.Errorf("%d times are kept of %d", len(c.kept), n)
	}
	tl := &Tally{cost: c, backends: make([]answers, 1)}
	m := record.Manifest{Weights: analyze.Weights{{Backend: "a", W: 1}}}
	sample, err := tl.costSample(m, wire.Totals{}, 30, n*time.Microsecond/30+1)
	if err != nil || sample.all[0].Blocks() != 30 {
		t.Errorf("%v, %v", sample, err)
	}
}
