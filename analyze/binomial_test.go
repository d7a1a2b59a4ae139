package analyze

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

// tails are ln P(X >= k), X ~ Binomial(n, p), p the float64 nearest to the decimal: mpmath 1.3 with 60 digits, by
// quadrature of the incomplete beta integral and by exact log-gamma.
var tails = []struct {
	k, n int64
	p    float64
	lnP  float64
}{
	{52000, 100000, 0.5, -83.443761879555091},
	{5212, 10000, 0.5, -11.35989072774197},
	{50000100, 100000000, 0.5, -0.70915142280077269},
	{500030000, 1000000000, 0.5, -3.5441950053598504},
	{10300, 1000000000, 1e-05, -6.5484771715903956},
	{999990300, 1000000000, 0.99999, -6.6355988854623537},
	{1200, 4000, 0.25, -28.404167678832836},
	{1000, 4000, 0.25, -0.68108130640820519},
	{4503599722420496, 9007199254740992, 0.5, -3.7903767836893216},
	{4503601000000000, 9007199254740992, 0.5, -422.64172113818729},
	{30, 1000, 0.01, -15.395395080321011},
	{100000, 100000, 0.3, -120397.2804325936},
	{1, 1000000000000000, 1e-16, -2.3521684610440908},
	{700, 1000000000000, 1e-10, -766.17782871107599},
	{300000500, 1000000000, 0.3, -0.72103271550769777},
	{301000000, 1000000000, 0.3, -2384.5949595239678},
	{2000, 2000, 0.999, -2.0010006671670688},
	{1999, 2000, 0.99, -17.046575237316856},
	{1005000, 100000000, 0.01, -15.172642680404577},
	{900719955474099, 9007199254740992, 0.1, -1.9240339879016359},
}

func TestBinomialTailAgainstHighPrecision(t *testing.T) {
	for _, c := range tails {
		got := lnUpper(c.k, c.n, c.p, 1-c.p)
		// Absolute error of ln p is relative error of p. Far out, ln p itself carries the error of its rounding.
		tolerance := 1e-11 + 1e-14*math.Abs(c.lnP)
		if c.n > 1e12 {
			tolerance = 1e-6
		}
		if math.Abs(got-c.lnP) > tolerance {
			t.Errorf("lnUpper(%d, %d, %v) = %.17g, want %.17g", c.k, c.n, c.p, got, c.lnP)
		}
		if mirror := lnLower(c.n-c.k, c.n, 1-c.p, c.p); math.Abs(mirror-got) > tolerance {
			t.Errorf("lnLower(%d, %d, %v) = %.17g, want its mirror image %.17g", c.n-c.k, c.n, 1-c.p, mirror, got)
		}
	}
}

// gonum's incomplete beta is an independent implementation of the same tail, but only for small n: at 1e8 it says
// 0.347 for P(X >= 25000000), p = 1/4, which is 0.500.
func TestBinomialTailAgainstGonum(t *testing.T) {
	for _, n := range []int64{1, 2, 7, 30, 500, 1199, 1201, 1e4, 1e5} {
		for _, p := range []float64{1e-4, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999} {
			sd := math.Sqrt(float64(n) * p * (1 - p))
			for _, z := range []float64{-6, -3, -1, -0.1, 0, 0.1, 1, 3, 6, 12} {
				k := int64(math.Round(float64(n)*p + z*sd))
				if k < 1 || k > n {
					continue
				}
				want := mathext.RegIncBeta(float64(k), float64(n-k)+1, p)
				if got := math.Exp(lnUpper(k, n, p, 1-p)); math.Abs(got-want) > 1e-8*want {
					t.Errorf("P(X>=%d | %d, %v) = %.15g, gonum %.15g", k, n, p, got, want)
				}
			}
		}
	}
}

// The sum over all outcomes is exact enough for small n to hold both tails to 1e-13.
func TestBinomialTailsSumToOne(t *testing.T) {
	for n := int64(1); n <= 60; n++ {
		for _, p := range []float64{0.001, 0.2, 0.5, 0.77, 0.999} {
			sum := 0.0
			for k := n; k >= 0; k-- {
				sum += math.Exp(lnBinomialPMF(k, n, p, 1-p))
				if got := math.Exp(lnUpper(k, n, p, 1-p)); math.Abs(got-sum) > 1e-13 {
					t.Fatalf("P(X>=%d | %d, %v) = %v, want %v", k, n, p, got, sum)
				}
			}
			if math.Abs(sum-1) > 1e-13 {
				t.Errorf("n %d p %v: masses sum to %v", n, p, sum)
			}
		}
	}
}

func TestClopperPearsonAboveGonumsLimit(t *testing.T) {
	// Both sides of the switch must agree: the interval of a share hardly moves from n to n+1.
	for _, x := range []float64{0.5, 0.001, 0.999} {
		n := int64(inverseBetaGonumLimit)
		below, above := ClopperPearson(int64(x*float64(n)), n, 0.99), ClopperPearson(int64(x*float64(n)), n+1, 0.99)
		if math.Abs(below.Low-above.Low) > 2e-5 || math.Abs(below.High-above.High) > 2e-5 {
			t.Errorf("share %v: %v and %v", x, below, above)
		}
	}
	ci := ClopperPearson(MaxRequests/2, MaxRequests, 0.99)
	// 2.5758 standard deviations of a share at 2^53.
	if half := 2.5758293035489 * 0.5 / math.Sqrt(float64(MaxRequests)); math.Abs(ci.High-0.5-half) > 1e-13 || math.Abs(0.5-ci.Low-half) > 1e-13 {
		t.Errorf("at 2^53: %v, want 0.5 +- %v", ci, half)
	}
}

func TestChiSquareLogSFNeverUnderflows(t *testing.T) {
	for _, df := range []float64{1, 2, 5, 30, 1000} {
		last := 0.0
		for x := 0.5; x < 1e7; x *= 1.7 {
			got := ChiSquareLogSF(x, df)
			if math.IsNaN(got) || math.IsInf(got, 0) || got > last {
				t.Errorf("ln p of %v on %v = %v, after %v", x, df, got, last)
			}
			last = got
			// df 2 is exp(-x/2) exactly.
			if df == 2 && math.Abs(got+x/2) > 1e-12*x {
				t.Errorf("ln p of %v on 2 = %v, want %v", x, got, -x/2)
			}
		}
	}
}

func BenchmarkBinomialTail(b *testing.B) {
	for b.Loop() {
		lnUpper(52000, 100000, 0.5, 0.5)
	}
}
