package mesh

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/splitbench/splitbench/internal/law"
)

// clusters are the two of testdata, not yet started, so that a test can edit them first.
func clusters(t *testing.T) (west, east *apiServer) {
	t.Helper()
	return newServer(t, "testdata/west.yaml"), newServer(t, "testdata/east.yaml")
}

func query() Query { return Query{Namespace: "test", Split: "ts/podinfo", From: "deploy/frontend"} }

func discover(t *testing.T, west, east *apiServer, q Query) (law.Snapshot, error) {
	t.Helper()
	return Discover(t.Context(), west.client("west"), []Remote{{Client: east.client("east")}}, q)
}

func mustDiscover(t *testing.T, west, east *apiServer, q Query) law.Snapshot {
	t.Helper()
	s, err := discover(t, west, east, q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDiscoverHealthy(t *testing.T) {
	west, east := clusters(t)
	s := mustDiscover(t, west, east, query())

	if len(s.Notes) != 0 {
		t.Errorf("notes of a healthy pair of clusters: %q", s.Notes)
	}
	ports := []law.Port{{Name: "http", Port: 9898}, {Name: "grpc", Port: 9999}}
	root := law.Service{
		Namespace: "test", Name: "podinfo", Found: true, UID: "svc-podinfo", ClusterIP: "10.1.0.10",
		Selector: map[string]string{"app": "podinfo"}, Ports: ports,
	}
	want := []law.Backend{
		{Name: "podinfo", Weight: 50, IsRoot: true, Service: root, Port: 9898, Endpoints: []law.Endpoint{
			{Address: "10.0.0.5", Port: 9898, Ready: true, Pod: "podinfo-1-aaaaa"},
			{Address: "10.0.0.6", Port: 9898, Ready: true, Pod: "podinfo-1-bbbbb"},
			{Address: "fd00::5", Port: 9898, Ready: true, Pod: "podinfo-1-aaaaa"},
		}},
		{
			Name: "podinfo-east", Weight: 50, Port: 9898,
			Service: law.Service{Namespace: "test", Name: "podinfo-east", Found: true, UID: "svc-podinfo-east", ClusterIP: "10.1.0.11", Ports: ports},
			Mirror: &law.Mirror{
				Cluster: "east", Remote: "test/podinfo", Context: "east", RemoteFound: true, RemoteExported: true,
				RemoteReady: 1, Mode: law.MirrorGateway, GatewayIdentity: "gateway.east.example",
			},
			Endpoints:  []law.Endpoint{{Address: "192.0.2.10", Port: 4143, Ready: true}},
			RemotePods: []string{"podinfo-2-ccccc", "podinfo-2-ddddd"},
		},
	}
	// What only checks ask is tested in facts_test.go.
	facts := cmp.Options{
		cmpopts.IgnoreFields(law.Backend{}, "Pods"),
		cmpopts.IgnoreFields(law.Mirror{}, "RemoteService", "RemoteSplit", "RemoteSplitWhy", "Slices", "SlicesWhy", "SliceIdentities", "Credentials", "CredentialsWhy"),
	}
	if d := cmp.Diff(want, s.Backends, facts); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(root, s.Root); d != "" {
		t.Error(d)
	}
	if got := s.Backends[0].PodNames(); !cmp.Equal(got, []string{"podinfo-1-aaaaa", "podinfo-1-bbbbb"}) {
		t.Errorf("pods of podinfo: %q", got)
	}
	if d := cmp.Diff(law.Split{
		ObjectRef: law.ObjectRef{
			Kind: "TrafficSplit", APIVersion: "split.smi-spec.io/v1alpha2", Namespace: "test", Name: "podinfo", UID: "ts-podinfo",
			ResourceVersion: "427", Generation: 3,
		},
		Found: true, Root: "podinfo",
		Declared:      []law.Declared{{Service: "podinfo", Raw: "50"}, {Service: "podinfo-east", Raw: "50"}},
		Effective:     law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}},
		EffectiveFrom: "ServiceProfile test/podinfo.test.svc.cluster.local", LastWriter: "flagger",
		Drivers: []string{"flagger, which wrote fields of it"},
		Profile: law.Profile{State: law.ProfileFound, Namespace: "test", Name: "podinfo.test.svc.cluster.local", UID: "sp-podinfo", Overrides: 2},
	}, s.Split, cmpopts.IgnoreFields(law.Split{}, "YAML", "LastWritten"), cmpopts.IgnoreFields(law.Profile{}, "Created")); d != "" {
		t.Error(d)
	}
	if text := string(s.Split.YAML); !strings.Contains(text, "weight: 50") || strings.Contains(text, "managedFields") {
		t.Errorf("stored YAML:\n%s", text)
	}
	p := s.Source
	if p.Name != "frontend-7-xxxxx" || p.Container != "nginx" || !p.Meshed || !p.ProxyReady || p.ProxyRestarts != 2 || !p.Ready ||
		p.Problem != "" || p.OS != "linux" || p.Arch != "arm64" || p.ImageID != "sha256:1" || !cmp.Equal(p.WritableDirs, []string{"/tmp"}) {
		t.Errorf("source pod: %+v", p)
	}
	if d := cmp.Diff([]law.Gateway{{
		Cluster: "east", Context: "east", Namespace: "linkerd-multicluster", Name: "linkerd-gateway", Found: true,
		Addresses: []string{"192.0.2.10"}, Ready: true, Identity: "gateway.east.example", Pods: law.PodSet{Sight: law.Absent},
	}}, s.Gateways); d != "" {
		t.Error(d)
	}
	if slices.ContainsFunc(s.Access, func(a law.Access) bool { return !a.Allowed }) || s.Port != 9898 {
		t.Errorf("access %+v, port %d", s.Access, s.Port)
	}
	// The number of calls is part of the contract: it depends on mirrors and clusters, never on pods.
	reads := func(calls []string) int {
		return len(slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return strings.Contains(c, "accessreviews") }))
	}
	if reads(west.calls) > 24 || reads(east.calls) > 14 || len(west.calls) > 45 || len(east.calls) > 22 {
		t.Errorf("%d calls to west, %d to east:\n%s", len(west.calls), len(east.calls), strings.Join(west.calls, "\n"))
	}
}

