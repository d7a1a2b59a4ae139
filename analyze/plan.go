package analyze

import "math"

// Prospect is what a run of a given size can be expected to show: the numbers of a plan. They are error rates of the
// whole decision, computed with exact binomial tests for independent requests.
type Prospect struct {
	Requests          int64     // the size asked about
	PassOnTarget      float64   // probability of a pass on target; for three or more backends a lower bound
	FailAtTwice       []float64 // per backend: probability of a fail where its true share is off by twice its tolerance
	NoticeablePoints  []float64 // per backend, as in Decision
	TolerancePoints   []float64 // per backend, percentage points
	Planned           Needed    // what RequiredRequests says
	ExpectedLowPoints float64   // half width of the likely range of the largest share, percentage points
}

// Foresee says what n requests would show. For the chi-square gate, PassOnTarget is 1-alpha where the size suffices and
// FailAtTwice is the power of the test. Errors wrap ErrInput.
func Foresee(w Weights, n int64, o Options) (Prospect, error) {
	if err := o.validateFor(w); err != nil {
		return Prospect{}, err
	}
	if n < 1 || n > MaxRequests {
		return Prospect{}, inputErrorf("requests: %d is out of range, want at least 1 and at most %d", n, MaxRequests)
	}
	t := newTest(w, o)
	out := Prospect{
		Requests: n, NoticeablePoints: noticeable(w, n, o.Alpha, o.Power),
		FailAtTwice: make([]float64, len(w)), TolerancePoints: make([]float64, len(w)),
	}
	out.Planned = t.neededOnTarget(o)
	widest := 0.0
	for _, b := range t.bands {
		widest = math.Max(widest, b.pi*(1-b.pi))
	}
	out.ExpectedLowPoints = 100 * normalQuantile(1-o.Alpha/2) * math.Sqrt(widest/float64(n))
	out.PassOnTarget = t.passPower(t.onTarget(), n)
	if o.Gate == GateChiSquare {
		out.PassOnTarget = 0
		if len(t.bands) < 2 || t.chiSquarePower(n) >= o.Power {
			out.PassOnTarget = 1 - o.Alpha
		}
	}
	for r, i := range t.index {
		out.TolerancePoints[i] = 100 * t.bands[r].delta
		out.FailAtTwice[i] = t.failPower(r, n, 2*t.bands[r].delta, o)
	}
	for _, i := range t.zero {
		out.TolerancePoints[i] = 100 * t.leak
	}
	return out, nil
}

// failPower is the probability of a fail where one share is off by shift in the direction that is harder to see,
// through the test of that backend alone (a lower bound for three or more).
func (t *test) failPower(r int, n int64, shift float64, o Options) float64 {
	b := t.bands[r]
	out := 1.0
	for _, truth := range []float64{b.pi - shift, b.pi + shift} {
		if truth < 0 || truth > 1 || len(t.bands) < 2 {
			continue
		}
		var hit float64
		if o.Gate == GateChiSquare {
			df := float64(len(t.bands) - 1)
			_, hit = NoncentralChiSquare(ChiSquareISF(o.Alpha, df), df, float64(n)*shift*shift/(b.pi*(1-b.pi)))
		} else {
			hit = b.differPower(n, t.alpha, t.factor, truth)
		}
		out = math.Min(out, hit)
	}
	return math.Min(1, out)
}
