package main

import (
	"fmt"
	"math"

	"github.com/splitbench/splitbench/analyze"
)

// Groups of scenarios of latencies, in the order of the table.
const (
	groupSingle      = "One quantile, requests drawn one by one"
	groupSingleAlike = "One quantile, neighbouring requests alike"
	groupCost        = "The difference of two backends of one run, or of two targets in rounds"
	groupRuns        = "The difference of two runs"
	groupShift       = "The shift function, nine deciles"
	groupCostChange  = "The change of a difference between two runs, with the true change as the allowance"
	groupGate        = "The gate: slower by more than a margin"
)

// layout is in how many blocks a sample comes, and of how many answers each.
type layout int

// Layouts. A run of 2,410 requests, the plan of a 50/50 split, lasts 48 seconds at the usual 50 per second and has 40
// windows with 30 answers of each backend; a comparison by `latency` has 24 rounds of 100.
const (
	usualRun layout = iota
	usualRounds
	leastBlocks
	longBlocks
	fortyLong
	hundred
	hundredLong
)

func (l layout) shape() (blocks, size int) {
	switch l {
	case usualRun:
		return 40, 30
	case usualRounds:
		return 24, 100
	case leastBlocks:
		return analyze.MinBlocks, 50
	case longBlocks:
		return analyze.MinBlocks, 200
	case fortyLong:
		return 40, 200
	case hundred:
		return 100, 50
	}
	return 100, 200
}

// latencyReps are the repetitions of a scenario of n answers, each of which costs a quarter of a microsecond.
func latencyReps(n int64) int {
	switch {
	case n < 3_000:
		return 4_000
	case n < 10_000:
		return 2_000
	}
	return 1_000
}

// newLatencyGrid are the scenarios of latencies.
func newLatencyGrid(quick bool) (grid, error) {
	b := &builder{quick: quick}
	b.single()
	b.singleAlike()
	b.costs()
	b.runs()
	b.shift()
	b.costChanges()
	b.gate()
	return b.grid, b.err
}

// missesClaimed are the claims that intervals of these quantiles miss at most as often as their level says.
func missesClaimed(quantiles ...float64) []claim {
	var out []claim
	for _, q := range quantiles {
		out = append(out, claim{event: missed(q), bound: analyze.DefaultOptions().Alpha})
	}
	return out
}

// latency adds a scenario of latencies.
func (b *builder) latency(l layout, s scenario) {
	s.blocks, s.size = l.shape()
	s.name = fmt.Sprintf("%s, %d of %d", s.name, s.blocks, s.size)
	s.n = int64(s.blocks * s.size)
	s.reps = latencyReps(s.n)
	if b.quick {
		s.reps /= 160
	}
	s.options = analyze.DefaultOptions()
	s.parts = 10
	for _, other := range b.grid {
		if other.name == s.name && b.err == nil {
			b.err = fmt.Errorf("scenario %q: named twice", s.name)
		}
	}
	b.grid = append(b.grid, s)
}

// interval adds a scenario about the intervals of the default quantiles, of which some are claimed.
func (b *builder) interval(l layout, s scenario, claimed ...float64) {
	all := analyze.DefaultQuantiles()
	s.shown, s.claims = eventsOf(missed, all), missesClaimed(claimed...)
	s.asides = append(s.asides, aside{"without a range %", eventsOf(without, all)})
	b.latency(l, s)
}

func (b *builder) single() {
	for _, x := range []struct {
		name string
		t    times
		in   []layout
	}{
		{"skewed", skewed(each(), 1), []layout{leastBlocks, usualRun, usualRounds, fortyLong, hundred}},
		{"a cache that answers 70 %", cached(0.7), []layout{leastBlocks, usualRun, fortyLong}},
		{"a cache that answers 88 %", cached(0.88), []layout{leastBlocks, usualRun, fortyLong}},
		{"a timer of 1 ms", tied(each(), 1), []layout{leastBlocks, usualRun, fortyLong}},
		{"a timer of 5 ms", tied(each(), 5), []layout{leastBlocks, usualRun}},
	} {
		for _, l := range x.in {
			b.interval(l, scenario{group: groupSingle, name: x.name, says: "independent", start: oneSample(x.t)}, 0.5, 0.9, 0.99)
		}
	}
}

