package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/law"
)

// tellerFunc answers as a control plane or a proxy of a test does.
type tellerFunc struct {
	reach func()
	ask   func(law.Pod, law.Question) (law.Law, error)
}

func (f tellerFunc) Reach(_ context.Context, pod law.Pod, _ law.Provider) (Ask, error) {
	if f.reach != nil {
		f.reach()
	}
	return func(_ context.Context, q law.Question) (law.Law, error) { return f.ask(pod, q) }, nil
}

const controlPlane = `
apiVersion: v1
kind: Pod
metadata: {name: linkerd-destination-7, namespace: linkerd, labels: {linkerd.io/control-plane-component: destination}}
status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
`

// Who is asked, what for, and what becomes of it where nobody can be asked.
func TestTell(t *testing.T) {
	for _, test := range []struct {
		name  string
		west  func(*apiServer)
		err   error
		use   law.Use
		why   string // "": a law was told, or with asked false nothing was
		asked bool
	}{
		{"told", func(s *apiServer) { s.put(controlPlane) }, nil, law.UseAuto, "", true},
		{"it refuses", func(s *apiServer) { s.put(controlPlane) }, errors.New("no such Service"), law.UseAuto, "no such Service", true},
		{"objects alone", func(s *apiServer) { s.put(controlPlane) }, nil, law.UseObjects, "", false},
		{"nobody is there", func(*apiServer) {}, nil, law.UseAuto, "", false},
		{"nobody is there, and must be", func(*apiServer) {}, nil, law.UseTold, "has no pod with the label", false},
		{"it is not ready", func(s *apiServer) {
			s.put(strings.Replace(controlPlane, `status: "True"`, `status: "False"`, 1))
		}, nil, law.UseAuto, "is ready", false},
		{"not allowed", func(s *apiServer) { s.refuse["/api/v1/namespaces/linkerd/pods"] = 403 }, nil, law.UseAuto, "no permission to list pods in namespace linkerd", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			west, east := clusters(t)
			test.west(west)
			asked := false
			q := query()
			q.Use = test.use
			q.Teller = tellerFunc{ask: func(pod law.Pod, q law.Question) (law.Law, error) {
				asked = true
				if pod.Namespace+"/"+pod.Name != "linkerd/linkerd-destination-7" || q.Root.Name != "podinfo" || q.Port != 9898 ||
					q.Client.Name == "" || q.Client.Node == "" || q.Probe.Host != "podinfo" {
					t.Errorf("pod %s/%s is asked %+v", pod.Namespace, pod.Name, q)
				}
				return law.Law{
					Path: law.PathServiceProfile, NullModel: law.RandomPerRequest,
					Backends: []law.Leaf{{Namespace: "test", Service: "podinfo-east", Port: 9898, Weight: 1, Probability: 1}},
				}, test.err
			}}
			s := mustDiscover(t, west, east, q)
			heard := s.Told != nil && s.Told.Why == ""
			switch {
			case asked != test.asked || heard != (test.asked && test.why == ""):
				t.Errorf("asked %v, heard %v: %+v", asked, heard, s.Told)
			case test.why != "" && (s.Told == nil || !strings.Contains(s.Told.Why, test.why)):
				t.Errorf("%+v, want %q", s.Told, test.why)
			case heard && (!s.Told.Differs() || s.Law.Backends[0].Name != "podinfo-east" || s.Split.Effective[0].Weight != 1):
				t.Errorf("the law is not what was told: %+v", s.Law)
			case !heard && len(s.Split.Effective) != 2:
				t.Errorf("the objects do not serve: %+v", s.Split.Effective)
			}
		})
	}
}

