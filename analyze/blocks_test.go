package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
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

// orderStatistics is the distribution-free interval of a quantile of independent values: between the order statistics
// qbinom(a/2) and qbinom(1-a/2)+1 of Binomial(n,q). The sample must be large enough for both.
func orderStatistics(sorted []int64, q, level float64) (low, high float64) {
	n, lnTail := int64(len(sorted)), math.Log((1-level)/2)
	from := firstIn(-1, n+1, func(x int64) bool { return lnLower(x, n, q, 1-q) >= lnTail-1e-12 })
	to := firstIn(-1, n+1, func(x int64) bool { return lnUpper(x+1, n, q, 1-q) <= lnTail+1e-12 }) + 1
	return float64(sorted[from-1]), float64(sorted[to-1])
}

// With many alike blocks the interval is that of order statistics, but for a rank or two: 2,000 blocks leave t(1999)
// next to z, and the design effect of independent requests is 1 give or take a twentieth.
func TestManyAlikeBlocksAreIndependentRequests(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	b := mustBlocks(t, latencies(rng, 2000, 5, func(int) float64 { return 1 }))
	for _, q := range []float64{0.5, 0.9, 0.99} {
		got := b.Interval(q, 0.99)
		low, high := orderStatistics(b.sorted, q, 0.99)
		width := high - low
		if got.CI.Why != "" || math.Abs(got.CI.Low-low) > 0.15*width || math.Abs(got.CI.High-high) > 0.15*width {
			t.Errorf("p%g: %+v, independent requests give %v to %v", 100*q, got, low, high)
		}
		if got.Value != Quantile(b.sorted, q) || got.DesignEffect > 1.2 {
			t.Errorf("p%g: %+v", 100*q, got)
		}
	}
}

