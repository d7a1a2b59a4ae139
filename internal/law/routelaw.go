package law

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// question is what a law is asked for: the root Service and port that the client dials, its namespace, the probe.
type question struct {
	names    string // namespace that bare names of the Snapshot are of
	root     string // name of the root Service, and its namespace
	rootNS   string
	clientNS string
	port     int32
	probe    Probe
	provider Provider
	service  func(namespace, name string) (s Service, known bool) // known false: it was not read
	at       Service                                              // the root
	portUse                                                       // what the proxy makes of the port
}

// name is a Service as the rest of the Snapshot names it.
func (q question) name(namespace, service string) string { return nameIn(q.names, namespace, service) }

// bound sorts the routes into those that the client's proxy may follow for the root Service and port, by age, and those
// that name the root and are of no effect. Routes of other roots are neither.
func (q question) bound(routes []route) (inForce []*route, shadowed []Shadowed) {
	for i := range routes {
		r := &routes[i]
		if !r.boundTo(serviceRef{namespace: q.rootNS, name: q.root}) {
			continue
		}
		if why := q.ofNoEffect(r); why != "" {
			shadowed = append(shadowed, Shadowed{Object: r.ref, Why: why})
			continue
		}
		inForce = append(inForce, r)
	}
	slices.SortStableFunc(inForce, func(a, b *route) int { return a.older(b.listed, q.tieBreak) })
	return inForce, shadowed
}

// tieBreak is what tells routes of one age apart: Linkerd looks at the bare name (linkerd2 edge-26.8.3,
// policy-controller/grpc/src/outbound.rs timestamp_then_name).
func (q question) tieBreak(o ObjectRef) string {
	if q.provider == ProviderLinkerd {
		return o.Name
	}
	return o.Namespace + "/" + o.Name
}

// ofNoEffect says why a route that names the root Service does nothing for the client's requests; empty: it does.
func (q question) ofNoEffect(r *route) string {
	fits, named := q.port == 0, int32(0)
	for _, p := range r.parentsOf() {
		if p.name == q.root && p.namespace == q.rootNS {
			if fits = fits || p.port == 0 || p.port == q.port; !fits {
				named = p.port
			}
		}
	}
	switch {
	case r.problem != "":
		return r.problem
	case !fits:
		return fmt.Sprintf("its parentRef names port %d of Service %s, the requests go to port %d", named,
			untrusted.Safe(q.root), q.port)
	case r.ref.Namespace != q.rootNS && r.ref.Namespace != q.clientNS:
		return "it is a consumer's route: it holds for clients of namespace " + untrusted.Safe(r.ref.Namespace) + " alone"
	}
	if ok, why := r.accepted(q.root, q.port); !ok {
		return why
	}
	if why := r.unreadable(q.provider); why != "" {
		return fmt.Sprintf("%s, so that %s leaves the whole route out, whatever its status says", why, q.provider.Name())
	}
	return ""
}

// read sorts routes in force into those of the kind that the port reads first, and the others.
func (q question) read(inForce []*route) (same []*route, shadowed []Shadowed) {
	reads, kind := q.reads, Path("")
	if reads == nil {
		for _, k := range routes() {
			reads = append(reads, k.Path)
		}
	}
	for _, kind = range reads {
		if slices.ContainsFunc(inForce, func(r *route) bool { return r.kind == kind }) {
			break
		}
	}
	for _, r := range inForce {
		switch {
		case r.kind == kind:
			same = append(same, r)
		case !slices.Contains(reads, r.kind) && q.opaque != "":
			shadowed = append(shadowed, Shadowed{Object: r.ref, Why: "to the proxy the port is not HTTP: " + q.opaque})
		case !slices.Contains(reads, r.kind):
			shadowed = append(shadowed, Shadowed{Object: r.ref, Why: "no " + string(r.kind) +
				" is read for a port of its appProtocol"})
		default:
			shadowed = append(shadowed, Shadowed{
				Object: r.ref, Why: fmt.Sprintf("a %s on the same Service comes before a %s", kind, r.kind),
			})
		}
	}
	return same, shadowed
}

