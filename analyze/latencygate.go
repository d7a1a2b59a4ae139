package analyze

import "math"

// Margin is how much slower a quantile may be and still pass: either an absolute one in the samples' unit
// (nanoseconds), or a fraction of what it is compared with. Neither: nothing is allowed or forbidden, and nothing
// decided.
type Margin struct {
	Absolute int64   // samples' unit, >= 0
	Relative float64 // 0.1: a tenth more
	Set      bool
}

// Validate says why the margin makes no sense. Errors wrap ErrInput.
func (m Margin) Validate() error {
	switch {
	case m.Absolute < 0 || m.Relative < 0 || m.Relative > 10 || math.IsNaN(m.Relative):
		return inputErrorf("margin: want an absolute one of 0 or more, or a fraction of 0 to 10")
	case m.Absolute > 0 && m.Relative > 0:
		return inputErrorf("margin: want an absolute one or a fraction, not both")
	}
	return nil
}

// Directions of a quantile's difference, shown at alpha over all quantiles together.
const (
	DirectionSlower = "slower" // the first sample is
	DirectionFaster = "faster"
	DirectionNone   = "none" // no difference proven
)

// QuantileVerdict is what is shown of one quantile.
type QuantileVerdict struct {
	BlockDifference
	Direction string
	Different PValue  // two-sided, against no difference; adjusted by Holm over the quantiles
	Within    PValue  // against "slower than the margin or on it"; 1 where no margin is set
	Beyond    PValue  // against "not slower than the margin"; adjusted by Holm
	Outcome   Outcome // of this quantile, against the margin
}

// LatencyDecision is the conclusion about the latencies of two samples.
type LatencyDecision struct {
	// Outcome is Pass where no quantile is shown to be slower than the margin, each being shown to be within it, and Fail
	// where some is shown to be slower. It means nothing without a margin.
	Outcome   Outcome
	Judged    bool // a margin was set
	Quantiles []QuantileVerdict
	Needed    int // blocks per side that would decide if the rest stays as it is; 0 where it cannot be said
	Reason    Reason
}

// DefaultQuantiles are those that are judged.
func DefaultQuantiles() []float64 { return []float64{0.5, 0.9, 0.99} }

// JudgeLatency compares the quantiles of two samples by blocks. Pass needs every quantile shown to be slower by less
// than the margin (intersection and union: no price for their number); fail needs one shown to be slower by more,
// alpha being shared by Holm. Both error rates are at most alpha. A quantile without an interval makes a pass
// impossible. paired says that the blocks of both sides are the same windows of time. Errors wrap ErrInput.
func JudgeLatency(
	first, second *Blocks, quantiles []float64, m Margin, alpha float64, paired bool,
) (LatencyDecision, error) {
	switch {
	case len(quantiles) == 0:
		return LatencyDecision{}, inputErrorf("quantiles: none given")
	case !(alpha > 0 && alpha < 0.5):
		return LatencyDecision{}, inputErrorf("alpha: %v is out of range, want above 0 and below 0.5", alpha)
	}
	if err := m.Validate(); err != nil {
		return LatencyDecision{}, err
	}
	out := LatencyDecision{Outcome: Inconclusive, Judged: m.Set, Quantiles: make([]QuantileVerdict, len(quantiles))}
	different, beyond := make([]float64, len(quantiles)), make([]float64, len(quantiles))
	for i, q := range quantiles {
		v, err := judgeQuantile(first, second, q, m, alpha, paired)
		if err != nil {
			return LatencyDecision{}, err
		}
		out.Quantiles[i] = v
		different[i], beyond[i] = v.Different.P, v.Beyond.P
	}
	different, beyond = Holm(different), Holm(beyond)
	pass, fail := m.Set, false
	for i := range out.Quantiles {
		v := &out.Quantiles[i]
		v.Different, v.Beyond = asymptotic(different[i]), asymptotic(beyond[i])
		v.Direction = DirectionNone
		if different[i] <= alpha && v.Difference != 0 {
			v.Direction = DirectionSlower
			if v.Difference < 0 {
				v.Direction = DirectionFaster
			}
		}
		v.Outcome = Inconclusive
		switch {
		case !m.Set || v.DifferenceCI.Why != "":
		case v.Within.P <= alpha:
			v.Outcome = Pass
		case beyond[i] <= alpha:
			v.Outcome = Fail
		}
		pass = pass && v.Outcome == Pass
		fail = fail || v.Outcome == Fail
	}
	switch {
	case fail:
		out.Outcome = Fail
	case pass:
		out.Outcome = Pass
	case m.Set:
		out.Needed = out.needed(m)
	}
	out.Reason = out.reason(m)
	return out, nil
}

func asymptotic(p float64) PValue { return pFromLn(math.Log(p), Asymptotic) }

