package law

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Conversion is a TrafficSplit as an HTTPRoute of the same law.
type Conversion struct {
	Route    map[string]any // the HTTPRoute, ready to be applied
	Law      []Weight       // of the route, by backend; the split's own but for what Warnings tell
	Warnings []string       // what differs all the same, one sentence each; those of this split first
}

// YAML is the route ready to be applied, below comments: head, and the warnings as a list.
func (c Conversion) YAML(head string) ([]byte, error) {
	b, err := yaml.Marshal(c.Route)
	if err != nil {
		return nil, err
	}
	text := "# " + untrusted.Printable(head) + "\n"
	for _, w := range c.Warnings {
		text += "# - " + untrusted.Printable(w) + ".\n"
	}
	return append([]byte(text), b...), nil
}

// maxRefs is how many backendRefs the Gateway API takes in one rule.
const maxRefs = 16

// Sources are what a conversion is made from: the split, and the ports of its root Service (nil: not known).
type Sources struct {
	Split   *unstructured.Unstructured
	Ports   []Port
	Version string // of the HTTPRoute API, e.g. "gateway.networking.k8s.io/v1"
}

// Name is the split as sentences name it.
func (s Sources) Name() string { return refOf(s.Split).String() }

// Convert makes the HTTPRoute that splits requests to one port of the root Service as the TrafficSplit does on Linkerd.
// port 0 is the root's first TCP port. Errors: weights that cannot be used, a port that is not known, names that cannot
// be a Service's, more backends than a rule takes.
func Convert(s Sources, port int32) (Conversion, error) {
	split, leaves := readSplit(s.Split)
	if split.WeightErr != nil {
		return Conversion{}, split.WeightErr
	}
	first := int32(0)
	if len(s.Ports) > 0 {
		first = s.Ports[0].Port
	}
	name, port := split.Name, cmp.Or(port, first)
	if first != 0 && port != first {
		name = fmt.Sprintf("%s-%d", split.Name, port)
	}
	out, err := s.convert(split, leaves, name, port)
	if err != nil {
		return Conversion{}, fmt.Errorf("%s: %w", split.ObjectRef, err)
	}
	return out, nil
}

func (s Sources) convert(split Split, leaves []leafWeight, name string, port int32) (Conversion, error) {
	var out Conversion
	ws, allZero, err := effective(split.Root, leaves)
	if err != nil {
		return out, err
	}
	if port <= 0 || port > math.MaxUint16 {
		return out, fmt.Errorf("the ports of root Service %s are not known, and a backendRef needs one; name it with --port",
			untrusted.Safe(split.Root))
	}
	refTo := func(service string) (map[string]any, error) {
		ref, note, err := refTo(service, split.Namespace, port)
		if note != "" {
			out.Warnings = append(out.Warnings, note)
		}
		return ref, err
	}
	var lost float64
	out.Law, lost = withinLimit(routeWeights(ws, allZero))
	var refs []any
	for _, w := range out.Law {
		ref, err := refTo(w.Service)
		if err != nil {
			return out, err
		}
		ref["weight"] = w.Weight
		refs = append(refs, ref)
	}
	if len(refs) > maxRefs {
		return out, fmt.Errorf("%d backends; a rule of an HTTPRoute takes %d at most", len(refs), maxRefs)
	}
	parent, err := refTo(split.Root)
	if err != nil {
		return out, err
	}
	parent["group"], parent["kind"] = "", "Service"
	if strings.HasPrefix(s.Version, "policy.linkerd.io/") {
		parent["group"] = "core"
	}
	meta := map[string]any{"name": name}
	if split.Namespace != "" {
		meta["namespace"] = split.Namespace
	}
	out.Route = map[string]any{
		"apiVersion": s.Version, "kind": "HTTPRoute", "metadata": meta,
		"spec": map[string]any{"parentRefs": []any{parent}, "rules": []any{map[string]any{"backendRefs": refs}}},
	}
	out.Warnings = append(out.Warnings, s.warnings(split, port, allZero, lost)...)
	return out, nil
}

// routeWeights are the weights that the route needs: reduced by their greatest common divisor; the root alone where the
// split says nothing, since a route whose weights sum to nothing cannot be drawn by.
func routeWeights(ws []Weight, allZero bool) []Weight {
	out := slices.Clone(ws)
	if allZero {
		out = slices.DeleteFunc(out, func(w Weight) bool { return w.Weight == 0 })
	}
	var g int64
	for _, w := range out {
		g = gcd(g, w.Weight)
	}
	for i := range out {
		out[i].Weight /= max(1, g)
	}
	return out
}

