package analyze

import "math"

// noncentralNormalFrom is the noncentrality above which Sankaran's normal approximation (relative error below 1e-4
// there) replaces the Poisson mixture.
const noncentralNormalFrom = 1e5

// NoncentralChiSquare is the distribution function and its complement of the noncentral chi-square with df degrees of
// freedom and noncentrality lambda at x, each summed for itself so that both tails are right (the Poisson mixture of
// Benton and Krishnamoorthy 2003, run in the stable direction for each). All unitless; gonum v0.17 has none.
// Arguments out of range count as their nearest limit.
func NoncentralChiSquare(x, df, lambda float64) (cdf, sf float64) {
	switch {
	case !(x > 0) || !(df >= 0):
		return 0, 1
	case math.IsInf(x, 1):
		return 1, 0
	case !(lambda > 0):
		return math.Exp(ChiSquareLogCDF(x, df)), math.Exp(ChiSquareLogSF(x, df))
	case lambda > noncentralNormalFrom:
		return sankaran(x, df, lambda)
	}
	mean := lambda / 2
	spread := 12*math.Sqrt(mean) + 60
	from, to := math.Max(0, math.Floor(mean-spread)), math.Ceil(mean+spread)
	a, y := df/2, x/2
	atZero := 0.0
	if a == 0 && from == 0 {
		// j = 0 is a point mass at 0, which lies below x.
		atZero, from = math.Exp(-mean), 1
	}
	// Survival upwards: Q(a+1,y) = Q(a,y) + y^a e^-y / Gamma(a+1), all positive.
	weight, step := gammaStep(from, mean), gammaStep(a+from, y)
	upper := math.Exp(lnGammaUpper(a+from, y))
	for j := from; j <= to; j++ {
		sf += weight * upper
		upper += step
		weight *= mean / (j + 1)
		if step *= y / (a + j + 1); step < 1e-290 {
			step = gammaStep(a+j+1, y) // it may rise again from below the range of float64
		}
	}
	// Distribution function downwards, for the same reason.
	lower := math.Exp(lnGammaLower(a+to, y))
	weight = gammaStep(to, mean)
	step = gammaStep(a+to-1, y)
	for j := to; j >= from; j-- {
		cdf += weight * lower
		lower += step
		weight *= j / mean
		if a+j-1 <= 0 {
			break
		}
		if step *= (a + j - 1) / y; step < 1e-290 {
			step = gammaStep(a+j-2, y)
		}
	}
	return math.Min(1, cdf+atZero), math.Min(1, sf)
}

// gammaStep is y^a e^-y / Gamma(a+1), which is also the Poisson probability of a at mean y.
func gammaStep(a, y float64) float64 {
	lg, _ := math.Lgamma(a + 1)
	return math.Exp(a*math.Log(y) - y - lg)
}

// sankaran is M. Sankaran's 1963 normal approximation.
func sankaran(x, df, lambda float64) (cdf, sf float64) {
	s := df + lambda
	h := 1 - 2*s*(df+3*lambda)/(3*(df+2*lambda)*(df+2*lambda))
	p := (df + 2*lambda) / (s * s)
	m := (h - 1) * (1 - 3*h)
	centre := 1 + h*p*(h-1-0.5*(2-h)*m*p)
	scale := h * math.Sqrt(2*p) * (1 + 0.5*m*p)
	z := (math.Pow(x/s, h) - centre) / scale
	return normalUpper(-z), normalUpper(z)
}

// noncentralityFor is the noncentrality at which the chi-square test with df degrees of freedom at level alpha has the
// given power; 0 where the level alone reaches it.
func noncentralityFor(alpha, power float64, df int) float64 {
	if df < 1 || power <= alpha {
		return 0
	}
	critical := ChiSquareISF(alpha, float64(df))
	reached := func(lambda float64) bool {
		if df == 1 { // the square of one normal variable
			c, m := math.Sqrt(critical), math.Sqrt(lambda)
			return normalUpper(c-m)+normalUpper(c+m) >= power
		}
		_, sf := NoncentralChiSquare(critical, float64(df), lambda)
		return sf >= power
	}
	low, high := 0.0, 1.0
	for !reached(high) && high < 1e9 {
		low, high = high, high*2
	}
	for high-low > 1e-13*high {
		mid := low + (high-low)/2
		if reached(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// noticeable is the smallest shift of each backend, in percentage points, that a chi-square test at level alpha of n
// requests notices with the given power, when the other backends share the shift in proportion: w*sqrt(pi(1-pi)). For a
// weight-0 backend, or a single one, it is the share at which at least one answer in n is as likely as power.
func noticeable(w Weights, n int64, alpha, power float64) []float64 {
	out := make([]float64, len(w))
	positive := w.Positive()
	lambda := 0.0
	if positive > 1 {
		lambda = noncentralityFor(alpha, power, positive-1)
	}
	for i, pi := range w.Shares() {
		switch {
		case n <= 0 || positive == 1 && len(w) == 1:
			out[i] = 100
		case pi == 0 || positive == 1:
			out[i] = -100 * math.Expm1(math.Log1p(-power)/float64(n))
		default:
			shift := math.Sqrt(lambda/float64(n)) * math.Sqrt(pi*(1-pi))
			out[i] = 100 * math.Min(shift, math.Max(pi, 1-pi))
		}
	}
	return out
}
