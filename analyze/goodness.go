package analyze

import (
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat"
)

// cells are the backends of positive weight: the only ones that a chi-square statistic can hold.
type cells struct {
	index []int // position in Weights
	n     []int64
	w     []int64 // reduced by their greatest common divisor
	total int64
	sum   float64 // of w
}

func positiveCells(w Weights, c Counts) cells {
	var out cells
	for i, x := range w {
		if x.W > 0 {
			out.index = append(out.index, i)
			out.w = append(out.w, x.W)
			out.n = append(out.n, c.N[i])
		}
	}
	out.w = reduced(out.w)
	out.total, out.sum = sumOf(out.n), float64(sumOf(out.w))
	return out
}

// with are the same cells with other counts.
func (c cells) with(n []int64) cells {
	c.n, c.total = n, sumOf(n)
	return c
}

func (c *cells) share(i int) float64 { return float64(c.w[i]) / c.sum }

// floats are observed and expected counts as gonum takes them.
func (c *cells) floats() (observed, expected []float64) {
	observed, expected = make([]float64, len(c.n)), make([]float64, len(c.n))
	for i, n := range c.n {
		observed[i], expected[i] = float64(n), float64(c.total)*c.share(i)
	}
	return observed, expected
}

// pearsonValue is Pearson's statistic by gonum's stat.ChiSquare, which is safe here: equal lengths and no expected
// count of 0 (with one it gives +Inf, or panics for unequal lengths).
func pearsonValue(observed, expected []float64) float64 { return stat.ChiSquare(observed, expected) }

// gValue is the log-likelihood ratio statistic, twice the sum of n ln(n/E). It is summed as twice E*h((n-E)/E), which
// is the same because the deviations sum to 0, and does not cancel.
func gValue(observed, expected []float64) float64 {
	sum := 0.0
	for i, e := range expected {
		sum += e * entropyTerm((observed[i]-e)/e)
	}
	return 2 * sum
}

// chiSquareTest is a statistic with the p of its limit law.
func chiSquareTest(value float64, df int) Statistic {
	return Statistic{Value: value, DF: df, Asymptotic: pFromLn(ChiSquareLogSF(value, float64(df)), Asymptotic)}
}

// goodnessOfFit computes the classical test over the positive cells.
func goodnessOfFit(c cells, o Options) GoodnessOfFit {
	one := pFromLn(0, Exact)
	certain := Statistic{DF: len(c.n) - 1, Asymptotic: pFromLn(0, Asymptotic), Exact: one}
	if c.total == 0 || len(c.n) < 2 {
		return GoodnessOfFit{Pearson: certain, G: certain}
	}
	observed, expected := c.floats()
	var out GoodnessOfFit
	df := len(c.n) - 1
	x2, g := pearsonValue(observed, expected), gValue(observed, expected)
	out.Pearson, out.G = chiSquareTest(x2, df), chiSquareTest(g, df)
	out.Pearson.Exact, out.G.Exact = exactPearson(c, x2, o), exactG(c, g, o)
	out.CohensW = math.Sqrt(x2 / float64(c.total))
	for i := range observed {
		d := math.Abs(observed[i]-expected[i]) / float64(c.total)
		out.TotalVariation += d / 2
		out.MaxDeviationPoints = math.Max(out.MaxDeviationPoints, 100*d)
	}
	out.TotalVariation = math.Min(1, out.TotalVariation)
	return out
}

// simulateUpTo is the number of requests up to which gonum's binomial sampler keeps its digits (it subtracts
// ln-gammas).
const simulateUpTo = 1e9

// exactPearson is the p of Pearson's statistic by the best method that the size allows: closed form for two cells,
// the exact walk, simulation, the rigorous bound; above 1e9 requests, where the walk does not fit and the limit law
// is right to about 1/N, the asymptotic p, named as such.
func exactPearson(c cells, x2 float64, o Options) PValue {
	if len(c.n) == 2 {
		return pFromLn(exactPearson2(c.n[0], c.total, c.w[0], c.w[1]), Exact)
	}
	if lnP, ok := exactPearsonK(c.n, c.w, o.MaxStates); ok {
		return pFromLn(lnP, Exact)
	}
	return simulated(c, x2, o.Seed, lnPearsonBound(x2, c.total, c.w), float64(len(c.n)-1), pearsonValue)
}

// exactG is the p of G, ordered by G itself.
func exactG(c cells, g float64, o Options) PValue {
	if len(c.n) == 2 {
		return pFromLn(exactG2(c.n[0], c.total, c.w[0], c.w[1]), Exact)
	}
	if lnP, ok := enumerateG(c.n, c.w); ok {
		return pFromLn(lnP, Exact)
	}
	return simulated(c, g, o.Seed, lnGBound(g, float64(len(c.n)-1)), float64(len(c.n)-1), gValue)
}

// simulated is the Monte-Carlo p, or the rigorous bound where the simulation could not see a p so small.
func simulated(c cells, value float64, seed uint64, lnBound, df float64, f func(n, e []float64) float64) PValue {
	if lnBound < math.Log(1e-7) {
		return pFromLn(lnBound, Bound)
	}
	if float64(c.total) > simulateUpTo {
		return pFromLn(ChiSquareLogSF(value, df), Asymptotic)
	}
	_, expected := c.floats()
	p := monteCarlo(c.total, c.w, seed, value, func(n []float64) float64 { return f(n, expected) })
	if lnBound < p.LnP {
		return pFromLn(lnBound, Bound)
	}
	return p
}

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
