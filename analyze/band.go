package analyze

import "math"

// vacuous is how close to 0 or 1 the edge of a tolerance may lie and still leave no share beyond it to test for.
const vacuous = 1e-12

// band is the tolerance around one backend's declared share, and the exact one-sided binomial tests at its two edges.
type band struct {
	pi, delta float64
}

func (b band) lowEdge() (p float64, tested bool)  { p = b.pi - b.delta; return p, p > vacuous }
func (b band) highEdge() (p float64, tested bool) { p = b.pi + b.delta; return p, p < 1-vacuous }

// lnMatch is ln of the p-value of "the true share is outside": the larger of the two one-sided tests (Schuirmann 1987).
func (b band) lnMatch(n, total int64) float64 {
	return math.Max(b.lnAboveLow(n, total), b.lnBelowHigh(n, total))
}

// lnAboveLow tests "the true share is at or below the low edge"; -Inf where no share is.
func (b band) lnAboveLow(n, total int64) float64 {
	if p, tested := b.lowEdge(); tested {
		return lnUpper(n, total, p, 1-p)
	}
	return math.Inf(-1)
}

// lnBelowHigh tests "the true share is at or above the high edge".
func (b band) lnBelowHigh(n, total int64) float64 {
	if p, tested := b.highEdge(); tested {
		return lnLower(n, total, p, 1-p)
	}
	return math.Inf(-1)
}

// lnDiffers is ln of the two-sided p-value of "the true share is inside or on the edge", before Bonferroni.
func (b band) lnDiffers(n, total int64) float64 {
	out := 0.0
	if p, tested := b.lowEdge(); tested {
		out = math.Min(out, math.Ln2+lnLower(n, total, p, 1-p))
	}
	if p, tested := b.highEdge(); tested {
		out = math.Min(out, math.Ln2+lnUpper(n, total, p, 1-p))
	}
	return out
}

// matchRange is the range of counts that show the share to be inside at level alpha; low > high where none does.
func (b band) matchRange(total int64, lnAlpha float64) (low, high int64) {
	low, high = 0, total
	if p, tested := b.lowEdge(); tested {
		low = firstCountNear(total, p, -lnAlpha, 1, func(n int64) bool { return lnUpper(n, total, p, 1-p) <= lnAlpha })
	}
	if p, tested := b.highEdge(); tested {
		high = firstCountNear(total, p, -lnAlpha, -1, func(n int64) bool { return lnLower(n, total, p, 1-p) > lnAlpha }) - 1
	}
	return low, high
}

// differRange returns the counts that show the share to be outside: n <= low or n >= high. tests is the Bonferroni
// factor.
func (b band) differRange(total int64, lnAlpha, tests float64) (low, high int64) {
	level := lnAlpha - math.Ln2 - math.Log(tests)
	low, high = -1, total+1
	if p, tested := b.lowEdge(); tested {
		low = firstCountNear(total, p, -level, -1, func(n int64) bool { return lnLower(n, total, p, 1-p) > level }) - 1
	}
	if p, tested := b.highEdge(); tested {
		high = firstCountNear(total, p, -level, 1, func(n int64) bool { return lnUpper(n, total, p, 1-p) <= level })
	}
	return low, high
}

// firstCountNear is firstIn over 0..total+1 for the edge of a binomial tail: it starts where a normal tail of the same
// size ends, on the side of the mean that side (1 or -1) names, and widens from there.
func firstCountNear(total int64, p, depth, side float64, f func(n int64) bool) int64 {
	sd := math.Sqrt(float64(total) * p * (1 - p))
	z := math.Sqrt(2 * math.Max(0, depth-math.Log1p(math.Sqrt(depth)))) // a rough quantile: only speed hangs on it
	guess := clampInt(float64(total)*p+side*z*sd, total)
	step := max(1, int64(sd/8))
	low, high := guess-step, guess+step
	for low >= 0 && f(low) {
		low, step = low-step, 2*step
	}
	for high <= total && !f(high) {
		high, step = high+step, 2*step
	}
	return firstIn(max(low, -1), min(high, total+1), f)
}

// test is everything that the tolerance gate needs to know about a split: fixed before the counts are.
type test struct {
	w      Weights
	index  []int // of the backends of positive weight
	bands  []band
	zero   []int // of the backends of weight 0
	leak   float64
	alpha  float64
	factor float64 // Bonferroni factor of the minimum-effect test
}

func newTest(w Weights, o Options) test {
	t := test{w: w, leak: o.Tolerance.Leak, alpha: o.Alpha}
	for i, pi := range w.Shares() {
		if pi == 0 {
			t.zero = append(t.zero, i)
			continue
		}
		t.index = append(t.index, i)
		t.bands = append(t.bands, band{pi: pi, delta: o.Tolerance.Share(pi)})
	}
	// Two shares are complements: the test with the narrower band decides for both, so there is one test, not two. A
	// tolerated leak is one more test, and with it the two are complements no longer.
	t.factor = float64(len(t.bands))
	if len(t.bands) == 2 {
		t.factor = 1
	}
	if t.leak > 0 && len(t.zero) > 0 {
		t.factor = float64(len(t.bands) + 1)
	}
	return t
}

// lnMatch and lnDiffers are the intersection-union and the Bonferroni p over all backends of positive weight (Berger
// 1982; statistics as in docs/statistics.md). n is aligned to the weights.
func (t *test) lnMatch(n []int64, total int64) float64 {
	out := math.Inf(-1)
	for j, i := range t.index {
		out = math.Max(out, t.bands[j].lnMatch(n[i], total))
	}
	if hits := t.leaked(n); t.leak > 0 && hits > 0 {
		out = math.Max(out, lnLower(hits, total, t.leak, 1-t.leak))
	}
	return out
}

func (t *test) lnDiffers(n []int64, total int64) float64 {
	out := 0.0
	for j, i := range t.index {
		out = math.Min(out, t.bands[j].lnDiffers(n[i], total)+math.Log(t.factor))
	}
	if t.leak > 0 && len(t.zero) > 0 {
		out = math.Min(out, lnUpper(t.leaked(n), total, t.leak, 1-t.leak)+math.Log(t.factor))
	}
	return out
}

// leaked is the number of answers from backends of weight 0.
func (t *test) leaked(n []int64) int64 {
	var sum int64
	for _, i := range t.zero {
		sum += n[i]
	}
	return sum
}

// leakOutcome is what answers of weight-0 backends say alone: with no leak tolerated a single one is a failure; with
// one, a single-sided test at level alpha, which must show the leak to be smaller before anything passes.
func (t *test) leakOutcome(hits, total int64) Outcome {
	switch {
	case hits == 0:
		return Pass
	case t.leak == 0:
		return Fail
	case lnUpper(hits, total, t.leak, 1-t.leak)+math.Log(t.factor) <= math.Log(t.alpha):
		return Fail
	case lnLower(hits, total, t.leak, 1-t.leak) <= math.Log(t.alpha):
		return Pass
	}
	return Inconclusive
}

// outcome is the three-way conclusion of the tolerance gate.
func (t *test) outcome(lnMatch, lnDiffers float64, hits, total int64) Outcome {
	lnAlpha := math.Log(t.alpha)
	leak := t.leakOutcome(hits, total)
	switch {
	case total == 0:
		return Inconclusive
	case leak == Fail || lnDiffers <= lnAlpha:
		return Fail
	case lnMatch <= lnAlpha && leak == Pass:
		return Pass
	}
	return Inconclusive
}
