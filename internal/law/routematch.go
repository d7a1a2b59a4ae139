package law

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Which rule of a route fits a request, as Linkerd's proxy decides it (linkerd2-proxy v2.366.0, linkerd/http/route):
// the best match wins over all routes and rules, by host, then length of the path that matched, whatever its kind, then
// number of headers, number of query parameters, method; of gRPC by length of the service's name, of the method's, then
// number of headers. A tie goes to the rule that comes first, routes being sorted from the oldest to the youngest.

// compiledMatch is a match that is ready to be asked.
type compiledMatch struct {
	method  string
	path    func(path string) (lengths []int, ok bool)
	rank    []int // Istio's: by the sort of its path and how long that is written; nil: by what matched
	headers []compiledValue
	query   []compiledValue
}

type compiledValue struct {
	name  string
	exact string
	re    *regexp.Regexp
}

// fits reports whether the value is the exact one, or the first match of the expression in it is all of it: of "a|ab"
// in "ab" it is not.
func (v compiledValue) fits(s string) bool {
	if v.re != nil {
		return slices.Equal(v.re.FindStringIndex(s), []int{0, len(s)})
	}
	return v.exact == s
}

// specificity is by how much a match fits.
type specificity struct {
	host                   int
	path                   []int // lengths of what matched: of the path, or of a call's service and method
	method, headers, query int
}

// less compares two matches that fit; the greater wins. Linkerd has the method last, Istio before headers
// (pilot/pkg/config/kube/gateway/conversion.go sortHTTPRoutes).
func (q question) less(a, b specificity) bool {
	if c := cmp.Or(a.host-b.host, slices.Compare(a.path, b.path)); c != 0 {
		return c < 0
	}
	rest := cmp.Or(a.headers-b.headers, a.query-b.query)
	if q.provider == ProviderLinkerd {
		return cmp.Or(rest, a.method-b.method) < 0
	}
	return cmp.Or(a.method-b.method, rest) < 0
}

// maxPattern bounds a regular expression of an object.
const maxPattern = 1024

// expression compiles a regular expression of an object.
func expression(expr string) (*regexp.Regexp, error) {
	if len(expr) > maxPattern {
		return nil, fmt.Errorf("a regular expression of %d characters", len(expr))
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("%q is no regular expression", untrusted.Safe(expr))
	}
	return re, nil
}

// anchored compiles an expression that must fit the whole value.
func anchored(expr string) (*regexp.Regexp, error) {
	if _, err := expression(expr); err != nil {
		return nil, err
	}
	return expression(`\A(?:` + expr + `)\z`)
}

