package analyze

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Names of the interval methods for a difference of quantiles.
const (
	MethodMover          = "mover"
	MethodBlockBootstrap = "blockBootstrap"
)

// QuantileDifference is how much a quantile of one sample lies above that of another, in the samples' unit
// (nanoseconds for latencies).
type QuantileDifference struct {
	Q               float64  // 0 to 1
	First, Second   int64    // type-1 quantiles
	FirstCI         Interval // order-statistic intervals; an end that does not exist is infinite, and Why says so
	SecondCI        Interval
	Difference      int64    // First - Second
	DifferenceCI    Interval // MOVER; infinite ends and Why where either interval lacks the end it needs
	MinimumPerSide  int      // samples per side below which the interval cannot exist
	SamplesPerSides [2]int   // of the first and the second
}

// QuantileDiff compares a quantile of two ascending samples. The interval is MOVER (Donner and Zou 2012) on the two
// order-statistic intervals: deterministic, no distribution assumed, and it need not be symmetric. It takes requests as
// independent; BlockBootstrap is the check on that. Errors wrap ErrInput.
func QuantileDiff(first, second []int64, q, level float64) (QuantileDifference, error) {
	switch {
	case len(first) == 0 || len(second) == 0:
		return QuantileDifference{}, inputErrorf("sample: empty, want at least one value")
	case !(q > 0 && q < 1):
		return QuantileDifference{}, inputErrorf("quantile: %v is out of range, want above 0 and below 1", q)
	case !(level > 0 && level < 1):
		return QuantileDifference{}, inputErrorf("level: %v is out of range, want above 0 and below 1", level)
	}
	out := QuantileDifference{
		Q: q, First: Quantile(first, q), Second: Quantile(second, q),
		MinimumPerSide: MinSamples(q, level), SamplesPerSides: [2]int{len(first), len(second)},
	}
	out.FirstCI, _ = QuantileCI(first, q, level)
	out.SecondCI, _ = QuantileCI(second, q, level)
	out.Difference = out.First - out.Second
	d, a, b := float64(out.Difference), float64(out.First), float64(out.Second)
	// Infinite ends carry over: Hypot(Inf, x) is Inf.
	out.DifferenceCI = Interval{
		Low:  d - math.Hypot(a-out.FirstCI.Low, out.SecondCI.High-b),
		High: d + math.Hypot(out.FirstCI.High-a, b-out.SecondCI.Low), Level: level, Method: MethodMover,
	}
	if math.IsInf(out.DifferenceCI.Low, 0) || math.IsInf(out.DifferenceCI.High, 0) {
		out.DifferenceCI.Why = "needs at least " + plural(int64(out.MinimumPerSide), "sample", "samples") + " on each side"
	}
	return out, nil
}

// ShiftFunction is QuantileDiff at the nine deciles: where in the distribution the difference lies. Errors wrap
// ErrInput.
func ShiftFunction(first, second []int64, level float64) ([]QuantileDifference, error) {
	out := make([]QuantileDifference, 0, 9)
	for i := 1; i <= 9; i++ {
		d, err := QuantileDiff(first, second, float64(i)/10, level)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// bootstrapWork bounds draws times samples.
const bootstrapWork = 40_000_000

// BlockBootstrap is the percentile interval of the difference of a quantile between two samples in the order in which
// they were measured: a moving-block bootstrap, each side for itself, with blocks of the given length (0: the cube
// root of the sample), so that requests of the same moment stay together. Seeded; 2,000 draws, fewer for more than
// 20,000 samples. Errors wrap ErrInput.
func BlockBootstrap(first, second []int64, q, level float64, block int, seed uint64) (Interval, error) {
	switch {
	case len(first) == 0 || len(second) == 0:
		return Interval{}, inputErrorf("sample: empty, want at least one value")
	case !(q > 0 && q < 1):
		return Interval{}, inputErrorf("quantile: %v is out of range, want above 0 and below 1", q)
	case !(level > 0 && level < 1):
		return Interval{}, inputErrorf("level: %v is out of range, want above 0 and below 1", level)
	case block < 0:
		return Interval{}, inputErrorf("block: %d is negative", block)
	}
	rng := rand.New(rand.NewPCG(seed, 0x626c6f636b))
	draws := min(2000, max(200, bootstrapWork/(len(first)+len(second))))
	a, b := newResampler(first, q, block), newResampler(second, q, block)
	differences := make([]int64, draws)
	for i := range differences {
		differences[i] = a.draw(rng) - b.draw(rng)
	}
	slices.Sort(differences)
	return Interval{
		Low: float64(Quantile(differences, (1-level)/2)), High: float64(Quantile(differences, (1+level)/2)),
		Level: level, Method: MethodBlockBootstrap,
	}, nil
}

// resampler draws block-bootstrap quantiles by counting ranks, which needs no sort per draw.
type resampler struct {
	sorted []int64
	rank   []int32 // of the i-th measurement in sorted
	count  []int32
	want   int
	block  int
}

func newResampler(sample []int64, q float64, block int) *resampler {
	n := len(sample)
	if block == 0 {
		block = int(math.Ceil(math.Cbrt(float64(n))))
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case sample[a] < sample[b]:
			return -1
		case sample[a] > sample[b]:
			return 1
		}
		return 0
	})
	r := &resampler{
		sorted: make([]int64, n), rank: make([]int32, n), count: make([]int32, n),
		want: quantileRank(n, q), block: min(block, n),
	}
	for at, i := range order {
		r.sorted[at], r.rank[i] = sample[i], int32(at)
	}
	return r
}

func (r *resampler) draw(rng *rand.Rand) int64 {
	clear(r.count)
	n := len(r.sorted)
	for taken := 0; taken < n; {
		from := rng.IntN(n - r.block + 1)
		for i := from; i < from+r.block && taken < n; i++ {
			r.count[r.rank[i]]++
			taken++
		}
	}
	seen := 0
	for at, c := range r.count {
		if seen += int(c); seen >= r.want {
			return r.sorted[at]
		}
	}
	return r.sorted[n-1]
}

// QuantileType is a sample quantile of an ascending sample by the numbering of Hyndman and Fan (1996): 1 (the inverse
// of the empirical distribution, which this program uses), 4 (gonum's LinInterp) or 7 (the default of R and NumPy),
// for comparison with other tools. Unit of the sample. Errors wrap ErrInput.
func QuantileType(sorted []float64, q float64, kind int) (float64, error) {
	if err := checkSamples(sorted); err != nil {
		return 0, err
	}
	if !(q >= 0 && q <= 1) || !slices.IsSorted(sorted) {
		return 0, inputErrorf("quantile: %v is out of range, or the sample is not ascending", q)
	}
	switch kind {
	case 1:
		return sorted[quantileRank(len(sorted), q)-1], nil
	case 4:
		return stat.Quantile(q, stat.LinInterp, sorted, nil), nil
	case 7:
		h := float64(len(sorted)-1) * q
		i := min(int(h), len(sorted)-1)
		return sorted[i] + (h-float64(i))*(sorted[min(i+1, len(sorted)-1)]-sorted[i]), nil
	}
	return 0, inputErrorf("quantile type: %d is unknown, want 1, 4 or 7", kind)
}
