package told_test

import (
	"os"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/told"
)

// traefikPage is /api/rawdata with these services, in the shape of traefik v3.7's pkg/api/testdata/getrawdata.json, and
// with the Services that the page's weighted ones name.
func traefikPage(services ...string) []byte {
	const server = `: {"loadBalancer": {"servers": [{"url": "http://10.44.0.7:9898"}], "strategy": "wrr", "passHostHeader": true}, ` +
		`"status": "enabled", "serverStatus": {"http://10.44.0.7:9898": "UP"}}`
	for _, name := range []string{"test-podinfo-9898", "test-podinfo-v2-http", "test-other-80"} {
		services = append(services, `"`+name+`@kubernetescrd"`+server)
	}
	return []byte(`{"routers": {}, "middlewares": {}, "services": {` + strings.Join(services, ", ") + `}}`)
}

// What Traefik made of a TraefikService test/split (traefik v3.7, pkg/provider/kubernetes/crd/kubernetes_http.go).
func TestLawOfTraefik(t *testing.T) {
	weighted := func(name, services string) string {
		return `"test-` + name + `@kubernetescrd": {"weighted": {"services": [` + services + `]}, "status": "enabled"}`
	}
	const (
		a = `{"name": "test-podinfo-9898", "weight": 7}`
		b = `{"name": "test-podinfo-v2-http", "weight": 3}`
	)
	for _, test := range []struct {
		name string
		page []byte
		want string
	}{
		{"weighted", traefikPage(weighted("split", a+", "+b)), "test/podinfo:9898=7(0.7) test/podinfo-v2:9898=3(0.3)"},
		{"a weight that is not written is 1", traefikPage(weighted("split", `{"name": "test-podinfo-9898"}, `+b)), "test/podinfo:9898=1(0.25) test/podinfo-v2:9898=3(0.75)"},
		{"a Service that the objects do not name", traefikPage(weighted("split", a+`, {"name": "test-other-80", "weight": 1}`)), "test/podinfo:9898=7(0.875) test/other:80=1(0.125)"},
		{"weighted of weighted", traefikPage(weighted("split", `{"name": "test-inner@kubernetescrd", "weight": 1}, {"name": "test-other-80", "weight": 1}`), weighted("inner", a+", "+b)), "test/podinfo:9898=350000(0.35) test/podinfo-v2:9898=150000(0.15) test/other:80=500000(0.5)"},
		{"a mirror", traefikPage(`"test-split@kubernetescrd": {"mirroring": {"service": "test-podinfo-9898", "mirrors": []}}`), "test/podinfo:9898=1(1)"},
		{"a failover", traefikPage(`"test-split@kubernetescrd": {"failover": {"service": "test-podinfo-9898", "fallback": "test-other-80"}}`), "test/podinfo:9898=1(1)"},
		{"left out", traefikPage(), "Traefik holds no working service test-split@kubernetescrd"},
		{"out of order", traefikPage(`"test-split@kubernetescrd": {"error": ["the service \"x@kubernetescrd\" does not exist"], "status": "disabled"}`), "Traefik holds no working service test-split@kubernetescrd: the service \"x@kubernetescrd\" does not exist"},
		{"zeros", traefikPage(weighted("split", `{"name": "test-podinfo-9898", "weight": 0}`)), "sum to nothing"},

		{"in a ring", traefikPage(weighted("split", `{"name": "test-split@kubernetescrd", "weight": 1}`)), "error: the service test-split@kubernetescrd that Traefik holds is nested more than 8 deep"},
		{"many", traefikPage(weighted("split", strings.Repeat(a+", ", 300)+a)), "error: the service that Traefik holds leads to more than 256 backends"},
		{"by the client's address", traefikPage(`"test-split@kubernetescrd": {"highestRandomWeight": {"services": []}}`), "draws in a way that this program does not know"},
		{"of another provider", traefikPage(weighted("split", `{"name": "x@file", "weight": 1}`), `"x@file": {"loadBalancer": {}}`), "error: which Service and port is behind the service x@file that Traefik holds cannot be told"},
		{"no JSON", []byte("<html>"), "error: what Traefik shows of its services cannot be read"},
		{"no page", nil, "error: Traefik does not show what it holds: its API is not enabled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := law.Question{
				Split: law.ObjectRef{Kind: "TraefikService", Namespace: "test", Name: "split"},
				Backends: []law.Leaf{
					{Namespace: "test", Service: "podinfo", Port: 9898}, {Namespace: "test", Service: "podinfo-v2", Port: 9898},
				},
			}
			var pages [][]byte
			if test.page != nil {
				pages = [][]byte{test.page}
			}
			held, err := told.ReadTraefik(pages)
			var l law.Law
			if err == nil {
				l, err = held.Law(q)
			}
			got := lawText(l)
			if err != nil {
				got = "error: " + err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// What a real Traefik shows of the objects in testdata/traefik-objects.yaml: recorded from Traefik 3.6.0 with
// providers.kubernetescrd on Kubernetes 1.36.3, on 2026-11-29.
func TestLawOfTraefikRecorded(t *testing.T) {
	page, err := os.ReadFile("testdata/traefik.json")
	if err != nil {
		t.Fatal(err)
	}
	held, err := told.ReadTraefik([][]byte{page})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"weighted":   ": test/podinfo:9898=7(0.7) test/podinfo-v2:9898=3(0.3)",
		"unweighted": ": test/podinfo:9898=1(0.25) test/podinfo-v2:9898=3(0.75)",
		"nested":     ": test/podinfo:9898=350000(0.35) test/podinfo-v2:9898=150000(0.15) test/podinfo-v2:9898=500000(0.5)",
		"mirror":     ": test/podinfo:9898=1(1)",
		"sticky":     "sticky []: test/podinfo:9898=1(0.5) test/podinfo-v2:9898=1(0.5)",
		"missing":    "Traefik holds no working service test-missing@kubernetescrd",
		"no-port":    "Traefik holds no working service test-no-port@kubernetescrd",
		"zeros":      "the weights of the service test-zeros@kubernetescrd that Traefik holds sum to nothing",
		"two-ports":  "which Service and port is behind the service test-podinfo-v2-grpc-web@kubernetescrd that Traefik holds cannot be told",
	} {
		q := law.Question{
			Split:    law.ObjectRef{Kind: "TraefikService", Namespace: "test", Name: name},
			Backends: []law.Leaf{{Namespace: "test", Service: "podinfo", Port: 9898}, {Namespace: "test", Service: "podinfo-v2", Port: 9898}},
		}
		if name == "two-ports" {
			q.Backends[0] = law.Leaf{Namespace: "test", Service: "podinfo-v2", Port: 9999}
		}
		l, err := held.Law(q)
		got := string(l.NullModel) + lawText(l)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s\nwant %s", name, got, want)
		}
	}
}
