package analyze

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

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
