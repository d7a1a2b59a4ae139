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
	"maps"
	"slices"

	"github.com/splitbench/splitbench/internal/law"
)

// View is what checks look at: what the API servers say, and what the source pod sees where it was asked.
type View struct {
	law.Snapshot
	Probed  *Probed // nil: the pod was not asked, and what only it can tell is unknown
	OffMesh bool    // the source pod is meant to be outside the mesh: the control experiment
}

// Check is one question to a View. What it is called, and what may explain it, stands in checks.txt; what it does in the
// file of its category, by its id.
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
		accessChecks(), backendChecks(), clientChecks(), meshChecks(), mirrorChecks(), splitChecks(),
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
