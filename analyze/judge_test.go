package analyze

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustJudge(t *testing.T, w Weights, c Counts, o Options) Decision {
	t.Helper()
	d, err := Judge(w, c, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func with(f func(o *Options)) Options {
	o := DefaultOptions()
	f(&o)
	return o
}

func tolerance(t *testing.T, s string) Tolerance {
	t.Helper()
	tol, err := ParseTolerance(s)
	if err != nil {
		t.Fatal(err)
	}
	return tol
}

func TestJudgeOutcomes(t *testing.T) {
	half := named(50, 50)
	chisq := func(o *Options) { o.Gate = GateChiSquare }
	points := func(s string) func(o *Options) {
		return func(o *Options) { o.Tolerance = tolerance(t, s) }
	}
	for _, c := range []struct {
		name string
		w    Weights
		c    Counts
		o    func(o *Options)
		want Outcome
		code string // of the first reason
	}{
		{"drift of 2.12 points inside 5", half, Counts{N: []int64{5212, 4788}}, nil, Pass, CodeWithin},
		{"drift of 2.12 points at 2", half, Counts{N: []int64{5212, 4788}}, points("2pt"), Inconclusive, CodeTooFew},
		{"the same for chi-square", half, Counts{N: []int64{5212, 4788}}, func(o *Options) { points("2pt")(o); chisq(o) }, Fail, CodeByChance},
		{"ten million, drift of 0.05 points inside 1", half, Counts{N: []int64{5005000, 4995000}}, points("1pt"), Pass, CodeWithin},
		{"which chi-square condemns", half, Counts{N: []int64{5005000, 4995000}}, func(o *Options) { points("1pt")(o); chisq(o) }, Fail, CodeByChance},
		{"ten requests", half, Counts{N: []int64{6, 4}}, nil, Inconclusive, CodeTooFew},
		{"which chi-square cannot acquit either", half, Counts{N: []int64{6, 4}}, chisq, Inconclusive, CodeTooFew},
		{"chi-square, enough, no difference", half, Counts{N: []int64{4900, 4950}}, chisq, Pass, CodeNoDifference},
		{"far outside", named(90, 10), Counts{N: []int64{506, 494}}, nil, Fail, CodeOutside},
		{"on the edge", half, Counts{N: []int64{110, 90}}, nil, Inconclusive, CodeEdge},
		{"no requests", half, Counts{N: []int64{0, 0}, Unattributed: 7}, nil, Inconclusive, CodeNoRequests},
		{"one backend, ninety requests", named(7), Counts{N: []int64{90}}, nil, Pass, CodeWithin},
		{"one backend, too few", named(7), Counts{N: []int64{89}}, nil, Inconclusive, CodeTooFew},
		{"one backend for chi-square", named(7), Counts{N: []int64{10}}, chisq, Pass, CodeNoDifference},
		{"leak", named(50, 50, 0), Counts{N: []int64{5000, 5000, 1}}, nil, Fail, CodeLeak},
		{"leak for chi-square", named(50, 50, 0), Counts{N: []int64{5000, 5000, 1}}, chisq, Fail, CodeLeak},
		{"no leak", named(50, 50, 0), Counts{N: []int64{5000, 5000, 0}}, nil, Pass, CodeWithin},
		{"tolerated leak", named(50, 50, 0), Counts{N: []int64{5000, 5000, 1}}, func(o *Options) { o.Tolerance.Leak = 0.01 }, Pass, CodeWithin},
		{"leak near what is tolerated", named(50, 50, 0), Counts{N: []int64{5000, 5000, 90}}, func(o *Options) { o.Tolerance.Leak = 0.01 }, Inconclusive, CodeLeakUnsure},
		{"more than the tolerated leak", named(50, 50, 0), Counts{N: []int64{5000, 5000, 200}}, func(o *Options) { o.Tolerance.Leak = 0.01 }, Fail, CodeLeak},
		{"harmless unattributed", half, Counts{N: []int64{4700, 4950}, Unattributed: 350}, nil, Pass, CodeWithin},
		{"unattributed decide a pass", half, Counts{N: []int64{4700, 4950}, Unattributed: 1350}, nil, Inconclusive, CodeUnattributed},
		{"unattributed decide a fail", half, Counts{N: []int64{4000, 6000}, Unattributed: 2000}, nil, Inconclusive, CodeUnattributed},
		{"fail whatever the unattributed", half, Counts{N: []int64{4000, 6000}, Unattributed: 200}, nil, Fail, CodeOutside},
		{"unattributed may have leaked", named(100, 0), Counts{N: []int64{5000, 0}, Unattributed: 1}, nil, Inconclusive, CodeUnattributed},
		{"unattributed decide chi-square", half, Counts{N: []int64{4700, 4950}, Unattributed: 350}, chisq, Inconclusive, CodeUnattributed},
		{"three backends", named(1, 1, 1), Counts{N: []int64{1000, 1010, 990}}, nil, Pass, CodeWithin},
		{
			"sixteen backends, one wrong", named(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),
			Counts{N: []int64{600, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
			nil, Fail, CodeOutside,
		},
		{"2^53 requests", half, Counts{N: []int64{MaxRequests / 2, MaxRequests / 2}}, nil, Pass, CodeWithin},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := DefaultOptions()
			if c.o != nil {
				c.o(&o)
			}
			d := mustJudge(t, c.w, c.c, o)
			if d.Outcome != c.want || len(d.Reasons) == 0 || d.Reasons[0].Code != c.code {
				t.Errorf("%s, %v; want %s, %s", d.Outcome, d.Reasons, c.want, c.code)
			}
			checkSane(t, d)
		})
	}
}

// The contract of the command line: statistic 17.9776, df 1, ln p of the limit law -10.7086 (R 4.2.2 chisq.test,
// mpmath) and of the exact test (R binom.test 2.33073091961124e-05, for 1/2 the same order).
func TestJudgeContractNumbers(t *testing.T) {
	p := mustJudge(t, named(50, 50), Counts{N: []int64{5212, 4788}}, DefaultOptions()).GoodnessOfFit.Pearson
	if math.Abs(p.Value-17.9776) > 1e-12 || p.DF != 1 || math.Abs(p.Asymptotic.LnP+10.70859570998479) > 1e-9 ||
		math.Abs(p.Exact.P-2.33073091961124e-05) > 1e-13 || p.Exact.Method != Exact {
		t.Errorf("%+v", p)
	}
}

func TestJudgeNeeded(t *testing.T) {
	d := mustJudge(t, named(50, 50), Counts{N: []int64{15, 15}}, DefaultOptions())
	if d.NeededIfOnTarget.Requests != 2410 || d.NeededIfAsObserved.Requests != 2410 {
		t.Errorf("%+v %+v, want 2410 both ways", d.NeededIfOnTarget, d.NeededIfAsObserved)
	}
	d = mustJudge(t, named(50, 50), Counts{N: []int64{110, 90}}, DefaultOptions())
	if d.NeededIfAsObserved.Requests != 0 || d.NeededIfAsObserved.Why != NeedEdge {
		t.Errorf("%+v, want the edge", d.NeededIfAsObserved)
	}
	if d.NeededIfOnTarget.Requests != 2410 {
		t.Errorf("%+v", d.NeededIfOnTarget)
	}
}

func TestRequiredRequests(t *testing.T) {
	// Reached power and its failure one request earlier are what the number means; the size itself is the normal
	// approximation (z.99+z.995)^2 pi(1-pi)/delta^2: 2,403 at 50/50, 865 at 90/10 (skewed: the exact test wants
	// more).
	for _, c := range []struct {
		w        Weights
		low, top int64
	}{{named(50, 50), 2380, 2450}, {named(90, 10), 850, 1000}, {named(99, 1), 9400, 11500}, {named(1, 1, 1), 2100, 2600}, {named(3), 90, 90}} {
		o := DefaultOptions()
		n, err := RequiredRequests(c.w, o)
		if err != nil || n < c.low || n > c.top {
			t.Fatalf("%v: %d, %v, want %d to %d", c.w, n, err, c.low, c.top)
		}
		f, err := Foresee(c.w, n, o)
		if err != nil || f.PassOnTarget < o.Power {
			t.Errorf("%v: passes with %v at %d, %v", c.w, f.PassOnTarget, n, err)
		}
	}
	if _, err := RequiredRequests(named(1, 1), with(func(o *Options) { o.Tolerance = Tolerance{Points: 1e-5} })); !errors.Is(err, ErrInput) {
		t.Errorf("a tolerance of 0.00001 points: %v, want an error", err)
	}
}

// At the planned size a split on target must pass, and one off by twice the tolerance must fail, as often as the plan
// says. 500 seeded runs: 6 standard errors of a rate of 0.99 are 0.0267, so a right program fails this with
// probability below 1e-6.
func TestPlannedSizeDecides(t *testing.T) {
	const runs = 500
	o := DefaultOptions()
	w := named(50, 50)
	n, err := RequiredRequests(w, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Foresee(w, n, o)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rate := func(p float64, want Outcome) float64 {
		hits := 0.0
		for range runs {
			var x int64
			for range n {
				if rng.Float64() < p {
					x++
				}
			}
			if mustJudge(t, w, Counts{N: []int64{x, n - x}}, o).Outcome == want {
				hits++
			}
		}
		return hits / runs
	}
	if got := rate(0.5, Pass); got < o.Power-0.0267 || math.Abs(got-f.PassOnTarget) > 0.0267 {
		t.Errorf("passes %v on target, plan says %v", got, f.PassOnTarget)
	}
	if got := rate(0.6, Fail); math.Abs(got-f.FailAtTwice[0]) > 0.0267+6*math.Sqrt(f.FailAtTwice[0]*(1-f.FailAtTwice[0])/runs) {
		t.Errorf("fails %v at twice the tolerance, plan says %v", got, f.FailAtTwice)
	}
}

func TestJudgeRefusesBadInput(t *testing.T) {
	w, c := named(50, 50), Counts{N: []int64{5, 5}}
	for name, run := range map[string]func() error{
		"no weights":            func() error { _, err := Judge(nil, c, DefaultOptions()); return err },
		"all weights zero":      func() error { _, err := Judge(named(0, 0), c, DefaultOptions()); return err },
		"negative weight":       func() error { _, err := Judge(named(-1, 2), c, DefaultOptions()); return err },
		"weights overflow":      func() error { _, err := Judge(named(math.MaxInt64, 1), c, DefaultOptions()); return err },
		"same backend twice":    func() error { _, err := Judge(Weights{{"a", 1}, {"a", 1}}, c, DefaultOptions()); return err },
		"backend without name":  func() error { _, err := Judge(Weights{{"", 1}, {"a", 1}}, c, DefaultOptions()); return err },
		"too few counts":        func() error { _, err := Judge(w, Counts{N: []int64{5}}, DefaultOptions()); return err },
		"negative count":        func() error { _, err := Judge(w, Counts{N: []int64{5, -1}}, DefaultOptions()); return err },
		"negative unattributed": func() error { _, err := Judge(w, Counts{N: c.N, Unattributed: -1}, DefaultOptions()); return err },
		"too many requests":     func() error { _, err := Judge(w, Counts{N: []int64{MaxRequests, 1}}, DefaultOptions()); return err },
		"overflowing requests": func() error {
			_, err := Judge(w, Counts{N: []int64{math.MaxInt64, math.MaxInt64}}, DefaultOptions())
			return err
		},
		"alpha 0":             func() error { _, err := Judge(w, c, with(func(o *Options) { o.Alpha = 0 })); return err },
		"alpha 0.5":           func() error { _, err := Judge(w, c, with(func(o *Options) { o.Alpha = 0.5 })); return err },
		"alpha not a number":  func() error { _, err := Judge(w, c, with(func(o *Options) { o.Alpha = math.NaN() })); return err },
		"power 0":             func() error { _, err := Judge(w, c, with(func(o *Options) { o.Power = 0 })); return err },
		"power 1":             func() error { _, err := Judge(w, c, with(func(o *Options) { o.Power = 1 })); return err },
		"no tolerance":        func() error { _, err := Judge(w, c, with(func(o *Options) { o.Tolerance = Tolerance{} })); return err },
		"negative tolerance":  func() error { _, err := Judge(w, c, with(func(o *Options) { o.Tolerance.Points = -1 })); return err },
		"tolerance above 100": func() error { _, err := Judge(w, c, with(func(o *Options) { o.Tolerance.Points = 101 })); return err },
		"infinite relative": func() error {
			_, err := Judge(w, c, with(func(o *Options) { o.Tolerance.Relative = math.Inf(1) }))
			return err
		},
		"leak of everything": func() error { _, err := Judge(w, c, with(func(o *Options) { o.Tolerance.Leak = 1 })); return err },
		"unknown gate":       func() error { _, err := Judge(w, c, with(func(o *Options) { o.Gate = "z" })); return err },
	} {
		err := run()
		if !errors.Is(err, ErrInput) {
			t.Errorf("%s: %v, want ErrInput", name, err)
			continue
		}
		if s := err.Error(); strings.HasSuffix(s, ".") || strings.Contains(s, "\n") || strings.ToLower(s[:1]) != s[:1] {
			t.Errorf("%s: %q is not one plain sentence", name, s)
		}
	}
}

// checkSane holds of every decision.
func checkSane(t *testing.T, d Decision) {
	t.Helper()
	p := func(what string, v PValue) {
		t.Helper()
		if !(v.P >= 0 && v.P <= 1) || math.IsNaN(v.LnP) || v.LnP > 0 || !(v.Lo >= 0 && v.Hi <= 1 && v.Lo <= v.Hi) || v.Method == "" {
			t.Errorf("%s: %+v", what, v)
		}
	}
	p("match", d.Match)
	p("differs", d.Differs)
	p("worst match", d.Unattributed.WorstMatch)
	p("worst differs", d.Unattributed.WorstDiffer)
	for _, s := range []Statistic{d.GoodnessOfFit.Pearson, d.GoodnessOfFit.G} {
		p("asymptotic", s.Asymptotic)
		p("exact", s.Exact)
		if math.IsNaN(s.Value) || s.Value < 0 {
			t.Errorf("statistic %v", s.Value)
		}
	}
	if d.Match.P <= d.Options.Alpha && d.Differs.P <= d.Options.Alpha && d.Requests > 0 {
		t.Errorf("both tests hold: match %v, differs %v", d.Match.P, d.Differs.P)
	}
	for i, b := range d.Backends {
		p("adjusted", b.AdjustedP)
		p("backend match", b.Match)
		p("backend differs", b.Differs)
		for _, x := range []float64{b.ExpectedShare, b.ObservedShare, b.Interval.Low, b.Interval.High, b.LeakUpper, d.Unattributed.Low[i], d.Unattributed.High[i]} {
			if !(x >= 0 && x <= 1) {
				t.Errorf("backend %d: share %v in %+v", i, x, b)
			}
		}
		if b.Interval.Low > b.Interval.High || math.IsNaN(b.StandardizedResidual) || math.IsInf(b.StandardizedResidual, 0) {
			t.Errorf("backend %d: %+v", i, b)
		}
		if x := d.NoticeablePoints[i]; !(x >= 0 && x <= 100) {
			t.Errorf("backend %d: noticeable %v", i, x)
		}
	}
	for _, n := range []Needed{d.NeededIfOnTarget, d.NeededIfAsObserved} {
		if n.Requests < 0 || n.Requests == 0 && n.Why == "" {
			t.Errorf("needed %+v", n)
		}
	}
	if len(d.Reasons) == 0 {
		t.Error("no reason")
	}
	for _, r := range d.Reasons {
		if numbers := fmt.Sprint(r); r.Code == "" || strings.Contains(numbers, "NaN") {
			t.Errorf("reason %+v", r)
		}
	}
}

// judgeWords sorts out what does not depend on the order of backends.
func invariants(d Decision, order []int) map[string]any {
	out := map[string]any{"outcome": d.Outcome, "match": d.Match.LnP, "differs": d.Differs.LnP, "needed": d.NeededIfOnTarget}
	for i, j := range order {
		b := d.Backends[j]
		out[fmt.Sprint("interval", i)] = b.Interval
		out[fmt.Sprint("match", i)] = b.Match.LnP
		out[fmt.Sprint("adjusted", i)] = b.AdjustedP.LnP
		out[fmt.Sprint("residual", i)] = b.StandardizedResidual
	}
	g := d.GoodnessOfFit.Pearson
	out["pearson"], out["exact"] = g.Value, g.Exact.LnP
	return out
}

func FuzzJudge(f *testing.F) {
	f.Add(int64(50), int64(50), int64(0), int64(5212), int64(4788), int64(0), int64(0), 5.0, 0.01, false)
	f.Add(int64(90), int64(9), int64(1), int64(880), int64(100), int64(20), int64(7), 2.0, 0.05, true)
	f.Add(int64(1), int64(0), int64(0), int64(1), int64(0), int64(0), int64(1)<<40, 100.0, 0.49, false)
	f.Add(int64(math.MaxInt64/3), int64(7), int64(0), int64(1)<<52, int64(1)<<50, int64(3), int64(0), 1e-9, 1e-300, true)
	f.Fuzz(func(t *testing.T, w1, w2, w3, n1, n2, n3, missing int64, points, alpha float64, chisq bool) {
		w, c := named(w1, w2, w3), Counts{N: []int64{n1, n2, n3}, Unattributed: missing}
		o := with(func(o *Options) {
			o.Tolerance, o.Alpha, o.MaxStates = Tolerance{Points: points}, alpha, 2000
			if chisq {
				o.Gate = GateChiSquare
			}
		})
		d, err := Judge(w, c, o)
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Fatalf("%v does not wrap ErrInput", err)
			}
			return
		}
		checkSane(t, d)
		again, err := Judge(w, c, o)
		if diff := cmp.Diff(d, again); err != nil || diff != "" {
			t.Errorf("not deterministic: %v %s", err, diff)
		}
	})
}

func TestJudgeInvariances(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	near := cmp.Comparer(func(a, b float64) bool {
		return a == b || math.Abs(a-b) <= 1e-9*math.Max(1, math.Max(math.Abs(a), math.Abs(b)))
	})
	for round := range 40 {
		k := 2 + rng.IntN(4)
		w, c := make(Weights, k), Counts{N: make([]int64, k)}
		size := []int{3, 40, 400}[rng.IntN(3)]
		for i := range w {
			w[i] = Weight{Backend: string(rune('a' + i)), W: rng.Int64N(20)}
			c.N[i] = int64(rng.IntN(size))
		}
		w[0].W++
		if rng.IntN(3) == 0 {
			c.Unattributed = int64(rng.IntN(20))
		}
		o := DefaultOptions()
		d := mustJudge(t, w, c, o)
		checkSane(t, d)
		identity := make([]int, k)
		for i := range identity {
			identity[i] = i
		}
		want := invariants(d, identity)

		scaled := make(Weights, k)
		for i := range w {
			scaled[i] = Weight{w[i].Backend, w[i].W * 1000}
		}
		if diff := cmp.Diff(want, invariants(mustJudge(t, scaled, c, o), identity), near); diff != "" {
			t.Fatalf("round %d: scaled weights change %v %v: %s", round, w, c, diff)
		}
		order := rng.Perm(k)
		pw, pc := make(Weights, k), Counts{N: make([]int64, k), Unattributed: c.Unattributed}
		for i, j := range order {
			pw[j], pc.N[j] = w[i], c.N[i]
		}
		if diff := cmp.Diff(want, invariants(mustJudge(t, pw, pc, o), order), near); diff != "" {
			t.Fatalf("round %d: order of backends changes %v %v: %s", round, w, c, diff)
		}
	}
}

func TestPassIsMonotoneInTolerance(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		n := int64(rng.IntN(5000))
		x := int64(float64(n) * (0.3 + 0.4*rng.Float64()))
		passed, failed := false, true
		for points := 0.5; points <= 40; points += 1 {
			o := with(func(o *Options) { o.Tolerance = Tolerance{Points: points} })
			d := mustJudge(t, named(50, 50), Counts{N: []int64{x, n - x}}, o)
			if passed && d.Outcome != Pass || !failed && d.Outcome == Fail {
				t.Fatalf("%d of %d: %s at %v points, after a pass %v", x, n, d.Outcome, points, passed)
			}
			passed, failed = passed || d.Outcome == Pass, failed && d.Outcome == Fail
		}
	}
}

