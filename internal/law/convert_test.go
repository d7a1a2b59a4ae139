package law

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, doc string) *unstructured.Unstructured {
	t.Helper()
	j, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, doc)
	}
	u := &unstructured.Unstructured{} // its decoder keeps whole numbers whole, as client-go's does
	if err := u.UnmarshalJSON(j); err != nil {
		t.Fatalf("%v in:\n%s", err, doc)
	}
	return u
}

func splitWith(t *testing.T, backends string) Sources {
	t.Helper()
	return Sources{
		Split:   object(t, "{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: podinfo, namespace: test}, spec: {service: podinfo, backends: ["+backends+"]}}"),
		Ports:   []Port{{Name: "http", Port: 9898}},
		Version: "gateway.networking.k8s.io/v1",
	}
}

// Expected weights by hand: thousandths, reduced by their greatest common divisor; the rest is toDstOverrides of linkerd2's
// controller/api/destination/profile_translator.go and convert_dst_override of linkerd2-proxy's
// service-profiles/src/proto.rs.
func TestConvert(t *testing.T) {
	for _, row := range []struct {
		name, backends string
		want           []Weight
		warning, err   string
	}{
		{"fifty fifty", "{service: podinfo, weight: 50}, {service: podinfo-east, weight: 50}", []Weight{{"podinfo", 1}, {"podinfo-east", 1}}, "", ""},
		{"quantities", "{service: a, weight: 500m}, {service: b, weight: 1}", []Weight{{"a", 1}, {"b", 2}}, "", ""},
		{"fractions", "{service: a, weight: 0.5}, {service: b, weight: '0.125'}", []Weight{{"a", 4}, {"b", 1}}, "", ""},
		{"a part of a thousandth counts as one", "{service: a, weight: 1u}, {service: b, weight: 2m}", []Weight{{"a", 1}, {"b", 2}}, "", ""},
		{"zero stays", "{service: a, weight: 90}, {service: b, weight: 0}", []Weight{{"a", 1}, {"b", 0}}, "", ""},
		{"duplicates add up", "{service: a, weight: 1}, {service: b, weight: 2}, {service: a, weight: 3}", []Weight{{"a", 2}, {"b", 1}}, "", ""},
		{"one backend", "{service: b, weight: 7}", []Weight{{"b", 1}}, "", ""},
		{"one backend of weight 0: the root", "{service: b, weight: 0}", []Weight{{"podinfo", 1}}, "every weight of the split is 0", ""},
		{"all zero: the root", "{service: a, weight: 0}, {service: b, weight: 0}", []Weight{{"podinfo", 1}}, "every weight of the split is 0", ""},
		{
			"all zero, and a name with a dot is lost", "{service: podinfo, weight: 0}, {service: podinfo.web.svc.cluster.local, weight: 0}",
			[]Weight{{"podinfo", 1}},
			`"podinfo.web.svc.cluster.local" is lost`, "",
		},
		{"none: the root", "", []Weight{{"podinfo", 1}}, "every weight of the split is 0", ""},
		{"too large for a route", "{service: a, weight: 400000}, {service: b, weight: 7m}", []Weight{{"a", 1000000}, {"b", 1}}, "scaled to 1000000", ""},
		{"negative", "{service: a, weight: -1}", nil, "", `spec.backends[0].weight is "-1": weights cannot be negative`},
		{"percent", "{service: a, weight: 50%}", nil, "", `"50%": not a quantity`},
		{"overflow", "{service: a, weight: 400000}, {service: b, weight: 400000}", nil, "", "proxies take at most"},
		{"another namespace", "{service: a.prod, weight: 1}, {service: b, weight: 1}", []Weight{{"a.prod", 1}, {"b", 1}}, `"a.prod" is no Service of namespace test`, ""},
		{"a full name", "{service: a.prod.svc.cluster.local, weight: 1}", []Weight{{"a.prod.svc.cluster.local", 1}}, "is no Service of namespace test", ""},
		{"not a name", "{service: a.b.c, weight: 1}", nil, "", `"a.b.c" is not the name of a Service`},
		{"too many", many(17), nil, "", "17 backends; a rule of an HTTPRoute takes 16 at most"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, err := Convert(splitWith(t, row.backends), 0)
			if (err != nil) != (row.err != "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Fatalf("error %v", err)
			}
			if d := cmp.Diff(row.want, c.Law); d != "" {
				t.Error(d)
			}
			if row.err == "" && row.warning != "" && !strings.Contains(c.Warnings[0], row.warning) {
				t.Errorf("first warning %q", c.Warnings[0])
			}
		})
	}
}