// withinLimit scales weights to the largest that the Gateway API takes. lost is the largest error of a probability that
// this makes, in points; 0: none. A weight above 0 stays above 0.
func withinLimit(ws []Weight) (out []Weight, lost float64) {
	var largest, sum, after int64
	for _, w := range ws {
		largest, sum = max(largest, w.Weight), sum+w.Weight
	}
	if largest <= maxRouteWeight {
		return ws, 0
	}
	out = slices.Clone(ws)
	for i, w := range ws {
		scaled := int64(math.Round(float64(w.Weight) * maxRouteWeight / float64(largest)))
		if w.Weight > 0 {
			scaled = max(1, scaled)
		}
		out[i].Weight = min(scaled, maxRouteWeight)
		after += out[i].Weight
	}
	for i, w := range ws {
		lost = math.Max(lost, 100*math.Abs(float64(w.Weight)/float64(sum)-float64(out[i].Weight)/float64(after)))
	}
	return out, lost
}

// refTo is a reference to a Service. A name with a dot led nowhere in a TrafficSplit; it is taken for name.namespace.
func refTo(name, namespace string, port int32) (ref map[string]any, note string, err error) {
	ref = map[string]any{"name": name, "port": int64(port)}
	if !strings.Contains(name, ".") {
		if len(validation.IsDNS1123Label(name)) > 0 {
			return nil, "", fmt.Errorf("%q is not the name of a Service", untrusted.Safe(name))
		}
		return ref, "", nil
	}
	base, ns, ok := cutLast(strings.TrimSuffix(strings.SplitN(name+".svc.", ".svc.", 2)[0], "."))
	if !ok || len(validation.IsDNS1123Label(base)) > 0 || len(validation.IsDNS1123Label(ns)) > 0 {
		return nil, "", fmt.Errorf("%q is not the name of a Service", untrusted.Safe(name))
	}
	ref["name"], ref["namespace"] = base, ns
	return ref, fmt.Sprintf("%q is no Service of namespace %s, which is how the SMI adaptor reads it; the route names "+
		"Service %s of namespace %s, so it does not follow the same law",
		untrusted.Safe(name), untrusted.Safe(namespace), base, ns), nil
}

// warnings are what differs between the two objects: of this split first, then what holds for all.
func (s Sources) warnings(split Split, port int32, allZero bool, lost float64) []string {
	var out []string
	if lost > 0 {
		out = append(out, fmt.Sprintf("weights were scaled to %d, the most that a route takes: probabilities differ by up "+
			"to %.2g points", maxRouteWeight, lost))
	}
	if allZero {
		for _, d := range split.Declared {
			if strings.Contains(d.Service, ".") {
				out = append(out, fmt.Sprintf("%q is lost: with weight 0 the route leaves it out, and it is no Service of "+
					"namespace %s, which is how the SMI adaptor reads it", untrusted.Safe(d.Service), untrusted.Safe(split.Namespace)))
			}
		}
		out = append(out, "every weight of the split is 0, which Linkerd takes for everything to the root Service; the "+
			"route says so with a weight above 0, since one with weights of 0 alone cannot be drawn by")
	}
	if split.Matches {
		out = append(out, "the split has spec.matches, which Linkerd's SMI adaptor ignores; the route splits every request "+
			"too")
	}
	var others []string
	for _, p := range s.Ports {
		if p.Port != port {
			others = append(others, fmt.Sprint(p.Port))
		}
	}
	if len(others) > 0 {
		out = append(out, fmt.Sprintf("the split holds for every port of %s, the route for port %d alone; see --port for %s",
			untrusted.Safe(split.Root), port, strings.Join(others, ", ")))
	}
	if s.Ports == nil {
		out = append(out, fmt.Sprintf("that Service %s has port %d was not seen", untrusted.Safe(split.Root), port))
	}
	return append(out,
		"a ServiceProfile with dstOverrides or routes comes before any route: delete the TrafficSplit and see that the "+
			"profile's dstOverrides are gone",
		"a client's proxy keeps the path that it has used: restart the client's pods after the change (linkerd2#12769, "+
			"#14274)",
		"a backend whose Service is missing: the split gives its share to the others after 3 s of 504, the route answers "+
			"its share with 500",
		"a backend without a ready endpoint: Linkerd gives its share to the others with either; other meshes answer it "+
			"with 503 for a route",
		"a route with two or more backends, all of weight 0, breaks the proxy; a split of that kind sends everything to "+
			"the root Service",
		"with a route the Service's annotations for retries, timeouts and circuit breaking take effect, which a split "+
			"switches off")
}

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
	object := s.String()
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
