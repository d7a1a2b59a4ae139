package analyze

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
)

// Limits of the exact algorithm: past them it gives up and the caller takes a Monte-Carlo p, so that no input takes a
// second. A state costs two binomial tails, about a microsecond; a step one map entry.
const (
	defaultMaxStates = 200_000
	stepsPerState    = 10
)

// u128 is an unsigned 128-bit whole number: the integer statistic of 1e9 requests does not fit 64.
type u128 struct{ hi, lo uint64 }

func mul64(a, b uint64) u128 { hi, lo := bits.Mul64(a, b); return u128{hi, lo} }

func (a u128) add(b u128) u128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return u128{hi, lo}
}

func (a u128) sub(b u128) u128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return u128{hi, lo}
}

// times is a*b; the caller has checked that it fits.
func (a u128) times(b uint64) u128 {
	hi, lo := bits.Mul64(a.lo, b)
	return u128{hi + a.hi*b, lo}
}

func (a u128) less(b u128) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a u128) float() float64 { return math.Ldexp(float64(a.hi), 64) + float64(a.lo) }

// exactWalk is the state of exactPearsonK.
type exactWalk struct {
	weights  []int64  // ascending
	perUnit  []uint64 // lcm/w: the statistic is the sum of n*n*perUnit
	lcm      uint64
	rest     []int64 // rest[j] is the sum of weights[j:]
	observed u128
	lnP      float64
	states   int // left
	steps    int // left
}

type exactState struct {
	left int64 // requests not yet given to a cell
	sum  u128  // statistic of the cells done
}

// exactPearsonK is ln of the exact p of Pearson's statistic for two or more cells of positive weight: the probability
// of all outcomes whose statistic is at least the observed one. It walks the cells by ascending weight as conditional
// binomials, merges states of equal remainder and partial statistic, and takes what can no longer end below the
// observed statistic out at once as two binomial tails, so that a tiny p is a sum of tiny positive numbers and never
// 1-x. The statistic is the integer sum of n*n*lcm/w, which decides ties exactly. ok is false where it would need
// more than maxStates states or more than 126 bits. The idea of the walk is Hirji's network (K. Hirji, 1997), the
// conditional binomials are ours.
func exactPearsonK(n, w []int64, maxStates int) (lnP float64, ok bool) {
	maxStates = cmp.Or(maxStates, defaultMaxStates)
	walk, ok := newExactWalk(n, w, maxStates)
	if !ok {
		return 0, false
	}
	states := map[exactState]float64{{left: sumOf(n)}: 0}
	for j := 0; j < len(w)-2; j++ {
		if states, ok = walk.step(j, states); !ok {
			return 0, false
		}
	}
	if walk.states -= len(states); walk.states < 0 {
		return 0, false
	}
	walk.finish(len(w)-2, ordered(states))
	return math.Min(0, walk.lnP), true
}

// finish adds the tails of the last two cells, the largest upper bound first, until the rest cannot matter.
func (e *exactWalk) finish(j int, list []weighedState) {
	p, q := shares(e.weights[j], e.rest[j+1])
	bounds := make([]float64, len(list))
	for i, s := range list {
		bounds[i] = s.lnMass
		if s.sum.less(e.observed) {
			if low, high := e.below(j, s.left, e.observed.sub(s.sum)); low <= high {
				bounds[i] += chernoff(low-1, high+1, s.left, p, q)
			}
		}
		bounds[i] = -bounds[i]
	}
	for _, i := range ascending(bounds) {
		if -bounds[i] < e.lnP-negligible {
			break
		}
		e.absorb(j, list[i].exactState, list[i].lnMass)
	}
}

