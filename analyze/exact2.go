package analyze

import "math/bits"

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
