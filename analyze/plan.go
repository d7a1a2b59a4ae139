package analyze

import "math"

// Prospect is what a run of a given size can be expected to show: the numbers of a plan. They are error rates of the
// whole decision, computed with exact binomial tests for independent requests.
type Prospect struct {
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
		NoticeablePoints: noticeable(w, n, o.Alpha, o.Power),
		FailAtTwice:      make([]float64, len(w)), TolerancePoints: make([]float64, len(w)),
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

// firstIn is the smallest n above low and up to high for which f holds; f, false and then true, counts as false at low
// and as true at high and is asked at neither.
func firstIn(low, high int64, f func(n int64) bool) int64 {
	for high-low > 1 {
		if mid := low + (high-low)/2; f(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// bisect halves a range at whose lower end f is false and at whose upper end it is true, so many times at most.
func bisect(low, high float64, halvings int, f func(x float64) bool) (below, above float64) {
	for range halvings {
		mid := low + (high-low)/2
		if mid == low || mid == high {
			break
		}
		if f(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return low, high
}

// sumOf adds up.
func sumOf[T int64 | float64](x []T) (sum T) {
	for _, v := range x {
		sum += v
	}
	return sum
}

// planLimit is the largest number of requests that a plan names; above it the answer is that no number helps.
const planLimit = 1e9

// RequiredRequests is the number of requests, all of them attributed, with which a split that is on target passes
// with probability o.Power at least: computed with exact binomial tails, for three or more backends by adding up
// their error rates. For the chi-square gate it is the number at which the test has that power against the smallest
// shift that is outside the tolerance. About 2,400 for 50/50 with the defaults. Errors wrap ErrInput; a tolerance
// that would need more than 1e9 requests is one.
func RequiredRequests(w Weights, o Options) (int64, error) {
	if err := o.validateFor(w); err != nil {
		return 0, err
	}
	t := newTest(w, o)
	need := t.neededOnTarget(o)
	if need.Requests == 0 {
		return 0, inputErrorf("tolerance: it is too narrow: more than 1,000,000,000 requests would be needed")
	}
	return need.Requests, nil
}

func (t *test) neededOnTarget(o Options) Needed {
	if o.Gate == GateChiSquare {
		return t.neededForChiSquare(o)
	}
	return t.neededToPass(t.onTarget(), o)
}

// onTarget are the true shares of a split that is right.
func (t *test) onTarget() []float64 {
	truth := make([]float64, len(t.bands))
	for j, b := range t.bands {
		truth[j] = b.pi
	}
	return truth
}

// neededAsObserved is the number if the true shares are those observed.
func (t *test) neededAsObserved(n []int64, total int64, o Options) Needed {
	if total == 0 {
		return Needed{Why: NeedObservations}
	}
	if o.Gate == GateChiSquare {
		return t.neededForChiSquare(o)
	}
	truth := make([]float64, len(t.bands))
	inside := true
	worst := 0
	for j, i := range t.index {
		truth[j] = float64(n[i]) / float64(total)
		inside = inside && math.Abs(truth[j]-t.bands[j].pi) < t.bands[j].delta
		if t.excess(j, truth[j]) > t.excess(worst, truth[worst]) {
			worst = j
		}
	}
	if inside {
		return t.neededToPass(truth, o)
	}
	need := Needed{}
	for j := range t.bands {
		found := t.neededToFail(j, truth[j], o)
		if found.Requests > 0 && (need.Requests == 0 || found.Requests < need.Requests) {
			need = found
		}
	}
	if need.Requests == 0 {
		return t.edge(worst)
	}
	return need
}

// excess is how far outside its tolerance a share is; negative inside.
func (t *test) excess(j int, share float64) float64 {
	return math.Abs(share-t.bands[j].pi) - t.bands[j].delta
}

func (t *test) edge(j int) Needed { return Needed{Why: NeedEdge, Backend: t.w[t.index[j]].Backend} }

// passPower is a lower bound of the probability that total requests with the given true shares pass: exact for one and
// two backends, the sum of the exact misses for more.
func (t *test) passPower(truth []float64, total int64) float64 {
	lnAlpha := math.Log(t.alpha)
	if len(t.bands) == 2 {
		low, high := t.bands[0].matchRange(total, lnAlpha)
		low2, high2 := t.bands[1].matchRange(total, lnAlpha)
		low, high = max(low, total-high2), min(high, total-low2)
		return between(low, high, total, truth[0])
	}
	miss := 0.0
	for j, b := range t.bands {
		low, high := b.matchRange(total, lnAlpha)
		miss += 1 - between(low, high, total, truth[j])
	}
	return math.Max(0, 1-miss)
}

// between is P(low <= X <= high) for X ~ Binomial(total, p).
func between(low, high, total int64, p float64) float64 {
	if low > high {
		return 0
	}
	return math.Max(0, 1-math.Exp(lnLower(low-1, total, p, 1-p))-math.Exp(lnUpper(high+1, total, p, 1-p)))
}

// beyond is P(X <= low) + P(X >= high) for X ~ Binomial(total, p).
func beyond(low, high, total int64, p float64) float64 {
	return math.Exp(lnLower(low, total, p, 1-p)) + math.Exp(lnUpper(high, total, p, 1-p))
}

// differPower is the probability that the share is shown to be outside where it is truth.
func (b band) differPower(total int64, alpha, tests, truth float64) float64 {
	low, high := b.differRange(total, math.Log(alpha), tests)
	return beyond(low, high, total, truth)
}

func (t *test) neededToPass(truth []float64, o Options) Needed {
	zAlpha := normalQuantile(1 - t.alpha)
	start, worst := 1.0, 0
	for j, b := range t.bands {
		room := b.delta - math.Abs(truth[j]-b.pi)
		beta := (1 - o.Power) / math.Max(1, float64(len(t.bands)-1))
		z := zAlpha + normalQuantile(1-beta/2)
		v := math.Max(truth[j]*(1-truth[j]), b.pi*(1-b.pi)/100)
		if n := z * z * v / (room * room); n > start || math.IsNaN(n) {
			start, worst = n, j
		}
	}
	found, ok := smallestTotal(start, func(total int64) bool { return t.passPower(truth, total) >= o.Power })
	if ok {
		return Needed{Requests: found}
	}
	if truth[worst] != t.bands[worst].pi {
		return t.edge(worst)
	}
	return Needed{Why: NeedNarrow}
}

func (t *test) neededToFail(j int, truth float64, o Options) Needed {
	b := t.bands[j]
	out := t.excess(j, truth)
	if out <= 0 {
		return Needed{}
	}
	z := normalQuantile(1-t.alpha/2/t.factor) + normalQuantile(o.Power)
	v := math.Max(truth*(1-truth), b.pi*(1-b.pi)/100)
	found, _ := smallestTotal(z*z*v/(out*out), func(total int64) bool {
		return b.differPower(total, t.alpha, t.factor, truth) >= o.Power
	})
	return Needed{Requests: found}
}

// neededForChiSquare is the number at which the test notices the smallest shift outside the tolerance with the power
// asked.
func (t *test) neededForChiSquare(o Options) Needed {
	if len(t.bands) < 2 {
		return Needed{Requests: 1}
	}
	start := noncentralityFor(o.Alpha, o.Power, len(t.bands)-1) / t.leastEffect()
	if found, ok := smallestTotal(start, func(total int64) bool { return t.chiSquarePower(total) >= o.Power }); ok {
		return Needed{Requests: found}
	}
	return Needed{Why: NeedNarrow}
}

// smallestTotal finds a total for which enough holds, near the smallest one: enough is nearly monotone (the power of
// an exact test saws), so a bisection finds the neighbourhood and a walk upwards the number. ok is false above
// planLimit.
func smallestTotal(start float64, enough func(total int64) bool) (int64, bool) {
	if !(start < planLimit) {
		return 0, false
	}
	high := max(1, int64(start))
	low := int64(0)
	for !enough(high) {
		low = high
		high += high/16 + 1
		if float64(high) > planLimit {
			return 0, false
		}
	}
	for low == 0 && high > 1 {
		if next := high - high/16 - 1; next >= 1 && enough(next) {
			high = next
		} else {
			low = max(0, next)
			break
		}
	}
	return firstIn(low, high, enough), true
}

// chiSquarePower is the power of the chi-square gate against the smallest shift outside the tolerance: exact for two
// backends, by the noncentral chi-square for more.
func (t *test) chiSquarePower(total int64) float64 {
	if total == 0 {
		return 0
	}
	if len(t.bands) == 2 {
		return t.exactPower2(total)
	}
	df := float64(len(t.bands) - 1)
	_, sf := NoncentralChiSquare(ChiSquareISF(t.alpha, df), df, float64(total)*t.leastEffect())
	return sf
}

// leastEffect is the noncentrality per request of the smallest shift outside the tolerance.
func (t *test) leastEffect() float64 {
	effect := math.Inf(1)
	for _, b := range t.bands {
		effect = math.Min(effect, b.delta*b.delta/(b.pi*(1-b.pi)))
	}
	return effect
}

// exactPower2 is the smaller of the exact powers at the two edges of the narrower tolerance.
func (t *test) exactPower2(total int64) float64 {
	w1, w2 := t.w[t.index[0]].W, t.w[t.index[1]].W
	lnAlpha := math.Log(t.alpha)
	centre := int64(float64(total) * t.bands[0].pi)
	extreme := func(n int64) bool { return exactPearson2(n, total, w1, w2) < lnAlpha }
	high := centre + 1 + firstIn(-1, total-centre, func(n int64) bool { return extreme(min(total, centre+1+n)) })
	low := centre - firstIn(-1, centre+1, func(n int64) bool { return extreme(max(0, centre-n)) })
	delta := math.Min(t.bands[0].delta, t.bands[1].delta)
	power := 1.0
	for _, p := range []float64{t.bands[0].pi - delta, t.bands[0].pi + delta} {
		if p < vacuous || p > 1-vacuous {
			continue
		}
		power = math.Min(power, beyond(low, high, total, p))
	}
	return math.Min(1, power)
}
