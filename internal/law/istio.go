package law

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Which of several objects Istio obeys. It makes a VirtualService of the HTTP and gRPC routes that one namespace has
// for a port of a Service, and sorts it among those that are there (istio 86c9f01fd73,
// pilot/pkg/config/kube/gateway/route_collections.go mergeHTTPRoutes, pilot/pkg/model/virtualservice.go
// SelectVirtualServices and virtualservice_controller.go MergedVirtualServices).

// ruler is one of them: a VirtualService, or routes.
type ruler struct {
	objects []ObjectRef // the oldest first
	virtual *virtualService
	routes  []*route
	host    int // how exactly it names the root Service, as namesHost has it
	reach   int // 0: for its own namespace alone, which is the client's; 1: for the client's, named; 2: for all
	notOwn  int // 0: routes of the client's namespace; 1: anything else
	created time.Time
	name    string
	idle    bool // it has no rule for the client and the port
}

func (r ruler) compare(o ruler) int {
	return cmp.Or(o.host-r.host, r.reach-o.reach, r.notOwn-o.notOwn, r.created.Compare(o.created),
		strings.Compare(r.name, o.name), strings.Compare(r.objects[0].Namespace, o.objects[0].Namespace))
}

// before says why another ruler, which comes later, is not obeyed.
func (r ruler) before(o ruler) string {
	object := r.objects[0]
	switch {
	case r.host > o.host:
		return object.String() + " names the host more exactly"
	case r.reach < o.reach || r.notOwn < o.notOwn:
		return object.String() + " names the same host and is for clients of namespace " + untrusted.Safe(object.Namespace)
	}
	return object.String() + " names the same host and is older"
}

// istioLaw is Istio's. Its second result says what is not obeyed.
func (c *Case) istioLaw(q question) (*Law, []Shadowed) {
	law, shadowed := q.byIstio(c.Objects.routes, c.Objects.virtual, c.SourceLabels)
	if c.Split.Kind == string(PathTrafficSplit) && c.Split.Found {
		shadowed = append(shadowed, Shadowed{Object: c.Split.ObjectRef, Why: "Istio reads no TrafficSplits"})
	}
	return cmp.Or(law, q.defaultLaw()), shadowed
}

// byIstio is the law of what names the root, nil where nothing is in force. Of several with its whole name the first
// that has a rule for the client counts; of wildcards the most exact one alone, rule or not, and none beside a whole
// name (pilot/pkg/networking/core/route/route.go separateVSHostsAndServices).
func (q question) byIstio(routes []route, virtual []virtualService, labels map[string]string) (*Law, []Shadowed) {
	ofRoutes, shadowed := q.routeRulers(routes)
	all, more := q.virtualRulers(virtual, labels)
	all, shadowed = append(all, ofRoutes...), append(shadowed, more...)
	slices.SortStableFunc(all, ruler.compare)
	var first *ruler
	for i, r := range all {
		wild := all[0].host <= len(q.fullName())
		why := "none of its rules is for this client and port"
		switch {
		case first != nil:
			why = first.before(r)
		case !r.idle && (i == 0 || r.host == all[0].host && !wild):
			first = &all[i]
			continue
		case !r.idle:
			why = all[0].before(r)
		}
		for _, o := range r.objects {
			shadowed = append(shadowed, Shadowed{Object: o, Why: why})
		}
	}
	switch {
	case first == nil:
		return nil, shadowed
	case first.virtual != nil:
		return q.ofVirtualService(first.virtual, virtual, labels), shadowed
	}
	return q.ofRoutes(first.routes, shadowed)
}

