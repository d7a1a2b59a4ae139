package judge

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

const ms = int64(time.Millisecond)

// side is a run of 40 windows in which podinfo takes 3 ms and podinfo-east cost ms more, each with an exponential tail of 1 ms
// and a level of its own for each window, 0.3 ms apart.
func side(t *testing.T, seed uint64, id string, cost float64) sideRun {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 11))
	draw := func(level float64) *analyze.Blocks {
		windows := make([][]int64, 40)
		for w := range windows {
			own := level + 0.3*rng.NormFloat64()
			for range 60 {
				windows[w] = append(windows[w], int64((max(own, 0.1)+rng.ExpFloat64())*float64(ms)))
			}
		}
		b, err := analyze.NewBlocks(windows)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	near, far := draw(3), draw(3+cost)
	return sideRun{
		run:    report.ComparedRun{ID: id, Kind: report.KindSplit, Outcome: report.Pass, Subject: "test/podinfo", Weights: "50/50"},
		counts: []sideCount{{"podinfo", 50, 2400}, {"podinfo-east", 50, 2400}},
		series: []sideTimes{{"podinfo", near}, {"podinfo-east", far}}, costs: []sideCost{{"podinfo-east", far, near}},
	}
}

func compareOptions(margin time.Duration) CompareOptions {
	return CompareOptions{Absolute: margin, SharePoints: 5, Alpha: 0.01, Quantiles: JudgedQuantiles()}
}

// Two runs at one delay: the p90 of 2,400 requests with windows 0.3 ms apart has a standard error of some 0.1 ms, so that 5 ms
// are tens of them. Twenty pairs are never a fail, and always pass.
func TestRunsAtOneDelayPass(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		c := compareMeasured(side(t, 2*seed+1, "a", 40), []sideRun{side(t, 2*seed+2, "b", 40)}, compareOptions(5*time.Millisecond))
		if c.Verdict.Outcome != report.Pass {
			t.Errorf("pair %d: %s: %q", seed, c.Verdict.Outcome, c.Verdict.Reasons)
		}
	}
}

// Against a margin of one tenth of a millisecond two runs at one delay may be undecided. Against hardly any at all they fail
// once in a hundred at most: 60 pairs fail more than 5 times with probability 1e-4.
func TestRunsAtOneDelayHardlyEverFail(t *testing.T) {
	t.Parallel()
	fails := 0
	for seed := range uint64(60) {
		c := compareMeasured(side(t, 2*seed+1001, "a", 40), []sideRun{side(t, 2*seed+1002, "b", 40)}, compareOptions(time.Nanosecond))
		if c.Verdict.Outcome == report.Fail {
			fails++
		}
	}
	if t.Logf("%d of 60 fail", fails); fails > 5 {
		t.Errorf("%d of 60 pairs of runs at one delay fail", fails)
	}
}

// A gateway that costs 10 ms more fails a margin of 5 ms, with the right sign and size; one that costs less passes.
func TestAGatewayThatCostsMoreFails(t *testing.T) {
	t.Parallel()
	base := side(t, 1, "a", 5)
	c := compareMeasured(base, []sideRun{side(t, 2, "b", 15), side(t, 3, "c", 1)}, compareOptions(5*time.Millisecond))
	if c.Verdict.Outcome != report.Fail || c.Changes[0].Outcome != report.Fail || c.Changes[1].Outcome != report.Pass {
		t.Fatalf("%s: %q", c.Verdict.Outcome, c.Verdict.Reasons)
	}
	cost := c.Changes[0].GatewayCost[0].Quantiles[0]
	if cost.Quantile != 0.5 || *cost.Ms < 9 || *cost.Ms > 11 || *cost.LowMs > 10 || *cost.HighMs < 10 || !cost.Different || cost.Outcome != report.Fail {
		t.Errorf("cost at the median: %+v", cost)
	}
	if near := c.Changes[0].Latency[0]; near.Name != "podinfo" || near.Outcome != report.Pass {
		t.Errorf("the near side: %+v", near)
	}
	// One question for each backend's share, each target's latency, and each judged quantile of the cost; two runs.
	if want := 2 * (2 + 2 + 2); c.Verdict.Questions != want {
		t.Errorf("%d questions, want %d", c.Verdict.Questions, want)
	}
}

func TestComparisonsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	invalid := side(t, 2, "b", 5)
	invalid.why = []string{"the weights changed"}
	if c := compareMeasured(side(t, 1, "a", 5), []sideRun{invalid}, compareOptions(5*time.Millisecond)); c.Verdict.Outcome != report.Invalid {
		t.Errorf("against an invalid run: %s", c.Verdict.Outcome)
	}
	late := side(t, 2, "b", 5)
	late.series, late.costs, late.noTime = nil, nil, "the generator was late"
	if c := compareMeasured(side(t, 1, "a", 5), []sideRun{late}, compareOptions(5*time.Millisecond)); c.Verdict.Outcome != report.Inconclusive {
		t.Errorf("without latencies: %s", c.Verdict.Outcome)
	}
	// Weights that were changed are a change of plan, and no fault of the shares.
	moved := side(t, 2, "b", 5)
	moved.counts = []sideCount{{"podinfo", 90, 4320}, {"podinfo-east", 10, 480}}
	c := compareMeasured(side(t, 1, "a", 5), []sideRun{moved}, compareOptions(5*time.Millisecond))
	if c.Verdict.Outcome != report.Pass || c.Changes[0].SameWeights || c.Changes[0].Shares[0].Outcome != "" {
		t.Errorf("other weights: %s, %+v", c.Verdict.Outcome, c.Changes[0].Shares)
	}
	for _, o := range []CompareOptions{{}, {Absolute: 1, SharePoints: 5, Alpha: 0.5}, {Absolute: 1, Alpha: 0.01}, {Absolute: -1, SharePoints: 5, Alpha: 0.01}, {Relative: 11, SharePoints: 5, Alpha: 0.01}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestMarginIsTheLargerOne(t *testing.T) {
	t.Parallel()
	o := CompareOptions{Absolute: 2 * time.Millisecond, Relative: 0.1}
	if m := o.margin(10 * ms); m.Absolute != 2*ms || m.Relative != 0 {
		t.Errorf("at 10 ms: %+v", m)
	}
	if m := o.margin(100 * ms); m.Relative != 0.1 || m.Absolute != 0 {
		t.Errorf("at 100 ms: %+v", m)
	}
	if got, want := fmt.Sprint(o.marginText()), "10% or 2ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A run that a check refused has nothing to be cut short: why it is no verdict is what the check found, and only that.
func TestARefusedRunIsNoKilledOne(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{report.KindSplit, report.KindLatency} {
		m := record.Manifest{
			Schema: record.ManifestSchema, ID: "20261122t071502z-test-podinfo-k3f9", Kind: kind, Before: snapshot(),
			Weights: twoWeights(50, 50), Options: analyze.DefaultOptions(), Latency: &record.LatencyPlan{},
			Checks: []preflight.Result{
				{ID: "SB012", Status: preflight.Failed, Severity: preflight.Fatal, Seen: "not meshed"},
			},
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		run, err := store.Create(t.TempDir(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(run.WriteFile(record.ManifestFile, b), run.Close(store.Complete)); err != nil {
			t.Fatal(err)
		}
		f, err := store.Open(t.TempDir(), run.Dir)
		if err != nil {
			t.Fatal(err)
		}
		side, err := measuredOf(f)
		if said := strings.Join(side.why, "; "); err != nil || !strings.Contains(said, "not meshed") ||
			strings.Contains(said, report.SayNoEnd) {
			t.Errorf("%s: %q, %v", kind, side.why, err)
		}
	}
}
