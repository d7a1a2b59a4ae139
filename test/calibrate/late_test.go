package calibrate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// freezes are moments in which the generator does not run: what is due meanwhile is sent at their end, and what is
// answered meanwhile is read then.
type freezes struct {
	share  float64 // of the time
	ms     float64 // mean length
	clumps bool    // all of them in every second two seconds
	read   bool    // it is known since when an answer had been there
}

const requestGap = 2 * time.Millisecond // between planned instants

// start returns how long the generator still sleeps at an instant; instants must not go back by more than a second.
func (f freezes) start(rng *rand.Rand) func(at time.Duration) time.Duration {
	type span struct{ from, to time.Duration }
	var known []span
	var end time.Duration
	share := f.share
	if f.clumps {
		share *= 2
	}
	return func(at time.Duration) time.Duration {
		for end <= at {
			gap := time.Duration(rng.ExpFloat64() * f.ms * (1 - share) / share * float64(time.Millisecond))
			length := time.Duration((0.5 + rng.Float64()) * f.ms * float64(time.Millisecond))
			from := end + gap
			if f.clumps && from%(4*time.Second) >= 2*time.Second {
				from += 4*time.Second - from%(4*time.Second)
			}
			known, end = append(known, span{from, from + length}), from+length
		}
		for i := len(known) - 1; i >= 0 && known[i].to+time.Second > at; i-- {
			if known[i].from <= at && at < known[i].to {
				return known[i].to - at
			}
		}
		return 0
	}
}

// lateRun is a run of one or two backends whose generator freezes.
type lateRun struct {
	requests []analyze.Sending
	far      []bool
	true     []int64 // what the answer would have taken
	own      []int64
	near     []int64
}

func (f freezes) run(rng *rand.Rand, n int, next func() (far, near float64), both bool) (r lateRun) {
	sleeps := f.start(rng)
	var last time.Duration
	for i := range n {
		planned := time.Duration(i) * requestGap
		sent := max(last, planned+sleeps(planned))
		last = sent
		slow, quick := next()
		far := both && rng.IntN(2) == 0
		took := quick
		if far {
			took = slow
		}
		there := sent + time.Duration(nanoseconds(took))
		if !f.read {
			there += sleeps(there)
		}
		r.requests = append(r.requests, analyze.Sending{Planned: planned, Sent: sent, Done: there})
		r.far, r.true = append(r.far, far), append(r.true, nanoseconds(took))
	}
	r.own, r.near = analyze.Lags(r.requests, 128)
	return r
}

// reading is what a run knows of how late answers were read.
func (f freezes) reading() analyze.Reading {
	if f.read {
		return analyze.Reading{}
	}
	return analyze.Reading{Unknown: 1}
}

// blocks sorts what pick gives of the requests it takes into windows.
func (r lateRun) blocks(windows int, pick func(i int) (int64, bool)) (*analyze.Blocks, error) {
	values := make([][]int64, windows)
	for i := range r.requests {
		if v, ok := pick(i); ok {
			w := i * windows / len(r.requests)
			values[w] = append(values[w], v)
		}
	}
	return analyze.NewBlocks(values)
}

// wider is that a range is more than twice as wide as it would have been without a freeze.
func wider(q float64) event { return event(quantileName(q) + " twice as wide") }

func width(ci analyze.Interval) float64 { return ci.High - ci.Low }

// lateSample asks for the intervals of one backend's response times.
func lateSample(f freezes, t times) experiment {
	return func(s *scenario) (repetition, error) {
		quantiles := analyze.DefaultQuantiles()
		return func(rng *rand.Rand) (out result, err error) {
			draw := t.start(rng)
			r := f.run(rng, s.blocks*s.size, func() (float64, float64) { v := draw(); return v, v }, false)
			var least []int64
			b, err := r.blocks(s.blocks, func(i int) (int64, bool) {
				v := int64(r.requests[i].Done - r.requests[i].Planned)
				least = append(least, v-r.own[i])
				return v, true
			})
			if err != nil {
				return out, err
			}
			undisturbed, err := r.blocks(s.blocks, func(i int) (int64, bool) { return r.true[i], true })
			if err != nil {
				return out, err
			}
			if err := b.Bound(least, analyze.NewLateness(r.own, r.near, f.reading())); err != nil {
				return out, err
			}
			for _, q := range quantiles {
				ci := b.Interval(q, level(s)).CI
				out.more = append(out.more, seen(q, ci, float64(nanoseconds(t.quantile(q))))...)
				if ci.Why == "" && width(ci) > 2*width(undisturbed.Interval(q, level(s)).CI) {
					out.more = append(out.more, wider(q))
				}
			}
			return out, nil
		}, nil
	}
}

// lateCost asks for the difference of two backends, without the requests that were sent late, as a run's report does.
func lateCost(f freezes, t sides) experiment {
	return func(s *scenario) (repetition, error) {
		quantiles := analyze.DefaultQuantiles()
		slow := t.far(0)
		limit := nanoseconds(math.Max(1, slow/10))
		return func(rng *rand.Rand) (out result, err error) {
			r := f.run(rng, 2*s.blocks*s.size, t.moments(rng), true)
			kept := 0
			for _, lag := range r.near {
				if lag <= limit {
					kept++
				}
			}
			if 2*kept < len(r.near) {
				return lateNothing(quantiles), nil
			}
			rest := analyze.LatenessOnTime(r.own, f.reading(), float64(kept)/float64(len(r.near)))
			side := func(far bool, of func(i int) int64, all bool) (*analyze.Blocks, error) {
				return r.blocks(s.blocks, func(i int) (int64, bool) {
					return of(i), r.far[i] == far && (all || r.near[i] <= limit)
				})
			}
			served := func(i int) int64 { return int64(r.requests[i].Done-r.requests[i].Planned) - r.own[i] }
			undisturbed := func(i int) int64 { return r.true[i] }
			far, e1 := side(true, served, false)
			near, e2 := side(false, served, false)
			trueFar, e3 := side(true, undisturbed, true)
			trueNear, e4 := side(false, undisturbed, true)
			if err := cmp.Or(e1, e2, e3, e4); err != nil {
				return out, err
			}
			if err := cmp.Or(far.Bound(nil, rest), near.Bound(nil, rest)); err != nil {
				return out, err
			}
			for _, q := range quantiles {
				d, e1 := analyze.Difference(far, near, q, level(s), true)
				u, e2 := analyze.Difference(trueFar, trueNear, q, level(s), true)
				if err := cmp.Or(e1, e2); err != nil {
					return out, err
				}
				out.more = append(out.more, seen(q, d.DifferenceCI, 1e6*t.cost(q))...)
				if d.DifferenceCI.Why == "" && width(d.DifferenceCI) > 2*width(u.DifferenceCI) {
					out.more = append(out.more, wider(q))
				}
			}
			return out, nil
		}, nil
	}
}

// lateNothing is a run of which most was late: nothing is stated.
func lateNothing(quantiles []float64) (out result) {
	for _, q := range quantiles {
		out.more = append(out.more, without(q))
	}
	return out
}