func compileValues(in []valueMatch) ([]compiledValue, error) {
	var out []compiledValue
	for _, v := range in {
		c, err := compileValue(v, "match")
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// compileValue makes the match of one value ready; what names it where its type is not known.
func compileValue(v valueMatch, what string) (compiledValue, error) {
	c := compiledValue{name: v.Name, exact: v.Value}
	var err error
	switch kind := orElse(v.Type, "Exact"); kind {
	case "Exact":
	case "RegularExpression":
		c.re, err = expression(v.Value)
	default:
		err = fmt.Errorf("a %s of type %q", what, untrusted.Safe(kind))
	}
	return c, err
}

// compile makes a match ready. Its error is why the control plane cannot convert it.
func (r route) compile(m routeMatch, provider Provider) (compiledMatch, error) {
	var out compiledMatch
	var err error
	if out.headers, err = compileValues(m.Headers); err != nil {
		return out, err
	}
	if out.query, err = compileValues(m.QueryParams); err != nil {
		return out, err
	}
	switch {
	case r.kind == PathGRPCRoute && provider == ProviderIstio:
		return out, out.istioCall(m.Method)
	case r.kind == PathGRPCRoute:
		out.method = "POST"
		out.path, err = grpcPath(m.Method)
		return out, err
	}
	if len(m.Method) > 0 && string(m.Method) != "null" {
		if err := json.Unmarshal(m.Method, &out.method); err != nil {
			return out, errors.New("its method is not a word")
		}
	}
	kind, value := "PathPrefix", "/"
	if m.Path != nil {
		kind, value = orElse(m.Path.Type, kind), orElse(m.Path.Value, value)
	}
	out.path, err = httpPath(kind, value)
	if provider == ProviderIstio {
		out.rank = pathRank(kind, value)
	}
	return out, err
}

// pathRank is by how much a path counts for Istio: the whole one before the beginning of one before an expression.
func pathRank(kind, value string) []int {
	if kind == "PathPrefix" && value != "/" {
		value = strings.TrimSuffix(value, "/")
	}
	return []int{slices.Index([]string{"", "RegularExpression", "PathPrefix", "Exact"}, kind), len(value)}
}

// istioCall matches a call as Istio does: by the path that it has (conversion.go createGRPCURIMatch).
func (c *compiledMatch) istioCall(raw json.RawMessage) error {
	m, err := readMethod(raw)
	service, method := orElse(m.Service, ""), orElse(m.Method, "")
	kind, value, fixed := "RegularExpression", "", orElse(m.Type, "Exact") == "Exact"
	switch {
	case err != nil:
		return err
	case len(raw) == 0 || string(raw) == "null":
		c.rank, c.path = []int{-1, 0}, func(string) ([]int, bool) { return nil, true }
		return nil
	case m.Service == nil && m.Method == nil:
		return errors.New("its method names neither a service nor a method")
	case m.Service == nil:
		value = "/[^/]+/" + method
	case fixed && m.Method == nil:
		kind, value = "PathPrefix", "/"+service+"/"
	case fixed:
		kind, value = "Exact", "/"+service+"/"+method
	case m.Method == nil:
		value = "/" + service + "/.+"
	default:
		value = "/" + service + "/" + method
	}
	c.rank = pathRank(kind, value)
	c.path, err = httpPath(kind, value)
	return err
}

// readMethod reads the method of a match of a GRPCRoute.
func readMethod(raw json.RawMessage) (m grpcMethod, err error) {
	if len(raw) > 0 && json.Unmarshal(raw, &m) != nil {
		err = errors.New("its method is not a gRPC method")
	}
	return m, err
}

func httpPath(kind, value string) (func(string) ([]int, bool), error) {
	if kind != "RegularExpression" && !strings.HasPrefix(value, "/") {
		return nil, fmt.Errorf("path %q does not begin with /", untrusted.Safe(value))
	}
	switch kind {
	case "Exact":
		return func(p string) ([]int, bool) { return []int{len(value)}, p == value }, nil
	case "PathPrefix":
		prefix := strings.TrimRight(value, "/")
		return func(p string) ([]int, bool) {
			if prefix == "" {
				return []int{1}, true
			}
			rest, ok := strings.CutPrefix(strings.TrimRight(p, "/"), prefix)
			return []int{len(prefix)}, ok && (rest == "" || strings.HasPrefix(rest, "/"))
		}, nil
	case "RegularExpression":
		re, err := compileValue(valueMatch{Type: &kind, Value: value}, "path match")
		return func(p string) ([]int, bool) { return []int{len(p)}, re.fits(p) }, err
	}
	return nil, fmt.Errorf("a path match of type %q", untrusted.Safe(kind))
}

// grpcPath matches /SERVICE/METHOD; a part that is not given fits anything and counts for nothing. Linkerd's policy
// controller takes no regular expressions here.
func grpcPath(raw json.RawMessage) (func(string) ([]int, bool), error) {
	m, err := readMethod(raw)
	if err != nil {
		return nil, err
	}
	if kind := orElse(m.Type, "Exact"); kind != "Exact" {
		return nil, fmt.Errorf("a method match of type %q, which Linkerd does not take", untrusted.Safe(kind))
	}
	service, method := orElse(m.Service, ""), orElse(m.Method, "")
	return func(p string) ([]int, bool) {
		parts := strings.Split(p, "/")
		if len(parts) < 3 || parts[0] != "" || service != "" && parts[1] != service || method != "" && parts[2] != method {
			return nil, false
		}
		return []int{len(service), len(method)}, true
	}, nil
}

// fits asks the match of a request.
func (m compiledMatch) fits(p Probe) (specificity, bool) {
	var s specificity
	if m.method != "" {
		if m.method != p.method() {
			return s, false
		}
		s.method = 1
	}
	path, query := p.target()
	ok := false
	if s.path, ok = m.path(path); !ok {
		return s, false
	}
	if m.rank != nil {
		s.path = m.rank
	}
	for _, h := range m.headers {
		if v, there := p.Value(h.name); !there || !h.fits(v) {
			return s, false
		}
	}
	for _, q := range m.query {
		if !slices.ContainsFunc(query[q.name], q.fits) {
			return s, false
		}
	}
	s.headers, s.query = len(m.headers), len(m.query)
	return s, true
}

// hostFits gives the weight of the best hostname of a route: none given fits every host and counts least; a whole name
// counts more than any wildcard, a longer wildcard more than a shorter.
func hostFits(hostnames []string, host string) (int, bool) {
	if len(hostnames) == 0 {
		return 0, true
	}
	const whole = 1 << 10
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	best := 0
	for _, h := range hostnames {
		h = strings.ToLower(strings.TrimSuffix(h, "."))
		suffix, wild := strings.CutPrefix(h, "*")
		switch {
		case wild && len(host) > len(suffix) && strings.HasSuffix(host, suffix):
			best = max(best, len(suffix))
		case !wild && h == host:
			best = max(best, whole+len(h))
		}
	}
	return best, best > 0
}

// matched is a rule that fits.
type matched struct {
	route *route
	rule  int
	match int // -1: the rule has no matches, or its kind knows none
	spec  specificity
}

// bestRule picks the rule of the routes, sorted by precedence, that the request takes.
func (q question) bestRule(routes []*route) (matched, bool) {
	var best matched
	found := false
	for _, r := range routes {
		host, ok := hostFits(r.spec.Hostnames, q.probe.Host)
		switch {
		case q.provider == ProviderIstio: // the parent's name alone counts
			host = 0
		case !ok:
			continue
		}
		for i, rule := range r.spec.Rules {
			m := matched{route: r, rule: i, match: -1, spec: specificity{host: host, path: r.anyPath(q.provider)}}
			fits := len(rule.Matches) == 0
			for j, raw := range rule.Matches {
				c, err := r.compile(raw, q.provider)
				if err != nil {
					continue
				}
				s, ok := c.fits(q.probe)
				s.host = host
				if ok && (!fits || q.less(m.spec, s)) {
					m.match, m.spec, fits = j, s, true
				}
			}
			if fits && (!found || q.less(best.spec, m.spec)) {
				best, found = m, true
			}
		}
	}
	return best, found
}

// RuleTold picks the rule of routes that were told to a proxy of Linkerd, by their specs; the first of equals.
func RuleTold(kind Path, specs []map[string]any, p Probe) (of, rule int, found bool, err error) {
	told := make([]*route, len(specs))
	for i, spec := range specs {
		told[i] = &route{kind: kind}
		if err := Decode(spec, &told[i].spec); err != nil {
			return 0, 0, false, err
		}
	}
	m, found := question{provider: ProviderLinkerd, probe: p}.bestRule(told)
	return slices.Index(told, m.route), m.rule, found, nil
}

// anyPath is by how much a rule without matches fits.
func (r *route) anyPath(provider Provider) []int {
	switch {
	case r.kind == PathGRPCRoute && provider == ProviderIstio:
		return []int{-1, 0}
	case r.kind == PathGRPCRoute:
		return []int{0, 0}
	case provider == ProviderIstio:
		return pathRank("PathPrefix", "/")
	}
	return []int{1} // as the prefix / does
}
