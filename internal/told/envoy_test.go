package told_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/told"
)

// routesPage is a page as Envoy 1.40.0 writes it, with the routes of one virtual host.
func routesPage(name, domains, routes string) []byte {
	return []byte(fmt.Sprintf(`{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump.DynamicRouteConfig",
 "version_info": "2026-11-28T20:00:00Z/7", "route_config": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
 "name": %q, "virtual_hosts": [{"name": "podinfo", "domains": [%s], "include_request_attempt_count": true, "routes": [%s]}],
 "validate_clusters": false}, "last_updated": "2026-11-28T20:00:00.000Z"}]}`, name, domains, routes))
}

const (
	everything = `"match": {"prefix": "/"}`
	split      = `"route": {"weighted_clusters": {"clusters": [
 {"name": "outbound|9898||podinfo.law.svc.cluster.local", "weight": 70},
 {"name": "outbound|9898|v2|podinfo.law.svc.cluster.local", "weight": 30}], "total_weight": 100}, "timeout": "0s",
 "retry_policy": {"num_retries": 2}}`
	toA = `"route": {"cluster": "a"}`
	toB = `"route": {"cluster": "law/b:80"}`
)

// Which route and which clusters are drawn, as Envoy's documentation of config.route.v3 has it.
func TestLawOfEnvoy(t *testing.T) {
	route := func(match, action string) string { return "{" + match + ", " + action + "}" }
	one := func(routes ...string) []byte { return routesPage("9898", `"*"`, strings.Join(routes, ", ")) }
	for _, test := range []struct {
		name string
		page []byte
		want string // the law, or what the error says
	}{
		{"weighted clusters of Istio", one(route(everything, split)), "law/podinfo:9898=70(0.7) law/podinfo:9898=30(0.3)"},
		{"one cluster", one(route(everything, toA)), ": law/a:0=1(1)"},
		{"the first route that fits", one(route(`"match": {"path": "/x"}`, toA), route(everything, toB), route(everything, toA)), ": law/b:80=1(1)"},
		{"a regex of the whole path", one(route(`"match": {"safe_regex": {"regex": "/a"}}`, toA), route(`"match": {"safe_regex": {"google_re2": {}, "regex": "/ap.*"}}`, toB)), ": law/b:80"},
		{"segments", one(route(`"match": {"path_separated_prefix": "/ap"}`, toA), route(`"match": {"path_separated_prefix": "/api"}`, toB)), ": law/b:80"},
		{"headers", one(route(`"match": {"prefix": "/", "headers": [{"name": "x-canary", "string_match": {"exact": "2"}}]}`, toA), route(`"match": {"prefix": "/", "headers": [{"name": "X-Canary", "string_match": {"prefix": "1"}}, {"name": ":method", "string_match": {"exact": "GET"}}]}`, toB)), ": law/b:80"},
		{"a header that must not be there", one(route(`"match": {"prefix": "/", "headers": [{"name": "x-canary", "present_match": true, "invert_match": true}]}`, toA), route(everything, toB)), ": law/b:80"},
		{"query", one(route(`"match": {"prefix": "/", "query_parameters": [{"name": "v", "string_match": {"exact": "3"}}]}`, toA), route(`"match": {"prefix": "/", "query_parameters": [{"name": "v", "present_match": true}]}`, toB)), ": law/b:80"},
		{"gRPC alone", one(route(`"match": {"prefix": "/", "grpc": {}}`, toA), route(everything, toB)), ": law/b:80"},
		{"a fraction, and the rest", one(route(`"match": {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 25}}}`, toA), route(everything, toB)), ": law/a:0=250000(0.25) law/b:80=750000(0.75)"},
		{"a direct response", one(route(everything, `"direct_response": {"status": 503}`)), ": 503=1(1)"},
		{"a redirect", one(route(everything, `"redirect": {"path_redirect": "/x", "response_code": "FOUND"}`)), ": 302=1(1)"},
		{"nothing fits", one(route(`"match": {"path": "/x"}`, toA)), "no route of the client's Envoy fits GET /api/x"},
		{"the port's own routes", routesPage("podinfo.law.svc.cluster.local:9898", `"*"`, route(everything, toA)), ": law/a:0"},
		{"the black hole", one(route(everything, `"route": {"cluster": "BlackHoleCluster"}`)), ": 502=1(1)"},

		{"no such host", routesPage("9898", `"other", "*.example"`, route(everything, toA)), `error: the client's Envoy holds no routes for host "podinfo" and port 9898`},
		{"no page", nil, "error: the client's Envoy holds no routes"},
		{"no JSON", []byte("<html>"), "error: the routes that Envoy shows cannot be read"},
		{"a later match", one(route(`"match": {"prefix": "/", "quantum": {}}`, toA)), "error: a route of Envoy that may take the request has a match that this program does not know"},
		{"a regex that does not compile", one(route(`"match": {"safe_regex": {"regex": "("}}`, toA)), "error: a route of Envoy that may take the request has a regular expression"},
		{"a draw by a header", one(route(everything, `"route": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1}], "header_name": "x"}}`)), "error: a route of Envoy that may take the request has a way to choose a cluster"},
		{"another action", one(route(everything, `"route": {"cluster_header": "x"}`)), "has a way to choose a cluster"},
		{"a fault", one(route(everything, toA+`, "typed_per_filter_config": {"envoy.filters.http.fault": {"abort": {"http_status": 503}}}`)), "has an injected fault"},
		{"a fraction by the runtime", one(route(`"match": {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 1}, "runtime_key": "k"}}`, toA)), "has a fraction"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := question(9898)
			q.Probe.Path, q.Probe.Header = "/api/x?v=2", map[string]string{"x-canary": "12"}
			l, err := envoyLaw(test.page, q)
			got := lawText(l)
			if err != nil {
				got = "error: " + err.Error()
			}
			if !strings.Contains(got, test.want) || strings.HasPrefix(test.want, "error") != (err != nil) && !strings.HasPrefix(test.want, "has") {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// Domains go before one another as Envoy has them, and what they lead to is told apart by subset.
func TestEnvoyDomains(t *testing.T) {
	hosts := ""
	for i, d := range []string{"*", "podinfo.*", "*.law", "podinfo.law", "podinfo.law:9898"} {
		if hosts += fmt.Sprintf(`{"domains": [%q], "routes": [{%s, "route": {"cluster": "c%d"}}]}`, d, everything, i); i < 4 {
			hosts += ","
		}
	}
	page := []byte(`{"configs": [{"route_config": {"name": "80", "virtual_hosts": []}}, {"route_config": {"name": "9898", "virtual_hosts": [` + hosts + `]}}]}`)
	for host, want := range map[string]string{"x": "c0", "podinfo.x": "c1", "y.law": "c2", "podinfo.law": "c3"} {
		q := law.Question{Root: law.Service{Namespace: "law", Name: "podinfo"}, Port: 9898, Probe: law.Probe{Host: host}}
		l, err := envoyLaw(page, q)
		if err != nil || len(l.Backends) != 1 || l.Backends[0].Service != want {
			t.Errorf("%s: %+v, %v; want %s", host, l.Backends, err, want)
		}
	}
}

func envoyLaw(page []byte, q law.Question) (law.Law, error) {
	e, err := told.ReadEnvoy([][]byte{page})
	if err != nil {
		return law.Law{}, err
	}
	return e.Law(q)
}
