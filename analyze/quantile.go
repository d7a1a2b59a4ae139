package analyze

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

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

// QuantileLimit is what a sample shows of a limit of a quantile: that q of all requests at least take no longer.
type QuantileLimit struct {
	Values       int64   // in all blocks
	Above        int64   // of them above the limit
	Allowed      float64 // values that may lie above it: 1-q of them
	DesignEffect float64 // of Above, over blocks
	// Holds is the p-value against a source in which just 1-q lie above the limit: small where it has been shown to
	// hold. Requests that are alike count for fewer (see Blocks), since a pass must not rest on one quiet moment.
	Holds float64
	// Breaks is the same against a source in which no more do: small where the limit has been shown to break. It takes
	// requests for independent: behind a queue that grows nothing repeats itself, and yet the limit is broken.
	Breaks float64
}

// JudgeQuantileLimit takes the values of each block, blocks in the order of time, in the unit of the limit. Errors
// wrap ErrInput: q not above 0 and below 1, no value.
func JudgeQuantileLimit(blocks [][]int64, q float64, limit int64) (QuantileLimit, error) {
	if !(q > 0 && q < 1) {
		return QuantileLimit{}, inputErrorf("quantile: %v is out of range, want above 0 and below 1", q)
	}
	above := make([]float64, len(blocks))
	out := QuantileLimit{DesignEffect: 1}
	used := 0
	for i, values := range blocks {
		for _, v := range values {
			if v > limit {
				above[i]++
				out.Above++
			}
		}
		out.Values += int64(len(values))
		if len(values) > 0 {
			used++
		}
	}
	if out.Values == 0 {
		return QuantileLimit{}, inputErrorf("blocks: no value")
	}
	n, p := float64(out.Values), float64(out.Above)/float64(out.Values)
	out.Allowed = (1 - q) * n
	for i, values := range blocks {
		above[i] -= p * float64(len(values))
	}
	spread := spreadOf(above, used, n*p*(1-p))
	out.DesignEffect = spread.deff
	effective := n
	if spread.deff > 1 {
		const tail = 0.01 // for which fewer degrees of freedom are weighed
		z := normalQuantile(tail) / studentQuantile(tail, spread.df)
		effective = math.Max(1, n/spread.deff*z*z)
	}
	// The binomial law between whole numbers too: of n, k at most with chance I_q(n-k, k+1).
	atMost := func(n, k float64) float64 {
		if k >= n {
			return 1
		}
		return mathext.RegIncBeta(n-k, k+1, q)
	}
	out.Holds, out.Breaks = atMost(effective, p*effective), 1.0
	if out.Above > 0 {
		out.Breaks = mathext.RegIncBeta(float64(out.Above), n-float64(out.Above)+1, 1-q)
	}
	return out, nil
}

// MethodOwnQuantiles names the intervals that the blocks' own quantiles give: by Student's t, around the quantile of
// all values.
const MethodOwnQuantiles = "blockOwnQuantiles"

// Where requests of one moment are so alike that a sample is worth few of them, order statistics end before the
// interval does, however close together all values lie. What each block measured by itself still tells how far the
// next one may be. docs/statistics.md has the coverage.

// ownBeyond is how many values a block must hold beyond its own quantile, in the mean: of fewer it would be another
// quantity.
const ownBeyond = 8

// ownMean is how sure the mean of the blocks' own quantiles is, or of the differences of such.
type ownMean struct {
	se float64 // standard error, in the samples' unit; 0 where it is not known
	df float64 // its degrees of freedom
}

func (m ownMean) known() bool { return m.se > 0 }

// reach is how far the mean may be from the truth with that tail outside.
func (m ownMean) reach(tail float64) float64 { return m.se * studentQuantile(tail, m.df) }

// reachUp is the same upwards from a value. Latencies are skewed, so the mean of few blocks is more often too low
// than too high: by logarithms, and straight on where the reach is larger than the value.
func (m ownMean) reachUp(tail, value float64) float64 {
	reach := m.reach(tail)
	if reach >= value {
		return reach * (math.E - 1)
	}
	return value * math.Expm1(reach/value)
}

// ownMeanOf takes a series with a value for each block, NaN for none, and the standard error by the delta method:
// where levels differ by more than the answers of one block do, the quantile of all is less sure than the mean of the
// blocks' own ones.
func ownMeanOf(x []float64, delta float64) ownMean {
	x = slices.DeleteFunc(x, math.IsNaN)
	if len(x) < MinBlocks {
		return ownMean{}
	}
	w, mean, squares := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		mean += v / w
	}
	for i := range x {
		x[i] -= mean
		squares += x[i] * x[i]
	}
	s := spreadOf(x, len(x), squares*w/(w-1)) // so only what neighbours have in common remains in deff
	if !(squares > 0) {
		return ownMean{}
	}
	se := math.Sqrt(squares / (w - 1) / w * s.least)
	return ownMean{se: math.Max(delta, se), df: math.Min(s.df, math.Max(s.worth, leastWorth)-1)}
}

// ownQuantiles are the type-1 quantiles of the blocks, NaN of one that holds nothing; nil where they hold too few
// values for that.
func (b *Blocks) ownQuantiles(q float64) []float64 {
	if float64(len(b.sorted))*math.Min(q, 1-q) < ownBeyond*float64(b.Blocks()) {
		return nil
	}
	out, left := make([]float64, len(b.sizes)), make([]int, len(b.sizes))
	for w, size := range b.sizes {
		out[w] = math.NaN()
		if size > 0 {
			left[w] = quantileRank(int(size), q)
		}
	}
	for i, v := range b.sorted { // in order, so each block's values are in order too
		w := b.block[i]
		if left[w]--; left[w] == 0 {
			out[w] = float64(v)
		}
	}
	return out
}

// byOwn has the interval of one quantile come from the blocks' own ones where order statistics do not reach.
func (x blockQuantile) byOwn() blockQuantile {
	if len(x.b.sorted) > 0 && !x.reaches() {
		x.own = ownMeanOf(x.b.ownQuantiles(x.q), x.perRank()*math.Sqrt(x.q*(1-x.q)*float64(len(x.b.sorted))*x.least))
	}
	return x
}

// byOwn is the same for the difference of two samples of the same windows: what moves both falls out of each window's
// own.
func (c *contrast) byOwn() {
	if c.first.reaches() && c.second.reaches() {
		return
	}
	moved, near := c.first.b.ownQuantiles(c.first.q), c.second.b.ownQuantiles(c.first.q)
	if moved == nil || near == nil {
		return
	}
	for w := range moved {
		moved[w] -= c.factor * near[w]
	}
	c.joint = ownMeanOf(moved, math.Sqrt(c.independent()*c.first.least))
}

// usualTail is what an interval at the usual level, 0.99, leaves outside on each side.
const usualTail = 0.005

// reaches reports whether order statistics have both ends at the usual level.
func (x blockQuantile) reaches() bool {
	return x.alone() && !math.IsInf(x.low(usualTail), 0) && !math.IsInf(x.high(usualTail), 0)
}
