package mesh

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/law"
)

// httpRoute is the HTTPRoute with the TrafficSplit's law, as the API server gives it once Linkerd's policy controller has
// accepted it (status as policy-controller/k8s/status/src/index.rs writes it).
const httpRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: podinfo, namespace: test, uid: route-podinfo, resourceVersion: "512", generation: 2, creationTimestamp: "2026-11-02T08:00:00Z"}
spec:
  parentRefs: [{group: core, kind: Service, name: podinfo, port: 9898}]
  rules:
  - backendRefs:
    - {name: podinfo, port: 9898, weight: 90}
    - {name: podinfo-east, port: 9898, weight: 10}
status:
  parents:
  - controllerName: linkerd.io/policy-controller
    parentRef: {group: core, kind: Service, name: podinfo, port: 9898}
    conditions: [{type: Accepted, status: "True", reason: Accepted}, {type: ResolvedRefs, status: "True", reason: ResolvedRefs}]
`

const profileKey = "serviceprofiles/test/podinfo.test.svc.cluster.local"

// withRoute serves the route beside what testdata has.
func withRoute(s *apiServer) {
	s.groups["gateway.networking.k8s.io"] = []string{"v1", "v1beta1"}
	s.put(httpRoute)
}

func TestLawOfRoute(t *testing.T) {
	west, east := clusters(t)
	withRoute(west)
	west.drop(profileKey)
	west.drop("trafficsplits/test/podinfo")
	for _, split := range []string{"httproute/podinfo", "HTTPRoutes.gateway.networking.k8s.io/podinfo", "podinfo", "svc/podinfo", ""} {
		q := query()
		q.Split = split
		s := mustDiscover(t, west, east, q)
		route := law.ObjectRef{
			APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute", Namespace: "test", Name: "podinfo", UID: "route-podinfo",
			ResourceVersion: "512", Generation: 2,
		}
		if d := cmp.Diff(law.Law{
			Provider: law.ProviderLinkerd, Path: law.PathHTTPRoute, Probe: law.Probe{Host: "podinfo"}, NullModel: law.RandomPerRequest,
			Backends: []law.Leaf{
				{Name: "podinfo", Namespace: "test", Service: "podinfo", Port: 9898, Weight: 90, Probability: 0.9},
				{Name: "podinfo-east", Namespace: "test", Service: "podinfo-east", Port: 9898, Weight: 10, Probability: 0.1},
			},
			Objects: []law.ObjectRef{route},
		}, s.Law); d != "" {
			t.Errorf("%q: %s", split, d)
		}
		if d := cmp.Diff(law.Weights{{Service: "podinfo", Weight: 90}, {Service: "podinfo-east", Weight: 10}}, s.Split.Effective); d != "" {
			t.Errorf("%q: %s", split, d)
		}
		if s.Split.ObjectRef != route || !s.Split.Found || s.Split.Root != "podinfo" || s.Split.Differs || s.Split.Short() != "httproute/podinfo" ||
			!strings.Contains(string(s.Split.YAML), "backendRefs") {
			t.Errorf("%q: split %+v", split, s.Split)
		}
		if len(s.Backends) != 2 || !s.Backends[0].IsRoot || s.Backends[1].Mirror == nil || s.Port != 9898 {
			t.Errorf("%q: backends %+v", split, s.Backends)
		}
	}
}

// A ServiceProfile with targets comes before every route, whichever was asked for.
func TestProfileBeatsRoute(t *testing.T) {
	for _, split := range []string{"httproute/podinfo", "ts/podinfo", "podinfo"} {
		west, east := clusters(t)
		withRoute(west)
		q := query()
		q.Split = split
		s := mustDiscover(t, west, east, q)
		if s.Law.Path != law.PathServiceProfile || len(s.Law.Shadowed) != 1 || s.Law.Shadowed[0].Object.Kind != "HTTPRoute" {
			t.Errorf("%s: law %+v", split, s.Law)
		}
		if d := cmp.Diff(law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}, s.Split.Effective); d != "" {
			t.Errorf("%s: %s", split, d)
		}
		if want := split == "httproute/podinfo"; s.Split.Differs != want {
			t.Errorf("%s: differs %v", split, s.Split.Differs)
		}
	}
}
