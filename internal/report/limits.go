package report

import (
	"slices"
	"strings"
)

// CodeLimit is the code of a reason that is about a limit of a response time, not about shares.
const CodeLimit = "latency-limit"

// Limited is a report with the outcome of a limit of a response time that a suite sets beside the shares. A limit makes
// no verdict better: the outcome is the worse of both, and what the text says of a limit that does not hold is among
// the reasons. An invalid report stays as it is.
func Limited(r Report, outcome, text string) Report {
	if outcome == Pass || r.Verdict.Outcome == Invalid {
		return r
	}
	v := &r.Verdict
	worse := WorseOutcome(v.Outcome, outcome)
	if !hasCode(r, CodeLimit) && (worse != v.Outcome || v.StatisticalOutcome != "") {
		v.StatisticalOutcome = v.Outcome
	}
	v.Outcome = worse
	codes := make([]string, len(v.Reasons), len(v.Reasons)+1)
	copy(codes, v.ReasonCodes)
	v.ReasonCodes = append(codes, CodeLimit)
	v.Reasons = append(slices.Clone(v.Reasons), text)
	return r
}

// sharesOnly is the report as the shares alone would make it, and what is said of the limits that decide otherwise.
func sharesOnly(r Report) (Report, string) {
	if r.Verdict.StatisticalOutcome == "" || !hasCode(r, CodeLimit) {
		return r, ""
	}
	v := &r.Verdict
	v.Outcome, v.StatisticalOutcome = v.StatisticalOutcome, ""
	var limits, reasons, codes []string
	for i, reason := range v.Reasons {
		if codeOf(r, i) == CodeLimit {
			limits = append(limits, strings.TrimSuffix(reason, "."))
		} else {
			reasons, codes = append(reasons, reason), append(codes, codeOf(r, i))
		}
	}
	v.Reasons, v.ReasonCodes = reasons, codes
	return r, strings.Join(limits, "; ")
}
