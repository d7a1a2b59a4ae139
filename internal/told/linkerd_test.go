package told_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/http_route"
	"github.com/linkerd/linkerd2-proxy-api/go/meta"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/test/recorded"
)

var update = flag.Bool("update", false, "write the laws of the recordings to testdata")

// lawText is a law on one line.
func lawText(l law.Law) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s%s:", l.Path, l.NullModel, fmt.Sprint(l.Objects), l.Rule)
	for _, x := range l.Backends {
		name := fmt.Sprintf("%s/%s:%d", x.Namespace, x.Service, x.Port)
		if x.ProxyStatus != 0 {
			name = fmt.Sprint(x.ProxyStatus)
		}
		fmt.Fprintf(&b, " %s=%d(%.4g)", name, x.Weight, x.Probability)
	}
	return b.String() + l.Problem
}

// Each recording gives the law that its proxies were told, for GET / or a gRPC call. The golden file was read line by
// line against the objects that were applied.
func TestLawOfRecordings(t *testing.T) {
	all, err := recorded.Linkerd()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, s := range all {
		q := question(s.Port)
		if s.Policy.GetProtocol().GetGrpc() != nil {
			q.Probe.Method, q.Probe.Path = "POST", "/grpc.health.v1.Health/Check"
		}
		l, err := told.Linkerd{Profile: s.Profile, Policy: s.Policy}.Law(q)
		if err != nil {
			t.Errorf("%s: %v", s.ID, err)
		}
		fmt.Fprintf(&got, "%s: %s\n", s.ID, lawText(l))
	}
	const golden = "testdata/linkerd.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

func question(port int32) law.Question {
	return law.Question{
		Root: law.Service{Namespace: "law", Name: "podinfo"}, Port: port, Probe: law.Probe{Host: "podinfo"},
	}
}

// answer is what a control plane tells of Service podinfo with these routes.
func answer(routes ...*outbound.HttpRoute) told.Linkerd {
	return told.Linkerd{
		Profile: &destination.DestinationProfile{FullyQualifiedName: "podinfo.law.svc.cluster.local"},
		Policy: &outbound.OutboundPolicy{
			Metadata: named("Service", "podinfo"),
			Protocol: &outbound.ProxyProtocol{Kind: &outbound.ProxyProtocol_Detect_{Detect: &outbound.ProxyProtocol_Detect{
				Http1: &outbound.ProxyProtocol_Http1{Routes: routes},
			}}},
		},
	}
}

func named(kind, name string) *meta.Metadata {
	return &meta.Metadata{Kind: &meta.Metadata_Resource{Resource: &meta.Resource{Kind: kind, Name: name, Namespace: "law"}}}
}

// to is a rule that sends everything that one of the matches fits to one Service.
func to(service string, matches ...*http_route.HttpRouteMatch) *outbound.HttpRoute_Rule {
	return &outbound.HttpRoute_Rule{Matches: matches, Backends: &outbound.HttpRoute_Distribution{
		Kind: &outbound.HttpRoute_Distribution_FirstAvailable_{FirstAvailable: &outbound.HttpRoute_Distribution_FirstAvailable{
			Backends: []*outbound.HttpRoute_RouteBackend{{Backend: at(service + ".law.svc.cluster.local:9898")}},
		}},
	}}
}

func at(path string) *outbound.Backend {
	return &outbound.Backend{Kind: &outbound.Backend_Balancer{Balancer: &outbound.Backend_BalanceP2C{
		Discovery: &outbound.Backend_EndpointDiscovery{Kind: &outbound.Backend_EndpointDiscovery_Dst{
			Dst: &outbound.Backend_EndpointDiscovery_DestinationGet{Path: path},
		}},
	}}}
}

func route(name string, rules ...*outbound.HttpRoute_Rule) *outbound.HttpRoute {
	return &outbound.HttpRoute{Metadata: named("HTTPRoute", name), Rules: rules}
}

func on(r *outbound.HttpRoute, hosts ...*http_route.HostMatch) *outbound.HttpRoute {
	r.Hosts = hosts
	return r
}

func exactHost(h string) *http_route.HostMatch {
	return &http_route.HostMatch{Match: &http_route.HostMatch_Exact{Exact: h}}
}

func suffix(labels ...string) *http_route.HostMatch {
	return &http_route.HostMatch{Match: &http_route.HostMatch_Suffix_{Suffix: &http_route.HostMatch_Suffix{ReverseLabels: labels}}}
}

func exact(p string) *http_route.HttpRouteMatch {
	return &http_route.HttpRouteMatch{Path: &http_route.PathMatch{Kind: &http_route.PathMatch_Exact{Exact: p}}}
}

func prefix(p string) *http_route.HttpRouteMatch {
	return &http_route.HttpRouteMatch{Path: &http_route.PathMatch{Kind: &http_route.PathMatch_Prefix{Prefix: p}}}
}

func regex(p string) *http_route.HttpRouteMatch {
	return &http_route.HttpRouteMatch{Path: &http_route.PathMatch{Kind: &http_route.PathMatch_Regex{Regex: p}}}
}

func headed(m *http_route.HttpRouteMatch, name, value string) *http_route.HttpRouteMatch {
	m.Headers = append(m.Headers, &http_route.HeaderMatch{Name: name, Value: &http_route.HeaderMatch_Exact{Exact: []byte(value)}})
	return m
}

func queried(m *http_route.HttpRouteMatch, name, expr string) *http_route.HttpRouteMatch {
	m.QueryParams = append(m.QueryParams, &http_route.QueryParamMatch{Name: name, Value: &http_route.QueryParamMatch_Regex{Regex: expr}})
	return m
}

// The precedence is linkerd2-proxy's v2.366.0: linkerd/http/route/src/lib.rs (find, best), http/match.rs (order of
// RequestMatch), http/match/host.rs, path.rs, query_param.rs.
func TestMatchOrder(t *testing.T) {
	probe := law.Probe{
		Method: "GET", Path: "/api/x?v=2&v=3", Host: "Shop.Example.", Header: map[string]string{"x-canary": "1"},
	}
	for _, test := range []struct {
		name   string
		routes []*outbound.HttpRoute
		want   string // "": no rule fits
	}{
		{"the longer prefix", []*outbound.HttpRoute{route("r", to("a", prefix("/")), to("b", prefix("/api")))}, "b"},
		{"an exact path is no better than a regex of its length", []*outbound.HttpRoute{
			route("r", to("a", regex("/api/.*")), to("b", exact("/api/x"))),
		}, "a"},
		{"a prefix ends at a segment", []*outbound.HttpRoute{route("r", to("a", prefix("/ap")), to("b", prefix("/")))}, "b"},
		{"a slash at the end of a prefix is nothing", []*outbound.HttpRoute{route("r", to("a", prefix("/api/")))}, "a"},
		{"a header before a method", []*outbound.HttpRoute{
			route("r", to("a", &http_route.HttpRouteMatch{}), to("b", headed(prefix("/"), "X-Canary", "1"))),
		}, "b"},
		{"a header that does not fit", []*outbound.HttpRoute{route("r", to("a", headed(prefix("/"), "x-canary", "2")))}, ""},
		{"any value of a query parameter", []*outbound.HttpRoute{route("r", to("a", queried(prefix("/"), "v", "3")))}, "a"},
		{"an expression must be found whole", []*outbound.HttpRoute{route("r", to("a", queried(prefix("/"), "v", "|3")))}, ""},
		{"an exact host before a suffix before none", []*outbound.HttpRoute{
			route("r", to("a", exact("/api/x"))), on(route("s", to("b")), suffix("example")),
			on(route("e", to("c")), exactHost("shop.example")),
		}, "c"},
		{"a suffix before none", []*outbound.HttpRoute{
			route("r", to("a", exact("/api/x"))), on(route("s", to("b")), suffix("example")),
		}, "b"},
		{"a suffix needs a label before it", []*outbound.HttpRoute{on(route("s", to("b")), suffix("example", "shop"))}, ""},
		{"the first of equals", []*outbound.HttpRoute{route("r", to("a")), route("s", to("b"))}, "a"},
		{"the best of a rule's matches counts", []*outbound.HttpRoute{
			route("r", to("a", prefix("/api")), to("b", prefix("/"), prefix("/api/x"))),
		}, "b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := question(9898)
			q.Probe = probe
			l, err := answer(test.routes...).Law(q)
			got := ""
			if len(l.Backends) > 0 {
				got = l.Backends[0].Service
			}
			if err != nil || got != test.want || (l.Problem == "") != (got != "") {
				t.Errorf("%q (%q), %v; want %q", got, l.Problem, err, test.want)
			}
		})
	}
}

