package analyze

import "math"

// RunsResult is the test of independence by the number of runs (Wald and Wolfowitz 1940; A. M. Mood 1940 for several
// categories): too few say that requests stick to a backend, too many that they alternate.
type RunsResult struct {
	Runs      int64   // observed
	Mean, Var float64 // of the number of runs under independence, given the counts
	TooFew    PValue  // normal approximation
	TooMany   PValue
}

// Runs counts runs in a sequence of categories 0..k-1; entries outside (unattributed requests) are left out. Where
// fewer than two categories occur there is nothing to test, and every p is 1.
func Runs(seq []int, k int) RunsResult {
	counts := make([]float64, max(0, k))
	last, n := -1, 0.0
	var out RunsResult
	for _, x := range seq {
		if x < 0 || x >= k {
			continue
		}
		counts[x]++
		n++
		if x != last {
			out.Runs++
		}
		last = x
	}
	out.TooFew, out.TooMany = pFromLn(0, Asymptotic), pFromLn(0, Asymptotic)
	if n < 2 {
		out.Mean = float64(out.Runs)
		return out
	}
	var s2, s3 float64
	for _, c := range counts {
		s2 += c * c
		s3 += c * c * c
	}
	out.Mean = (n*(n+1) - s2) / n
	out.Var = math.Max(0, (s2*(s2+n*(n+1))-2*n*s3-n*n*n)/(n*n*(n-1)))
	if out.Var == 0 {
		return out
	}
	z := (float64(out.Runs) - out.Mean) / math.Sqrt(out.Var)
	out.TooFew = pFromLn(lnNormalUpper(-z), Asymptotic)
	out.TooMany = pFromLn(lnNormalUpper(z), Asymptotic)
	return out
}

// LjungBox tests an indicator series ("was it this backend?") for autocorrelation at lags 1..lag (Ljung and Box
// 1978). The p is a survival function: R's Box.test takes 1-CDF and prints 0 for small ones. A constant series, or
// one no longer than the lag, has nothing to test and p = 1.
func LjungBox(series []bool, lag int) Statistic {
	out := Statistic{Asymptotic: pFromLn(0, Asymptotic)}
	n := len(series)
	if lag < 1 || n <= lag {
		return out
	}
	mean := 0.0
	for _, x := range series {
		if x {
			mean++
		}
	}
	mean /= float64(n)
	if mean == 0 || mean == 1 {
		return out
	}
	centred := make([]float64, n)
	c0 := 0.0
	for i, x := range series {
		centred[i] = -mean
		if x {
			centred[i]++
		}
		c0 += centred[i] * centred[i]
	}
	for h := 1; h <= lag; h++ {
		c := 0.0
		for i := h; i < n; i++ {
			c += centred[i] * centred[i-h]
		}
		r := c / c0
		out.Value += r * r / float64(n-h)
	}
	return chiSquareTest(out.Value*float64(n)*(float64(n)+2), lag)
}
