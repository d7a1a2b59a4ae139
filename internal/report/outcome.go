package report

import (
	"fmt"
	"strings"
)

// The outcomes of a Verdict.
const (
	Pass         = "pass"
	Fail         = "fail"
	Inconclusive = "inconclusive"
	Invalid      = "invalid"
)

// The effects of a Diagnostic on the verdict. There is none that makes it better.
const (
	EffectKeep      = "keep"
	EffectQualify   = "qualify"
	EffectDowngrade = "downgrade"
)

// Gates of verdicts that are not about shares.
const (
	GateMargin = "margin" // how much slower a quantile may be
	GateOutage = "outage" // how much a failover may lose, and for how long
	GateAlways = "anytime"
)

// WorseOutcome is the outcome of two together: one that could not be measured, else one that failed, else one that cannot tell.
func WorseOutcome(a, b string) string {
	for _, o := range []string{Invalid, Fail, Inconclusive} {
		if a == o || b == o {
			return o
		}
	}
	return Pass
}

// NameCombined names the diagnostic that says what several independent runs show together; a reader wants it also where
// nothing is wrong.
const NameCombined = "combined-evidence"

// Exit codes of a run, one for each outcome.
const (
	ExitPass         = 0
	ExitFail         = 1
	ExitBug          = 2 // also usage errors, which have no outcome
	ExitInconclusive = 3
	ExitInvalid      = 4
)

// FailOn is the mildest outcome that a gate wants to stop at: the value of --fail-on.
//
//	--fail-on               pass  inconclusive  fail  invalid
//	inconclusive (default)     0             3     1        4
//	fail                       0             0     1        4
//	invalid                    0             0     0        4
//	never                      0             0     0        0
//
// It maps outcomes only: a wrong command line (2) and an interrupted run (130, 143) are never made green.
type FailOn string

// The values of --fail-on.
const (
	FailOnInconclusive FailOn = "inconclusive"
	FailOnFail         FailOn = "fail"
	FailOnInvalid      FailOn = "invalid"
	FailOnNever        FailOn = "never"
)

// failOnValues are in the order of the table.
func failOnValues() []FailOn {
	return []FailOn{FailOnInconclusive, FailOnFail, FailOnInvalid, FailOnNever}
}

// ParseFailOn reads the value of --fail-on; empty is the default, FailOnInconclusive.
func ParseFailOn(s string) (FailOn, error) {
	if s == "" {
		return FailOnInconclusive, nil
	}
	var names []string
	for _, f := range failOnValues() {
		if s == string(f) {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("--fail-on=%q: want one of %s", s, strings.Join(names, ", "))
}

// ExitCode is the exit code for an outcome; see FailOn for the table. An outcome that does not exist is a bug and
// never green.
func ExitCode(outcome string, failOn FailOn) int {
	stop := map[FailOn]int{FailOnInconclusive: 1, FailOnFail: 2, FailOnInvalid: 3, FailOnNever: 4}
	least, ok := stop[failOn]
	if !ok {
		least = 1
	}
	code, severity := 0, 0
	switch outcome {
	case Pass, Measured:
		return ExitPass
	case Inconclusive:
		code, severity = ExitInconclusive, 1
	case Fail:
		code, severity = ExitFail, 2
	case Invalid:
		code, severity = ExitInvalid, 3
	default:
		return ExitBug
	}
	if severity < least {
		return 0
	}
	return code
}
