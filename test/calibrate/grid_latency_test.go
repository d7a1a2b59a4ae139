package calibrate

import (
	"fmt"
	"maps"
	"math"
	"slices"

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
	groupLate        = "One quantile, the generator frozen now and then"
	groupLateCost    = "The difference of two backends, the generator frozen now and then"
	groupGate        = "The gate: slower by more than a margin"
)

// layout is in how many blocks a sample comes, and of how many answers each.
type layout int

// Layouts. A run of 2,410 requests, the plan of a 50/50 split, lasts 48 seconds at the usual 50 per second and has 40
// windows with 30 answers of each backend; a comparison by `latency` has 24 rounds of 100.
const (
	leastBlocks layout = iota
	longBlocks
	usualRun
	usualRounds
	fortyLong
	hundred
	hundredLong
)

func (l layout) shape() (blocks, size int) {
	shapes := [...][2]int{
		{analyze.MinBlocks, 50}, {analyze.MinBlocks, 200}, {40, 30}, {24, 100}, {40, 200}, {100, 50}, {100, 200},
	}
	return shapes[l][0], shapes[l][1]
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

// newLatenessGrid are the scenarios of generators that are late.
func newLatenessGrid(quick bool) (grid, error) {
	b := &builder{quick: quick}
	b.late()
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
	b.named(s)
}

// at says in which layouts the intervals of p50, p90 and p99 are measured, and how many of the three are claimed there.
type at map[layout]int

// intervals is a row of a group about the intervals of the default quantiles.
type intervals struct {
	name, says string
	start      experiment
	at         at
}

// intervals adds the rows of a group, a scenario for each layout.
func (b *builder) intervals(group string, rows []intervals) {
	all := analyze.DefaultQuantiles()
	for _, x := range rows {
		for _, l := range slices.Sorted(maps.Keys(x.at)) {
			b.latency(l, scenario{
				group: group, name: x.name, says: x.says, start: x.start,
				shown: eventsOf(missed, all), claims: missesClaimed(all[:x.at[l]]...),
				asides: []aside{{"without a range %", eventsOf(without, all)}},
			})
		}
	}
}

func (b *builder) single() {
	three := at{leastBlocks: 3, usualRun: 3, fortyLong: 3}
	b.intervals(groupSingle, []intervals{
		{
			"skewed", "independent", oneSample(skewed(each(), 1)),
			at{leastBlocks: 3, usualRun: 3, usualRounds: 3, fortyLong: 3, hundred: 3},
		},
		{"a cache that answers 70 %", "independent", oneSample(cached(0.7)), three},
		{"a cache that answers 88 %", "independent", oneSample(cached(0.88)), three},
		{"a timer of 1 ms", "independent", oneSample(tied(each(), 1)), three},
		{"a timer of 5 ms", "independent", oneSample(tied(each(), 5)), at{leastBlocks: 3, usualRun: 3}},
	})
}

// singleAlike are samples whose neighbours are alike.
func (b *builder) singleAlike() {
	alike := func(over float64) experiment { return oneSample(skewed(neighbours(over), 1)) }
	halfAlike := func(over float64) experiment {
		return oneSample(skewed(half(neighbours(over), each()), 1))
	}
	short := func(fortyClaimed, hundredClaimed int) at {
		return at{leastBlocks: 0, usualRun: 0, fortyLong: fortyClaimed, hundredLong: hundredClaimed}
	}
	b.intervals(groupSingleAlike, []intervals{
		{
			"alike over 10", "correlation e^(-1/10) of neighbours", alike(10),
			at{leastBlocks: 0, usualRun: 0, fortyLong: 2, hundred: 2},
		},
		{"alike over 50", "e^(-1/50)", alike(50), short(2, 2)},
		{"half alike over 50", "half of the variance: e^(-1/50)", halfAlike(50), short(2, 3)},
		{"half alike over 200", "half of the variance: e^(-1/200)", halfAlike(200), short(2, 2)},
		{"alike over 200", "e^(-1/200)", alike(200), at{longBlocks: 0, fortyLong: 1, hundredLong: 2}},
		{
			"half alike over 2,000", "half of the variance: e^(-1/2,000)", halfAlike(2000),
			at{longBlocks: 0, fortyLong: 0, hundredLong: 0},
		},
		{"a timer of 5 ms, alike over 50", "e^(-1/50), rounded up", oneSample(tied(neighbours(50), 5)), at{fortyLong: 2}},
		{"a queue half busy", "M/M/1, load 0.5", oneSample(queued(0.5)), short(2, 2)},
		{"a queue busy for 80 %", "M/M/1, load 0.8", oneSample(queued(0.8)), short(1, 1)},
		{"bursts of 20, 15 % of the requests", "150 bursts in 20,000", oneSample(bursts(0.15, 20)), short(2, 3)},
		{"bursts of 20, 2 % of the requests", "20 bursts in 20,000", oneSample(bursts(0.02, 20)), short(1, 1)},
	})
}

// near10 are lognormal times of median 10 ms; gateway is 20 ms and a fifth more.
func near10(z float64) float64 { return 10 * math.Exp(z) }

func gateway(z float64) float64 { return 20 + 1.2*near10(z) }

// gatewayCost are the two sides of a gateway, each of them by that process for itself.
func gatewayCost(own process) sides { return sides{near10, gateway, each(), 0, own, 0} }

// ticks rounds up to the steps of a timer of 5 ms.
func ticks(f func(z float64) float64) func(z float64) float64 {
	return func(z float64) float64 { return rounded(f(z), 5) }
}

func (b *builder) costs() {
	cost := func(t sides) experiment {
		return difference(t, t.windows, true, analyze.DefaultQuantiles()...)
	}
	rounds := func(over float64) experiment {
		t := sides{near10, gateway, neighbours(over), 0.5, each(), 0}
		return difference(t, t.rounds, true, analyze.DefaultQuantiles()...)
	}
	b.intervals(groupCost, []intervals{
		{
			"both sides independent", "far = 20 ms + 1.2 near", cost(gatewayCost(each())),
			at{leastBlocks: 3, usualRun: 3, fortyLong: 3},
		},
		{
			"both alike over 10, each for itself", "nothing in common", cost(gatewayCost(neighbours(10))),
			at{leastBlocks: 2, usualRun: 2, fortyLong: 3},
		},
		{
			"both alike over 50, each for itself", "nothing in common", cost(gatewayCost(neighbours(50))),
			at{leastBlocks: 0, usualRun: 1, fortyLong: 2, hundredLong: 2},
		},
		{
			"alike over 50, in common", "all of the variance in common",
			cost(sides{near10, gateway, neighbours(50), 1, each(), 0}),
			at{leastBlocks: 0, usualRun: 2, fortyLong: 2, hundredLong: 2},
		},
		{
			"alike over 200, half in common", "the rest of each side's own, independent",
			cost(sides{near10, gateway, neighbours(200), 0.5, each(), 0}),
			at{leastBlocks: 0, usualRun: 0, fortyLong: 2, hundredLong: 2},
		},
		{
			"alike over 200, in common", "all of the variance in common",
			cost(sides{near10, gateway, neighbours(200), 1, each(), 0}),
			at{usualRun: 0, fortyLong: 0, hundredLong: 2},
		},
		{
			"a timer of 5 ms, alike over 50, each for itself", "rounded up, nothing in common",
			cost(sides{ticks(near10), ticks(gateway), each(), 0, neighbours(50), 0}),
			at{fortyLong: 2},
		},
		{
			"both drift by 5 ms", "far = near + 20 ms, 5 ms more at the end",
			cost(sides{near10, shiftedBy(near10, 20), each(), 0, each(), 5}),
			at{usualRun: 3, fortyLong: 3},
		},
		{"rounds, half alike over 50", "one side after the other", rounds(50), at{usualRounds: 2}},
		{"rounds, half alike over 200", "one side after the other", rounds(200), at{usualRounds: 2}},
	})
}

// shiftedBy is a target that takes so many milliseconds longer.
func shiftedBy(f func(z float64) float64, ms float64) func(z float64) float64 {
	return func(z float64) float64 { return f(z) + ms }
}

func (b *builder) runs() {
	apartBy := func(own process) experiment {
		t := gatewayCost(own)
		return difference(t, apart(t.windows), false, analyze.DefaultQuantiles()...)
	}
	const law = "far = 20 ms + 1.2 near"
	b.intervals(groupRuns, []intervals{
		{"two runs, independent requests", law, apartBy(each()), at{leastBlocks: 3, usualRun: 3, fortyLong: 3}},
		{
			"two runs, alike over 50", law, apartBy(neighbours(50)),
			at{leastBlocks: 0, usualRun: 1, fortyLong: 2, hundredLong: 2},
		},
		{"two runs, half alike over 200", law, apartBy(half(neighbours(200), each())), at{usualRun: 0, fortyLong: 2}},
	})
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
		t := gatewayCost(x.p)
		b.latency(x.l, scenario{
			group: groupShift, name: "deciles, " + x.name, says: "far = 20 ms + 1.2 near",
			start: difference(t, t.windows, true, deciles...),
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
		before := gatewayCost(x.p)
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

// late are runs of 40 windows whose generator is frozen for a share of the time, at 500 requests a second.
func (b *builder) late() {
	all := analyze.DefaultQuantiles()
	t := sides{near10, gateway, neighbours(10), 0.5, each(), 0}
	add := func(group, name string, start func(f freezes) experiment, claimed []float64) {
		for _, share := range []float64{0.001, 0.01, 0.05, 0.2} {
			for _, ms := range []float64{1, 10, 50} {
				for i, f := range []freezes{{share, ms, false, false}, {share, ms, true, true}} {
					how := [...]string{"even", "in clumps"}[i]
					b.latency(usualRun, scenario{
						group: group, name: fmt.Sprintf("%s %g %% of the time, %g ms each, %s", name, 100*share, ms, how),
						says:  [...]string{"reading late by as much, unseen", "reading late, and seen"}[i],
						start: start(f), shown: eventsOf(missed, all), claims: missesClaimed(claimed...),
						asides: []aside{
							{"without a range %", eventsOf(without, all)}, {"range more than twice as wide %", eventsOf(wider, all)},
						},
					})
				}
			}
		}
	}
	add(groupLate, "frozen", func(f freezes) experiment { return lateSample(f, skewed(each(), 1)) }, all)
	add(groupLateCost, "cost, frozen", func(f freezes) experiment { return lateCost(f, t) }, all[:2])
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
	const everywhere, none = "on the edge at every quantile", "no difference"
	slower := shiftedBy(usual, 5)
	relative := func(z float64) float64 { return 1.1 * usual(z) }
	near50, near200 := neighbours(50), neighbours(200)
	for _, x := range []struct {
		name, says string
		far        func(z float64) float64
		m          analyze.Margin
		p          process
		l          layout
		quantiles  []float64
		claims     []claim
	}{
		{"5 ms slower, margin 5 ms", everywhere, slower, five, each(), usualRounds, all, edge},
		{"p50 5 ms slower, margin 5 ms", "on the edge at p50 only", median, five, each(), usualRounds, all, edge},
		{"10 % slower, margin 10 %", everywhere, relative, tenth, each(), usualRounds, all, edge},
		{"alike over 50, 5 ms slower, margin 5 ms", everywhere, slower, five, near50, fortyLong, all, edge},
		{
			"alike over 50, p50 5 ms slower, margin 5 ms", "on the edge at p50 only", median, five, near50, fortyLong,
			all, edge,
		},
		{
			"alike over 200, 5 ms slower, margin 5 ms", "on the edge at p50 and p90", slower, five, near200, fortyLong,
			two, edge,
		},
		{"no difference, margin 5 ms", none, usual, five, each(), usualRounds, all, alike},
		{"p50 and p90, no difference, margin 5 ms", none, usual, five, each(), usualRun, two, pass},
		{"alike over 50, no difference, margin 5 ms", none, usual, five, near50, fortyLong, two, pass},
		{"alike over 200, no difference, margin 5 ms", none, usual, five, near200, fortyLong, two, alike},
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
