package analyze

import (
	"math"

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
	inverseBetaGonumLimit    = 1e5 // mathext.InvRegIncBeta rests on RegIncBeta, which loses digits above (0.35 for 0.50 at 1e8)
	normalApproximationFloor = 5   // Goodman's interval wants every count at least this (his 1965 paper, and Cochran's rule)
)

// Wilson is the score interval for a share of x among n requests (E. B. Wilson 1927): the default for two backends. The
// result is a share, 0 to 1; Why is set where n is 0 or an argument is out of range.
func Wilson(x, n int64, level float64) Interval {
	out, ok := newInterval(x, n, level, MethodWilson)
	if !ok {
		return out
	}
	z2 := ChiSquareISF(1-level, 1)
	out.Low, out.High = scoreInterval(float64(x), float64(n), z2)
	return out
}

// scoreInterval is Wilson's interval for z squared. The end that is 0 or 1 is exact.
func scoreInterval(x, n, z2 float64) (low, high float64) {
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
	out, ok := newInterval(x, n, level, MethodClopperPearson)
	if !ok {
		return out
	}
	out.Low, out.High = lowerLimit(x, n, (1-level)/2), upperLimit(x, n, (1-level)/2)
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
	return solveShare(math.Log(tail), func(p float64) float64 { return -lnLower(x, n, p, 1-p) })
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
	return solveShare(-math.Log(tail), func(p float64) float64 { return lnUpper(x, n, p, 1-p) })
}

// solveShare finds p in (0,1) with f(p) = -target by bisection, f rising in p.
func solveShare(target float64, f func(p float64) float64) float64 {
	low, high := 0.0, 1.0
	for range 200 {
		mid := low + (high-low)/2
		if mid <= low || mid >= high {
			break
		}
		if f(mid) < -target {
			low = mid
		} else {
			high = mid
		}
	}
	return low + (high-low)/2
}

// simultaneous are the default intervals of a decision, which hold together at the level: Wilson for two backends
// (they are one interval and its mirror image), Goodman's where every count is at least 5, exact Bonferroni
// otherwise.
func simultaneous(n []int64, level float64) []Interval {
	var total int64
	small := false
	for _, x := range n {
		total += x
		small = small || x < normalApproximationFloor
	}
	out := make([]Interval, len(n))
	for i, x := range n {
		switch {
		case len(n) == 2:
			out[i] = Wilson(x, total, level)
		case small || len(n) == 1:
			out[i] = bonferroniInterval(x, total, level, len(n))
		default:
			out[i] = goodmanInterval(x, total, level, len(n))
		}
	}
	return out
}

// goodmanInterval is one of k intervals of L. A. Goodman 1965: Wilson's with the level split over the cells.
func goodmanInterval(x, total int64, level float64, k int) Interval {
	out, ok := newInterval(x, total, level, MethodGoodman)
	if ok {
		out.Low, out.High = scoreInterval(float64(x), float64(total), ChiSquareISF((1-level)/float64(k), 1))
	}
	return out
}

// bonferroniInterval is one of k exact intervals with the level split over the cells.
func bonferroniInterval(x, total int64, level float64, k int) Interval {
	out, ok := newInterval(x, total, level, MethodBonferroni)
	if ok {
		tail := (1 - level) / 2 / float64(k)
		out.Low, out.High = lowerLimit(x, total, tail), upperLimit(x, total, tail)
	}
	return out
}
