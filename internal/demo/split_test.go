package demo

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// observe sends n requests over 8 connections and counts who answered.
func observe(t *testing.T, c *Clusters, meshed bool, url string, n int) map[string]int64 {
	t.Helper()
	client := clientAt(t, c, meshed)
	var mu sync.Mutex
	seen := map[string]int64{}
	var wg sync.WaitGroup
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	for range 8 {
		wg.Go(func() {
			for range todo {
				a, err := tryGet(t.Context(), client, url)
				var who string
				switch {
				case err != nil:
					who = err.Error()
				case strings.Contains(a.body, "greetings from west"):
					who = backendWest
				case strings.Contains(a.body, "greetings from east"):
					who = backendEast
				default:
					who = fmt.Sprint(a.status, " ", a.header.Get(proxyErrorHeader))
				}
				mu.Lock()
				seen[who]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return seen
}

// The counts of a seed are facts of math/rand/v2's PCG, which Go promises to keep: with these weights and 2,000
// requests, they are the same whatever order eight connections come in.
func TestDrawsFollowWeightsAndSeed(t *testing.T) {
	t.Parallel()
	counts := func(seed uint64, west, east int64) map[string]int64 {
		c := start(t, Options{Seed: seed, GatewayDelay: 1})
		if err := c.SetWeights(west, east); err != nil {
			t.Fatal(err)
		}
		seen := observe(t, c, true, "http://podinfo:9898/", 2000)
		if d := cmp.Diff(seen, c.Draws()); d != "" {
			t.Errorf("seen (-) and drawn (+) differ:\n%s", d)
		}
		return seen
	}
	first := counts(1, 50, 50)
	if d := cmp.Diff(first, counts(1, 50, 50)); d != "" {
		t.Errorf("one seed gave two counts:\n%s", d)
	}
	if cmp.Equal(first, counts(2, 50, 50)) && cmp.Equal(first, counts(3, 50, 50)) {
		t.Error("three seeds gave one count")
	}
	// Within 5 standard deviations: for a fixed seed this holds or does not; that it held says that the weights matter.
	if got, want := first[backendEast], 1000.0; math.Abs(float64(got)-want) > 5*math.Sqrt(500) {
		t.Errorf("%d of 2000 at 50/50", got)
	}
	if got, want := counts(1, 90, 10)[backendEast], 200.0; math.Abs(float64(got)-want) > 5*math.Sqrt(180) {
		t.Errorf("%d of 2000 at 90/10", got)
	}
}

func TestZeroWeightsGetNothing(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1})
	if err := c.SetWeights(0, 7); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int64{backendEast: 200}, observe(t, c, true, "http://podinfo:9898/", 200)); d != "" {
		t.Error(d)
	}
}

func TestTrueWeightsOverrule(t *testing.T) {
	t.Parallel()
	c := start(t, Options{Seed: 1, GatewayDelay: 1, TrueWeights: map[string]int64{backendWest: 65, backendEast: 35}})
	got := observe(t, c, true, "http://podinfo:9898/", 2000)[backendWest]
	if math.Abs(float64(got)-1300) > 5*math.Sqrt(2000*0.65*0.35) {
		t.Errorf("%d of 2000 at a true 65/35", got)
	}
	o, ok := c.west.store.get(splitKey())
	if w := weightsOf(o); !ok || !cmp.Equal(w, []string{"50", "50"}) {
		t.Errorf("the split says %v", w)
	}
	if err := c.SetTrueWeights(0, 1); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int64{backendEast: 50}, observe(t, c, true, "http://podinfo:9898/", 50)); d != "" {
		t.Error(d)
	}
	if c.SetTrueWeights(-1, 1) == nil || c.SetTrueWeights(0, 0) == nil || c.SetWeights(0, 0) == nil {
		t.Error("impossible weights were taken")
	}
}

func TestThroughFrontend(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1})
	observe(t, c, false, "http://frontend:8080/", 100) // nginx draws, whoever asks it
	if d := c.Draws(); d[backendWest]+d[backendEast] != 100 || d[backendEast] == 0 || d[backendWest] == 0 {
		t.Errorf("draws %v", d)
	}
	before := c.Draws()
	if d := cmp.Diff(map[string]int64{backendEast: 20}, observe(t, c, true, "http://frontend:8080/east", 20)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before, c.Draws()); d != "" {
		t.Errorf("requests to a backend count as draws:\n%s", d)
	}
}

func TestOffMesh(t *testing.T) {
	c := start(t, Options{OffMesh: true})
	if d := cmp.Diff(map[string]int64{backendWest: 100}, observe(t, c, false, "http://podinfo:9898/", 100)); d != "" {
		t.Error(d)
	}
	_, err := tryGet(t.Context(), clientAt(t, c, false), "http://podinfo-east:9898/")
	if !errors.Is(err, io.EOF) {
		t.Errorf("podinfo-east gave %v, want an empty reply", err)
	}
	if d := cmp.Diff(map[string]int64{backendWest: 20}, observe(t, c, false, "http://frontend:8080/", 20)); d != "" {
		t.Error(d)
	}
	if a := get(t, clientAt(t, c, false), "http://frontend:8080/east"); a.status != http.StatusBadGateway {
		t.Errorf("frontend/east: %+v", a)
	}
}

