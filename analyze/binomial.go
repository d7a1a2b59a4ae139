package analyze

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// The binomial tails carry every exact result of this package, so they must stay right where gonum's do not:
// distuv.Binomial.Survival is 1-CDF (0 in the far tail) and mathext.RegIncBeta loses all digits in the tail above
// about n = 1e9. One method serves every n up to 2^53 and every p:
//
//   - variance n*p*q below tailSumVariance: the terms are summed outwards from k, all positive, no cancellation;
//   - above: P(X >= k) = k*q*pmf(k) * integral over s >= 0 of exp(-(k-(n+1)p)s - (n+1)K(s)), which is the incomplete
//     beta integral with t = logistic(logit(p)-s) and K(s) = ln(1-p+p*exp(-s)) + p*s; the integrand is log-concave and
//     smooth, and 32 Gauss-Legendre points give it to about 1e-12.
//
// Relative error in p is below 1e-11 up to n = 1e9 and below 1e-6 at n = 2^53, where the rounding of the argument p
// itself dominates; binomial_test.go holds it to values of 50-digit arithmetic.

// tailSumVariance is where summing terms (about nine standard deviations of them) costs more than the integral.
const tailSumVariance = 300

// lnUpper is ln P(X >= k) for X ~ Binomial(n, p). q must be 1-p, given separately so that neither loses digits.
func lnUpper(k, n int64, p, q float64) float64 {
	switch {
	case k <= 0 || q <= 0:
		return zeroOrNegInf(k <= n)
	case k > n || p <= 0:
		return math.Inf(-1)
	}
	if math.FMA(-float64(n), p, float64(k)) < 0 {
		// Below the mean the other tail is the small one.
		return ln1mExp(lnUpperDirect(n-k+1, n, q, p))
	}
	return lnUpperDirect(k, n, p, q)
}

// lnLower is ln P(X <= k) for X ~ Binomial(n, p).
func lnLower(k, n int64, p, q float64) float64 { return lnUpper(n-k, n, q, p) }

func zeroOrNegInf(certain bool) float64 {
	if certain {
		return 0
	}
	return math.Inf(-1)
}

// lnUpperDirect is lnUpper for 1 <= k <= n, k at or above the mean, 0 < p < 1.
func lnUpperDirect(k, n int64, p, q float64) float64 {
	lnPMF := lnBinomialPMF(k, n, p, q)
	variance := float64(n) * p * q
	if variance <= tailSumVariance {
		return math.Min(0, lnPMF+math.Log(sumUpwards(k, n, p/q)))
	}
	integral := tailIntegral(k, n, p, q)
	return math.Min(0, lnPMF+math.Log(float64(k))+math.Log(q)+math.Log(integral))
}

// sumUpwards is the sum of pmf(j)/pmf(k) over j = k..n.
func sumUpwards(k, n int64, odds float64) float64 {
	sum, term := 1.0, 1.0
	for j := k; j < n; j++ {
		term *= float64(n-j) / float64(j+1) * odds
		sum += term
		if term < 1e-17*sum {
			break
		}
	}
	return sum
}

// tailIntegral is the integral of the comment at the top of this file.
func tailIntegral(k, n int64, p, q float64) float64 {
	nu := float64(n) + 1
	drift := math.FMA(-float64(n), p, float64(k)) - p
	curve := nu * p * q
	const depth = 40 // e^-40 of the peak is below what a float64 sum can see
	end := 2 * depth / (drift + math.Sqrt(drift*drift+2*depth*curve))
	series := newCumulants(p, q)
	exponent := func(s float64) float64 { return -drift*s - nu*series.at(s, end) }
	for i := 0; i < 60 && exponent(end) > -depth+3; i++ {
		end *= 1.15 // a skewed integrand falls slower than its parabola
	}
	half := end / 2
	sum := 0.0
	for _, node := range legendre32 {
		sum += node.weight * (math.Exp(exponent(half*(1-node.x))) + math.Exp(exponent(half*(1+node.x))))
	}
	return sum * half
}

// cumulants evaluates K(s) = ln(1-p+p*exp(-s)) + p*s, the cumulant function of a centred Bernoulli variable at -s.
type cumulants struct {
	p, q float64
	c    [7]float64 // coefficients of s^2 ... s^8
}

func newCumulants(p, q float64) cumulants {
	v := p * q
	skew := q - p
	return cumulants{p: p, q: q, c: [7]float64{
		v / 2,
		-v * skew / 6,
		v * (1 - 6*v) / 24,
		-v * skew * (1 - 12*v) / 120,
		v * (1 - 30*v + 120*v*v) / 720,
		-v * skew * (1 - 60*v + 360*v*v) / 5040,
		v * (1 - 126*v + 1680*v*v - 5040*v*v*v) / 40320,
	}}
}