// Every served version, and the newest where several are; weights as number and as the string that a CRD without conversion
// gives in every version.
func TestTrafficSplitVersions(t *testing.T) {
	for _, row := range []struct {
		served []string
		want   string
	}{
		{[]string{"v1alpha1"}, "v1alpha1"},
		{[]string{"v1alpha1", "v1alpha2"}, "v1alpha2"},
		{[]string{"v1alpha3", "v1alpha2"}, "v1alpha3"},
		{[]string{"v1alpha2", "v1alpha4", "v1alpha3"}, "v1alpha4"},
		{[]string{"v1", "v1alpha2"}, "v1alpha2"}, // a version that nobody has specified is not read
	} {
		for _, weight := range []any{"500m", 0.5, "0.5"} {
			t.Run(fmt.Sprint(row.want, " ", weight), func(t *testing.T) {
				west, east := clusters(t)
				west.groups["split.smi-spec.io"] = row.served
				west.set("trafficsplits/test/podinfo", "spec/backends/0/weight", weight)
				west.set("trafficsplits/test/podinfo", "spec/backends/1/weight", 1)
				delete(west.groups, "linkerd.io") // else they are told by a ServiceProfile
				s := mustDiscover(t, west, east, query())
				if s.Split.APIVersion != "split.smi-spec.io/"+row.want {
					t.Errorf("read as %s", s.Split.APIVersion)
				}
				if d := cmp.Diff(law.Weights{{Service: "podinfo", Weight: 500}, {Service: "podinfo-east", Weight: 1000}}, s.Split.Effective); d != "" {
					t.Error(d)
				}
				if s.Split.EffectiveFrom != "TrafficSplit test/podinfo" || s.Split.Profile.State != law.ProfileNotServed {
					t.Errorf("from %s, profile %s", s.Split.EffectiveFrom, s.Split.Profile.State)
				}
			})
		}
	}
}

