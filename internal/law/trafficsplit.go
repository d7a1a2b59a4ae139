package law

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// TrafficSplits are read unstructured. The SMI adaptor's CRD converts nothing between versions, so a weight stored as
// the string "500m" is that string in v1alpha2 too, where every typed client fails on it, and on the whole list with
// it.

// PathTrafficSplit is that of a split which the proxy's control plane reads itself: no ServiceProfile stands in
// between.
const PathTrafficSplit Path = "TrafficSplit"

func trafficSplit() Kind {
	return Kind{
		Path: PathTrafficSplit, Short: "ts", Resources: []Resource{TrafficSplits()}, For: "the split", Needed: true,
		Copied: true, Unserved: "the API server serves no TrafficSplits (split.smi-spec.io)",
		offers: func(*unstructured.Unstructured) bool { return true },
		read:   func(o *Objects, u *unstructured.Unstructured) { o.TrafficSplits = append(o.TrafficSplits, *u) },
		splits: func(c *Case) []candidate {
			var out []candidate
			for _, u := range c.Objects.TrafficSplits {
				out = append(out, candidate{ShortName(PathTrafficSplit, u.GetName()), RootOf(&u)})
			}
			return out
		},
		pick: (*Case).pickTrafficSplit,
	}
}

// TrafficSplits are the splits of SMI.
func TrafficSplits() Resource {
	return Resource{"split.smi-spec.io", "trafficsplits", []string{"v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"}}
}

// Bounds of one object. An API server lets an object be 1.5 MB; no split that means anything comes near these.
const (
	maxBackends = 1000
	maxYAML     = 256 << 10
)

// pickTrafficSplit makes the TrafficSplit that is meant the split of the Snapshot.
func (c *Case) pickTrafficSplit() (bool, error) {
	u, err := PickTrafficSplit(c.Objects.TrafficSplits, c.Namespace, c.Name, c.Kind != "")
	if u == nil {
		return false, err
	}
	c.Split, c.leaves = readSplit(u)
	c.root = serviceRef{namespace: c.Namespace, name: c.Split.Root}
	if c.Split.Matches {
		c.note("TrafficSplit %s has spec.matches; Linkerd's SMI adaptor ignores it and splits every request", c.Split.Name)
	}
	return true, nil
}

// PickTrafficSplit finds the split that is meant among those of the namespace, nil if there is none. A bare name is the
// root Service's first, and the split's own only where no split has such a root; with kindNamed it is the split's own.
// Its error is an *Unclear.
func PickTrafficSplit(
	items []unstructured.Unstructured, namespace, name string, kindNamed bool,
) (*unstructured.Unstructured, error) {
	var byName, byRoot, all []*unstructured.Unstructured
	for i := range items {
		u := &items[i]
		all = append(all, u)
		if u.GetName() == name {
			byName = append(byName, u)
		}
		if RootOf(u) == name {
			byRoot = append(byRoot, u)
		}
	}
	fit := byRoot
	switch {
	case name == "":
		fit = all
	case kindNamed, len(byRoot) == 0:
		fit = byName
	}
	switch len(fit) {
	case 0:
		return nil, nil
	case 1:
		return fit[0], nil
	}
	object := fmt.Sprintf("%q in namespace %s", name, namespace)
	if name == "" {
		object = "in namespace " + namespace
	}
	var names []string
	for _, u := range fit {
		names = append(names, ShortName(PathTrafficSplit, u.GetName()))
	}
	return nil, &Unclear{
		Several: true, Object: object,
		Cause: fmt.Sprintf("%d TrafficSplits fit", len(fit)), Hint: "name one; " + Candidates("", "TrafficSplits", names),
	}
}

// RootOf is the name of the root Service of a TrafficSplit, "" where it names none.
func RootOf(u *unstructured.Unstructured) string {
	s, _, _ := unstructured.NestedString(u.Object, "spec", "service")
	return s
}

// readSplit takes one TrafficSplit apart. Weights that cannot be used are told in WeightErr; the leaves are returned as
// far as they can be used.
func readSplit(u *unstructured.Unstructured) (Split, []leafWeight) {
	s := splitOf(u)
	s.Kind, s.Root = string(PathTrafficSplit), RootOf(u)
	object := s.Object().String()
	if matches, found, err := unstructured.NestedFieldNoCopy(u.Object, "spec", "matches"); found && err == nil {
		list, ok := matches.([]any)
		s.Matches = !ok || len(list) > 0
	}
	if s.Root == "" {
		s.WeightErr = &WeightError{Object: object, Field: "spec.service", Why: "names no root Service"}
	}
	leaves, declared, weightErr := readLeaves(u, object, "backends", "service")
	s.Declared, s.WeightErr = declared, cmp.Or(s.WeightErr, weightErr)
	return s, leaves
}

// readLeaves reads a list of {name, weight} entries below spec, as TrafficSplits and ServiceProfiles have them.
func readLeaves(u *unstructured.Unstructured, object, list, name string) ([]leafWeight, []Declared, *WeightError) {
	raw, found, err := unstructured.NestedFieldNoCopy(u.Object, "spec", list)
	if !found || raw == nil {
		return nil, nil, nil
	}
	entries, ok := raw.([]any)
	if err != nil || !ok {
		return nil, nil, &WeightError{Object: object, Field: "spec." + list, Raw: fmt.Sprintf("%T", raw), Why: "not a list"}
	}
	if len(entries) > maxBackends {
		return nil, nil, &WeightError{
			Object: object, Field: "spec." + list, Raw: fmt.Sprint(len(entries)),
			Why: fmt.Sprintf("more than %d entries", maxBackends),
		}
	}
	var first *WeightError
	var leaves []leafWeight
	var declared []Declared
	fail := func(field, raw, why string) {
		if first == nil {
			first = &WeightError{Object: object, Field: field, Raw: raw, Why: why}
		}
	}
	for i, e := range entries {
		field := fmt.Sprintf("spec.%s[%d]", list, i)
		entry, ok := e.(map[string]any)
		if !ok {
			fail(field, fmt.Sprintf("%T", e), "not an object")
			continue
		}
		leaf, _ := entry[name].(string)
		if leaf == "" || len(leaf) > 253 {
			fail(field+"."+name, rawWeight(entry[name]), "not the name of a Service")
			continue
		}
		weight := rawWeight(entry["weight"])
		declared = append(declared, Declared{Service: leaf, Raw: untrusted.Cut(weight, 80)})
		n, why := parseWeight(weight)
		usable := why == ""
		if !usable {
			fail(field+".weight", weight, why)
			n, usable = wrapped(weight)
		}
		if usable {
			leaves = append(leaves, leafWeight{leaf: leaf, tenThousandth: n})
		}
	}
	return leaves, declared, first
}
