package calibrate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/analyze"
)

// Events of an explanation, and the only other one: how often a clean run is called clean.
const (
	rightFirst = event("right cause first")
	rightRange = event("changes in their ranges")
	clean      = event("called clean")
)

// some are the repetitions of a run whose explanations are compared, which takes some hundredths of a second.
const some = 400

// newCauseGrid are whole runs whose order has a known cause.
func newCauseGrid(quick bool) (grid, error) {
	var g causeGrid
	for _, w := range []analyze.Weights{weights(50, 50), weights(90, 10), weights(50, 30, 20)} {
		g.add("none", fmt.Sprintf("%d backends, %v, drawn one by one", len(w), w.Ratio()), 2410, w, full, drawn())
	}
	for _, points := range []float64{5, 10, 20, 40} {
		for _, place := range []float64{0.1, 0.3, 0.5, 0.9} {
			after := []float64{0.5 + points/100, 0.5 - points/100}
			name := fmt.Sprintf("50/50, %g points more from %g %% of the run on", points, 100*place)
			g.add(analyze.CauseChange, name, 20_000, nil, some, changing(place, []float64{0.5, 0.5}, after), place)
			if points < 10 {
				g.unclaimed()
			}
		}
	}
	g.add(analyze.CauseChange, "50/30/20, then 20/30/50 half way", 5000, weights(50, 30, 20), some,
		changing(0.5, []float64{0.5, 0.3, 0.2}, []float64{0.2, 0.3, 0.5}), 0.5)
	g.add(analyze.CauseChange, "90/10, b stops answering half way", 2410, weights(90, 10), some,
		changing(0.5, []float64{0.9, 0.1}, []float64{1, 0}), 0.5)
	g.add(analyze.CauseChange, "50/50, 70/30 in the middle third", 5000, nil, some,
		twice(changing(2.0/3, []float64{0.7, 0.3}, []float64{0.5, 0.5}), 1.0/3), 1.0/3, 2.0/3)
	g.add(analyze.CauseChange, "50/50, 60/40 in the middle third", 20_000, nil, some,
		twice(changing(2.0/3, []float64{0.6, 0.4}, []float64{0.5, 0.5}), 1.0/3), 1.0/3, 2.0/3)
	for _, each := range []int{5, 20, 100, 500} {
		n := max(2410, 12*each)
		g.add(analyze.CauseConnections, fmt.Sprintf("pinned connections of %d requests, in turns", each), n, nil, some,
			pinned(n/each, 0, true, false))
		g.add(analyze.CauseConnections, fmt.Sprintf("pinned connections of %d requests, one after the other", each), n, nil,
			some, oneByOne(each))
	}
	g.add(analyze.CauseUnnamed, "16 pinned connections nobody can name, in turns", 2410, nil, some,
		pinned(16, 0, true, true))
	for _, concurrency := range []int{1, 8} {
		for _, w := range [][]int64{{1, 1}, {9, 1}, {5, 3, 2}} {
			name := fmt.Sprintf("turns of %v, %d at a time", weights(w...).Ratio(), concurrency)
			g.add(analyze.CauseTurns, name, 2410, weights(w...), some, roundRobin(w, concurrency, false))
		}
	}
	for _, points := range []float64{10, 20, 40} {
		g.add(analyze.CauseDrift, fmt.Sprintf("50/50, %g points more by the end, evenly", points), 20_000, nil, some,
			drifting(0.5, 0.5+points/100))
	}
	g.add(analyze.CausePods, "one of three source pods 60/40", 20_000, nil, some,
		pods(3, []float64{0.5, 0.5}, []float64{0.6, 0.4}))
	g.add(analyze.CausePods, "one of eight source pods 90/10", 2410, nil, some,
		pods(8, []float64{0.5, 0.5}, []float64{0.9, 0.1}))
	g.add(analyze.CauseLost, "b loses 60 % of its answers from half way on", 2410, nil, some, losingLate(0.5, 0.6))
	both := changing(0.4, []float64{0.5, 0.5}, []float64{0.8, 0.2})
	g.add(analyze.CauseChange+" "+analyze.CauseConnections, "pinned connections of 20, and 80/20 from 40 % on", 4000, nil,
		some, repinned(20, 0.4, 0.8))
	g.add(analyze.CauseChange+" "+analyze.CausePods, "80/20 from 40 % on, but for one of three pods", 5000, nil, some,
		besides(both, 3))
	for i := range g.grid {
		s := &g.grid[i]
		if s.parts = 20; quick {
			s.reps, s.parts = max(8, s.reps/100), 1
		}
	}
	return g.grid, nil
}

// causeGrid collects the scenarios.
type causeGrid struct{ grid grid }

// add appends a scenario in which one of the causes is right.
func (g *causeGrid) add(causes, name string, n int, w analyze.Weights, reps int, fill stream, places ...float64) {
	if w == nil {
		w = weights(50, 50)
	}
	if n > 10_000 {
		reps /= 2 // each takes five times as long
	}
	s := scenario{
		group: "What explains the order of requests", name: name, weights: w, truth: w.Shares(), says: causes, n: int64(n),
		reps:    reps,
		options: analyze.DefaultOptions(), shown: []event{rightFirst},
		claims: []claim{{rightFirst, true, 0.95}}, start: explained(fill, strings.Fields(causes), places),
	}
	if len(places) > 0 {
		s.shown, s.claims = append(s.shown, rightRange), append(s.claims, claim{rightRange, true, 0.99})
	}
	if causes == "none" {
		s.shown, s.claims = []event{clean}, []claim{{clean, true, 0.999}}
	}
	g.grid = append(g.grid, s)
}

