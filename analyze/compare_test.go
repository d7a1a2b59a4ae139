package analyze

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// The interval of 56/70 against 48/80 is (0.0524, 0.3339) in R. G. Newcombe, Statistics in Medicine 17 (1998), table
// II, method 10, at 95 %.
func TestCompareSharesKnowsNewcombesExample(t *testing.T) {
	c, err := CompareShares(48, 80, 56, 70, 0.5, 0.05, 1)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(c.CI.Low-0.0524) > 5e-5 || math.Abs(c.CI.High-0.3339) > 5e-5 || !c.Different || math.Abs(c.Difference-0.2) > 1e-12 {
		t.Errorf("%+v", c)
	}
}

func TestCompareSharesHasThreeOutcomes(t *testing.T) {
	for _, x := range []struct {
		name                     string
		baseX, baseN, newX, newN int64
		family                   int
		want                     Outcome
	}{
		{"alike", 5000, 10000, 5010, 10000, 1, Pass},
		{"six points of five allowed", 50000, 100000, 56000, 100000, 1, Fail},
		{"the same the other way", 56000, 100000, 50000, 100000, 1, Fail},
		{"on the edge", 5000, 10000, 5500, 10000, 1, Inconclusive},
		{"too few", 15, 30, 15, 30, 1, Inconclusive},
		// 0.06 and a standard error of 0.0031: 3.2 of them above the margin, p 0.0006. Enough for one question, not for 100.
		{"one question", 13000, 26000, 15600, 26000 + 0, 1, Fail},
		{"nothing", 0, 0, 5, 10, 1, Inconclusive},
	} {
		c, err := CompareShares(x.baseX, x.baseN, x.newX, x.newN, 0.05, 0.01, x.family)
		if err != nil || c.Outcome != x.want {
			t.Errorf("%s: %s, %v, want %s", x.name, c.Outcome, err, x.want)
		}
	}
	// The same counts fail as one question and not as one of a thousand: 7 points of 5 allowed, standard error 0.0071,
	// are 2.8 of them beyond the margin (p 0.0025).
	one, _ := CompareShares(5000, 10000, 5700, 10000, 0.05, 0.01, 1)
	many, _ := CompareShares(5000, 10000, 5700, 10000, 0.05, 0.01, 1000)
	if one.Outcome != Fail || many.Outcome != Inconclusive {
		t.Errorf("one question: %s, of a thousand: %s", one.Outcome, many.Outcome)
	}
	for _, bad := range []func() (ShareChange, error){
		func() (ShareChange, error) { return CompareShares(2, 1, 0, 1, 0.05, 0.01, 1) },
		func() (ShareChange, error) { return CompareShares(1, 1, 1, 1, 0, 0.01, 1) },
		func() (ShareChange, error) { return CompareShares(1, 1, 1, 1, 0.05, 0.5, 1) },
		func() (ShareChange, error) { return CompareShares(1, 1, 1, 1, 0.05, 0.01, 0) },
	} {
		if _, err := bad(); !errors.Is(err, ErrInput) {
			t.Errorf("%v, want ErrInput", err)
		}
	}
}

// costRun is the far and the near side of one run: 40 windows of 100 requests, far slower by cost milliseconds.
func costRun(t *testing.T, seed uint64, cost float64) [2]*Blocks {
	t.Helper()
	far, near := pair(t, seed, cost)
	return [2]*Blocks{far, near}
}

// The median of 4,000 exponential requests of mean 1 ms has a standard error of 0.5/sqrt(4000)/0.5 = 0.016 ms, a
// difference of differences 0.032 ms: each distance from the allowance below is more than 20 of them.
func TestCompareCostsHasThreeOutcomes(t *testing.T) {
	base := costRun(t, 1, 10)
	for _, x := range []struct {
		name      string
		cost      float64
		want      Outcome
		different bool
	}{
		{"alike", 10, Pass, false}, {"more than allowed", 20, Fail, true}, {"less", 3, Pass, true}, {"on the edge", 15, Inconclusive, true},
	} {
		c, err := CompareCosts(base, costRun(t, 2, x.cost), 0.5, 5*msNs, 0.01, 6)
		if err != nil || c.Outcome != x.want || x.different && !c.Different {
			t.Errorf("%s: %s, different %t, %v, want %s: %+v", x.name, c.Outcome, c.Different, err, x.want, c.CI)
		}
		if want := (x.cost - 10) * msNs; math.Abs(float64(c.Change)-want) > 0.3*msNs {
			t.Errorf("%s: change %d ns, want about %.0f", x.name, c.Change, want)
		}
	}
	if _, err := CompareCosts(base, base, 0.5, -1, 0.01, 1); !errors.Is(err, ErrInput) {
		t.Errorf("%v, want ErrInput", err)
	}
}

// Runs at one cost whose windows have levels of their own: requests are far from independent. Against no margin at
// all at most one in a hundred may fail, and 400 draws of that are above 13 with probability 1e-4.
func TestCompareCostsKeepsItsErrorRate(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	wander := func() *Blocks {
		var levels [40]float64
		for i := range levels {
			levels[i] = 5 + 0.5*rng.NormFloat64()
		}
		return mustBlocks(t, latencies(rng, 40, 40, func(i int) float64 { return levels[i] }))
	}
	fails := 0
	for range 400 {
		c, err := CompareCosts([2]*Blocks{wander(), wander()}, [2]*Blocks{wander(), wander()}, 0.5, 0, 0.01, 1)
		if err != nil {
			t.Fatal(err)
		}
		if c.Outcome == Fail {
			fails++
		}
	}
	if fails > 13 {
		t.Errorf("%d of 400 comparisons of runs at one cost fail", fails)
	}
	t.Logf("%d of 400 fail", fails)
}
