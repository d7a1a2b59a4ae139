package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// Tails of the binomial law from R 4.3: pbinom(k, n, p) and pbinom(k-1, n, p, lower.tail = FALSE), and by hand where
// all or none lie above.
func TestQuantileLimitAgainstTheBinomialLaw(t *testing.T) {
	for _, x := range []struct {
		name          string
		n, above      int
		q             float64
		holds, breaks float64
	}{
		{"none of 100 at p90", 100, 0, 0.9, math.Pow(0.9, 100), 1},
		{"none of 459 at p99", 459, 0, 0.99, math.Pow(0.99, 459), 1},
		{"all of 3 at p99", 3, 3, 0.99, 1, 1e-6},
		{"half at the median", 2, 1, 0.5, 0.75, 0.75},
		{"one of 10 at p90", 10, 1, 0.9, 0.7360989291, 0.6513215599},
	} {
		values := make([]int64, x.n)
		for i := range x.above {
			values[i] = 11
		}
		got, err := JudgeQuantileLimit([][]int64{values}, x.q, 10)
		if err != nil || math.Abs(got.Holds/x.holds-1) > 1e-9 || math.Abs(got.Breaks/x.breaks-1) > 1e-9 || got.DesignEffect != 1 {
			t.Errorf("%s: %+v, %v; want %g and %g", x.name, got, err, x.holds, x.breaks)
		}
	}
	for name, bad := range map[string]func() error{
		"q of 1":   func() error { _, err := JudgeQuantileLimit([][]int64{{1}}, 1, 1); return err },
		"nothing":  func() error { _, err := JudgeQuantileLimit([][]int64{{}, nil}, 0.5, 1); return err },
		"q is NaN": func() error { _, err := JudgeQuantileLimit([][]int64{{1}}, math.NaN(), 1); return err },
	} {
		if err := bad(); !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// On the edge, where just 1-q lie above the limit, neither side may be shown more often than alpha; and off it the
// right one must be. Requests that are alike must not make a pass easier, as far as the sample shows that they are:
// where 50 in a row share their lot, none of 20 such lots lies above a p90 in 0.9^20 = 12 % of samples, and nothing
// in those tells it.
func TestQuantileLimitOnTheEdge(t *testing.T) {
	const runs, windows, per, alpha, seed = 4000, 20, 50, 0.01, 7
	for _, x := range []struct {
		name          string
		q, above      float64 // the share that lies above
		alike         int     // requests in a row that share their lot
		holds, breaks float64 // most, or least where negative
	}{
		{"median, on the edge", 0.5, 0.5, 1, 0.015, 0.015},
		{"p90, on the edge", 0.9, 0.1, 1, 0.015, 0.015},
		{"p99, on the edge", 0.99, 0.01, 1, 0.015, 0.015},
		{"median, alike", 0.5, 0.5, 50, 0.015, 1},
		{"p90, alike", 0.9, 0.1, 50, 0.13, 1},
		{"p90, alike over 10", 0.9, 0.1, 10, 0.015, 1},
		{"p99, alike over 2", 0.99, 0.01, 2, 0.015, 1},
		{"p90, twice as many", 0.9, 0.2, 1, 0, -0.999},
		{"p99, three times as many", 0.99, 0.03, 1, 0, -0.98},
		{"p99, none", 0.99, 0, 1, -1, 0},
		{"p90, half as many", 0.9, 0.05, 1, -0.75, 0},
	} {
		rng := rand.New(rand.NewPCG(seed, 0))
		holds, breaks := 0, 0
		for range runs {
			blocks := make([][]int64, windows)
			lot := int64(0)
			for i := range windows * per {
				if i%x.alike == 0 {
					lot = 0
					if rng.Float64() < x.above {
						lot = 2
					}
				}
				blocks[i/per] = append(blocks[i/per], lot)
			}
			got, err := JudgeQuantileLimit(blocks, x.q, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got.Holds <= alpha {
				holds++
			}
			if got.Breaks <= alpha {
				breaks++
			}
		}
		for what, y := range map[string][2]float64{"holds": {float64(holds) / runs, x.holds}, "breaks": {float64(breaks) / runs, x.breaks}} {
			if y[1] >= 0 && y[0] > y[1] || y[1] < 0 && y[0] < -y[1] {
				t.Errorf("%s: %s in %.4f of %d runs (seed %d), bound %g", x.name, what, y[0], runs, seed, y[1])
			}
			t.Logf("%s: %s in %.4f", x.name, what, y[0])
		}
	}
}
