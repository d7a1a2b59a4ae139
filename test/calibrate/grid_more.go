package main

import (
	"math"

	"github.com/splitbench/splitbench/analyze"
)

func (b *builder) zeroWeights() {
	o := analyze.DefaultOptions()
	w := weights(90, 10, 0)
	n := b.planned(w, o)
	b.claimed(scenario{
		group: groupZero, name: "90/10/0, planned", weights: w,
		truth: w.Shares(), says: "as declared", n: n,
	},
		claim{passes, true, o.Power})
	b.claimed(scenario{
		group: groupZero, name: "90/10/0 on the edge", weights: w, truth: []float64{0.85, 0.15, 0}, says: "85/15/0", n: n,
	})
	five := weights(50, 30, 20, 0, 0)
	b.claimed(scenario{
		group: groupZero, name: "50/30/20/0/0, planned", weights: five, truth: five.Shares(), says: "as declared",
		n: b.planned(five, o),
	}, claim{passes, true, o.Power})
	const leak = 0.002
	b.claimed(scenario{
		group: groupZero, name: "90/10/0, c leaks", weights: w, truth: []float64{0.899, 0.099, leak},
		says: "c gets 0.2 %", n: n,
	}, claim{fails, true, 1 - math.Pow(1-leak, float64(n))})
	o.Tolerance.Leak = 0.01
	b.claimed(scenario{
		group: groupZero, name: "90/10/0, tolerated leak on its edge", weights: w, truth: []float64{0.89, 0.10, 0.01},
		says: "c gets the 1 % that is tolerated", n: n, options: o,
	})
}

func (b *builder) chiSquareGate() {
	o := analyze.DefaultOptions()
	o.Gate = analyze.GateChiSquare
	for _, x := range []struct {
		name string
		w    analyze.Weights
	}{
		{"50/50", weights(50, 50)},
		{"90/10", weights(90, 10)},
	} {
		n := b.planned(x.w, o)
		b.add(scenario{
			group: groupChiSquare, name: x.name + ", chi-square gate, on target", weights: x.w, truth: x.w.Shares(),
			says: "as declared", n: n, options: o, claims: []claim{{fails, false, o.Alpha}, {passes, true, 1 - o.Alpha}},
		})
		b.add(scenario{
			group: groupChiSquare, name: x.name + ", chi-square gate, at the tolerance", weights: x.w, truth: shifted(x.w, o, 1, 1),
			says: "off by the tolerance", n: n, options: o, claims: []claim{{passes, false, 1 - o.Power}, {fails, true, o.Power}},
		})
	}
}

func (b *builder) sequential() {
	o := analyze.DefaultOptions()
	five := o
	five.Alpha = 0.05
	even, three, zero := weights(50, 50), weights(50, 30, 20), weights(90, 10, 0)
	for _, s := range []scenario{
		{name: "50/50, sequential", weights: even, truth: even.Shares(), says: "as declared", n: 10_000},
		{
			name: "50/50, sequential, alpha 5 %", weights: even, truth: even.Shares(),
			says: "as declared", n: 20_000, options: five,
		},
		{
			name: "50/50, sequential, on the edge", weights: even, truth: shifted(even, o, 0, 1),
			says: "55/45", n: 10_000,
		},
		{
			name: "50/50, sequential, off by twice", weights: even, truth: shifted(even, o, 0, 2),
			says: "60/40", n: 10_000,
		},
		{
			name: "50/30/20, sequential, two on their edges", weights: three, truth: []float64{0.55, 0.25, 0.2},
			says: "55/25/20", n: 10_000, reps: slow,
		},
		{
			name: "90/10/0, sequential, on the edge", weights: zero, truth: []float64{0.85, 0.15, 0},
			says: "85/15/0", n: 10_000, reps: slow,
		},
	} {
		s.group, s.start = groupSequential, looking(200)
		if s.reps == 0 {
			s.reps = full
		}
		b.claimed(s)
	}
}

