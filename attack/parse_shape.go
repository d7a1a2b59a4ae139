package attack

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseShape reads a schedule as a flag states it: constant, poisson, closed, steps=100x10s,200x10s, ramp=10:500:30s (from,
// to, over) or sine=100:50:20s (mean, amplitude, period), with rates as ParseRate reads them. nil stands for constant. The
// error names what was seen, not the flag.
func ParseShape(s string, seed uint64) (*Shape, error) {
	kind, rest, given := strings.Cut(s, "=")
	switch ShapeKind(kind) {
	case ShapeConstant, ShapePoisson, ShapeClosed:
		if given {
			return nil, fmt.Errorf("schedule %q: %s takes no settings", s, kind)
		}
		switch ShapeKind(kind) {
		case ShapeConstant:
			return nil, nil
		case ShapePoisson:
			return &Shape{Kind: ShapePoisson, Seed: seed}, nil
		}
		return &Shape{Kind: ShapeClosed}, nil
	case ShapeSteps:
		return parseSteps(s, rest)
	case ShapeRamp, ShapeSine:
		parts := strings.Split(rest, ":")
		if len(parts) != 3 {
			return nil, fmt.Errorf("schedule %q: want ramp=FROM:TO:TIME or sine=MEAN:AMPLITUDE:PERIOD", s)
		}
		a, err := ParseRate(parts[0])
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", s, err)
		}
		b, err := ParseRate(parts[1])
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", s, err)
		}
		over, err := time.ParseDuration(parts[2])
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %q is not a time, such as 30s", s, parts[2])
		}
		if ShapeKind(kind) == ShapeRamp {
			return &Shape{Kind: ShapeRamp, From: a, To: b, Over: over}, nil
		}
		return &Shape{Kind: ShapeSine, From: a, Amplitude: b, Over: over}, nil
	}
	return nil, fmt.Errorf("schedule %q: want constant, poisson, closed, steps=RATExTIME,..., ramp=FROM:TO:TIME or sine=MEAN:AMPLITUDE:PERIOD", s)
}

func parseSteps(s, rest string) (*Shape, error) {
	shape := &Shape{Kind: ShapeSteps}
	for part := range strings.SplitSeq(rest, ",") {
		r, d, ok := strings.Cut(part, "x")
		if !ok {
			return nil, fmt.Errorf("schedule %q: step %q: want RATExTIME, such as 100x10s", s, part)
		}
		rate, err := ParseRate(r)
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", s, err)
		}
		length, err := time.ParseDuration(d)
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %q is not a time, such as 10s", s, d)
		}
		shape.Steps = append(shape.Steps, Step{Rate: rate, For: length})
	}
	return shape, nil
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
	// Instants do not fall: the first that is not within d is found by halving.
	low, high := uint64(0), most
	for low < high {
		if mid := low + (high-low)/2; s.At(mid) < d {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return max(low, 1)
}
