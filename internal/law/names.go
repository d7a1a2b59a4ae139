package law

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/nearest"
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

// Candidates is the hint that says what may have been meant, and lists what there is.
func Candidates(meant, what string, names []string) string {
	switch {
	case len(names) == 0:
		return "there are no " + what
	case nearest.To(meant, names) == "":
		return "there are: " + strings.Join(Listed(names), ", ")
	case len(names) == 1:
		return untrusted.Safe(nearest.Question(meant, names))
	}
	return untrusted.Safe(nearest.Question(meant, names)) + " There are: " + strings.Join(Listed(names), ", ")
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
