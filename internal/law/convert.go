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
		return Conversion{}, fmt.Errorf("%s: %w", split.Object(), err)
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
