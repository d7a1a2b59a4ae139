package analyze

import (
	"math"
	"slices"
)

// BrunnerMunzelResult is the generalised rank test of Brunner and Munzel (2000), which allows unequal spreads.
type BrunnerMunzelResult struct {
	Value float64 // the statistic; positive where the second sample is larger
	DF    float64 // degrees of freedom of the t distribution
	P     PValue  // two-sided, t distribution
}

// BrunnerMunzel tests whether a value of one sample is as likely larger as smaller than one of the other. Both
// samples need two values, and some overlap: without any, P is 0 by the formula and is given as the smallest
// permutation p instead. Errors wrap ErrInput.
func BrunnerMunzel(first, second []float64) (BrunnerMunzelResult, error) {
	if err := checkSamples(first, second); err != nil {
		return BrunnerMunzelResult{}, err
	}
	if len(first) < 2 || len(second) < 2 {
		return BrunnerMunzelResult{}, inputErrorf("sample: %d and %d values, want at least 2 each", len(first), len(second))
	}
	x, y := slices.Sorted(slices.Values(first)), slices.Sorted(slices.Values(second))
	m, n := float64(len(x)), float64(len(y))
	joint, _ := midranks(x, y)
	rx, ry := joint[:len(x)], joint[len(x):]
	ownX, _ := midranks(x, nil)
	ownY, _ := midranks(y, nil)
	sx, sy := placementVariance(rx, ownX), placementVariance(ry, ownY)
	difference := mean(ry) - mean(rx)
	out := BrunnerMunzelResult{P: pFromLn(0, Asymptotic)}
	if m*sx+n*sy == 0 {
		if difference != 0 {
			lg := func(v float64) float64 { g, _ := math.Lgamma(v + 1); return g }
			out.P = pFromLn(math.Ln2+lg(m)+lg(n)-lg(m+n), Exact)
			out.Value = math.Copysign(math.Inf(1), difference)
		}
		return out, nil
	}
	out.Value = m * n * difference / ((m + n) * math.Sqrt(m*sx+n*sy))
	out.DF = (m*sx + n*sy) * (m*sx + n*sy) / (m*sx*m*sx/(m-1) + n*sy*n*sy/(n-1))
	out.P = pFromLn(math.Log(2*tUpper(math.Abs(out.Value), out.DF)), Asymptotic)
	return out, nil
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// placementVariance is the variance of joint minus own ranks.
func placementVariance(joint, own []float64) float64 {
	shift := mean(joint) - mean(own)
	sum := 0.0
	for i := range joint {
		d := joint[i] - own[i] - shift
		sum += d * d
	}
	return sum / float64(len(joint)-1)
}