// The unattributed bounds must hold for every allocation that there is.
func TestUnattributedBoundsAreTheWorst(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 60 {
		w := named(1+rng.Int64N(9), 1+rng.Int64N(9), 1+rng.Int64N(9))
		c := Counts{N: []int64{rng.Int64N(200), rng.Int64N(200), rng.Int64N(200)}, Unattributed: rng.Int64N(25)}
		o := DefaultOptions()
		d := mustJudge(t, w, c, o)
		test := newTest(w, o)
		worstMatch, worstDiffers := math.Inf(-1), math.Inf(-1)
		total := c.N[0] + c.N[1] + c.N[2] + c.Unattributed
		if total == c.Unattributed {
			continue
		}
		for a := int64(0); a <= c.Unattributed; a++ {
			for b := int64(0); a+b <= c.Unattributed; b++ {
				n := []int64{c.N[0] + a, c.N[1] + b, c.N[2] + c.Unattributed - a - b}
				worstMatch = math.Max(worstMatch, test.lnMatch(n, total))
				worstDiffers = math.Max(worstDiffers, test.lnDiffers(n, total))
			}
		}
		near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(b)) }
		if !near(d.Unattributed.WorstMatch.LnP, worstMatch) || !near(d.Unattributed.WorstDiffer.LnP, worstDiffers) {
			t.Fatalf("round %d %v %v: %v %v, by trying all %v %v", round, w, c,
				d.Unattributed.WorstMatch.LnP, d.Unattributed.WorstDiffer.LnP, worstMatch, worstDiffers)
		}
	}
}
