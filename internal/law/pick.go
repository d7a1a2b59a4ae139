package law

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Pick finds the split that is meant, and leaves it in c.Split with what it says itself. That it is missing is for a check to
// say. Its error is an *Unclear.
func (c *Case) Pick() error {
	if c.Name == "" {
		if err := c.onlyRoot(); err != nil {
			return err
		}
	}
	switch {
	case c.Kind == PathTraefikService:
		c.takeTraefik()
		return nil
	case c.takeVirtual():
		return nil
	}
	if r := c.pickRoute(); r != nil {
		c.takeRoute(r)
		return nil
	}
	if c.Kind != "" && c.Kind != PathTrafficSplit && c.Kind != PathTraefikService {
		c.missingSplit(c.Kind, fmt.Sprintf("there is no %s %s in namespace %s", c.Kind, c.Name, c.Namespace))
		return nil
	}
	u, err := PickTrafficSplit(c.Objects.TrafficSplits, c.Namespace, c.Name, c.Kind != "")
	if err != nil {
		return err
	}
	if u == nil {
		why := c.Objects.NoSplits
		if why == "" {
			why = "there is no TrafficSplit " + c.Name + " in namespace " + c.Namespace
		}
		c.missingSplit(PathTrafficSplit, why)
	} else {
		c.Split, c.leaves = readSplit(u)
	}
	c.root = serviceRef{namespace: c.Namespace, name: c.Split.Root}
	c.nameOthers()
	if c.Split.Matches {
		c.note("TrafficSplit %s has spec.matches; Linkerd's SMI adaptor ignores it and splits every request", c.Split.Name)
	}
	return nil
}

// missingSplit is the Split of a name that no object has: it is taken for the root Service's too.
func (c *Case) missingSplit(kind Path, why string) {
	c.Split = Split{Kind: string(kind), Namespace: c.Namespace, Name: c.Name, Root: c.Name, Why: why}
	c.root = serviceRef{namespace: c.Namespace, name: c.Name}
	c.nameOthers()
}

// candidate is a split object and the root Service that it names.
type candidate struct{ short, root string }

// candidates are all splits of the namespace.
func (c *Case) candidates() []candidate {
	var out []candidate
	for i := range c.Objects.TrafficSplits {
		out = append(out, candidate{"ts/" + c.Objects.TrafficSplits[i].GetName(), RootOf(&c.Objects.TrafficSplits[i])})
	}
	for i := range c.Objects.routes {
		r := &c.Objects.routes[i]
		if r.ref.Namespace != c.Namespace {
			continue
		}
		if p := r.parentsOf(); len(p) > 0 {
			out = append(out, candidate{ShortName(r.kind, r.ref.Name), c.rootName(p[0])})
		}
	}
	for i := range c.Objects.virtual {
		if v := &c.Objects.virtual[i]; v.ref.Namespace == c.Namespace {
			if roots := v.roots(); len(roots) > 0 {
				out = append(out, candidate{ShortName(PathVirtualService, v.ref.Name), c.rootName(roots[0])})
			}
		}
	}
	return out
}

// takeVirtual makes a VirtualService the split of the Snapshot: the one that is named, or the oldest in force of a root
// Service by whose bare name an Istio client was asked about.
func (c *Case) takeVirtual() bool {
	var v *virtualService
	switch c.Kind {
	case PathVirtualService:
		for i := range c.Objects.virtual {
			if x := &c.Objects.virtual[i]; x.ref.Namespace == c.Namespace && x.ref.Name == c.Name {
				v = x
			}
		}
	case "":
		c.root = serviceRef{namespace: c.Namespace, name: c.Name}
		if law, _ := c.question().byVirtualServices(c.Objects.virtual, c.SourceLabels); law != nil {
			for i := range c.Objects.virtual {
				if x := &c.Objects.virtual[i]; x.ref == law.Objects[0] && x.ref.Namespace == c.Namespace {
					v = x
				}
			}
		}
	}
	if v == nil {
		return false
	}
	s := splitOf(v.ref, v.object)
	roots := v.roots()
	if c.root.name == "" && len(roots) > 0 {
		c.root = roots[0]
		if len(roots) > 1 {
			c.note("%s names %d hosts; %s is the one that is looked at", v.ref, len(roots), untrusted.Safe(c.root.name))
		}
	}
	if len(roots) == 0 {
		s.WeightErr = &WeightError{Object: v.ref.String(), Field: "spec.hosts", Raw: strings.Join(v.spec.Hosts, ","), Why: "names no Service in full"}
	}
	s.Root = c.rootName(c.root)
	c.Split = s
	q := c.question()
	law := q.ofVirtualService(v, c.SourceLabels)
	c.declare(law.Backends)
	if v.problem != "" && s.WeightErr == nil {
		c.Split.WeightErr = &WeightError{Object: v.ref.String(), Field: "spec", Why: v.problem}
	}
	c.nameOthers()
	return true
}

