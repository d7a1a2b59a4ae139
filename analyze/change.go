package analyze

import (
	"math"
	"slices"
)

// Change is where in a sequence of requests the split changed.
type Change struct {
	At          int     // requests before the change; the smallest of several best places
	Score       float64 // Scan: largest G of two segments against one; KnownChange: ln-likelihood gained over no change
	Low, High   int     // KnownChange only: the shortest set of places that holds 95 % of the posterior, as its ends
	Posterior   float64 // KnownChange only: of At
	NoChange    float64 // KnownChange only: posterior of "not within this sequence"
	Categorised int     // requests that were used
}

// Scan looks for one change of unknown shares in a sequence of categories 0..k-1 (others are left out; places count
// the requests that are used): the largest likelihood ratio of two segments of at least minSegment against one. A
// sequence shorter than two segments gives a zero Change.
func Scan(seq []int, k, minSegment int) Change {
	used := categorised(seq, k)
	minSegment = max(1, minSegment)
	out := Change{Categorised: len(used)}
	if len(used) >= 2*minSegment {
		out.At, out.Score = largestRatio(used, k, minSegment)
	}
	return out
}

func categorised(seq []int, k int) []int {
	return slices.DeleteFunc(slices.Clone(seq), func(x int) bool { return x < 0 || x >= k })
}

// largestRatio returns the place of the largest likelihood ratio. ln L of a segment is sum n ln n - m ln m.
func largestRatio(seq []int, k, minSegment int) (at int, score float64) {
	n := len(seq)
	nLnN := make([]float64, n+1) // a table, since this is most of the work
	for i := 2; i <= n; i++ {
		nLnN[i] = float64(i) * math.Log(float64(i))
	}
	left, total := make([]int, k), make([]int, k)
	for _, x := range seq {
		total[x]++
	}
	whole := -nLnN[n]
	parts := 0.0 // sum over categories of both sides' n ln n
	for _, c := range total {
		whole += nLnN[c]
		parts += nLnN[c]
	}
	score = -1
	for t := 1; t <= n-minSegment; t++ {
		x := seq[t-1]
		l, r := left[x], total[x]-left[x]
		parts += nLnN[l+1] - nLnN[l] + nLnN[r-1] - nLnN[r]
		left[x]++
		if t < minSegment {
			continue
		}
		if g := 2 * (parts - nLnN[t] - nLnN[n-t] - whole); g > score+1e-9 {
			at, score = t, g
		}
	}
	return at, math.Max(0, score)
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
