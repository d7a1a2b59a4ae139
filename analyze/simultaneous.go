package analyze

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// SimultaneousIntervals are intervals for the shares of all cells that hold together at the level, by the method named:
// MethodGoodman, MethodBonferroni, MethodSisonGlaz or MethodQuesenberryHurst. Shares, 0 to 1. Errors wrap ErrInput.
func SimultaneousIntervals(n []int64, level float64, method string) ([]Interval, error) {
	var total int64
	for _, x := range n {
		if x < 0 || x > MaxRequests-total {
			return nil, inputErrorf("counts: negative, or more than %d in all", MaxRequests)
		}
		total += x
	}
	if total == 0 {
		return nil, inputErrorf("counts: %s", whyNoRequests)
	}
	if !(level > 0 && level < 1) {
		return nil, inputErrorf("level: %v is out of range, want above 0 and below 1", level)
	}
	out := make([]Interval, len(n))
	switch method {
	case MethodGoodman:
		for i, x := range n {
			out[i] = goodmanInterval(x, total, level, len(n))
		}
	case MethodBonferroni:
		for i, x := range n {
			out[i] = bonferroniInterval(x, total, level, len(n))
		}
	case MethodQuesenberryHurst:
		// Quesenberry and Hurst 1964: the score interval with the quantile of k-1 degrees of freedom; conservative.
		z2 := ChiSquareISF(1-level, math.Max(1, float64(len(n)-1)))
		for i, x := range n {
			out[i] = Interval{Level: level, Method: method}
			out[i].Low, out[i].High = scoreInterval(float64(x), float64(total), z2)
		}
	case MethodSisonGlaz:
		low, high := sisonGlaz(n, total, level)
		for i, x := range n {
			p := float64(x) / float64(total)
			out[i] = Interval{Low: math.Max(0, p-low), High: math.Min(1, p+high), Level: level, Method: method}
		}
	default:
		return nil, inputErrorf("interval method: %q is unknown", method)
	}
	return out, nil
}

// sisonGlaz are the reaches below and above every share (C. P. Sison and J. Glaz 1995): the smallest c for which the
// multinomial stays within c of the counts with the level, by an Edgeworth expansion of truncated Poisson variables,
// interpolated between c and c+1. Meant for seven cells and more; poor for very unequal shares.
func sisonGlaz(n []int64, total int64, level float64) (low, high float64) {
	c := firstCount(total, func(c int64) bool { return sisonGlazCoverage(n, total, float64(c)) >= level }) - 1
	if c < 0 {
		c = 0
	}
	at, next := sisonGlazCoverage(n, total, float64(c)), sisonGlazCoverage(n, total, float64(c+1))
	g := 0.0
	if next > at {
		g = math.Min(1, math.Max(0, (level-at)/(next-at)))
	}
	nf := float64(total)
	return float64(c) / nf, (float64(c) + 2*g) / nf
}

func sisonGlazCoverage(n []int64, total int64, c float64) float64 {
	if c >= float64(total) {
		return 1
	}
	var lnInside, mean, variance, third, fourth float64
	for _, x := range n {
		lambda := float64(x)
		if lambda == 0 {
			continue // a Poisson variable of mean 0 is 0
		}
		a, b := lambda-c, lambda+c
		inside := poissonRange(a, b, lambda)
		if inside <= 0 {
			return 0
		}
		lnInside += math.Log(inside)
		var f [5]float64 // factorial moments of the truncated variable
		for r := 1; r <= 4; r++ {
			f[r] = math.Pow(lambda, float64(r)) * poissonRange(a-float64(r), b-float64(r), lambda) / inside
		}
		m := f[1]
		v := f[2] + m - m*m
		mean += m
		variance += v
		third += f[3] + f[2]*(3-3*m) + m - 3*m*m + 2*m*m*m
		fourth += f[4] + f[3]*(6-4*m) + f[2]*(7-12*m+6*m*m) + m - 4*m*m + 6*m*m*m - 3*m*m*m*m - 3*v*v
	}
	if variance <= 0 {
		return 0
	}
	skew, kurtosis := third/math.Pow(variance, 1.5), fourth/(variance*variance)
	z := (float64(total) - mean) / math.Sqrt(variance)
	z2 := z * z
	edgeworth := 1 + skew*(z2*z-3*z)/6 + kurtosis*(z2*z2-6*z2+3)/24 +
		skew*skew*(z2*z2*z2-15*z2*z2+45*z2-15)/72
	density := edgeworth * math.Exp(-z2/2) / math.Sqrt(2*math.Pi)
	return math.Exp(lnInside) * density / math.Sqrt(variance) / poissonPMF(float64(total), float64(total))
}

// poissonRange is P(a <= X <= b) for X ~ Poisson(mean), a and b whole numbers.
func poissonRange(a, b, mean float64) float64 {
	if b < 0 {
		return 0
	}
	upper := mathext.GammaIncRegComp(b+1, mean)
	if a > 0 {
		upper -= mathext.GammaIncRegComp(a, mean)
	}
	return upper
}
