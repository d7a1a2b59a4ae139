package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// suiteFile is the content of splitbench.yaml. Unknown keys are refused.
type suiteFile struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"` // Suite
	Defaults   suiteSettings `json:"defaults"`
	Splits     []suiteSplit  `json:"splits"`
}

// suiteSettings are flags of run in camel case. The command line goes before a split, and a split before the defaults.
type suiteSettings struct {
	Context        string              `json:"context,omitempty"`
	RemoteContexts []string            `json:"remoteContexts,omitempty"`
	Namespace      string              `json:"namespace,omitempty"`
	From           string              `json:"from,omitempty"`
	FromNamespace  string              `json:"fromNamespace,omitempty"`
	Selector       string              `json:"selector,omitempty"`
	Container      string              `json:"container,omitempty"`
	Through        string              `json:"through,omitempty"`
	URL            string              `json:"url,omitempty"`
	HTTP           string              `json:"http,omitempty"`
	Method         string              `json:"method,omitempty"`
	Headers        []string            `json:"headers,omitempty"`
	GRPCMethod     string              `json:"grpcMethod,omitempty"`
	Classify       []string            `json:"classify,omitempty"`
	Requests       scalar              `json:"requests,omitempty"`
	Rate           scalar              `json:"rate,omitempty"`
	Duration       string              `json:"duration,omitempty"`
	Timeout        string              `json:"timeout,omitempty"`
	Tolerance      string              `json:"tolerance,omitempty"`
	Gate           string              `json:"gate,omitempty"`
	Power          scalar              `json:"power,omitempty"`
	Seed           scalar              `json:"seed,omitempty"`
	Labels         map[string]string   `json:"labels,omitempty"`
	Latency        map[string]quantile `json:"latency,omitempty"` // by backend, or "*" for each
}

// quantile are limits of response times: p90: 50ms.
type quantile map[string]string

type suiteSplit struct {
	Name          string `json:"name"`  // unique; the split where it is left out
	Split         string `json:"split"` // as on the command line
	suiteSettings `json:",inline"`
}

// scalar is a number or a text, as it is written.
type scalar string

// UnmarshalJSON implements json.Unmarshaler.
func (s *scalar) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*s = scalar(text)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("%.40s: want a number or a text", b)
	}
	*s = scalar(n)
	return nil
}

// Bounds of a suite.
const (
	maxSuiteFile = 1 << 20
	maxSplits    = 10_000 // no namespace has as many, but a hostile server may say so
)

// readSuite reads and checks a suite file.
func (a *app) readSuite(name string) (suiteFile, error) {
	f, err := a.open(name)
	if err != nil {
		return suiteFile{}, fmt.Errorf("--filename: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSuiteFile+1))
	if err != nil {
		return suiteFile{}, fmt.Errorf("--filename: %w", err)
	}
	if len(b) > maxSuiteFile {
		return suiteFile{}, fmt.Errorf("--filename %q: it is larger than %d bytes", name, maxSuiteFile)
	}
	s, err := parseSuite(b)
	if err != nil {
		return suiteFile{}, fmt.Errorf("--filename %q: %s",
			name, untrusted.Printable(strings.Join(strings.Fields(err.Error()), " ")))
	}
	return s, nil
}

// parseSuite refuses unknown and repeated keys, anchors that unfold beyond measure, and splits of one name.
func parseSuite(b []byte) (suiteFile, error) {
	var s suiteFile
	if _, err := mappingOf(b, reflect.TypeFor[suiteFile]()); err != nil {
		return s, err
	}
	if err := yaml.UnmarshalStrict(b, &s); err != nil {
		return s, err
	}
	switch {
	case s.Kind != "Suite" || s.APIVersion != report.APIVersion:
		return s, fmt.Errorf("it is %q of %q, want kind Suite of apiVersion %s", s.Kind, s.APIVersion, report.APIVersion)
	case len(s.Splits) == 0:
		return s, fmt.Errorf("splits: name one at least")
	case len(s.Splits) > maxSplits:
		return s, fmt.Errorf("splits: %d are given, at most %d are run", len(s.Splits), maxSplits)
	}
	seen := map[string]bool{}
	for i := range s.Splits {
		x := &s.Splits[i]
		if x.Split == "" {
			return s, fmt.Errorf("splits[%d]: split: name one, such as ts/podinfo", i)
		}
		if x.Name == "" {
			x.Name = x.Split
		}
		if seen[x.Name] {
			return s, fmt.Errorf("splits[%d]: the name %q is taken: each split needs its own", i, x.Name)
		}
		seen[x.Name] = true
		for _, settings := range []suiteSettings{s.Defaults, x.suiteSettings} {
			if _, err := settings.limits(); err != nil {
				return s, fmt.Errorf("splits[%d]: latency: %w", i, err)
			}
		}
	}
	return s, nil
}

// apply sets the flags that the settings name and nobody else has set. A setting is named as its flag is, in camel case
// and where it is a list in the plural; labels and latency are no such settings.
func (s suiteSettings) apply(flags *pflag.FlagSet) error {
	values := map[string]any{}
	b, _ := json.Marshal(s) // of strings, lists and maps: it cannot fail
	_ = json.Unmarshal(b, &values)
	for _, key := range sorted(values) {
		f := flags.Lookup(flagOf(key))
		if f == nil || f.Changed {
			continue
		}
		given, several := values[key].([]any)
		if !several {
			given = []any{values[key]}
		}
		for _, v := range given {
			if err := flags.Set(f.Name, fmt.Sprint(v)); err != nil {
				return valueError(err)
			}
		}
	}
	return nil
}

// flagOf is the flag of a setting: remote-context of remoteContexts.
func flagOf(key string) string {
	if key == "remoteContexts" || key == "headers" {
		key = strings.TrimSuffix(key, "s")
	}
	var b strings.Builder
	for _, r := range key {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// over returns these settings, and those below where these are unset.
func (s suiteSettings) over(below suiteSettings) suiteSettings {
	a, _ := json.Marshal(below) // of strings and maps: it cannot fail
	b, _ := json.Marshal(s)
	out := suiteSettings{}
	_ = json.Unmarshal(a, &out)
	_ = json.Unmarshal(b, &out) // maps are merged, key by key
	return out
}

// limits are those of the response times, by backend and quantile.
func (s suiteSettings) limits() ([]report.Limit, error) {
	var out []report.Limit
	for _, backend := range slices.Sorted(maps.Keys(s.Latency)) {
		for _, name := range slices.Sorted(maps.Keys(s.Latency[backend])) {
			q, err := parseQuantile(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: want p50, p90 or p99", backend, name)
			}
			most, err := time.ParseDuration(s.Latency[backend][name])
			if err != nil || most <= 0 {
				return nil, fmt.Errorf("%s: %s: %q: want a duration such as 50ms", backend, name, s.Latency[backend][name])
			}
			out = append(out, report.Limit{Backend: backend, Quantile: q, Most: most})
		}
	}
	return out, nil
}