// What no law can be made of is one sentence that says so.
func TestNoLaw(t *testing.T) {
	with := func(change func(*told.Linkerd)) told.Linkerd {
		a := answer(route("r", to("a")))
		change(&a)
		return a
	}
	later := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	rule := func(a *told.Linkerd) *outbound.HttpRoute_Rule {
		return a.Policy.GetProtocol().GetDetect().GetHttp1().GetRoutes()[0].GetRules()[0]
	}
	for name, test := range map[string]struct {
		told told.Linkerd
		want string
	}{
		"nothing":                       {told.Linkerd{}, "told no policy or no profile"},
		"another protocol kind":         {with(func(a *told.Linkerd) { a.Policy.Protocol.Kind = nil }), "a protocol that this program does not know"},
		"a later field in a rule":       {with(func(a *told.Linkerd) { rule(a).ProtoReflect().SetUnknown(later) }), "has a field in Rule"},
		"a later field in the profile":  {with(func(a *told.Linkerd) { a.Profile.ProtoReflect().SetUnknown(later) }), "has a field in DestinationProfile"},
		"a later filter":                {with(func(a *told.Linkerd) { rule(a).Filters = []*outbound.HttpRoute_Filter{{}} }), "a filter of a kind"},
		"a later distribution":          {with(func(a *told.Linkerd) { rule(a).Backends.Kind = nil }), "a distribution of a kind"},
		"a later backend":               {with(func(a *told.Linkerd) { rule(a).Backends.GetFirstAvailable().Backends[0].Backend.Kind = nil }), "a backend of a kind"},
		"a later match":                 {answer(route("r", to("a", &http_route.HttpRouteMatch{Path: &http_route.PathMatch{}}))), "a match of paths of a kind"},
		"a regex that does not compile": {answer(route("r", to("a", regex("/(")))), `"/(", which does not compile`},
		"a long regex":                  {answer(route("r", to("a", regex(strings.Repeat("a", 1<<20))))), "of 1048576 characters"},
		"another Service's profile":     {with(func(a *told.Linkerd) { a.Profile.FullyQualifiedName = "web.law.svc.cluster.local" }), `told the profile of "web.law`},
		"another Service's policy":      {with(func(a *told.Linkerd) { a.Policy.Metadata = named("Service", "web") }), `told the policy of "law/web"`},
		"a part of a share": {with(func(a *told.Linkerd) {
			rule(a).Filters = []*outbound.HttpRoute_Filter{{Kind: &outbound.HttpRoute_Filter_FailureInjector{
				FailureInjector: &http_route.HttpFailureInjector{Status: 503, Ratio: &http_route.Ratio{Numerator: 1, Denominator: 4}},
			}}}
		}), "answer 503 to a part"},
		"a backend that is no Service": {with(func(a *told.Linkerd) {
			rule(a).Backends.GetFirstAvailable().Backends[0].Backend = at("\x1b[31m")
		}), "no address of a Service"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.told.Law(question(9898))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// Settings of a later version that do not touch the draw do not keep a law from being told.
func TestLaterFieldsAside(t *testing.T) {
	a := answer(route("r", to("a")))
	later := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	rule := a.Policy.GetProtocol().GetDetect().GetHttp1().GetRoutes()[0].GetRules()[0]
	rule.Timeouts = &http_route.Timeouts{}
	rule.Timeouts.ProtoReflect().SetUnknown(later)
	rule.Retry = &outbound.HttpRoute_Retry{}
	rule.Retry.ProtoReflect().SetUnknown(later)
	if l, err := a.Law(question(9898)); err != nil || len(l.Backends) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
}

// Weights are as proxies draw by them: linkerd2-proxy v2.366.0, linkerd/distribute/src/params.rs and
// linkerd/service-profiles/src/proto.rs.
func TestWeights(t *testing.T) {
	override := func(authority string, weight uint32) *destination.WeightedDst {
		return &destination.WeightedDst{Authority: authority, Weight: weight}
	}
	for _, test := range []struct {
		name      string
		overrides []*destination.WeightedDst
		want      string
	}{
		{"no weight is no target", []*destination.WeightedDst{override("a.law.svc.cluster.local:1", 0)}, "HTTPRoute"},
		{"no port is no target", []*destination.WeightedDst{override("a.law.svc.cluster.local", 5)}, "HTTPRoute"},
		{"a lone target", []*destination.WeightedDst{override("a.law.svc.cluster.local:1", math.MaxUint32)}, "law/a:1=1(1)"},
		{"parts of thousandths", []*destination.WeightedDst{
			override("a.law.svc.cluster.local:1", 5000), override("b.other.svc.cluster.local:2", 15000),
		}, "law/a:1=5000(0.25) other/b:2=15000(0.75)"},
		{"an overflow", []*destination.WeightedDst{
			override("a.law.svc.cluster.local:1", math.MaxUint32), override("b.law.svc.cluster.local:1", 1),
		}, "the weights sum to 4294967296; proxies take at most 4294967295"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := answer(route("r", to("a")))
			a.Profile.DstOverrides = test.overrides
			l, err := a.Law(question(9898))
			if err != nil || !strings.Contains(lawText(l), test.want) {
				t.Errorf("%s, %v; want %q", lawText(l), err, test.want)
			}
		})
	}
}

// A policy of 500 routes is read whole.
func TestManyRoutes(t *testing.T) {
	var routes []*outbound.HttpRoute
	for i := range 500 {
		routes = append(routes, on(route(fmt.Sprint("r", i), to("a", regex(fmt.Sprintf("/%d/.*", i)))), exactHost(fmt.Sprint("h", i))))
	}
	q := question(9898)
	q.Probe.Host, q.Probe.Path = "h499", "/499/x"
	l, err := answer(routes...).Law(q)
	if err != nil || len(l.Objects) != 1 || l.Objects[0].Name != "r499" {
		t.Errorf("%+v, %v", l, err)
	}
}
