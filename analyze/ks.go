package analyze

import (
	"math"
	"slices"
	"sort"
)

// KSResult is the two-sample test of Kolmogorov and Smirnov.
type KSResult struct {
	D          float64 // largest distance of the two empirical distribution functions, 0 to 1
	P          PValue  // exact where m*n <= 10,000, else asymptotic
	Asymptotic PValue
}

// exactKSPairs is the size up to which lattice paths are counted.
const exactKSPairs = 10_000

// KolmogorovSmirnov compares two distributions; the second view beside the quantiles, never a gate by itself. Ties
// are allowed for. Errors wrap ErrInput.
func KolmogorovSmirnov(first, second []float64) (KSResult, error) {
	if err := checkSamples(first, second); err != nil {
		return KSResult{}, err
	}
	x, y := slices.Sorted(slices.Values(first)), slices.Sorted(slices.Values(second))
	m, n := len(x), len(y)
	// D is a whole number over m*n.
	most, i, j := 0, 0, 0
	breaks := make([]bool, m+n+1) // breaks[s]: the path may be compared after s values (no tie across)
	for i < m || j < n {
		v := math.Inf(1)
		if i < m {
			v = x[i]
		}
		if j < n {
			v = math.Min(v, y[j])
		}
		i += sort.Search(m-i, func(a int) bool { return x[i+a] > v })
		j += sort.Search(n-j, func(a int) bool { return y[j+a] > v })
		breaks[i+j] = true
		most = max(most, absInt(i*n-j*m))
	}
	out := KSResult{D: float64(most) / (float64(m) * float64(n))}
	z := out.D * math.Sqrt(float64(m)*float64(n)/float64(m+n))
	out.Asymptotic = pFromLn(lnKolmogorov(z), Asymptotic)
	out.P = out.Asymptotic
	if m*n <= exactKSPairs {
		out.P = pFromLn(math.Log(pathsReaching(m, n, most, breaks)), Exact)
	}
	return out, nil
}

func absInt(x int) int {
	if x < 0 {
		return -x
	}
	return x
}

// pathsReaching is the share of lattice paths from (0,0) to (m,n) that reach a distance of at least most at a break:
// counted as probability of having reached it, so that a small p does not come out of 1 minus something.
func pathsReaching(m, n, most int, breaks []bool) float64 {
	// row[j] is the probability, given that a random path passes (i,j), that it reached the distance by then.
	row := make([]float64, n+1)
	for i := 0; i <= m; i++ {
		for j := 0; j <= n; j++ {
			if breaks[i+j] && absInt(i*n-j*m) >= most {
				row[j] = 1
				continue
			}
			// The last step came from (i-1,j) with probability i/(i+j).
			v, steps := 0.0, float64(i+j)
			if i > 0 {
				v += row[j] * float64(i) / steps
			}
			if j > 0 {
				v += row[j-1] * float64(j) / steps
			}
			row[j] = v
		}
	}
	return row[n]
}

// lnKolmogorov is ln of 2*sum (-1)^(j-1) exp(-2 j^2 z^2), by the theta-function form where z is small.
func lnKolmogorov(z float64) float64 {
	if z <= 0 {
		return 0
	}
	if z < 0.8 {
		sum := 0.0
		for j := 1; j < 50; j += 2 {
			sum += math.Exp(-float64(j*j) * math.Pi * math.Pi / (8 * z * z))
		}
		return math.Log1p(-math.Min(1, math.Sqrt(2*math.Pi)/z*sum))
	}
	sum, sign := 0.0, 1.0
	for j := 1; j < 50; j++ {
		sum += sign * math.Exp(-2*(float64(j*j)-1)*z*z)
		sign = -sign
	}
	return math.Min(0, math.Ln2-2*z*z+math.Log(sum))
}
