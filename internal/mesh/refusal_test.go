package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// What ends a discovery is one sentence that names the flag or object, what was seen and what to do.
func TestBadInput(t *testing.T) {
	second := "{apiVersion: v1, kind: Pod, metadata: {name: frontend-7-yyyyy, namespace: test, labels: {app: frontend}}, " +
		"spec: {containers: [{name: nginx}]}, status: {phase: Running, conditions: [{type: Ready, status: \"True\"}]}}"
	for _, row := range []struct {
		name string
		edit func(*Query, *apiServer)
		kind Kind
		want string
	}{
		{
			"namespace", func(q *Query, _ *apiServer) { q.Namespace = "tset" }, KindNotFound,
			"find namespace -n tset: there is no such namespace in context west; did you mean test? There are: default, test",
		},
		{"namespace's name", func(q *Query, _ *apiServer) { q.Namespace = "a/b" }, KindUsage, `read --namespace "a/b": not a namespace's name; name one with -n`},
		{
			"kind of split", func(q *Query, _ *apiServer) { q.Split = "x/podinfo" }, KindUsage,
			`read split "x/podinfo": not a kind of split; write ts/NAME, httproute/NAME, grpcroute/NAME, vs/NAME, traefikservice/NAME, or the name of the root Service`,
		},
		{"several splits", func(q *Query, s *apiServer) {
			q.Split = "podinfo"
			s.put("{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: second, namespace: test}, spec: {service: podinfo, backends: []}}")
		}, KindAmbiguous, `find split "podinfo" in namespace test: 2 TrafficSplits fit; name one; there are: ts/podinfo, ts/second`},
		{
			"no split at all", func(q *Query, s *apiServer) { q.Split = ""; s.drop("trafficsplits/test/podinfo") }, KindNotFound,
			"find split in namespace test: there is no TrafficSplit and no route of a Service; name one, as ts/NAME, and its namespace with -n",
		},
		{
			"deployment", func(q *Query, _ *apiServer) { q.From = "deploy/fronted" }, KindNotFound,
			"find source pod --from deploy/fronted in namespace test: there is no such deployment; did you mean deploy/frontend?",
		},
		{
			"pod", func(q *Query, _ *apiServer) { q.From = "nginx" }, KindNotFound,
			"find source pod --from nginx in namespace test: there is no such pod; there are: deploy/frontend, pod/frontend-7-xxxxx",
		},
		{
			"kind of source", func(q *Query, _ *apiServer) { q.From = "job/x" }, KindUsage,
			`read --from "job/x": no source of this kind; write deploy/NAME, sts/NAME, ds/NAME, rs/NAME or pod/NAME`,
		},
		{
			"both", func(q *Query, _ *apiServer) { q.Selector = "app=frontend" }, KindUsage,
			"find source pod --from and -l: both are given; name the source pod by one of them",
		},
		{"selector", func(q *Query, _ *apiServer) { q.From, q.Selector = "", "app in" }, KindUsage, `read -l "app in": not a label selector; write -l app=frontend`},
		{
			"selector of nothing", func(q *Query, _ *apiServer) { q.From, q.Selector = "", "app=x" }, KindNotFound,
			"find source pod -l app=x in namespace test: there is no such pod; there are: pod/frontend-7-xxxxx",
		},
		{
			"several pods", func(q *Query, s *apiServer) { q.From, q.Selector = "", "app=frontend"; s.put(second) }, KindAmbiguous,
			"find source pod -l app=frontend: 2 running pods fit; name one with --from pod/NAME, or their workload with --from deploy/NAME; " +
				"there are: pod/frontend-7-xxxxx, pod/frontend-7-yyyyy",
		},
		{
			"container", func(q *Query, _ *apiServer) { q.Container = "ngnix" }, KindNotFound,
			`choose container of pod frontend-7-xxxxx with -c "ngnix": it has no such container; did you mean nginx? There are: external, internal, nginx`,
		},
		{
			"the proxy", func(q *Query, _ *apiServer) { q.Container = "linkerd-proxy" }, KindNotFound,
			`choose container of pod frontend-7-xxxxx with -c "linkerd-proxy": requests of the proxy itself are not split, and its image has no shell; there are: external, internal, nginx`,
		},
		{
			"init container", func(q *Query, _ *apiServer) { q.Container = "linkerd-init" }, KindNotFound,
			`choose container of pod frontend-7-xxxxx with -c "linkerd-init": that is an init container; there are: external, internal, nginx`,
		},
		{
			"through", func(q *Query, _ *apiServer) { q.Through = "svc/x" }, KindNotFound,
			"find Service --through svc/x in namespace test: there is no such Service; there are: svc/frontend, svc/podinfo, svc/podinfo-east",
		},
		{"through's kind", func(q *Query, _ *apiServer) { q.Through = "deploy/frontend" }, KindUsage, `read --through "deploy/frontend": not a Service; write svc/NAME`},
		{
			"through without pods", func(q *Query, _ *apiServer) { q.Through = "podinfo-east" }, KindNotFound,
			"find pods of --through svc/podinfo-east: the Service has no selector, so nobody can say which pods draw; name a Service that selects pods",
		},
		{"port", func(q *Query, _ *apiServer) { q.Port = 70000 }, KindUsage, "read port 70000: not a port; name one of 1 to 65535"},
		{
			"forbidden", func(_ *Query, s *apiServer) { s.refuse["/api/v1/namespaces/test/services"] = http.StatusForbidden }, KindForbidden,
			"list Services in namespace test: context west: refused by the test; use a context that may, or have somebody who may grant it",
		},
		{
			"logged out", func(_ *Query, s *apiServer) { s.refuse["/"] = http.StatusUnauthorized }, KindForbidden,
			"connect --context west: the server has asked for the client to provide credentials; log in to the cluster again; to see as whom you are known: kubectl --context west auth whoami",
		},
		{
			"server error", func(_ *Query, s *apiServer) { s.refuse["/apis/split.smi-spec.io"] = http.StatusInternalServerError }, KindServer,
			"list TrafficSplits in namespace test: context west: refused by the test",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			q := query()
			row.edit(&q, west)
			_, err := discover(t, west, east, q)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.Kind != row.kind || e.Error() != row.want {
				t.Errorf("kind %q\ngot  %s\nwant %s", e.Kind, e.Error(), row.want)
			}
		})
	}
}

