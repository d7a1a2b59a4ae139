package law

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Gateway API routes that are bound to a Service (GAMMA). They are read as Linkerd's policy controller reads them:
// typed, so that a route with one field of the wrong type is no route at all, and unknown fields mean nothing.

// The groups that have HTTPRoutes.
const (
	groupGateway = "gateway.networking.k8s.io"
	groupPolicy  = "policy.linkerd.io"
)

// The paths by routes.
const (
	PathGRPCRoute Path = "GRPCRoute"
	PathHTTPRoute Path = "HTTPRoute"
	PathTLSRoute  Path = "TLSRoute"
	PathTCPRoute  Path = "TCPRoute"
)

// routes are the kinds of routes in the order in which Linkerd prefers them; both HTTPRoutes share one index.
func routes() []Kind {
	kind := func(path Path, resources ...Resource) Kind {
		return Kind{
			Path: path, Short: strings.ToLower(string(path)), Resources: resources, For: "the split, or what rules in its place",
			offers: func(u *unstructured.Unstructured) bool { return len(readRoute(u).parentsOf()) > 0 },
			read:   func(o *Objects, u *unstructured.Unstructured) { o.routes = append(o.routes, readRoute(u)) },
			rules:  routeWeightsOf,
			splits: func(c *Case) []candidate { return c.routesOf(path) },
			pick:   (*Case).pickRoute,
		}
	}
	return []Kind{
		kind(PathGRPCRoute, Resource{groupGateway, "grpcroutes", []string{"v1", "v1alpha2"}}),
		kind(PathHTTPRoute, Resource{groupGateway, "httproutes", []string{"v1", "v1beta1", "v1alpha2"}},
			Resource{groupPolicy, "httproutes", []string{"v1beta3", "v1beta2", "v1beta1", "v1alpha1"}}),
		kind(PathTLSRoute, Resource{groupGateway, "tlsroutes", []string{"v1", "v1alpha3", "v1alpha2"}}),
		kind(PathTCPRoute, Resource{groupGateway, "tcproutes", []string{"v1", "v1alpha2"}}),
	}
}

// splitsConnections reports the kinds of routes that know no requests.
func splitsConnections(kind Path) bool { return kind == PathTLSRoute || kind == PathTCPRoute }

// IsRoute reports a kind of the Gateway API's routes.
func IsRoute(kind Path) bool {
	return slices.ContainsFunc(routes(), func(k Kind) bool { return k.Path == kind })
}

func routeWeightsOf(u *unstructured.Unstructured) []Weights {
	var out []Weights
	for _, r := range readRoute(u).spec.Rules {
		var ws Weights
		for _, ref := range r.BackendRefs {
			ws = append(ws, Weight{Service: ref.Name, Weight: orElse(ref.Weight, 1)})
		}
		out = append(out, ws)
	}
	return out
}

// routesOf are the routes of one kind that have a Service for a parent.
func (c *Case) routesOf(kind Path) []candidate {
	var out []candidate
	for _, r := range c.Objects.routes {
		if p := r.parentsOf(); r.kind == kind && r.ref.Namespace == c.Namespace && len(p) > 0 {
			out = append(out, candidate{ShortName(kind, r.ref.Name), c.rootName(p[0])})
		}
	}
	return out
}

// route is one Gateway API route, of whichever kind.
type route struct {
	listed
	kind   Path
	spec   routeSpec
	status routeStatus
}

type routeSpec struct {
	ParentRefs []parentRef `json:"parentRefs"`
	Hostnames  []string    `json:"hostnames"`
	Rules      []routeRule `json:"rules"`
}

type routeStatus struct {
	Parents []struct {
		ParentRef      parentRef `json:"parentRef"`
		ControllerName string    `json:"controllerName"`
		Conditions     []struct {
			Type, Status, Reason, Message string
		} `json:"conditions"`
	} `json:"parents"`
}

type parentRef struct {
	Group     *string `json:"group"`
	Kind      *string `json:"kind"`
	Namespace *string `json:"namespace"`
	Name      string  `json:"name"`
	Port      *int32  `json:"port"`
}

