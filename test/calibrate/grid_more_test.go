package calibrate

import "github.com/splitbench/splitbench/analyze"

func (b *builder) missing() {
	n := b.planned(weights(50, 50), analyze.DefaultOptions())
	sixty, hidden := []float64{0.6, 0.4}, []float64{0.55, 0.45}
	third := 1.0 / 3
	b.claimed(groupMissing, cheap, nil, []scenario{
		{name: "50/50, 1 % lost at random", n: 2 * n, start: losing(0.01, 0.01)},
		{name: "50/50, 3 % lost at random, on the edge", off: 1, says: "55/45", start: losing(0.03, 0.03)},
		{name: "50/50, a loses 30 %", start: losing(0.3, 0)},
		{name: "50/50, a loses 30 %, 1 million", n: 1_000_000, start: losing(0.3, 0)},
		{name: "60/40, losses of a hide it", truth: sixty, says: "60/40, looks like 50/50", start: losing(third, 0)},
		{
			name: "55/45, losses of a hide the edge", truth: hidden, says: "55/45, looks like 54/46", n: 100_000,
			start: losing(0.04, 0),
		},
	})
	b.claimed(groupMissing, full, nil, []scenario{
		{name: "50/50, a loses 30 %, diagnosed", start: diagnosed(nameless(drawn(), 0.3, 0))},
		{
			name: "50/50, 3 % lost, on the edge, diagnosed", off: 1, says: "55/45",
			start: diagnosed(nameless(drawn(), 0.03, 0.03)),
		},
		{
			name: "60/40, losses of a hide it, diagnosed", truth: sixty, says: "60/40, looks like 50/50",
			start: diagnosed(nameless(drawn(), third, 0)),
		},
	})
}

// surelyNoticed is the claim that a diagnostic speaks.
func surelyNoticed() []claim { return []claim{{calls, true, 0.99}} }

// sticking are pinned connections of known names that requests take in turns, as the diagnostics see them.
func sticking(connections int) experiment {
	return diagnosed(pinned(connections, 0, true, false))
}

func (b *builder) pinned() {
	o := analyze.DefaultOptions()
	three := weights(50, 30, 20)
	anyOrder := func(connections int) experiment {
		return diagnosed(pinned(connections, 0, false, false))
	}
	b.claimed(groupPinned, full, surelyNoticed(), []scenario{
		{name: "50/50, 20 connections of 50", n: 1000, start: sticking(20)},
		{name: "50/50, 20 connections of 50, in any order", n: 1000, start: anyOrder(20)},
		{name: "50/50, 8 connections", n: 2410, start: sticking(8)},
		{name: "50/50, 100 connections", n: 2400, reps: slow, start: sticking(100)},
		{name: "50/50, 100 connections, on the edge", off: 1, says: "55/45", n: 2400, reps: slow, start: anyOrder(100)},
		{
			name: "50/50, 1200 connections, on the edge", off: 1, says: "55/45", n: 12_000, reps: slowest,
			start: sticking(1200),
		},
		{name: "50/50, 3000 connections of 4", n: 12_000, reps: slowest, start: sticking(3000)},
		{name: "50/50, 100 connections, off by twice", off: 2, says: "60/40", n: 2400, reps: slow, start: anyOrder(100)},
		{name: "50/50, 16 connections nobody can name", n: 2410, start: diagnosed(pinned(16, 0, true, true))},
		{name: "50/30/20, 16 connections", weights: three, n: 2400, reps: slow, start: sticking(16)},
		{
			name: "50/30/20, 60 connections, on the edge", weights: three, truth: []float64{0.55, 0.25, 0.2},
			says: "55/25/20", n: 2400, reps: slowest, start: sticking(60),
		},
	})
	// The other side: the diagnostics leave a run of independent requests alone.
	b.claimed(groupPinned, full, []claim{{passes, true, o.Power - 0.001}, {calls, false, 0.001}}, []scenario{
		{name: "50/50, reused connections, but drawn per request", start: diagnosed(drawn())},
	})
}