// takeTraefik makes a TraefikService the split of the Snapshot. It has no root Service; requests go to Traefik itself, which
// --through names.
func (c *Case) takeTraefik() {
	t := findTraefik(c.Objects.traefik, c.Namespace, c.Name)
	if t == nil {
		c.missingSplit(PathTraefikService, fmt.Sprintf("there is no TraefikService %s in namespace %s", c.Name, c.Namespace))
		c.root = serviceRef{}
		c.Split.Root = ""
		return
	}
	c.Split = splitOf(t.ref, t.object)
	if c.Through != nil {
		through := c.Through.Service
		c.root = serviceRef{namespace: through.Namespace, name: through.Name}
		c.Split.Root = c.rootName(c.root)
	} else {
		c.note("no Service of Traefik was named (--through svc/traefik): it draws, so its pods are what matters")
	}
	c.declare(c.question().byTraefik(c.Objects.traefik, t).Backends)
	c.nameOthers()
}

// splitOf is the split that an object is, less its weights.
func splitOf(ref ObjectRef, u *unstructured.Unstructured) Split {
	s := Split{
		Kind: ref.Kind, APIVersion: ref.APIVersion, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID,
		ResourceVersion: ref.ResourceVersion, Generation: ref.Generation, Found: true, YAML: yamlOf(u),
	}
	s.LastWriter, s.LastWritten = lastWriter(u)
	return s
}

// declare keeps what the object that was named says, whoever rules.
func (c *Case) declare(bs []LawBackend) {
	for _, b := range bs {
		c.Split.Declared = append(c.Split.Declared, Declared{Service: b.Name, Raw: fmt.Sprint(b.Weight)})
		c.declaredLaw = append(c.declaredLaw, Weight{Service: b.Name, Weight: b.Weight})
	}
}

func (c *Case) rootName(r serviceRef) string {
	if r.namespace == c.Namespace {
		return r.name
	}
	return r.name + "." + r.namespace
}

// onlyRoot takes the one root Service that is split for the name that was not given. Several TrafficSplits of one root are
// told apart later.
func (c *Case) onlyRoot() error {
	all := c.candidates()
	if len(c.Objects.TrafficSplits) == len(all) && len(all) > 0 {
		return nil // the choice among TrafficSplits has its own words
	}
	if len(all) == 0 {
		return &Unclear{
			Object: "in namespace " + c.Namespace,
			Cause:  "there is no TrafficSplit and no route of a Service", Hint: "name one, as ts/NAME, and its namespace with -n",
		}
	}
	var names []string
	for _, s := range all {
		names = append(names, s.short)
		if s.root != all[0].root {
			names = names[:0]
			break
		}
	}
	if len(names) == len(all) {
		if len(all) == 1 {
			kind, name, _ := strings.Cut(all[0].short, "/")
			c.Kind, c.Name = KindOf(kind), name
			return nil
		}
		c.Name = all[0].root
		return nil
	}
	names = nil
	for _, s := range all {
		names = append(names, s.short)
	}
	return &Unclear{
		Several: true, Object: "in namespace " + c.Namespace,
		Cause: fmt.Sprintf("%d splits fit", len(all)), Hint: "name one; " + Candidates("splits", names),
	}
}

// pickRoute is the route that is meant: the one that is named, or the ruling one of a root Service by whose name no
// TrafficSplit is obeyed. nil: none.
func (c *Case) pickRoute() *route {
	switch c.Kind {
	case PathGRPCRoute, PathHTTPRoute, PathTLSRoute, PathTCPRoute:
		return c.namedRoute(c.Kind, c.Name)
	case "":
	default:
		return nil
	}
	name, ns := c.Name, c.Namespace
	if base, other, ok := cutLast(name); ok {
		if _, own := c.Services[name]; !own {
			name, ns = base, other
		}
	}
	c.root = serviceRef{namespace: ns, name: name}
	byRoot := slices.ContainsFunc(c.Objects.TrafficSplits, func(u unstructured.Unstructured) bool { return RootOf(&u) == c.Name })
	if byRoot {
		if u, _ := pickProfile(c.Objects.Profiles, name, ns, c.ClientNamespace); u != nil {
			return nil
		}
	}
	q := c.question()
	q.port = c.Port
	in, _ := q.bound(c.Objects.routes)
	if len(in) > 0 {
		if law, _ := q.byRoutes(c.Objects.routes); law != nil {
			for _, r := range in {
				if len(law.Objects) > 0 && r.ref == law.Objects[0] && r.ref.Namespace == c.Namespace {
					return r
				}
			}
		}
	}
	if byRoot || slices.ContainsFunc(c.Objects.TrafficSplits, func(u unstructured.Unstructured) bool { return u.GetName() == c.Name }) {
		return nil
	}
	for i := range c.Objects.routes { // one that names the root and is of no effect: checks say why
		r := &c.Objects.routes[i]
		if slices.ContainsFunc(r.parentsOf(), func(p serviceRef) bool { return p.name == name && p.namespace == ns }) &&
			r.ref.Namespace == c.Namespace {
			return r
		}
	}
	for _, kind := range routeOrder() {
		if r := c.namedRoute(kind, c.Name); r != nil {
			return r
		}
	}
	return nil
}