func TestGatewayDown(t *testing.T) {
	c := start(t, Options{GatewayDown: true})
	if d := cmp.Diff(map[string]int64{backendWest: 100}, observe(t, c, true, "http://podinfo:9898/", 100)); d != "" {
		t.Error(d)
	}
	a := get(t, clientAt(t, c, true), "http://podinfo-east:9898/")
	if a.status != 503 || !strings.Contains(a.header.Get(proxyErrorHeader), "route default.http: service unavailable") {
		t.Errorf("podinfo-east: %+v", a)
	}
}

// What moves the data plane is the profile; the split moves it through the adaptor.
func TestDataPlaneFollowsWrites(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1})
	client := untyped(t, c, "west")
	patch := func(plural, name, body string) *unstructured.Unstructured {
		t.Helper()
		gvr := splits
		if plural == "serviceprofiles" {
			gvr.Group, gvr.Resource = "linkerd.io", plural
		}
		o, err := client.Resource(gvr).Namespace("test").Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "tester"})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	shares := func() string { return fmt.Sprint(c.plane.split.declared().now().shares) }
	check := func(what, want string) {
		t.Helper()
		if got := shares(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("at first", "[{podinfo 50000} {podinfo-east 50000}]")
	o := patch("trafficsplits", "podinfo", `{"spec":{"backends":[{"service":"podinfo","weight":"500m"},{"service":"podinfo-east","weight":2}]}}`)
	check("split", "[{podinfo 500} {podinfo-east 2000}]")
	if o.GetGeneration() != 2 || o.GetManagedFields()[1].Manager != "tester" {
		t.Errorf("metadata %v", o.Object["metadata"])
	}
	patch("serviceprofiles", "podinfo.test.svc.cluster.local", `{"spec":{"dstOverrides":[{"authority":"podinfo-east.test.svc.cluster.local:9898","weight":"0"}]}}`)
	check("profile of one with weight 0", "[{podinfo-east 0}]")
	if d := cmp.Diff(map[string]int64{backendWest: 20}, observe(t, c, true, "http://podinfo:9898/", 20)); d != "" {
		t.Errorf("all weights 0: %s", d)
	}
	patch("serviceprofiles", "podinfo.test.svc.cluster.local", `{"spec":{"dstOverrides":[{"authority":"podinfo-east.test.svc.cluster.local:9898","weight":"1"}]}}`)
	check("profile of one", "[{podinfo-east 1000}]")
	patch("trafficsplits", "podinfo", `{"spec":{"backends":[{"service":"podinfo","weight":"half"}]}}`)
	check("unreadable weight", "[{podinfo-east 1000}]")
	patch("trafficsplits", "podinfo", `{"metadata":{"labels":{"a":"b"}},"spec":{"backends":[{"service":"podinfo","weight":3},{"service":"ghost","weight":1}]}}`)
	check("unknown backend", "[{podinfo 3000} {ghost 1000}]")
	if err := client.Resource(splits).Namespace("test").Delete(t.Context(), "podinfo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	check("deleted", "[]")
	c.plane.skew.Store(int64(discoveryIdle)) // or it stays in force
	if d := cmp.Diff(map[string]int64{backendWest: 20}, observe(t, c, true, "http://podinfo:9898/", 20)); d != "" {
		t.Errorf("without a split: %s", d)
	}
	if c.SetWeights(1, 1) == nil {
		t.Error("a split that is not there took weights")
	}
	again := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit", "metadata": map[string]any{"name": "podinfo"},
		"spec": map[string]any{"service": "podinfo", "backends": []any{map[string]any{"service": "podinfo", "weight": int64(1)}}},
	}}
	made, err := client.Resource(splits).Namespace("test").Create(t.Context(), again, metav1.CreateOptions{})
	if err != nil || made.GetUID() == o.GetUID() || made.GetAPIVersion() != "split.smi-spec.io/v1alpha2" {
		t.Errorf("created %v, error %v", made, err)
	}
	check("created", "[{podinfo 1000}]")
}