func TestWeightsThatCannotBeUsed(t *testing.T) {
	for _, row := range []struct {
		path  string
		value any
		want  string
	}{
		{"spec/backends/1/weight", -1, `TrafficSplit test/podinfo: spec.backends[1].weight is "-1": weights cannot be negative: proxies would read a very large one`},
		{"spec/backends/1/weight", "50%", `TrafficSplit test/podinfo: spec.backends[1].weight is "50%": not a quantity; want a whole number such as 50, or a quantity such as 500m`},
		{"spec/backends/0/weight", 5000000, `TrafficSplit test/podinfo: spec.backends[0].weight is "5000000": too large: proxies take at most 429496.729, a larger weight wraps around`},
		{"spec/backends/0/weight", nil, `TrafficSplit test/podinfo: spec.backends[0].weight is "": there is no weight; want a whole number such as 50, or a quantity such as 500m`},
		{"spec/backends/0", "x", `TrafficSplit test/podinfo: spec.backends[0] is "string": not an object`},
		{"spec/backends/0/service", nil, `TrafficSplit test/podinfo: spec.backends[0].service is "": not the name of a Service`},
		{"spec/backends", "x", `TrafficSplit test/podinfo: spec.backends is "string": not a list`},
		{"spec/service", nil, `TrafficSplit test/podinfo: spec.service is "": names no root Service`},
	} {
		t.Run(row.path+fmt.Sprint(row.value), func(t *testing.T) {
			west, east := clusters(t)
			west.set("trafficsplits/test/podinfo", row.path, row.value)
			delete(west.groups, "linkerd.io")
			s := mustDiscover(t, west, east, query())
			if s.Split.WeightErr == nil || s.Split.WeightErr.Error() != row.want {
				t.Errorf("got  %v\nwant %s", s.Split.WeightErr, row.want)
			}
			if len(s.Split.Effective) != 0 {
				t.Errorf("effective weights all the same: %v", s.Split.Effective)
			}
		})
	}
}