func (b *builder) missing() {
	o := analyze.DefaultOptions()
	w := weights(50, 50)
	n := b.planned(w, o)
	add := func(s scenario) {
		s.group, s.weights = groupMissing, w
		b.claimed(s)
	}
	for _, s := range []scenario{
		{name: "50/50, 1 % lost at random", truth: w.Shares(), says: "as declared", n: 2 * n, start: losing(0.01, 0.01)},
		{
			name: "50/50, 3 % lost at random, on the edge", truth: shifted(w, o, 0, 1), says: "55/45", n: n,
			start: losing(0.03, 0.03),
		},
		{name: "50/50, a loses 30 %", truth: w.Shares(), says: "as declared", n: n, start: losing(0.3, 0)},
		{
			name: "50/50, a loses 30 %, 1 million", truth: w.Shares(), says: "as declared", n: 1_000_000,
			start: losing(0.3, 0),
		},
		{
			name: "60/40, losses of a hide it", truth: []float64{0.6, 0.4}, says: "60/40, looks like 50/50", n: n,
			start: losing(1.0/3, 0),
		},
		{
			name: "55/45, losses of a hide the edge", truth: []float64{0.55, 0.45},
			says: "55/45, looks like 54/46", n: 100_000,
			start: losing(0.04, 0),
		},
	} {
		add(s)
	}
	for _, s := range []scenario{
		{
			name: "50/50, a loses 30 %, diagnosed", truth: w.Shares(), says: "as declared", n: n,
			start: diagnosed(nameless(drawn(), 0.3, 0)),
		},
		{
			name: "50/50, 3 % lost, on the edge, diagnosed", truth: shifted(w, o, 0, 1), says: "55/45", n: n,
			start: diagnosed(nameless(drawn(), 0.03, 0.03)),
		},
		{
			name: "60/40, losses of a hide it, diagnosed", truth: []float64{0.6, 0.4},
			says: "60/40, looks like 50/50", n: n,
			start: diagnosed(nameless(drawn(), 1.0/3, 0)),
		},
	} {
		s.reps = full
		add(s)
	}
}

func (b *builder) pinned() {
	o := analyze.DefaultOptions()
	w, three := weights(50, 50), weights(50, 30, 20)
	noticed := claim{calls, true, 0.99}
	for _, s := range []scenario{
		{
			name: "50/50, 20 connections of 50", truth: w.Shares(), says: "as declared", n: 1000,
			start: diagnosed(pinned(20, 0, true, false)),
		},
		{
			name: "50/50, 20 connections of 50, in any order", truth: w.Shares(), says: "as declared", n: 1000,
			start: diagnosed(pinned(20, 0, false, false)),
		},
		{
			name: "50/50, 8 connections", truth: w.Shares(), says: "as declared", n: 2410,
			start: diagnosed(pinned(8, 0, true, false)),
		},
		{
			name: "50/50, 100 connections", truth: w.Shares(), says: "as declared", n: 2400, reps: slow,
			start: diagnosed(pinned(100, 0, true, false)),
		},
		{
			name: "50/50, 100 connections, on the edge", truth: shifted(w, o, 0, 1), says: "55/45", n: 2400, reps: slow,
			start: diagnosed(pinned(100, 0, false, false)),
		},
		{
			name: "50/50, 1200 connections, on the edge", truth: shifted(w, o, 0, 1),
			says: "55/45", n: 12_000, reps: slowest,
			start: diagnosed(pinned(1200, 0, true, false)),
		},
		{
			name: "50/50, 3000 connections of 4", truth: w.Shares(), says: "as declared", n: 12_000, reps: slowest,
			start: diagnosed(pinned(3000, 0, true, false)),
		},
		{
			name: "50/50, 100 connections, off by twice", truth: shifted(w, o, 0, 2),
			says: "60/40", n: 2400, reps: slow,
			start: diagnosed(pinned(100, 0, false, false)),
		},
		{
			name: "50/50, 16 connections nobody can name", truth: w.Shares(), says: "as declared", n: 2410,
			start: diagnosed(pinned(16, 0, true, true)),
		},
		{
			name: "50/30/20, 16 connections", weights: three, truth: three.Shares(),
			says: "as declared", n: 2400, reps: slow,
			start: diagnosed(pinned(16, 0, true, false)),
		},
		{
			name: "50/30/20, 60 connections, on the edge", weights: three, truth: []float64{0.55, 0.25, 0.2},
			says: "55/25/20", n: 2400, reps: slowest,
			start: diagnosed(pinned(60, 0, true, false)),
		},
	} {
		if s.weights == nil {
			s.weights = w
		}
		if s.reps == 0 {
			s.reps = full
		}
		s.group = groupPinned
		b.claimed(s, noticed)
	}
	n := b.planned(w, o)
	// The other side: the diagnostics leave a run of independent requests alone.
	b.claimed(scenario{
		group: groupPinned, name: "50/50, reused connections, but drawn per request", weights: w, truth: w.Shares(),
		says: "as declared",
		n:    n, reps: full, start: diagnosed(drawn()),
	}, claim{passes, true, o.Power - 0.001}, claim{calls, false, 0.001})
}

