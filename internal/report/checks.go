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

// CheckListKind is the kind of a CheckList.
const CheckListKind = "CheckList"

// CheckList is the checks of several splits. Its schema is docs/schema/checklist.v1alpha1.json.
type CheckList struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	OK         bool          `json:"ok"` // no fatal check of any split failed
	Splits     []SplitChecks `json:"splits"`
}

// SplitChecks are the checks of one split.
type SplitChecks struct {
	Namespace string             `json:"namespace"`
	Split     string             `json:"split"` // e.g. "ts/podinfo"
	OK        bool               `json:"ok"`    // no fatal check failed
	Checks    []preflight.Result `json:"checks"`
	Notes     []string           `json:"notes"` // what could not be seen, one sentence each
}

// name is the split as a heading; empty where there is but one and the user named it.
func (s SplitChecks) name() string {
	if s.Split == "" {
		return ""
	}
	return s.Namespace + " " + s.Split
}

// CheckListOf is the document of the checks of several splits.
func CheckListOf(all []SplitChecks) CheckList {
	doc := CheckList{APIVersion: APIVersion, Kind: CheckListKind, OK: true, Splits: []SplitChecks{}}
	for _, s := range all {
		s.OK = len(FailedChecks(s.Checks)) == 0
		s.Checks, s.Notes = list(s.Checks), list(s.Notes)
		doc.OK = doc.OK && s.OK
		doc.Splits = append(doc.Splits, s)
	}
	return Storable(doc)
}

// SplitsOutline is for each split what is not green, under its name, and one line for each split in the end.
func SplitsOutline(all []SplitChecks) Outline {
	var o Outline
	var summary List
	bad := 0
	for _, s := range all {
		var findings List
		worst := preflight.OK
		for _, c := range byCause(s.Checks) {
			if c.Status != preflight.OK {
				findings.Items = append(findings.Items, finding(c))
			}
		}
		for _, c := range s.Checks {
			worst = preflight.Worst(worst, c.Status)
		}
		if len(FailedChecks(s.Checks)) > 0 {
			bad++
		}
		o.Sections = append(o.Sections, Section{Title: s.name(), Blocks: []Block{findings}})
		summary.Items = append(summary.Items, Item{State: string(worst), Text: s.name() + ": " + checksSummary(s.Checks)})
	}
	total := fmt.Sprintf("%s, %d of them cannot be measured", plural(int64(len(all)), "split"), bad)
	o.Sections = outlined(append(o.Sections, Section{Blocks: []Block{summary, Paragraph(total)}})...)
	return o
}

// byCause is the checks with each root cause before what follows from it.
func byCause(checks []preflight.Result) []preflight.Result {
	var out []preflight.Result
	for _, c := range checks {
		if c.CausedBy != "" {
			continue
		}
		out = append(out, c)
		for _, d := range checks {
			if d.CausedBy == c.ID {
				out = append(out, d)
			}
		}
	}
	return out
}

// FindingsOutline is one line for each finding that is not green and stands for itself: state, id, split, what was
// seen. What follows from it is counted behind it. A split without findings has no line.
func FindingsOutline(all []SplitChecks) Outline {
	l := List{OneLine: true}
	for _, s := range all {
		for _, c := range s.Checks {
			if c.Status == preflight.OK || c.CausedBy != "" {
				continue
			}
			line := c.ID + " "
			if s.name() != "" {
				line += s.name() + ": "
			}
			line += cmp.Or(c.Seen, c.Name)
			follows := 0
			for _, d := range s.Checks {
				if d.CausedBy == c.ID {
					follows++
				}
			}
			if follows > 0 {
				line += fmt.Sprintf(" (%d more follow from it)", follows)
			}
			l.Items = append(l.Items, Item{State: string(c.Status), Text: line})
		}
	}
	if len(l.Items) == 0 {
		l.Items = []Item{{State: StateOK, Text: "every check is green"}}
	}
	return Outline{Sections: []Section{{Blocks: []Block{l}}}}
}

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

// CheckExplanations explain checks to a program, as ExplanationOutline does to a person.
type CheckExplanations struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Checks     []CheckExplanation `json:"checks"`
}

// CheckExplanation is what is known of a check without a cluster.
type CheckExplanation struct {
	ID            string             `json:"id"`
	Category      string             `json:"category"`
	Name          string             `json:"name"`
	Severity      preflight.Severity `json:"severity"`
	Looks         string             `json:"looksAt"`
	Cause         string             `json:"cause"`
	Remedy        string             `json:"remedy"`
	MayFollowFrom []string           `json:"mayFollowFrom"`
}

// ExplanationsOf is the document about checks.
func ExplanationsOf(checks []preflight.Check) CheckExplanations {
	out := CheckExplanations{APIVersion: APIVersion, Kind: "CheckExplanations", Checks: []CheckExplanation{}}
	for _, c := range checks {
		out.Checks = append(out.Checks, CheckExplanation{
			c.ID, c.Category, c.Name, c.Severity, c.Looks, c.Cause, c.Remedy, append([]string{}, c.After...),
		})
	}
	return out
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
