// Package preflight judges, before the first request, whether a split can be measured at all.
//
// A check is data: an id, a name that says what holds when it is green, how bad its failure is, a function over a View,
// a hint with the command that helps, and the words that explain it offline. All checks run every time and none stops
// another, because the first finding is often a consequence of the third; Result.CausedBy says which one is the root
// cause. The package reads no cluster and changes nothing. It sends nothing either, unless it is given a Prober.
//
// Invariant: no check is green about something it has not seen. What could not be read is Unknown, never OK.
//
// Ids up to SB030 are the failure modes of a Linkerd split by rank; those above are the preconditions of any run.
package preflight

import (
	"bufio"
	_ "embed"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// View is what checks look at: what the API servers say, and what the source pod sees where it was asked.
type View struct {
	law.Snapshot
	Probed  *Probed // nil: the pod was not asked, and what only it can tell is unknown
	OffMesh bool    // the source pod is meant to be outside the mesh: the control experiment
}

// Check is one question to a View. What it is called, and what may explain it, stands in checks.txt; what it does in
// the file of its category, by its id.
type Check struct {
	ID       string // stable, e.g. "SB002"
	Category string
	Name     string // what holds when it is green
	Severity Severity
	When     func(View) bool // whether it is asked at all; nil: always
	// After are the checks whose findings explain one of this check: a missing mirror Service is why its endpoints could
	// not be seen. Only findings about the same object count.
	After []string
	Func  func(View) Finding
	Apply func(View) string // YAML that fixes it; may be nil
	Hint  func(View) string // what to do when it is not green, with the exact command
	Explanation
}

// Checks are all checks, by category and id.
func Checks() []Check {
	all, does := described(), functions()
	for i := range all {
		c, do := &all[i], does[all[i].ID]
		c.When, c.Func, c.Apply, c.Hint = do.When, do.Func, do.Apply, do.Hint
	}
	return all
}

// functions are what the checks do, by id.
func functions() map[string]Check {
	out := map[string]Check{}
	for _, checks := range []map[string]Check{
		accessChecks(), backendChecks(), clientChecks(), meshChecks(), mirrorChecks(), runnerChecks(), splitChecks(),
	} {
		maps.Copy(out, checks)
	}
	return out
}

// Run asks every check of the View and gives the results by category and id.
func Run(v View) []Result {
	checks := slices.DeleteFunc(Checks(), func(c Check) bool { return c.When != nil && !c.When(v) })
	out := make([]Result, 0, len(checks))
	found := make([]Finding, 0, len(checks))
	for _, c := range checks {
		f := c.Func(v)
		r := Result{ID: c.ID, Category: c.Category, Name: c.Name, Severity: c.Severity, Status: f.Status, Seen: f.Seen}
		if r.Status != OK && c.Hint != nil {
			r.Hint = c.Hint(v)
		}
		if r.Status != OK && c.Apply != nil {
			r.Apply = c.Apply(v)
		}
		out, found = append(out, r), append(found, f)
	}
	for i, cause := range causes(checks, found) {
		out[i].CausedBy = cause
	}
	return out
}

// Status is the state of a check after it ran.
type Status string

// The states. Unknown is never green: what could not be seen has not been shown to work.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failed  Status = "failed"
	Unknown Status = "unknown"
)

// Severity says what a failed check does to a run.
type Severity string

// The severities.
const (
	Fatal Severity = "fatal" // the split cannot be measured, or what is measured is not what is declared
	Warn  Severity = "warn"  // the result needs the note
)

// Result is one check as it ended: plain data, rendered and stored as it is.
type Result struct {
	ID       string   `json:"id"`       // e.g. "SB002"
	Category string   `json:"category"` // e.g. "client", "split", "backends", "mirror", "access"
	Name     string   `json:"name"`     // what holds when it is green, e.g. "client pod is meshed"
	Severity Severity `json:"severity"`
	Status   Status   `json:"status"`
	Seen     string   `json:"seen"`            // what was seen, one sentence
	Hint     string   `json:"hint,omitempty"`  // what to do, with the command; empty when ok
	Apply    string   `json:"apply,omitempty"` // YAML that fixes it, where no short kubectl command does
	// CausedBy is the id of the check whose finding explains this one; empty: it is a root cause. Fix that one first.
	CausedBy string `json:"causedBy,omitempty"`
	// Waived is the user's word to go on in spite of it; empty: there is none.
	Waived string `json:"waived,omitempty"`
}

// Waive lets the findings of the checks with these ids stand without forbidding a verdict, and with each what follows
// from it. what is how the user said so. Only failures are waived: the rest forbids nothing. It returns the ids that
// name no check.
func Waive(results []Result, ids []string, what string) (unknown []string) {
	for i := range results {
		r := &results[i]
		if waived := func(id string) bool { return id != "" && slices.Contains(ids, id) }; r.Failure() &&
			(waived(r.ID) || waived(r.CausedBy)) {
			r.Waived = what
		}
	}
	for _, id := range ids {
		if _, exists := Explain(id); !exists && !slices.ContainsFunc(results, func(r Result) bool { return r.ID == id }) {
			unknown = append(unknown, id)
		}
	}
	return unknown
}

// Failure reports whether the result forbids a verdict.
func (r Result) Failure() bool { return r.Status == Failed && r.Severity == Fatal && r.Waived == "" }

// Explanation is what can be said of a check without a cluster.
type Explanation struct {
	Looks  string // which objects it looks at, and what it asks the pod with --probe
	Cause  string // what is wrong when it is not green, and what follows
	Remedy string // what to do about it, with the command in its general form
}

// Explain returns the check with this id, and false if there is none.
func Explain(id string) (Check, bool) {
	for _, c := range Checks() {
		if c.ID == id {
			return c, true
		}
	}
	return Check{}, false
}

// checksText has one block of fields for each check, in the order in which they are shown. What it states about Linkerd
// holds for its proxy and control plane as of 2026, and was read in their code or documents.
//
//go:embed checks.txt
var checksText string

// described are the checks as the text has them, without what they do. A line that begins with a space continues the
// field before it.
func described() []Check {
	var out []Check
	for r := textproto.NewReader(bufio.NewReader(strings.NewReader(checksText))); ; {
		h, err := r.ReadMIMEHeader()
		if h.Get("ID") != "" {
			out = append(out, Check{
				ID: h.Get("ID"), Category: h.Get("Category"), Name: h.Get("Name"), Severity: Severity(h.Get("Severity")),
				After:       strings.FieldsFunc(h.Get("After"), func(r rune) bool { return r == ',' || r == ' ' }),
				Explanation: Explanation{Looks: h.Get("Looks"), Cause: h.Get("Cause"), Remedy: h.Get("Remedy")},
			})
		}
		if err != nil { // the end of the text: every check's words are held by docs/checks.md
			return out
		}
	}
}