func (b *builder) roundRobin() {
	inTurns := func(weights []int64, concurrency int, turns bool) experiment {
		return diagnosed(roundRobin(weights, concurrency, turns),
			analyze.DiagnosticAlternating, analyze.DiagnosticEven, analyze.DiagnosticPeriodic)
	}
	even := []int64{1, 1}
	b.claimed(groupRoundRobin, slow, surelyNoticed(), []scenario{
		{name: "50/50 in turns", n: 2410, start: inTurns(even, 1, false)},
		{name: "50/50 in turns, 8 at a time", n: 2410, start: inTurns(even, 8, false)},
		{name: "50/50 in turns, connections in turns too", n: 2410, start: inTurns(even, 1, true)},
		{name: "90/10 in turns", weights: weights(90, 10), n: 2410, start: inTurns([]int64{9, 1}, 1, false)},
		{
			name: "50/30/20 in turns, 4 at a time", weights: weights(50, 30, 20), n: 2500,
			start: inTurns([]int64{5, 3, 2}, 4, false),
		},
		{
			name: "60/40 in turns for 50/50", truth: []float64{0.6, 0.4}, says: "60/40", n: 2410,
			start: inTurns([]int64{3, 2}, 1, false),
		},
	})
}

// changes are runs without a single split: neither a pass nor a fail is right.
func (b *builder) changes() {
	o := analyze.DefaultOptions()
	neither := []claim{{passes, false, o.Alpha}, {fails, false, o.Alpha}, {calls, true, 0.99}}
	half, ninety, three := []float64{0.5, 0.5}, []float64{0.9, 0.1}, weights(50, 30, 20)
	after := func(place float64, before, after []float64) experiment {
		return diagnosed(changing(place, before, after), analyze.DiagnosticTime)
	}
	b.only(groupChange, slow, neither, []scenario{
		{
			name: "50/50, then 90/10 half way", truth: []float64{0.7, 0.3}, says: "50/50, then 90/10", n: 2410,
			start: after(0.5, half, ninety),
		},
		{
			name: "50/50, then 90/10 after nine tenths", truth: []float64{0.54, 0.46}, says: "50/50, then 90/10",
			n: 2410, start: after(0.9, half, ninety),
		},
		{
			name: "40/60, then 60/40: right on average", says: "40/60, then 60/40", n: 2410,
			start: after(0.5, []float64{0.4, 0.6}, []float64{0.6, 0.4}),
		},
		{
			name: "50/30/20, then 20/30/50 after three quarters", weights: three, truth: []float64{0.425, 0.3, 0.275},
			says: "50/30/20, then 20/30/50", n: 2500, start: after(0.75, three.Shares(), []float64{0.2, 0.3, 0.5}),
		},
		{
			name: "one source pod of three has old weights", truth: []float64{0.5 + 0.4/3, 0.5 - 0.4/3},
			says: "two pods 50/50, one 90/10", n: 2410, start: diagnosed(pods(3, half, ninety), analyze.DiagnosticPods),
		},
	})
}

// oneBackend are pinned connections of which all may go to the same backend: then there is nothing to compare, and a
// fail stands only if the connections alone, one draw each, carry it.
func (b *builder) oneBackend() {
	skewed := weights(90, 10)
	b.claimed(groupPinned, slow, surelyNoticed(), []scenario{
		{name: "50/50, one pinned connection", n: 2410, start: sticking(1)},
		{name: "50/50, 4 pinned connections", n: 2410, start: sticking(4)},
		{name: "90/10, 16 connections", weights: skewed, n: 2410, start: sticking(16)},
		{
			name: "90/10, 16 connections, on the edge", weights: skewed, who: 1, off: -1, says: "95/5", n: 2410,
			start: sticking(16),
		},
		{name: "99/1, 100 connections", weights: weights(99, 1), n: 10_738, reps: slowest, start: sticking(100)},
	})
}

// notClaimed is what the reader must not take for granted: measured, and without a claim.
func (b *builder) notClaimed() {
	b.only(groupNone, slow, nil, []scenario{
		{
			name: "50/50, then a little more, then a little less", says: "43/57, then 57/43: right on average", n: 2410,
			start: diagnosed(changing(0.5, []float64{0.43, 0.57}, []float64{0.57, 0.43})),
		},
		{
			name: "50/50, 20 connections that stick half the time", says: "as declared, half of the requests pinned",
			n: 2410, start: diagnosed(pinned(20, 0.5, true, false)),
		},
		{
			name: "50/50, 20 connections that stick a little, on the edge", truth: []float64{0.55, 0.45},
			says: "55/45, one request in eight pinned", n: 2410, start: diagnosed(pinned(20, 0.875, true, false)),
		},
		{name: "50/50, 200 connections nobody can name", n: 2410, start: diagnosed(pinned(200, 0, false, true))},
	})
	b.only(groupNone, cheap, nil, []scenario{{
		name: "90/10/0, c leaks too little to be seen", weights: weights(90, 10, 0),
		truth: []float64{0.8999, 0.1, 0.0001}, says: "c gets 0.01 %", n: 2410,
	}})
}