// Blocks that each have a level of their own know less than their requests: 40 levels of a spread of 1 with requests
// of a spread of 1 around them have at the median a design effect near 1 + 100 * (half the variance) = some 50.
func TestUnlikeBlocksWidenTheInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	levels := make([]float64, 40)
	for i := range levels {
		levels[i] = 5 + rng.NormFloat64()
	}
	values := latencies(rng, 40, 100, func(i int) float64 { return levels[i] })
	got := mustBlocks(t, values).Interval(0.5, 0.99)
	low, high := orderStatistics(mustBlocks(t, values).sorted, 0.5, 0.99)
	if got.DesignEffect < 20 || got.DesignEffect > 100 || got.CI.High-got.CI.Low < 3*(high-low) {
		t.Errorf("%+v, by requests %v to %v", got, low, high)
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
	paired, err := Difference(east, west, 0.5, 0.99, true)
	if err != nil {
		t.Fatal(err)
	}
	apart, err := Difference(east, west, 0.5, 0.99, false)
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
	if _, err := Difference(empty, small, 0.5, 0.99, true); !errors.Is(err, ErrInput) {
		t.Errorf("empty side: %v", err)
	}
	if _, err := Difference(few, small, 0.5, 0.99, true); !errors.Is(err, ErrInput) {
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

// alikeRun is a run of lognormal times of median 10 ms, half of whose variance goes from request to request with a
// correlation of exp(-1/over); cut into blocks.
func alikeRun(rng *rand.Rand, blocks, per int, over float64) [][]int64 {
	z, phi := rng.NormFloat64(), math.Exp(-1/over)
	out := make([][]int64, blocks)
	for b := range out {
		for range per {
			z = phi*z + math.Sqrt(1-phi*phi)*rng.NormFloat64()
			out[b] = append(out[b], int64(1e7*math.Exp(math.Sqrt(0.5)*(z+rng.NormFloat64()))))
		}
	}
	return out
}

// Where neighbouring blocks are alike, intervals must not be as short as where they are not. Of 300 runs of 40 blocks
// of 30 with a correlation over 200 requests at most 15 may give an interval of the median without the truth in it:
// where 2 % do (docs/statistics.md has 1 to 2), more than 15 do with probability below 1e-4 (Poisson of mean 6).
// Without what neighbours have in common beyond the next three, 75 did.
func TestIntervalsOfAlikeBlocksHoldTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	missed := 0
	for range 300 {
		if ci := mustBlocks(t, alikeRun(rng, 40, 30, 200)).Interval(0.5, 0.99).CI; ci.Low > 1e7 || ci.High < 1e7 {
			missed++
		}
	}
	if missed > 15 {
		t.Errorf("%d of 300 intervals at level 0.99 miss the truth, want at most 15", missed)
	}
}

// A level that wanders through the run leaves 40 blocks that are worth two or three: order statistics know no
// interval, and the one of the blocks' own quantiles is many times as wide as the 8 ms that the level wandered. Both
// sides wander alike, so their difference is known.
func TestBlocksThatWanderHaveAWideInterval(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	wander := func(i int) float64 { return 10 + 0.2*float64(i) }
	near := mustBlocks(t, latencies(rng, 40, 100, wander))
	far := mustBlocks(t, latencies(rng, 40, 100, func(i int) float64 { return 20 + wander(i) }))
	if got := near.Interval(0.5, 0.99).CI; got.Method != MethodOwnQuantiles || got.Low > 0 || got.High < 10*8e6 || math.IsInf(got.High, 1) {
		t.Errorf("%+v", got)
	}
	d, err := Difference(far, near, 0.5, 0.99, true)
	if err != nil || d.DifferenceCI.Low > 20e6 || d.DifferenceCI.High < 20e6 || d.DifferenceCI.High-d.DifferenceCI.Low > 3e6 {
		t.Errorf("20 ms are outside %+v, %v, or it is wider than 3 ms", d.DifferenceCI, err)
	}
	if d, err = Difference(far, near, 0.5, 0.99, false); err != nil || d.DifferenceCI.High-d.DifferenceCI.Low < 10*8e6 {
		t.Errorf("%+v, %v", d.DifferenceCI, err)
	}
	v, err := JudgeLatency(far, near, []float64{0.5}, Margin{Absolute: 30e6, Set: true}, 0.01, false)
	if err != nil || v.Outcome != Inconclusive || v.Reason.Code != CodeTooFew {
		t.Errorf("%+v, %v", v, err)
	}
}

// Blocks that hold too few values for a quantile of their own, and are alike, have no interval.
func TestSmallBlocksThatAreAlikeHaveNoInterval(t *testing.T) {
	near := mustBlocks(t, latencies(rand.New(rand.NewPCG(8, 8)), 40, 12, func(i int) float64 { return 10 + 0.2*float64(i) }))
	if got := near.Interval(0.5, 0.99); !strings.Contains(got.CI.Why, "alike") || !math.IsInf(got.CI.Low, -1) || !math.IsInf(got.CI.High, 1) {
		t.Errorf("%+v", got)
	}
	v, err := JudgeLatency(near, near, []float64{0.5}, Margin{Absolute: 1e12, Set: true}, 0.01, false)
	if err != nil || v.Outcome != Inconclusive || v.Reason.Code != CodeTooFew || v.Needed != 0 {
		t.Errorf("%+v, %v", v, err)
	}
}

// All slow answers in two blocks of 40: the spread between blocks rests on two of them, so nobody knows how slow one in
// a hundred is.
func TestFewBlocksThatCarryTheSpreadKnowLittle(t *testing.T) {
	values := latencies(rand.New(rand.NewPCG(9, 9)), 40, 100, func(int) float64 { return 1 })
	for _, b := range []int{11, 30} {
		for i := range 25 {
			values[b][i] += 50e6
		}
	}
	if got := mustBlocks(t, values).Interval(0.99, 0.99); got.CI.Why == "" || !math.IsInf(got.CI.High, 1) {
		t.Errorf("%+v", got)
	}
}

// A coarse timer, and blocks of which some have few slow answers and some many: 0.55 of the answers are fast in the
// mean, with a standard error over 20 blocks of 0.5/sqrt(12)/sqrt(20) = 0.03. So the median may be fast or slow on
// either side, although no answer near it in the sorted sample differs.
func TestTiesDoNotHideTheSpreadOfADifference(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 10))
	coarse := func() *Blocks {
		values := make([][]int64, 20)
		for i := range values {
			fast := int(1000 * (0.3 + 0.5*rng.Float64()))
			values[i] = slices.Concat(slices.Repeat([]int64{5}, fast), slices.Repeat([]int64{10}, 1000-fast))
		}
		return mustBlocks(t, values)
	}
	d, err := Difference(coarse(), coarse(), 0.5, 0.99, true)
	if err != nil || d.Difference != 0 || d.DifferenceCI.Why != "" || d.DifferenceCI.Low > -5 || d.DifferenceCI.High < 5 {
		t.Errorf("%+v, %v", d, err)
	}
}

