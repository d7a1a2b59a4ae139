package law

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
		l := strings.ToLower(*s)
		return &l
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
