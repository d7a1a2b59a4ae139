package analyze

import (
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
