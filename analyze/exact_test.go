package analyze

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// bruteForce adds up every outcome, the statistic in whole numbers so that ties are exact.
func bruteForce(n, w []int64) float64 {
	var total, sum int64
	lcm := int64(1)
	for i := range n {
		total += n[i]
		sum += w[i]
		lcm = lcm / gcd(lcm, w[i]) * w[i]
	}
	score := func(x []int64) (s int64) {
		for i, v := range x {
			s += v * v * (lcm / w[i])
		}
		return s
	}
	observed, p := score(n), 0.0
	x := make([]int64, len(n))
	var visit func(cell int, left int64)
	visit = func(cell int, left int64) {
		if cell == len(n)-1 {
			x[cell] = left
			if score(x) >= observed {
				ln, _ := math.Lgamma(float64(total) + 1)
				for i, v := range x {
					lg, _ := math.Lgamma(float64(v) + 1)
					ln += float64(v)*math.Log(float64(w[i])/float64(sum)) - lg
				}
				p += math.Exp(ln)
			}
			return
		}
		for v := int64(0); v <= left; v++ {
			x[cell] = v
			visit(cell+1, left-v)
		}
	}
	visit(0, total)
	return math.Min(1, p)
}

func TestExactPearsonAgainstBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 400 {
		k := 2 + rng.IntN(4)
		n, w := make([]int64, k), make([]int64, k)
		for i := range n {
			n[i], w[i] = rng.Int64N(9), 1+rng.Int64N(12)
		}
		n[0]++
		want := math.Log(bruteForce(n, w))
		if got, ok := exactPearsonK(n, w, 0); !ok || math.Abs(got-want) > 1e-10 {
			t.Fatalf("%v of %v: ln p %v (%v), want %v", n, w, got, ok, want)
		}
		if k == 2 {
			if got := exactPearson2(n[0], n[0]+n[1], w[0], w[1]); math.Abs(got-want) > 1e-10 {
				t.Fatalf("%v of %v: closed form %v, want %v", n, w, got, want)
			}
		}
	}
}

// The walk and the closed form are two programs for two cells, up to the largest sizes and far into the tail.
func TestExactPearsonWalkAgainstClosedForm(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		total := int64(math.Exp(rng.Float64() * 30))
		w := []int64{1 + rng.Int64N(50), 1 + rng.Int64N(50)}
		p, _ := shares(w[0], w[1])
		n := clampInt(float64(total)*p+rng.NormFloat64()*8*math.Sqrt(float64(total)*p), total)
		want := exactPearson2(n, total, w[0], w[1])
		got, ok := exactPearsonK([]int64{n, total - n}, w, 0)
		if ok && math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
			t.Fatalf("%d of %d at %v: walk %v, closed form %v", n, total, w, got, want)
		}
	}
}

// R 4.2.2 binom.test gives 2.6839e-80 here, and the limit law at 16 times the distance is 1e-556: no underflow.
func TestExactFarTail(t *testing.T) {
	if got := exactPearson2(53000, 100000, 1, 1); math.Abs(math.Exp(got)-2.6839e-80) > 1e-84 {
		t.Errorf("ln p %v, want ln 2.6839e-80", got)
	}
	// Everything on one side of 1/2: 2^(1-n) exactly.
	if got, want := exactPearson2(1_000_000, 1_000_000, 1, 1), -999_999*math.Ln2; math.Abs(got-want) > 1e-6 {
		t.Errorf("ln p %v, want %v", got, want)
	}
	// Three equal backends, all to one: 3 outcomes of 3^-n.
	if got, ok := exactPearsonK([]int64{2000, 0, 0}, []int64{1, 1, 1}, 0); !ok || math.Abs(got-(math.Log(3)-2000*math.Log(3))) > 1e-8 {
		t.Errorf("ln p %v %v", got, ok)
	}
}

func TestExactTendsToAsymptotic(t *testing.T) {
	for _, n := range []int64{100, 10_000, 1_000_000} {
		c := []int64{n/2 + int64(math.Sqrt(float64(n))), n * 3 / 10, 0}
		c[2] = n - c[0] - c[1]
		d := mustJudge(t, named(5, 3, 2), Counts{N: c}, DefaultOptions()).GoodnessOfFit.Pearson
		if d.Exact.Method != Exact {
			t.Fatalf("n %d: %s", n, d.Exact.Method)
		}
		if gap := math.Abs(d.Exact.P - d.Asymptotic.P); gap > 0.6/math.Sqrt(float64(n)) {
			t.Errorf("n %d: exact %v, asymptotic %v", n, d.Exact.P, d.Asymptotic.P)
		}
	}
}

// Each way of computing p must agree with the exact one, or bound it.
func TestFallbacks(t *testing.T) {
	c := cells{n: []int64{30, 52, 77, 101}, w: []int64{2, 5, 8, 11}, total: 260, sum: 26}
	observed, expected := c.floats()
	x2 := pearsonValue(observed, expected)
	exact := exactPearson(c, x2, Options{Seed: 1})
	simulatedP := exactPearson(c, x2, Options{Seed: 1, MaxStates: 5})
	if exact.Method != Exact || simulatedP.Method != MonteCarlo || exact.P < simulatedP.Lo || exact.P > simulatedP.Hi {
		t.Errorf("exact %+v, simulated %+v", exact, simulatedP)
	}
	if again := exactPearson(c, x2, Options{Seed: 1, MaxStates: 5}); again != simulatedP {
		t.Errorf("not reproducible: %+v and %+v", simulatedP, again)
	}
	rng := rand.New(rand.NewPCG(15, 16))
	for range 200 {
		n, w := make([]int64, 3), make([]int64, 3)
		c := cells{n: n, w: w}
		for i := range n {
			n[i], w[i] = rng.Int64N(60), 1+rng.Int64N(9)
			c.total += n[i]
			c.sum += float64(w[i])
		}
		if c.total == 0 {
			continue
		}
		observed, expected := c.floats()
		x2 := pearsonValue(observed, expected)
		lnP, _ := exactPearsonK(n, w, 0)
		if bound := lnPearsonBound(x2, c.total, w); bound < lnP-1e-9 {
			t.Errorf("%v of %v: bound %v below ln p %v", n, w, bound, lnP)
		}
		if bound, p := lnGBound(gValue(observed, expected), 3), exactG(c, gValue(observed, expected), Options{Seed: 1}); bound < p.LnP-1e-9 {
			t.Errorf("%v of %v: bound of G %v below ln p %v", n, w, bound, p.LnP)
		}
	}
}

// The cap must work: no input may take a second on an idle machine. The limit here is ten times that, for a busy one.
func TestNoInputIsSlow(t *testing.T) {
	uneven := make(Weights, 16)
	many := Counts{N: make([]int64, 16)}
	for i := range uneven {
		uneven[i] = Weight{Backend: string(rune('a' + i)), W: int64(37 + 101*i)}
		many.N[i] = int64(1000 * (40 + 100*i))
	}
	for _, c := range []struct {
		w Weights
		c Counts
	}{
		{uneven, many},
		{named(3, 5, 8, 11, 14, 16, 20, 23), Counts{N: []int64{35, 52, 87, 101, 139, 155, 199, 232}}},
		{named(40, 30, 20, 10), Counts{N: []int64{400_000, 300_400, 199_900, 99_700}}},
		{named(997, 991, 983), Counts{N: []int64{1 << 50, 1 << 50, 1 << 50}, Unattributed: 1 << 40}},
	} {
		start := time.Now()
		d := mustJudge(t, c.w, c.c, DefaultOptions())
		checkSane(t, d)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%v took %v", c.c, took)
		}
	}
}
