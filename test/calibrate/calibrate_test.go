// Package calibrate measures how often the verdict of package analyze is wrong, and writes what it finds between the
// markers of docs/statistics.md.
//
// It draws counts, and whole runs of requests, from splits whose truth is known, and response times of a known law;
// has analyze judge them as a run would, and counts the outcomes and the intervals that miss the truth. Every claim
// that docs/statistics.md makes about an error rate is a line of its tables. It refuses to know how analyze decides:
// it calls only what a command calls.
//
// Invariant: the same grid gives the same table, whatever the number of cores: every scenario has a seed of its own,
// made from its name, and no seed is chosen for what it shows.
package calibrate

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
)

const document = "../../docs/statistics.md"

var published = flag.String("table", "", "measure with all repetitions, and rewrite the tables of this file")

// TestClaimsHold measures every grid: with few repetitions, or with all for the tables that are published. The seeds
// are fixed: it fails the same way or not at all.
func TestClaimsHold(t *testing.T) {
	needsRates(t)
	requests, err := renderRequests()
	if err != nil {
		t.Fatal(err)
	}
	publish(t, "requests", requests)
	for _, x := range []struct {
		table  string
		grid   func(quick bool) (grid, error)
		render func(rows []row) string
	}{
		{"calibration", newGrid, renderTable},
		{"causes", newCauseGrid, renderCauses},
		{"latency", newLatencyGrid, renderLatency},
		{"lateness", newLatenessGrid, renderLatency},
	} {
		t.Run(x.table, func(t *testing.T) {
			g, err := x.grid(*published == "")
			if err != nil {
				t.Fatal(err)
			}
			rows, err := g.measure(runtime.GOMAXPROCS(0))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range failures(rows) {
				t.Error(text)
			}
			publish(t, x.table, x.render(rows))
		})
	}
}

// publish rewrites a table where that was asked for.
func publish(t *testing.T, name, text string) {
	t.Helper()
	if *published == "" {
		return
	}
	if err := rewrite(*published, name, text); err != nil {
		t.Fatal(err)
	}
}

// needsRates leaves a test out of short runs: it counts error rates, which is many times as slow under the race detector.
func needsRates(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("error rates are not counted with -short; make test counts them")
	}
}

// TestDocumentHasTheGrid holds docs/statistics.md to the program: a changed grid, claim or plan needs make calibrate.
func TestDocumentHasTheGrid(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	table, err := between(string(b), "calibration")
	if err != nil {
		t.Fatal(err)
	}
	g, err := newGrid(false)
	if err != nil {
		t.Fatal(err)
	}
	if len(g) < 40 {
		t.Errorf("the grid has %d scenarios, want at least 40", len(g))
	}
	documented := map[string][]string{}
	for line := range strings.SplitSeq(table, "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 12 && !strings.HasPrefix(line, "| scenario") {
			documented[strings.TrimPrefix(cells[0], "| ")] = cells
		}
	}
	for _, s := range g {
		cells := documented[s.name]
		if cells == nil {
			t.Errorf("%s has no scenario %q: run make calibrate", document, s.name)
			continue
		}
		delete(documented, s.name)
		want := []string{fmt.Sprint(len(s.weights)), grouped(s.n), s.says, grouped(int64(s.reps))}
		if diff := cmp.Diff(want, cells[1:5]); diff != "" {
			t.Errorf("%s, scenario %q (-want +got):\n%s", document, s.name, diff)
		}
		claimed, holds := (&row{scenario: s}).claimed()
		if cells[9] != claimed || cells[10] != holds {
			t.Errorf("%s, scenario %q: claims %q: %s; want %q: %s", document, s.name, cells[9], cells[10], claimed, holds)
		}
	}
	for name := range documented {
		t.Errorf("%s has a scenario %q that the grid has not: run make calibrate", document, name)
	}
	requests, err := renderRequests()
	if err != nil {
		t.Fatal(err)
	}
	got, err := between(string(b), "requests")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(requests+"\n", got); diff != "" {
		t.Errorf("%s, planned requests: run make calibrate (-want +got):\n%s", document, diff)
	}
}

// TestDocumentHasTheLatencyGrid holds the table of latencies to the program.
func TestDocumentHasTheLatencyGrid(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	table, err := between(string(b), "latency")
	if err != nil {
		t.Fatal(err)
	}
	g, err := newLatencyGrid(false)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for line := range strings.SplitSeq(table, "\n") {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| scenario") {
			cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "| "), " |"), " | ")
			documented[cells[0]] = cells
		}
	}
	for _, s := range g {
		claimed, holds := (&row{scenario: s}).claimed()
		cells := documented[s.name]
		if want := 7 + len(s.shown) + len(s.asides); len(cells) != want {
			t.Errorf("%s, scenario %q has %d cells, want %d: run make calibrate", document, s.name, len(cells), want)
			continue
		}
		delete(documented, s.name)
		rates := 5 + len(s.shown)
		got := slices.Concat(cells[1:5], cells[rates:rates+2])
		want := []string{fmt.Sprint(s.blocks), fmt.Sprint(s.size), s.says, grouped(int64(s.reps)), claimed, holds}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, scenario %q (-want +got):\n%s", document, s.name, diff)
		}
	}
	for name := range documented {
		t.Errorf("%s has a scenario %q that the grid has not: run make calibrate", document, name)
	}
}