// virtualRulers are the VirtualServices that name the root.
func (q question) virtualRulers(all []virtualService, labels map[string]string) (out []ruler, shadowed []Shadowed) {
	for i := range all {
		v := &all[i]
		host := v.namesHost(q)
		if host == 0 {
			continue
		}
		if why := v.idle(q); why != "" {
			shadowed = append(shadowed, Shadowed{Object: v.ref, Why: why})
			continue
		}
		r := ruler{virtual: v, host: host, reach: 2, notOwn: 1, created: v.created, name: v.ref.Name}
		r.objects = []ObjectRef{v.ref}
		r.idle = q.opaque == "" && len(v.rulesFor(q, all, labels)) == 0
		if to := v.spec.ExportTo; len(to) > 0 && !slices.Contains(to, "*") {
			r.reach = 1
			if v.ref.Namespace == q.clientNS {
				r.reach = 0
			}
		}
		out = append(out, r)
	}
	return out, shadowed
}

// routeRulers are the routes that are bound to the root, those of one namespace and port together. Routes of requests
// count where the port is HTTP, routes of connections where it is not.
func (q question) routeRulers(all []route) (out []ruler, shadowed []Shadowed) {
	inForce, shadowed := q.bound(all)
	for _, r := range inForce {
		if splitsConnections(r.kind) != (q.opaque != "") {
			why := cmp.Or(q.opaque, "the port is HTTP")
			shadowed = append(shadowed, Shadowed{Object: r.ref, Why: "no " + string(r.kind) + " is read there: " + why})
			continue
		}
		key := r.ref.Namespace
		if slices.Contains(r.parentsOf(), serviceRef{namespace: q.rootNS, name: q.root, port: q.port}) && q.port != 0 {
			key += fmt.Sprintf("~%d", q.port)
		}
		key += "~" + q.fullName()
		group := find(out, func(o *ruler) bool { return o.name == key })
		if group == nil {
			notOwn := 1
			if r.ref.Namespace == q.clientNS {
				notOwn = 0
			}
			out = append(out, ruler{host: len(q.fullName()) + 1, reach: 2, notOwn: notOwn, created: r.created, name: key})
			group = &out[len(out)-1]
		}
		group.routes, group.objects = append(group.routes, r), append(group.objects, r.ref)
	}
	return out, shadowed
}

// fullName is the root's whole name.
func (q question) fullName() string { return q.root + "." + q.rootNS + ".svc.cluster.local" }

// Which rules of a VirtualService a sidecar is given, and which of them fits a request. Port, gateways and labels of
// the client are looked at when the sidecar is configured, everything else by the sidecar (istio
// pilot/pkg/networking/core/route/route.go, TranslateRoute and TranslateRouteMatch).

type stringMatch struct {
	Exact  *string `json:"exact"`
	Prefix *string `json:"prefix"`
	Regex  *string `json:"regex"`
}

type virtualMatch struct {
	URI             *stringMatch           `json:"uri"`
	Scheme          *stringMatch           `json:"scheme"`
	Method          *stringMatch           `json:"method"`
	Authority       *stringMatch           `json:"authority"`
	Headers         map[string]stringMatch `json:"headers"`
	WithoutHeaders  map[string]stringMatch `json:"withoutHeaders"`
	QueryParams     map[string]stringMatch `json:"queryParams"`
	Port            int64                  `json:"port"`
	SourceLabels    map[string]string      `json:"sourceLabels"`
	SourceNamespace string                 `json:"sourceNamespace"`
	Gateways        []string               `json:"gateways"`
	IgnoreURICase   bool                   `json:"ignoreUriCase"`
}

// rulesFor are the rules that the client's sidecar is given for the port, those of delegates in their places.
func (v *virtualService) rulesFor(q question, all []virtualService, labels map[string]string) []virtualRule {
	var out []virtualRule
	for i, r := range v.spec.HTTP {
		r.field = fmt.Sprintf("spec.http[%d]", i)
		rules := []virtualRule{r}
		if r.Delegate != nil {
			rules = v.delegated(r, all)
		}
		for _, r := range rules {
			given := slices.DeleteFunc(slices.Clone(r.Match), func(m virtualMatch) bool { return !q.isGiven(m, labels) })
			if len(r.Match) == 0 || len(given) > 0 {
				r.Match = given
				out = append(out, r)
			}
		}
	}
	return out
}