func (b *builder) roundRobin() {
	w, skewed, three := weights(50, 50), weights(90, 10), weights(50, 30, 20)
	names := []string{analyze.DiagnosticAlternating, analyze.DiagnosticEven, analyze.DiagnosticPeriodic}
	noticed := claim{calls, true, 0.99}
	for _, s := range []scenario{
		{
			name: "50/50 in turns", weights: w, truth: w.Shares(), says: "as declared", n: 2410,
			start: diagnosed(roundRobin([]int64{1, 1}, 1, false), names...),
		},
		{
			name: "50/50 in turns, 8 at a time", weights: w, truth: w.Shares(), says: "as declared", n: 2410,
			start: diagnosed(roundRobin([]int64{1, 1}, 8, false), names...),
		},
		{
			name: "50/50 in turns, connections in turns too", weights: w, truth: w.Shares(),
			says: "as declared", n: 2410,
			start: diagnosed(roundRobin([]int64{1, 1}, 1, true), names...),
		},
		{
			name: "90/10 in turns", weights: skewed, truth: skewed.Shares(), says: "as declared", n: 2410,
			start: diagnosed(roundRobin([]int64{9, 1}, 1, false), names...),
		},
		{
			name: "50/30/20 in turns, 4 at a time", weights: three, truth: three.Shares(), says: "as declared", n: 2500,
			start: diagnosed(roundRobin([]int64{5, 3, 2}, 4, false), names...),
		},
		{
			name: "60/40 in turns for 50/50", weights: w, truth: []float64{0.6, 0.4}, says: "60/40", n: 2410,
			start: diagnosed(roundRobin([]int64{3, 2}, 1, false), names...),
		},
	} {
		s.group, s.reps = groupRoundRobin, slow
		b.claimed(s, noticed)
	}
}

// changes are runs without a single split: neither a pass nor a fail is right.
func (b *builder) changes() {
	o := analyze.DefaultOptions()
	w, three := weights(50, 50), weights(50, 30, 20)
	neither := []claim{{passes, false, o.Alpha}, {fails, false, o.Alpha}, {calls, true, 0.99}}
	ninety := []float64{0.9, 0.1}
	for _, s := range []scenario{
		{
			name: "50/50, then 90/10 half way", weights: w, truth: []float64{0.7, 0.3},
			says: "50/50, then 90/10", n: 2410,
			start: diagnosed(changing(0.5, w.Shares(), ninety), analyze.DiagnosticTime),
		},
		{
			name: "50/50, then 90/10 after nine tenths", weights: w, truth: []float64{0.54, 0.46},
			says: "50/50, then 90/10", n: 2410,
			start: diagnosed(changing(0.9, w.Shares(), ninety), analyze.DiagnosticTime),
		},
		{
			name: "40/60, then 60/40: right on average", weights: w, truth: w.Shares(),
			says: "40/60, then 60/40", n: 2410,
			start: diagnosed(changing(0.5, []float64{0.4, 0.6}, []float64{0.6, 0.4}), analyze.DiagnosticTime),
		},
		{
			name: "50/30/20, then 20/30/50 after three quarters", weights: three, truth: []float64{0.425, 0.3, 0.275},
			says: "50/30/20, then 20/30/50", n: 2500,
			start: diagnosed(changing(0.75, three.Shares(), []float64{0.2, 0.3, 0.5}), analyze.DiagnosticTime),
		},
		{
			name: "one source pod of three has old weights", weights: w, truth: []float64{0.5 + 0.4/3, 0.5 - 0.4/3},
			says: "two pods 50/50, one 90/10", n: 2410,
			start: diagnosed(pods(3, w.Shares(), ninety), analyze.DiagnosticPods),
		},
	} {
		s.group, s.reps, s.claims = groupChange, slow, neither
		b.add(s)
	}
}