// Of two installs the one is asked that the client's proxy dials, whatever labels say.
func TestTellOfTwoControlPlanes(t *testing.T) {
	for _, test := range []struct{ label, dialled, want string }{
		{"", "", "linkerd"},
		{"linkerd-b", "", "linkerd-b"},
		{"", "linkerd-dst-headless.linkerd-b.svc.cluster.local.:8086", "linkerd-b"},
		{"linkerd", "linkerd-dst-headless.linkerd-b.svc.example.:8086", "linkerd-b"},
		{"linkerd-b", "localhost.:8086", "linkerd-b"},
	} {
		west, east := clusters(t)
		west.put(controlPlane)
		west.put(strings.ReplaceAll(controlPlane, "namespace: linkerd,", "namespace: linkerd-b,"))
		const client = "pods/test/frontend-7-xxxxx"
		west.set(client, "metadata/labels", map[string]any{"app": "frontend", "linkerd.io/control-plane-ns": test.label})
		west.set(client, "spec/containers/0/env", []any{map[string]any{"name": envDestination, "value": test.dialled}})
		q := query()
		q.Use = law.UseAuto
		q.Teller = tellerFunc{ask: func(pod law.Pod, _ law.Question) (law.Law, error) {
			return law.Law{}, errors.New("it is " + pod.Namespace)
		}}
		if s := mustDiscover(t, west, east, q); s.Told == nil || s.Told.Why != "it is "+test.want {
			t.Errorf("label %q, dialled %q: %+v, want %s", test.label, test.dialled, s.Told, test.want)
		}
	}
}

// A proxy without a control plane that could be asked is asked itself: the client's Envoy, or the Traefik that draws.
func TestTellOfTheProxyThatDraws(t *testing.T) {
	for name, test := range map[string]struct {
		west     func(*apiServer)
		q        func(*Query)
		provider law.Provider // "": nobody is asked
	}{
		"Envoy": {func(s *apiServer) { s.set("pods/test/frontend-7-xxxxx", "spec/containers/0/name", "istio-proxy") }, func(*Query) {}, law.ProviderIstio},
		"Traefik": {func(s *apiServer) {
			s.put("{apiVersion: traefik.io/v1alpha1, kind: TraefikService, metadata: {name: podinfo, namespace: test}, spec: {weighted: {services: [{name: podinfo, port: 9898}]}}}")
		}, func(q *Query) { q.Split, q.Through = "traefikservice/podinfo", "svc/frontend" }, law.ProviderTraefik},
		"a Traefik that was not named": {func(s *apiServer) {
			s.put("{apiVersion: traefik.io/v1alpha1, kind: TraefikService, metadata: {name: podinfo, namespace: test}, spec: {weighted: {services: [{name: podinfo, port: 9898}]}}}")
		}, func(q *Query) { q.Split = "traefikservice/podinfo" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			west, east := clusters(t)
			west.put(controlPlane)
			west.groups["traefik.io"] = []string{"v1alpha1"}
			test.west(west)
			q := query()
			test.q(&q)
			q.Use = law.UseAuto
			q.Teller = tellerFunc{ask: func(pod law.Pod, q law.Question) (law.Law, error) {
				return law.Law{}, fmt.Errorf("it is %s/%s of %s", pod.Namespace, pod.Name, q.Split.Kind)
			}}
			s := mustDiscover(t, west, east, q)
			if test.provider == "" {
				if s.Told != nil {
					t.Errorf("%+v", s.Told)
				}
				return
			}
			want := "it is test/frontend-7-xxxxx of " + s.Split.Kind
			if s.Told == nil || s.Told.Why != want || !s.Told.Own || s.Law.Provider != test.provider {
				t.Errorf("%+v of %s, want %s", s.Told, s.Law.Provider, want)
			}
		})
	}
}

// What asking needs is optional, and is left out where nobody is asked.
func TestTellAccessIsOptional(t *testing.T) {
	for _, command := range []string{CommandCheck, CommandPlan, CommandRun} {
		for _, use := range []law.Use{law.UseAuto, law.UseObjects} {
			q := query()
			q.Use = use
			all, err := Needs(t.Context(), nil, command, q, false)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(all, func(a law.Access) bool { return a.What() == "pods/portforward" })
			switch {
			case (i >= 0) != (use == law.UseAuto):
				t.Errorf("%s --law %s: pods/portforward at %d", command, use, i)
			case i >= 0 && (!all[i].Optional || all[i].Verb != "create" || all[i].Namespace != "linkerd"):
				t.Errorf("%s: %+v", command, all[i])
			}
		}
	}
}