func newExactWalk(n, w []int64, maxStates int) (*exactWalk, bool) {
	w = reduced(w)
	order := make([]int, len(w))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(w[a], w[b]), cmp.Compare(n[a], n[b])) })
	lcm := int64(1)
	for _, x := range w {
		step := x / gcd(lcm, x)
		if lcm > math.MaxInt64/step {
			return nil, false
		}
		lcm *= step
	}
	maxStates = min(maxStates, 10_000_000) // memory
	walk := &exactWalk{
		lcm: uint64(lcm), lnP: math.Inf(-1), states: maxStates, steps: maxStates * stepsPerState,
		weights: make([]int64, len(w)), perUnit: make([]uint64, len(w)), rest: make([]int64, len(w)+1),
	}
	// The largest number formed is total^2 * lcm * sum, twice.
	if 2*bits.Len64(uint64(sumOf(n)))+bits.Len64(walk.lcm)+bits.Len64(uint64(sumOf(w))) > 124 {
		return nil, false
	}
	for j, i := range order {
		walk.weights[j], walk.perUnit[j] = w[i], walk.lcm/uint64(w[i])
		walk.observed = walk.observed.add(mul64(uint64(n[i]), uint64(n[i])).times(walk.perUnit[j]))
	}
	for j := len(w) - 1; j >= 0; j-- {
		walk.rest[j] = walk.rest[j+1] + walk.weights[j]
	}
	return walk, true
}

// step gives requests to cell j in every state.
func (e *exactWalk) step(j int, states map[exactState]float64) (map[exactState]float64, bool) {
	if e.states -= len(states); e.states < 0 {
		return nil, false
	}
	next := make(map[exactState]float64, len(states))
	p, q := shares(e.weights[j], e.rest[j+1])
	for _, s := range ordered(states) {
		low, high := e.absorb(j, s.exactState, s.lnMass)
		if low > high {
			continue
		}
		if high-low >= int64(e.steps) {
			return nil, false
		}
		e.steps -= int(high - low + 1)
		for n := low; n <= high; n++ {
			lnMass := s.lnMass + lnBinomialPMF(n, s.left, p, q)
			to := exactState{left: s.left - n, sum: s.sum.add(mul64(uint64(n), uint64(n)).times(e.perUnit[j]))}
			if old, seen := next[to]; seen {
				lnMass = lnAdd(old, lnMass)
			}
			next[to] = lnMass
		}
		if len(next) > e.states {
			return nil, false
		}
	}
	return next, true
}

type weighedState struct {
	exactState
	lnMass float64
}

// ordered lists the states in a fixed order, so that rounding is the same in every run.
func ordered(states map[exactState]float64) []weighedState {
	list := make([]weighedState, 0, len(states))
	for s, lnMass := range states {
		list = append(list, weighedState{s, lnMass})
	}
	slices.SortFunc(list, func(a, b weighedState) int {
		return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.sum.hi, b.sum.hi), cmp.Compare(a.sum.lo, b.sum.lo))
	})
	return list
}

// absorb adds to p all counts of cell j that can only end at or above the observed statistic, and returns the
// interval of the others; low > high where there are none.
func (e *exactWalk) absorb(j int, s exactState, lnMass float64) (low, high int64) {
	if !s.sum.less(e.observed) {
		e.lnP = lnAdd(e.lnP, lnMass)
		return 1, 0
	}
	low, high = e.below(j, s.left, e.observed.sub(s.sum))
	if low > high {
		e.lnP = lnAdd(e.lnP, lnMass)
		return low, high
	}
	p, q := shares(e.weights[j], e.rest[j+1])
	tails := lnAdd(lnLower(low-1, s.left, p, q), lnUpper(high+1, s.left, p, q))
	e.lnP = lnAdd(e.lnP, lnMass+tails)
	return low, high
}

