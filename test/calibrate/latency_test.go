package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/splitbench/splitbench/analyze"
)

// Events of intervals and of the gate of latencies. A quantile's interval is missed where it is given and the truth
// lies outside; where only one end exists, that end counts.
const (
	different event = "difference shown"
	anyDecile event = "any decile missed"
)

func quantileName(q float64) string {
	return "p" + strconv.FormatFloat(math.Round(1e4*q)/100, 'f', -1, 64)
}

func missed(q float64) event { return event(quantileName(q) + " missed") }

func without(q float64) event { return event(quantileName(q) + " without a range") }

// eventsOf applies one kind of event to several quantiles.
func eventsOf(kind func(q float64) event, quantiles []float64) []event {
	out := make([]event, len(quantiles))
	for i, q := range quantiles {
		out[i] = kind(q)
	}
	return out
}

// holds reports whether a value in nanoseconds is in an interval; half a nanosecond is rounding.
func inside(ci analyze.Interval, value float64) bool {
	return ci.Low <= value+0.5 && value-0.5 <= ci.High
}

// seen are the events of an interval of which the truth is known.
func seen(q float64, ci analyze.Interval, truth float64) (out []event) {
	if !inside(ci, truth) {
		out = append(out, missed(q))
	}
	if ci.Why != "" {
		out = append(out, without(q))
	}
	return out
}

func level(s *scenario) float64 { return 1 - s.options.Alpha }

// oneSample asks for the interval of each default quantile of one backend, as every report has them.
func oneSample(t times) experiment {
	return func(s *scenario) (repetition, error) {
		quantiles := analyze.DefaultQuantiles()
		truth := make([]float64, len(quantiles))
		for i, q := range quantiles {
			truth[i] = float64(nanoseconds(t.quantile(q)))
		}
		return func(rng *rand.Rand) (result, error) {
			next := t.start(rng)
			values := make([][]int64, s.blocks)
			for w := range values {
				values[w] = make([]int64, s.size)
				for i := range values[w] {
					values[w][i] = nanoseconds(next())
				}
			}
			b, err := analyze.NewBlocks(values)
			if err != nil {
				return result{}, err
			}
			var r result
			for i, q := range quantiles {
				r.more = append(r.more, seen(q, b.Interval(q, level(s)).CI, truth[i])...)
			}
			return r, nil
		}, nil
	}
}

// twoSides draws far and near.
type twoSides func(rng *rand.Rand, blocks, size int) (far, near [][]int64)

// apart takes the two sides from two runs.
func apart(draw twoSides) twoSides {
	return func(rng *rand.Rand, blocks, size int) (far, near [][]int64) {
		far, _ = draw(rng, blocks, size)
		_, near = draw(rng, blocks, size)
		return far, near
	}
}

func (s *scenario) draw(rng *rand.Rand, draw twoSides) (far, near *analyze.Blocks, err error) {
	f, n := draw(rng, s.blocks, s.size)
	if far, err = analyze.NewBlocks(f); err != nil {
		return nil, nil, err
	}
	near, err = analyze.NewBlocks(n)
	return far, near, err
}

// difference asks how much slower far is: of the same windows or rounds as the gateway's cost, or of two runs.
func difference(t sides, draw twoSides, paired bool, quantiles ...float64) experiment {
	return func(s *scenario) (repetition, error) {
		return func(rng *rand.Rand) (result, error) {
			far, near, err := s.draw(rng, draw)
			if err != nil {
				return result{}, err
			}
			var r result
			for _, q := range quantiles {
				d, err := analyze.Difference(far, near, q, level(s), paired)
				if err != nil {
					return result{}, err
				}
				r.more = append(r.more, seen(q, d.DifferenceCI, 1e6*t.cost(q))...)
			}
			if slices.ContainsFunc(r.more, func(e event) bool { return slices.Contains(eventsOf(missed, quantiles), e) }) {
				r.more = append(r.more, anyDecile)
			}
			return r, nil
		}, nil
	}
}

// costChange asks how much the difference of two sides changed from one run to the next, at one quantile, and judges it
// with the true change as the allowance: exactly on its edge.
func costChange(before, after sides, q float64) experiment {
	return func(s *scenario) (repetition, error) {
		change := 1e6 * (after.cost(q) - before.cost(q))
		return func(rng *rand.Rand) (result, error) {
			oldFar, oldNear, err := s.draw(rng, before.windows)
			if err != nil {
				return result{}, err
			}
			newFar, newNear, err := s.draw(rng, after.windows)
			if err != nil {
				return result{}, err
			}
			c, err := analyze.CompareCosts([2]*analyze.Blocks{oldFar, oldNear}, [2]*analyze.Blocks{newFar, newNear}, q,
				int64(math.Round(change)), s.options.Alpha, 1)
			return result{outcome: c.Outcome, more: seen(q, c.CI, change)}, err
		}, nil
	}
}

// judged asks the gate: far against near, with a margin.
func judged(draw twoSides, m analyze.Margin, paired bool, quantiles ...float64) experiment {
	return func(s *scenario) (repetition, error) {
		return func(rng *rand.Rand) (result, error) {
			far, near, err := s.draw(rng, draw)
			if err != nil {
				return result{}, err
			}
			d, err := analyze.JudgeLatency(far, near, quantiles, m, s.options.Alpha, paired)
			r := result{outcome: d.Outcome}
			for _, v := range d.Quantiles {
				if v.Direction != analyze.DirectionNone {
					r.more = append(r.more, different)
					break
				}
			}
			return r, err
		}, nil
	}
}
