package calibrate

import (
	"math/rand/v2"
	"slices"

	"github.com/splitbench/splitbench/analyze"
)

// stream fills in one run: the backend, connection and source pod of every request, in the order of sending.
type stream func(rng *rand.Rand, s *scenario, run []analyze.Observation)

// diagnosed judges a run of requests as the commands do: Judge on the tally, Diagnose on the order, Conclude. Where it
// matters which diagnostic speaks, names lists those that count as called out; none means any.
func diagnosed(fill stream, names ...string) experiment {
	return func(s *scenario) (repetition, error) {
		j, err := newJudge(s)
		if err != nil {
			return nil, err
		}
		naive := newChiSquare(s.weights, s.options.Alpha)
		run := make([]analyze.Observation, s.n)
		return func(rng *rand.Rand) (result, error) {
			for i := range run {
				run[i] = analyze.Observation{Seq: uint64(i), Conn: -1, Pod: -1, OK: true}
			}
			fill(rng, s, run)
			c := analyze.Counts{N: make([]int64, len(s.weights))}
			for _, o := range run {
				if o.Backend < 0 {
					c.Unattributed++
				} else {
					c.N[o.Backend]++
				}
			}
			d, err := j.decide(c)
			if err != nil {
				return result{}, err
			}
			g, err := analyze.Diagnose(run, s.weights, analyze.DiagnoseOptions{})
			if err != nil {
				return result{}, err
			}
			d, err = analyze.Conclude(d, s.weights, c, g)
			r := result{outcome: d.Outcome, naive: naive.rejects(c.N)}
			for _, item := range g.Items {
				r.called = r.called || !item.OK && (len(names) == 0 || slices.Contains(names, item.Name))
			}
			return r, err
		}, nil
	}
}

// reused is the number of connections where it does not matter.
const reused = 16

// drawn is what linkerd does: every request is drawn for itself, and takes any free connection.
func drawn() stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		for i := range run {
			run[i].Backend = pick(rng, s.truth)
			run[i].Conn = rng.IntN(reused)
		}
	}
}

// pinned draws a backend once per connection; with loose above 0, each request is drawn for itself with that
// probability. Requests take the connections in turns, or any; unnamed hides which.
func pinned(connections int, loose float64, turns, unnamed bool) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		home := make([]int, connections)
		for c := range home {
			home[c] = pick(rng, s.truth)
		}
		for i := range run {
			c := i % connections
			if !turns {
				c = rng.IntN(connections)
			}
			run[i].Backend = home[c]
			if loose > 0 && rng.Float64() < loose {
				run[i].Backend = pick(rng, s.truth)
			}
			if !unnamed {
				run[i].Conn = c
			}
		}
	}
}

// roundRobin sends requests by smooth weighted round robin (the algorithm of nginx) with these weights, from a random
// place in its turn; concurrency permutes the order of that many neighbours at a time.
func roundRobin(weights []int64, concurrency int, turns bool) stream {
	var sum int64
	for _, w := range weights {
		sum += w
	}
	return func(rng *rand.Rand, _ *scenario, run []analyze.Observation) {
		current := make([]int64, len(weights))
		next := func() int {
			best := 0
			for i, w := range weights {
				current[i] += w
				if current[i] > current[best] {
					best = i
				}
			}
			current[best] -= sum
			return best
		}
		for range rng.Int64N(sum) {
			next()
		}
		for i := range run {
			run[i].Backend = next()
			run[i].Conn = i % reused
			if !turns {
				run[i].Conn = rng.IntN(reused)
			}
		}
		for at := 0; at+concurrency <= len(run); at += concurrency {
			some := run[at : at+concurrency]
			rng.Shuffle(len(some), func(i, j int) { some[i].Backend, some[j].Backend = some[j].Backend, some[i].Backend })
		}
	}
}

// changing uses other shares from a place in the run on; the truth of the scenario is the mean of both.
func changing(place float64, before, after []float64) stream {
	return func(rng *rand.Rand, _ *scenario, run []analyze.Observation) {
		at := int(place * float64(len(run)))
		for i := range run {
			shares := before
			if i >= at {
				shares = after
			}
			run[i].Backend = pick(rng, shares)
			run[i].Conn = rng.IntN(reused)
		}
	}
}

// pods sends from source pods of which the last still has old weights.
func pods(count int, fresh, stale []float64) stream {
	return func(rng *rand.Rand, _ *scenario, run []analyze.Observation) {
		for i := range run {
			run[i].Pod = i % count
			shares := fresh
			if run[i].Pod == count-1 {
				shares = stale
			}
			run[i].Backend = pick(rng, shares)
			run[i].Conn = rng.IntN(reused)
		}
	}
}

// nameless takes the name off each answer of backend i with probability lost[i].
func nameless(fill stream, lost ...float64) stream {
	return func(rng *rand.Rand, s *scenario, run []analyze.Observation) {
		fill(rng, s, run)
		for i := range run {
			if rng.Float64() < lost[run[i].Backend] {
				run[i].Backend, run[i].OK = -1, false
			}
		}
	}
}
