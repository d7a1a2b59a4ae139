package main

import (
	"fmt"

	"github.com/splitbench/splitbench/analyze"
)

// Groups of scenarios, in the order of the table.
const (
	groupOnTarget   = "On target, requests drawn one by one"
	groupInside     = "Off target but inside the tolerance"
	groupEdge       = "Exactly on the edge of the tolerance"
	groupTwice      = "Off by twice the tolerance"
	groupZero       = "Backends of weight 0"
	groupChiSquare  = "The chi-square gate, for those who ask for it"
	groupSequential = "Stopping early, 200 looks"
	groupMissing    = "Answers without a name"
	groupPinned     = "Pinned connections, after the diagnostics"
	groupRoundRobin = "Round robin, after the diagnostics"
	groupChange     = "More than one split in one run, after the diagnostics"
	groupNone       = "Where nothing is claimed"
)

// Repetitions. A decision on counts costs microseconds, a run of requests with its diagnostics about a millisecond, 200
// looks or a second judgement by fewer requests several, and shuffling thousands of connections fifty.
const (
	cheap   = 200_000
	full    = 20_000
	slow    = 5_000
	slowest = 1_000
)

// builder collects scenarios and the first error.
type builder struct {
	grid  grid
	quick bool
	err   error
}

func newGrid(quick bool) (grid, error) {
	b := &builder{quick: quick}
	b.onTarget()
	b.inside()
	b.edges()
	b.twice()
	b.zeroWeights()
	b.chiSquareGate()
	b.sequential()
	b.missing()
	b.pinned()
	b.roundRobin()
	b.changes()
	b.oneBackend()
	b.notClaimed()
	return b.grid, b.err
}

// weights names backends a, b, c and so on.
func weights(w ...int64) analyze.Weights {
	out := make(analyze.Weights, len(w))
	for i, x := range w {
		out[i] = analyze.Weight{Backend: string(rune('a' + i)), W: x}
	}
	return out
}

// equal are k equal weights; canaries are one main backend of 85 and 15 of weight 1.
func equal(k int) analyze.Weights {
	w := make([]int64, k)
	for i := range w {
		w[i] = 1
	}
	return weights(w...)
}

func canaries() analyze.Weights {
	w := equal(16)
	w[0].W = 85
	return w
}

// shifted moves the share of backend i by that many of its tolerances; the others make up for it in proportion.
func shifted(w analyze.Weights, o analyze.Options, i int, tolerances float64) []float64 {
	out := w.Shares()
	by := tolerances * o.Tolerance.Share(out[i])
	others := 1 - out[i]
	for j := range out {
		if j != i {
			out[j] -= by * out[j] / others
		}
	}
	out[i] += by
	return out
}

func (b *builder) planned(w analyze.Weights, o analyze.Options) int64 {
	n, err := analyze.RequiredRequests(w, o)
	if err != nil && b.err == nil {
		b.err = err
	}
	return n
}

// add completes a scenario: its tolerance claims where none are given, its repetitions, its name.
func (b *builder) add(s scenario) {
	if s.options.Gate == "" {
		s.options = analyze.DefaultOptions()
	}
	if s.start == nil {
		s.start = independent
	}
	if s.reps == 0 {
		s.reps = cheap
	}
	s.parts, s.compare = 1, 5
	if len(s.weights) > 4 {
		s.compare = 1 // a second each
	}
	if s.reps < cheap {
		s.parts = 10
	}
	if b.quick {
		few := 20
		s.parts, s.compare = 1, 1
		switch s.reps {
		case cheap:
			few = 4000
		case full:
			few = 60
		}
		s.reps = few
		if len(s.weights) > 4 {
			s.compare = 0
		}
	}
	for _, other := range b.grid {
		if other.name == s.name && b.err == nil {
			b.err = fmt.Errorf("scenario %q: named twice", s.name)
		}
	}
	b.grid = append(b.grid, s)
}

// claimed adds a scenario whose claims follow from its truth, and more.
func (b *builder) claimed(s scenario, more ...claim) {
	if s.options.Gate == "" {
		s.options = analyze.DefaultOptions()
	}
	s.claims = append(wrong(s.weights, s.truth, s.options), more...)
	b.add(s)
}

func (b *builder) onTarget() {
	o := analyze.DefaultOptions()
	for _, x := range []struct {
		name string
		w    analyze.Weights
	}{
		{"50/50, planned", weights(50, 50)},
		{"90/10, planned", weights(90, 10)},
		{"99/1, planned", weights(99, 1)},
		{"999/1, planned", weights(999, 1)},
		{"50/30/20, planned", weights(50, 30, 20)},
		{"90/9/1, planned", weights(90, 9, 1)},
		{"40/30/20/10, planned", weights(40, 30, 20, 10)},
		{"8 equal, planned", equal(8)},
		{"8 from 70 to 1, planned", weights(70, 10, 5, 5, 4, 3, 2, 1)},
		{"16 equal, planned", equal(16)},
		{"85 and 15 of 1, planned", canaries()},
	} {
		b.claimed(scenario{
			group: groupOnTarget, name: x.name, weights: x.w, truth: x.w.Shares(),
			says: "as declared", n: b.planned(x.w, o),
		}, claim{passes, true, o.Power})
	}
	for _, x := range []struct {
		name string
		w    analyze.Weights
		n    int64
	}{
		{"50/50, 10 requests", weights(50, 50), 10},
		{"50/50, 200 requests", weights(50, 50), 200},
		{"50/50, 10 million", weights(50, 50), 10_000_000},
		{"99/1, 100 requests", weights(99, 1), 100},
		{"16 equal, 30 requests", equal(16), 30},
	} {
		b.claimed(scenario{
			group: groupOnTarget, name: x.name, weights: x.w,
			truth: x.w.Shares(), says: "as declared", n: x.n,
		})
	}
}

