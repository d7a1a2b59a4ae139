package report

import (
	"cmp"
	"fmt"

	"github.com/splitbench/splitbench/internal/preflight"
)

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
