package calibrate

import (
	"math"
	"math/rand/v2"
)

// process is what the requests of a run have in common with their neighbours: a series of standard normal numbers,
// one for each request in the order of sending.
type process func(rng *rand.Rand) func() float64

// neighbours have a correlation that falls to 1/e over that many requests.
func neighbours(over float64) process {
	return func(rng *rand.Rand) func() float64 {
		z, phi := rng.NormFloat64(), math.Exp(-1/over)
		fresh := math.Sqrt(1 - phi*phi)
		return func() float64 {
			z = phi*z + fresh*rng.NormFloat64()
			return z
		}
	}
}

// each draws every request for itself.
func each() process {
	return func(rng *rand.Rand) func() float64 { return rng.NormFloat64 }
}

// half adds two processes, each with half of the variance.
func half(first, second process) process {
	return func(rng *rand.Rand) func() float64 {
		a, b := first(rng), second(rng)
		return func() float64 { return math.Sqrt(0.5)*a() + math.Sqrt(0.5)*b() }
	}
}

// times are response times in milliseconds whose law is known.
type times struct {
	start func(rng *rand.Rand) (next func() float64) // of one run: request after request
	below func(ms float64) float64                   // probability that a request takes at most so long
}

// quantile is the least time that a share q of the requests stays at or below, by bisection.
func (t times) quantile(q float64) float64 {
	low, high := 0.0, 1e6
	for range 100 {
		mid := low + (high-low)/2
		if t.below(mid) >= q {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

func normalCDF(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// skewed are lognormal times of median 10 ms.
func skewed(p process, sigma float64) times {
	return times{
		start: func(rng *rand.Rand) func() float64 {
			z := p(rng)
			return func() float64 { return 10 * math.Exp(sigma*z()) }
		},
		below: func(ms float64) float64 { return normalCDF(math.Log(math.Max(ms, 1e-9)/10) / sigma) },
	}
}

// cached are answers of a cache, about 3 ms, for a share of the requests, and of what lies behind it, about 55 ms.
func cached(hits float64) times {
	exponential := func(x float64) float64 { return -math.Expm1(-math.Max(0, x)) }
	return times{
		start: func(rng *rand.Rand) func() float64 {
			return func() float64 {
				if rng.Float64() < hits {
					return 2 + rng.ExpFloat64()
				}
				return 50 + 5*rng.ExpFloat64()
			}
		},
		below: func(ms float64) float64 { return hits*exponential(ms-2) + (1-hits)*exponential((ms-50)/5) },
	}
}

// tied are skewed times that a timer rounds up to its steps.
func tied(p process, step float64) times {
	smooth := skewed(p, 0.5)
	return times{
		start: func(rng *rand.Rand) func() float64 {
			next := smooth.start(rng)
			return func() float64 { return rounded(next(), step) }
		},
		below: func(ms float64) float64 { return smooth.below(step * math.Floor(ms/step+1e-9)) },
	}
}

func rounded(ms, step float64) float64 { return step * math.Ceil(ms/step) }

// queued are times in a queue with one server (M/M/1) that is busy for that share of the time; a request alone takes
// 1 ms in the mean. The time in the queue and the server is exponential (D. V. Lindley, 1952, for the recursion).
func queued(load float64) times {
	return times{
		start: func(rng *rand.Rand) func() float64 {
			now := rng.ExpFloat64() / (1 - load)
			return func() float64 {
				out := now
				now = math.Max(0, now-rng.ExpFloat64()/load) + rng.ExpFloat64()
				return out
			}
		},
		below: func(ms float64) float64 { return -math.Expm1(-(1 - load) * math.Max(0, ms)) },
	}
}

// bursts are times of about 10 ms, and of 40 ms more in bursts of that mean length in requests, which hold that share.
func bursts(share, length float64) times {
	usual := skewed(each(), 0.3)
	return times{
		start: func(rng *rand.Rand) func() float64 {
			next := usual.start(rng)
			in := rng.Float64() < share
			return func() float64 {
				if in {
					in = rng.Float64() >= 1/length
				} else {
					in = rng.Float64() < share/(1-share)/length
				}
				if in {
					return next() + 40
				}
				return next()
			}
		},
		below: func(ms float64) float64 { return (1-share)*usual.below(ms) + share*usual.below(ms-40) },
	}
}

// sides is how the latencies of two targets hang together: each is a growing function of its own normal number z, which
// has a part that both targets have in common at a moment, and a part of its own.
type sides struct {
	near, far func(z float64) float64 // milliseconds
	common    process
	share     float64 // of the variance that is common
	own       process
	drift     float64 // milliseconds by which both grow from the first request to the last
}

// cost is far less near at a quantile, in milliseconds. Where both drift alike, and far is near shifted, it is the
// same at all quantiles with and without the drift.
func (s sides) cost(q float64) float64 { z := normalQuantile(q); return s.far(z) - s.near(z) }

func nanoseconds(ms float64) int64 { return int64(math.Round(1e6 * ms)) }

// moments returns what both sides would take at each moment, one after the other.
func (s sides) moments(rng *rand.Rand) func() (far, near float64) {
	common, x, y := s.common(rng), s.own(rng), s.own(rng)
	shared, alone := math.Sqrt(s.share), math.Sqrt(1-s.share)
	return func() (float64, float64) {
		c := shared * common()
		return s.far(c + alone*x()), s.near(c + alone*y())
	}
}

// windows draws a run whose requests go to either side at random, by windows: size answers of each side in the mean.
func (s sides) windows(rng *rand.Rand, blocks, size int) (far, near [][]int64) {
	far, near = make([][]int64, blocks), make([][]int64, blocks)
	next := s.moments(rng)
	requests := 2 * size * blocks
	for i := range requests {
		f, n := next()
		later, w := s.drift*float64(i)/float64(requests), i/(2*size)
		if rng.IntN(2) == 0 {
			far[w] = append(far[w], nanoseconds(f+later))
		} else {
			near[w] = append(near[w], nanoseconds(n+later))
		}
	}
	return far, near
}

// rounds draws a comparison as the command latency sends it: size requests to one side, then to the other, and in the
// next round the other way round.
func (s sides) rounds(rng *rand.Rand, blocks, size int) (far, near [][]int64) {
	far, near = make([][]int64, blocks), make([][]int64, blocks)
	next := s.moments(rng)
	for w := range far {
		for turn := range 2 {
			for range size {
				f, n := next()
				if turn == w%2 {
					far[w] = append(far[w], nanoseconds(f))
				} else {
					near[w] = append(near[w], nanoseconds(n))
				}
			}
		}
	}
	return far, near
}
