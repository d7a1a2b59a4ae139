package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TrafficSplits are read unstructured. The SMI adaptor's CRD converts nothing between versions, so a weight stored as the
// string "500m" is that string in v1alpha2 too, where every typed client fails on it, and on the whole list with it.

func trafficSplits() customKind {
	return customKind{group: "split.smi-spec.io", plural: "trafficsplits", known: []string{
		"v1alpha4", "v1alpha3",
		"v1alpha2", "v1alpha1",
	}}
}

// Bounds of one object. An API server lets an object be 1.5 MB; no split that means anything comes near these.
const (
	maxBackends = 1000
	maxYAML     = 256 << 10
)

// Splits names the splits of a namespace as a command line does, sorted: TrafficSplits as "ts/NAME", routes that are bound
// to a Service by their kinds; none where the API server has none of them.
func Splits(ctx context.Context, c Client, namespace string) ([]string, error) {
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, apiError(c, "list", "API groups", err)
	}
	var names []string
	items, err := c.list(ctx, trafficSplits(), trafficSplits().servedBy(groups), namespace)
	if err != nil && !errors.Is(err, errNotServed) {
		return nil, apiError(c, "list", "TrafficSplits in namespace "+Safe(namespace), err)
	}
	for _, item := range items {
		names = append(names, shortName(PathTrafficSplit, item.GetName()))
	}
	for _, kind := range routeKinds() {
		items, err := c.list(ctx, kind, kind.servedBy(groups), namespace)
		if err != nil { // candidates: what may not be read is not offered
			continue
		}
		for i := range items {
			if r := readRoute(&items[i]); len(r.parentsOf()) > 0 {
				names = append(names, shortName(r.kind, r.ref.Name))
			}
		}
	}
	sort.Strings(names)
	return slices.Compact(names), nil
}

// pickSplit finds the split that is meant among those of the namespace. A bare name is the root Service's first, and the
// split's own only where no split has such a root.
func pickSplit(t target, items []unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var byName, byRoot []*unstructured.Unstructured
	for i := range items {
		if items[i].GetName() == t.splitName {
			byName = append(byName, &items[i])
		}
		if rootOf(&items[i]) == t.splitName {
			byRoot = append(byRoot, &items[i])
		}
	}
	fit := byRoot
	switch {
	case t.splitName == "":
		for i := range items {
			fit = append(fit, &items[i])
		}
	case t.splitKind != "", len(byRoot) == 0:
		fit = byName
	}
	switch len(fit) {
	case 0:
		return nil, nil
	case 1:
		return fit[0], nil
	}
	object := fmt.Sprintf("%q in namespace %s", t.splitName, t.Namespace)
	if t.splitName == "" {
		object = "in namespace " + t.Namespace
	}
	return nil, &Error{
		Kind: KindAmbiguous, Op: "find split", Object: object,
		Cause: fmt.Errorf("%d TrafficSplits fit", len(fit)), Hint: "name one; " + candidates("TrafficSplits", splitNames(fit)),
	}
}

func splitNames(items []*unstructured.Unstructured) []string {
	var names []string
	for _, i := range items {
		names = append(names, "ts/"+i.GetName())
	}
	return names
}

func rootOf(u *unstructured.Unstructured) string {
	s, _, _ := unstructured.NestedString(u.Object, "spec", "service")
	return s
}

// readSplit takes one TrafficSplit apart. Weights that cannot be used are told in WeightErr; the leaves are returned as far
// as they can be used.
func readSplit(u *unstructured.Unstructured) (Split, []leafWeight) {
	s := Split{
		Kind: "TrafficSplit", APIVersion: u.GetAPIVersion(), Namespace: u.GetNamespace(), Name: u.GetName(),
		UID: string(u.GetUID()), ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
		Found: true, Root: rootOf(u),
	}
	object := "TrafficSplit " + s.Namespace + "/" + s.Name
	s.LastWriter, s.LastWritten = lastWriter(u)
	s.Drivers = drivers(u)
	if matches, found, err := unstructured.NestedFieldNoCopy(u.Object, "spec", "matches"); found && err == nil {
		list, ok := matches.([]any)
		s.Matches = !ok || len(list) > 0
	}
	s.YAML = yamlOf(u)
	if s.Root == "" {
		s.WeightErr = &WeightError{Object: object, Field: "spec.service", Why: "names no root Service"}
	}
	leaves, declared, weightErr := readLeaves(u, object, "backends", "service")
	s.Declared = declared
	if s.WeightErr == nil {
		s.WeightErr = weightErr
	}
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
		declared = append(declared, Declared{Service: leaf, Raw: cut(weight, 80)})
		n, why := parseWeight(weight)
		if why != "" {
			fail(field+".weight", weight, why)
			continue
		}
		leaves = append(leaves, leafWeight{leaf: leaf, tenThousandth: n})
	}
	return leaves, declared, first
}

// lastWriter is who wrote the object last by its managedFields, status aside.
func lastWriter(u *unstructured.Unstructured) (string, time.Time) {
	var who string
	var when time.Time
	for _, f := range u.GetManagedFields() {
		if f.Subresource == "status" || f.Time == nil || f.Time.Time.Before(when) {
			continue
		}
		who, when = cut(Safe(f.Manager), 128), f.Time.UTC()
	}
	return who, when
}
