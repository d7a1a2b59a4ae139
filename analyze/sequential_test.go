package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func update(t *testing.T, s *Sequential, batch []int64) Look {
	t.Helper()
	look, err := s.Update(batch)
	if err != nil {
		t.Fatal(err)
	}
	return look
}

// splitRun looks 200 times every 20 requests at a split with the given true share and returns the last look.
func splitRun(t *testing.T, rng *rand.Rand, o Options, truth float64) Look {
	t.Helper()
	s, err := NewSequential(named(50, 50), o)
	if err != nil {
		t.Fatal(err)
	}
	var look Look
	for range 200 {
		var n int64
		for range 20 {
			if rng.Float64() < truth {
				n++
			}
		}
		if look = update(t, s, []int64{n, 20 - n}); look.Outcome != Inconclusive {
			break
		}
	}
	return look
}

// Over 200 looks a split on the edge of the tolerance passes, and one on target fails, with probability at most
// alpha. 300 runs at alpha 0.05: more than 35 errors have probability 2e-5 even if the rate were exactly alpha, and
// it is far lower.
func TestSequentialErrorsOverAllLooks(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	o := with(func(o *Options) { o.Alpha = 0.05 })
	wrongPass, wrongFail, passes, fails := 0, 0, 0, 0
	for range 300 {
		if splitRun(t, rng, o, 0.5501).Outcome == Pass {
			wrongPass++
		}
		switch splitRun(t, rng, o, 0.5).Outcome {
		case Fail:
			wrongFail++
		case Pass:
			passes++
		}
		if splitRun(t, rng, o, 0.65).Outcome == Fail {
			fails++
		}
	}
	if wrongPass > 35 || wrongFail > 35 {
		t.Errorf("%d wrong passes, %d wrong fails of 300", wrongPass, wrongFail)
	}
	// The likely range shrinks to 5 points at about 760 requests on target: it must not always say inconclusive.
	if passes < 280 || fails < 290 {
		t.Errorf("%d passes on target, %d fails at three times the tolerance, of 300", passes, fails)
	}
}

func TestSequentialBatchesChangeNothing(t *testing.T) {
	w := named(4, 3, 2, 0)
	whole, err := NewSequential(w, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	parts, err := NewSequential(w, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	one := update(t, whole, []int64{900, 700, 400, 0})
	update(t, parts, []int64{500, 300, 200, 0})
	update(t, parts, []int64{0, 0, 0, 0})
	two := update(t, parts, []int64{400, 400, 200, 0})
	if math.Abs(one.LnE-two.LnE) > 1e-9 || one.Requests != two.Requests {
		t.Errorf("e-values %v and %v", one.LnE, two.LnE)
	}
	for i := range one.Intervals {
		if two.Intervals[i].Low < one.Intervals[i].Low-1e-12 || two.Intervals[i].High > one.Intervals[i].High+1e-12 {
			t.Errorf("more looks widen an interval: %v, %v", one.Intervals[i], two.Intervals[i])
		}
	}
	if two.Anytime.P > one.Anytime.P+1e-12 && one.Anytime.P < 1 {
		t.Errorf("the running p rose: %v, %v", one.Anytime, two.Anytime)
	}
	if leak := update(t, parts, []int64{0, 0, 0, 1}); leak.Outcome != Fail || leak.Anytime.P != 0 {
		t.Errorf("after a leak: %+v", leak)
	}
}

func TestSequentialRefusesBadInput(t *testing.T) {
	if _, err := NewSequential(named(1, 1), DefaultOptions(), 0); !errors.Is(err, ErrInput) {
		t.Errorf("concentration 0: %v", err)
	}
	s, err := NewSequential(named(1, 1), DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, []int64{3, 4})
	for _, bad := range [][]int64{{1}, {-1, 1}, {MaxRequests, 0}} {
		if _, err := s.Update(bad); !errors.Is(err, ErrInput) {
			t.Errorf("batch %v: %v", bad, err)
		}
	}
	if look := update(t, s, []int64{0, 0}); look.Requests != 7 {
		t.Errorf("a refused batch was counted: %+v", look)
	}
}

// 100 of 100 to one side of 50/50: the mixture says p = 7e-29 (vector eproc-02); its price against the best of its
// priors is at most ln 5.
func TestMixturePrice(t *testing.T) {
	n, pi := []float64{5212, 4788}, []float64{0.5, 0.5}
	best := math.Inf(-1)
	for _, c := range defaultConcentrations() {
		best = math.Max(best, lnDirichlet(n, pi, c))
	}
	if mixed := lnMixtureMarginal(n, pi, defaultConcentrations()); mixed < best-math.Log(5) || mixed > best {
		t.Errorf("mixture %v, best prior %v", mixed, best)
	}
	if got := CombineE(1, 2.5); got != 3.5 {
		t.Errorf("combined %v", got)
	}
}
