package analyze

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// ParseTolerance reads a tolerance: points as "2pt" or "2.5pt", a fraction of the backend's own expected share as
// "20%", or both joined by a comma, of which the smaller then holds. Plain decimal numbers only. The error wraps
// ErrInput.
func ParseTolerance(s string) (Tolerance, error) {
	var t Tolerance
	for part := range strings.SplitSeq(s, ",") {
		part = strings.TrimSpace(part)
		number, isPoints := strings.CutSuffix(part, "pt")
		if !isPoints {
			var isRelative bool
			if number, isRelative = strings.CutSuffix(part, "%"); !isRelative {
				return Tolerance{}, inputErrorf("tolerance %q: %q has no unit, write it like 2pt or 20%%", s, part)
			}
		}
		value, ok := decimal(number)
		switch {
		case !ok:
			return Tolerance{}, inputErrorf("tolerance %q: %q is not a number, write it like 2pt or 20%%", s, number)
		case value <= 0 || value > 100:
			return Tolerance{}, inputErrorf("tolerance %q: %s is out of range, want above 0 and at most 100", s, part)
		case isPoints && t.Points > 0 || !isPoints && t.Relative > 0:
			return Tolerance{}, inputErrorf("tolerance %q: the same unit twice", s)
		case isPoints:
			t.Points = value
		default:
			t.Relative = value / 100
		}
	}
	return t, nil
}

// decimal reads digits with at most one dot: no sign, exponent, hexadecimal, infinity or NaN.
func decimal(s string) (float64, bool) {
	if s == "" || len(s) > 32 || strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil && !math.IsInf(x, 0)
}

// ParseWeights reads declared weights, "podinfo=50,podinfo-east=50": whole numbers from 0, each backend once. The
// order is kept. The error wraps ErrInput.
func ParseWeights(s string) (Weights, error) {
	var w Weights
	for part := range strings.SplitSeq(s, ",") {
		name, n, err := assignment("weights", s, part)
		if err != nil {
			return nil, err
		}
		w = append(w, Weight{Backend: name, W: n})
	}
	return w, w.Validate()
}

// UnattributedKey is the key of ParseCounts for requests whose backend nobody can name.
const UnattributedKey = "unattributed"

// ParseCounts reads observed counts, "podinfo=5212,podinfo-east=4788,unattributed=3", and aligns them to w: every
// backend of w must be given once, unattributed may be left out. The error names what is unknown or missing, and
// wraps ErrInput.
func ParseCounts(s string, w Weights) (Counts, error) {
	c := Counts{N: make([]int64, len(w))}
	seen := make(map[string]bool, len(w))
	for part := range strings.SplitSeq(s, ",") {
		name, n, err := assignment("counts", s, part)
		if err != nil {
			return Counts{}, err
		}
		if seen[name] {
			return Counts{}, inputErrorf("counts %q: backend %q is given twice", s, name)
		}
		seen[name] = true
		switch i := slices.IndexFunc(w, func(x Weight) bool { return x.Backend == name }); {
		case i >= 0:
			c.N[i] = n
		case name == UnattributedKey:
			c.Unattributed = n
		default:
			return Counts{}, inputErrorf("counts %q: backend %q has no weight; the weights name %s", s, name, w.names())
		}
	}
	for _, x := range w {
		if !seen[x.Backend] {
			return Counts{}, inputErrorf("counts %q: backend %q is missing; give %s=0 if it got nothing",
				s, x.Backend, x.Backend)
		}
	}
	return c, c.validate(w)
}

func (w Weights) names() string {
	names := make([]string, len(w))
	for i, x := range w {
		names[i] = strconv.Quote(x.Backend)
	}
	return strings.Join(names, ", ")
}

// assignment reads one name=number.
func assignment(what, all, part string) (name string, n int64, err error) {
	part = strings.TrimSpace(part)
	name, number, found := strings.Cut(part, "=")
	if !found || name == "" {
		return "", 0, inputErrorf("%s %q: %q is not of the form backend=number", what, all, part)
	}
	n, parseErr := strconv.ParseInt(number, 10, 64)
	if parseErr != nil || n < 0 || strings.HasPrefix(number, "+") {
		return "", 0, inputErrorf("%s %q: %q is not a whole number from 0 for backend %q", what, all, number, name)
	}
	return name, n, nil
}

