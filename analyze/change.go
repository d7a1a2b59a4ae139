package analyze

import (
	"math"
	"slices"
)

// Change is where in a sequence of requests the split changed.
type Change struct {
	At          int     // requests before the change; the smallest of several best places
	Score       float64 // ln-likelihood gained over no change
	Low, High   int     // the shortest set of places that holds 95 % of the posterior, as its ends
	Posterior   float64 // of At
	NoChange    float64 // posterior of "not within this sequence"
	Categorised int     // requests that were used
}

func categorised(seq []int, k int) []int {
	return slices.DeleteFunc(slices.Clone(seq), func(x int) bool { return x < 0 || x >= k })
}

// KnownChange locates the change from one declared split to another: the posterior of the place, uniform over all
// places and "no change" (at = number of requests). A request that is impossible under the weights before or after
// bounds the place. before and after name the same backends in the same order; errors wrap ErrInput.
func KnownChange(seq []int, before, after Weights) (Change, error) {
	lnOld, err := lnShares(before)
	if err != nil {
		return Change{}, err
	}
	lnNew, err := lnShares(after)
	if err != nil {
		return Change{}, err
	}
	if len(lnOld) != len(lnNew) {
		return Change{}, inputErrorf("weights: %d backends before the change and %d after it", len(lnOld), len(lnNew))
	}
	for i := range before {
		if before[i].Backend != after[i].Backend {
			return Change{}, inputErrorf("weights: backend %d is %q before the change and %q after it",
				i, before[i].Backend, after[i].Backend)
		}
	}
	used := categorised(seq, len(lnOld))
	n := len(used)
	if n == 0 {
		return Change{}, inputErrorf("sequence: no request of a known backend")
	}
	lnL := changeLikelihood(used, lnOld, lnNew)
	out := Change{Categorised: n}
	best := math.Inf(-1)
	for t, v := range lnL {
		if v > best+1e-12 {
			best, out.At = v, t
		}
	}
	if math.IsInf(best, -1) {
		return Change{}, inputErrorf("sequence: no place of one change makes it possible: a weight-0 backend answered")
	}
	out.Score = best - lnL[n]
	total := 0.0
	for _, v := range lnL {
		total += math.Exp(v - best)
	}
	out.Posterior, out.NoChange = 1/total, math.Exp(lnL[n]-best)/total
	out.Low, out.High = credible(lnL, best, total, 0.95)
	return out, nil
}

// changeLikelihood is ln L of the sequence for a change after t requests, t = 0..n.
func changeLikelihood(seq []int, lnOld, lnNew []float64) []float64 {
	n := len(seq)
	out := make([]float64, n+1)
	suffix := make([]float64, n+1)
	for t := n - 1; t >= 0; t-- {
		suffix[t] = suffix[t+1] + lnNew[seq[t]]
	}
	prefix := 0.0
	for t := 0; t <= n; t++ {
		out[t] = prefix + suffix[t]
		if t < n {
			prefix += lnOld[seq[t]]
		}
	}
	return out
}

// credible is the range of the most probable places that together hold so much.
func credible(lnL []float64, best, total, level float64) (low, high int) {
	weights := make([]float64, len(lnL))
	for i, v := range lnL {
		weights[i] = -v
	}
	held := 0.0
	low, high = len(lnL), -1
	for _, t := range ascending(weights) {
		held += math.Exp(lnL[t]-best) / total
		low, high = min(low, t), max(high, t)
		if held >= level {
			break
		}
	}
	return low, high
}

func lnShares(w Weights) ([]float64, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	out := w.Shares()
	for i, share := range out {
		out[i] = math.Log(share)
	}
	return out, nil
}
