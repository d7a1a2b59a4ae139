package analyze

import (
	"fmt"
	"math"
)

// minimumRuns is the number of runs, or windows, per side below which a comparison has no interval worth gating on.
const minimumRuns = 6

// RunSummary is one run, or one window of time, of a latency comparison: the replicate is the run, never the request,
// because the requests of a run share its conditions.
type RunSummary struct {
	Value   float64 // the statistic compared, above 0, e.g. the 99th percentile in milliseconds
	Samples int     // requests behind it
}

// Comparison is the conclusion about a ratio new/old.
type Comparison struct {
	Outcome  Outcome
	Ratio    float64  // Hodges-Lehmann estimate of new/old
	RatioCI  Interval // Moses interval on the logarithms
	P        PValue   // Mann-Whitney, as a second view
	Margin   float64  // allowed increase as a fraction: 0.1 allows a tenth more
	NeedRuns int      // per side, for an inconclusive outcome; 0 where it cannot be said
	Reason   Reason
}

// Compare is a regression gate: pass where the ratio new/old is shown to be at most 1+margin (the upper end of its
// interval is), fail where it is shown to be above (the lower end is), else inconclusive. Fewer than six runs on a
// side are never more than inconclusive. Runs should be interleaved (old, new, new, old). Errors wrap ErrInput:
// values not above 0, a margin outside [0,10], a level outside (0,1).
func Compare(before, after []RunSummary, margin, level float64) (Comparison, error) {
	if !(margin >= 0 && margin <= 10) {
		return Comparison{}, inputErrorf("margin: %v is out of range, want 0 to 10", margin)
	}
	x, err := logValues(after)
	if err != nil {
		return Comparison{}, err
	}
	y, err := logValues(before)
	if err != nil {
		return Comparison{}, err
	}
	r, err := MannWhitney(x, y, level)
	if err != nil {
		return Comparison{}, err
	}
	out := Comparison{Outcome: Inconclusive, Ratio: math.Exp(r.HodgesLehmann), Margin: margin, P: r.P, RatioCI: r.Shift}
	out.RatioCI.Low, out.RatioCI.High = math.Exp(r.Shift.Low), math.Exp(r.Shift.High)
	least := min(len(x), len(y))
	switch {
	case least < minimumRuns:
		out.RatioCI.Why = fmt.Sprintf("needs at least %d runs on each side", minimumRuns)
		out.NeedRuns = minimumRuns
	case out.RatioCI.High <= 1+margin:
		out.Outcome = Pass
	case out.RatioCI.Low > 1+margin:
		out.Outcome = Fail
	default:
		out.NeedRuns = runsNeeded(out, least)
	}
	out.Reason = comparisonReason(out, least)
	return out, nil
}

func logValues(runs []RunSummary) ([]float64, error) {
	if len(runs) == 0 {
		return nil, inputErrorf("runs: none given, want at least one on each side")
	}
	out := make([]float64, len(runs))
	for i, r := range runs {
		if !(r.Value > 0) || math.IsInf(r.Value, 1) {
			return nil, inputErrorf("runs: value %v of run %d is not above 0", r.Value, i+1)
		}
		out[i] = math.Log(r.Value)
	}
	return out, nil
}

// runsNeeded shrinks the interval like 1/sqrt(n) until it clears the margin; 0 where the estimate lies on it.
func runsNeeded(c Comparison, runs int) int {
	limit := math.Log1p(c.Margin)
	estimate := math.Log(c.Ratio)
	room := math.Abs(limit - estimate)
	half := math.Log(c.RatioCI.High) - estimate
	if estimate > limit {
		half = estimate - math.Log(c.RatioCI.Low)
	}
	if room < 1e-9 || !(half > 0) {
		return 0
	}
	n := float64(runs) * (half / room) * (half / room)
	if n > 1e6 {
		return 0
	}
	return max(runs+1, int(math.Ceil(n)))
}

func comparisonReason(c Comparison, runs int) Reason {
	span := fmt.Sprintf("%.3g times the old (likely range %.3g to %.3g), allowed %.3g",
		c.Ratio, c.RatioCI.Low, c.RatioCI.High, 1+c.Margin)
	switch {
	case c.Outcome == Pass:
		return Reason{CodeWithin, "Not slower than allowed: the new is " + span + "."}
	case c.Outcome == Fail:
		return Reason{CodeOutside, "Slower than allowed: the new is " + span + "."}
	case runs < minimumRuns:
		return Reason{CodeTooFew, fmt.Sprintf("%s on a side cannot tell; send at least %d.",
			plural(int64(runs), "run", "runs"), minimumRuns)}
	case c.NeedRuns == 0:
		return Reason{CodeEdge, "The new is " + span + ": on the edge of what is allowed, no number of runs helps."}
	}
	return Reason{CodeTooFew, fmt.Sprintf("The new is %s: about %d runs on each side would tell.", span, c.NeedRuns)}
}