func many(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("{service: s%d, weight: 1}", i))
	}
	return strings.Join(parts, ", ")
}

func TestConvertPorts(t *testing.T) {
	s := splitWith(t, "{service: a, weight: 1}, {service: b, weight: 1}")
	s.Ports = append(s.Ports, Port{Name: "grpc", Port: 9999})
	c, err := Convert(s, 9999)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.YAML("head\nline")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`# head\nline` + "\n", "name: podinfo-9999\n", "port: 9999\n", "# - the split holds for every port of podinfo, the route for port 9999 alone; see --port for 9898.\n"} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	s.Ports = nil
	if _, err := Convert(s, 0); err == nil || !strings.Contains(err.Error(), "name it with --port") {
		t.Errorf("no port: %v", err)
	}
	if c, err := Convert(s, 80); err != nil || !strings.Contains(c.Warnings[0], "was not seen") {
		t.Errorf("a port that nobody saw: %v, %q", err, c.Warnings)
	}
}

// The route resolves to the same probabilities as the split: 500 splits drawn at random, seed 13.
func TestConvertKeepsTheLaw(t *testing.T) {
	draw := rand.New(rand.NewPCG(13, 1))
	forms := []string{"%d", "'%d'", "%dm", "0.%03d", "%dk"}
	for range 500 {
		var parts []string
		for i := range 1 + draw.IntN(6) {
			form := forms[draw.IntN(len(forms))]
			w := draw.IntN(100) * draw.IntN(2)
			parts = append(parts, fmt.Sprintf("{service: s%d, weight: "+form+"}", i, w))
		}
		backends := strings.Join(parts, ", ")
		s := splitWith(t, backends)
		split, leaves := readSplit(s.Split)
		ws, _, err := effective("podinfo", leaves)
		if err != nil || split.WeightErr != nil {
			t.Fatal(err, split.WeightErr)
		}
		c, err := Convert(s, 0)
		if err != nil {
			t.Fatalf("%s: %v", backends, err)
		}
		got := lawOfRoute(t, c)
		var sum int64
		for _, w := range ws {
			sum += w.Weight
		}
		for _, w := range ws {
			if want := float64(w.Weight) / float64(sum); math.Abs(got[w.Service]-want) > 6e-6 { // each of six weights is off by a millionth of the largest at most
				t.Errorf("%s: %s has %v in the route, %v in the split", backends, w.Service, got[w.Service], want)
			}
		}
	}
}

// lawOfRoute resolves a converted route as the client's proxy would, by backend.
func lawOfRoute(t *testing.T, c Conversion) map[string]float64 {
	t.Helper()
	b, err := c.YAML("")
	if err != nil {
		t.Fatal(err)
	}
	r := readRoute(accept(object(t, string(b))))
	law, shadowed := testQuestion().byRoutes([]route{r})
	if law == nil || law.Problem != "" {
		t.Fatalf("law %+v, shadowed %+v of\n%s", law, shadowed, b)
	}
	got, sum := map[string]float64{}, 0.0
	for _, x := range law.Backends {
		got[x.Name] = x.Probability
		sum += x.Probability
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("probabilities sum to %v", sum)
	}
	return got
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

// testQuestion asks about Service podinfo of namespace test, port 9898; every Service is there with that port.
func testQuestion() question {
	return question{
		names: "test", root: "podinfo", rootNS: "test", clientNS: "test", port: 9898, provider: ProviderLinkerd,
		probe: Probe{Host: "podinfo"},
		service: func(ns, name string) (Service, bool) {
			return Service{Namespace: ns, Name: name, Found: true, Ports: []Port{{Name: "http", Port: 9898}}}, true
		},
	}
}