// TestLatencyTruths: what the scenarios hold for a quantile is one. Of 40,000 values drawn each for itself the share
// at or below the quantile is q within five standard errors; of series whose neighbours are alike (at most 400
// requests count as one) within a hundred standard errors of 40,000, which is five of 100.
func TestLatencyTruths(t *testing.T) {
	const n = 40_000
	for _, x := range []struct {
		name  string
		t     times
		wider float64
	}{
		{"skewed", skewed(each(), 1), 1},
		{"cached", cached(0.7), 1},
		{"tied", tied(each(), 1), 1},
		{"alike", skewed(half(neighbours(50), each()), 1), 10},
		{"queue", queued(0.5), 10},
		{"bursts", bursts(0.15, 20), 10},
	} {
		rng := rand.New(rand.NewPCG(11, 12))
		next := x.t.start(rng)
		values := make([]float64, n)
		for i := range values {
			values[i] = next()
		}
		for _, q := range analyze.DefaultQuantiles() {
			truth := x.t.quantile(q)
			below, at := 0, 0
			for _, v := range values {
				if v < truth-1e-9 {
					below++
				}
				if v <= truth+1e-9 {
					at++
				}
			}
			slack := 5 * x.wider * math.Sqrt(q*(1-q)/n)
			if float64(below)/n > q+slack || float64(at)/n < q-slack {
				t.Errorf("%s: p%g is taken for %v, but %d of %d values are below it and %d at or below", x.name, 100*q, truth, below, n, at)
			}
		}
	}
}

// TestLatencyEvents: an interval that lies beside the truth is missed, one that was not given is not.
func TestLatencyEvents(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		ci   analyze.Interval
		want []event
	}{
		{analyze.Interval{Low: 1, High: 3}, nil},
		{analyze.Interval{Low: 4, High: 5}, []event{"p99.9 missed"}},
		{analyze.Interval{Low: -inf, High: inf, Why: "too few"}, []event{"p99.9 without a range"}},
		{analyze.Interval{Low: 4, High: inf, Why: "too few"}, []event{"p99.9 missed", "p99.9 without a range"}},
	} {
		if diff := cmp.Diff(c.want, seen(0.999, c.ci, 2)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.ci, diff)
		}
	}
}

// TestBrokenClaimIsReported: a fail at twice the tolerance is not rare.
func TestBrokenClaimIsReported(t *testing.T) {
	b := &builder{quick: true}
	w, o := weights(50, 50), analyze.DefaultOptions()
	b.add(scenario{name: "twice", weights: w, truth: shifted(w, o, 0, 2), n: 2410, claims: []claim{{fails, false, 0.01}}})
	b.add(scenario{name: "never passes", weights: w, truth: w.Shares(), n: 100, claims: []claim{{passes, true, 0.99}}})
	b.add(scenario{name: "fine", weights: w, truth: w.Shares(), n: 2410, claims: []claim{{fails, false, 0.01}}})
	rows, err := b.grid.measure(1)
	if err != nil {
		t.Fatal(err)
	}
	got := failures(rows)
	if len(got) != 2 || !strings.HasPrefix(got[0], "twice: ") || !strings.HasPrefix(got[1], "never passes: ") {
		t.Errorf("got %q, want the first two", got)
	}
	if table := renderTable(rows); strings.Count(table, "| NOT ok |") != 2 || !strings.Contains(table, "3 claims, 2 of them not ok") {
		t.Errorf("the table does not say so:\n%s", table)
	}
}

// TestSameTableOnAnyCores: parts have seeds of their own, and are added up.
func TestSameTableOnAnyCores(t *testing.T) {
	var tables []string
	for _, cores := range []int{1, 3} {
		b := &builder{}
		w, o := weights(50, 50), analyze.DefaultOptions()
		for i := range 4 {
			b.add(scenario{
				name: fmt.Sprint("scenario ", i), weights: w, truth: shifted(w, o, 0, 1), n: 30, reps: 1000,
				claims: wrong(w, shifted(w, o, 0, 1), o),
			})
		}
		rows, err := b.grid.measure(cores)
		if err != nil {
			t.Fatal(err)
		}
		tables = append(tables, renderTable(rows))
	}
	if diff := cmp.Diff(tables[0], tables[1]); diff != "" {
		t.Error(diff)
	}
}