// delegated are the rules of the VirtualService that a rule delegates to, which must have no hosts; none where it is
// not there (istio pilot/pkg/model/virtualservice.go MergeHTTPRoutes).
func (v *virtualService) delegated(root virtualRule, all []virtualService) []virtualRule {
	ns := cmp.Or(root.Delegate.Namespace, v.ref.Namespace)
	d := find(all, func(d *virtualService) bool { return d.is(ns, root.Delegate.Name) })
	if d == nil || d.problem != "" || len(d.spec.Hosts) > 0 || !d.exportedTo(v.ref.Namespace) {
		return nil
	}
	var out []virtualRule
	for i, r := range d.spec.HTTP {
		matches, ok := matchesBelow(root.Match, r.Match)
		if !ok {
			continue
		}
		r.Match, r.of = matches, &d.ref
		r.field = fmt.Sprintf("%s, %s: spec.http[%d]", root.field, d.ref, i)
		r.Fault, r.DirectResponse = cmp.Or(r.Fault, root.Fault), cmp.Or(r.DirectResponse, root.DirectResponse)
		out = append(out, r)
	}
	return out
}

// matchesBelow are the matches of a delegate's rule, each within every one of the delegating rule's that it does not
// contradict; false where one of them is within none.
func matchesBelow(root, leaf []virtualMatch) ([]virtualMatch, bool) {
	if len(root) == 0 || len(leaf) == 0 {
		return slices.Concat(root, leaf), true
	}
	var out []virtualMatch
	for _, m := range leaf {
		before := len(out)
		for _, r := range root {
			if both, ok := m.below(r); ok {
				out = append(out, both)
			}
		}
		if len(out) == before {
			return nil, false
		}
	}
	return out, true
}

// below is a match that also says what another says, false where the two contradict each other.
func (m virtualMatch) below(root virtualMatch) (virtualMatch, bool) {
	ok := m.IgnoreURICase == root.IgnoreURICase && (root.Port == 0 || m.Port == 0 || root.Port == m.Port) &&
		(root.SourceNamespace == "" || root.SourceNamespace == m.SourceNamespace)
	part := func(r, l *stringMatch) *stringMatch {
		ok = ok && (r == nil || l == nil || l.within(*r))
		return cmp.Or(l, r)
	}
	m.URI, m.Scheme = part(root.URI, m.URI), part(root.Scheme, m.Scheme)
	m.Method, m.Authority = part(root.Method, m.Method), part(root.Authority, m.Authority)
	values := func(r, l map[string]stringMatch) map[string]stringMatch {
		return both(r, l, func(root, leaf stringMatch) { ok = ok && leaf.within(root) })
	}
	m.Headers, m.WithoutHeaders = values(root.Headers, m.Headers), values(root.WithoutHeaders, m.WithoutHeaders)
	m.QueryParams = values(root.QueryParams, m.QueryParams)
	m.SourceLabels = both(root.SourceLabels, m.SourceLabels, func(root, leaf string) { ok = ok && leaf == root })
	for _, g := range m.Gateways {
		ok = ok && (len(root.Gateways) == 0 || slices.Contains(root.Gateways, g))
	}
	if len(m.Gateways) == 0 {
		m.Gateways = root.Gateways
	}
	m.Port = cmp.Or(m.Port, root.Port)
	return m, ok
}

// both is what two maps say, the leaf where they say the same name; meet is called for each such name.
func both[V any](root, leaf map[string]V, meet func(root, leaf V)) map[string]V {
	out := map[string]V{}
	maps.Copy(out, root)
	for name, want := range leaf {
		if above, there := root[name]; there {
			meet(above, want)
		}
		out[name] = want
	}
	return out
}

// within reports whether a delegate may say so where the rule above says what it says.
func (m stringMatch) within(root stringMatch) bool {
	value := cmp.Or(orElse(m.Exact, ""), orElse(m.Prefix, ""))
	switch {
	case m.Regex != nil || root.Regex != nil:
		return false
	case root.Exact != nil:
		return m.Exact != nil && *m.Exact == *root.Exact
	}
	return root.Prefix != nil && strings.HasPrefix(value, *root.Prefix)
}

