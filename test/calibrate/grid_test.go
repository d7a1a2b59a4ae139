package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

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
func equal(k int) analyze.Weights { return weights(slices.Repeat([]int64{1}, k)...) }

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
	b.fail(err)
	return n
}

// fail keeps the first error.
func (b *builder) fail(err error) { b.err = cmp.Or(b.err, err) }

// complete fills in what a scenario leaves open: weights of 50/50, the default options, counts that are judged once,
// the truth as declared or off by some tolerances, and the planned number of requests.
func (b *builder) complete(s scenario) scenario {
	if s.weights == nil {
		s.weights = weights(50, 50)
	}
	if s.options.Gate == "" {
		s.options = analyze.DefaultOptions()
	}
	if s.start == nil {
		s.start = losing()
	}
	if s.truth == nil {
		s.truth = shifted(s.weights, s.options, s.who, s.off)
	}
	s.says = cmp.Or(s.says, "as declared")
	if s.n == 0 {
		s.n = b.planned(s.weights, s.options)
	}
	return s
}

// add completes a scenario, and its repetitions.
func (b *builder) add(s scenario) {
	s = b.complete(s)
	s.reps = cmp.Or(s.reps, cheap)
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
	b.named(s)
}

// named adds a scenario whose name is new.
func (b *builder) named(s scenario) {
	if slices.ContainsFunc(b.grid, func(other scenario) bool { return other.name == s.name }) {
		b.fail(fmt.Errorf("scenario %q: named twice", s.name))
	}
	b.grid = append(b.grid, s)
}

// only adds the scenarios of a group, with claims about each and no others but their own.
func (b *builder) only(group string, reps int, claims []claim, scenarios []scenario) {
	for _, s := range scenarios {
		s.group, s.reps, s.claims = group, cmp.Or(s.reps, reps), slices.Concat(claims, s.claims)
		b.add(s)
	}
}

// claimed adds the scenarios of a group whose claims follow from their truth, with more about each.
func (b *builder) claimed(group string, reps int, more []claim, scenarios []scenario) {
	for _, s := range scenarios {
		s = b.complete(s)
		b.only(group, reps, slices.Concat(wrong(s.weights, s.truth, s.options), more), []scenario{s})
	}
}

// surelyPasses is the claim of a run of the planned size that is on target.
func surelyPasses() []claim { return []claim{{passes, true, analyze.DefaultOptions().Power}} }

func (b *builder) onTarget() {
	b.claimed(groupOnTarget, cheap, surelyPasses(), []scenario{
		{name: "50/50, planned"},
		{name: "90/10, planned", weights: weights(90, 10)},
		{name: "99/1, planned", weights: weights(99, 1)},
		{name: "999/1, planned", weights: weights(999, 1)},
		{name: "50/30/20, planned", weights: weights(50, 30, 20)},
		{name: "90/9/1, planned", weights: weights(90, 9, 1)},
		{name: "40/30/20/10, planned", weights: weights(40, 30, 20, 10)},
		{name: "8 equal, planned", weights: equal(8)},
		{name: "8 from 70 to 1, planned", weights: weights(70, 10, 5, 5, 4, 3, 2, 1)},
		{name: "16 equal, planned", weights: equal(16)},
		{name: "85 and 15 of 1, planned", weights: canaries()},
	})
	b.claimed(groupOnTarget, cheap, nil, []scenario{
		{name: "50/50, 10 requests", n: 10},
		{name: "50/50, 200 requests", n: 200},
		{name: "50/50, 10 million", n: 10_000_000},
		{name: "99/1, 100 requests", weights: weights(99, 1), n: 100},
		{name: "16 equal, 30 requests", weights: equal(16), n: 30},
	})
}

func (b *builder) inside() {
	const half = 0.5
	b.claimed(groupInside, cheap, nil, []scenario{
		{name: "50/50 off by half the tolerance", off: half, says: "52.5/47.5"},
		{name: "50/50 off by half, 10 million", off: half, says: "52.5/47.5", n: 10_000_000},
		{name: "99/1 off by half the tolerance", weights: weights(99, 1), who: 1, off: half, says: "98.75/1.25"},
		{
			name: "50/30/20 off by half the tolerance", weights: weights(50, 30, 20), who: 2, off: half, says: "c gets 22.5 %",
		},
		{name: "16 equal, one off by half", weights: equal(16), who: 3, off: half, says: "one gets 7.8 %, 6.25 % declared"},
	})
}