// TestRangesAreJudge compares the looked-up outcome with Judge for every possible count of three backends.
func TestRangesAreJudge(t *testing.T) {
	const n = 60
	o := analyze.DefaultOptions()
	o.Tolerance, o.Alpha = analyze.Tolerance{Points: 20, Relative: 0.8}, 0.1
	w := weights(50, 30, 20)
	r, err := newRanges(w, o, n)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[analyze.Outcome]int{}
	for a := int64(0); a <= n; a++ {
		for b := int64(0); a+b <= n; b++ {
			c := analyze.Counts{N: []int64{a, b, n - a - b}}
			d, err := analyze.Judge(w, c, o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.outcome(c)
			if err != nil {
				t.Fatal(err)
			}
			seen[got]++
			if got != d.Outcome {
				t.Fatalf("counts %v: ranges say %s, Judge says %s", c.N, got, d.Outcome)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("only %v occurred: the comparison shows too little", seen)
	}
	if _, err := r.outcome(analyze.Counts{N: []int64{1, 1, 1}}); err == nil {
		t.Error("counts of another size were looked up")
	}
}

// TestBinomialDraws compares frequencies with the probabilities. 100,000 draws, seed fixed; five standard errors each.
func TestBinomialDraws(t *testing.T) {
	const draws = 100_000
	for _, c := range []struct {
		n int64
		p float64
	}{{1, 0.5}, {7, 0.01}, {20, 0.3}, {20, 0.97}, {60, 0.5}} {
		rng := rand.New(rand.NewPCG(7, uint64(c.n)))
		seen := make([]float64, c.n+1)
		for range draws {
			seen[binomial(rng, c.n, c.p)]++
		}
		for k, got := range seen {
			p := math.Exp(lnPMF(int64(k), c.n, c.p))
			if off := math.Abs(got/draws - p); off > 5*math.Sqrt(p*(1-p)/draws)+5.0/draws {
				t.Errorf("Binomial(%d, %v) = %d: frequency %v, probability %v", c.n, c.p, k, got/draws, p)
			}
		}
	}
	// Large n by its first two moments: mean and variance within five standard errors.
	const n, p = 10_000_000, 0.55
	rng := rand.New(rand.NewPCG(7, 7))
	sum, squares := 0.0, 0.0
	for range draws {
		d := float64(binomial(rng, n, p)) - n*p
		sum += d
		squares += d * d
	}
	variance := float64(n) * p * (1 - p)
	if z := sum / math.Sqrt(draws*variance); math.Abs(z) > 5 {
		t.Errorf("mean of Binomial(%d, %v) is off by %v standard errors", n, p, z)
	}
	if z := (squares/draws/variance - 1) / math.Sqrt(2.0/draws); math.Abs(z) > 5 {
		t.Errorf("variance of Binomial(%d, %v) is off by %v standard errors", n, p, z)
	}
	for _, edge := range []struct {
		n    int64
		p    float64
		want int64
	}{{0, 0.5, 0}, {5, 0, 0}, {5, 1, 5}} {
		if got := binomial(rng, edge.n, edge.p); got != edge.want {
			t.Errorf("Binomial(%d, %v) = %d, want %d", edge.n, edge.p, got, edge.want)
		}
	}
}

// TestWrong: which verdicts are wrong follows from where the truth lies.
func TestWrong(t *testing.T) {
	o := analyze.DefaultOptions()
	leak := o
	leak.Tolerance.Leak = 0.01
	for _, c := range []struct {
		name  string
		w     analyze.Weights
		truth []float64
		o     analyze.Options
		want  string
	}{
		{"on target", weights(50, 50), []float64{0.5, 0.5}, o, "[fail at most 1.00 %]"},
		{"inside", weights(99, 1), []float64{0.986, 0.014}, o, "[fail at most 1.00 %]"},
		{"edge", weights(99, 1), []float64{0.985, 0.015}, o, "[pass at most 1.00 % fail at most 1.00 %]"},
		{"outside", weights(99, 1), []float64{0.984, 0.016}, o, "[pass at most 1.00 %]"},
		{"one on the edge, one outside", weights(50, 30, 20), []float64{0.55, 0.20, 0.25}, o, "[pass at most 1.00 %]"},
		{"weight 0", weights(50, 50, 0), []float64{0.5, 0.5, 0}, o, "[fail at most 1.00 %]"},
		{"leak", weights(50, 50, 0), []float64{0.5, 0.499, 0.001}, o, "[]"},
		{"tolerated leak", weights(50, 50, 0), []float64{0.5, 0.495, 0.005}, leak, "[fail at most 1.00 %]"},
		{"tolerated leak on its edge", weights(50, 50, 0), []float64{0.5, 0.49, 0.01}, leak, "[pass at most 1.00 % fail at most 1.00 %]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(wrong(c.w, c.truth, c.o)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	begin, end := markers("calibration")
	file := filepath.Join(t.TempDir(), "statistics.md")
	if err := os.WriteFile(file, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rewrite(file, "requests", "x"); err == nil || !strings.Contains(err.Error(), "no markers") {
		t.Errorf("rewrite without markers: error %v", err)
	}
	for _, part := range []string{"new\n", "newer\n"} { // twice: what was written can be replaced
		if err := rewrite(file, "calibration", part); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := "before\n" + begin + part + "\n" + end + "after\n"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
