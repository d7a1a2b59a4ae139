package preflight

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Finding is what one check found.
type Finding struct {
	Status Status
	Seen   string // one sentence, for every status
	items  []item // what is not green, with what it is about
}

// item is one thing that is not green. Its tags name the objects it is about, so that a finding can be told from one
// that merely happens at the same time.
type item struct {
	status Status
	tags   []string
}

// The tags of findings that are about one thing for every split. Others are made by aboutBackend, aboutRule and
// aboutCluster.
const (
	aboutSplit  = "split"
	aboutRoot   = "root"
	aboutSource = "source"
	aboutAccess = "access"
	aboutMesh   = "mesh"
)

func aboutBackend(name string) string { return "backend " + name }

// The parts of a backend that break by themselves: a finding about one of them follows from nothing that is wrong with
// the others, and explains only what depends on it.
const (
	partExport  = "export"  // of the original, which the service mirror follows
	partPods    = "pods"    // that are ready
	partPort    = "port"    // of its Service
	partWay     = "way"     // where the mirror leads
	partTrust   = "trust"   // of the mesh there
	partGateway = "gateway" // as its own cluster has it
	partPolicy  = "policy"  // of who is let in
	partMirror  = "mirror"  // that keeps it up to date
)

func aboutPart(part, backend string) string { return part + " of " + backend }

// aboutRule is what may be done with objects of one kind, by its plural.
func aboutRule(resource string) string { return "access to " + resource }

func aboutCluster(name string) string { return "cluster " + name }

// shown is text that may be shown: printable and bounded.
type shown string

// say is fmt.Sprintf that makes every string among its arguments safe to show.
func say(format string, args ...any) shown {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = untrusted.Safe(s)
		}
	}
	return shown(fmt.Sprintf(format, args...))
}

// about is a finding about one thing.
func about(tag string, s Status, seen shown) Finding {
	f := Finding{Status: s, Seen: string(seen)}
	if s != OK {
		f.items = []item{{s, []string{tag}}}
	}
	return f
}

// on turns a function that looks at one thing into a check's.
func on(tag string, f func(View) (Status, shown)) func(View) Finding {
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
	status    Status
	bad, good []shown
	items     []item
}

func newFindings() *findings { return &findings{status: OK} }

// subject is where findings about one object go.
type subject struct {
	*findings
	tags    []string
	backend string // whose parts it may be about; "": none
	mild    bool   // nothing that is wrong with it is a failure
	settled shown  // what the probes show of it: what could not be seen is then not in question; "": nothing
}

func (f *findings) about(tags ...string) subject { return subject{findings: f, tags: tags} }

// backend is the subject of findings about a backend: it, the root where it is the root, and the cluster that its pods
// are in.
func (f *findings) backend(b law.Backend) subject {
	tags := []string{aboutBackend(b.Name)}
	if b.IsRoot {
		tags = append(tags, aboutRoot)
	}
	if b.Mirror != nil {
		tags = append(tags, aboutCluster(b.Mirror.Cluster))
	}
	on := f.about(tags...)
	on.backend = b.Name
	return on
}

// backends iterates over all backends. That there are none is a finding itself.
func (f *findings) backends(s View) iter.Seq2[subject, law.Backend] {
	return func(yield func(subject, law.Backend) bool) {
		if len(s.Backends) == 0 {
			f.about(aboutSplit).add(Unknown, "no backends could be read")
		}
		for _, b := range s.Backends {
			if !b.IsProxy() && !yield(f.backend(b), b) {
				return
			}
		}
	}
}

// only is the subject of findings about parts of the backend and nothing else of it.
func (on subject) only(parts ...string) subject {
	on.tags = nil
	return on.and(parts...)
}

// and is the subject of findings that depend on parts of the backend too.
func (on subject) and(parts ...string) subject {
	on.tags = slices.Clone(on.tags)
	for _, part := range parts {
		on.tags = append(on.tags, aboutPart(part, on.backend))
	}
	return on
}

// add notes one finding, and what it is about unless it is green.
func (on subject) add(s Status, format string, args ...any) {
	seen := say(format, args...)
	if s == Unknown && on.settled != "" {
		s, seen = OK, seen+"; "+on.settled
	}
	if s == OK {
		on.good = append(on.good, seen)
		return
	}
	if on.mild && s == Failed {
		s = Warning
	}
	on.status = Worst(on.status, s)
	on.bad = append(on.bad, seen)
	on.items = append(on.items, item{s, on.tags})
}

func (f *findings) ok(format string, args ...any) { f.about().add(OK, format, args...) }