// leveled is a run around 40 ms: each block has a level of its own, 1 ms give or take, that goes with those before
// (1/e of it is left after 5 blocks), and answers 0.4 ms around it.
func leveled(rng *rand.Rand, blocks, per int) [][]int64 {
	phi, z := math.Exp(-0.5), rng.NormFloat64()
	out := make([][]int64, blocks)
	for b := range out {
		z = phi*z + math.Sqrt(1-phi*phi)*rng.NormFloat64()
		for range per {
			out[b] = append(out[b], int64(1e6*(40+z+0.4*rng.NormFloat64())))
		}
	}
	return out
}

// Blocks that go so much with those before that 30 are worth seven: order statistics reach no end of p90 then,
// however narrow all values lie. Before the blocks' own quantiles were used none of 300 pairs of such runs passed a
// margin of 5 ms; now at least half must. Of 300 ranges at level 0.99 at most 10 may miss the truth, as they do with
// probability 4e-4 where 1 % miss it (Poisson of 3).
func TestAlikeBlocksHaveARange(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	truth := map[float64]float64{0.5: 40e6, 0.9: 1e6 * (40 + 1.2815515655446004*math.Sqrt(1+0.4*0.4))}
	passed, own, none, missed := 0, 0, 0, map[float64]int{}
	for range 300 {
		a, b := mustBlocks(t, leveled(rng, 30, 100)), mustBlocks(t, leveled(rng, 30, 100))
		d, err := JudgeLatency(a, b, []float64{0.5, 0.9}, Margin{Absolute: 5e6, Set: true}, 0.01, false)
		if err != nil {
			t.Fatal(err)
		}
		if d.Outcome == Pass {
			passed++
		}
		for q, want := range truth {
			ci := a.Interval(q, 0.99).CI
			if ci.Method == MethodOwnQuantiles {
				own++
			}
			if ci.Why != "" {
				none++
			}
			if ci.Low > want || ci.High < want {
				missed[q]++
			}
		}
	}
	t.Logf("%d of 300 passed; of 600 ranges %d by own quantiles, %d none, missed: %v", passed, own, none, missed)
	if passed < 150 || own < 300 || none > 0 || missed[0.5] > 10 || missed[0.9] > 10 {
		t.Error("want at least 150 passed, 300 by own quantiles, none without one and at most 10 missed of each quantile")
	}
}

// What a block of few values measures by itself is another quantity: no range of a p99 from blocks of 100.
func TestSmallBlocksHaveNoQuantileOfTheirOwn(t *testing.T) {
	b := mustBlocks(t, leveled(rand.New(rand.NewPCG(12, 12)), 30, 100))
	if own := b.ownQuantiles(0.99); own != nil {
		t.Errorf("%d own quantiles, want none", len(own))
	}
	if ci := b.Interval(0.99, 0.99).CI; ci.Why == "" || !math.IsInf(ci.High, 1) {
		t.Errorf("%+v", ci)
	}
}

// Each block's own quantile is that of its values; an empty one has none.
func TestOwnQuantiles(t *testing.T) {
	values := [][]int64{{3, 1, 2, 9, 8, 7, 6, 5, 4, 10}, nil, {20, 10}}
	for i := range values[0] {
		values[0] = append(values[0], values[0][i], values[0][i], values[0][i])
	}
	got := mustBlocks(t, values).ownQuantiles(0.5)
	if len(got) != 3 || got[0] != 5 || !math.IsNaN(got[1]) || got[2] != 10 {
		t.Errorf("%v, want 5, NaN, 10", got)
	}
}

// Answers faster than the clock's step: a quantile of 0 has a range, not a NaN.
func TestOwnQuantilesOfZero(t *testing.T) {
	x := mustBlocks(t, [][]int64{{0, 0, 1}}).at(0.5)
	x.own = ownMean{se: 1, df: 3}
	if low, high := x.low(0.005), x.high(0.005); low != 0 || !(high > 5.8) || math.IsInf(high, 1) {
		t.Errorf("%v to %v, want 0 to more than t(0.005, 3) = 5.84", low, high)
	}
}
