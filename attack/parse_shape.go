package attack

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

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
