package analyze

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// pFromLn makes a PValue of a logarithm, clipped to [0,1] against rounding.
func pFromLn(lnP float64, m Method) PValue {
	if math.IsNaN(lnP) || lnP > 0 {
		lnP = 0
	}
	if lnP == 0 {
		lnP = 0 // never -0
	}
	p := math.Exp(lnP)
	return PValue{P: p, LnP: lnP, Method: m, Lo: p, Hi: p}
}

// scaled multiplies a p-value by a count of tests, at most 1.
func (p PValue) scaled(factor float64) PValue {
	lf := math.Log(factor)
	out := pFromLn(p.LnP+lf, p.Method)
	out.Lo, out.Hi = math.Min(1, p.Lo*factor), math.Min(1, p.Hi*factor)
	if p.Method != MonteCarlo {
		out.Lo, out.Hi = out.P, out.P
	}
	return out
}

// Holm adjusts p-values for being several, by the step-down rule of S. Holm (1979), valid under any dependence; the
// order is kept and the result is at most 1. Values outside [0,1] count as 1.
func Holm(p []float64) []float64 {
	out := holmLn(lnOf(p))
	for i := range out {
		out[i] = math.Exp(out[i])
	}
	return out
}

func lnOf(p []float64) []float64 {
	lnP := make([]float64, len(p))
	for i, x := range p {
		if x >= 0 && x <= 1 {
			lnP[i] = math.Log(x)
		}
	}
	return lnP
}

// holmLn is Holm's rule on logarithms.
func holmLn(lnP []float64) []float64 {
	order := ascending(lnP)
	out := make([]float64, len(lnP))
	running := math.Inf(-1)
	for rank, i := range order {
		adjusted := math.Min(0, lnP[i]+math.Log(float64(len(lnP)-rank)))
		running = math.Max(running, adjusted)
		out[i] = running
	}
	return out
}

// monteCarloDraws is the number of simulated multinomials behind a Monte-Carlo p: about 0.1 s for four cells.
const monteCarloDraws = 100_000

// monteCarloWork bounds draws times cells.
const monteCarloWork = 600_000

// monteCarlo estimates the probability that a multinomial of total requests with weights w has a statistic of at
// least observed (less a relative 1e-12 for ties). The p is (hits+1)/(draws+1), which is never 0 and never too small
// on average (Phipson and Smyth 2010), with its 99 % Clopper-Pearson interval. The stream depends on seed alone.
func monteCarlo(total int64, w []int64, seed uint64, observed float64, statistic func(n []float64) float64) PValue {
	src := rand.NewPCG(seed, 0x73706c697462656e)
	draws := monteCarloDraws
	if draws*len(w) > monteCarloWork {
		draws = max(1000, monteCarloWork/len(w))
	}
	rest := make([]float64, len(w)+1)
	for j := len(w) - 1; j >= 0; j-- {
		rest[j] = rest[j+1] + float64(w[j])
	}
	n := make([]float64, len(w))
	threshold := observed - 1e-12*math.Abs(observed)
	hits := int64(0)
	for range draws {
		left := float64(total)
		for j := range w {
			n[j] = left
			if j < len(w)-1 && left > 0 {
				n[j] = distuv.Binomial{N: left, P: float64(w[j]) / rest[j], Src: src}.Rand()
			}
			left -= n[j]
		}
		if statistic(n) >= threshold {
			hits++
		}
	}
	p := (float64(hits) + 1) / (float64(draws) + 1)
	ci := ClopperPearson(hits, int64(draws), 0.99)
	out := pFromLn(math.Log(p), MonteCarlo)
	out.Lo, out.Hi = ci.Low, math.Max(ci.High, p)
	return out
}

// lnPearsonBound is a rigorous upper bound of ln P(Pearson's statistic >= x) for N multinomial requests, in closed
// form, for any number of cells: what is printed where neither the exact walk nor a simulation can see the p. It is
// the smaller of
//
//   - R. Agrawal, "Finite-sample concentration of the multinomial in relative entropy", IEEE Trans. Inf. Theory 66
//     (2020): ln P(G >= g) <= -g/2 + (k-1)(1 + ln(g/(2(k-1)))) for g > 2(k-1). Where every ratio of observed to
//     declared share is at most t, G is at least 2*kappa(t) times Pearson's statistic, kappa(t) =
//     (t ln t - t + 1)/(t-1)^2 falling in t;
//   - the sum over cells of two binomial tails: some standardised residual must be at least sqrt(x/(k-1)).
func lnPearsonBound(x float64, total int64, w []int64) float64 {
	sum, least := float64(sumOf(w)), float64(slices.Min(w))
	dims := float64(len(w) - 1)
	t := sum / least
	kappa := (t*math.Log(t) - t + 1) / ((t - 1) * (t - 1))
	// 1e-9 off the exponent pays for the rounding of x.
	best := lnGBound(2*kappa*x*(1-1e-9), dims)
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

// lnGBound is Agrawal's bound for G itself, dims being the number of cells less one.
func lnGBound(g, dims float64) float64 {
	if g <= 2*dims {
		return 0
	}
	return math.Min(0, -g/2+dims*(1+math.Log(g/(2*dims))))
}
