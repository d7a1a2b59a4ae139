package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	x := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	// R 4.2.2 quantile(1:10, q, type=1).
	for q, want := range map[float64]int64{0: 1, 0.1: 1, 0.11: 2, 0.5: 5, 0.7: 7, 0.99: 10, 1: 10, -3: 1, 7: 10} {
		if got := Quantile(x, q); got != want {
			t.Errorf("quantile %v = %d, want %d", q, got, want)
		}
	}
	if Quantile(nil, 0.5) != 0 || Quantile(x, math.NaN()) != 1 {
		t.Error("empty sample or quantile that is no number")
	}
}

func TestMinSamples(t *testing.T) {
	// n >= ln(0.025)/ln(q): 36, 72, 368, 3688; symmetric in q.
	for q, want := range map[float64]int{0.9: 36, 0.95: 72, 0.99: 368, 0.999: 3688, 0.01: 368, 0.5: 6, 0: 0, 1: 0} {
		if got := MinSamples(q, 0.95); got != want {
			t.Errorf("quantile %v needs %d, want %d", q, got, want)
		}
		if want == 0 {
			continue
		}
		if _, ok := QuantileCI(make([]int64, want), q, 0.95); !ok {
			t.Errorf("quantile %v has no interval with %d samples", q, want)
		}
		if ci, ok := QuantileCI(make([]int64, want-1), q, 0.95); ok || ci.Why == "" {
			t.Errorf("quantile %v has an interval with %d samples: %+v", q, want-1, ci)
		}
	}
}

// The interval of the 90th percentile of 200 samples must hold it in at least 95 % of seeded runs, less 6 standard
// errors.
func TestQuantileCICovers(t *testing.T) {
	const runs = 3000
	rng := rand.New(rand.NewPCG(61, 62))
	truth := -math.Log(0.1) // of an exponential distribution
	held := 0.0
	for range runs {
		x := make([]int64, 200)
		for i := range x {
			x[i] = int64(1e9 * rng.ExpFloat64())
		}
		slices.Sort(x)
		if ci, ok := QuantileCI(x, 0.9, 0.95); ok && ci.Low <= 1e9*truth && 1e9*truth <= ci.High {
			held++
		}
	}
	if rate := held / runs; rate < 0.95-6*math.Sqrt(0.05*0.95/runs) {
		t.Errorf("covers %v, want at least 0.95", rate)
	}
}

func TestBlockBootstrapAgreesWithMover(t *testing.T) {
	rng := rand.New(rand.NewPCG(63, 64))
	a, b := make([]int64, 2000), make([]int64, 2000)
	for i := range a {
		a[i], b[i] = int64(1e6*(10+5*rng.ExpFloat64())), int64(1e6*(7+5*rng.ExpFloat64()))
	}
	boot, err := BlockBootstrap(a, b, 0.5, 0.95, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := BlockBootstrap(a, b, 0.5, 0.95, 0, 1)
	if err != nil || again != boot {
		t.Errorf("not reproducible: %v and %v", boot, again)
	}
	slices.Sort(a)
	slices.Sort(b)
	d, err := QuantileDiff(a, b, 0.5, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	// Independent samples: two ways to the same interval, about 0.8 ms wide around 3 ms. A quarter of the width is
	// generous.
	width := d.DifferenceCI.High - d.DifferenceCI.Low
	if math.Abs(boot.Low-d.DifferenceCI.Low) > width/4 || math.Abs(boot.High-d.DifferenceCI.High) > width/4 {
		t.Errorf("bootstrap %v, MOVER %v", boot, d.DifferenceCI)
	}
	if shift, err := ShiftFunction(a, b, 0.95); err != nil || len(shift) != 9 || shift[4].Difference != d.Difference {
		t.Errorf("%v %v", shift, err)
	}
}

func TestNthDifferenceAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(65, 66))
	for range 100 {
		x, y := make([]float64, 1+rng.IntN(12)), make([]float64, 1+rng.IntN(12))
		for _, s := range [][]float64{x, y} {
			for i := range s {
				s[i] = float64(rng.IntN(9)) - 4.5*rng.Float64()*float64(rng.IntN(2))
			}
			slices.Sort(s)
		}
		var all []float64
		for _, a := range x {
			for _, b := range y {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		for r, want := range all {
			if got := nthDifference(x, y, int64(r+1)); got != want {
				t.Fatalf("difference %d of %v and %v = %v, want %v", r+1, x, y, got, want)
			}
		}
	}
}

func TestRankTestsOnLargeAndDegenerateSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(67, 68))
	x, y := make([]float64, 20000), make([]float64, 30000)
	for i := range x {
		x[i] = rng.NormFloat64() + 1
	}
	for i := range y {
		y[i] = rng.NormFloat64()
	}
	r, err := MannWhitney(x, y, 0.99)
	if err != nil || math.Abs(r.HodgesLehmann-1) > 0.06 || r.Shift.Low > 1 || r.Shift.High < 1 || r.P.LnP > -500 {
		t.Errorf("%+v %v", r, err)
	}
	if ks, err := KolmogorovSmirnov(x, y); err != nil || ks.P.LnP > -500 || ks.D < 0.35 {
		t.Errorf("%+v %v", ks, err)
	}
	same := []float64{3, 3, 3, 3}
	if r, err := MannWhitney(same, same, 0.95); err != nil || r.P.P != 1 || r.A12 != 0.5 || r.HodgesLehmann != 0 {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := BrunnerMunzel(same, []float64{9, 9}); err != nil || r.P.P > 0.2 || math.IsNaN(r.P.P) {
		t.Errorf("%+v %v", r, err)
	}
	if ks, err := KolmogorovSmirnov(same, same); err != nil || ks.D != 0 || ks.P.P != 1 {
		t.Errorf("%+v %v", ks, err)
	}
	if _, err := MannWhitney(nil, same, 0.95); !errors.Is(err, ErrInput) {
		t.Errorf("empty: %v", err)
	}
	if _, err := KolmogorovSmirnov([]float64{math.NaN()}, same); !errors.Is(err, ErrInput) {
		t.Errorf("not a number: %v", err)
	}
}

func TestCompare(t *testing.T) {
	runs := func(values ...float64) (out []RunSummary) {
		for _, v := range values {
			out = append(out, RunSummary{Value: v, Samples: 1000})
		}
		return out
	}
	old := runs(10, 10.1, 9.9, 10.05, 9.95, 10.2, 9.8, 10.02)
	for _, c := range []struct {
		name string
		new  []RunSummary
		want Outcome
	}{
		{"the same", runs(10.01, 10.1, 9.92, 10.04, 9.96, 10.1, 9.9, 10), Pass},
		{"half as slow again", runs(15, 15.1, 14.9, 15.2, 15.05, 14.8, 15.3, 15), Fail},
		{"noisy", runs(8, 14, 9, 13, 10, 12, 11, 10), Inconclusive},
		{"too few", runs(10, 10), Inconclusive},
	} {
		got, err := Compare(old, c.new, 0.1, 0.95)
		if err != nil || got.Outcome != c.want || got.Reason.Text == "" {
			t.Errorf("%s: %+v %v, want %s", c.name, got, err, c.want)
		}
	}
	for _, bad := range [][]RunSummary{nil, runs(0), runs(-1), runs(math.NaN())} {
		if _, err := Compare(old, bad, 0.1, 0.95); !errors.Is(err, ErrInput) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