// byRoutes is the law of the routes that are bound to the root, nil where none is in force, and those shadowed.
func (q question) byRoutes(all []route) (*Law, []Shadowed) {
	if q.provider == ProviderIstio {
		return q.byIstio(all, nil, nil)
	}
	inForce, shadowed := q.bound(all)
	same, more := q.read(inForce)
	shadowed = append(shadowed, more...)
	if len(same) == 0 {
		return nil, shadowed
	}
	return q.ofRoutes(same, shadowed)
}

// ofRoutes is the law of routes that count together, by age.
func (q question) ofRoutes(same []*route, shadowed []Shadowed) (*Law, []Shadowed) {
	kind := same[0].kind
	shadow := func(r *route, why string) { shadowed = append(shadowed, Shadowed{Object: r.ref, Why: why}) }
	law := &Law{Path: kind, NullModel: RandomPerRequest, Objects: []ObjectRef{same[0].ref}}
	if splitsConnections(kind) {
		law.NullModel, law.ModelWhy = RandomPerConnection, "a "+string(kind)+" splits connections"
	}
	if q.provider == ProviderLinkerd {
		switch law.Problem = q.unserved(same, kind); {
		case law.Problem != "":
			law.Unfit = true
			return law, shadowed
		case q.opaque != "" && !splitsConnections(kind): // the opaque part of its policy is the root Service itself
			for _, r := range same {
				shadow(r, "to the proxy the port is not HTTP: "+q.opaque)
			}
			return nil, shadowed
		}
	}
	m, ok := q.bestRule(same)
	if !ok {
		law.Unfit = true
		law.Problem = fmt.Sprintf("no rule of %s fits %s: proxies answer 404 (no route)", routeNames(same), q.probe)
		if q.probe.IsCall() {
			law.Problem += "; name the call that is meant with --grpc-method"
		}
		return law, shadowed
	}
	law.Path, law.Objects = m.route.kind, []ObjectRef{m.route.ref}
	if len(m.route.spec.Rules) > 1 || m.match >= 0 {
		law.Rule = fmt.Sprintf("spec.rules[%d]", m.rule)
		if m.match >= 0 {
			law.Rule += fmt.Sprintf(".matches[%d]", m.match)
		}
	}
	for _, r := range same {
		if r == m.route {
			continue
		}
		shadow(r, fmt.Sprintf("%s fits %s better, or as well and is older", m.route.ref, q.probe))
		if q.tied(m, r) {
			law.Unread = fmt.Sprintf("which of %s (%s) and %s (%s) is obeyed: both fit, of one age and one name",
				m.route.ref, m.route.ref.Group(), r.ref, r.ref.Group())
		}
	}
	law.Backends, law.Problem = q.backendsOf(m.route, m.rule)
	switch q.provider {
	case ProviderLinkerd:
		law.Settings = q.settings(m.route, m.rule)
	case ProviderIstio:
		law.Settings = m.route.istioTimeouts(m.rule)
	}
	return law, shadowed
}

// tied reports whether another route fits as well as the one that was taken, and neither age nor what comes after it
// says which is first: the controller keeps routes in no order of its own.
func (q question) tied(m matched, r *route) bool {
	other, fits := q.bestRule([]*route{r})
	return fits && m.route.older(r.listed, q.tieBreak) == 0 && !q.less(other.spec, m.spec)
}

