package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
)

// CheckKind is the kind of a CheckReport.
const CheckKind = "CheckReport"

// CheckReport is the result of checks alone. Its schema is docs/schema/checkreport.v1alpha1.json.
type CheckReport struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	OK         bool               `json:"ok"` // no fatal check failed
	Checks     []preflight.Result `json:"checks"`
}

// ChecksOf is the document of checks.
func ChecksOf(checks []preflight.Result) CheckReport {
	c := CheckReport{APIVersion: APIVersion, Kind: CheckKind, OK: len(FailedChecks(checks)) == 0, Checks: list(checks)}
	return Storable(c)
}

// ChecksOutline lists checks by category, in the order in which categories first appear, each with its state and each
// that is not green with what was seen and what to do. A check that could not be seen is never shown as green.
func ChecksOutline(checks []preflight.Result) Outline {
	var categories []string
	found := map[string][]Item{}
	for _, c := range checks {
		if found[c.Category] == nil {
			categories = append(categories, c.Category)
		}
		found[c.Category] = append(found[c.Category], finding(c))
	}
	var sections []Section
	for _, name := range categories {
		sections = append(sections, Section{Title: name, Blocks: []Block{List{Items: found[name]}}})
	}
	return Outline{Sections: append(sections, Section{Blocks: paragraphs(checksSummary(checks))})}
}

// finding is a check with what is known of it.
func finding(c preflight.Result) Item {
	it := Item{State: string(c.Status), Text: c.Name}
	if c.ID != "" {
		it.Text += " [" + c.ID + "]"
	}
	if c.Status == preflight.OK {
		return it
	}
	it.Text += ": " + string(c.Status)
	it.Fields.add("seen", c.Seen)
	if c.CausedBy != "" {
		it.Fields.add("cause", "follows from "+c.CausedBy+"; mend that first")
		return it
	}
	it.Fields.add("waived", c.Waived)
	if c.Hint != "" {
		prose, command := splitCommand(c.Hint)
		it.Fields = append(it.Fields, Field{Label: "hint", Text: prose, Command: command})
	}
	it.Apply = c.Apply
	return it
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
	switch failed := FailedChecks(checks); {
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

// FailedChecks are the checks that forbid a verdict, root causes first, else in their order.
func FailedChecks(checks []preflight.Result) []preflight.Result {
	failed := slices.DeleteFunc(slices.Clone(checks), func(c preflight.Result) bool { return !c.Failure() })
	slices.SortStableFunc(failed, func(a, b preflight.Result) int {
		return cmp.Compare(min(len(a.CausedBy), 1), min(len(b.CausedBy), 1))
	})
	return failed
}
