package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// suiteFile is the content of splitbench.yaml. Unknown keys are refused.
type suiteFile struct {
	APIVersion string        `yaml:"apiVersion"`
	Kind       string        `yaml:"kind"` // Suite
	Defaults   suiteSettings `yaml:"defaults"`
	Splits     []suiteSplit  `yaml:"splits"`
}

// suiteSettings are flags of run in camel case. The command line goes before a split, and a split before the defaults.
type suiteSettings struct {
	Context        string              `yaml:"context,omitempty"`
	RemoteContexts []string            `yaml:"remoteContexts,omitempty"`
	Namespace      string              `yaml:"namespace,omitempty"`
	From           string              `yaml:"from,omitempty"`
	FromNamespace  string              `yaml:"fromNamespace,omitempty"`
	Selector       string              `yaml:"selector,omitempty"`
	Container      string              `yaml:"container,omitempty"`
	Through        string              `yaml:"through,omitempty"`
	URL            string              `yaml:"url,omitempty"`
	HTTP           string              `yaml:"http,omitempty"`
	Method         string              `yaml:"method,omitempty"`
	Headers        []string            `yaml:"headers,omitempty"`
	GRPCMethod     string              `yaml:"grpcMethod,omitempty"`
	Classify       []string            `yaml:"classify,omitempty"`
	Requests       string              `yaml:"requests,omitempty"`
	Rate           string              `yaml:"rate,omitempty"`
	Duration       string              `yaml:"duration,omitempty"`
	Timeout        string              `yaml:"timeout,omitempty"`
	Tolerance      string              `yaml:"tolerance,omitempty"`
	Gate           string              `yaml:"gate,omitempty"`
	Power          string              `yaml:"power,omitempty"`
	Seed           string              `yaml:"seed,omitempty"`
	Labels         map[string]string   `yaml:"labels,omitempty"`
	Latency        map[string]quantile `yaml:"latency,omitempty"` // by backend, or "*" for each
}

// quantile are limits of response times: p90: 50ms.
type quantile map[string]string

type suiteSplit struct {
	Name          string `yaml:"name"`  // unique; the split where it is left out
	Split         string `yaml:"split"` // as on the command line
	suiteSettings `yaml:",inline"`
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
	if _, err := readYAML(b, &s); err != nil {
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
	b, _ := yaml.Dump(s) // of strings, lists and maps: it cannot fail
	_ = yaml.Load(b, &values)
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
	a, _ := yaml.Dump(below) // of strings and maps: it cannot fail
	b, _ := yaml.Dump(s)
	out := suiteSettings{}
	_ = yaml.Load(a, &out)
	_ = yaml.Load(b, &out) // maps are merged, key by key
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
