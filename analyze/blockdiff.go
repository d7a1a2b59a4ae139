package analyze

import (
	"fmt"
	"math"
)

// BlockDifference is how much a quantile of one sample lies above that of another, in the samples' unit, with blocks as
// the unit of replication.
type BlockDifference struct {
	Q             float64 // 0 to 1
	First, Second BlockInterval
	Difference    int64    // First - Second
	DifferenceCI  Interval // MOVER; infinite ends and Why where either interval lacks the end it needs
	Correlation   float64  // that was allowed for between the same blocks of both sides; 0 where they are not of the same time
}

// BlockInterval is a quantile of one sample.
type BlockInterval struct {
	Value        int64 // type-1 quantile
	CI           Interval
	Samples      int     // values
	Blocks       int     // that hold a value
	DesignEffect float64 // variance against that of independent requests, at least 1
}

// PairedDifference compares two samples whose blocks are the same windows of time, such as the two backends of one run.
// What both sides have in common in a window is allowed for, as far as it is sure to be there. Errors wrap ErrInput.
func PairedDifference(first, second *Blocks, q, level float64) (BlockDifference, error) {
	if len(first.sizes) != len(second.sizes) {
		return BlockDifference{}, inputErrorf("blocks: %d on one side and %d on the other, want the same windows", len(first.sizes), len(second.sizes))
	}
	return blockDifference(first, second, q, level, true)
}

// IndependentDifference compares two samples of different times, such as two runs. Errors wrap ErrInput.
func IndependentDifference(first, second *Blocks, q, level float64) (BlockDifference, error) {
	return blockDifference(first, second, q, level, false)
}

func blockDifference(first, second *Blocks, q, level float64, paired bool) (BlockDifference, error) {
	c, err := newContrast(first, second, q, 1, paired)
	if err != nil {
		return BlockDifference{}, err
	}
	if !(level > 0 && level < 1) {
		return BlockDifference{}, inputErrorf("level: %v is out of range, want above 0 and below 1", level)
	}
	return c.difference(level), nil
}

// Interval is the interval of a quantile with blocks as the unit of replication: Why is set, and an end infinite, where there
// are fewer than MinBlocks blocks or too few values for that end.
func (b *Blocks) Interval(q, level float64) BlockInterval { return b.at(q).interval(level) }

func (x blockQuantile) interval(level float64) BlockInterval {
	out := BlockInterval{
		Value: x.value, Samples: len(x.b.sorted), Blocks: x.b.Blocks(), DesignEffect: x.deff,
		CI: Interval{Low: math.Inf(-1), High: math.Inf(1), Level: level, Method: MethodBlocks},
	}
	switch {
	case out.Samples == 0:
		out.CI.Why = whyNoRequests
	case out.Blocks < MinBlocks:
		out.CI.Why = fmt.Sprintf("needs at least %d blocks with answers, there are %d", MinBlocks, out.Blocks)
	default:
		tail := (1 - level) / 2
		out.CI.Low, out.CI.High = x.low(tail), x.high(tail)
		if math.IsInf(out.CI.Low, 0) || math.IsInf(out.CI.High, 0) {
			need := float64(MinSamples(x.q, level)) * float64(out.Samples) / x.effective(tail)
			out.CI.Why = "needs about " + plural(int64(math.Ceil(need)), "answer", "answers")
		}
	}
	return out
}

// contrast is the quantile of one sample less a multiple of that of another.
type contrast struct {
	first, second blockQuantile
	factor        float64 // of the second
	correlation   float64 // that is allowed for
}

func newContrast(first, second *Blocks, q, factor float64, paired bool) (contrast, error) {
	switch {
	case first.Samples() == 0 || second.Samples() == 0:
		return contrast{}, inputErrorf("sample: empty, want at least one value")
	case !(q > 0 && q < 1):
		return contrast{}, inputErrorf("quantile: %v is out of range, want above 0 and below 1", q)
	}
	c := contrast{first: first.at(q), second: second.at(q), factor: factor}
	if paired {
		c.correlation = sureCorrelation(c.first.excess, c.second.excess)
	}
	return c, nil
}

// enough reports whether both sides have the blocks that an interval needs.
func (c contrast) enough() bool {
	return c.first.b.Blocks() >= MinBlocks && c.second.b.Blocks() >= MinBlocks
}

func (c contrast) value() float64 {
	return float64(c.first.value) - c.factor*float64(c.second.value)
}

// high is the upper end of MOVER (G. Y. Zou, 2007; A. Donner and G. Y. Zou, 2012) that leaves tail above it, low the lower.
// The two sides may go together, so the sum of squares has the term of a correlation.
func (c contrast) high(tail float64) float64 {
	return c.value() + c.reach(c.first.high(tail)-float64(c.first.value), c.factor*(float64(c.second.value)-c.second.low(tail)))
}

func (c contrast) low(tail float64) float64 {
	return c.value() - c.reach(float64(c.first.value)-c.first.low(tail), c.factor*(c.second.high(tail)-float64(c.second.value)))
}

func (c contrast) reach(x, y float64) float64 {
	if math.IsInf(x, 0) || math.IsInf(y, 0) || math.IsNaN(x) || math.IsNaN(y) {
		return math.Inf(1)
	}
	return math.Sqrt(math.Max(0, x*x+y*y-2*c.correlation*x*y))
}

func (c contrast) difference(level float64) BlockDifference {
	out := BlockDifference{
		Q: c.first.q, First: c.first.interval(level), Second: c.second.interval(level),
		Difference: c.first.value - c.second.value, Correlation: c.correlation,
		DifferenceCI: Interval{Low: math.Inf(-1), High: math.Inf(1), Level: level, Method: MethodMover},
	}
	if c.enough() {
		tail := (1 - level) / 2
		out.DifferenceCI.Low, out.DifferenceCI.High = c.low(tail), c.high(tail)
	}
	if math.IsInf(out.DifferenceCI.Low, 0) || math.IsInf(out.DifferenceCI.High, 0) {
		out.DifferenceCI.Why = out.First.CI.Why
		if out.DifferenceCI.Why == "" {
			out.DifferenceCI.Why = out.Second.CI.Why
		}
	}
	return out
}

// sureCorrelation is the correlation of two series of blocks as far as it is credited: of a positive one, which makes a
// difference better known, only what its lower 95 % limit (R. A. Fisher, 1921) is sure of; a negative one in full.
func sureCorrelation(x, y []float64) float64 {
	var xx, yy, xy float64
	for i := range x {
		xx, yy, xy = xx+x[i]*x[i], yy+y[i]*y[i], xy+x[i]*y[i]
	}
	if !(xx > 0 && yy > 0) || len(x) < 5 {
		return 0
	}
	r := math.Max(-1, math.Min(1, xy/math.Sqrt(xx*yy)))
	if r <= 0 {
		return r
	}
	const z95 = 1.6448536269514722
	return math.Max(0, math.Tanh(math.Atanh(math.Min(r, 0.999))-z95/math.Sqrt(float64(len(x)-3))))
}