// Foreign are the Services of other namespaces that routes, VirtualServices and TraefikServices may send to, by
// name.namespace, at most ten: whether they are there decides what proxies answer.
func (c *Case) Foreign() []string {
	q := c.question()
	var out []string
	add := func(namespace, service string) {
		name := nameIn(c.Namespace, namespace, service)
		if namespace != c.Namespace && !slices.Contains(out, name) && len(out) < maxListed {
			out = append(out, name)
		}
	}
	for i := range c.Objects.routes {
		r := &c.Objects.routes[i]
		if !r.boundTo(c.root) {
			continue
		}
		for _, rule := range r.spec.Rules {
			for _, ref := range rule.BackendRefs {
				add(q.namespaceOf(r, ref), ref.Name)
			}
		}
	}
	for _, v := range c.Objects.virtual {
		if v.namesHost(q) == 0 && len(v.spec.Hosts) > 0 { // one without hosts may be a delegate
			continue
		}
		for _, rule := range v.spec.HTTP {
			for _, d := range rule.Route {
				if ref, ok := hostOf(d.Destination.Host, v.ref.Namespace); ok {
					add(ref.namespace, ref.name)
				}
			}
		}
	}
	for _, t := range c.Objects.traefik {
		for _, e := range t.entries() {
			service := e.Kind != string(PathTraefikService) && !strings.Contains(e.Name, "@")
			if t.ref.Namespace == c.Namespace && service {
				add(cmp.Or(e.Namespace, t.ref.Namespace), e.Name)
			}
		}
	}
	return out
}

// unserved says why Linkerd's proxies answer nothing on a port whose routes of the kind rule; empty: they do.
func (q question) unserved(same []*route, kind Path) string {
	switch {
	case q.clash != "":
		return q.clash
	case q.opaque != "" && (kind == PathGRPCRoute || kind == PathTLSRoute):
		return fmt.Sprintf("%s, and %s says otherwise: proxies serve no connection to it", q.opaque, same[0].ref)
	case kind != PathGRPCRoute:
		return ""
	}
	for _, r := range same {
		for i, rule := range r.spec.Rules {
			for j, m := range rule.Matches {
				if len(m.Method) == 0 {
					return fmt.Sprintf("%s: spec.rules[%d].matches[%d] has no method: proxies up to edge-26.8 refuse the whole "+
						"policy and answer every request with an error", r.ref, i, j)
				}
			}
		}
	}
	return ""
}

func routeNames(routes []*route) string {
	var names []string
	for _, r := range routes {
		names = append(names, r.ref.String())
	}
	return strings.Join(Listed(names), ", ")
}

// String is the request as sentences name it.
func (p Probe) String() string {
	if p.IsCall() {
		return "the gRPC call " + untrusted.Safe(strings.TrimPrefix(p.Path, "/"))
	}
	return untrusted.Safe(p.method() + " " + cmp.Or(p.Path, "/"))
}

func (p Probe) method() string { return cmp.Or(p.Method, "GET") }

// target is the path of the request, and its query as far as it can be read.
func (p Probe) target() (path string, query url.Values) {
	path, raw, _ := strings.Cut(p.Path, "?")
	query, _ = url.ParseQuery(raw)
	return cmp.Or(path, "/"), query
}

// maxRouteWeight is the largest weight that the Gateway API allows.
const maxRouteWeight = 1_000_000

// backendsOf gives the distribution of one rule. The second result says why there is none.
func (q question) backendsOf(r *route, rule int) ([]Leaf, string) {
	refs := r.spec.Rules[rule].BackendRefs
	field := fmt.Sprintf("%s: spec.rules[%d].backendRefs", r.ref, rule)
	redirects := func(f *routeFilter) bool { return f.Type == filterRedirect }
	if f := find(r.spec.Rules[rule].Filters, redirects); f != nil && r.kind == PathHTTPRoute {
		all := q.rootAlone()
		all[0].ProxyStatus = cmp.Or(f.Redirect.StatusCode, statusFound)
		all[0].Problem = fmt.Sprintf("its rule has a filter %q: proxies answer with %d", filterRedirect, all[0].ProxyStatus)
		return all, ""
	}
	if len(refs) == 0 {
		if q.provider == ProviderLinkerd {
			return q.rootAlone(), ""
		}
		return nil, field + " is empty: requests are answered with 500"
	}
	var out []Leaf
	for i, ref := range refs {
		w := orElse(ref.Weight, 1)
		if w < 0 || w > maxRouteWeight {
			return nil, fmt.Sprintf("%s[%d].weight is %d: weights are 0 to %d", field, i, w, maxRouteWeight)
		}
		out = append(out, q.backend(r, ref, w))
	}
	if q.provider == ProviderIstio && weightsOf(out).Sum() == 0 {
		return nil, field + " have weight 0 alone: requests are answered with 500"
	}
	out, problem := Distribution(q.apart(out), field+": ")
	return merged(out), problem
}

