package analyze

import (
	"math"

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