type routeRule struct {
	Timeouts struct {
		Request        string `json:"request"`
		BackendRequest string `json:"backendRequest"`
	} `json:"timeouts"`
	Matches     []routeMatch  `json:"matches"`
	Filters     []routeFilter `json:"filters"`
	BackendRefs []backendRef  `json:"backendRefs"`
}

type routeFilter struct {
	Type     string `json:"type"`
	Redirect struct {
		StatusCode int `json:"statusCode"`
	} `json:"requestRedirect"`
}

// routeMatch is a match of an HTTPRoute or a GRPCRoute: their method fields differ in shape, so it stays raw.
type routeMatch struct {
	Path *struct {
		Type  *string `json:"type"`
		Value *string `json:"value"`
	} `json:"path"`
	Headers     []valueMatch    `json:"headers"`
	QueryParams []valueMatch    `json:"queryParams"`
	Method      json.RawMessage `json:"method"`
}

type valueMatch struct {
	Type  *string `json:"type"`
	Name  string  `json:"name"`
	Value string  `json:"value"`
}

type grpcMethod struct {
	Type    *string `json:"type"`
	Service *string `json:"service"`
	Method  *string `json:"method"`
}

type backendRef struct {
	Group     *string       `json:"group"`
	Kind      *string       `json:"kind"`
	Namespace *string       `json:"namespace"`
	Name      string        `json:"name"`
	Port      *int64        `json:"port"`
	Weight    *int64        `json:"weight"`
	Filters   []routeFilter `json:"filters"`
}

// readRoute takes one route apart.
func readRoute(u *unstructured.Unstructured) route {
	r := route{kind: Path(u.GetKind())}
	if r.listed = readObject(u, &r.spec); r.problem != "" {
		return r
	}
	if status, ok := u.Object["status"].(map[string]any); ok {
		if err := Decode(status, &r.status); err != nil {
			r.problem = "its status cannot be read: " + Brief(err)
			return r
		}
	}
	refs := 0
	for _, rule := range r.spec.Rules {
		refs += len(rule.BackendRefs)
	}
	if refs > maxBackends {
		r.problem = fmt.Sprintf("it has %d backendRefs; more than %d are not read", refs, maxBackends)
	}
	return r
}

// unreadable says what makes the control plane leave the whole route out, accepted or not: it converts all of a route
// or none. Linkerd's policy controller keeps what it could convert before (linkerd2 edge-26.8.3,
// policy-controller/k8s/index/src/outbound/index/http.rs, grpc.rs, tls.rs and tcp.rs convert_route); of Istio see
// 86c9f01fd73, pilot/pkg/config/kube/gateway/conversion.go convertHTTPRoute, convertGRPCRoute, buildHTTPDestination.
func (r route) unreadable(provider Provider) string {
	linkerd := provider == ProviderLinkerd
	if splitsConnections(r.kind) {
		if linkerd && len(r.spec.Rules) != 1 {
			return fmt.Sprintf("it has %d rules, a %s has one", len(r.spec.Rules), r.kind)
		}
		return ""
	}
	if why := unreadableSetting(r.raw.GetAnnotations(), r.kind); linkerd && why != "" {
		return why
	}
	for i, rule := range r.spec.Rules {
		for _, f := range rule.Filters {
			if !slices.Contains(ruleFilters(provider, r.kind), f.Type) {
				return fmt.Sprintf("spec.rules[%d] has a filter %q, which %s does not know", i, untrusted.Safe(f.Type),
					provider.Name())
			}
		}
		for j, m := range rule.Matches {
			if _, err := r.compile(m, provider); err != nil {
				return fmt.Sprintf("spec.rules[%d].matches[%d]: %s", i, j, Brief(err))
			}
		}
		for j, ref := range rule.BackendRefs {
			if why := ref.refusedByIstio(); !linkerd && orElse(ref.Weight, 1) != 0 && why != "" {
				return fmt.Sprintf("spec.rules[%d].backendRefs[%d] %s", i, j, why)
			}
		}
	}
	return ""
}

