package analyze

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// ChiSquareLogSF is the natural logarithm of P(chi-square with df degrees of freedom >= x), right to about 1e-15
// relative for x up to 1e7 and beyond. gonum's ChiSquared.Survival is exactly 0 from x of about 1490 on and panics
// for df 0. df 0 is the constant 0. x and df are unitless; x below 0 counts as 0, NaN gives 0 (p = 1).
func ChiSquareLogSF(x, df float64) float64 {
	if !(x > 0) {
		return 0
	}
	if !(df > 0) {
		return math.Inf(-1)
	}
	return lnGammaUpper(df/2, x/2)
}

// ChiSquareLogCDF is the natural logarithm of P(chi-square with df degrees of freedom <= x): small where counts fit
// better than chance allows.
func ChiSquareLogCDF(x, df float64) float64 {
	if !(x > 0) {
		return zeroOrNegInf(!(df > 0))
	}
	if !(df > 0) {
		return 0
	}
	return lnGammaLower(df/2, x/2)
}

// ChiSquareISF is the x for which P(chi-square with df degrees of freedom >= x) = alpha, 0 < alpha < 1, df > 0; NaN
// outside. ChiSquared.Quantile of gonum has absolute accuracy only and panics at alpha = 1e-300; the inverse used
// here does not.
func ChiSquareISF(alpha, df float64) float64 {
	if !(alpha > 0 && alpha < 1 && df > 0) {
		return math.NaN()
	}
	return 2 * mathext.GammaIncRegCompInv(df/2, alpha)
}

// lnGammaUpper is ln Q(a,x), a > 0, x > 0.
func lnGammaUpper(a, x float64) float64 {
	if math.IsInf(x, 1) {
		return math.Inf(-1)
	}
	if x < a+1 {
		return ln1mExp(lnGammaSeries(a, x))
	}
	return lnGammaFraction(a, x)
}

// lnGammaLower is ln P(a,x), a > 0, x > 0.
func lnGammaLower(a, x float64) float64 {
	if math.IsInf(x, 1) {
		return 0
	}
	if x < a+1 {
		return lnGammaSeries(a, x)
	}
	return ln1mExp(lnGammaFraction(a, x))
}

// lnGammaSeries is ln P(a,x) by its power series, for x < a+1.
func lnGammaSeries(a, x float64) float64 {
	sum, term := 1.0, 1.0
	for i := 1; i < maxGammaTerms; i++ {
		term *= x / (a + float64(i))
		sum += term
		if term < 1e-17*sum {
			break
		}
	}
	return math.Min(0, lnGammaFactor(a, x)-math.Log(a)+math.Log(sum))
}

// maxGammaTerms is far above the few times sqrt(a) terms that either expansion needs.
const maxGammaTerms = 1_000_000

// lnGammaFraction is ln Q(a,x) by Lentz's continued fraction, for x >= a+1.
func lnGammaFraction(a, x float64) float64 {
	const tiny = 1e-300
	b := x + 1 - a
	c := 1 / tiny
	d := 1 / b
	h := d
	for i := 1; i < maxGammaTerms; i++ {
		an := -float64(i) * (float64(i) - a)
		b += 2
		d = an*d + b
		if math.Abs(d) < tiny {
			d = tiny
		}
		c = b + an/c
		if math.Abs(c) < tiny {
			c = tiny
		}
		d = 1 / d
		step := d * c
		h *= step
		if math.Abs(step-1) < 1e-16 {
			break
		}
	}
	return math.Min(0, lnGammaFactor(a, x)+math.Log(h))
}

// lnGammaFactor is a ln x - x - ln Gamma(a).
func lnGammaFactor(a, x float64) float64 {
	lg, _ := math.Lgamma(a)
	return a*math.Log(x) - x - lg
}

// normalUpper is P(Z >= z). distuv.Normal.Survival is 1-CDF and 0 from z = 9 on.
func normalUpper(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) }

// normalQuantile is the z with P(Z <= z) = p, 0 < p < 1.
func normalQuantile(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

// lnNormalUpper is ln P(Z >= z), right where Erfc underflows.
func lnNormalUpper(z float64) float64 {
	if z < 0 {
		return ln1mExp(lnNormalUpper(-z))
	}
	return ChiSquareLogSF(z*z, 1) - math.Ln2
}
