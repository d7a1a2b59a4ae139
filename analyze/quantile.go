package analyze

import "math"

// MethodOrderStatistic names the intervals of QuantileCI.
const MethodOrderStatistic = "orderStatistic"

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

// QuantileCI is the distribution-free interval of a quantile between two order statistics of an ascending sample,
// with at least the given two-sided level (independent samples); unit of the sample. ok is false where the sample is
// too small for either end (see MinSamples), which Why then says; the end that does exist is filled in, the other is
// infinite.
func QuantileCI(sorted []int64, q, level float64) (ci Interval, ok bool) {
	n := int64(len(sorted))
	ci = Interval{Low: math.Inf(-1), High: math.Inf(1), Level: level, Method: MethodOrderStatistic}
	switch {
	case !(level > 0 && level < 1):
		ci.Level, ci.Why = 0, whyBadLevel
		return ci, false
	case !(q > 0 && q < 1):
		ci.Why = "the quantile must be above 0 and below 1"
		return ci, false
	case n == 0:
		ci.Why = whyNoRequests
		return ci, false
	}
	low, high := quantileOrders(n, q, level)
	if low >= 1 {
		ci.Low = float64(sorted[low-1])
	}
	if high <= n {
		ci.High = float64(sorted[high-1])
	}
	if low < 1 || high > n {
		ci.Why = "needs at least " + plural(int64(MinSamples(q, level)), "sample", "samples")
		return ci, false
	}
	return ci, true
}

// quantileOrders are the 1-based ranks of the interval: qbinom(a/2) and qbinom(1-a/2)+1 of Binomial(n,q); 0 and n+1
// mean that there is no such end.
func quantileOrders(n int64, q, level float64) (low, high int64) {
	tail := (1 - level) / 2
	low = firstCount(n, func(x int64) bool { return lnLower(x, n, q, 1-q) >= math.Log(tail)-1e-12 })
	high = firstCount(n, func(x int64) bool { return lnUpper(x+1, n, q, 1-q) <= math.Log(tail)+1e-12 }) + 1
	return low, min(high, n+1)
}

// MinSamples is the smallest sample for which QuantileCI has both ends: 368 for the 99th percentile at level 0.95. 0
// where an argument is not above 0 and below 1.
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
