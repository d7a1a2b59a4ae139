package report

import (
	"io"
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
)

// WriteExplanation writes what can be said of one check without a cluster.
func WriteExplanation(w io.Writer, c preflight.Check, o TextOptions) error {
	p := newPage(o)
	p.line(c.ID + ": " + c.Name)
	severity := "a failure forbids a verdict"
	if c.Severity == preflight.Warn {
		severity = "a failure is noted with the result"
	}
	fields := []field{{"severity", string(c.Severity) + ": " + severity}, {"looks at", c.Looks}, {"cause", c.Cause}, {"remedy", c.Remedy}}
	if len(c.After) > 0 {
		fields = append(fields, field{"may follow from", strings.Join(c.After, ", ")})
	}
	p.fields(fields)
	_, err := w.Write(p.b.Bytes())
	return err
}

// WriteCheckIndex lists all checks by category.
func WriteCheckIndex(w io.Writer, checks []preflight.Check, o TextOptions) error {
	p := newPage(o)
	category := ""
	for _, c := range checks {
		if c.Category != category {
			if category != "" {
				p.line("")
			}
			category = c.Category
			p.line(category)
			p.line(strings.Repeat("-", len(category)))
		}
		p.line(c.ID + "  " + c.Name)
	}
	_, err := w.Write(p.b.Bytes())
	return err
}
