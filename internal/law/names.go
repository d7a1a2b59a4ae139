package law

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/untrusted"
)

const maxListed = 10

// Listed is names sorted, safe to print and at most ten, with a last entry that tells how many were left out.
func Listed(names []string) []string {
	var out []string
	for i, n := range slices.Sorted(slices.Values(names)) {
		if i == maxListed {
			return append(out, fmt.Sprintf("and %d more", len(names)-maxListed))
		}
		out = append(out, untrusted.Safe(n))
	}
	return out
}

// nameOfPort is a backend that bears its port because another port of its Service is a backend too.
func nameOfPort(name string, port int32) string { return fmt.Sprintf("%s:%d", name, port) }

// Candidates is the hint that lists what there is.
func Candidates(what string, names []string) string {
	if len(names) == 0 {
		return "there are no " + what
	}
	return "there are: " + strings.Join(Listed(names), ", ")
}

// Brief is an error as a part of a sentence: bounded and on one line.
func Brief(err error) string { return untrusted.Short(err.Error(), 300) }

// Reason is what a condition gives as its reason, in brackets.
func Reason(r string) string {
	if r == "" {
		return ""
	}
	return " (" + untrusted.Short(r, 100) + ")"
}
