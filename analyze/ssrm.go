package analyze

import "math"

// SSRMLook is one look of the sequential sample-ratio test of Optimizely's ssrm, for comparison with it.
type SSRMLook struct {
	LnBayesFactor float64 // natural logarithm
	P             float64 // running minimum of min(1, 1/Bayes factor)
	Posterior     float64 // of "the shares are not the declared ones", prior odds 1
}

// SSRM repeats the test of Optimizely's ssrm (one Dirichlet prior of the given concentration, its default being
// 10,000) on batches of counts, in logarithms and without the digits that the original loses. Weight-0 backends,
// which give NaN there, are an error here, as are counts that do not fit the weights; errors wrap ErrInput.
func SSRM(w Weights, batches [][]int64, concentration float64) ([]SSRMLook, error) {
	total, err := w.total()
	if err != nil {
		return nil, err
	}
	if !(concentration > 0) || math.IsInf(concentration, 1) {
		return nil, inputErrorf("concentration: %v is out of range, want above 0", concentration)
	}
	pi := make([]float64, len(w))
	for i, x := range w {
		if x.W == 0 {
			return nil, inputErrorf("weights: backend %q has weight 0, which this test cannot hold", x.Backend)
		}
		pi[i] = float64(x.W) / float64(total)
	}
	n := make([]float64, len(w))
	p := 1.0
	out := make([]SSRMLook, 0, len(batches))
	for _, batch := range batches {
		if err := (Counts{N: batch}).validate(w); err != nil {
			return nil, err
		}
		for i, x := range batch {
			n[i] += float64(x)
		}
		lnBF := lnDirichlet(n, pi, concentration) - lnLikelihood(n, pi)
		p = math.Min(p, math.Exp(-lnBF))
		out = append(out, SSRMLook{LnBayesFactor: lnBF, P: p, Posterior: 1 / (1 + math.Exp(-lnBF))})
	}
	return out, nil
}