// singleAlike are samples whose neighbours are alike.
func (b *builder) singleAlike() {
	for _, x := range []struct {
		name, says string
		t          times
		in         []layout
		claimed    map[layout][]float64
	}{
		{
			"alike over 10", "correlation e^(-1/10) of neighbours", skewed(neighbours(10), 1),
			[]layout{leastBlocks, usualRun, fortyLong, hundred},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundred: {0.5, 0.9}},
		},
		{
			"alike over 50", "e^(-1/50)", skewed(neighbours(50), 1),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"half alike over 50", "half of the variance: e^(-1/50)", skewed(half(neighbours(50), each()), 1),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9, 0.99}},
		},
		{
			"half alike over 200", "half of the variance: e^(-1/200)", skewed(half(neighbours(200), each()), 1),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"alike over 200", "e^(-1/200)", skewed(neighbours(200), 1),
			[]layout{longBlocks, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5}, hundredLong: {0.5, 0.9}},
		},
		{
			"half alike over 2,000", "half of the variance: e^(-1/2,000)", skewed(half(neighbours(2000), each()), 1),
			[]layout{longBlocks, fortyLong, hundredLong},
			nil,
		},
		{
			"a timer of 5 ms, alike over 50", "e^(-1/50), rounded up", tied(neighbours(50), 5),
			[]layout{fortyLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}},
		},
		{
			"a queue half busy", "M/M/1, load 0.5", queued(0.5),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"a queue busy for 80 %", "M/M/1, load 0.8", queued(0.8),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5}, hundredLong: {0.5}},
		},
		{
			"bursts of 20, 15 % of the requests", "150 bursts in 20,000", bursts(0.15, 20),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9, 0.99}},
		},
		{
			"bursts of 20, 2 % of the requests", "20 bursts in 20,000", bursts(0.02, 20),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5}, hundredLong: {0.5}},
		},
	} {
		for _, l := range x.in {
			b.interval(l, scenario{group: groupSingleAlike, name: x.name, says: x.says, start: oneSample(x.t)}, x.claimed[l]...)
		}
	}
}

// near10 are lognormal times of median 10 ms; gateway is 20 ms and a fifth more.
func near10(z float64) float64 { return 10 * math.Exp(z) }

func gateway(z float64) float64 { return 20 + 1.2*near10(z) }

// ticks rounds up to the steps of a timer of 5 ms.
func ticks(f func(z float64) float64) func(z float64) float64 {
	return func(z float64) float64 { return rounded(f(z), 5) }
}

