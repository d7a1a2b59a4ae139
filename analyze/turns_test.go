package analyze

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// schedule is earliest-deadline-first by weights, as Traefik's weighted round robin is written (traefik
// pkg/server/service/loadbalancer/wrr/wrr.go): deadlines advance by 1/weight, the earliest is taken.
type schedule struct {
	weights, deadlines []float64
}

func newSchedule(w Weights) *schedule {
	s := &schedule{}
	for _, x := range w {
		s.weights = append(s.weights, float64(x.W))
		s.deadlines = append(s.deadlines, 1/float64(x.W)) // +Inf for weight 0: never taken
	}
	return s
}

func (s *schedule) next() int {
	first := 0
	for i, d := range s.deadlines {
		if d < s.deadlines[first] {
			first = i
		}
	}
	s.deadlines[first] += 1 / s.weights[first]
	return first
}

func turnWeights(ws ...int64) Weights {
	out := make(Weights, len(ws))
	for i, w := range ws {
		out[i] = Weight{Backend: string(rune('a' + i)), W: w}
	}
	return out
}

// sharesOf is as much of a Decision as the bound looks at: a whole one takes exact tests of many cells.
func sharesOf(w Weights, c Counts) (d Decision) {
	var sum, n int64
	for i, x := range w {
		sum, n = sum+x.W, n+c.N[i]
	}
	for i, x := range w {
		p := float64(x.W) / float64(sum)
		d.Backends = append(d.Backends, BackendResult{Weight: x.W, ExpectedShare: p, Expected: p * float64(n), Observed: c.N[i]})
	}
	return d
}

// The bound holds over every stretch of every schedule, whatever the weights: 2,000 drawn at random, seed 20, plus
// the ones that schedulers like least.
func TestTurnsKeepTheirBound(t *testing.T) {
	draw := rand.New(rand.NewPCG(20, 1))
	cases := []Weights{turnWeights(1, 1), turnWeights(99, 1), turnWeights(1, 1, 1, 1, 1), turnWeights(7, 3, 0), turnWeights(1000, 1, 1)}
	for range 2000 {
		ws := make([]int64, 2+draw.IntN(6))
		for i := range ws {
			ws[i] = 1 + draw.Int64N(100)
		}
		cases = append(cases, turnWeights(ws...))
	}
	for _, w := range cases {
		instances := 1 + draw.IntN(3)
		c := Counts{N: make([]int64, len(w))}
		for range instances {
			s := newSchedule(w)
			for range draw.IntN(500) { // another client's turns came before
				s.next()
			}
			for range 1 + draw.IntN(2000) {
				c.N[s.next()]++
			}
		}
		if res := turnsOf(sharesOf(w, c), w, c, Turns{Instances: instances, Levels: 1}); !res.Within {
			t.Errorf("weights %v, counts %v: off by %v, bound %v", w, c.N, res.Deviation, res.Bound)
		}
	}
}

func TestJudgeTurns(t *testing.T) {
	for _, row := range []struct {
		name    string
		w       Weights
		n       []int64
		lost    int64
		turns   Turns
		outcome Outcome
		code    string
	}{
		// 5 points of 100 requests are 5: one request off and a bound of 1 leave no room for other weights.
		{"hundred by turns", turnWeights(50, 50), []int64{50, 50}, 0, Turns{1, 1}, Pass, CodeTurns},
		{"one off", turnWeights(90, 10), []int64{91, 9}, 0, Turns{1, 1}, Pass, CodeTurns},
		// 5 points of 20 requests are 1: turns of 55/45 give 11 of 20 too.
		{"too few", turnWeights(50, 50), []int64{10, 10}, 0, Turns{1, 1}, Inconclusive, CodeTurnsFew},
		{"three pods are off by three", turnWeights(50, 50), []int64{103, 97}, 0, Turns{3, 1}, Pass, CodeTurns},
		{"disturbed, right all the same", turnWeights(50, 50), []int64{5020, 4980}, 0, Turns{1, 1}, Pass, CodeWithin},
		{"wrong weights", turnWeights(50, 50), []int64{9000, 1000}, 0, Turns{1, 1}, Fail, CodeOutside},
		{"a weight-0 backend answered", turnWeights(1, 1, 0), []int64{500, 499, 1}, 0, Turns{1, 1}, Fail, CodeLeak},
		{"lost requests widen the bound", turnWeights(50, 50), []int64{1000, 960}, 40, Turns{1, 1}, Pass, CodeTurns},
		{"nothing", turnWeights(1, 1), []int64{0, 0}, 3, Turns{1, 1}, Inconclusive, CodeNoRequests},
		{"one backend", turnWeights(1), []int64{100}, 0, Turns{1, 1}, Pass, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			d, _, err := JudgeTurns(row.w, Counts{N: row.n, Unattributed: row.lost}, DefaultOptions(), row.turns)
			if err != nil {
				t.Fatal(err)
			}
			if d.Outcome != row.outcome || row.code != "" && d.Reasons[0].Code != row.code {
				t.Errorf("outcome %s, reasons %+v", d.Outcome, d.Reasons)
			}
			for _, r := range d.Reasons {
				if numbers := fmt.Sprint(r.Share, r.Deviation, r.Bound); strings.Contains(numbers, "N") || strings.Contains(numbers, "I") {
					t.Errorf("%+v", r)
				}
			}
		})
	}
	if _, _, err := JudgeTurns(turnWeights(1, 1), Counts{N: []int64{1, 1}}, DefaultOptions(), Turns{}); err == nil {
		t.Error("no instances: no error")
	}
}

// A random draw of the same size is almost never as even as turns: of 10,000 requests at 50/50 the chance to be off
// by at most 1 is about 3*phi(0)/50 = 0.024, so turns cannot be mistaken for what a mesh does.
func TestRandomDrawsAreNoTurns(t *testing.T) {
	draw := rand.New(rand.NewPCG(7, 7))
	within := 0
	const runs, n = 400, 10_000
	for range runs {
		c := Counts{N: make([]int64, 2)}
		for range n {
			c.N[draw.IntN(2)]++
		}
		if w := turnWeights(50, 50); turnsOf(sharesOf(w, c), w, c, Turns{1, 1}).Within {
			within++
		}
	}
	// Binomial(400, 0.024): mean 9.6, sd 3.1; above 25 with probability below 1e-5.
	if within > 25 {
		t.Errorf("%d of %d random runs within the bound of turns", within, runs)
	}
}

// Requests without a known backend may have reached one that must get nothing: turns do not make that harmless, as
// they do not make it harmless to Judge.
func TestTurnsDoNotExcuseUnattributedRequestsBesideAWeightOfZero(t *testing.T) {
	w := Weights{{"podinfo", 50}, {"podinfo-east", 50}, {"old", 0}}
	for unattributed, want := range map[int64]Outcome{0: Pass, 10: Inconclusive} {
		d, res, err := JudgeTurns(w, Counts{N: []int64{5000, 5000, 0}, Unattributed: unattributed}, DefaultOptions(), Turns{Instances: 1, Levels: 1})
		if err != nil || !res.Within || d.Outcome != want || d.Unattributed.Decides != (want == Inconclusive) || len(d.Reasons) == 0 {
			t.Errorf("%d unattributed: %s, decides %v, within %v, %v: %v", unattributed, d.Outcome, d.Unattributed.Decides, res.Within, err, d.Reasons)
		}
	}
}
