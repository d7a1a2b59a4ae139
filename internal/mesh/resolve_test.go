package mesh

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/law"
)

// lawCase is one row of testdata/laws.yaml: objects as an API server gives them, a question, and what Linkerd, Istio or Traefik
// make of them by the source that it names.
type lawCase struct {
	Name     string           `json:"name"`
	Source   string           `json:"source"` // where the expectation comes from
	Split    string           `json:"split"`  // default: podinfo
	Port     int32            `json:"port"`
	Client   string           `json:"client"`  // namespace of the source pod, where it is not test
	Proxy    string           `json:"proxy"`   // name of its proxy's container; default linkerd-proxy
	Env      []any            `json:"env"`     // of its proxy
	Through  string           `json:"through"` // Service whose pods draw
	Probe    law.Probe        `json:"probe"`
	Objects  []map[string]any `json:"objects"`
	Accept   *bool            `json:"accept"` // routes bear the status of a controller that took them on; default true
	Want     map[string]any   `json:"want"`
	NotServe []string         `json:"notServe"` // groups that the API server does not have
	Policy   bool             `json:"policy"`   // Linkerd's own HTTPRoutes are served in place of the Gateway API's
	Both     bool             `json:"both"`     // they are served beside them
}

// world serves the objects of a row besides two Services, podinfo and podinfo-v2 with ports 9898 and 9999, and the pod.
func (c lawCase) world(t *testing.T) *apiServer {
	t.Helper()
	s := newServer(t, "testdata/west.yaml")
	s.drop("trafficsplits/test/podinfo")
	s.drop(profileKey)
	for group, versions := range map[string][]string{
		"gateway.networking.k8s.io": {"v1", "v1alpha2"}, "networking.istio.io": {"v1"}, "traefik.io": {"v1alpha1"},
	} {
		s.groups[group] = versions
	}
	if c.Policy {
		s.groups[policyGroup] = []string{"v1beta3"}
		delete(s.groups, "gateway.networking.k8s.io")
	}
	if c.Both {
		s.groups[policyGroup] = []string{"v1beta3"}
	}
	for _, g := range c.NotServe {
		delete(s.groups, g)
	}
	s.put("{apiVersion: v1, kind: Service, metadata: {name: podinfo-v2, namespace: test}, spec: {clusterIP: 10.1.0.20, selector: {app: v2}, ports: [{name: http, port: 9898}, {name: grpc, port: 9999}]}}")
	s.put("{apiVersion: v1, kind: Namespace, metadata: {name: web}}")
	pod := s.object("pods/test/frontend-7-xxxxx")
	ns := "test"
	if c.Client != "" {
		ns = c.Client
		moved := map[string]any{}
		for k, v := range pod {
			moved[k] = v
		}
		meta := map[string]any{}
		for k, v := range pod["metadata"].(map[string]any) {
			meta[k] = v
		}
		meta["namespace"] = ns
		moved["metadata"] = meta
		s.objects["pods/"+ns+"/frontend-7-xxxxx"] = moved
	}
	if c.Proxy != "" {
		s.set("pods/"+ns+"/frontend-7-xxxxx", "spec/containers/0/name", c.Proxy)
		s.set("pods/"+ns+"/frontend-7-xxxxx", "status/containerStatuses/0/name", c.Proxy)
	}
	if c.Env != nil {
		s.set("pods/"+ns+"/frontend-7-xxxxx", "spec/containers/0/env", c.Env)
	}
	s.byGroup = c.Both
	for _, o := range c.Objects {
		u := &unstructured.Unstructured{Object: o}
		if _, ok := o["status"]; !ok && (c.Accept == nil || *c.Accept) && strings.HasSuffix(u.GetKind(), "Route") {
			accept(u)
		}
		b, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		s.put(string(b))
	}
	return s
}

