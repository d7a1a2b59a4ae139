package mesh

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/nearest"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Query says which split is meant and where the requests come from.
type Query struct {
	Namespace string
	// "ts/podinfo", "httproute/podinfo", or a root Service or a split by its bare name; "": the only one there is
	Split     string
	From      string // "deploy/frontend", "sts/…", "ds/…", "rs/…", "pod/NAME" or a bare pod name; "": no source pod
	Selector  string // label selector that fits one pod, in place of From
	Container string // container to run in; "": see Pod.ContainerWhy
	Port      int32  // port of the root Service; 0: its first TCP port
	Through   string // "svc/frontend": the Service whose pods draw the backend; "": the source pod draws
	// FromNamespace is the namespace of the source pod where it is not Namespace. It decides which ServiceProfile is
	// obeyed.
	FromNamespace string
	Probe         law.Probe // the request that the law is asked for; its zero value is GET / of the root Service
	// Use says whether Teller is asked for the law; "": what the objects say is all there is.
	Use    law.Use
	Teller Teller
	// Told is what was told already, in place of Teller's; nil: nothing was.
	Told *law.Told
	// SplitOnly leaves out Snapshot.Facts: for a second look, which asks whether what the verdict rests on has changed.
	SplitOnly bool
	// Pods is how many pods of what From or Selector names send: at most law.MaxPods; AllPods: every ready one; 0: one.
	Pods int
	// Runners says that pods of our own are going to stand in for the source, which needs more permissions.
	Runners bool
	others  []string // names of the source pods after the first, of a query that is pinned
}

// Pinned is the query that finds what s found again: same split, pod and container, whatever was created since. If the
// pod is gone Discover then says so with KindNotFound.
func (q Query) Pinned(s law.Snapshot) Query {
	if s.Split.Found {
		q.Split = s.Split.Short()
	}
	if s.Source.Name != "" {
		q.From, q.Selector, q.Container = "pod/"+s.Source.Name, "", s.Source.Container
	}
	q.Port, q.SplitOnly = s.Port, true
	q.Pods, q.others = 0, nil
	for _, p := range s.Others {
		q.others = append(q.others, p.Name)
	}
	return q
}

// target is a Query with its names taken apart.
type target struct {
	Query
	splitName string   // "" where Split was empty
	splitKind law.Path // of KIND/NAME; "" where a bare name was given, or that of a Service
	fromKind  workKind // "deployment", "statefulset", "daemonset", "replicaset", "pod" or none
	fromName  string
	selector  labels.Selector
	through   string // Service name
	clientNS  string // namespace of the pods that draw the backend
}

// parse checks everything that can be checked without asking a server.
func (q Query) parse() (target, error) {
	t := target{Query: q}
	if q.FromNamespace == "" {
		t.FromNamespace = q.Namespace
	}
	for _, ns := range []string{q.Namespace, t.FromNamespace} {
		if msgs := validation.IsDNS1123Label(ns); len(msgs) > 0 {
			return t, usage("read", fmt.Sprintf("--namespace %q", untrusted.Safe(ns)), "not a namespace's name",
				"name one with -n")
		}
	}
	for _, step := range []func() error{t.parseSplit, t.parseFrom, t.parseThrough} {
		if err := step(); err != nil {
			return t, err
		}
	}
	t.clientNS = t.FromNamespace
	if t.through != "" {
		t.clientNS = q.Namespace
	}
	switch {
	case q.Pods != AllPods && (q.Pods < 0 || q.Pods > law.MaxPods):
		return t, usage("read", fmt.Sprintf("--pods %d", q.Pods), "no such number of pods",
			fmt.Sprintf("want 1 to %d, or all", law.MaxPods))
	case q.Port < 0 || q.Port > 65535:
		return t, usage("read", fmt.Sprintf("port %d", q.Port), "not a port", "name one of 1 to 65535")
	}
	return t, nil
}

// splitForms is what a SPLIT may look like.
const splitForms = "write ts/NAME, httproute/NAME, grpcroute/NAME, vs/NAME, traefikservice/NAME, or the name of the " +
	"root Service"

// meantKind asks whether another kind of the same name was meant; "" where none is near.
func meantKind(kind, name string, kinds []string) string {
	if n := nearest.To(kind, kinds); n != "" {
		return "did you mean " + untrusted.Safe(n+"/"+name) + "? "
	}
	return ""
}

// workKind is a kind of objects that pods come from, by its name and short name.
type workKind struct{ name, short, group string }

// kindOf is the kind that kubectl's users type before the slash.
func kindOf(s string) workKind {
	s = strings.ToLower(s)
	for _, k := range []workKind{
		{"service", "svc", ""},
		{"pod", "po", ""},
		{"deployment", "deploy", ".apps"},
		{"statefulset", "sts", ".apps"},
		{"daemonset", "ds", ".apps"},
		{"replicaset", "rs", ".apps"},
	} {
		if s == k.short || strings.TrimSuffix(strings.TrimSuffix(s, k.group), "s") == k.name {
			return k
		}
	}
	return workKind{}
}

func (t *target) parseSplit() error {
	if t.Split == "" {
		return nil
	}
	object := fmt.Sprintf("split %q", untrusted.Safe(t.Split))
	kind, name, found := strings.Cut(t.Split, "/")
	if !found {
		t.splitName = t.Split
	} else {
		t.splitName = name
		if t.splitKind = law.KindOf(kind); t.splitKind == "" && kindOf(kind).name != "service" {
			return usage("read", object, "not a kind of split", meantKind(kind, name, law.Shorts())+splitForms)
		}
	}
	if len(validation.IsDNS1123Subdomain(t.splitName)) > 0 {
		return usage("read", object, "not an object's name", splitForms)
	}
	return nil
}

func (t *target) parseFrom() error {
	if t.From != "" && t.Selector != "" {
		return usage("find source pod", "--from and -l", "both are given", "name the source pod by one of them")
	}
	if t.Selector != "" {
		sel, err := labels.Parse(t.Selector)
		if err != nil || sel.Empty() {
			return usage("read", fmt.Sprintf("-l %q", untrusted.Safe(t.Selector)), "not a label selector",
				"write -l app=frontend")
		}
		t.selector = sel
		return nil
	}
	if t.From == "" {
		return nil
	}
	object := fmt.Sprintf("--from %q", untrusted.Safe(t.From))
	kind, name, found := strings.Cut(t.From, "/")
	if !found {
		kind, name = "pod", t.From
	}
	t.fromKind, t.fromName = kindOf(kind), name
	if t.fromKind.name == "" || t.fromKind.name == "service" {
		return usage("read", object, "no source of this kind", meantKind(kind, name, []string{
			"deploy", "deployment", "sts",
			"statefulset", "ds", "daemonset", "rs", "pod",
		})+"write deploy/NAME, sts/NAME, ds/NAME, rs/NAME or pod/NAME")
	}
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return usage("read", object, "not an object's name", "write deploy/NAME or pod/NAME")
	}
	return nil
}

func (t *target) parseThrough() error {
	if t.Through == "" {
		return nil
	}
	object := fmt.Sprintf("--through %q", untrusted.Safe(t.Through))
	kind, name, found := strings.Cut(t.Through, "/")
	if !found {
		kind, name = "svc", t.Through
	}
	if kindOf(kind).name != "service" || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return usage("read", object, "not a Service", "write svc/NAME")
	}
	t.through = name
	return nil
}
