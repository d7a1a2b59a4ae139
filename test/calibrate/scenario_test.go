package calibrate

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/splitbench/splitbench/analyze"
)

// scenario is one truth, and what is claimed about the verdicts on it.
type scenario struct {
	group   string
	name    string // unique; the seed is made from it
	weights analyze.Weights
	truth   []float64 // share of each backend, aligned to weights
	who     int       // where truth is not given: the backend whose share is off
	off     float64   // by that many of its tolerances
	says    string    // the truth in words
	n       int64     // requests of one repetition
	options analyze.Options
	reps    int
	parts   int // in how many pieces the repetitions are measured, each with a seed of its own
	compare int // draws of each outcome that are judged twice, see judge
	claims  []claim
	start   experiment

	// Of latencies only.
	blocks, size int     // of one side, and answers in each; 0: a scenario of counts
	shown        []event // whose rates are columns with error bars
	asides       []aside
}

// aside is a column with the rates of some events, without error bars.
type aside struct {
	title  string
	events []event
}

// experiment prepares the repetitions of a scenario, once for each part of them.
type experiment func(s *scenario) (repetition, error)

// repetition is one run that never happened.
type repetition func(rng *rand.Rand) (result, error)

// result is what one repetition came to.
type result struct {
	outcome analyze.Outcome
	called  bool // a diagnostic was flagged
	naive   bool // the chi-square test at alpha would have rejected
	more    []event
}

// event is something whose rate is claimed.
type event string

const (
	passes    = event(analyze.Pass)
	fails     = event(analyze.Fail)
	undecided = event(analyze.Inconclusive)
	calls     = event("called out")
	rejects   = event("chi-square p below alpha")
)

// claim says that the rate of an event is at most, or at least, a bound.
type claim struct {
	event   event
	atLeast bool
	bound   float64
}

func (c claim) String() string {
	sign := "at most"
	if c.atLeast {
		sign = "at least"
	}
	return fmt.Sprintf("%s %s %s %%", c.event, sign, percent(c.bound))
}

// tally counts results.
type tally struct {
	reps int64
	seen map[event]int64
}

func (t *tally) add(r result) {
	t.reps++
	t.note(event(r.outcome), 1)
	if r.called {
		t.note(calls, 1)
	}
	if r.naive {
		t.note(rejects, 1)
	}
	for _, e := range r.more {
		t.note(e, 1)
	}
}

func (t *tally) note(e event, times int64) {
	if t.seen == nil {
		t.seen = map[event]int64{}
	}
	t.seen[e] += times
}

func (t *tally) merge(u tally) {
	t.reps += u.reps
	for e, n := range u.seen {
		t.note(e, n)
	}
}

// row is a scenario measured.
type row struct {
	scenario
	counted tally
	level   float64 // of each error bar, so that all of the table hold together with 99 %
}

func (r *row) bar(e event) analyze.Interval {
	return analyze.ClopperPearson(r.counted.seen[e], r.counted.reps, r.level)
}

// holds reports whether a claim is compatible with what was counted.
func (r *row) holds(c claim) bool {
	bar := r.bar(c.event)
	if c.atLeast {
		return bar.High >= c.bound
	}
	return bar.Low <= c.bound
}

type grid []scenario

// bars is the number of error bars that must hold together.
func (g grid) bars() int {
	n := 0
	for _, s := range g {
		n += len(s.claims)
	}
	return n
}

// measure runs every scenario on the given number of cores.
func (g grid) measure(cores int) ([]row, error) {
	type part struct{ scenario, index int }
	var parts []part
	for i, s := range g {
		for p := range s.parts {
			parts = append(parts, part{i, p})
		}
	}
	rows := make([]row, len(g))
	for i, s := range g {
		rows[i] = row{scenario: s, level: 1 - 0.01/math.Max(1, float64(g.bars()))}
	}
	var (
		mu       sync.Mutex
		firstErr error
		work     = make(chan part)
		workers  sync.WaitGroup
	)
	for range cores {
		workers.Go(func() {
			for p := range work {
				t, err := g[p.scenario].measure(p.index)
				mu.Lock()
				rows[p.scenario].counted.merge(t)
				if err != nil && firstErr == nil {
					firstErr = fmt.Errorf("scenario %q: %w", g[p.scenario].name, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, p := range parts {
		work <- p
	}
	close(work)
	workers.Wait()
	return rows, firstErr
}

// measure runs one part of the repetitions.
func (s *scenario) measure(part int) (tally, error) {
	var t tally
	once, err := s.start(s)
	if err != nil {
		return t, err
	}
	h := fnv.New64a()
	h.Write([]byte(s.name)) // never fails
	rng := rand.New(rand.NewPCG(h.Sum64(), uint64(part)))
	for range s.reps*(part+1)/s.parts - s.reps*part/s.parts {
		r, err := once(rng)
		if err != nil {
			return t, err
		}
		t.add(r)
	}
	return t, nil
}

// wrong are the claims that follow from where the truth lies: a fail is wrong where every share is inside its
// tolerance or on its edge, a pass is wrong where some share is outside or on the edge.
func wrong(w analyze.Weights, truth []float64, o analyze.Options) []claim {
	outside, edge := false, false
	leak, zero := 0.0, false
	for i, pi := range w.Shares() {
		if pi == 0 {
			leak, zero = leak+truth[i], true
			continue
		}
		delta := o.Tolerance.Share(pi)
		switch off := math.Abs(truth[i] - pi); {
		case math.Abs(off-delta) < 1e-9:
			edge = true
		case off > delta:
			outside = true
		}
	}
	if zero && o.Tolerance.Leak > 0 && math.Abs(leak-o.Tolerance.Leak) < 1e-9 {
		edge = true
	} else if zero && leak > o.Tolerance.Leak {
		return nil // any answer is a failure, and rightly so
	}
	var out []claim
	if outside || edge {
		out = append(out, claim{event: passes, bound: o.Alpha})
	}
	if !outside {
		out = append(out, claim{event: fails, bound: o.Alpha})
	}
	return out
}
