package attack

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Shape is a schedule as a plan states it, where it is not simply the plan's Rate. It is plain data and travels as
// JSON; the fields that its kind does not name must be unset.
type Shape struct {
	Kind      ShapeKind     `json:"kind"`
	Steps     []Step        `json:"steps,omitempty"`    // steps
	From      Rate          `json:"from,omitzero"`      // ramp: the rate at the start; sine: the mean
	To        Rate          `json:"to,omitzero"`        // ramp: the rate at the end, kept from then on
	Over      time.Duration `json:"overNs,omitempty"`   // ramp: nanoseconds from start to end; sine: of one period
	Amplitude Rate          `json:"amplitude,omitzero"` // sine: how far the rate goes above and below the mean; below it
	Phase     float64       `json:"phase,omitempty"`    // sine: where it begins, in periods, 0 to 1
	Seed      uint64        `json:"seed,omitempty"`     // poisson; the mean rate is the plan's
}

// ShapeKind is a kind of schedule.
type ShapeKind string

// The kinds of schedules.
const (
	ShapeConstant ShapeKind = "constant" // the plan's Rate
	ShapeSteps    ShapeKind = "steps"    // one rate after the other; the last stays
	ShapeRamp     ShapeKind = "ramp"     // from one rate to another in a straight line, then on at that
	ShapeSine     ShapeKind = "sine"     // around a mean
	ShapePoisson  ShapeKind = "poisson"  // independent arrivals at the plan's Rate on average
	ShapeClosed   ShapeKind = "closed"   // as fast as the connections go, at most MaxRate; without send lag
)

// Step is a rate and how long it holds.
type Step struct {
	Rate Rate          `json:"rate"`
	For  time.Duration `json:"forNs"` // nanoseconds; of the last step any
}

// Bounds of what a shape may hold.
const (
	maxSteps = 1000
	maxOver  = 24 * time.Hour
)

// schedule builds the shape's schedule. rate is the plan's, ceiling in requests per second.
func (s *Shape) schedule(rate Rate, ceiling float64) Schedule {
	switch s.Kind {
	case ShapeSteps:
		return newSteps(s.Steps)
	case ShapeRamp:
		return ramp{from: s.From.PerSecond(), to: s.To.PerSecond(), over: s.Over.Seconds()}
	case ShapeSine:
		return sine{mean: s.From.PerSecond(), amplitude: s.Amplitude.PerSecond(), period: s.Over.Seconds(), phase: s.Phase}
	case ShapePoisson:
		return newPoisson(rate.PerSecond(), s.Seed)
	case ShapeClosed:
		// Not as fast as that: the ceiling holds here too.
		return Constant{Rate{max(uint64(ceiling*1000), 1), 1000 * time.Second}}
	}
	return Constant{rate}
}

// peak is the highest rate that the shape asks for, per second; the plan's rate for those that have no other.
func (s *Shape) peak(rate Rate) float64 {
	switch s.Kind {
	case ShapeSteps:
		top := 0.0
		for _, st := range s.Steps {
			top = max(top, st.Rate.PerSecond())
		}
		return top
	case ShapeRamp:
		return max(s.From.PerSecond(), s.To.PerSecond())
	case ShapeSine:
		return s.From.PerSecond() + s.Amplitude.PerSecond()
	case ShapeClosed:
		return 0
	}
	return rate.PerSecond()
}

// usesPlanRate reports whether the shape has no rate of its own.
func (s *Shape) usesPlanRate() bool { return s.Kind == ShapeConstant || s.Kind == ShapePoisson }

// validate says, in one sentence, why the shape makes no schedule.
func (s *Shape) validate() error {
	switch s.Kind {
	case ShapeConstant, ShapePoisson, ShapeClosed:
		return nil
	case ShapeSteps:
		return s.validateSteps()
	case ShapeRamp:
		switch {
		case !s.From.valid() || !s.To.valid():
			return fmt.Errorf("schedule ramp: want two rates above 0")
		case s.Over <= 0 || s.Over > maxOver:
			return fmt.Errorf("schedule ramp: over %s: want above 0, at most %s", s.Over, maxOver)
		}
	case ShapeSine:
		switch {
		case !s.From.valid() || !s.Amplitude.valid() || s.Amplitude.PerSecond() >= s.From.PerSecond():
			return fmt.Errorf("schedule sine: want a mean rate and an amplitude above 0 and below it")
		case s.Over <= 0 || s.Over > maxOver:
			return fmt.Errorf("schedule sine: period %s: want above 0, at most %s", s.Over, maxOver)
		case !(s.Phase >= 0 && s.Phase <= 1):
			return fmt.Errorf("schedule sine: phase %g: want 0 to 1", s.Phase)
		}
	default:
		return fmt.Errorf("schedule %q: want constant, steps, ramp, sine, poisson or closed", s.Kind)
	}
	return nil
}

