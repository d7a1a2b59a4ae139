package analyze

import (
	"math"
	"slices"
)

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