// A route's weights as Linkerd takes them: 1 where none is written, and a single backend gets everything.
func TestDataPlaneFollowsTheRoute(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1, Route: true})
	routes := schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	client := untyped(t, c, "west").Resource(routes).Namespace("test")
	for _, row := range []struct{ refs, want string }{
		{`{"name":"podinfo","port":9898},{"name":"podinfo-east","port":9898,"weight":3}`, "[{podinfo 1} {podinfo-east 3}]"},
		{`{"name":"podinfo-east","port":9898,"weight":0}`, "[{podinfo-east 1}]"},
		{`{"name":"podinfo","port":9898,"weight":0},{"name":"podinfo-east","port":9898,"weight":2}`, "[{podinfo 0} {podinfo-east 2}]"},
	} {
		if _, err := client.Patch(t.Context(), "podinfo", types.MergePatchType, []byte(`{"spec":{"rules":[{"backendRefs":[`+row.refs+`]}]}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.plane.split.declared().now().shares); got != row.want {
			t.Errorf("%s: %s, want %s", row.refs, got, row.want)
		}
	}
}

// A split that comes or goes under traffic has no effect until its client was silent for 5 s or is another pod; one that
// changes has at once (seen on edge-26.8.3).
func TestASplitThatComesOrGoesUnderTraffic(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1})
	client := untyped(t, c, "west").Resource(splits).Namespace("test")
	old, err := client.Get(t.Context(), "podinfo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	east := func(what string, want bool) {
		t.Helper()
		if got := observe(t, c, true, "http://podinfo:9898/", 60)[backendEast]; (got > 0) != want { // 1 in 2^60
			t.Errorf("%s: %d of 60 in east", what, got)
		}
	}
	east("at first", true)
	if err := client.Delete(t.Context(), "podinfo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	east("deleted under traffic", true)
	c.plane.skew.Add(int64(discoveryIdle))
	east("after silence", false)
	old.SetResourceVersion("")
	if _, err := client.Create(t.Context(), old, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	east("created under traffic", false)
	c.plane.skew.Add(int64(discoveryIdle))
	east("after silence again", true)
	if err := c.SetWeights(1, 0); err != nil {
		t.Fatal(err)
	}
	east("changed under traffic", false)
}

// A stale path heals by silence.
func TestAStalePathHeals(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1, StalePath: true})
	tr := &http.Transport{DialContext: c.dialer(vantage{cluster: "west", pod: frontendPod(c), meshed: true})}
	defer tr.CloseIdleConnections()
	for _, want := range []string{"greetings from west", "greetings from west", "greetings from east"} {
		if want == "greetings from east" {
			c.plane.skew.Add(int64(discoveryIdle))
		} else if err := c.SetWeights(0, 1); err != nil {
			t.Fatal(err)
		}
		if a := get(t, &http.Client{Transport: tr}, "http://podinfo:9898/"); !strings.Contains(a.body, want) {
			t.Errorf("%+v, want %s", a, want)
		}
	}
}

// A backend that dies gives 504 for 3 s, then the others have its weight (seen on edge-26.8.3).
func TestADeadBackendFailsFast(t *testing.T) {
	c := start(t, Options{GatewayDelay: 1})
	if err := c.SetWeights(0, 1); err != nil {
		t.Fatal(err)
	}
	gateway := typed(t, c, "east").AppsV1().Deployments("linkerd-multicluster")
	scale := func(replicas int) {
		t.Helper()
		if _, err := gateway.Patch(t.Context(), "linkerd-gateway", types.StrategicMergePatchType,
			fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	scale(0)
	began := time.Now()
	a := get(t, clientAt(t, c, true), "http://podinfo:9898/")
	if took := time.Since(began); a.status != 504 || took > failFast+5*time.Second || took < failFast-time.Second {
		t.Errorf("after %v: %+v", took, a)
	}
	if err := c.SetWeights(50, 50); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int64{backendWest: 50}, observe(t, c, true, "http://podinfo:9898/", 50)); d != "" {
		t.Errorf("after 3 s:\n%s", d)
	}
	if a := get(t, clientAt(t, c, true), "http://localhost:4191/metrics"); !strings.Contains(a.body, "backend_name=\"podinfo-east\"") ||
		!regexp.MustCompile(`gate_shut_total\{.*podinfo-east.* 1\n`).MatchString(a.body) {
		t.Errorf("counters:\n%s", a.body)
	}
	scale(1)
	if got := observe(t, c, true, "http://podinfo:9898/", 60)[backendEast]; got == 0 {
		t.Error("it did not come back")
	}
}

func TestStaleWritesConflict(t *testing.T) {
	c := start(t, Options{})
	client := untyped(t, c, "west").Resource(splits).Namespace("test")
	o, err := client.Get(t.Context(), "podinfo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stale := o.DeepCopy()
	o.SetLabels(map[string]string{"a": "b"})
	newer, err := client.Update(t.Context(), o, metav1.UpdateOptions{})
	if err != nil || newer.GetResourceVersion() == o.GetResourceVersion() || newer.GetGeneration() != 1 {
		t.Errorf("update: %v, error %v", newer, err)
	}
	if _, err := client.Update(t.Context(), stale, metav1.UpdateOptions{}); err == nil || !strings.Contains(err.Error(), "modified") {
		t.Errorf("stale update: %v", err)
	}
}

func BenchmarkRequests(b *testing.B) {
	c, err := Start(b.Context(), Options{GatewayDelay: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	tr := &http.Transport{DialContext: c.dialer(vantage{cluster: "west", meshed: true}), MaxIdleConnsPerHost: 64}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for b.Loop() {
		if _, err := tryGet(b.Context(), client, "http://podinfo:9898/"); err != nil {
			b.Fatal(err)
		}
	}
}
