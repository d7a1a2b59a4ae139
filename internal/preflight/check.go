// Package preflight judges, before the first request, whether a split can be measured at all.
//
// A check is data: an id, a name that says what holds when it is green, how bad its failure is, a function over a Snapshot
// and a hint with the command that helps. All checks run every time and none stops another, because the first finding is
// often a consequence of the third. The package sends nothing, reads no cluster, and mends nothing.
//
// Invariant: no check is green about something it has not seen. What could not be read is Unknown, never OK.
//
// Ids up to SB030 are the failure modes of a Linkerd split by rank; those above are the preconditions of any run.
package preflight

import (
	"sort"

	"github.com/splitbench/splitbench/internal/mesh"
)

// Check is one question to a Snapshot.
type Check struct {
	ID       string // stable, e.g. "SB002"
	Category string // one of Categories
	Name     string // what holds when it is green
	Severity Severity
	Func     func(mesh.Snapshot) (status Status, seen string) // seen is one sentence, for every status
	Hint     func(mesh.Snapshot) string                       // what to do when it is not green, with the exact command
}

// Categories are the groups of checks in the order in which they are shown: each rests on those before it.
func Categories() []string {
	return []string{"clusters", "access", "client", "split", "backends", "mirror"}
}

// Checks are all checks, by category and id.
func Checks() []Check {
	var all []Check
	for _, group := range [][]Check{
		clusterChecks(), accessChecks(), clientChecks(), splitChecks(), backendChecks(),
		mirrorChecks(),
	} {
		all = append(all, group...)
	}
	rank := map[string]int{}
	for i, c := range Categories() {
		rank[c] = i
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].Category != all[j].Category {
			return rank[all[i].Category] < rank[all[j].Category]
		}
		return all[i].ID < all[j].ID
	})
	return all
}

// Run asks every check of the Snapshot and gives the results by category and id.
func Run(s mesh.Snapshot) []Result {
	checks := Checks()
	out := make([]Result, 0, len(checks))
	for _, c := range checks {
		r := Result{ID: c.ID, Category: c.Category, Name: c.Name, Severity: c.Severity}
		r.Status, r.Seen = c.Func(s)
		if r.Status != OK && c.Hint != nil {
			r.Hint = c.Hint(s)
		}
		out = append(out, r)
	}
	return out
}

// worst is the state of a check over several objects: a failure outweighs what could not be seen, that a warning.
func worst(a, b Status) Status {
	rank := map[Status]int{OK: 0, Warning: 1, Unknown: 2, Failed: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// findings collects what a check saw of several objects.
type findings struct {
	status Status
	bad    []string
	good   []string
	mild   bool // what is added next fails nothing
}

func newFindings() *findings { return &findings{status: OK} }

func (f *findings) ok(sentence string) { f.good = append(f.good, sentence) }

func (f *findings) add(s Status, sentence string) {
	if f.mild && s == Failed {
		s = Warning
	}
	f.status = worst(f.status, s)
	f.bad = append(f.bad, sentence)
}

// seen is the findings as one sentence, what is wrong first and alone; none is the sentence where there was nothing to see.
func (f *findings) seen(none string) (Status, string) {
	list := f.bad
	if f.status == OK {
		list = append(f.bad, f.good...)
	}
	if len(list) == 0 {
		return f.status, none
	}
	const most = 5
	text := list[0]
	for i, s := range list[1:] {
		if i+1 == most {
			return f.status, text + "; and more"
		}
		text += "; " + s
	}
	return f.status, text
}
