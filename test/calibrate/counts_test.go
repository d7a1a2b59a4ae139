package calibrate

import (
	"math/rand/v2"

	"github.com/splitbench/splitbench/analyze"
)

// losing draws counts of requests that go where they like, each for itself, takes the name off each answer of backend i
// with probability lost[i], and judges them once.
func losing(lost ...float64) experiment {
	return func(s *scenario) (repetition, error) {
		j, err := newJudge(s)
		if err != nil {
			return nil, err
		}
		naive := newChiSquare(s.weights, s.options.Alpha)
		n := make([]int64, len(s.truth))
		return func(rng *rand.Rand) (result, error) {
			multinomial(rng, s.n, s.truth, n)
			var missing int64
			for i, share := range lost {
				m := binomial(rng, n[i], share)
				n[i] -= m
				missing += m
			}
			d, err := j.decide(analyze.Counts{N: n, Unattributed: missing})
			return result{outcome: d.Outcome, naive: naive.rejects(n)}, err
		}, nil
	}
}

// looking judges after every batch and stops at the first look that decides, as run --sequential does. The naive test
// looks as often, and stops at its first rejection.
func looking(looks int64) experiment {
	return func(s *scenario) (repetition, error) {
		naive := newChiSquare(s.weights, s.options.Alpha)
		batch, sum := make([]int64, len(s.truth)), make([]int64, len(s.truth))
		return func(rng *rand.Rand) (result, error) {
			q, err := analyze.NewSequential(s.weights, s.options)
			if err != nil {
				return result{}, err
			}
			r := result{outcome: analyze.Inconclusive}
			clear(sum)
			for look := range looks {
				multinomial(rng, s.n*(look+1)/looks-s.n*look/looks, s.truth, batch)
				for i, x := range batch {
					sum[i] += x
				}
				r.naive = r.naive || naive.rejects(sum)
				if r.outcome != analyze.Inconclusive {
					continue
				}
				l, err := q.Update(batch)
				if err != nil {
					return result{}, err
				}
				r.outcome = l.Outcome
			}
			return r, nil
		}, nil
	}
}