func judgeQuantile(first, second *Blocks, q float64, m Margin, alpha float64, paired bool) (QuantileVerdict, error) {
	c, err := newContrast(first, second, q, 1, paired)
	if err != nil {
		return QuantileVerdict{}, err
	}
	one := asymptotic(1)
	v := QuantileVerdict{BlockDifference: c.difference(1 - alpha), Within: one, Beyond: one, Different: one}
	if !c.enough() {
		return v, nil
	}
	up, down := c.tailAbove(0), c.tailBelow(0) // evidence for faster, for slower
	v.Different = asymptotic(math.Min(1, 2*math.Min(up, down)))
	if m.Set {
		against, err := newContrast(first, second, q, 1+m.Relative, paired)
		if err != nil || !against.enough() {
			return v, err
		}
		limit := float64(m.Absolute)
		v.Within, v.Beyond = asymptotic(against.tailAbove(limit)), asymptotic(against.tailBelow(limit))
	}
	return v, nil
}

// leastTail bounds p-values from below: what is said of smaller ones rests on the normal law too far out.
const leastTail = 1e-9

// tailAbove is the p of the test that the contrast is at limit or above it: the smallest tail whose upper end is below.
func (c contrast) tailAbove(limit float64) float64 {
	return smallestTail(func(tail float64) bool { return c.high(tail) < limit })
}

// tailBelow is the p of the test that the contrast is at limit or below it.
func (c contrast) tailBelow(limit float64) float64 {
	return smallestTail(func(tail float64) bool { return c.low(tail) > limit })
}

// smallestTail bisects the smallest tail at which an interval is clear; intervals shrink as the tail grows. 1 where
// none is.
func smallestTail(clear func(tail float64) bool) float64 {
	low, high := math.Log(leastTail), math.Log(0.5)
	if !clear(math.Exp(high)) {
		return 1
	}
	if clear(math.Exp(low)) {
		return leastTail
	}
	_, high = bisect(low, high, 40, func(x float64) bool { return clear(math.Exp(x)) })
	return math.Exp(high)
}

// needed shrinks the interval of the worst quantile like 1/sqrt(blocks) until it clears the margin.
func (d LatencyDecision) needed(m Margin) int {
	most := 0.0
	for _, v := range d.Quantiles {
		if v.Outcome != Inconclusive {
			continue
		}
		if v.DifferenceCI.Why != "" {
			return 0
		}
		limit := float64(m.Absolute) + m.Relative*float64(v.Second.Value)
		room := limit - float64(v.Difference)
		half, bias := v.DifferenceCI.High-float64(v.Difference), v.Late[1]
		if room < 0 {
			half, bias = float64(v.Difference)-v.DifferenceCI.Low, v.Late[0]
		}
		ratio := (half - bias) / (math.Abs(room) - bias)
		if math.IsInf(ratio, 0) || !(ratio >= 0) || ratio > 100 {
			return 0 // on the edge: no number of rounds helps
		}
		blocks := float64(min(v.First.Blocks, v.Second.Blocks))
		most = math.Max(most, math.Max(blocks+1, math.Ceil(blocks*ratio*ratio)))
	}
	return int(most)
}

// reason is why the latencies did not pass; nothing where they did, or no margin was set.
func (d LatencyDecision) reason(m Margin) Reason {
	if !m.Set || d.Outcome == Pass {
		return Reason{}
	}
	worst := d.Quantiles[0]
	for _, v := range d.Quantiles {
		switch {
		case d.Outcome == Fail && v.Outcome == Fail:
			return Reason{Code: CodeOutside, Quantile: v.Q}
		case d.Outcome == Inconclusive && v.Outcome == Inconclusive && v.DifferenceCI.Why != "":
			return Reason{Code: CodeTooFew, Quantile: v.Q, Why: v.DifferenceCI.Why}
		case d.Outcome == Inconclusive && v.Outcome == Inconclusive:
			worst = v
		}
	}
	if d.Needed == 0 {
		out := Reason{Code: CodeEdge, Quantile: worst.Q}
		if ci := worst.DifferenceCI; worst.Late[0]+worst.Late[1] > (ci.High-ci.Low)/2 {
			out.Why = WhyLate
		}
		return out
	}
	return Reason{Code: CodeTooFew, Quantile: worst.Q, Blocks: d.Needed}
}

// MethodNewcombe names the interval of a difference of two shares: Newcombe's hybrid score interval (R. G. Newcombe
// 1998, his method 10), which is MOVER on two Wilson intervals.
const MethodNewcombe = "newcombe"

// ShareChange is how much a backend's share in one run lies above its share in another.
type ShareChange struct {
	BaseShare  float64  // 0 to 1
	NewShare   float64  // 0 to 1
	Base, New  Interval // Wilson, of each share
	Difference float64  // new - base, -1 to 1
	CI         Interval // of the difference
	Outcome    Outcome  // against the margin; Inconclusive where either run has no answers
	Different  bool     // a difference is shown, whatever the margin
}