func TestProfileIsObeyed(t *testing.T) {
	const profile = "serviceprofiles/test/podinfo.test.svc.cluster.local"
	for _, row := range []struct {
		name    string
		edit    func(*apiServer)
		from    string // namespace of the source pod, where not test
		want    law.Weights
		differs bool
		allZero bool
		weight  string // part of WeightErr
		state   law.ProfileState
	}{
		{
			name: "other weights", edit: func(s *apiServer) { s.set(profile, "spec/dstOverrides/0/weight", "90") },
			want: law.Weights{{Service: "podinfo", Weight: 90}, {Service: "podinfo-east", Weight: 50}}, differs: true,
		},
		{name: "same law in other numbers", edit: func(s *apiServer) {
			s.set(profile, "spec/dstOverrides/0/weight", 1)
			s.set(profile, "spec/dstOverrides/1/weight", "1000m")
		}, want: law.Weights{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east", Weight: 1}}},
		{name: "a backend is left out", edit: func(s *apiServer) {
			s.set(profile, "spec/dstOverrides", []any{map[string]any{"authority": "podinfo.test.svc.cluster.local:8081", "weight": "1"}})
		}, want: law.Weights{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east", Weight: 0}}, differs: true},
		{name: "a backend in another namespace", edit: func(s *apiServer) {
			s.set(profile, "spec/dstOverrides/1/authority", "podinfo.prod.svc.cluster.local")
		}, want: law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 0}, {Service: "podinfo.prod", Weight: 50}}, differs: true},
		{
			name: "no overrides", edit: func(s *apiServer) { s.set(profile, "spec/dstOverrides", nil) },
			want: law.Weights{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east", Weight: 0}}, differs: true,
		},
		{name: "all zero", edit: func(s *apiServer) {
			s.set(profile, "spec/dstOverrides/0/weight", "0")
			s.set(profile, "spec/dstOverrides/1/weight", "0")
		}, want: law.Weights{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east", Weight: 0}}, differs: true, allZero: true},
		{
			name: "negative", edit: func(s *apiServer) { s.set(profile, "spec/dstOverrides/1/weight", "-1") },
			differs: true, weight: "ServiceProfile test/podinfo.test.svc.cluster.local: spec.dstOverrides[1].weight",
		},
		{name: "the split is broken, the profile is not", edit: func(s *apiServer) {
			s.set("trafficsplits/test/podinfo", "spec/backends/0/weight", "abc")
		}, want: law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}, differs: true, weight: "spec.backends[0].weight"},
		{
			name: "no such API", edit: func(s *apiServer) { delete(s.groups, "linkerd.io") }, state: law.ProfileNotServed,
			want: law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}},
		},
		{
			name: "forbidden", edit: func(s *apiServer) { s.refuse["/apis/linkerd.io/v1alpha2"] = http.StatusForbidden }, state: law.ProfileUnread,
			want: law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}},
		},
		{name: "client's namespace first", from: "web", edit: func(s *apiServer) {
			s.put("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: podinfo.test.svc.cluster.local, namespace: web}, " +
				"spec: {dstOverrides: [{authority: podinfo.test.svc.cluster.local, weight: 1}]}}")
		}, want: law.Weights{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east", Weight: 0}}, differs: true},
		{name: "client's namespace without overrides hides too", from: "web", edit: func(s *apiServer) {
			s.put("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: podinfo.test.svc.cluster.local, namespace: web}, spec: {}}")
		}, want: law.Weights{{Service: "podinfo", Weight: 1}, {Service: "podinfo-east", Weight: 0}}, differs: true},
		{name: "another namespace's is nobody's", edit: func(s *apiServer) {
			s.put("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: podinfo.test.svc.cluster.local, namespace: web}, spec: {}}")
		}, want: law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}},
		{name: "another root's", edit: func(s *apiServer) {
			s.put("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: podinfo-x.test.svc.cluster.local, namespace: test}, spec: {}}")
		}, want: law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			row.edit(west)
			q := query()
			q.FromNamespace = row.from
			if row.from != "" {
				q.From = "" // its pods are of no interest here
			}
			s := mustDiscover(t, west, east, q).Split
			if d := cmp.Diff(row.want, s.Effective); d != "" {
				t.Error(d)
			}
			if s.Differs != row.differs || s.AllZero != row.allZero {
				t.Errorf("differs %v, all zero %v", s.Differs, s.AllZero)
			}
			if row.state == "" {
				row.state = law.ProfileFound
			}
			if s.Profile.State != row.state {
				t.Errorf("profile %s", s.Profile.State)
			}
			if (s.WeightErr != nil) != (row.weight != "") || s.WeightErr != nil && !strings.Contains(s.WeightErr.Error(), row.weight) {
				t.Errorf("weight error %v", s.WeightErr)
			}
			if strings.HasPrefix(row.name, "client's") && s.Profile.Hides != "test/podinfo.test.svc.cluster.local" {
				t.Errorf("hides %q", s.Profile.Hides)
			}
		})
	}
}