func (s *Shape) validateSteps() error {
	if len(s.Steps) == 0 || len(s.Steps) > maxSteps {
		return fmt.Errorf("schedule steps: %d steps: want 1 to %d", len(s.Steps), maxSteps)
	}
	total := time.Duration(0)
	for i, st := range s.Steps {
		last := i == len(s.Steps)-1
		if !st.Rate.valid() || st.For < 0 || st.For == 0 && !last {
			return fmt.Errorf("schedule steps: step %d: want a rate and a time above 0", i+1)
		}
		if st.For > maxOver || total+st.For > math.MaxInt64/2 {
			return fmt.Errorf("schedule steps: step %d: %s: at most %s", i+1, st.For, maxOver)
		}
		total += st.For
	}
	return nil
}

func (r Rate) valid() bool { return r.Hits > 0 && r.Per > 0 && r.PerSecond() <= maxPerSecond }

// steps is one constant schedule after the other, each exact and with a request at its first instant.
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

// ParseShape reads a schedule as a flag states it: constant, poisson, closed, steps=100x10s,200x10s, ramp=10:500:30s
// (from, to, over) or sine=100:50:20s (mean, amplitude, period), with rates as ParseRate reads them. nil stands for
// constant. The error names what was seen, not the flag.
func ParseShape(s string, seed uint64) (*Shape, error) {
	shape, err := parseShape(s, seed)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", s, err)
	}
	return shape, nil
}

func parseShape(s string, seed uint64) (*Shape, error) {
	name, settings, given := strings.Cut(s, "=")
	kind := ShapeKind(name)
	switch kind {
	case ShapeConstant, ShapePoisson, ShapeClosed:
		if given {
			return nil, fmt.Errorf("%s takes no settings", kind)
		}
	}
	switch kind {
	case ShapeConstant:
		return nil, nil
	case ShapePoisson:
		return &Shape{Kind: kind, Seed: seed}, nil
	case ShapeClosed:
		return &Shape{Kind: kind}, nil
	case ShapeSteps:
		return parseSteps(settings)
	case ShapeRamp, ShapeSine:
		parts := strings.Split(settings, ":")
		if len(parts) != 3 {
			return nil, errors.New("want ramp=FROM:TO:TIME or sine=MEAN:AMPLITUDE:PERIOD")
		}
		from, err1 := ParseRate(parts[0])
		to, err2 := ParseRate(parts[1])
		over, err3 := parseTime(parts[2])
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, err
		}
		if kind == ShapeRamp {
			return &Shape{Kind: kind, From: from, To: to, Over: over}, nil
		}
		return &Shape{Kind: kind, From: from, Amplitude: to, Over: over}, nil
	}
	return nil, errors.New("want constant, poisson, closed, steps=RATExTIME,..., ramp=FROM:TO:TIME or " +
		"sine=MEAN:AMPLITUDE:PERIOD")
}

func parseSteps(list string) (*Shape, error) {
	shape := &Shape{Kind: ShapeSteps}
	for part := range strings.SplitSeq(list, ",") {
		r, d, ok := strings.Cut(part, "x")
		if !ok {
			return nil, fmt.Errorf("step %q: want RATExTIME, such as 100x10s", part)
		}
		rate, err1 := ParseRate(r)
		length, err2 := parseTime(d)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		shape.Steps = append(shape.Steps, Step{Rate: rate, For: length})
	}
	return shape, nil
}

func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time, such as 30s", s)
	}
	return d, nil
}

// ParseReuse reads how many requests a connection carries: N, or MIN:MAX for a number drawn for each connection.
func ParseReuse(s string) (least, most uint64, err error) {
	a, b, ranged := strings.Cut(s, ":")
	if !ranged {
		b = a
	}
	least, err1 := strconv.ParseUint(a, 10, 63)
	most, err2 := strconv.ParseUint(b, 10, 63)
	if err1 != nil || err2 != nil || least < 1 || least > most {
		return 0, 0, fmt.Errorf("%q: want a number above 0, or MIN:MAX", s)
	}
	return least, most, nil
}

// RequestsWithin is how many requests of the plan's schedule fall within d, most at most.
func RequestsWithin(p Plan, d time.Duration, most uint64) uint64 {
	s := p.Schedule()
	if p.closed() {
		return most
	}
	n := sort.Search(int(min(most, math.MaxInt)), func(i int) bool { return s.At(uint64(i)) >= d })
	return max(uint64(n), 1)
}
