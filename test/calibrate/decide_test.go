package calibrate

import (
	"fmt"
	"math"

	"github.com/splitbench/splitbench/analyze"
)

// judge is analyze.Judge with a memory. A scenario draws the same counts over and over where there are two backends,
// so every decision is remembered. With more there are too many counts, and a decision costs up to a second because
// it computes p-values that the gate does not ask; there, the outcome is put together from per-backend ranges of
// counts, which are found by asking Judge about each backend against all others, and compared with Judge itself on
// some draws of every outcome.
type judge struct {
	w        analyze.Weights
	o        analyze.Options
	remember map[[4]int64]analyze.Decision
	ranges   *ranges
	compare  map[analyze.Outcome]int // comparisons with Judge left
}

func newJudge(s *scenario) (*judge, error) {
	j := &judge{w: s.weights, o: s.options, remember: map[[4]int64]analyze.Decision{}}
	if s.weights.Positive() <= 2 && len(s.weights) <= 3 {
		return j, nil
	}
	j.compare = map[analyze.Outcome]int{analyze.Pass: s.compare, analyze.Fail: s.compare, analyze.Inconclusive: s.compare}
	var err error
	j.ranges, err = newRanges(s.weights, s.options, s.n)
	return j, err
}

// decide returns a decision of which the outcome and the options are set.
func (j *judge) decide(c analyze.Counts) (analyze.Decision, error) {
	if j.ranges == nil {
		key := [4]int64{3: c.Unattributed}
		copy(key[:3], c.N)
		d, known := j.remember[key]
		if known {
			return d, nil
		}
		d, err := analyze.Judge(j.w, c, j.o)
		if err != nil {
			return d, err
		}
		j.remember[key] = d
		return d, nil
	}
	outcome, err := j.ranges.outcome(c)
	if err != nil {
		return analyze.Decision{}, err
	}
	if j.compare[outcome] > 0 {
		j.compare[outcome]--
		d, err := analyze.Judge(j.w, c, j.o)
		if err != nil {
			return d, err
		}
		if d.Outcome != outcome {
			return d, fmt.Errorf("counts %v: analyze.Judge says %s, the ranges of this program say %s", c.N, d.Outcome, outcome)
		}
	}
	return analyze.Decision{Outcome: outcome, Options: j.o}, nil
}

// ranges are, per backend of positive weight, the counts out of n that show its share to be inside, or outside.
type ranges struct {
	n       int64
	w       analyze.Weights
	inside  [][2]int64 // from, to
	outside [][2]int64 // at most, at least
}

func newRanges(w analyze.Weights, o analyze.Options, n int64) (*ranges, error) {
	if o.Gate != analyze.GateTolerance || o.Tolerance.Leak > 0 {
		return nil, fmt.Errorf("ranges: only for the tolerance gate without a tolerated leak")
	}
	r := &ranges{n: n, w: w, inside: make([][2]int64, len(w)), outside: make([][2]int64, len(w))}
	var sum int64
	for _, x := range w {
		sum += x.W
	}
	lnAlpha, tests := math.Log(o.Alpha), math.Log(float64(w.Positive()))
	for i, x := range w {
		if x.W == 0 {
			continue
		}
		pair := analyze.Weights{{Backend: "this", W: x.W}, {Backend: "others", W: sum - x.W}}
		var failed error
		ask := func(count int64) analyze.BackendResult {
			d, err := analyze.Judge(pair, analyze.Counts{N: []int64{count, n - count}}, o)
			if err != nil {
				failed = err
				return analyze.BackendResult{}
			}
			return d.Backends[0]
		}
		matches := func(count int64) bool { return ask(count).Match.LnP <= lnAlpha }
		differs := func(count int64) bool { return ask(count).Differs.LnP+tests <= lnAlpha }
		centre := int64(math.Round(float64(n) * float64(x.W) / float64(sum)))
		r.inside[i] = [2]int64{1, 0}
		// A range of very few counts may lie beside the expected one.
		for _, start := range []int64{centre, centre - 1, centre + 1, centre - 2, centre + 2, centre - 3, centre + 3} {
			if start >= 0 && start <= n && matches(start) {
				centre = start
				break
			}
		}
		if matches(centre) {
			r.inside[i] = [2]int64{
				edge(centre, -1, func(c int64) bool { return !matches(c) }) + 1,
				edge(centre, n+1, func(c int64) bool { return !matches(c) }) - 1,
			}
		}
		r.outside[i] = [2]int64{edge(centre, -1, differs), edge(centre, n+1, differs)}
		if failed != nil {
			return nil, failed
		}
	}
	return r, nil
}

// edge is the count nearest to from, on the way to the sentinel to, for which f holds; to where it holds for none.
func edge(from, to int64, f func(int64) bool) int64 {
	for from-to > 1 || to-from > 1 {
		if mid := from + (to-from)/2; f(mid) {
			to = mid
		} else {
			from = mid
		}
	}
	return to
}

func (r *ranges) outcome(c analyze.Counts) (analyze.Outcome, error) {
	var total int64
	for _, n := range c.N {
		total += n
	}
	if c.Unattributed != 0 || total != r.n {
		return "", fmt.Errorf("ranges: made for %d attributed requests, got %d and %d unattributed",
			r.n, total, c.Unattributed)
	}
	inside := true
	for i, n := range c.N {
		if r.w[i].W == 0 {
			if n > 0 {
				return analyze.Fail, nil
			}
			continue
		}
		if n <= r.outside[i][0] || n >= r.outside[i][1] {
			return analyze.Fail, nil
		}
		inside = inside && n >= r.inside[i][0] && n <= r.inside[i][1]
	}
	if inside {
		return analyze.Pass, nil
	}
	return analyze.Inconclusive, nil
}
