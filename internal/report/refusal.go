package report

import (
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/internal/preflight"
)

// Refused reports whether nothing was sent: the document is about what forbade it.
func (r Report) Refused() bool {
	return r.Verdict.Outcome == Invalid && r.Load == nil && r.Run != nil && r.document().requests() == 0
}

// maxRemedies is how much a refusal gives to do: whoever mends the first causes runs again.
const maxRemedies = 2

// RefusalOutline is a refused report as its sender reads it: what forbids measuring, and what to do. What follows from
// that, and what could not be seen because of it, is in the whole report.
func (r Report) RefusalOutline() Outline {
	reasons := notMeasured(r.Verdict.Reasons)
	if why := rootsSeen(r.Checks); why != "" {
		reasons = why
	}
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