// ruleFilters are the filters that a rule of a route may have.
func ruleFilters(provider Provider, kind Path) []string {
	known := []string{"RequestHeaderModifier", "ResponseHeaderModifier"}
	if kind == PathHTTPRoute {
		known = append(known, filterRedirect)
	}
	if provider == ProviderIstio {
		known = append(known, "RequestMirror")
		if kind == PathHTTPRoute {
			known = append(known, "URLRewrite", "CORS")
		}
	}
	return known
}

// refusedByIstio says for which part of a backendRef Istio leaves the whole route out. Those of weight 0 it does not
// read.
func (b backendRef) refusedByIstio() string {
	filter := refusedFilter(b.Filters)
	switch {
	case filter.Type != "":
		return fmt.Sprintf("has a filter %q, which it does not know there", untrusted.Safe(filter.Type))
	case !isCoreService(b.Group, b.Kind, "Service"):
		return "" // such a share is answered with 500
	case strings.Contains(b.Name, "."):
		return fmt.Sprintf("names %q, which is no bare name of a Service", untrusted.Safe(b.Name))
	case orElse(b.Port, 0) == 0:
		return "has no port"
	}
	return ""
}

func isCoreService(group, kind *string, absent string) bool {
	g := orElse(group, "")
	return (g == "" || strings.EqualFold(g, "core")) && strings.EqualFold(orElse(kind, absent), "Service")
}

// parentsOf are the Services that the route is bound to, as namespace/name pairs with a port (0: all ports). A parent
// without a kind is a Gateway, by the API's own default.
func (r route) parentsOf() []serviceRef {
	var out []serviceRef
	for _, p := range r.spec.ParentRefs {
		if !isCoreService(p.Group, p.Kind, "Gateway") {
			continue
		}
		ns := cmp.Or(orElse(p.Namespace, ""), r.ref.Namespace)
		out = append(out, serviceRef{namespace: ns, name: p.Name, port: orElse(p.Port, 0)})
	}
	return out
}

type serviceRef struct {
	namespace, name string
	port            int32
}

// accepted says whether a controller has taken the route on for the Service's port; if not, why. Of a parent in the
// status kind, group, name and port count, where it has one, and nothing else: not its namespace, its section or who
// wrote it (linkerd2 edge-26.8.3, policy-controller/k8s/index/src/outbound/index/http.rs
// route_accepted_by_resource_port).
func (r route) accepted(service string, port int32) (ok bool, why string) {
	at := "Service " + untrusted.Safe(service)
	if port != 0 {
		at += fmt.Sprintf(" port %d", port)
	}
	why = "no controller has accepted it for " + at + " (status.parents)"
	for _, p := range r.status.Parents {
		ref := p.ParentRef
		core := slices.Contains([]string{"", "core"}, orElse(ref.Group, ""))
		if ref.Name != service || orElse(ref.Kind, "") != "Service" || !core || port != 0 && orElse(ref.Port, port) != port {
			continue
		}
		for _, c := range p.Conditions {
			if c.Type != "Accepted" {
				continue
			}
			if c.Status == "True" {
				return true, ""
			}
			why = "its condition Accepted for " + at + " is " + untrusted.Safe(c.Status) + Reason(c.Reason)
		}
	}
	return false, why
}

// controller is who wrote the route's status.
func (r route) controller() string {
	for _, p := range r.status.Parents {
		if p.ControllerName != "" {
			return p.ControllerName
		}
	}
	return ""
}

// pickRoute makes the route that is meant the split of the Snapshot.
func (c *Case) pickRoute() (bool, error) {
	r := c.routeMeant()
	if r == nil {
		return false, nil
	}
	c.takeRoute(r)
	return true, nil
}

