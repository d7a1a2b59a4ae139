package analyze

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Names of the interval methods, as they appear in Interval.Method.
const (
	MethodWilson             = "wilson"
	MethodClopperPearson     = "clopperPearson"
	MethodGoodman            = "goodman"
	MethodBonferroni         = "bonferroniClopperPearson"
	whyNoRequests            = "no requests were counted"
	whyBadLevel              = "the level must be above 0 and below 1"
	whyBadCount              = "the count must be between 0 and the number of requests"
	inverseBetaGonumLimit    = 1e5 // above it mathext.InvRegIncBeta loses digits (0.35 for 0.50 at 1e8)
	normalApproximationFloor = 5   // Goodman's interval wants every count at least this (his 1965 paper)
)

// Wilson is the score interval for a share of x among n requests (E. B. Wilson 1927): the default for two backends. The
// result is a share, 0 to 1; Why is set where n is 0 or an argument is out of range.
func Wilson(x, n int64, level float64) Interval {
	return scoreInterval(x, n, level, 1, MethodWilson)
}

// scoreInterval is Wilson's interval with the level split over that many cells, which L. A. Goodman (1965) does for
// several shares.
func scoreInterval(x, n int64, level float64, cells int, method string) Interval {
	out, ok := newInterval(x, n, level, method)
	if ok {
		out.Low, out.High = scoreEnds(float64(x), float64(n), ChiSquareISF((1-level)/float64(cells), 1))
	}
	return out
}

// scoreEnds are the ends of Wilson's interval for z squared. The end that is 0 or 1 is exact.
func scoreEnds(x, n, z2 float64) (low, high float64) {
	half := math.Sqrt(z2) * math.Sqrt(x*(n-x)/n+z2/4)
	centre := x + z2/2
	// centre^2 - half^2 = x^2(1+z2/n): the lower end without cancellation, and the upper end as its mirror image.
	low = x * x * (1 + z2/n) / ((centre + half) * (n + z2))
	y := n - x
	high = 1 - y*y*(1+z2/n)/((y+z2/2+half)*(n+z2))
	return low, high
}

// ClopperPearson is the exact interval for a share of x among n requests (Clopper and Pearson 1934): its coverage is at
// least the level for every true share. Result and Why as in Wilson.
func ClopperPearson(x, n int64, level float64) Interval {
	return exactInterval(x, n, level, 1, MethodClopperPearson)
}

// exactInterval is Clopper and Pearson's with the level split over that many cells.
func exactInterval(x, n int64, level float64, cells int, method string) Interval {
	out, ok := newInterval(x, n, level, method)
	if ok {
		tail := (1 - level) / 2 / float64(cells)
		out.Low, out.High = lowerLimit(x, n, tail), upperLimit(x, n, tail)
	}
	return out
}

func newInterval(x, n int64, level float64, method string) (Interval, bool) {
	out := Interval{Low: 0, High: 1, Level: level, Method: method}
	switch {
	case !(level > 0 && level < 1):
		out.Level, out.Why = 0, whyBadLevel
	case n <= 0:
		out.Why = whyNoRequests
	case x < 0 || x > n:
		out.Why = whyBadCount
	}
	return out, out.Why == ""
}

// upperLimit is the one-sided exact upper bound of a share: the p with P(X <= x | n, p) = tail.
func upperLimit(x, n int64, tail float64) float64 {
	if x >= n {
		return 1
	}
	if x == 0 {
		return -math.Expm1(math.Log(tail) / float64(n))
	}
	if float64(n) <= inverseBetaGonumLimit {
		return mathext.InvRegIncBeta(float64(x)+1, float64(n-x), 1-tail)
	}
	return solveShare(func(p float64) bool { return lnLower(x, n, p, 1-p) <= math.Log(tail) })
}

// lowerLimit is the one-sided exact lower bound of a share: the p with P(X >= x | n, p) = tail.
func lowerLimit(x, n int64, tail float64) float64 {
	if x <= 0 {
		return 0
	}
	if x == n {
		return math.Exp(math.Log(tail) / float64(n))
	}
	if float64(n) <= inverseBetaGonumLimit {
		return mathext.InvRegIncBeta(float64(x), float64(n-x)+1, tail)
	}
	return solveShare(func(p float64) bool { return lnUpper(x, n, p, 1-p) >= math.Log(tail) })
}

// solveShare is the p in (0,1) from which on f holds.
func solveShare(f func(p float64) bool) float64 {
	low, high := bisect(0, 1, 200, f)
	return low + (high-low)/2
}

// simultaneous are the default intervals of a decision, which hold together at the level: Wilson for two backends
// (they are one interval and its mirror image), Goodman's where every count is at least 5, exact Bonferroni
// otherwise.
func simultaneous(n []int64, level float64) []Interval {
	total := sumOf(n)
	small := slices.ContainsFunc(n, func(x int64) bool { return x < normalApproximationFloor })
	out := make([]Interval, len(n))
	for i, x := range n {
		switch {
		case len(n) == 2:
			out[i] = Wilson(x, total, level)
		case small || len(n) == 1:
			out[i] = exactInterval(x, total, level, len(n), MethodBonferroni)
		default:
			out[i] = scoreInterval(x, total, level, len(n), MethodGoodman)
		}
	}
	return out
}