// namedRoute finds a route of the split's namespace by kind and name. Of two HTTPRoutes of one name in two groups that of
// the Gateway API is taken.
func (c *Case) namedRoute(kind Path, name string) *route {
	for i := range c.Objects.routes {
		if r := &c.Objects.routes[i]; r.kind == kind && r.ref.Name == name && r.ref.Namespace == c.Namespace {
			return r
		}
	}
	return nil
}

// takeRoute makes a route the split of the Snapshot. Its root is the Service that was asked for, else the first that it is
// bound to.
func (c *Case) takeRoute(r *route) {
	s := splitOf(r.ref, r.object)
	parents := r.parentsOf()
	root := serviceRef{}
	for i, p := range parents {
		if i == 0 || c.Kind == "" && p.name == c.root.name && p.namespace == c.root.namespace {
			root = p
		}
	}
	switch {
	case len(parents) == 0:
		s.WeightErr = &WeightError{Object: r.ref.String(), Field: "spec.parentRefs", Why: "names no Service as a parent (kind: Service), so no mesh follows it"}
	case len(parents) > 1:
		c.note("%s is bound to %d Services; %s is the one that is looked at", r.ref, len(parents), untrusted.Safe(root.name))
	}
	if root.port != 0 && c.Port == 0 {
		c.Port = root.port
	}
	c.root = serviceRef{namespace: root.namespace, name: root.name}
	s.Root = c.rootName(c.root)
	c.Split = s
	q := c.question()
	q.port = c.Port
	if m, ok := bestRule([]*route{r}, q.probe); ok {
		c.Split.Declared = q.declared(r, m.rule)
		backends, _ := q.backendsOf(r, m.rule)
		for _, b := range backends {
			c.declaredLaw = append(c.declaredLaw, Weight{Service: b.Name, Weight: b.Weight})
		}
	}
	if r.problem != "" && s.WeightErr == nil {
		c.Split.WeightErr = &WeightError{Object: r.ref.String(), Field: "spec", Why: r.problem}
	}
	c.nameOthers()
}

// declared is what a rule of a route writes, by the names of the Snapshot.
func (q question) declared(r *route, rule int) []Declared {
	var out []Declared
	for _, ref := range r.spec.Rules[rule].BackendRefs {
		raw := "1"
		if ref.Weight != nil {
			raw = fmt.Sprint(*ref.Weight)
		}
		out = append(out, Declared{Service: q.backend(r, ref, 0).Name, Raw: raw})
	}
	return out
}

// nameOthers lists the other splits of the namespace, and which of them have the same root.
func (c *Case) nameOthers() {
	s := &c.Split
	var others, rivals []string
	for _, other := range c.candidates() {
		if s.Found && other.short == s.Short() {
			continue
		}
		others = append(others, other.short)
		if s.Found && other.root == s.Root {
			rivals = append(rivals, other.short)
		}
	}
	s.Others, s.Rivals = Listed(others), Listed(rivals)
}

// yamlOf is the object for the record, less what only servers read.
func yamlOf(u *unstructured.Unstructured) []byte {
	bare := u.DeepCopy()
	bare.SetManagedFields(nil)
	if b, err := yaml.Marshal(bare.Object); err == nil && len(b) <= maxYAML {
		return b
	}
	return nil
}

// Short is the split as a command line names it: "ts/podinfo".
func (s Split) Short() string { return ShortName(Path(s.Kind), s.Name) }

// ShortName names an object of the kind as a command line does.
func ShortName(kind Path, name string) string {
	switch kind {
	case PathTrafficSplit:
		return "ts/" + name
	case PathVirtualService:
		return "vs/" + name
	}
	return strings.ToLower(string(kind)) + "/" + name
}

// cutLast takes name.namespace apart.
func cutLast(name string) (base, namespace string, ok bool) {
	base, namespace, ok = strings.Cut(name, ".")
	return base, namespace, ok && base != "" && namespace != "" && !strings.Contains(namespace, ".")
}

// KindOf maps the kinds of splits as kubectl's users type them, plural and group allowed; "" if it is none.
func KindOf(s string) Path {
	kind, _, _ := strings.Cut(strings.ToLower(s), ".")
	switch strings.TrimSuffix(kind, "s") {
	case "t", "trafficsplit": // ts
		return PathTrafficSplit
	case "grpcroute":
		return PathGRPCRoute
	case "httproute":
		return PathHTTPRoute
	case "tlsroute":
		return PathTLSRoute
	case "tcproute":
		return PathTCPRoute
	case "v", "virtualservice": // vs
		return PathVirtualService
	case "traefikservice":
		return PathTraefikService
	}
	return ""
}