// routeMeant is the route that is named, or the one that rules a root Service by that name, nil where there is none.
func (c *Case) routeMeant() *route {
	if c.Kind != "" {
		return c.namedRoute(c.Kind, c.Name)
	}
	name, ns, splits := c.Name, c.Namespace, c.Objects.TrafficSplits
	if base, other, ok := cutLast(name); ok {
		if _, own := c.Services[name]; !own {
			name, ns = base, other
		}
	}
	c.root = serviceRef{namespace: ns, name: name}
	byRoot := find(splits, func(u *unstructured.Unstructured) bool { return RootOf(u) == c.Name }) != nil
	if byRoot {
		if u, _ := pickProfile(c.Objects.Profiles, name, ns, c.ClientNamespace); u != nil {
			return nil
		}
	}
	q := c.question()
	q.port = c.Port
	if law, _ := q.byRoutes(c.Objects.routes); law != nil {
		ruling := func(r *route) bool { return r.ref == law.Objects[0] && r.ref.Namespace == c.Namespace }
		if r := find(c.Objects.routes, ruling); r != nil {
			return r
		}
	}
	if byRoot || find(splits, func(u *unstructured.Unstructured) bool { return u.GetName() == c.Name }) != nil {
		return nil
	}
	root := serviceRef{namespace: ns, name: name}
	// One that names the root and is of no effect: checks say why.
	if r := find(c.Objects.routes, func(r *route) bool {
		return r.ref.Namespace == c.Namespace &&
			r.boundTo(root)
	}); r != nil {
		return r
	}
	for _, k := range routes() {
		if r := c.namedRoute(k.Path, c.Name); r != nil {
			return r
		}
	}
	return nil
}

// namedRoute finds a route of the split's namespace by kind and name. Of two HTTPRoutes of one name in two groups that
// which rules is taken, else that of the Gateway API.
func (c *Case) namedRoute(kind Path, name string) *route {
	var first *route
	for i := range c.Objects.routes {
		switch r := &c.Objects.routes[i]; {
		case r.kind != kind || !r.is(c.Namespace, name):
		case first == nil:
			first = r
		case c.ruling(r) && !c.ruling(first):
			return r
		}
	}
	return first
}

// ruling reports whether a route rules its first parent.
func (c *Case) ruling(r *route) bool {
	parents := r.parentsOf()
	if len(parents) == 0 {
		return false
	}
	asked := *c
	asked.root = serviceRef{namespace: parents[0].namespace, name: parents[0].name}
	q := asked.question()
	q.port = cmp.Or(c.Port, parents[0].port)
	law, _ := q.byRoutes(c.Objects.routes)
	return law != nil && law.Objects[0] == r.ref
}

// boundTo reports whether the Service is one of the route's parents, by whichever port.
func (r route) boundTo(root serviceRef) bool {
	return slices.ContainsFunc(r.parentsOf(), func(p serviceRef) bool {
		p.port = 0
		return p == root
	})
}

// takeRoute makes a route the split. Its root is the Service that was asked for, else the first it is bound to.
func (c *Case) takeRoute(r *route) {
	s := r.split()
	parents := r.parentsOf()
	root := serviceRef{}
	for i, p := range parents {
		if i == 0 || c.Kind == "" && p.name == c.root.name && p.namespace == c.root.namespace {
			root = p
		}
	}
	switch {
	case len(parents) == 0:
		s.WeightErr = &WeightError{
			Object: r.ref.String(), Field: "spec.parentRefs",
			Why: "names no Service as a parent (kind: Service), so that no request to a Service follows it",
		}
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
	if m, ok := q.bestRule([]*route{r}); ok {
		c.Split.Declared = q.declared(r, m.rule)
		backends, _ := q.backendsOf(r, m.rule)
		c.declaredLaw = weightsOf(backends)
	}
}

// declared is what a rule of a route writes, by the names of the Snapshot.
func (q question) declared(r *route, rule int) []Declared {
	var leaves []Leaf
	for _, ref := range r.spec.Rules[rule].BackendRefs {
		leaves = append(leaves, q.backend(r, ref, orElse(ref.Weight, 1)))
	}
	var out []Declared
	for _, b := range q.apart(leaves) {
		out = append(out, Declared{Service: b.Name, Raw: fmt.Sprint(b.Weight)})
	}
	return out
}
