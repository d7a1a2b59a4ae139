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
		{Label: "severity", Text: string(c.Severity) + ": " + severity},
		{Label: "looks at", Text: c.Looks},
		{Label: "cause", Text: c.Cause},
		{Label: "remedy", Text: c.Remedy},
	}
	fields.add("may follow from", strings.Join(c.After, ", "))
	return Outline{Title: c.ID, Headline: c.ID + ": " + c.Name, Sections: []Section{{Blocks: []Block{fields}}}}
}

// CheckIndexOutline lists all checks by category.
func CheckIndexOutline(checks []preflight.Check) Outline {
	var o Outline
	for len(checks) > 0 {
		category := checks[0].Category
		var names Fields
		for len(checks) > 0 && checks[0].Category == category {
			names = append(names, Field{Label: checks[0].ID, Text: checks[0].Name})
			checks = checks[1:]
		}
		o.Sections = append(o.Sections, Section{Title: category, Blocks: []Block{names}})
	}
	return o
}
