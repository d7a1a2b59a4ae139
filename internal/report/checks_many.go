package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/splitbench/splitbench/internal/preflight"
)

// CheckListKind is the kind of the document that WriteCheckListJSON writes.
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

// WriteCheckListJSON writes the checks of several splits as one document of kind CheckList.
func WriteCheckListJSON(w io.Writer, all []SplitChecks) error {
	doc := CheckList{APIVersion: APIVersion, Kind: CheckListKind, OK: true, Splits: []SplitChecks{}}
	for _, s := range all {
		s.OK = len(failedChecks(s.Checks)) == 0
		s.Checks, s.Notes = list(s.Checks), list(s.Notes)
		doc.OK = doc.OK && s.OK
		doc.Splits = append(doc.Splits, s)
	}
	return writeJSON(w, mapStrings(doc, func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }))
}

// WriteManyChecks writes for each split what is not green, under its name, and one line for each split in the end.
func WriteManyChecks(w io.Writer, all []SplitChecks, o TextOptions) error {
	p := newPage(o)
	shown := shownSplits(all)
	for _, s := range shown {
		if !s.quiet() {
			p.line(s.name())
			p.line(strings.Repeat("-", min(textWidth(s.name()), p.width)))
			for _, c := range byCause(s.Checks) {
				if c.Status != preflight.OK {
					p.check(c, o.ASCII)
				}
			}
			p.line("")
		}
	}
	bad := 0
	for _, s := range shown {
		if len(failedChecks(s.Checks)) > 0 {
			bad++
		}
		worst := preflight.OK
		for _, c := range s.Checks {
			worst = preflight.Worst(worst, c.Status)
		}
		p.painted(symbol(worst, o.ASCII)+" ", s.name()+": "+checksSummary(s.Checks), statusColor(worst))
	}
	p.line("")
	p.line(fmt.Sprintf("%s, %d of them cannot be measured", plural(int64(len(all)), "split"), bad))
	_, err := w.Write(p.b.Bytes())
	return err
}

func shownSplits(all []SplitChecks) []SplitChecks {
	out := mapStrings(all, forTerminal)
	for i := range out {
		out[i].Checks = shownChecks(all[i].Checks)
	}
	return out
}

func (s SplitChecks) quiet() bool {
	for _, c := range s.Checks {
		if c.Status != preflight.OK {
			return false
		}
	}
	return true
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

// WriteChecksShort writes one line for each finding that is not green and stands for itself: state, id, split, what was seen. What
// follows from it is counted behind it. A split without findings has no line.
func WriteChecksShort(w io.Writer, all []SplitChecks, o TextOptions) error {
	p := newPage(o)
	lines := 0
	for _, s := range shownSplits(all) {
		for _, c := range s.Checks {
			if c.Status == preflight.OK || c.CausedBy != "" {
				continue
			}
			line := c.ID + " "
			if s.name() != "" {
				line += s.name() + ": "
			}
			line += c.Seen
			if c.Seen == "" {
				line += c.Name
			}
			follows := 0
			for _, d := range s.Checks {
				if d.CausedBy == c.ID {
					follows++
				}
			}
			if follows > 0 {
				line += fmt.Sprintf(" (%d more follow from it)", follows)
			}
			lines++
			p.whole(symbol(c.Status, o.ASCII)+" ", line, statusColor(c.Status))
		}
	}
	if lines == 0 {
		p.painted(symbol(preflight.OK, o.ASCII)+" ", "every check is green", statusColor(preflight.OK))
	}
	_, err := w.Write(p.b.Bytes())
	return err
}
