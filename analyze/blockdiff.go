package analyze

import (
	"fmt"
	"math"
	"strconv"
)

// MethodMover names intervals of differences (G. Y. Zou, 2007; A. Donner and G. Y. Zou, 2012).
const MethodMover = "mover"

// BlockDifference is how much a quantile of one sample lies above that of another, in the samples' unit, with blocks as
// the unit of replication.
type BlockDifference struct {
	Q             float64 // 0 to 1
	First, Second BlockInterval
	Difference    int64    // First - Second
	DifferenceCI  Interval // MOVER; infinite ends and Why where either interval lacks the end it needs
	Correlation   float64  // between the same blocks of both sides; 0 where they are not of the same time
	// Late is how much of the distance of each end may be the generator's lateness, which more blocks do not make less.
	Late [2]float64
}

// BlockInterval is a quantile of one sample.
type BlockInterval struct {
	Value        int64 // type-1 quantile
	CI           Interval
	Samples      int     // values
	Blocks       int     // that hold a value
	DesignEffect float64 // variance against that of independent requests, at least 1
}

// Difference compares a quantile of two samples. paired says that the blocks of both are the same windows of time, such
// as those of the two backends of one run: what both have in common in a window is then no doubt about their
// difference. Errors wrap ErrInput.
func Difference(first, second *Blocks, q, level float64, paired bool) (BlockDifference, error) {
	c, err := newContrast(first, second, q, 1, paired)
	if err != nil {
		return BlockDifference{}, err
	}
	if !(level > 0 && level < 1) {
		return BlockDifference{}, inputErrorf("level: %v is out of range, want above 0 and below 1", level)
	}
	return c.difference(level), nil
}

// Interval is the interval of a quantile with blocks as the unit of replication: Why is set, and an end infinite,
// where there are fewer than MinBlocks blocks or too few values for that end.
func (b *Blocks) Interval(q, level float64) BlockInterval { return b.at(q).byOwn().interval(level) }

func (x blockQuantile) interval(level float64) BlockInterval {
	out := BlockInterval{
		Value: x.value, Samples: len(x.b.sorted), Blocks: x.b.Blocks(), DesignEffect: x.deff,
		CI: Interval{Low: math.Inf(-1), High: math.Inf(1), Level: level, Method: MethodBlocks},
	}
	late := x.b.Late(x.q)
	switch {
	case out.Samples == 0:
		out.CI.Why = whyNoRequests
	case late != "":
		out.CI.Why = late
	case out.Blocks < MinBlocks:
		out.CI.Why = fmt.Sprintf("needs at least %d blocks with answers, there are %d", MinBlocks, out.Blocks)
	case x.own.known():
		tail := (1 - level) / 2
		out.CI.Method, out.CI.High = MethodOwnQuantiles, x.high(tail)
		out.CI.Low = x.b.lowered(x.low(tail))
	case !x.enough():
		out.CI.Why = fmt.Sprintf(
			"needs a longer measurement: neighbouring blocks are so alike that %d know no more than %d would",
			out.Blocks, int(x.worth))
	default:
		tail := (1 - level) / 2
		out.CI.High = x.high(tail)
		out.CI.Low = x.b.lowered(x.low(tail))
		if math.IsInf(out.CI.Low, 0) || math.IsInf(out.CI.High, 0) {
			need := float64(MinSamples(x.q, level)) * float64(out.Samples) / x.effective(tail)
			out.CI.Why = "needs about " + answers(int64(math.Ceil(need)))
		}
	}
	return out
}

