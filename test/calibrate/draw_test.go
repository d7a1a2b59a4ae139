package calibrate

import (
	"math"
	"math/rand/v2"

	"github.com/splitbench/splitbench/analyze"
)

// binomial draws from Binomial(n, p) by inversion that starts at the mode and walks outwards on both sides: exact up to
// rounding, and about one standard deviation of steps.
func binomial(rng *rand.Rand, n int64, p float64) int64 {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	}
	mode := min(n, int64(float64(n+1)*p))
	odds := p / (1 - p)
	up, down := math.Exp(lnPMF(mode, n, p)), 0.0
	down = up
	u := rng.Float64() - up
	for high, low := mode, mode; u >= 0 && (high < n || low > 0); {
		if high < n {
			up *= float64(n-high) / float64(high+1) * odds
			high++
			if u -= up; u < 0 {
				return high
			}
		}
		if low > 0 {
			down *= float64(low) / float64(n-low+1) / odds
			low--
			if u -= down; u < 0 {
				return low
			}
		}
		if up+down < 1e-300 {
			break // what is left of u is rounding
		}
	}
	return mode
}

func lnPMF(k, n int64, p float64) float64 {
	factorial := func(x int64) float64 {
		v, _ := math.Lgamma(float64(x) + 1)
		return v
	}
	return factorial(n) - factorial(k) - factorial(n-k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p)
}

// multinomial fills out with counts of n requests, one binomial after the other.
func multinomial(rng *rand.Rand, n int64, shares []float64, out []int64) {
	rest := 1.0
	for i, p := range shares {
		if i == len(shares)-1 {
			out[i] = n
			return
		}
		out[i] = 0
		if p > 0 {
			out[i] = binomial(rng, n, math.Min(1, p/rest))
		}
		n -= out[i]
		rest -= p
	}
}

// pick draws one backend.
func pick(rng *rand.Rand, shares []float64) int {
	u := rng.Float64()
	last := 0
	for i, p := range shares {
		if p <= 0 {
			continue
		}
		last = i
		if u -= p; u < 0 {
			return i
		}
	}
	return last
}

// chiSquare is the test that everybody writes first: Pearson's statistic of the counts over the backends of positive
// weight, against the critical value. Nothing else is asked: not the size, not the order, not what is missing.
type chiSquare struct {
	shares   []float64
	critical float64
}

func newChiSquare(w analyze.Weights, alpha float64) chiSquare {
	return chiSquare{shares: w.Shares(), critical: analyze.ChiSquareISF(alpha, float64(w.Positive()-1))}
}

func (c *chiSquare) rejects(n []int64) bool {
	total := 0.0
	for i, x := range n {
		if c.shares[i] > 0 {
			total += float64(x)
		}
	}
	if total == 0 {
		return false
	}
	sum := 0.0
	for i, x := range n {
		if e := total * c.shares[i]; e > 0 {
			sum += (float64(x) - e) * (float64(x) - e) / e
		}
	}
	return sum > c.critical
}
