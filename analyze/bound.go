package analyze

import "math"

// lnPearsonBound is a rigorous upper bound of ln P(Pearson's statistic >= x) for N multinomial requests, in closed
// form, for any number of cells: what is printed where neither the exact walk nor a simulation can see the p. It is
// the smaller of
//
//   - R. Agrawal, "Finite-sample concentration of the multinomial in relative entropy", IEEE Trans. Inf. Theory 66 (2020):
//     ln P(G >= g) <= -g/2 + (k-1)(1 + ln(g/(2(k-1)))) for g > 2(k-1). Where every ratio of observed to declared share is at
//     most t, G is at least 2*kappa(t) times Pearson's statistic, kappa(t) = (t ln t - t + 1)/(t-1)^2 falling in t;
//   - the sum over cells of two binomial tails: some standardised residual must be at least sqrt(x/(k-1)).
func lnPearsonBound(x float64, total int64, w []int64) float64 {
	var sum float64
	least := math.Inf(1)
	for _, v := range w {
		sum += float64(v)
		least = math.Min(least, float64(v))
	}
	dims := float64(len(w) - 1)
	best := 0.0
	t := sum / least
	kappa := (t*math.Log(t) - t + 1) / ((t - 1) * (t - 1))
	// 1e-9 off the exponent pays for the rounding of x.
	if g := 2 * kappa * x * (1 - 1e-9); g > 2*dims {
		best = math.Min(best, -g/2+dims*(1+math.Log(g/(2*dims))))
	}
	union := math.Inf(-1)
	for _, v := range w {
		p, q := float64(v)/sum, (sum-float64(v))/sum
		nf := float64(total)
		reach := math.Sqrt(x*nf*p*q/dims) * (1 - 1e-9)
		union = lnAdd(union, lnLower(int64(math.Floor(nf*p-reach)), total, p, q))
		union = lnAdd(union, lnUpper(int64(math.Ceil(math.Min(nf*p+reach, nf+1))), total, p, q))
	}
	return math.Min(best, union)
}