// answers writes 1 answer, or 1,234 answers.
func answers(n int64) string {
	s := strconv.FormatInt(n, 10)
	if s == "1" {
		return "1 answer"
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + " answers"
}

// enough reports whether there are the blocks that an interval needs.
func (x blockQuantile) enough() bool { return x.own.known() || x.alone() }

// alone reports whether there are the blocks that order statistics need.
func (x blockQuantile) alone() bool { return x.b.Blocks() >= MinBlocks && x.worth >= minWorth }

// contrast is the quantile of one sample less a multiple of that of another.
type contrast struct {
	own           [2]blockQuantile // each sample by itself
	first, second blockQuantile    // with the spread that counts here: where paired, that of the difference
	factor        float64          // of the second
	correlation   float64          // between the same blocks of both
	joint         ownMean          // of the same windows: where order statistics do not reach
}

func newContrast(first, second *Blocks, q, factor float64, paired bool) (contrast, error) {
	switch {
	case first.Samples() == 0 || second.Samples() == 0:
		return contrast{}, inputErrorf("sample: empty, want at least one value")
	case !(q > 0 && q < 1):
		return contrast{}, inputErrorf("quantile: %v is out of range, want above 0 and below 1", q)
	case paired && len(first.sizes) != len(second.sizes):
		return contrast{}, inputErrorf("blocks: %d on one side and %d on the other, want the same windows",
			len(first.sizes), len(second.sizes))
	}
	c := contrast{first: first.at(q), second: second.at(q), factor: factor}
	c.own = [2]blockQuantile{c.first.byOwn(), c.second.byOwn()}
	if paired {
		c.pair()
		c.byOwn()
	} else {
		c.first, c.second = c.own[0], c.own[1]
	}
	return c, nil
}

// leastApart is the part of the variance of two samples apart that always remains of their difference: that what both
// have in common falls out holds to the first order only.
const leastApart = 0.05

// pair gives both sides the spread of their difference: each block counts by how much it moves it, so what moves both
// sides alike falls out. Where values are tied nothing tells how much that is, and each side keeps its own.
func (c *contrast) pair() {
	a, b := c.first.perRank(), c.factor*c.second.perRank()
	moved := make([]float64, len(c.first.excess))
	var xx, yy, xy float64
	for i, x := range c.first.excess {
		y := c.second.excess[i]
		moved[i] = b*y - a*x
		xx, yy, xy = xx+x*x, yy+y*y, xy+x*y
	}
	if xx > 0 && yy > 0 {
		c.correlation = xy / math.Sqrt(xx*yy)
	}
	if a == 0 || b == 0 {
		return
	}
	q, independent := c.first.q, c.independent()
	joint := spreadOf(moved, min(c.first.b.Blocks(), c.second.b.Blocks()), independent)
	n, m := float64(c.first.b.Samples()), float64(c.second.b.Samples())
	least := leastApart * (q * (1 - q) * (a*a*n*c.first.apart + b*b*m*c.second.apart)) / independent
	joint.deff, joint.least = math.Max(joint.deff, least), math.Max(joint.least, least)
	c.first.spread, c.second.spread = joint, joint
}

// independent is the variance that the difference would have if all requests were independent, in the square of the
// samples' unit.
func (c contrast) independent() float64 {
	a, b, q := c.first.perRank(), c.factor*c.second.perRank(), c.first.q
	return q * (1 - q) * (a*a*float64(c.first.b.Samples()) + b*b*float64(c.second.b.Samples()))
}

// why says what an interval at that level lacks, "" where it lacks nothing.
func (c contrast) why(level float64) string {
	for _, x := range []blockQuantile{c.first, c.second} {
		if ci := x.interval(level).CI; ci.Why != "" {
			return ci.Why
		}
	}
	return ""
}

// enough reports whether there is what an interval needs: the blocks, and a generator that was on time enough.
func (c contrast) enough() bool {
	return c.first.b.Late(c.first.q) == "" && c.second.b.Late(c.second.q) == "" &&
		(c.joint.known() || c.first.enough() && c.second.enough())
}

func (c contrast) value() float64 {
	return float64(c.first.value) - c.factor*float64(c.second.value)
}

// high is the upper end of MOVER (G. Y. Zou, 2007; A. Donner and G. Y. Zou, 2012) that leaves tail above it, low the
// lower. Each end is as far out again as the generator's lateness may have made one sample longer.
func (c contrast) high(tail float64) float64 {
	bias := c.factor * c.second.bias()
	if c.joint.known() {
		return c.value() + c.joint.reach(tail) + bias
	}
	x, y := float64(c.first.value), float64(c.second.value)
	return c.value() + reach(c.first.high(tail)-x, c.factor*(y-c.second.low(tail))) + bias
}

func (c contrast) low(tail float64) float64 {
	bias := c.first.bias()
	if c.joint.known() {
		return c.value() - c.joint.reach(tail) - bias
	}
	x, y := float64(c.first.value), float64(c.second.value)
	return c.value() - reach(x-c.first.low(tail), c.factor*(c.second.high(tail)-y)) - bias
}

func reach(x, y float64) float64 {
	if math.IsInf(x, 0) || math.IsInf(y, 0) || math.IsNaN(x) || math.IsNaN(y) {
		return math.Inf(1)
	}
	return math.Hypot(x, y)
}

func (c contrast) difference(level float64) BlockDifference {
	out := BlockDifference{
		Q: c.first.q, First: c.own[0].interval(level), Second: c.own[1].interval(level),
		Difference: c.first.value - c.second.value, Correlation: c.correlation,
		Late:         [2]float64{c.first.bias(), c.second.bias()},
		DifferenceCI: Interval{Low: math.Inf(-1), High: math.Inf(1), Level: level, Method: MethodMover},
	}
	if c.enough() {
		tail := (1 - level) / 2
		out.DifferenceCI.Low, out.DifferenceCI.High = c.low(tail), c.high(tail)
	}
	if math.IsInf(out.DifferenceCI.Low, 0) || math.IsInf(out.DifferenceCI.High, 0) {
		out.DifferenceCI.Why = c.why(level)
	}
	return out
}