func (b *builder) costs() {
	for _, x := range []struct {
		name, says string
		t          sides
		in         []layout
		claimed    map[layout][]float64
	}{
		{
			"both sides independent", "far = 20 ms + 1.2 near",
			sides{near10, gateway, each(), 0, each(), 0},
			[]layout{leastBlocks, usualRun, fortyLong},
			map[layout][]float64{leastBlocks: {0.5, 0.9, 0.99}, usualRun: {0.5, 0.9, 0.99}, fortyLong: {0.5, 0.9, 0.99}},
		},
		{
			"both alike over 10, each for itself", "nothing in common",
			sides{near10, gateway, each(), 0, neighbours(10), 0},
			[]layout{leastBlocks, usualRun, fortyLong},
			map[layout][]float64{leastBlocks: {0.5, 0.9}, usualRun: {0.5, 0.9}, fortyLong: {0.5, 0.9, 0.99}},
		},
		{
			"both alike over 50, each for itself", "nothing in common",
			sides{near10, gateway, each(), 0, neighbours(50), 0},
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{usualRun: {0.5}, fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"alike over 50, in common", "all of the variance in common",
			sides{near10, gateway, neighbours(50), 1, each(), 0},
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{usualRun: {0.5, 0.9}, fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"alike over 200, half in common", "the rest of each side's own, independent",
			sides{near10, gateway, neighbours(200), 0.5, each(), 0},
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"alike over 200, in common", "all of the variance in common",
			sides{near10, gateway, neighbours(200), 1, each(), 0},
			[]layout{usualRun, fortyLong, hundredLong},
			map[layout][]float64{hundredLong: {0.5, 0.9}},
		},
		{
			"a timer of 5 ms, alike over 50, each for itself", "rounded up, nothing in common",
			sides{ticks(near10), ticks(gateway), each(), 0, neighbours(50), 0},
			[]layout{fortyLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}},
		},
		{
			"both drift by 5 ms", "far = near + 20 ms, 5 ms more at the end",
			sides{near10, shiftedBy(near10, 20), each(), 0, each(), 5},
			[]layout{usualRun, fortyLong},
			map[layout][]float64{usualRun: {0.5, 0.9, 0.99}, fortyLong: {0.5, 0.9, 0.99}},
		},
	} {
		for _, l := range x.in {
			b.interval(l, scenario{
				group: groupCost, name: x.name, says: x.says, start: difference(x.t, x.t.windows, true, analyze.DefaultQuantiles()...),
			}, x.claimed[l]...)
		}
	}
	for _, over := range []float64{50, 200} {
		t := sides{near10, gateway, neighbours(over), 0.5, each(), 0}
		b.interval(usualRounds, scenario{
			group: groupCost, name: fmt.Sprintf("rounds, half alike over %g", over), says: "one side after the other",
			start: difference(t, t.rounds, true, analyze.DefaultQuantiles()...),
		}, 0.5, 0.9)
	}
}

// shiftedBy is a target that takes so many milliseconds longer.
func shiftedBy(f func(z float64) float64, ms float64) func(z float64) float64 {
	return func(z float64) float64 { return f(z) + ms }
}

func (b *builder) runs() {
	for _, x := range []struct {
		name    string
		p       process
		in      []layout
		claimed map[layout][]float64
	}{
		{
			"two runs, independent requests", each(),
			[]layout{leastBlocks, usualRun, fortyLong},
			map[layout][]float64{leastBlocks: {0.5, 0.9, 0.99}, usualRun: {0.5, 0.9, 0.99}, fortyLong: {0.5, 0.9, 0.99}},
		},
		{
			"two runs, alike over 50", neighbours(50),
			[]layout{leastBlocks, usualRun, fortyLong, hundredLong},
			map[layout][]float64{usualRun: {0.5}, fortyLong: {0.5, 0.9}, hundredLong: {0.5, 0.9}},
		},
		{
			"two runs, half alike over 200", half(neighbours(200), each()),
			[]layout{usualRun, fortyLong},
			map[layout][]float64{fortyLong: {0.5, 0.9}},
		},
	} {
		t := sides{near10, gateway, each(), 0, x.p, 0}
		for _, l := range x.in {
			b.interval(l, scenario{
				group: groupRuns, name: x.name, says: "far = 20 ms + 1.2 near",
				start: difference(t, apart(t.windows), false, analyze.DefaultQuantiles()...),
			}, x.claimed[l]...)
		}
	}
}

func (b *builder) shift() {
	deciles := make([]float64, 9)
	for i := range deciles {
		deciles[i] = float64(i+1) / 10
	}
	claimed := []float64{0.1, 0.5, 0.9}
	for _, x := range []struct {
		name string
		p    process
		l    layout
	}{
		{"independent", each(), usualRun},
		{"alike over 50", neighbours(50), fortyLong},
	} {
		t := sides{near10, gateway, each(), 0, x.p, 0}
		b.latency(x.l, scenario{
			group: groupShift, name: "deciles, " + x.name, says: "far = 20 ms + 1.2 near", start: difference(t, t.windows, true, deciles...),
			shown: append(eventsOf(missed, claimed), anyDecile), claims: missesClaimed(claimed...),
			asides: []aside{{"without a range %", eventsOf(without, claimed)}},
		})
	}
}

func (b *builder) costChanges() {
	alpha := analyze.DefaultOptions().Alpha
	for _, x := range []struct {
		name string
		p    process
		l    layout
	}{
		{"cost of two runs, independent", each(), usualRun},
		{"cost of two runs, alike over 50", neighbours(50), fortyLong},
	} {
		before := sides{near10, gateway, each(), 0, x.p, 0}
		after := before
		after.far = shiftedBy(gateway, 3)
		const q = 0.5
		b.latency(x.l, scenario{
			group: groupCostChange, name: x.name, says: "3 ms more at p50", start: costChange(before, after, q),
			shown:  []event{missed(q), passes, fails},
			claims: append(missesClaimed(q), claim{event: passes, bound: alpha}, claim{event: fails, bound: alpha}),
			asides: []aside{{"without a range %", []event{without(q)}}},
		})
	}
}

// gate: far and near are lognormal with a spread of three tenths, so that a margin of some milliseconds can be decided.
func (b *builder) gate() {
	alpha := analyze.DefaultOptions().Alpha
	usual := func(z float64) float64 { return 10 * math.Exp(0.3*z) }
	// slower by 5 ms at the median, and by less the farther from it: on the edge at p50 only.
	median := func(z float64) float64 { return usual(z) + 5 - 6*math.Max(0, normalCDF(z)-0.5) }
	five := analyze.Margin{Absolute: nanoseconds(5), Set: true}
	tenth := analyze.Margin{Relative: 0.1, Set: true}
	edge := []claim{{event: passes, bound: alpha}, {event: fails, bound: alpha}}
	alike := []claim{{event: fails, bound: alpha}, {event: different, bound: alpha}}
	pass := append(alike[:2:2], claim{passes, true, 0.99})
	all, two := analyze.DefaultQuantiles(), []float64{0.5, 0.9}
	for _, x := range []struct {
		name, says string
		far        func(z float64) float64
		m          analyze.Margin
		p          process
		l          layout
		quantiles  []float64
		claims     []claim
	}{
		{"5 ms slower, margin 5 ms", "on the edge at every quantile", shiftedBy(usual, 5), five, each(), usualRounds, all, edge},
		{"p50 5 ms slower, margin 5 ms", "on the edge at p50 only", median, five, each(), usualRounds, all, edge},
		{"10 % slower, margin 10 %", "on the edge at every quantile", func(z float64) float64 { return 1.1 * usual(z) }, tenth, each(), usualRounds, all, edge},
		{"alike over 50, 5 ms slower, margin 5 ms", "on the edge at every quantile", shiftedBy(usual, 5), five, neighbours(50), fortyLong, all, edge},
		{"alike over 50, p50 5 ms slower, margin 5 ms", "on the edge at p50 only", median, five, neighbours(50), fortyLong, all, edge},
		{"alike over 200, 5 ms slower, margin 5 ms", "on the edge at p50 and p90", shiftedBy(usual, 5), five, neighbours(200), fortyLong, two, edge},
		{"no difference, margin 5 ms", "no difference", usual, five, each(), usualRounds, all, alike},
		{"p50 and p90, no difference, margin 5 ms", "no difference", usual, five, each(), usualRun, two, pass},
		{"alike over 50, no difference, margin 5 ms", "no difference", usual, five, neighbours(50), fortyLong, two, pass},
		{"alike over 200, no difference, margin 5 ms", "no difference", usual, five, neighbours(200), fortyLong, two, alike},
	} {
		t := sides{usual, x.far, each(), 0, x.p, 0}
		for _, paired := range []bool{true, false} {
			draw, how := twoSides(t.windows), "same windows: "
			if !paired {
				draw, how = apart(t.windows), "two runs: "
			}
			b.latency(x.l, scenario{
				group: groupGate, name: how + x.name, says: x.says, start: judged(draw, x.m, paired, x.quantiles...),
				shown: []event{passes, fails, different}, claims: x.claims,
			})
		}
	}
}