// below is the interval of n for which n*n*lcm/w + (left-n)^2*lcm/W < room, W the weight of the cells after j: by
// Cauchy-Schwarz the least that those cells can add. For the last two cells it is the statistic itself.
func (e *exactWalk) below(j int, left int64, room u128) (low, high int64) {
	after := uint64(e.rest[j+1])
	limit := room.times(after)
	under := func(n int64) bool {
		r := uint64(left - n)
		x := mul64(uint64(n), uint64(n)).times(e.perUnit[j]).times(after)
		return x.add(mul64(r, r).times(e.lcm)).less(limit)
	}
	w, rest, l := float64(e.weights[j]), float64(after), float64(e.lcm)
	centre := float64(left) * (w / (w + rest))
	least := float64(left) * float64(left) / (w + rest) * l
	half := math.Sqrt(math.Max(0, (room.float()-least)/(l*(1/w+1/rest))))
	low, high = clampInt(math.Ceil(centre-half), left), clampInt(math.Floor(centre+half), left)
	// The float ends are off by a few units at most; the integers decide.
	middle := clampInt(math.Round(centre), left)
	for _, m := range []int64{middle, middle - 1, middle + 1, middle} {
		middle = m
		if m >= 0 && m <= left && under(m) {
			break
		}
	}
	if !under(middle) {
		return 1, 0
	}
	low, high = min(low, middle), max(high, middle)
	for low > 0 && under(low-1) {
		low--
	}
	for !under(low) {
		low++
	}
	for high < left && under(high+1) {
		high++
	}
	for !under(high) {
		high--
	}
	return low, high
}

// negligible is how far below the p so far (in ln) a part may lie and be left out: with at most a million parts, the
// relative error is below 1e-14.
const negligible = 46

// chernoff is an upper bound of ln(P(X <= low) + P(X >= high)) for X ~ Binomial(n, p), low and high on their sides of
// the mean or within one of it: less work than the tails themselves.
func chernoff(low, high, n int64, p, q float64) float64 {
	rate := func(k int64) float64 {
		if k < 0 || k > n {
			return math.Inf(1)
		}
		nf := float64(n)
		d := float64(k) - nf*p
		if math.Abs(d) < 2 {
			return 0
		}
		return nf*p*entropyTerm(d/(nf*p)) + nf*q*entropyTerm(-d/(nf*q))
	}
	return math.Ln2 - math.Min(rate(low), rate(high))
}

func clampInt(x float64, high int64) int64 {
	if !(x > 0) {
		return 0
	}
	return int64(math.Min(x, float64(high)))
}

// exactPearson2 is the exact p of Pearson's statistic for two cells, in closed form: the statistic grows with the
// distance of n from N*w1/(w1+w2), so the outcomes at least as far away are two binomial tails. Their ends are
// computed in 128-bit integers, which decides ties exactly. w1, w2 > 0, n <= total.
func exactPearson2(n, total, w1, w2 int64) float64 {
	low, high, all := mirrorTails(n, total, w1, w2)
	if all {
		return 0
	}
	p, q := shares(w1, w2)
	return lnAdd(lnLower(low, total, p, q), lnUpper(high, total, p, q))
}

// shares is w1/(w1+w2) and its complement.
func shares(w1, w2 int64) (p, q float64) {
	sum := float64(w1) + float64(w2)
	return float64(w1) / sum, float64(w2) / sum
}

// mirrorTails returns the two tails {X <= low} and {X >= high} of counts at least as far from the expected one as n
// is; all is true where n is exactly the expected count, and every outcome is as far.
func mirrorTails(n, total, w1, w2 int64) (low, high int64, all bool) {
	sum := uint64(w1) + uint64(w2)
	hi, lo := bits.Mul64(uint64(total), uint64(w1))
	quo, rem := bits.Div64(hi, lo, sum) // w1 < sum, so the quotient is below total
	expected := int64(quo)              // the expected count is expected + rem/sum
	switch {
	case n == expected && rem == 0:
		return 0, 0, true
	case n > expected:
		mirror := 2*expected - n
		if rem >= sum-rem { // 2*rem >= sum: the floor of twice the fraction is 1
			mirror++
		}
		return mirror, n, false
	default:
		mirror := 2*expected - n
		switch {
		case rem == 0:
		case rem <= sum-rem:
			mirror++
		default:
			mirror += 2
		}
		return n, mirror, false
	}
}

