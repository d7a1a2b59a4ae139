package preflight

import "slices"

// Finding is what one check found.
type Finding struct {
	Status Status
	Seen   string // one sentence, for every status
	items  []item // what is not green, with what it is about
}

// item is one thing that is not green. Its tags name the objects it is about, so that a finding can be told from one that
// merely happens at the same time.
type item struct {
	status Status
	tags   []string
}

// The tags of findings that are about one thing for every split. Others are made by aboutBackend, aboutRule and aboutCluster.
const (
	aboutSplit  = "split"
	aboutRoot   = "root"
	aboutSource = "source"
	aboutAccess = "access"
	aboutMesh   = "mesh"
)

func aboutBackend(name string) string { return "backend " + name }

// aboutRule is what may be done with objects of one kind, by its plural.
func aboutRule(resource string) string { return "access to " + resource }

func aboutCluster(name string) string { return "cluster " + name }

// about is a finding about one thing.
func about(tag string, s Status, seen string) Finding {
	f := Finding{Status: s, Seen: seen}
	if s != OK {
		f.items = []item{{s, []string{tag}}}
	}
	return f
}

// on turns a function that looks at one thing into a check's.
func on(tag string, f func(View) (Status, string)) func(View) Finding {
	return func(v View) Finding {
		s, seen := f(v)
		return about(tag, s, seen)
	}
}

// Worst is the state of a check over several objects: a failure outweighs what could not be seen, that a warning.
func Worst(a, b Status) Status {
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
	items  []item
	mild   bool // what is added next fails nothing
}

func newFindings() *findings { return &findings{status: OK} }

func (f *findings) ok(sentence string) { f.good = append(f.good, sentence) }

// add notes what is not green and what it is about.
func (f *findings) add(s Status, sentence string, tags ...string) {
	if f.mild && s == Failed {
		s = Warning
	}
	f.status = Worst(f.status, s)
	f.bad = append(f.bad, sentence)
	f.items = append(f.items, item{s, tags})
}

// seen is the findings as one sentence, what is wrong first and alone; none is the sentence where there was nothing to see.
func (f *findings) seen(none string) Finding {
	list := f.bad
	if f.status == OK {
		list = append(f.bad, f.good...)
	}
	out := Finding{Status: f.status, Seen: none, items: f.items}
	const most = 5
	for i, s := range list {
		switch {
		case i == 0:
			out.Seen = s
		case i == most:
			out.Seen += "; and more"
			return out
		default:
			out.Seen += "; " + s
		}
	}
	return out
}

// causes says for each check which other one explains its finding, "" where it stands for itself. What is said is the root: a
// cause that has a cause itself is passed over for that one.
func causes(checks []Check, found []Finding) []string {
	index := map[string]int{}
	for i, c := range checks {
		index[c.ID] = i
	}
	out := make([]string, len(checks))
	for i := range checks {
		at := i
		for range checks { // After has no circles, and this ends where it had one
			next := directCause(checks[at], found, at, index)
			if next < 0 {
				break
			}
			at = next
		}
		if at != i {
			out[i] = checks[at].ID
		}
	}
	return out
}

func directCause(c Check, found []Finding, at int, index map[string]int) int {
	for _, id := range c.After {
		if j, ok := index[id]; ok && explains(found[j], found[at]) {
			return j
		}
	}
	return -1
}

// explains reports whether every one of the worst items of effect is about an object that cause found to be as bad.
func explains(cause, effect Finding) bool {
	if cause.Status == OK || effect.Status == OK {
		return false
	}
	some := false
	for _, e := range effect.items {
		if e.status != effect.Status {
			continue
		}
		some = true
		if !slices.ContainsFunc(cause.items, func(c item) bool {
			return (c.status == Failed || c.status == e.status) && slices.ContainsFunc(c.tags, func(t string) bool { return slices.Contains(e.tags, t) })
		}) {
			return false
		}
	}
	return some
}