func (b *builder) inside() {
	o := analyze.DefaultOptions()
	half := func(name string, w analyze.Weights, i int, n int64, says string) {
		b.claimed(scenario{
			group: groupInside, name: name, weights: w, truth: shifted(w, o, i, 0.5), says: says, n: n,
		})
	}
	half("50/50 off by half the tolerance", weights(50, 50), 0, b.planned(weights(50, 50), o), "52.5/47.5")
	half("50/50 off by half, 10 million", weights(50, 50), 0, 10_000_000, "52.5/47.5")
	half("99/1 off by half the tolerance", weights(99, 1), 1, b.planned(weights(99, 1), o), "98.75/1.25")
	half("50/30/20 off by half the tolerance", weights(50, 30, 20), 2, b.planned(weights(50, 30, 20), o), "c gets 22.5 %")
	half("16 equal, one off by half", equal(16), 3, b.planned(equal(16), o), "one gets 7.8 %, 6.25 % declared")
}

func (b *builder) edges() {
	o := analyze.DefaultOptions()
	edge := func(name string, w analyze.Weights, truth []float64, n int64, says string, o analyze.Options) {
		b.claimed(scenario{group: groupEdge, name: name, weights: w, truth: truth, says: says, n: n, options: o})
	}
	even := weights(50, 50)
	for _, n := range []int64{10, 100, b.planned(even, o), 100_000, 10_000_000} {
		edge(fmt.Sprintf("50/50 on the edge, N %d", n), even, shifted(even, o, 0, 1), n, "55/45", o)
	}
	two := o
	two.Alpha, two.Tolerance = 0.05, analyze.Tolerance{Points: 2}
	edge("50/50 on the edge, 2pt, alpha 5 %", even, shifted(even, two, 0, 1), 10_000, "52/48", two)
	w := weights(90, 10)
	edge("90/10 on the upper edge", w, shifted(w, o, 1, 1), b.planned(w, o), "85/15", o)
	edge("90/10 on the lower edge", w, shifted(w, o, 1, -1), b.planned(w, o), "95/5", o)
	w = weights(99, 1)
	edge("99/1 on the upper edge", w, shifted(w, o, 1, 1), b.planned(w, o), "98.5/1.5", o)
	edge("99/1 on the lower edge", w, shifted(w, o, 1, -1), b.planned(w, o), "99.5/0.5", o)
	w = weights(50, 30, 20)
	edge("50/30/20, one on its edge", w, shifted(w, o, 0, 1), b.planned(w, o), "55/27/18", o)
	edge("50/30/20, two on their edges", w, []float64{0.55, 0.25, 0.20}, b.planned(w, o), "55/25/20", o)
	edge("50/30/20, two on their edges, N 300", w, []float64{0.55, 0.25, 0.20}, 300, "55/25/20", o)
	w = weights(90, 9, 1)
	edge("90/9/1, all three on their edges", w, []float64{0.85, 0.135, 0.015}, b.planned(w, o), "85/13.5/1.5", o)
	w = weights(40, 30, 20, 10)
	edge("40/30/20/10, all on their edges", w, []float64{0.45, 0.25, 0.25, 0.05}, b.planned(w, o), "45/25/25/5", o)
	edge("8 equal, one on its edge", equal(8), shifted(equal(8), o, 0, 1), b.planned(equal(8), o),
		"one gets 17.5 %, 12.5 % declared", o)
	edge("16 equal, one on its edge", equal(16), shifted(equal(16), o, 0, 1), b.planned(equal(16), o),
		"one gets 9.4 %, 6.25 % declared", o)
	all := equal(16).Shares()
	for i := range all {
		all[i] *= []float64{1.5, 0.5}[i%2]
	}
	edge("16 equal, all on their edges", equal(16), all, b.planned(equal(16), o),
		"eight get 9.4 %, eight 3.1 %", o)
	edge("85 and 15 of 1, one on its edge", canaries(), shifted(canaries(), o, 5, 1), b.planned(canaries(), o),
		"one canary gets 1.5 %", o)
}

func (b *builder) twice() {
	o := analyze.DefaultOptions()
	for _, x := range []struct {
		name string
		w    analyze.Weights
		i    int
		n    int64 // 0: planned
		says string
	}{
		{"50/50 off by twice the tolerance", weights(50, 50), 0, 0, "60/40"},
		{"50/50 off by twice, 200 requests", weights(50, 50), 0, 200, "60/40"},
		{"90/10 off by twice the tolerance", weights(90, 10), 1, 0, "80/20"},
		{"99/1 off by twice the tolerance", weights(99, 1), 1, 0, "98/2"},
		{"50/30/20, a off by twice", weights(50, 30, 20), 0, 0, "60/24/16"},
		{"50/30/20, c off by twice", weights(50, 30, 20), 2, 0, "c gets 30 %"},
		{"90/9/1, c off by twice", weights(90, 9, 1), 2, 0, "c gets 2 %"},
		{"8 equal, one off by twice", equal(8), 2, 0, "one gets 22.5 %, 12.5 % declared"},
		{"16 equal, one off by twice", equal(16), 2, 0, "one gets 12.5 %, 6.25 % declared"},
		{"85 and 15 of 1, one off by twice", canaries(), 9, 0, "one canary gets 2 %"},
	} {
		n := x.n
		if n == 0 {
			n = b.planned(x.w, o)
		}
		p, err := analyze.Foresee(x.w, n, o)
		if err != nil {
			b.err = err
			return
		}
		b.claimed(scenario{
			group: groupTwice, name: x.name, weights: x.w, truth: shifted(x.w, o, x.i, 2), says: x.says, n: n,
		}, claim{fails, true, p.FailAtTwice[x.i]})
	}
}
