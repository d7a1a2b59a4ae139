package analyze

import (
	"errors"
	"math/rand/v2"
	"testing"
)

const msNs = 1_000_000

// pair are two samples of 40 windows with 100 requests each, of which the first is slower by shift milliseconds.
func pair(t *testing.T, seed uint64, shift float64) (first, second *Blocks) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 9))
	return mustBlocks(t, latencies(rng, 40, 100, func(int) float64 { return 10 + shift })),
		mustBlocks(t, latencies(rng, 40, 100, func(int) float64 { return 10 }))
}

// The p99 of 4,000 exponential requests of mean 1 ms has a standard error of sqrt(.01*.99/4000)/.01 = 0.16 ms, its
// difference 0.22 ms: 5 ms are more than 20 of them, so each outcome below is certain.
func TestJudgeLatencyKnowsThreeOutcomes(t *testing.T) {
	for _, x := range []struct {
		name      string
		shift     float64
		margin    Margin
		want      Outcome
		direction string
	}{
		{"alike within 5 ms", 0, Margin{Absolute: 5 * msNs, Set: true}, Pass, ""},
		{"slower than allowed", 10, Margin{Absolute: 5 * msNs, Set: true}, Fail, DirectionSlower},
		{"slower within a larger margin", 10, Margin{Absolute: 15 * msNs, Set: true}, Pass, DirectionSlower},
		{"on the edge", 5, Margin{Absolute: 5 * msNs, Set: true}, Inconclusive, DirectionSlower},
		{"faster passes any margin", -5, Margin{Absolute: 1, Set: true}, Pass, DirectionFaster},
		{"twice as slow against 50 %", 10, Margin{Relative: 0.5, Set: true}, Fail, DirectionSlower},
		{"a tenth slower against 50 %", 1, Margin{Relative: 0.5, Set: true}, Pass, ""},
		{"no margin, nothing decided", 10, Margin{}, Inconclusive, DirectionSlower},
	} {
		first, second := pair(t, 1, x.shift)
		for _, paired := range []bool{true, false} {
			d, err := JudgeLatency(first, second, DefaultQuantiles(), x.margin, 0.01, paired)
			if err != nil {
				t.Fatal(err)
			}
			if d.Outcome != x.want || d.Judged != x.margin.Set {
				t.Errorf("%s (paired %t): %s, want %s: %+v", x.name, paired, d.Outcome, x.want, d.Quantiles)
			}
			if x.direction != "" && d.Quantiles[0].Direction != x.direction {
				t.Errorf("%s: %s, want %s", x.name, d.Quantiles[0].Direction, x.direction)
			}
		}
	}
}

// Swapping the sides turns every difference round.
func TestJudgeLatencyIsAntisymmetric(t *testing.T) {
	first, second := pair(t, 2, 3)
	there, err := JudgeLatency(first, second, DefaultQuantiles(), Margin{}, 0.01, true)
	if err != nil {
		t.Fatal(err)
	}
	back, err := JudgeLatency(second, first, DefaultQuantiles(), Margin{}, 0.01, true)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range there.Quantiles {
		w := back.Quantiles[i]
		if v.Difference != -w.Difference || v.DifferenceCI.Low != -w.DifferenceCI.High || v.Different.P != w.Different.P {
			t.Errorf("%+v\n%+v", v, w)
		}
	}
}

func TestJudgeLatencyNeverPassesWithoutAnInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	few := mustBlocks(t, latencies(rng, 5, 100, func(int) float64 { return 1 }))
	d, err := JudgeLatency(few, few, DefaultQuantiles(), Margin{Absolute: 1e12, Set: true}, 0.01, true)
	if err != nil || d.Outcome != Inconclusive || d.Reason.Code != CodeTooFew {
		t.Errorf("five blocks: %+v, %v", d, err)
	}
	small := mustBlocks(t, latencies(rng, 20, 5, func(int) float64 { return 1 }))
	d, err = JudgeLatency(small, small, DefaultQuantiles(), Margin{Absolute: 1e12, Set: true}, 0.01, true)
	if err != nil || d.Outcome != Inconclusive || d.Quantiles[0].Outcome != Pass || d.Quantiles[2].DifferenceCI.Why == "" {
		t.Errorf("100 requests and a p99: %+v, %v", d, err)
	}
	for _, m := range []Margin{{Absolute: -1}, {Relative: 11}, {Absolute: 1, Relative: 1}} {
		if _, err := JudgeLatency(few, few, DefaultQuantiles(), m, 0.01, true); !errors.Is(err, ErrInput) {
			t.Errorf("margin %+v: %v", m, err)
		}
	}
	if _, err := JudgeLatency(few, few, nil, Margin{}, 0.01, true); !errors.Is(err, ErrInput) {
		t.Error("no quantiles: no error")
	}
}