// ErrInput is wrapped by every error about what the caller passed in: nothing was computed.
var ErrInput = errors.New("invalid input")

// MaxRequests is the largest number of requests that a decision accepts: above 2^53 a float64 no longer holds every
// count.
const MaxRequests = int64(1) << 53

// inputError keeps the sentence free of the sentinel's own words.
type inputError struct{ text string }

func (e *inputError) Error() string { return e.text }

// Is makes errors.Is(err, ErrInput) true.
func (e *inputError) Is(target error) bool { return target == ErrInput }

func inputErrorf(format string, args ...any) error {
	return &inputError{text: fmt.Sprintf(format, args...)}
}

// validate reports the first thing wrong with counts for these weights.
func (c Counts) validate(w Weights) error {
	if len(c.N) != len(w) {
		return inputErrorf("counts: %d given for %d backends", len(c.N), len(w))
	}
	var sum int64
	for i, n := range c.N {
		if n < 0 {
			return inputErrorf("counts: backend %q has %d requests, want 0 or more", w[i].Backend, n)
		}
		if n > MaxRequests-sum {
			return inputErrorf("counts: more than %d requests in all", MaxRequests)
		}
		sum += n
	}
	if c.Unattributed < 0 {
		return inputErrorf("counts: %d unattributed requests, want 0 or more", c.Unattributed)
	}
	if c.Unattributed > MaxRequests-sum {
		return inputErrorf("counts: more than %d requests in all", MaxRequests)
	}
	return nil
}

// validateFor reports the first thing wrong with the weights or the options.
func (o Options) validateFor(w Weights) error {
	if err := w.Validate(); err != nil {
		return err
	}
	return o.Validate()
}

// plus adds a batch of counts for the same weights.
func (c Counts) plus(batch Counts, w Weights) (Counts, error) {
	if err := batch.validate(w); err != nil {
		return Counts{}, err
	}
	sum := Counts{N: slices.Clone(c.N), Unattributed: c.Unattributed + batch.Unattributed}
	for i, n := range batch.N {
		sum.N[i] += n
	}
	return sum, sum.validate(w)
}

// Validate reports the first option outside its range. The error wraps ErrInput and names the option.
func (o Options) Validate() error {
	switch {
	case o.Gate != GateTolerance && o.Gate != GateChiSquare:
		return inputErrorf("gate: %q is unknown, want %q or %q", o.Gate, GateTolerance, GateChiSquare)
	case !(o.Alpha > 0 && o.Alpha < 0.5):
		return inputErrorf("alpha: %v is out of range, want above 0 and below 0.5", o.Alpha)
	case !(o.Power > 0 && o.Power < 1):
		return inputErrorf("power: %v is out of range, want above 0 and below 1", o.Power)
	case o.MaxStates < 0:
		return inputErrorf("max states: %d is negative", o.MaxStates)
	}
	return o.Tolerance.Validate()
}

// Validate reports a tolerance that is not set, negative, above 100 points or above 100 percent, or a leak outside
// [0,1). The error wraps ErrInput.
func (t Tolerance) Validate() error {
	switch {
	case t.Points == 0 && t.Relative == 0:
		return inputErrorf("tolerance: 0, want above 0, for example 5pt or 20%%")
	case !(t.Points >= 0 && t.Points <= 100):
		return inputErrorf("tolerance: %v points is out of range, want above 0 and at most 100", t.Points)
	case !(t.Relative >= 0 && t.Relative <= 1):
		return inputErrorf("tolerance: %v%% of the expected share is out of range, want above 0 and at most 100",
			t.Relative*100)
	case !(t.Leak >= 0 && t.Leak < 1):
		return inputErrorf("tolerance: leak %v is out of range, want 0 or more and below 1", t.Leak)
	}
	return nil
}

// Share returns the tolerance of a backend with the given expected share, both shares of 0 to 1: the smaller of what is
// set, the leak for an expected share of 0, and 0 where nothing is set.
func (t Tolerance) Share(expected float64) float64 {
	absolute, relative := t.Points/100, t.Relative*expected
	switch {
	case expected == 0:
		return t.Leak
	case t.Points <= 0:
		return relative
	case t.Relative <= 0:
		return absolute
	}
	return min(absolute, relative)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
