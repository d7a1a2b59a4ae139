package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
)

// CheckKind is the kind of the document that WriteChecksJSON writes.
const CheckKind = "CheckReport"

// CheckReport is the result of checks alone. Its schema is docs/schema/checkreport.v1alpha1.json.
type CheckReport struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	OK         bool               `json:"ok"` // no fatal check failed
	Checks     []preflight.Result `json:"checks"`
}

// WriteChecksJSON writes the checks as one document of kind CheckReport.
func WriteChecksJSON(w io.Writer, checks []preflight.Result) error {
	c := CheckReport{APIVersion: APIVersion, Kind: CheckKind, OK: len(failedChecks(checks)) == 0, Checks: list(checks)}
	return writeJSON(w, mapStrings(c, func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }))
}

// shownChecks are the checks, harmless on a terminal. YAML keeps its lines.
func shownChecks(checks []preflight.Result) []preflight.Result {
	out := mapStrings(checks, forTerminal)
	for i := range out {
		lines := strings.Split(checks[i].Apply, "\n")
		for j := range lines {
			lines[j] = forTerminal(lines[j])
		}
		out[i].Apply = strings.Join(lines, "\n")
	}
	return out
}

// WriteApply writes the YAML that mends a finding, and nothing else.
func WriteApply(w io.Writer, c preflight.Result) error {
	_, err := io.WriteString(w, shownChecks([]preflight.Result{c})[0].Apply)
	return err
}

// WriteChecks lists the checks by category, in the order in which categories first appear, each with its state and each
// that is not green with what was seen and what to do. A check that could not be seen is never shown as green.
func WriteChecks(w io.Writer, checks []preflight.Result, o TextOptions) error {
	checks = shownChecks(checks)
	p := newPage(o)
	var categories []string
	for _, c := range checks {
		if !slices.Contains(categories, c.Category) {
			categories = append(categories, c.Category)
		}
	}
	for _, category := range categories {
		p.line(category)
		p.line(strings.Repeat("-", min(textWidth(category), p.width)))
		for _, c := range checks {
			if c.Category == category {
				p.check(c, o.ASCII)
			}
		}
		p.line("")
	}
	p.line(checksSummary(checks))
	_, err := w.Write(p.b.Bytes())
	return err
}

func (p *page) check(c preflight.Result, ascii bool) {
	text := c.Name
	if c.ID != "" {
		text += " [" + c.ID + "]"
	}
	if c.Status == preflight.OK {
		p.painted(symbol(c.Status, ascii)+" ", text, statusColor(c.Status))
		return
	}
	p.painted(symbol(c.Status, ascii)+" ", text+": "+string(c.Status), statusColor(c.Status))
	if c.Seen != "" {
		p.para("    seen: ", c.Seen)
	}
	switch {
	case c.CausedBy != "":
		p.para("    cause: ", "follows from "+c.CausedBy+"; mend that first")
		return
	case c.Waived != "":
		p.para("    waived: ", c.Waived)
	}
	if c.Hint != "" {
		p.hint("    hint: ", c.Hint)
	}
	if c.Apply != "" {
		p.line("    apply:")
		for _, line := range strings.Split(strings.TrimRight(c.Apply, "\n"), "\n") {
			p.line("      " + line)
		}
	}
}

// rootsOf are the ids of the findings that stand for themselves.
func rootsOf(checks []preflight.Result) []string {
	var ids []string
	for _, c := range checks {
		if c.CausedBy == "" {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func symbol(s preflight.Status, ascii bool) string {
	switch s {
	case preflight.OK:
		if ascii {
			return "[ok]"
		}
		return "\u221a"
	case preflight.Warning:
		if ascii {
			return "[!!]"
		}
		return "\u203c"
	case preflight.Failed:
		if ascii {
			return "[XX]"
		}
		return "\u00d7"
	}
	if ascii {
		return "[??]"
	}
	return "?"
}

func checksSummary(checks []preflight.Result) string {
	n := map[preflight.Status]int64{}
	for _, c := range checks {
		s := c.Status
		if s != preflight.OK && s != preflight.Warning && s != preflight.Failed {
			s = preflight.Unknown
		}
		n[s]++
	}
	var parts []string
	for _, s := range []preflight.Status{preflight.OK, preflight.Warning, preflight.Failed, preflight.Unknown} {
		if n[s] > 0 || s == preflight.OK {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	verdict := "the split can be measured"
	switch failed := failedChecks(checks); {
	case len(failed) > 0:
		verdict = "the split cannot be measured: " + plural(int64(len(failed)), "fatal failure")
		if roots := rootsOf(failed); len(roots) < len(failed) {
			verdict += ", root cause " + strings.Join(roots, ", ")
		}
	case len(checks) == 0:
		verdict = "nothing was checked"
	case n[preflight.Unknown] > 0:
		verdict = "nothing forbids measuring, but not everything could be seen"
	}
	return fmt.Sprintf("%s: %s", strings.Join(parts, ", "), verdict)
}