func TestHostileNamesAreMadeSafe(t *testing.T) {
	west, east := clusters(t)
	q := query()
	q.From = "deploy/\x1b[31mred\n"
	_, err := discover(t, west, east, q)
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%q", err)
	}
	quoting := &Error{Op: "list", Object: "x", Cause: errors.New("server said \x1b[2J\n")}
	if strings.ContainsAny(quoting.Error(), "\x1b\n") {
		t.Errorf("%q", quoting.Error())
	}
	var names []string
	for i := range 25 {
		names = append(names, fmt.Sprintf("n%02d\x07", i))
	}
	got := law.Candidates("", "pods", names)
	if strings.ContainsRune(got, '\a') || !strings.HasSuffix(got, "and 15 more") || strings.Count(got, "n") > 20 {
		t.Errorf("%q", got)
	}
	if long := untrusted.Safe(strings.Repeat("ä", 5000)); len(long) > 510 || !strings.HasSuffix(long, "ä...") {
		t.Errorf("%d bytes, ends %q", len(long), long[len(long)-8:])
	}
}

func TestUnreachable(t *testing.T) {
	t.Run("client's cluster", func(t *testing.T) {
		west, _ := clusters(t)
		c := west.client("west")
		dead := west.client("dead")
		dead = mustConnectNowhere(t, dead)
		_, err := Discover(t.Context(), dead, nil, query())
		var e *Error
		if !errors.As(err, &e) || e.Kind != KindUnreachable || !strings.Contains(e.Error(), "connect --context dead") || !strings.Contains(e.Hint, "127.0.0.1:1") {
			t.Errorf("got %v", err)
		}
		// the other cluster being down is a finding
		s, err := Discover(t.Context(), c, []Remote{{Cluster: "east", Client: dead}}, query())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Clusters) != 2 || s.Clusters[1].Problem == "" || s.Backends[1].RemotePods != nil || s.Backends[1].Mirror.RemoteUnread == "" ||
			len(s.Gateways) != 1 || s.Gateways[0].Unread == "" || len(s.Notes) != 1 {
			t.Errorf("clusters %+v, gateways %+v, notes %q", s.Clusters, s.Gateways, s.Notes)
		}
	})
	t.Run("accepts and never answers", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		defer srv.Close()
		c, err := Connect(&rest.Config{Host: srv.URL, Timeout: 50 * time.Millisecond}, "mute")
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err = Discover(t.Context(), c, nil, query()); !errors.As(err, &e) || e.Kind != KindUnreachable {
			t.Errorf("got %v", err)
		}
	})
	t.Run("is no API server", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\x1b[2J") }))
		defer srv.Close()
		c, err := Connect(&rest.Config{Host: srv.URL}, "web")
		if err != nil {
			t.Fatal(err)
		}
		var e *Error
		if _, err = Discover(t.Context(), c, nil, query()); !errors.As(err, &e) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("got %q", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		west, east := clusters(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Discover(ctx, west.client("west"), []Remote{{Client: east.client("east")}}, query())
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// What may not be read is a note and an unread mark, and the rest is read all the same.
func TestForbiddenThingsAreNoted(t *testing.T) {
	for _, row := range []struct {
		name, west, east string // path prefix that is refused
		note             string
		check            func(law.Snapshot) bool
	}{
		{"node", "/api/v1/nodes", "", "node west-1 of the source pod could not be read", func(s law.Snapshot) bool { return s.Source.Arch == "" }},
		{
			"mirror's endpoints", "/api/v1/namespaces/test/endpoints", "", "endpoints of mirror Service test/podinfo-east could not be read",
			func(s law.Snapshot) bool { return s.Backends[1].Unread != "" && s.Backends[0].Unread == "" },
		},
		{"links", "/apis/multicluster.linkerd.io", "", "Links could not be read", func(s law.Snapshot) bool { return len(s.Links) == 0 && s.Backends[1].Mirror.RemoteExported }},
		{"reviews", "/apis/authorization.k8s.io", "", "permissions could not be asked for", func(s law.Snapshot) bool {
			return !slices.ContainsFunc(s.Access, func(a law.Access) bool { return a.Cluster == "" })
		}},
		{"version", "/version", "", "the version of the client's cluster could not be read", func(s law.Snapshot) bool { return s.Clusters[0].Version == "" }},
		{
			"remote service", "", "/api/v1/namespaces/test/services", "Service test/podinfo of cluster east could not be read",
			func(s law.Snapshot) bool {
				return s.Backends[1].RemotePods == nil && s.Backends[1].Mirror.RemoteUnread != "" && s.Gateways[0].Ready
			},
		},
		{
			"gateway", "", "/api/v1/namespaces/linkerd-multicluster", "the gateway of cluster east could not be read",
			func(s law.Snapshot) bool {
				return !s.Gateways[0].Found && s.Gateways[0].Unread != "" && s.Backends[1].RemotePods != nil
			},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			for server, prefix := range map[*apiServer]string{west: row.west, east: row.east} {
				if prefix != "" {
					server.refuse[prefix] = http.StatusForbidden
				}
			}
			s := mustDiscover(t, west, east, query())
			if !strings.Contains(strings.Join(s.Notes, "\n"), row.note) || !row.check(s) {
				t.Errorf("notes %q, snapshot %+v", s.Notes, s)
			}
		})
	}
}

// EndpointSlices that may not be listed are read as Endpoints.
func TestEndpointsInPlaceOfSlices(t *testing.T) {
	west, east := clusters(t)
	west.refuse["/apis/discovery.k8s.io"] = http.StatusForbidden
	west.put("{apiVersion: v1, kind: Endpoints, metadata: {name: podinfo, namespace: test}, subsets: [{addresses: [{ip: 10.0.0.5, targetRef: {kind: Pod, name: p1}}], " +
		"notReadyAddresses: [{ip: 10.0.0.4, targetRef: {kind: Pod, name: p0}}], ports: [{name: http, port: 9898}]}]}")
	b := mustDiscover(t, west, east, query()).Backends[0]
	want := []law.Endpoint{{Address: "10.0.0.4", Port: 9898, Pod: "p0"}, {Address: "10.0.0.5", Port: 9898, Ready: true, Pod: "p1"}}
	if d := cmp.Diff(want, b.Endpoints); d != "" || b.Unread != "" {
		t.Errorf("%s %s", b.Unread, d)
	}
}

func TestRemoteMatching(t *testing.T) {
	for _, row := range []struct {
		name, cluster, context string
		matched                bool
		err                    string
	}{
		{"by the context's name", "", "east", true, ""},
		{"as the only one", "", "prod-eu-1", true, ""},
		{"by the cluster's name", "east", "prod-eu-1", true, ""},
		{"a cluster that nothing names", "north", "prod-eu-1", false, "match --remote-context north=prod-eu-1: no mirror Service and no Link names cluster north; there are: east"},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			s, err := Discover(t.Context(), west.client("west"), []Remote{{Cluster: row.cluster, Client: east.client(row.context)}}, query())
			if row.err != "" {
				if err == nil || err.Error() != row.err {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m := s.Backends[1].Mirror; m.Context != row.context || !m.RemoteFound {
				t.Errorf("mirror %+v", m)
			}
		})
	}
	t.Run("none given", func(t *testing.T) {
		west, _ := clusters(t)
		s, err := Discover(t.Context(), west.client("west"), nil, query())
		if err != nil {
			t.Fatal(err)
		}
		if s.Backends[1].RemotePods != nil || len(s.Gateways) != 0 || !strings.Contains(strings.Join(s.Notes, "\n"), "no --remote-context leads to cluster east") {
			t.Errorf("notes %q, backend %+v", s.Notes, s.Backends[1])
		}
	})
}