// ofMesh reports whether something is for sidecars by the gateways that it names, which are all where it names none.
func ofMesh(gateways []string) bool { return len(gateways) == 0 || slices.Contains(gateways, "mesh") }

// isGiven reports whether the client's sidecar is given the match. One that names gateways asks nothing of the client.
func (q question) isGiven(m virtualMatch, labels map[string]string) bool {
	switch {
	case m.Port != 0 && m.Port != int64(q.port):
		return false
	case len(m.Gateways) > 0:
		return ofMesh(m.Gateways)
	}
	for k, v := range m.SourceLabels {
		if have, there := labels[k]; !there || have != v {
			return false
		}
	}
	return m.SourceNamespace == "" || m.SourceNamespace == q.clientNS
}

// ruleFits asks a rule's matches, any of which may fit.
func (q question) ruleFits(r virtualRule) (bool, string) {
	for _, m := range r.Match {
		switch ok, err := q.virtualFits(m); {
		case err != nil:
			return false, Brief(err)
		case ok:
			return true, ""
		}
	}
	return len(r.Match) == 0, ""
}

// authority is the host as it stands in the request: with its port, but for HTTP's own.
func (q question) authority() string {
	if given, ok := q.probe.Value("Host"); ok {
		return given
	}
	if q.port == 0 || q.port == 80 {
		return q.probe.Host
	}
	return fmt.Sprintf("%s:%d", q.probe.Host, q.port)
}

// virtualFits asks a match of the request. A header that must be absent or another counts as empty where it is absent.
func (q question) virtualFits(m virtualMatch) (bool, error) {
	path, query := q.probe.target()
	if m.IgnoreURICase && m.URI != nil && m.URI.Regex == nil {
		path = strings.ToLower(path)
		m.URI = m.URI.lower()
	}
	type part struct {
		match    *stringMatch
		value    string
		there    bool
		unwanted bool
	}
	parts := []part{
		{m.URI, path, true, false},
		{m.Method, q.probe.method(), true, false},
		{m.Authority, q.authority(), true, false},
		{m.Scheme, "http", true, false},
	}
	for name, want := range m.Headers {
		v, there := q.probe.Value(name)
		parts = append(parts, part{&want, v, there, false})
	}
	for name, unwanted := range m.WithoutHeaders {
		v, there := q.probe.Value(name)
		parts = append(parts, part{&unwanted, v, there || !unwanted.anything(), true})
	}
	for name, want := range m.QueryParams {
		parts = append(parts, part{&want, query.Get(name), query.Has(name), false})
	}
	for _, p := range parts {
		if p.match == nil {
			continue
		}
		fits, err := p.match.fits(p.value)
		if err != nil || (p.there && fits) == p.unwanted {
			return false, err
		}
	}
	return true, nil
}

// anything reports a match that asks only that the value is there.
func (m stringMatch) anything() bool {
	return m.Exact == nil && m.Prefix == nil && (m.Regex == nil || *m.Regex == "*")
}

func (m stringMatch) lower() *stringMatch {
	low := func(s *string) *string {
		if s == nil {
			return nil
		}
		return new(strings.ToLower(*s))
	}
	return &stringMatch{Exact: low(m.Exact), Prefix: low(m.Prefix)}
}

func (m stringMatch) fits(value string) (bool, error) {
	switch {
	case m.anything():
		return true, nil
	case m.Exact != nil:
		return *m.Exact == value, nil
	case m.Prefix != nil:
		return strings.HasPrefix(value, *m.Prefix), nil
	}
	re, err := anchored(*m.Regex)
	return err == nil && re.MatchString(value), err
}

// statusOfGRPC is the HTTP status that a call's code stands for (envoy source/common/grpc/status.cc grpcToHttpStatus).
func statusOfGRPC(code string) int {
	statuses := map[string]int{
		"CANCELLED": 499, "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "DEADLINE_EXCEEDED": 504,
		"NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429,
		"UNIMPLEMENTED": 501, "UNAVAILABLE": statusUnavailable, "UNAUTHENTICATED": 401,
	}
	return cmp.Or(statuses[code], statusFailure)
}
