package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
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

// WorseOutcome is the outcome of two together: one that could not be measured, else one that failed, else one that
// cannot tell.
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

//nolint:gochecknoglobals // in the order of the table; it never changes
var failOnValues = []FailOn{FailOnInconclusive, FailOnFail, FailOnInvalid, FailOnNever}

// ParseFailOn reads the value of --fail-on; empty is the default, FailOnInconclusive.
func ParseFailOn(s string) (FailOn, error) {
	if s == "" {
		return FailOnInconclusive, nil
	}
	if slices.Contains(failOnValues, FailOn(s)) {
		return FailOn(s), nil
	}
	return "", fmt.Errorf("--fail-on=%q: want one of inconclusive, fail, invalid, never", s)
}

// ExitCode is the exit code for an outcome; see FailOn for the table. An outcome that does not exist is a bug and
// never green.
func ExitCode(outcome string, failOn FailOn) int {
	code, known := map[string]int{
		Pass: ExitPass, Measured: ExitPass, Inconclusive: ExitInconclusive, Fail: ExitFail, Invalid: ExitInvalid,
	}[outcome]
	severity := slices.Index([]string{Inconclusive, Fail, Invalid}, outcome)
	switch {
	case !known:
		return ExitBug
	case severity < slices.Index(failOnValues, failOn): // a value that does not exist stops at all
		return ExitPass
	}
	return code
}

// codeLimit is the code of a reason that is about a limit of a response time, not about shares.
const codeLimit = "latency-limit"

// limited is a report with the outcome of a limit of a response time that a suite sets beside the shares. A limit makes
// no verdict better: the outcome is the worse of both, and what the text says of a limit that does not hold is among
// the reasons. An invalid report stays as it is.
func limited(r Report, outcome, text string) Report {
	if outcome == Pass || r.Verdict.Outcome == Invalid {
		return r
	}
	v := &r.Verdict
	worse := WorseOutcome(v.Outcome, outcome)
	if !hasCode(r, codeLimit) && (worse != v.Outcome || v.StatisticalOutcome != "") {
		v.StatisticalOutcome = v.Outcome
	}
	v.Outcome = worse
	codes := make([]string, len(v.Reasons), len(v.Reasons)+1)
	copy(codes, v.ReasonCodes)
	v.ReasonCodes = append(codes, codeLimit)
	v.Reasons = append(slices.Clone(v.Reasons), text)
	return r
}

// sharesOnly is the report as the shares alone would make it, and what is said of the limits that decide otherwise.
func sharesOnly(r Report) (Report, string) {
	if r.Verdict.StatisticalOutcome == "" || !hasCode(r, codeLimit) {
		return r, ""
	}
	v := &r.Verdict
	v.Outcome, v.StatisticalOutcome = v.StatisticalOutcome, ""
	var limits, reasons, codes []string
	for i, reason := range v.Reasons {
		if CodeOf(r, i) == codeLimit {
			limits = append(limits, strings.TrimSuffix(reason, "."))
		} else {
			reasons, codes = append(reasons, reason), append(codes, CodeOf(r, i))
		}
	}
	v.Reasons, v.ReasonCodes = reasons, codes
	return r, strings.Join(limits, "; ")
}

// Refused reports whether nothing was sent: the document is about what forbade it.
func (r Report) Refused() bool {
	return r.Verdict.Outcome == Invalid && r.Load == nil && r.Run != nil && r.document().requests() == 0
}

// maxRemedies is how much a refusal gives to do: whoever mends the first causes runs again.
const maxRemedies = 2

// RefusalOutline is a refused report as its sender reads it: what forbids measuring, and what to do. What follows from
// that, and what could not be seen because of it, is in the whole report.
func (r Report) RefusalOutline() Outline {
	reasons := cmp.Or(rootsSeen(r.Checks), notMeasured(r.Verdict.Reasons))
	return refusal("INVALID", r.document().subject(), reasons, r.Verdict.Remedies)
}

// RefusedChecksOutline is the same for checks alone.
func RefusedChecksOutline(subject string, checks []preflight.Result) Outline {
	var hints []string
	follow := int64(0)
	for _, c := range FailedChecks(checks) {
		if c.CausedBy == "" && c.Hint != "" {
			hints = append(hints, c.Hint)
		}
	}
	for _, c := range checks {
		if c.CausedBy != "" {
			follow++
		}
	}
	o := refusal("INVALID", subject, rootsSeen(checks), hints)
	if follow > 0 {
		more := fmt.Sprintf("%s could not be looked at because of that; -o json has all.", plural(follow, "check"))
		o.Sections = append(o.Sections, Section{Blocks: paragraphs(more)})
	}
	return o
}

// rootsSeen is what the checks saw that failed for themselves; "" where none did.
func rootsSeen(checks []preflight.Result) string {
	for _, c := range FailedChecks(checks) {
		if c.CausedBy == "" {
			return c.Seen
		}
	}
	return ""
}

func refusal(word, subject, why string, remedies []string) Outline {
	todo := bullets(slices.Clone(remedies[:min(len(remedies), maxRemedies)]))
	return Outline{
		Word: word, Outcome: Invalid, Subject: subject, Headline: why,
		Sections: outlined(Section{ID: "do", Title: "What to do", Note: NoteDo, Blocks: []Block{todo}}),
	}
}
