package attack

import (
	"fmt"
	"math"
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