// enumerationLimit is the number of outcomes up to which G is enumerated whole: about 0.05 s.
const enumerationLimit = 2_000_000

// ascending is the order of indices by value, stable.
func ascending(x []float64) []int {
	out := make([]int, len(x))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	return out
}

// exactG2 is ln of the exact p of G for two cells. G falls to the expected count and rises after it, so the outcomes at
// least as extreme are two tails; the far one is found by bisection, ties within a relative 1e-9.
func exactG2(n, total, w1, w2 int64) float64 {
	p, q := shares(w1, w2)
	e1, e2 := float64(total)*p, float64(total)*q
	g := func(x int64) float64 {
		return e1*entropyTerm((float64(x)-e1)/e1) + e2*entropyTerm((float64(total-x)-e2)/e2)
	}
	threshold := g(n)
	threshold -= 1e-9 * threshold
	centre := int64(math.Floor(e1))
	// low is the largest count at or below the centre that is extreme, -1 if none; high mirrors it.
	low := firstIn(-1, centre+1, func(x int64) bool { return g(x) < threshold }) - 1
	high := firstIn(centre, total+1, func(x int64) bool { return g(x) >= threshold })
	if low+1 >= high {
		return 0
	}
	return lnAdd(lnLower(low, total, p, q), lnUpper(high, total, p, q))
}

// enumerateG is ln of the exact p of G by visiting every outcome; ok is false where there are more than
// enumerationLimit.
func enumerateG(n, w []int64) (lnP float64, ok bool) {
	total := sumOf(n)
	if outcomes(total, len(n)) > enumerationLimit {
		return 0, false
	}
	e := newEnumeration(total, w)
	observed := 0.0
	for i, x := range n {
		observed += e.score[i][x]
		e.reference += e.lnMass[i][x]
	}
	e.threshold = observed - 1e-9*math.Max(1, math.Abs(observed))
	e.visit(0, int(total), 0, 0)
	return math.Min(0, e.reference+math.Log(e.sum)+e.lnFactorial), true
}

func outcomes(total int64, k int) float64 {
	out := 1.0
	for i := 1; i < k; i++ {
		out *= (float64(total) + float64(i)) / float64(i)
	}
	return out
}

// enumeration holds, per cell and count, the additive parts of the score and of the ln of the mass.
type enumeration struct {
	score, lnMass [][]float64
	lnFactorial   float64 // of the total
	threshold     float64
	reference     float64 // ln mass of the observed outcome, without lnFactorial: the unit of sum
	sum           float64
}

func newEnumeration(total int64, w []int64) *enumeration {
	sum := float64(sumOf(w))
	lg, _ := math.Lgamma(float64(total) + 1)
	e := &enumeration{lnFactorial: lg}
	for _, x := range w {
		p := float64(x) / sum
		expected := float64(total) * p
		score, lnMass := make([]float64, total+1), make([]float64, total+1)
		for n := range score {
			nf := float64(n)
			lg, _ := math.Lgamma(nf + 1)
			lnMass[n] = nf*math.Log(p) - lg
			score[n] = expected * entropyTerm((nf-expected)/expected)
		}
		e.score, e.lnMass = append(e.score, score), append(e.lnMass, lnMass)
	}
	return e
}

func (e *enumeration) visit(cell, left int, score, lnMass float64) {
	if cell == len(e.score)-1 {
		if score+e.score[cell][left] >= e.threshold {
			e.sum += math.Exp(lnMass + e.lnMass[cell][left] - e.reference)
		}
		return
	}
	for n := 0; n <= left; n++ {
		e.visit(cell+1, left-n, score+e.score[cell][n], lnMass+e.lnMass[cell][n])
	}
}
