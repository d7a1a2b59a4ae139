package analyze

import "math"

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
