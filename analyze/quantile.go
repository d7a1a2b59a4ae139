package analyze

import "math"

// Quantile is the type-1 sample quantile x_(ceil(n*q)) of an ascending sample (gonum's stat.Empirical): always a
// value that was measured, in the unit of the sample. q counts as the nearest of 0 and 1 outside that range; an empty
// sample gives 0.
func Quantile(sorted []int64, q float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[quantileRank(len(sorted), q)-1]
}

// quantileRank is the 1-based rank of the type-1 quantile. n*q is rounded to 1e-9 first: 0.07*100 is 7.000000000000001.
func quantileRank(n int, q float64) int {
	if !(q > 0) {
		return 1
	}
	x := float64(n) * math.Min(q, 1)
	rank := int(math.Ceil(x - 1e-9*math.Max(1, x*1e-6)))
	return min(max(rank, 1), n)
}

// MinSamples is the smallest sample of independent values whose order statistics give both ends of a distribution-free
// interval of the quantile: 368 for the 99th percentile at level 0.95. 0 where an argument is not above 0 and below 1.
func MinSamples(q, level float64) int {
	if !(q > 0 && q < 1 && level > 0 && level < 1) {
		return 0
	}
	tail := math.Log((1 - level) / 2)
	// The far end needs the extreme order statistic to lie beyond the quantile: q^n <= a/2, and the same for 1-q.
	n := math.Max(tail/math.Log(q), tail/math.Log1p(-q))
	if n > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(math.Ceil(n - 1e-9))
}