func TestSplitIsMissing(t *testing.T) {
	t.Run("deleted, the profile stays", func(t *testing.T) {
		west, east := clusters(t)
		west.drop("trafficsplits/test/podinfo")
		s := mustDiscover(t, west, east, query())
		if s.Split.Found || s.Split.Root != "podinfo" || s.Split.Why != "there is no TrafficSplit podinfo in namespace test" {
			t.Errorf("split %+v", s.Split)
		}
		if d := cmp.Diff(law.Weights{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}}, s.Split.Effective); d != "" {
			t.Error(d)
		}
	})
	t.Run("a route that is not there", func(t *testing.T) {
		west, east := clusters(t)
		q := query()
		q.Split = "httproute/gone"
		if s := mustDiscover(t, west, east, q).Split; s.Found || s.Kind != "HTTPRoute" || s.Why != "there is no HTTPRoute gone in namespace test" {
			t.Errorf("split %+v", s)
		}
	})
	t.Run("a Service that nothing splits", func(t *testing.T) {
		west, east := clusters(t)
		west.drop("trafficsplits/test/podinfo")
		q := query()
		q.Split = "podinfo"
		if s := mustDiscover(t, west, east, q).Split; !s.Found || s.Short() != "sp/podinfo.test.svc.cluster.local" || s.Differs {
			t.Errorf("the profile that stays: split %+v", s)
		}
		west.drop(profileKey)
		const want = "nothing splits Service podinfo in namespace test: there is no ServiceProfile, TrafficSplit, GRPCRoute, HTTPRoute, TLSRoute or TCPRoute for it, nor one of that name"
		if s := mustDiscover(t, west, east, q).Split; s.Found || !s.AnyKind || s.Why != want {
			t.Errorf("split %+v", s)
		}
	})
	t.Run("no such API", func(t *testing.T) {
		west, east := clusters(t)
		clear(west.groups)
		s := mustDiscover(t, west, east, query())
		if s.Split.Found || !strings.Contains(s.Split.Why, "serves no TrafficSplits") || !s.Root.Found {
			t.Errorf("split %+v, root %+v", s.Split, s.Root)
		}
		if names, err := Splits(t.Context(), west.client("west"), "test"); err != nil || len(names) != 0 {
			t.Errorf("splits %q, %v", names, err)
		}
	})
	t.Run("a mirror is missing too", func(t *testing.T) {
		west, east := clusters(t)
		west.drop("services/test/podinfo-east")
		delete(east.object("services/test/podinfo")["metadata"].(map[string]any)["labels"].(map[string]any), "mirror.linkerd.io/exported")
		b := mustDiscover(t, west, east, query()).Backends[1]
		if b.Service.Found || b.Mirror == nil || !b.Mirror.Supposed || !b.Mirror.RemoteFound || b.Mirror.RemoteExported || len(b.RemotePods) != 2 {
			t.Errorf("backend %+v, mirror %+v", b, b.Mirror)
		}
	})
}

func TestSplitNames(t *testing.T) {
	west, east := clusters(t)
	west.put("{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: canary, namespace: test}, spec: {service: web, backends: []}}")
	for _, row := range []struct{ split, want string }{
		{"ts/podinfo", "podinfo"},
		{"trafficsplit/podinfo", "podinfo"},
		{"TrafficSplits.split.smi-spec.io/podinfo", "podinfo"},
		{"podinfo", "podinfo"},
		{"svc/podinfo", "podinfo"},
		{"web", "canary"},
		{"canary", "canary"}, // by root, then by its own name
	} {
		q := query()
		q.Split = row.split
		s := mustDiscover(t, west, east, q).Split
		if !s.Found || s.Name != row.want {
			t.Errorf("%s: %v %s", row.split, s.Found, s.Name)
		}
	}
	if names, err := Splits(t.Context(), west.client("west"), "test"); err != nil || !cmp.Equal(names, []string{"ts/canary", "ts/podinfo"}) {
		t.Errorf("splits %q, %v", names, err)
	}
	west.put("{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: second, namespace: test}, spec: {service: podinfo, backends: []}}")
	if s := mustDiscover(t, west, east, query()).Split; !cmp.Equal(s.Rivals, []string{"ts/second"}) || !cmp.Equal(s.Others, []string{"ts/canary", "ts/second"}) {
		t.Errorf("rivals %q, others %q", s.Rivals, s.Others)
	}
}