// at is K(s); the power series where the whole range of integration is short, because the closed form cancels there.
func (c *cumulants) at(s, end float64) float64 {
	if end < 0.05 {
		sum := 0.0
		for i := len(c.c) - 1; i >= 0; i-- {
			sum = sum*s + c.c[i]
		}
		return sum * s * s
	}
	if c.p <= c.q {
		return math.Log1p(c.p*math.Expm1(-s)) + c.p*s
	}
	return math.Log1p(c.q*math.Expm1(s)) - c.q*s
}

// lnBinomialPMF is ln P(X = k) by Loader's saddle-point form (C. Loader, "Fast and accurate computation of binomial
// probabilities", 2000): the deviance is computed from k-np, which FMA gives without cancellation.
func lnBinomialPMF(k, n int64, p, q float64) float64 {
	switch {
	case k < 0 || k > n:
		return math.Inf(-1)
	case p <= 0:
		return zeroOrNegInf(k == 0)
	case q <= 0:
		return zeroOrNegInf(k == n)
	case k == 0:
		return float64(n) * lnComplement(p, q)
	case k == n:
		return float64(n) * lnComplement(q, p)
	}
	nf, kf := float64(n), float64(k)
	rest := nf - kf
	d := math.FMA(-nf, p, kf)
	deviance := nf*p*entropyTerm(d/(nf*p)) + nf*q*entropyTerm(-d/(nf*q))
	return stirlingError(nf) - stirlingError(kf) - stirlingError(rest) - deviance -
		0.5*math.Log(2*math.Pi*kf*(rest/nf))
}

// lnComplement is ln q where p = 1-q, from whichever of the two is small.
func lnComplement(p, q float64) float64 {
	if p < q {
		return math.Log1p(-p)
	}
	return math.Log(q)
}

// entropyTerm is (1+u)ln(1+u) - u for u >= -1.
func entropyTerm(u float64) float64 {
	if math.Abs(u) > 0.15 {
		if u <= -1 {
			return 1
		}
		return (1+u)*math.Log1p(u) - u
	}
	// Sum of (-u)^j / (j(j-1)), j >= 2: the closed form cancels here.
	sum, power := 0.0, u*u
	for j := 2.0; j < 40; j++ {
		term := power / (j * (j - 1))
		sum += term
		if math.Abs(term) < 1e-17*sum {
			break
		}
		power *= -u
	}
	return sum
}

// stirlingError is ln n! minus Stirling's approximation, n a non-negative whole number.
func stirlingError(n float64) float64 {
	if n < float64(len(stirlingTable)) {
		return stirlingTable[int(n)]
	}
	i := 1 / (n * n)
	return (1.0/12 - i*(1.0/360-i*(1.0/1260-i*(1.0/1680-i/1188)))) / n
}

// ln1mExp is ln(1-e^x) for x <= 0.
func ln1mExp(x float64) float64 {
	if x > -math.Ln2 {
		return math.Log(-math.Expm1(x))
	}
	return math.Log1p(-math.Exp(x))
}

// lnAdd is ln(e^a + e^b).
func lnAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// stirlingTable is ln n! - ((n+1/2)ln n - n + ln(2 pi)/2) for n = 0..15 (0 at n = 0), mpmath 40 digits.
var stirlingTable = [...]float64{
	0,
	0.08106146679532725822,
	0.041340695955409294094,
	0.027677925684998339149,
	0.020790672103765093112,
	0.016644691189821192163,
	0.013876128823070747999,
	0.011896709945891770095,
	0.010411265261972096497,
	0.0092554621827127329177,
	0.0083305634333628712565,
	0.007573675487951840795,
	0.0069428401072095298657,
	0.0064089941880042070684,
	0.0059513701127588477356,
	0.005554733551962801371,
}

// legendre32 holds the positive nodes and weights of the 32-point Gauss-Legendre rule on [-1,1], mpmath 40 digits;
// the rule is symmetric. gonum's integrate/quad computes the same nodes at every call.
var legendre32 = [...]struct{ x, weight float64 }{
	{0.99726386184948156354, 0.0070186100094700966004},
	{0.9856115115452683354, 0.016274394730905670605},
	{0.96476225558750643077, 0.025392065309262059456},
	{0.93490607593773968917, 0.034273862913021433103},
	{0.89632115576605212397, 0.042835898022226680657},
	{0.84936761373256997013, 0.050998059262376176196},
	{0.79448379596794240696, 0.058684093478535547145},
	{0.73218211874028968039, 0.065822222776361846838},
	{0.66304426693021520098, 0.072345794108848506225},
	{0.58771575724076232904, 0.078193895787070306472},
	{0.50689990893222939002, 0.083311924226946755222},
	{0.42135127613063534536, 0.087652093004403811143},
	{0.33186860228212764978, 0.091173878695763884713},
	{0.23928736225213707454, 0.093844399080804565639},
	{0.14447196158279649349, 0.095638720079274859419},
	{0.048307665687738316235, 0.096540088514727800567},
}

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