func (b *builder) edges() {
	o := analyze.DefaultOptions()
	for _, n := range []int64{10, 100, b.planned(weights(50, 50), o), 100_000, 10_000_000} {
		b.claimed(groupEdge, cheap, nil, []scenario{
			{name: fmt.Sprintf("50/50 on the edge, N %d", n), n: n, off: 1, says: "55/45"},
		})
	}
	o.Alpha, o.Tolerance = 0.05, analyze.Tolerance{Points: 2}
	three, both := weights(50, 30, 20), []float64{0.55, 0.25, 0.20}
	all := equal(16).Shares()
	for i := range all {
		all[i] *= []float64{1.5, 0.5}[i%2]
	}
	b.claimed(groupEdge, cheap, nil, []scenario{
		{name: "50/50 on the edge, 2pt, alpha 5 %", off: 1, says: "52/48", n: 10_000, options: o},
		{name: "90/10 on the upper edge", weights: weights(90, 10), who: 1, off: 1, says: "85/15"},
		{name: "90/10 on the lower edge", weights: weights(90, 10), who: 1, off: -1, says: "95/5"},
		{name: "99/1 on the upper edge", weights: weights(99, 1), who: 1, off: 1, says: "98.5/1.5"},
		{name: "99/1 on the lower edge", weights: weights(99, 1), who: 1, off: -1, says: "99.5/0.5"},
		{name: "50/30/20, one on its edge", weights: three, off: 1, says: "55/27/18"},
		{name: "50/30/20, two on their edges", weights: three, truth: both, says: "55/25/20"},
		{name: "50/30/20, two on their edges, N 300", weights: three, truth: both, says: "55/25/20", n: 300},
		{
			name: "90/9/1, all three on their edges", weights: weights(90, 9, 1), truth: []float64{0.85, 0.135, 0.015},
			says: "85/13.5/1.5",
		},
		{
			name: "40/30/20/10, all on their edges", weights: weights(40, 30, 20, 10),
			truth: []float64{0.45, 0.25, 0.25, 0.05}, says: "45/25/25/5",
		},
		{name: "8 equal, one on its edge", weights: equal(8), off: 1, says: "one gets 17.5 %, 12.5 % declared"},
		{name: "16 equal, one on its edge", weights: equal(16), off: 1, says: "one gets 9.4 %, 6.25 % declared"},
		{name: "16 equal, all on their edges", weights: equal(16), truth: all, says: "eight get 9.4 %, eight 3.1 %"},
		{name: "85 and 15 of 1, one on its edge", weights: canaries(), who: 5, off: 1, says: "one canary gets 1.5 %"},
	})
}

func (b *builder) twice() {
	for _, s := range []scenario{
		{name: "50/50 off by twice the tolerance", says: "60/40"},
		{name: "50/50 off by twice, 200 requests", n: 200, says: "60/40"},
		{name: "90/10 off by twice the tolerance", weights: weights(90, 10), who: 1, says: "80/20"},
		{name: "99/1 off by twice the tolerance", weights: weights(99, 1), who: 1, says: "98/2"},
		{name: "50/30/20, a off by twice", weights: weights(50, 30, 20), says: "60/24/16"},
		{name: "50/30/20, c off by twice", weights: weights(50, 30, 20), who: 2, says: "c gets 30 %"},
		{name: "90/9/1, c off by twice", weights: weights(90, 9, 1), who: 2, says: "c gets 2 %"},
		{name: "8 equal, one off by twice", weights: equal(8), who: 2, says: "one gets 22.5 %, 12.5 % declared"},
		{name: "16 equal, one off by twice", weights: equal(16), who: 2, says: "one gets 12.5 %, 6.25 % declared"},
		{name: "85 and 15 of 1, one off by twice", weights: canaries(), who: 9, says: "one canary gets 2 %"},
	} {
		s.off = 2
		s = b.complete(s)
		p, err := analyze.Foresee(s.weights, s.n, s.options)
		if err != nil {
			b.fail(err)
			return
		}
		b.claimed(groupTwice, cheap, []claim{{fails, true, p.FailAtTwice[s.who]}}, []scenario{s})
	}
}

func (b *builder) zeroWeights() {
	o := analyze.DefaultOptions()
	w := weights(90, 10, 0)
	n := b.planned(w, o)
	const leak = 0.002
	o.Tolerance.Leak = 0.01
	b.claimed(groupZero, cheap, nil, []scenario{
		{name: "90/10/0, planned", weights: w, claims: surelyPasses()},
		{name: "90/10/0 on the edge", weights: w, truth: []float64{0.85, 0.15, 0}, says: "85/15/0"},
		{name: "50/30/20/0/0, planned", weights: weights(50, 30, 20, 0, 0), claims: surelyPasses()},
		{
			name: "90/10/0, c leaks", weights: w, truth: []float64{0.899, 0.099, leak}, says: "c gets 0.2 %",
			claims: []claim{{fails, true, 1 - math.Pow(1-leak, float64(n))}},
		},
		{
			name: "90/10/0, tolerated leak on its edge", weights: w, truth: []float64{0.89, 0.10, 0.01},
			says: "c gets the 1 % that is tolerated", n: n, options: o,
		},
	})
}

func (b *builder) chiSquareGate() {
	o := analyze.DefaultOptions()
	o.Gate = analyze.GateChiSquare
	for _, w := range []analyze.Weights{weights(50, 50), weights(90, 10)} {
		b.only(groupChiSquare, cheap, nil, []scenario{
			{
				name: w.Ratio() + ", chi-square gate, on target", weights: w, options: o,
				claims: []claim{{fails, false, o.Alpha}, {passes, true, 1 - o.Alpha}},
			},
			{
				name: w.Ratio() + ", chi-square gate, at the tolerance", weights: w, options: o, who: 1, off: 1,
				says: "off by the tolerance", claims: []claim{{passes, false, 1 - o.Power}, {fails, true, o.Power}},
			},
		})
	}
}

func (b *builder) sequential() {
	five := analyze.DefaultOptions()
	five.Alpha = 0.05
	three, zero := weights(50, 30, 20), weights(90, 10, 0)
	for _, s := range []scenario{
		{name: "50/50, sequential"},
		{name: "50/50, sequential, alpha 5 %", n: 20_000, options: five},
		{name: "50/50, sequential, on the edge", off: 1, says: "55/45"},
		{name: "50/50, sequential, off by twice", off: 2, says: "60/40"},
		{
			name: "50/30/20, sequential, two on their edges", weights: three, truth: []float64{0.55, 0.25, 0.2},
			says: "55/25/20", reps: slow,
		},
		{
			name: "90/10/0, sequential, on the edge", weights: zero, truth: []float64{0.85, 0.15, 0},
			says: "85/15/0", reps: slow,
		},
	} {
		s.n, s.start = cmp.Or(s.n, 10_000), looking(200)
		b.claimed(groupSequential, full, nil, []scenario{s})
	}
}
