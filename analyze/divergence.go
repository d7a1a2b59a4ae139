package analyze

import (
	"math"
)

// The members of the Cressie-Read family by the lambda of PowerDivergence, named as in scipy.stats.power_divergence.
const (
	LambdaPearson      = 1.0
	LambdaCressieRead  = 2.0 / 3.0
	LambdaG            = 0.0
	LambdaFreemanTukey = -0.5
	LambdaModifiedG    = -1.0
	LambdaNeyman       = -2.0
)

// PowerDivergence is the statistic of Cressie and Read (1984), 2/(lambda(lambda+1)) * sum n((n/E)^lambda - 1), over
// the backends of positive weight, with its asymptotic p. It is infinite where lambda <= -1 and a backend got
// nothing, or where a weight-0 backend answered. Unitless; errors wrap ErrInput. The exact p of Pearson's member and
// of G are in Judge.
func PowerDivergence(w Weights, c Counts, lambda float64) (Statistic, error) {
	if _, err := w.total(); err != nil {
		return Statistic{}, err
	}
	if err := c.validate(w); err != nil {
		return Statistic{}, err
	}
	if math.IsNaN(lambda) || math.Abs(lambda) > 100 {
		return Statistic{}, inputErrorf("lambda: %v is out of range, want between -100 and 100", lambda)
	}
	cl := positiveCells(w, c)
	out := Statistic{DF: len(cl.n) - 1, Asymptotic: pFromLn(0, Asymptotic)}
	for i, x := range w {
		if x.W == 0 && c.N[i] > 0 {
			out.Value = math.Inf(1)
			out.Asymptotic = PValue{LnP: math.Inf(-1), Method: Asymptotic}
			return out, nil
		}
	}
	if cl.total == 0 || out.DF == 0 {
		return out, nil
	}
	observed, expected := cl.floats()
	out.Value = divergence(observed, expected, lambda)
	out.Asymptotic = pFromLn(ChiSquareLogSF(out.Value, float64(out.DF)), Asymptotic)
	return out, nil
}

func divergence(observed, expected []float64, lambda float64) float64 {
	switch lambda {
	case LambdaPearson:
		return pearsonValue(observed, expected)
	case LambdaG:
		return gValue(observed, expected)
	}
	sum := 0.0
	for i, e := range expected {
		n := observed[i]
		switch {
		case lambda == LambdaModifiedG && n == 0, lambda < -1 && n == 0:
			return math.Inf(1)
		case lambda == LambdaModifiedG:
			// E ln(E/n) - (E-n), which sums to the same.
			sum += 2 * n * entropyTerm((e-n)/n)
		case n > 0:
			// The deviations sum to 0, so lambda*(n-E) may be taken off every term: it keeps each of them positive.
			sum += 2 / (lambda * (lambda + 1)) * (n*math.Expm1(lambda*math.Log(n/e)) - lambda*(n-e))
		default:
			sum += 2 / (lambda + 1) * e
		}
	}
	return math.Max(0, sum)
}

// EffectSize says how far observed shares are from the declared ones, apart from any test.
type EffectSize struct {
	CohensW            float64   // sqrt(X2/N), unitless
	CohensWUnbiased    float64   // sqrt(max(0,X2-df)/N): chance alone makes X2 about df
	TotalVariation     float64   // half the sum of |observed - expected| shares, 0 to 1
	MaxDeviationPoints float64   // percentage points
	Ratio              []float64 // observed over declared share, per backend
}

// Effect is the effect size over the backends of positive weight; Ratio is observed over declared share per backend
// of w, 0 for weight 0. All 0 without requests. Errors wrap ErrInput.
func Effect(w Weights, c Counts) (EffectSize, error) {
	if _, err := w.total(); err != nil {
		return EffectSize{}, err
	}
	if err := c.validate(w); err != nil {
		return EffectSize{}, err
	}
	out := EffectSize{Ratio: make([]float64, len(w))}
	cl := positiveCells(w, c)
	if cl.total == 0 {
		return out, nil
	}
	observed, expected := cl.floats()
	total := float64(cl.total)
	x2 := pearsonValue(observed, expected)
	out.CohensW = math.Sqrt(x2 / total)
	out.CohensWUnbiased = math.Sqrt(math.Max(0, x2-float64(len(cl.n)-1)) / total)
	for r, i := range cl.index {
		d := math.Abs(observed[r]-expected[r]) / total
		out.TotalVariation += d / 2
		out.MaxDeviationPoints = math.Max(out.MaxDeviationPoints, 100*d)
		out.Ratio[i] = observed[r] / expected[r]
	}
	return out, nil
}

// Order is what makes one outcome of a multinomial at least as extreme as another in ExactTest.
type Order string

// The orders. They matter where expected counts are small.
const (
	OrderPearson     Order = "pearson"     // by Pearson's statistic; the order of every other test of this package
	OrderG           Order = "g"           // by the log-likelihood ratio
	OrderProbability Order = "probability" // by the outcome's own probability
)

// ExactTest is the exact multinomial p over the backends of positive weight in the given order; ok is false where the
// size is out of reach (Pearson: the state cap; the others: two million outcomes). Errors wrap ErrInput.
func ExactTest(w Weights, c Counts, by Order, maxStates int) (p PValue, ok bool, err error) {
	if _, err := w.total(); err != nil {
		return PValue{}, false, err
	}
	if err := c.validate(w); err != nil {
		return PValue{}, false, err
	}
	cl := positiveCells(w, c)
	if len(cl.n) < 2 || cl.total == 0 {
		return pFromLn(0, Exact), true, nil
	}
	var lnP float64
	switch by {
	case OrderPearson:
		if len(cl.n) == 2 {
			lnP, ok = exactPearson2(cl.n[0], cl.total, cl.w[0], cl.w[1]), true
		} else {
			lnP, ok = exactPearsonK(cl.n, cl.w, max(0, maxStates))
		}
	case OrderG:
		lnP, ok = enumerate(cl.n, cl.w, orderG)
	case OrderProbability:
		lnP, ok = enumerate(cl.n, cl.w, orderProbability)
	default:
		return PValue{}, false, inputErrorf("order: %q is unknown", by)
	}
	return pFromLn(lnP, Exact), ok, nil
}