// CompareShares compares x of n answers with those of an earlier run. Pass: the difference is shown to be within the
// margin (a share, above 0) at level alpha, by the two one-sided tests of its 1-2*alpha interval. Fail: it is shown
// to be outside, at alpha/family, family being how many such questions are asked together (Bonferroni; a pass of all
// needs no such price). CI is at level 1-alpha. Answers count as independent: what makes them otherwise is the
// diagnostics' matter. Errors wrap ErrInput.
func CompareShares(baseX, baseN, newX, newN int64, margin, alpha float64, family int) (ShareChange, error) {
	switch {
	case baseX < 0 || baseX > baseN || newX < 0 || newX > newN:
		return ShareChange{}, inputErrorf("counts: %d of %d and %d of %d make no shares", baseX, baseN, newX, newN)
	case !(margin > 0 && margin < 1):
		return ShareChange{}, inputErrorf("margin: %v is out of range, want a share above 0 and below 1", margin)
	case !(alpha > 0 && alpha < 0.5) || family < 1:
		return ShareChange{}, inputErrorf("alpha: %v for %d questions, want above 0 and below 0.5 for one or more",
			alpha, family)
	}
	out := ShareChange{
		Base: Wilson(baseX, baseN, 1-alpha), New: Wilson(newX, newN, 1-alpha), Outcome: Inconclusive,
		CI: Interval{Low: -1, High: 1, Level: 1 - alpha, Method: MethodNewcombe},
	}
	if baseN == 0 || newN == 0 {
		out.CI.Why = whyNoRequests
		return out, nil
	}
	out.BaseShare, out.NewShare = float64(baseX)/float64(baseN), float64(newX)/float64(newN)
	out.Difference = out.NewShare - out.BaseShare
	interval := func(level float64) (low, high float64) {
		return mover(out.NewShare, out.BaseShare, Wilson(newX, newN, level), Wilson(baseX, baseN, level))
	}
	out.CI.Low, out.CI.High = interval(1 - alpha)
	out.Different = out.CI.Low > 0 || out.CI.High < 0
	within, above := interval(1 - 2*alpha)
	low, high := interval(1 - alpha/float64(family)) // two directions: alpha/2 each
	switch {
	case within >= -margin && above <= margin:
		out.Outcome = Pass
	case low > margin || high < -margin:
		out.Outcome = Fail
	}
	return out, nil
}

// mover is the interval of x-y from that of each: MOVER (G. Y. Zou, 2007; A. Donner and G. Y. Zou, 2012).
func mover(x, y float64, a, b Interval) (low, high float64) {
	return x - y - math.Hypot(x-a.Low, b.High-y), x - y + math.Hypot(a.High-x, y-b.Low)
}

// CostChange is how much a difference of two latencies (the gateway's cost) changed between two runs, at one
// quantile, in the samples' unit.
type CostChange struct {
	Base, New BlockDifference
	Change    int64    // new - base
	CI        Interval // MOVER on the intervals of both differences
	Outcome   Outcome  // against the allowance; Inconclusive where an interval lacks the end it needs
	Different bool     // a change is shown, whatever the allowance
}

// CompareCosts compares the difference far-near of a new run with that of a base run; the blocks of far and near are
// the same windows of time in each run. allowance is how much more it may be, in the samples' unit. The levels are
// those of CompareShares. Errors wrap ErrInput.
func CompareCosts(base, latest [2]*Blocks, q float64, allowance int64, alpha float64, family int) (CostChange, error) {
	if allowance < 0 || !(alpha > 0 && alpha < 0.5) || family < 1 {
		return CostChange{}, inputErrorf("allowance: %d at alpha %v for %d questions is out of range",
			allowance, alpha, family)
	}
	out := CostChange{Outcome: Inconclusive}
	interval := func(level float64) (Interval, error) {
		a, err := Difference(latest[0], latest[1], q, level, true)
		if err != nil {
			return Interval{}, err
		}
		b, err := Difference(base[0], base[1], q, level, true)
		if err != nil {
			return Interval{}, err
		}
		out.New, out.Base = a, b
		ci := Interval{Level: level, Method: MethodMover}
		ci.Low, ci.High = mover(float64(a.Difference), float64(b.Difference), a.DifferenceCI, b.DifferenceCI)
		switch {
		case a.DifferenceCI.Why != "":
			ci.Why = "the new run " + a.DifferenceCI.Why
		case b.DifferenceCI.Why != "":
			ci.Why = "the base run " + b.DifferenceCI.Why
		}
		return ci, nil
	}
	pass, err := interval(1 - 2*alpha)
	if err != nil {
		return out, err
	}
	fail, err := interval(1 - 2*alpha/float64(family))
	if err != nil {
		return out, err
	}
	if out.CI, err = interval(1 - alpha); err != nil {
		return out, err
	}
	out.Change = out.New.Difference - out.Base.Difference
	out.Different = out.CI.Low > 0 || out.CI.High < 0
	switch limit := float64(allowance); {
	case pass.High <= limit:
		out.Outcome = Pass
	case fail.Low > limit:
		out.Outcome = Fail
	}
	return out, nil
}
