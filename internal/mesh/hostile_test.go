package mesh

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
)

// listFrom lists HTTPRoutes of a server that answers as it likes.
func listFrom(t *testing.T, answer http.HandlerFunc) error {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	c, err := Connect(&rest.Config{Host: srv.URL, BearerToken: "secret"}, "west")
	if err != nil {
		t.Fatal(err)
	}
	routes := schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	_, err = c.pages(t.Context(), routes, "test")
	return err
}

// However an answer is packed, so much of it is read and no more.
func TestAnswersHaveAnEnd(t *testing.T) {
	var sent int
	fill := func(w io.Writer) {
		b := []byte(strings.Repeat(" ", 1<<20))
		for range 4096 { // 4 GiB
			if _, err := w.Write(b); err != nil {
				return
			}
			sent++
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, _ *http.Request) { fill(w) },
		"gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			fill(z)
		},
	} {
		t.Run(name, func(t *testing.T) {
			sent = 0
			if err := listFrom(t, answer); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
				t.Errorf("after %d MiB: %v", sent, err)
			}
		})
	}
}

// A list has so many items and pages, whatever the server says of its continuation.
func TestListsHaveAnEnd(t *testing.T) {
	calls := 0
	page := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			calls++
			item := map[string]any{
				"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": map[string]any{"name": "x"},
			}
			items := make([]any, n)
			for i := range items {
				items[i] = item
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{
				"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRouteList",
				"metadata": map[string]any{"continue": fmt.Sprint(calls)}, "items": items,
			})
		}
	}
	for name, n := range map[string]int{"empty pages": 0, "huge page": 20_000} {
		t.Run(name, func(t *testing.T) {
			calls = 0
			if err := listFrom(t, page(n)); err == nil || calls > maxPages || !strings.Contains(err.Error(), "more than 5000 httproutes") {
				t.Errorf("after %d calls: %v", calls, err)
			}
		})
	}
}

// client-go would give the token to whatever host it is sent on to.
func TestNothingFollowsRedirectsElsewhere(t *testing.T) {
	seen := make(chan string, 10)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Authorization") }))
	defer thief.Close()
	err := listFrom(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
	})
	if err == nil || !strings.Contains(err.Error(), "redirect") {
		t.Error(err)
	}
	select {
	case token := <-seen:
		t.Errorf("another host was asked, with %q", token)
	default:
	}
}

// What a list of one kind holds of another is none of its objects.
func TestListsOfOtherKinds(t *testing.T) {
	for _, kind := range []string{"Secret", "HTTPRouteList", "TrafficSplit", "GRPCRoute", "TCPRoute", "VirtualService"} {
		west, east := clusters(t)
		west.groups["gateway.networking.k8s.io"] = []string{"v1"}
		parent := map[string]any{"group": "core", "kind": "Service", "name": "podinfo", "port": 9898}
		west.objects["httproutes/test/evil"] = map[string]any{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": "evil", "namespace": "test"},
			"spec": map[string]any{
				"parentRefs": []any{parent},
				"rules":      []any{map[string]any{"backendRefs": []any{map[string]any{"name": "podinfo-east", "port": 9898}}}},
			},
			"status": map[string]any{"parents": []any{map[string]any{
				"controllerName": "linkerd.io/policy-controller", "parentRef": parent,
				"conditions": []any{map[string]any{"type": "Accepted", "status": "True"}},
			}}},
		}
		q := query()
		for _, q.Split = range []string{"ts/podinfo", "podinfo", "httproute/podinfo"} {
			s, err := discover(t, west, east, q)
			if err != nil || slices.ContainsFunc(s.Law.Objects, func(o law.ObjectRef) bool { return o.Name == "evil" }) {
				t.Errorf("%s, asked for %s: the law is that of %+v, %v", kind, q.Split, s.Law.Objects, err)
			}
		}
		if names, err := Splits(t.Context(), west.client("west"), "test"); err != nil || slices.Contains(names, "httproute/evil") {
			t.Errorf("%s: offered are %q, %v", kind, names, err)
		}
	}
}
