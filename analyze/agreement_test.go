package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Values of the first eight: CPython 3.11.7, exact sums of math.comb as Fractions; of the last three, whose sums are too
// long for that: mpmath 1.4.1 at 50 digits. SciPy 1.17.1 (hypergeom.logsf, logcdf) agrees with these to 1e-6.
func TestFisher(t *testing.T) {
	for _, c := range []struct {
		x, n, k, total int64
		lnP            float64
	}{
		{3, 5, 6, 20, -1.3369637759001893},
		{0, 7, 9, 40, -1.2655313614129415},
		{5, 5, 5, 10, -4.836281906951478},
		{20, 100, 120, 800, -1.6950802068646738},
		{310, 500, 2500, 5000, -17.850927927763564},
		{640, 1000, 50000, 100000, -42.25522319252468},
		{0, 1200, 2400, 120000, -23.67327845375803},
		{10, 12, 11, 500, -39.674113230045926},
		{100700, 200000, 50000000, 100000000, -6.354025647445274},
		{52000, 100000, 25000000, 50000000, -82.91184406843949},
		{3, 2000000, 1000, 1000000000, -0.4359547496384427},
	} {
		if got := lnFisher(c.x, c.n, c.k, c.total); math.Abs(got-c.lnP) > 1e-9*math.Abs(c.lnP) {
			t.Errorf("%d of %d, %d of %d in all: ln p %.16g, want %.16g", c.x, c.n, c.k, c.total, got, c.lnP)
		}
		mirrored := lnFisher(c.n-c.x, c.n, c.total-c.k, c.total)
		if got := lnFisher(c.x, c.n, c.k, c.total); math.Abs(got-mirrored) > 1e-12*math.Abs(got) {
			t.Errorf("%d of %d: of the other backends ln p %.16g, want %.16g", c.x, c.n, mirrored, got)
		}
	}
}

// SciPy 1.17.1: chi2_contingency(correction=False); below 5 expected gamma.logsf with the mean and variance of the
// statistic, which enumeration of all tables with these margins gives too.
func TestHomogeneityOfGroups(t *testing.T) {
	for _, c := range []struct {
		table  [][]int64
		x2     float64
		df     int
		lnP    float64
		groups int
	}{
		{[][]int64{{402, 398}, {405, 395}, {0, 0}, {399, 401}}, 0.0900022500562514, 2, math.Log(0.9559964063096498), 3},
		{[][]int64{{3, 1}, {0, 4}, {2, 2}, {1, 3}}, 5.333333333333333, 3, -1.8446844941278007, 4},
		{[][]int64{{9, 1}, {10, 0}}, 0, 0, 0, 2}, // 0.5 expected: no law
		{[][]int64{{9, 1}}, 0, 0, 0, 1},
		{[][]int64{{9, 0}, {5, 0}}, 0, 0, 0, 2},
		{nil, 0, 0, 0, 0},
	} {
		a, err := Agree(c.table, 0.01)
		if err != nil || a.Groups != c.groups || a.Test.DF != c.df || math.Abs(a.Test.Value-c.x2) > 1e-12 ||
			math.Abs(a.Test.Asymptotic.LnP-c.lnP) > 1e-9 || len(a.StandOut) > 0 {
			t.Errorf("%v: %+v, %v", c.table, a, err)
		}
	}
	for _, bad := range [][][]int64{{{1, 2}, {1}}, {{1, -2}, {1, 2}}} {
		if _, err := Agree(bad, 0.01); !errors.Is(err, ErrInput) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := Agree(nil, 1); !errors.Is(err, ErrInput) {
		t.Errorf("alpha 1: %v", err)
	}
}

// Two of 500 pods have old weights. ln p of 600 of 1,000 where 249,920 of 500,000 are the backend's is -22.1 by mpmath,
// that of 320 of 1,000 -68.6: times 500, far below the level. All others have just half.
func TestFewOfManyStandOut(t *testing.T) {
	table := make([][]int64, 500)
	for i := range table {
		table[i] = []int64{500, 500, 0}
	}
	table[17], table[321] = []int64{400, 600, 0}, []int64{680, 320, 0}
	a, err := Agree(table, 0.001)
	if err != nil || len(a.StandOut) != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	type place struct{ group, backend int }
	got := []place{{a.StandOut[0].Group, a.StandOut[0].Backend}, {a.StandOut[1].Group, a.StandOut[1].Backend}}
	if d := cmp.Diff([]place{{321, 1}, {17, 1}}, got, cmp.AllowUnexported(place{})); d != "" {
		t.Error(d)
	}
	if o := a.StandOut[1]; o.Observed != 600 || o.Requests != 1000 || o.Share != 0.6 || o.Others != 249320./499000 {
		t.Errorf("%+v", o)
	}
}

// Where all pods draw alike one is named in at most alpha of runs, also where each has but a few requests, of backends
// that are rare. At alpha 5 % of 2,000 runs that is 100; 4 standard deviations (9.7) more are 139, which a right program
// exceeds with probability 3e-5. Exact tests of small counts are conservative, but not mute.
func TestOneIsNamedWronglyInAtMostAlphaOfRuns(t *testing.T) {
	const runs, alpha = 2000, 0.05
	for name, c := range map[string]struct {
		pods, requests int
		shares         []float64
	}{
		"20 pods, 50 requests each":     {20, 50, []float64{0.5, 0.5}},
		"100 pods, 20 of a rare canary": {100, 20, []float64{0.9, 0.1}},
		"8 pods, three backends":        {8, 100, []float64{0.6, 0.3, 0.1}},
	} {
		rng := rand.New(rand.NewPCG(18, 2))
		named, differ := 0, 0
		for range runs {
			table := make([][]int64, c.pods)
			for i := range table {
				table[i] = make([]int64, len(c.shares))
				for range c.requests {
					b, u := 0, rng.Float64()
					for u -= c.shares[0]; u >= 0 && b < len(c.shares)-1; u -= c.shares[b] {
						b++
					}
					table[i][b]++
				}
			}
			a, err := Agree(table, alpha)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.StandOut) > 0 {
				named++
			}
			if a.Test.Asymptotic.P <= alpha {
				differ++
			}
		}
		t.Logf("%s: one was named in %d of %d runs, they differ in %d", name, named, runs, differ)
		if named > 139 || named < 10 || differ > 139 || differ < 50 {
			t.Errorf("%s: one was named in %d of %d runs, they differ in %d", name, named, runs, differ)
		}
	}
}
