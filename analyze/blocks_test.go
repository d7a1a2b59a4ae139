package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Quantiles of Student's t whose tails, integrated numerically with 200,000 steps (Python 3), are p to 1e-12.
func TestStudentQuantile(t *testing.T) {
	for _, x := range []struct{ p, df, want float64 }{
		{0.005, 19, 2.8609346064649800},
		{0.005, 39, 2.7079131835176624},
		{0.025, 5, 2.5705818356363146},
		{1e-6, 30, 5.871117120418882},
		{0.5, 7, 0},
		{0.9, 10, -1.3721836411103363},
	} {
		if got := studentQuantile(x.p, x.df); math.Abs(got-x.want) > 1e-8*math.Max(1, math.Abs(x.want)) {
			t.Errorf("t(%g, %g) = %v, want %v", x.p, x.df, got, x.want)
		}
	}
	if got := studentQuantile(0.01, 0); !math.IsInf(got, 1) {
		t.Errorf("no degrees of freedom: %v, want +Inf", got)
	}
}

// latencies draws blocks of a long-tailed latency around a level for each block.
func latencies(rng *rand.Rand, blocks, per int, level func(block int) float64) [][]int64 {
	out := make([][]int64, blocks)
	for i := range out {
		for range per {
			out[i] = append(out[i], int64(1e6*(level(i)+rng.ExpFloat64())))
		}
	}
	return out
}

func mustBlocks(t *testing.T, v [][]int64) *Blocks {
	t.Helper()
	b, err := NewBlocks(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// With many alike blocks the interval is that of QuantileCI, but for a rank or two: 2,000 blocks leave t(1999) next to z, and
// the design effect of independent requests is 1 give or take a twentieth.
func TestManyAlikeBlocksAreIndependentRequests(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	b := mustBlocks(t, latencies(rng, 2000, 5, func(int) float64 { return 1 }))
	for _, q := range []float64{0.5, 0.9, 0.99} {
		got := b.Interval(q, 0.99)
		want, _ := QuantileCI(b.sorted, q, 0.99)
		width := want.High - want.Low
		if got.CI.Why != "" || math.Abs(got.CI.Low-want.Low) > 0.15*width || math.Abs(got.CI.High-want.High) > 0.15*width {
			t.Errorf("p%g: %+v, independent requests give %+v", 100*q, got, want)
		}
		if got.Value != Quantile(b.sorted, q) || got.DesignEffect > 1.2 {
			t.Errorf("p%g: %+v", 100*q, got)
		}
	}
}

// Blocks that each have a level of their own know less than their requests: 40 levels of a spread of 1 with requests of a
// spread of 1 around them have at the median a design effect near 1 + 100 * (half the variance) = some 50.
func TestUnlikeBlocksWidenTheInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	levels := make([]float64, 40)
	for i := range levels {
		levels[i] = 5 + rng.NormFloat64()
	}
	values := latencies(rng, 40, 100, func(i int) float64 { return levels[i] })
	got := mustBlocks(t, values).Interval(0.5, 0.99)
	naive, _ := QuantileCI(mustBlocks(t, values).sorted, 0.5, 0.99)
	if got.DesignEffect < 20 || got.DesignEffect > 100 || got.CI.High-got.CI.Low < 3*(naive.High-naive.Low) {
		t.Errorf("%+v, by requests %+v", got, naive)
	}
}

// Ties are no spread between blocks: with nine of ten requests at one value the median has no doubt at all.
func TestTiesAreNoSpread(t *testing.T) {
	values := make([][]int64, 30)
	for i := range values {
		values[i] = slices.Concat(slices.Repeat([]int64{5}, 45), slices.Repeat([]int64{9}, 5))
	}
	got := mustBlocks(t, values).Interval(0.5, 0.99)
	if got.CI.Low != 5 || got.CI.High != 5 || got.DesignEffect != 1 {
		t.Errorf("%+v", got)
	}
}

// What both sides share in a window does not blur their difference: the same level moves both, 20 ms apart.
func TestPairedWindowsKnowTheirDifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	levels := make([]float64, 40)
	for i := range levels {
		levels[i] = 50 + 20*rng.Float64()
	}
	west := mustBlocks(t, latencies(rng, 40, 50, func(i int) float64 { return levels[i] }))
	east := mustBlocks(t, latencies(rng, 40, 50, func(i int) float64 { return levels[i] + 20 }))
	paired, err := PairedDifference(east, west, 0.5, 0.99)
	if err != nil {
		t.Fatal(err)
	}
	apart, err := IndependentDifference(east, west, 0.5, 0.99)
	if err != nil {
		t.Fatal(err)
	}
	width := func(d BlockDifference) float64 { return d.DifferenceCI.High - d.DifferenceCI.Low }
	if width(paired) > 0.7*width(apart) || paired.Correlation < 0.7 || apart.Correlation != 0 {
		t.Errorf("paired %+v\napart %+v", paired, apart)
	}
	if paired.DifferenceCI.Low > 20e6 || paired.DifferenceCI.High < 20e6 {
		t.Errorf("20 ms are outside %+v", paired.DifferenceCI)
	}
}

func TestBlocksThatCannotTell(t *testing.T) {
	few := mustBlocks(t, latencies(rand.New(rand.NewPCG(4, 4)), MinBlocks-1, 100, func(int) float64 { return 1 }))
	if got := few.Interval(0.5, 0.99); got.CI.Why == "" || !math.IsInf(got.CI.Low, -1) || !math.IsInf(got.CI.High, 1) {
		t.Errorf("too few blocks: %+v", got)
	}
	// 200 requests have no upper end for the 99th percentile at level 0.99: it needs 528 independent ones.
	small := mustBlocks(t, latencies(rand.New(rand.NewPCG(5, 5)), 20, 10, func(int) float64 { return 1 }))
	if got := small.Interval(0.99, 0.99); got.CI.Why == "" || !math.IsInf(got.CI.High, 1) || math.IsInf(got.CI.Low, -1) {
		t.Errorf("too few requests: %+v", got)
	}
	empty := mustBlocks(t, make([][]int64, 30))
	if got := empty.Interval(0.5, 0.99); got.CI.Why == "" || got.Samples != 0 || got.Blocks != 0 {
		t.Errorf("no requests: %+v", got)
	}
	if _, err := PairedDifference(empty, small, 0.5, 0.99); !errors.Is(err, ErrInput) {
		t.Errorf("empty side: %v", err)
	}
	if _, err := PairedDifference(few, small, 0.5, 0.99); !errors.Is(err, ErrInput) {
		t.Errorf("other windows: %v", err)
	}
	if _, err := NewBlocks([][]int64{{-1}}); !errors.Is(err, ErrInput) {
		t.Errorf("negative: %v", err)
	}
}

// The order of values within a block means nothing.
func TestOrderWithinBlocksMeansNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	values := latencies(rng, 25, 40, func(i int) float64 { return float64(i % 3) })
	want := mustBlocks(t, values).Interval(0.9, 0.95)
	for _, v := range values {
		rng.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
	}
	if got := mustBlocks(t, values).Interval(0.9, 0.95); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
