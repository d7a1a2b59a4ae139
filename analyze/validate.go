package analyze

import (
	"errors"
	"fmt"
	"slices"
)

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