// unclaimed takes the claims of the last scenario away: its effect is less than two tolerances.
func (g *causeGrid) unclaimed() { g.grid[len(g.grid)-1].claims = nil }

// explained is what Diagnose makes of a run.
func explained(fill stream, right []string, places []float64) experiment {
	return func(s *scenario) (repetition, error) {
		run := make([]analyze.Observation, s.n)
		return func(rng *rand.Rand) (result, error) {
			for i := range run {
				run[i] = analyze.Observation{Seq: uint64(i), Conn: -1, Pod: -1, OK: true}
			}
			fill(rng, s, run)
			g, err := analyze.Diagnose(run, s.weights, analyze.DiagnoseOptions{})
			r := result{called: g.Cause != nil}
			switch {
			case g.Cause == nil:
				r.more = append(r.more, clean)
			case slices.Contains(right, g.Cause.Kind):
				r.more = append(r.more, rightFirst)
				if within(g.Cause.Places, places, len(run)) {
					r.more = append(r.more, rightRange)
				}
			}
			return r, err
		}, nil
	}
}

// within reports whether there are as many changes as there should be, each in its range.
func within(found []analyze.Place, places []float64, n int) bool {
	if len(found) != len(places) {
		return false
	}
	for i, p := range found {
		if at := int(places[i] * float64(n)); at < p.Low || at > p.High {
			return false
		}
	}
	return true
}

// twice is a stream whose first part is drawn by the declared shares.
func twice(fill stream, from float64) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		fill(rng, s, run)
		for i := range int(from * float64(len(run))) {
			run[i].Backend = pick(rng, s.weights.Shares())
		}
	}
}

// oneByOne sends that many requests on each connection before the next one is opened.
func oneByOne(each int) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		home := 0
		for i := range run {
			if i%each == 0 {
				home = pick(rng, s.weights.Shares())
			}
			run[i].Conn, run[i].Backend = i/each, home
		}
	}
}

// repinned pins connections of that many requests, those opened from a place on by another share of the first backend.
func repinned(each int, place, share float64) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		home := 0
		for i := range run {
			if i%each == 0 {
				home = pick(rng, s.weights.Shares())
				if float64(i) >= place*float64(len(run)) {
					home = pick(rng, []float64{share, 1 - share})
				}
			}
			run[i].Conn, run[i].Backend = i/each, home
		}
	}
}

// drifting moves the share of the first backend evenly.
func drifting(from, to float64) stream {
	return func(rng *rand.Rand, _ *scenario, run []analyze.Observation) {
		for i := range run {
			share := from + (to-from)*float64(i)/float64(len(run))
			run[i].Backend, run[i].Conn = pick(rng, []float64{share, 1 - share}), rng.IntN(reused)
		}
	}
}

// losingLate loses answers of the second backend from a place on.
func losingLate(place, share float64) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		drawn()(rng, s, run)
		for i := int(math.Ceil(place * float64(len(run)))); i < len(run); i++ {
			if run[i].Backend == 1 && rng.Float64() < share {
				run[i].Backend, run[i].OK = -1, false
			}
		}
	}
}

// besides sends from several source pods, the last of which draws by the declared weights whatever the others do.
func besides(fill stream, count int) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		fill(rng, s, run)
		for i := range run {
			if run[i].Pod = i % count; run[i].Pod == count-1 {
				run[i].Backend = pick(rng, s.weights.Shares())
			}
		}
	}
}

// renderCauses is the table of explanations.
func renderCauses(rows []row) string {
	head := func(*row) string {
		return "| scenario | N | right cause | repetitions | measured % | claimed | holds |\n|---|--:|---|--:|---|---|---|\n"
	}
	return renderGroups(rows, (*row).causeLine, head)
}

func (r *row) causeLine() string {
	var rates []string
	for _, e := range r.shown {
		rates = append(rates, string(e)+" "+r.rate(e))
	}
	claimed, holds := r.claimed()
	cells := []string{
		r.name, grouped(r.n), r.says, grouped(r.counted.reps), strings.Join(rates, ", "), claimed, holds,
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// TestDocumentHasTheCauses holds the table of explanations to the program.
func TestDocumentHasTheCauses(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	table, err := between(string(b), "causes")
	if err != nil {
		t.Fatal(err)
	}
	g, err := newCauseGrid(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range g {
		claimed, holds := (&row{scenario: s}).claimed()
		begins := "| " + strings.Join([]string{s.name, grouped(s.n), s.says, grouped(int64(s.reps))}, " | ") + " | "
		ends := " | " + claimed + " | " + holds + " |"
		fits := func(line string) bool { return strings.HasPrefix(line, begins) && strings.HasSuffix(line, ends) }
		found := false
		for line := range strings.SplitSeq(table, "\n") {
			found = found || fits(line)
		}
		if !found {
			t.Errorf("%s has no line %s...%s: run make calibrate", document, begins, ends)
		}
	}
	if have := strings.Count(table, "\n| ") - 2; have > len(g) {
		t.Errorf("%s has %d scenarios of causes, the grid has %d: run make calibrate", document, have, len(g))
	}
}