// backend reads one backendRef. A name without a namespace is of the route's; Linkerd takes it for one of the parent
// Service's, which differs for a consumer's route only (policy-controller/k8s/index/src/outbound/index/http.rs).
func (q question) backend(r *route, ref backendRef, weight int64) Leaf {
	ns := q.namespaceOf(r, ref)
	b := Leaf{Name: q.name(ns, ref.Name), Namespace: ns, Service: untrusted.Cut(ref.Name, 253), Weight: weight}
	if port := orElse(ref.Port, 0); port > 0 && port <= math.MaxUint16 {
		b.Port = int32(port)
	}
	s, known := q.service(ns, ref.Name)
	refuse := func(status int, format string, args ...any) {
		if b.Problem = fmt.Sprintf(format, args...); splitsConnections(r.kind) {
			b.Closed, b.Problem = true, b.Problem+": proxies close the connections of its share"
			return
		}
		b.ProxyStatus, b.Problem = status, fmt.Sprintf("%s: proxies answer its share with %d", b.Problem, status)
	}
	filter := refusedFilter(ref.Filters)
	switch {
	case !isCoreService(ref.Group, ref.Kind, "Service"):
		refuse(statusFailure, "it is not a Service")
	case filter.Type == filterRedirect && r.kind == PathHTTPRoute:
		refuse(cmp.Or(filter.Redirect.StatusCode, statusFound), "its backendRef has a filter %q", filterRedirect)
	case filter.Type != "":
		refuse(statusFailure, "its backendRef has a filter %q, which proxies do not know there", untrusted.Safe(filter.Type))
	case b.Port == 0:
		refuse(statusFailure, "its backendRef has no port")
	case known && !s.Found:
		refuse(statusFailure, "there is no Service %s/%s", untrusted.Safe(ns), untrusted.Safe(ref.Name))
	case known && s.ExternalName != "":
		b.Problem = q.ofNoEndpoints(s)
	case known && !s.HasPort(b.Port) && q.provider == ProviderIstio:
		refuse(statusFailure, "Service %s/%s has no port %d", untrusted.Safe(ns), untrusted.Safe(ref.Name), b.Port)
	case known && !s.HasPort(b.Port):
		b.Problem = fmt.Sprintf("Service %s/%s has no port %d: nothing answers there", untrusted.Safe(ns),
			untrusted.Safe(ref.Name), b.Port)
	}
	return b
}

// ofNoEndpoints says why nothing answers for a Service that is there, as far as the Service itself tells (linkerd2
// edge-26.8.3, controller/api/destination/watcher/endpoints_watcher.go). Istio takes an ExternalName for another name.
func (q question) ofNoEndpoints(s Service) string {
	if s.ExternalName == "" || q.provider != ProviderLinkerd {
		return ""
	}
	return fmt.Sprintf("Service %s/%s is an ExternalName, of which proxies are told no endpoints",
		untrusted.Safe(s.Namespace), untrusted.Safe(s.Name))
}

// Statuses by which proxies answer themselves.
const (
	statusMoved       = 301 // a redirect of Istio's that does not say otherwise
	statusFound       = 302 // a redirect of a route that does not say otherwise
	statusFailure     = 500 // a backend of a route that cannot be used
	statusUnavailable = 503 // a destination that Envoy does not know
)

