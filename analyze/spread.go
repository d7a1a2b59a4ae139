package analyze

import "math"

// minWorth is how many independent blocks the blocks must be worth for an interval: with fewer there is hardly more
// than one.
const minWorth = 3

// leastWorth is how many independent blocks the blocks are taken to be worth at least, by which Student's t still has
// a degree of freedom: a range many times as wide as what the blocks differ by.
const leastWorth = 2

// spread is how sure a sum over blocks is.
type spread struct {
	deff  float64 // how much larger its variance is than that of independent requests, at least 1
	df    float64 // degrees of freedom of that variance
	worth float64 // blocks that are not alike to their neighbours and would know as much
	least float64 // as deff, where the blocks are taken to be worth two at least
	apart float64 // as deff, where the series is only a part of what is asked: what neighbours have in common counts at most four times
}

// spreadOf takes a series around 0 with a value for each block, how many blocks hold one, and the variance that its
// sum would have if all requests were independent.
func spreadOf(x []float64, blocks int, independent float64) spread {
	w := float64(blocks)
	out := spread{deff: 1, df: w - 1, worth: w, least: 1, apart: 1}
	var squares, fourth, next float64
	for i, v := range x {
		squares, fourth = squares+v*v, fourth+v*v*v*v
		if i > 0 {
			next += v * x[i-1]
		}
	}
	if !(squares > 1e-9*independent && independent > 0 && w > 2) { // 1e-9: rounding is no spread
		return out
	}
	// Where few blocks carry all of the spread it is itself hardly known: the variance of a variance goes with the
	// kurtosis.
	if k := w * fourth / (squares * squares); k > 1 {
		out.df = math.Min(out.df, 2*w/(k-1))
	}
	r := next / squares
	r += (1 + 3*r) / w // few blocks make it too low (M. G. Kendall, 1954)
	alike := func(r float64) float64 {
		r = math.Max(0, math.Min(r, 0.99))
		return (1 + r) / (1 - r)
	}
	out.worth = w / alike(r)                    // as of a series in which each value goes with the one before (first-order autoregression)
	most := r + math.Sqrt(math.Max(0, 1-r*r)/w) // one standard error more: too little of it is what makes intervals too short
	between := squares * w / (w - 1) / independent
	out.deff, out.apart = math.Max(1, between*alike(most)), between*math.Min(4, alike(r))
	out.least = math.Max(1, between*math.Min(w/leastWorth, alike(most)))
	return out
}