// TestLaws resolves recorded situations on the real wire of an API server: every version, every pair of precedence, zeros,
// duplicates, quantities, names and ports that do not fit.
func TestLaws(t *testing.T) {
	b, err := os.ReadFile("testdata/laws.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []lawCase
	if err := yaml.UnmarshalStrict(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 60 {
		t.Fatalf("%d cases: that is not the whole table", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.Source == "" {
				t.Error("no source of the expectation")
			}
			q := Query{Namespace: "test", Split: c.Split, From: "pod/frontend-7-xxxxx", FromNamespace: c.Client, Port: c.Port, Probe: c.Probe, Through: c.Through, SplitOnly: true}
			if q.Split == "" {
				q.Split = "podinfo"
			}
			s, err := Discover(t.Context(), c.world(t).client("west"), nil, q)
			got := map[string]any{}
			if err != nil {
				got["error"] = err.Error()
			} else {
				got = lawAsTold(s)
			}
			for key, want := range c.Want {
				have := got[key]
				if w, ok := want.(string); ok && (key == "problem" || key == "error" || key == "weightErr" || key == "shadowed" || key == "unread") {
					if h, _ := have.(string); w == "" && h != "" || !strings.Contains(h, w) {
						t.Errorf("%s: got %v\nwant %s", key, have, w)
					}
					continue
				}
				if d := cmp.Diff(fmt.Sprint(want), fmt.Sprint(have)); d != "" {
					t.Errorf("%s: %s", key, d)
				}
			}
		})
	}
}

// lawAsTold is a Snapshot's law as the table writes it.
func lawAsTold(s law.Snapshot) map[string]any {
	out := map[string]any{
		"path": string(s.Law.Path), "rule": s.Law.Rule, "model": string(s.Law.NullModel), "provider": string(s.Law.Provider), "problem": s.Law.Problem,
		"answers": "", "split": "", "differs": s.Split.Differs, "allZero": s.Split.AllZero,
	}
	if s.Split.Found {
		out["split"] = s.Split.Short()
	}
	if s.Split.WeightErr != nil {
		out["weightErr"] = s.Split.WeightErr.Error()
	}
	var law []string
	sum := 0.0
	for _, b := range s.Law.Backends {
		law = append(law, fmt.Sprintf("%s=%.4g", b.Name, b.Probability))
		sum += b.Probability
		if b.Problem != "" && out["problem"] == "" {
			out["problem"] = b.Problem
		}
		if b.ProxyStatus != 0 {
			out["answers"] = fmt.Sprint(b.Name, "=", b.ProxyStatus) // those of the client's proxy itself
		}
	}
	out["law"] = strings.Join(law, " ")
	if len(law) > 0 && math.Abs(sum-1) > 1e-9 {
		out["law"] = fmt.Sprintf("%s, which sum to %v", out["law"], sum)
	}
	var objects, shadowed []string
	for _, o := range s.Law.Objects {
		objects = append(objects, o.String())
	}
	for _, o := range s.Law.Shadowed {
		shadowed = append(shadowed, o.Object.String()+": "+o.Why)
	}
	var settings []string
	for _, set := range s.Law.Settings {
		settings = append(settings, set.String())
	}
	out["settings"], out["unread"] = strings.Join(settings, "; "), s.Law.Unread
	out["objects"], out["shadowed"] = strings.Join(objects, ", "), strings.Join(shadowed, "; ")
	return out
}

// accept adds the status that Linkerd's policy controller writes for each parent.
func accept(u *unstructured.Unstructured) *unstructured.Unstructured {
	refs, _, _ := unstructured.NestedSlice(u.Object, "spec", "parentRefs")
	var parents []any
	for _, p := range refs {
		parents = append(parents, map[string]any{
			"controllerName": "linkerd.io/policy-controller", "parentRef": p,
			"conditions": []any{map[string]any{"type": "Accepted", "status": "True", "reason": "Accepted"}},
		})
	}
	u.Object["status"] = map[string]any{"parents": parents}
	return u
}
