package record

import (
	"maps"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// Masked stands in the place of what a run must not keep.
const Masked = "***"

// SecretHeader reports whether the value of a header lets its bearer in somewhere: a run keeps that there was one,
// never which. Such headers are told by their names, as there is no other way.
func SecretHeader(name string) bool {
	name = strings.ToLower(name)
	words := []string{
		"auth", "cookie", "token", "secret", "password", "credential", "api-key", "apikey", "session", "signature", "jwt",
	}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(name, word) })
}

func maskedHeader(h map[string]string) map[string]string {
	out := maps.Clone(h)
	for name := range out {
		if SecretHeader(name) {
			out[name] = Masked
		}
	}
	return out
}

// kept is the manifest as it is stored.
func (m Manifest) kept() Manifest {
	m.Plan.Header = maskedHeader(m.Plan.Header)
	snapshot := func(s *law.Snapshot) *law.Snapshot {
		if s == nil {
			return nil
		}
		own := *s
		own.Law.Probe.Header = maskedHeader(own.Law.Probe.Header)
		return &own
	}
	m.Before, m.After = snapshot(m.Before), snapshot(m.After)
	return m
}