// filterRedirect is the filter by which a proxy answers itself.
const filterRedirect = "RequestRedirect"

// refusedFilter is the first filter of a backendRef by which its share is not sent on, the zero value where none is.
// Linkerd knows those that change headers, and of an HTTPRoute the redirect (linkerd2 edge-26.8.3,
// policy-controller/k8s/index/src/outbound/index/http.rs and grpc.rs, convert_backend); Istio the former.
func refusedFilter(filters []routeFilter) routeFilter {
	return orElse(find(filters, func(f *routeFilter) bool {
		return f.Type != "RequestHeaderModifier" && f.Type != "ResponseHeaderModifier"
	}), routeFilter{})
}

// namespaceOf is that of a backendRef's Service.
func (q question) namespaceOf(r *route, ref backendRef) string {
	own := r.ref.Namespace
	if q.provider == ProviderLinkerd {
		own = q.rootNS
	}
	return cmp.Or(orElse(ref.Namespace, ""), own)
}

// rootAlone is the distribution where nothing splits.
func (q question) rootAlone() []Leaf {
	return []Leaf{{Name: q.name(q.rootNS, q.root), Namespace: q.rootNS, Service: q.root, Weight: 1, Probability: 1}}
}

// Weights are those of the backends by name.
func (l Law) Weights() Weights { return weightsOf(l.Backends) }

func weightsOf(bs []Leaf) Weights {
	var out Weights
	for _, b := range bs {
		out = append(out, Weight{Service: b.Name, Weight: b.Weight})
	}
	return out
}

// apart gives the parties of one Service names that tell them apart: by port, or by the status of the proxy's answer.
func (q question) apart(in []Leaf) []Leaf {
	out := slices.Clone(in)
	port := func(b Leaf) int32 { return cmp.Or(b.Port, q.port) }
	for i, b := range in {
		rival := func(differs func(o Leaf) bool) bool {
			return slices.ContainsFunc(in, func(o Leaf) bool { return o.Name == b.Name && differs(o) })
		}
		switch {
		case b.ProxyStatus != 0:
			if rival(func(o Leaf) bool { return o.ProxyStatus != b.ProxyStatus }) {
				out[i].Name = fmt.Sprintf("%s (%d)", b.Name, b.ProxyStatus)
			}
		case rival(func(o Leaf) bool { return o.ProxyStatus == 0 && port(o) != port(b) }):
			out[i].Name = nameOfPort(b.Name, port(b))
		}
	}
	return out
}

// merged adds up the entries of one party.
func merged(in []Leaf) []Leaf {
	var out []Leaf
	for _, b := range in {
		have := find(out, func(o *Leaf) bool { return o.Name == b.Name })
		if have == nil {
			out = append(out, b)
			continue
		}
		have.Weight += b.Weight
		have.Probability += b.Probability
		have.Problem = cmp.Or(have.Problem, b.Problem)
	}
	return out
}

// Distribution fills in probabilities: weight over sum. A lone backend gets everything whatever its weight, as the
// proxies of Linkerd and Istio have it. The second result says why there is no distribution, where being said first.
func Distribution(in []Leaf, where string) ([]Leaf, string) {
	if len(in) == 1 {
		in[0].Weight, in[0].Probability = max(in[0].Weight, 1), 1
		return in, ""
	}
	sum := weightsOf(in).Sum()
	switch {
	case sum == 0:
		return nil, where + "the weights sum to nothing, which proxies cannot draw by"
	case sum > math.MaxUint32:
		return nil, fmt.Sprintf("%sthe weights sum to %d; proxies take at most %d", where, sum, uint32(math.MaxUint32))
	}
	for i := range in {
		in[i].Probability = float64(in[i].Weight) / float64(sum)
	}
	return in, ""
}
