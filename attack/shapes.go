package attack

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"
)

// steps is one constant schedule after the other. Within a step it is exact, and a step begins with a request of its
// own at its first instant.
type steps struct {
	steps  []Step
	begins []time.Duration // of each step
	first  []uint64        // number of each step's first request
}

var _ Schedule = (*steps)(nil)

func newSteps(s []Step) *steps {
	out := &steps{steps: s}
	at, n := time.Duration(0), uint64(0)
	for _, st := range s {
		out.begins, out.first = append(out.begins, at), append(out.first, n)
		at += st.For
		n += st.Rate.Requests(st.For)
	}
	return out
}

// At implements Schedule.
func (s *steps) At(n uint64) time.Duration {
	i := sort.Search(len(s.first), func(i int) bool { return s.first[i] > n }) - 1
	return later(s.begins[i], Constant{s.steps[i].Rate}.At(n-s.first[i]))
}

// later is a + b, or the end of time.
func later(a, b time.Duration) time.Duration {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}

// seconds turns s into a duration, at most the end of time.
func seconds(s float64) time.Duration {
	if ns := s * 1e9; ns < math.MaxInt64 {
		return time.Duration(ns)
	}
	return math.MaxInt64
}

// ramp sends request n when the area under the line of rates reaches n: from*t + (to-from)*t*t/(2*over) = n.
type ramp struct{ from, to, over float64 } // per second, per second, seconds

var _ Schedule = ramp{}

// At implements Schedule.
func (r ramp) At(n uint64) time.Duration {
	hits := float64(n)
	if whole := (r.from + r.to) / 2 * r.over; hits > whole {
		return seconds(r.over + (hits-whole)/r.to)
	}
	// The root in a form that neither cancels for small slopes nor divides by them.
	slope := (r.to - r.from) / r.over
	return seconds(2 * hits / (r.from + math.Sqrt(max(0, r.from*r.from+2*slope*hits))))
}

// sine sends request n when the area under mean + amplitude*sin(2 pi (t/period + phase)) reaches n.
type sine struct{ mean, amplitude, period, phase float64 } // per second, per second, seconds, periods

var _ Schedule = sine{}

// hits is that area from 0 to t seconds.
func (s sine) hits(t float64) float64 {
	k := s.amplitude * s.period / (2 * math.Pi)
	return s.mean*t + k*(math.Cos(2*math.Pi*s.phase)-math.Cos(2*math.Pi*(t/s.period+s.phase)))
}

// At implements Schedule. The area grows without a pause, since the rate stays above 0, so its inverse can be
// bracketed: it is never further from the mean's line than twice the height of its wave.
func (s sine) At(n uint64) time.Duration {
	hits := float64(n)
	wave := 2 * s.amplitude * s.period / (2 * math.Pi) / s.mean
	lo, hi := max(0, hits/s.mean-wave), hits/s.mean+wave
	t := hits / s.mean
	for range 100 {
		off := s.hits(t) - hits
		if off > 0 {
			hi = t
		} else {
			lo = t
		}
		next := t - off/(s.mean+s.amplitude*math.Sin(2*math.Pi*(t/s.period+s.phase)))
		if !(next > lo && next < hi) {
			next = (lo + hi) / 2
		}
		if math.Abs(next-t) < 1e-10 { // a tenth of a nanosecond
			return seconds(next)
		}
		t = next
	}
	return seconds(t)
}

// poisson is a seeded Poisson process. Any instant is a pure function of n: the state of the generator is kept at every
// stride-th request that was passed, and the way from there is walked again.
type poisson struct {
	rate  float64
	marks []poissonMark
	last  poissonMark // where the last question was answered: the next is most often of the next number
}

type poissonMark struct {
	n   uint64
	at  float64 // seconds, of request n
	rng rand.PCG
}

const poissonStride = 4096

var _ Schedule = (*poisson)(nil)

func newPoisson(rate float64, seed uint64) *poisson {
	m := poissonMark{rng: *rand.NewPCG(seed, 0x5e3d)}
	m.at = m.gap(rate) // unlike other schedules it does not begin at once: the first arrival is an arrival too
	return &poisson{rate: rate, marks: []poissonMark{m}, last: m}
}

// gap draws the time to the next arrival.
func (m *poissonMark) gap(rate float64) float64 {
	u := float64(m.rng.Uint64()>>11) / (1 << 53) // 0 <= u < 1
	return -math.Log1p(-u) / rate
}

// At implements Schedule. It is not safe for concurrent use.
func (p *poisson) At(n uint64) time.Duration {
	m := &p.last
	if nearest := p.marks[min(n/poissonStride, uint64(len(p.marks)-1))]; n < m.n || nearest.n > m.n {
		*m = nearest
	}
	for m.n < n {
		m.n++
		m.at += m.gap(p.rate)
		if m.n == uint64(len(p.marks))*poissonStride {
			p.marks = append(p.marks, *m)
		}
	}
	return seconds(m.at)
}
