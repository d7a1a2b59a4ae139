package told

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// envoyMatch is config.route.v3.RouteMatch, as far as it is understood: other fields make it an error.
type envoyMatch struct {
	Prefix    *string       `json:"prefix"`
	Path      *string       `json:"path"`
	Regex     *envoyRegex   `json:"safe_regex"`
	Segments  *string       `json:"path_separated_prefix"`
	Sensitive *bool         `json:"case_sensitive"`
	GRPC      *struct{}     `json:"grpc"`
	Headers   []envoyValue  `json:"headers"`
	Query     []envoyValue  `json:"query_parameters"`
	Fraction  *envoyRuntime `json:"runtime_fraction"`
}

type envoyRegex struct {
	Regex  string          `json:"regex"`
	Engine json.RawMessage `json:"google_re2"`
}

type envoyRuntime struct {
	Default struct {
		Numerator   uint32 `json:"numerator"`
		Denominator string `json:"denominator"` // HUNDRED, which is left out, TEN_THOUSAND, MILLION
	} `json:"default_value"`
	Key string `json:"runtime_key"`
}

// envoyValue matches a header or a query parameter.
type envoyValue struct {
	Name    string       `json:"name"`
	Present *bool        `json:"present_match"`
	Exact   *string      `json:"exact_match"` // the older forms
	Prefix  *string      `json:"prefix_match"`
	Suffix  *string      `json:"suffix_match"`
	Regex   *envoyRegex  `json:"safe_regex_match"`
	Text    *envoyString `json:"string_match"`
	Invert  bool         `json:"invert_match"`
}

type envoyString struct {
	Exact    *string     `json:"exact"`
	Prefix   *string     `json:"prefix"`
	Suffix   *string     `json:"suffix"`
	Contains *string     `json:"contains"`
	Regex    *envoyRegex `json:"safe_regex"`
	Fold     bool        `json:"ignore_case"`
}

// envoyFits asks a match, and gives the fraction of requests that it takes of those that fit.
func envoyFits(raw json.RawMessage, probe law.Probe) (fits bool, fraction float64, err error) {
	var m envoyMatch
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return false, 0, unknownEnvoy("a match")
	}
	path, rawQuery, _ := strings.Cut(cmp.Or(probe.Path, "/"), "?")
	if fits, err = m.fitsPath(path); err != nil || !fits || m.GRPC != nil && !probe.IsCall() {
		return false, 0, err
	}
	query, _ := url.ParseQuery(rawQuery) // what can be read of it
	for _, v := range m.Query {
		if fits, err = v.fits(first(query[v.Name])); err != nil || !fits {
			return false, 0, err
		}
	}
	for _, v := range m.Headers {
		if fits, err = v.fits(envoyHeader(probe, v.Name, path)); err != nil || !fits {
			return false, 0, err
		}
	}
	if m.Fraction == nil {
		return true, 1, nil
	}
	share := m.Fraction.Default
	of, ok := map[string]float64{"": 100, "HUNDRED": 100, "TEN_THOUSAND": 1e4, "MILLION": 1e6}[share.Denominator]
	if !ok || m.Fraction.Key != "" { // what the runtime says in its place is not on the page
		return false, 0, unknownEnvoy("a fraction")
	}
	return true, min(1, float64(share.Numerator)/of), nil
}

func (m envoyMatch) fitsPath(path string) (bool, error) {
	fold := func(s string) string {
		if m.Sensitive != nil && !*m.Sensitive {
			return strings.ToLower(s)
		}
		return s
	}
	switch {
	case m.Prefix != nil:
		return strings.HasPrefix(fold(path), fold(*m.Prefix)), nil
	case m.Path != nil:
		return fold(path) == fold(*m.Path), nil
	case m.Segments != nil:
		rest, ok := strings.CutPrefix(fold(path), fold(*m.Segments))
		return ok && (rest == "" || rest[0] == '/'), nil
	case m.Regex != nil:
		return m.Regex.fits(path)
	}
	return false, unknownEnvoy("a match of paths")
}

// fits reports whether the expression is of the whole value.
func (r *envoyRegex) fits(value string) (bool, error) {
	if len(r.Regex) > maxPattern {
		return false, unknownEnvoy("a regular expression that is so long")
	}
	re, err := regexp.Compile(`\A(?:` + r.Regex + `)\z`)
	if err != nil {
		return false, unknownEnvoy("a regular expression")
	}
	return re.MatchString(value), nil
}

// first is the first of several values, and whether there is one.
func first(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// envoyHeader is a header as Envoy sees it, those of HTTP/2 included.
func envoyHeader(p law.Probe, name, path string) (string, bool) {
	switch name {
	case ":method":
		return cmp.Or(p.Method, "GET"), true
	case ":path":
		return cmp.Or(p.Path, path), true
	case ":authority":
		return p.Host, true
	}
	return p.Value(name)
}

func (v envoyValue) fits(value string, there bool) (bool, error) {
	s := envoyString{Exact: v.Exact, Prefix: v.Prefix, Suffix: v.Suffix, Regex: v.Regex}
	if v.Text != nil {
		s = *v.Text
	}
	if v.Present != nil {
		return (there == *v.Present) != v.Invert, nil
	}
	if !there {
		return false, nil // also of an inverted match, unless it says so, which is not understood
	}
	fits, err := s.fits(value)
	return fits != v.Invert, err
}

func (s envoyString) fits(value string) (bool, error) {
	fold := func(t string) string {
		if s.Fold {
			return strings.ToLower(t)
		}
		return t
	}
	v := fold(value)
	switch {
	case s.Exact != nil:
		return v == fold(*s.Exact), nil
	case s.Prefix != nil:
		return strings.HasPrefix(v, fold(*s.Prefix)), nil
	case s.Suffix != nil:
		return strings.HasSuffix(v, fold(*s.Suffix)), nil
	case s.Contains != nil:
		return strings.Contains(v, fold(*s.Contains)), nil
	case s.Regex != nil:
		return s.Regex.fits(value)
	}
	return false, unknownEnvoy("a match of a value")
}
