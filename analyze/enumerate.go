package analyze

import (
	"cmp"
	"math"
	"slices"
)

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