// oneBackend are pinned connections of which all may go to the same backend: then there is nothing to compare, and a
// fail stands only if the connections alone, one draw each, carry it.
func (b *builder) oneBackend() {
	o := analyze.DefaultOptions()
	w, skewed, rare := weights(50, 50), weights(90, 10), weights(99, 1)
	for _, s := range []scenario{
		{
			name: "50/50, one pinned connection", truth: w.Shares(), says: "as declared", n: 2410, reps: slow,
			start: diagnosed(pinned(1, 0, true, false)),
		},
		{
			name: "50/50, 4 pinned connections", truth: w.Shares(), says: "as declared", n: 2410, reps: slow,
			start: diagnosed(pinned(4, 0, true, false)),
		},
		{
			name: "90/10, 16 connections", weights: skewed, truth: skewed.Shares(), says: "as declared", n: 2410, reps: slow,
			start: diagnosed(pinned(16, 0, true, false)),
		},
		{
			name: "90/10, 16 connections, on the edge", weights: skewed, truth: shifted(skewed, o, 1, -1),
			says: "95/5", n: 2410, reps: slow,
			start: diagnosed(pinned(16, 0, true, false)),
		},
		{
			name: "99/1, 100 connections", weights: rare, truth: rare.Shares(), says: "as declared", n: 10_738, reps: slowest,
			start: diagnosed(pinned(100, 0, true, false)),
		},
	} {
		if s.weights == nil {
			s.weights = w
		}
		s.group = groupPinned
		b.claimed(s, claim{calls, true, 0.99})
	}
}

// notClaimed is what the reader must not take for granted: measured, and without a claim.
func (b *builder) notClaimed() {
	w := weights(50, 50)
	for _, s := range []scenario{
		{
			name: "50/50, then a little more, then a little less", truth: w.Shares(),
			says:  "43/57, then 57/43: right on average",
			start: diagnosed(changing(0.5, []float64{0.43, 0.57}, []float64{0.57, 0.43})),
		},
		{
			name: "50/50, 20 connections that stick half the time", truth: w.Shares(),
			says:  "as declared, half of the requests pinned",
			start: diagnosed(pinned(20, 0.5, true, false)),
		},
		{
			name: "50/50, 20 connections that stick a little, on the edge", truth: []float64{0.55, 0.45},
			says:  "55/45, one request in eight pinned",
			start: diagnosed(pinned(20, 0.875, true, false)),
		},
		{
			name: "50/50, 200 connections nobody can name", truth: w.Shares(), says: "as declared",
			start: diagnosed(pinned(200, 0, false, true)),
		},
	} {
		s.group, s.weights, s.n, s.reps = groupNone, w, 2410, slow
		b.add(s)
	}
	b.add(scenario{
		group: groupNone, name: "90/10/0, c leaks too little to be seen", weights: weights(90, 10, 0),
		truth: []float64{0.8999, 0.1, 0.0001},
		says:  "c gets 0.01 %", n: 2410,
	})
}
