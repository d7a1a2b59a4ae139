package law

import (
	"math"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// FuzzLaw: whatever an API server gives for a route, a VirtualService or a TraefikService, the resolver ends, and a law
// either says why there is none or sums to one.
func FuzzLaw(f *testing.F) {
	f.Add("{kind: HTTPRoute, metadata: {namespace: test}, spec: {parentRefs: [{kind: Service, name: podinfo}], rules: [{backendRefs: [{name: podinfo, port: 9898, weight: 90}, {name: podinfo-east, port: 9898, weight: 10}]}]}}")
	f.Add("{kind: HTTPRoute, spec: {parentRefs: [{kind: Service, name: podinfo}], rules: [{matches: [{path: {type: RegularExpression, value: '('}}], backendRefs: [{name: a, port: 1, weight: -1}]}]}}")
	f.Add("{kind: GRPCRoute, spec: {parentRefs: [{kind: Service, name: podinfo}], rules: [{matches: [{method: {service: a}}], backendRefs: [{name: a, port: 1}]}]}}")
	f.Add("{kind: VirtualService, metadata: {namespace: test}, spec: {hosts: [podinfo], http: [{match: [{uri: {regex: a+}}], route: [{destination: {host: a, subset: b}, weight: 2147483647}]}]}}")
	f.Add("{kind: TraefikService, metadata: {name: a, namespace: test}, spec: {weighted: {services: [{name: a, kind: TraefikService}, {name: b, port: x, weight: 0}]}}}")
	f.Add("{kind: HTTPRoute, spec: {rules: 1}, status: []}")
	f.Fuzz(func(t *testing.T, text string) {
		j, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			return
		}
		var o map[string]any
		if yaml.Unmarshal(j, &o) != nil || o == nil {
			return
		}
		u := &unstructured.Unstructured{Object: o}
		if meta, ok := o["metadata"]; ok {
			if _, ok := meta.(map[string]any); !ok {
				return // no API server gives such an object
			}
		}
		q := testQuestion()
		r := readRoute(u)
		laws := []*Law{}
		if l, _ := q.byRoutes([]route{r}); l != nil {
			laws = append(laws, l)
		}
		q.provider = ProviderIstio
		v := readVirtualService(u)
		if l, _ := q.byIstio(nil, []virtualService{v}, nil); l != nil {
			laws = append(laws, l)
		}
		q.provider = ProviderTraefik
		tr := readTraefikService(u)
		laws = append(laws, q.byTraefik([]traefikService{tr}, &tr))
		_ = ruleText(u)
		for _, l := range laws {
			sum := 0.0
			for _, b := range l.Backends {
				if b.Probability < 0 || b.Weight < 0 {
					t.Errorf("backend %+v", b)
				}
				sum += b.Probability
			}
			if l.Problem == "" && math.Abs(sum-1) > 1e-9 {
				t.Errorf("probabilities sum to %v: %+v", sum, l)
			}
		}
	})
}

func TestADeletedSplitIsSaidToBeDeleted(t *testing.T) {
	before := Snapshot{Split: Split{ObjectRef: ObjectRef{Kind: "TrafficSplit", Namespace: "test", Name: "podinfo", UID: "u1"}, Found: true}}
	changes := Changes(before, Snapshot{Split: Split{ObjectRef: ObjectRef{Kind: "TrafficSplit", Namespace: "test", Name: "podinfo"}}})
	if len(changes) == 0 || changes[0].String() != "TrafficSplit test/podinfo: there -> deleted" {
		t.Errorf("%v", changes)
	}
}
