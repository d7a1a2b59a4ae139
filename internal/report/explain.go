package report

import (
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
)

// ExplanationOutline is what can be said of one check without a cluster.
func ExplanationOutline(c preflight.Check) Outline {
	severity := "a failure forbids a verdict"
	if c.Severity == preflight.Warn {
		severity = "a failure is noted with the result"
	}
	fields := Fields{
		{Label: "severity", Text: string(c.Severity) + ": " + severity}, {Label: "looks at", Text: c.Looks},
		{Label: "cause", Text: c.Cause}, {Label: "remedy", Text: c.Remedy},
	}
	fields.add("may follow from", strings.Join(c.After, ", "))
	return Outline{Title: c.ID, Headline: c.ID + ": " + c.Name, Sections: []Section{{Blocks: []Block{fields}}}}
}

// CheckIndexOutline lists all checks by category.
func CheckIndexOutline(checks []preflight.Check) Outline {
	var o Outline
	for _, c := range checks {
		if n := len(o.Sections); n == 0 || o.Sections[n-1].Title != c.Category {
			o.Sections = append(o.Sections, Section{Title: c.Category, Blocks: []Block{Fields{}}})
		}
		s := &o.Sections[len(o.Sections)-1]
		s.Blocks[0] = append(s.Blocks[0].(Fields), Field{Label: c.ID, Text: c.Name})
	}
	return o
}