// seen joins the findings into one sentence, only those that are not green if there are any; none is the sentence where
// there was nothing to see.
func (f *findings) seen(none shown) Finding {
	const most = 5
	all := f.bad
	if f.status == OK {
		all = f.good
	}
	if len(all) == 0 {
		all = []shown{none}
	}
	if len(all) > most {
		all = append(slices.Clone(all[:most]), "and more")
	}
	var out strings.Builder
	for i, s := range all {
		if i > 0 {
			out.WriteString("; ")
		}
		out.WriteString(string(s))
	}
	return Finding{Status: f.status, Seen: out.String(), items: f.items}
}

// causes returns for each check the id of the one that explains its finding, "" where it stands for itself. It is the
// root cause: a cause that has a cause itself is passed over for that one.
func causes(checks []Check, found []Finding) []string {
	index := map[string]int{}
	for i, c := range checks {
		index[c.ID] = i
	}
	cause := func(effect int) (int, bool) {
		for _, id := range checks[effect].After {
			if i, ok := index[id]; ok && explains(found[i], found[effect]) {
				return i, true
			}
		}
		return 0, false
	}
	out := make([]string, len(checks))
	for i := range checks {
		for next, ok := cause(i); ok; next, ok = cause(next) { // After has no circles, as a test holds
			out[i] = checks[next].ID
		}
	}
	return out
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
		if !slices.ContainsFunc(cause.items, func(c item) bool { return c.explains(e) }) {
			return false
		}
	}
	return some
}

// explains reports whether the item is about the same object as another, and as bad.
func (c item) explains(e item) bool {
	return (c.status == Failed || c.status == e.status) &&
		slices.ContainsFunc(c.tags, func(t string) bool { return slices.Contains(e.tags, t) })
}

// word quotes one argument of a command that people paste into a shell. Names of objects are plain, names of contexts
// are whatever someone wrote into a kubeconfig.
func word(s string) string { return untrusted.Shell(untrusted.Safe(s)) }

// grant is the command that grants what a run needs in the client's cluster, or in that of a mirror.
func grant(s View, cluster string) string {
	context := s.Context(cluster)
	words := []string{"splitbench", "rbac", "run"}
	if s.Split.Name != "" {
		words = append(words, s.Split.Asked())
	}
	if context != "" {
		words = append(words, "--context", untrusted.Safe(context))
	}
	words = append(words, "-n", s.Split.Namespace)
	if cluster != "" {
		words = append(words, "--remote")
	} else if from, ok := strings.CutPrefix(s.Source.Workload, "--from "); ok {
		words = append(words, "--from", from)
	}
	if cluster == "" && s.Runners != nil {
		words = append(words, "--runners")
	}
	return untrusted.Shell(words...) + " | " + kubectlIn(context, "", "apply", "-f", "-")
}

// kubectl is a command on the client's cluster in the namespace; its arguments are literal.
func kubectl(s View, namespace string, args ...string) string {
	return kubectlIn(s.Context(""), namespace, args...)
}

func kubectlIn(context, namespace string, args ...string) string {
	cmd := "kubectl"
	if context != "" {
		cmd += " --context " + word(context)
	}
	if namespace != "" {
		cmd += " -n " + word(namespace)
	}
	for _, a := range args {
		cmd += " " + word(a)
	}
	return cmd
}

// touched is an annotation that makes a write of any object. A value that is there already would make none, so it is
// the time of the check.
func touched(s View) string {
	return "splitbench.io/touched=" + s.TakenAt.UTC().Format("20060102t150405z")
}

// mirrors are the backends that are mirrors of Services in other clusters.
func mirrors(s View) []law.Backend {
	return slices.DeleteFunc(slices.Clone(s.Backends), func(b law.Backend) bool { return b.Mirror == nil })
}

// contextHint asks for the context of the mirror's cluster where none is known.
func contextHint(b law.Backend) string {
	if b.Mirror.Context != "" {
		return ""
	}
	return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
}

// anyContextHint is the contextHint of the first mirror that needs one.
func anyContextHint(s View) string {
	for _, b := range mirrors(s) {
		if hint := contextHint(b); hint != "" {
			return hint
		}
	}
	return ""
}

// sourceNamespace is where the source pod is, or would be.
func sourceNamespace(s View) string { return cmp.Or(s.Source.Namespace, s.Split.Namespace) }

// restart is the command that starts the workload of a pod again, with a new proxy.
func restart(s View, p law.Pod) string {
	workload := strings.TrimPrefix(p.Workload, "--from ")
	if kind, _, ok := strings.Cut(workload, "/"); !ok || kind == "pod" || strings.HasPrefix(p.Workload, "-l") {
		workload = "deploy/NAME"
	}
	return kubectl(s, p.Namespace, "rollout", "restart", workload)
}
