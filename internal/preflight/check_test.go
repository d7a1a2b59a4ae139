package preflight

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// healthy is the walkthrough in order: podinfo in two clusters, a mirror between them, a meshed frontend.
func healthy() law.Snapshot {
	ports := []law.Port{{Name: "http", Port: 9898}}
	pods := law.PodSet{Sight: law.Seen, Looked: 2, InboundPolicy: []string{"all-unauthenticated"}}
	began := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	root := law.Service{Namespace: "test", Name: "podinfo", Found: true, UID: "1", ClusterIP: "10.1.0.10", Ports: ports}
	return law.Snapshot{
		Split: law.Split{
			ObjectRef: law.ObjectRef{Kind: "TrafficSplit", APIVersion: "split.smi-spec.io/v1alpha2", Namespace: "test", Name: "podinfo"},
			Found:     true, Root: "podinfo",
			Declared:  []law.Declared{{Service: "podinfo", Raw: "50"}, {Service: "podinfo-east", Raw: "50"}},
			Effective: []law.Weight{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}},
			Profile:   law.Profile{State: law.ProfileFound, Namespace: "test", Name: "podinfo.test.svc.cluster.local", Overrides: 2, Created: began, LastWritten: began},
		},
		Law: law.Law{Path: law.PathServiceProfile, NullModel: law.RandomPerRequest, Backends: []law.Leaf{{Name: "podinfo", Weight: 50, Probability: 0.5}, {Name: "podinfo-east", Weight: 50, Probability: 0.5}}, Objects: []law.ObjectRef{{Kind: "ServiceProfile", Namespace: "test", Name: "podinfo.test.svc.cluster.local"}, {Kind: "TrafficSplit", Namespace: "test", Name: "podinfo"}}},
		Facts: law.Facts{
			Adaptor:    law.Adaptor{Sight: law.Seen, Namespace: "linkerd-smi", Name: "smi-adaptor", Available: true},
			SocketLB:   law.SocketLB{Sight: law.Absent, Object: "ConfigMap kube-system/cilium-config"},
			Networks:   law.Networks{Sight: law.Seen, Object: "ConfigMap linkerd/linkerd-config", CIDRs: []string{"10.0.0.0/8", "fd00::/8"}},
			Anchors:    []law.TrustAnchors{{Cluster: "client", Sight: law.Seen, Namespace: "linkerd", Fingerprints: []string{"aa"}}, {Cluster: "east", Sight: law.Seen, Namespace: "linkerd", Fingerprints: []string{"aa"}}},
			Links:      law.Seen,
			Namespaces: []law.Namespace{{Sight: law.Seen, Name: "test"}},
		},
		Root: root, Port: 9898,
		Backends: []law.Backend{
			{Name: "podinfo", Weight: 50, IsRoot: true, Service: root, Port: 9898, Endpoints: []law.Endpoint{{Address: "10.0.0.5", Port: 9898, Ready: true, Pod: "w1"}}, Pods: pods},
			{
				Name: "podinfo-east", Weight: 50, Port: 9898,
				Service: law.Service{Namespace: "test", Name: "podinfo-east", Found: true, UID: "2", ClusterIP: "10.1.0.11", Ports: ports},
				Mirror: &law.Mirror{
					Cluster: "east", Context: "eu", Remote: "test/podinfo", Mode: law.MirrorGateway,
					RemoteFound: true, RemoteExported: true, RemoteReady: 1,
					RemoteService:   law.Service{Namespace: "test", Name: "podinfo", Found: true, UID: "9"},
					GatewayIdentity: "gateway.east.example", Slices: law.Seen, SliceIdentities: []string{"gateway.east.example"},
				},
				Endpoints: []law.Endpoint{{Address: "192.0.2.10", Port: 4143, Ready: true}}, RemotePods: []string{"e1"}, Pods: pods,
			},
		},
		Source: law.Pod{
			Namespace: "test", Name: "frontend-1", UID: "3", Container: "nginx", ContainerWhy: "-c", Workload: "--from deploy/frontend",
			Meshed: true, ProxyContainer: "linkerd-proxy", ProxyReady: true, Ready: true, ProxyStartedAt: began.Add(time.Minute), SkipFrom: "container linkerd-init",
		},
		Gateways: []law.Gateway{{
			Cluster: "east", Context: "eu", Namespace: "linkerd-multicluster", Name: "linkerd-gateway",
			Found: true, Ready: true, Addresses: []string{"192.0.2.10"}, Identity: "gateway.east.example", Pods: pods,
		}},
		Links:    []law.Link{{Namespace: "linkerd-multicluster", Name: "east", TargetCluster: "east", GatewayAddress: "192.0.2.10", GatewayIdentity: "gateway.east.example", Controller: law.Controller{Sight: law.Seen, Name: "linkerd-multicluster/controller-east", Available: true}}},
		Clusters: []law.Cluster{{Role: "client", Context: "west", Version: "v1.36.3", SkewMs: new(int64)}, {Role: "east", Context: "eu", Version: "v1.36.3", SkewMs: new(int64)}},
		Access: []law.Access{
			{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: "test", Allowed: true},
			{Verb: "get", Resource: "pods", Subresource: "exec", Namespace: "test", Allowed: true},
			{Verb: "list", Resource: "services", Namespace: "test", Allowed: true, For: "root and backends"},
			{Verb: "list", Group: "linkerd.io", Resource: "serviceprofiles", Namespace: "test", Allowed: true, Optional: true, For: "what proxies obey"},
		},
	}
}

func result(t *testing.T, results []Result, id string) Result {
	t.Helper()
	for _, r := range results {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no check %s", id)
	return Result{}
}

// answers are what a healthy pod sees.
func answers() *Probed {
	ok := func(body string) []Answer {
		return []Answer{{Status: 200, Body: []byte(body), Header: map[string][]string{"Content-Type": {"application/json"}}, RemoteAddr: "10.1.0.10:9898"}}
	}
	return &Probed{
		URL: "http://podinfo:9898/", Ready: &Answer{Status: 200}, Root: append(ok("west"), ok("east")...), Direct: map[string][]Answer{"podinfo-east": ok("east")},
		Path: PathSeen{Known: true, Path: "ServiceProfile", Requests: 20, Draws: map[string]int64{"podinfo": 9, "podinfo-east": 11}}, TLS: map[string]string{"east": "true"},
	}
}

func TestHealthyIsGreen(t *testing.T) {
	for _, r := range Run(View{Snapshot: healthy(), Probed: answers()}) {
		if r.Status != OK || r.Seen == "" || r.Hint != "" {
			t.Errorf("%+v", r)
		}
	}
}

// Nothing seen, nothing green: a Snapshot that could read nothing must not pass a single check by being empty. What it says
// of mirrors and profiles is vacuous without backends, so those checks have none to be green about.
func TestNothingSeenIsNotGreen(t *testing.T) {
	vacuous := []string{"SB033", "SB010", "SB011", "SB012", "SB013", "SB022", "SB029", "SB039"} // "no backend is in another cluster"
	for _, r := range Run(View{}) {
		if r.Status == OK && !slices.Contains(vacuous, r.ID) {
			t.Errorf("%s is green: %s", r.ID, r.Seen)
		}
	}
}

func TestChecksAreData(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	categories := []string{"clusters", "access", "client", "split", "mesh", "backends", "mirror", CategoryRunners}
	for _, c := range Checks() {
		if !regexp.MustCompile(`^SB0\d\d$`).MatchString(c.ID) || seen[c.ID] || c.Name == "" || c.Func == nil || c.Hint == nil {
			t.Errorf("check %+v", c)
		}
		if c.Severity != Fatal && c.Severity != Warn {
			t.Errorf("%s: severity %q", c.ID, c.Severity)
		}
		seen[c.ID] = true
		rank := slices.Index(categories, c.Category)
		if rank < 0 {
			t.Errorf("%s: category %q", c.ID, c.Category)
		}
		key := string(rune('0'+rank)) + c.ID
		if key < last {
			t.Errorf("%s is out of order", c.ID)
		}
		last = key
	}
	for _, row := range faults() {
		delete(seen, row.id)
	}
	for _, row := range viewFaults() {
		if row.want != OK {
			delete(seen, row.id)
		}
	}
	for id := range seen {
		t.Errorf("no planted fault turns %s red", id)
	}
}

type fault struct {
	name, id string
	plant    func(*law.Snapshot)
	want     Status
	seen     string // part of what was seen
	hint     string // part of the hint
}

func east(s *law.Snapshot) *law.Backend { return &s.Backends[1] }

// gone is a Service that is not there.
func gone(b *law.Backend) {
	b.Service = law.Service{Namespace: "test", Name: b.Name}
	b.Endpoints = nil
}

func faults() []fault {
	return []fault{
		{
			"proxy missing", "SB002", func(s *law.Snapshot) { s.Source.Meshed, s.Source.ProxyReady = false, false }, Failed,
			"pod frontend-1 has no container linkerd-proxy", "kubectl --context west -n test rollout restart deploy/frontend",
		},
		{"proxy not ready", "SB002", func(s *law.Snapshot) { s.Source.ProxyReady = false }, Failed, "container linkerd-proxy is not ready", ""},
		{"one of those behind through", "SB002", func(s *law.Snapshot) {
			s.Through = &law.Through{Service: law.Service{Namespace: "test", Name: "frontend"}, Pods: []law.Pod{s.Source, {Name: "other"}}}
		}, Failed, "pod other has no container linkerd-proxy", ""},
		{"nobody behind through", "SB002", func(s *law.Snapshot) { s.Through = &law.Through{Service: law.Service{Name: "frontend"}} }, Failed, "no pod is behind Service frontend", ""},
		{"no source named", "SB002", func(s *law.Snapshot) { s.Source = law.Pod{} }, Unknown, "no source pod was named", "--from"},
		{"no source named", "SB032", func(s *law.Snapshot) { s.Source = law.Pod{} }, Unknown, "no source pod was named", "--from"},
		{
			"crash loop", "SB032", func(s *law.Snapshot) {
				s.Source.Ready, s.Source.Problem = false, "container nginx is waiting (CrashLoopBackOff)"
			}, Failed,
			"CrashLoopBackOff", "kubectl --context west -n test describe pod frontend-1",
		},
		{"a side container is not ready", "SB032", func(s *law.Snapshot) { s.Source.Ready, s.Source.NotReady = false, []string{"external"} }, Warning, "not ready: external", ""},

		{
			"exec forbidden", "SB027", func(s *law.Snapshot) { s.Access[0].Allowed, s.Access[0].Reason = false, "no rule" }, Failed,
			"create on pods/exec is not allowed in namespace test (no rule)", "splitbench rbac run ts/podinfo --context west -n test --from deploy/frontend | kubectl --context west apply -f -",
		},
		{"get forbidden", "SB027", func(s *law.Snapshot) { s.Access[1].Allowed = false }, Warning, "SPDY", ""},
		{"get not told", "SB027", func(s *law.Snapshot) { s.Access = s.Access[:1] }, Unknown, "did not say", ""},
		{"not told", "SB027", func(s *law.Snapshot) { s.Access = nil }, Unknown, "did not say", ""},

		{"remote dead", "SB033", func(s *law.Snapshot) { s.Clusters[1].Problem = "connection refused" }, Failed, "cluster east: connection refused", "kubectl --context eu version"},
		{"no remote context", "SB033", func(s *law.Snapshot) { s.Clusters = s.Clusters[:1] }, Unknown, "no remote context leads to cluster east", "--remote-context"},

		{"split deleted", "SB031", func(s *law.Snapshot) {
			s.Split.Found, s.Split.Why, s.Split.Others = false, "there is no TrafficSplit podinfo in namespace test", []string{"ts/web"}
		}, Failed, "there is no TrafficSplit podinfo in namespace test; there are: ts/web", "kubectl --context west -n test get trafficsplits"},
		{"route deleted", "SB031", func(s *law.Snapshot) {
			s.Split.Kind, s.Split.Found, s.Split.Why = "HTTPRoute", false, "there is no HTTPRoute podinfo in namespace test"
		}, Failed, "there is no HTTPRoute podinfo in namespace test", "kubectl --context west -n test get httproutes.gateway.networking.k8s.io"},
		{"VirtualService deleted", "SB031", func(s *law.Snapshot) { s.Split.Kind, s.Split.Found = "VirtualService", false }, Failed, "there is no", "get virtualservices.networking.istio.io"},
		{"nothing of a bare name", "SB031", func(s *law.Snapshot) {
			s.Split.AnyKind, s.Split.Found = true, false
			s.Access = append(s.Access, law.Access{Verb: "list", Group: "split.smi-spec.io", Resource: "trafficsplits"},
				law.Access{Verb: "list", Group: "gateway.networking.k8s.io", Resource: "httproutes"})
		}, Failed, "there is no", "get trafficsplits.split.smi-spec.io,httproutes.gateway.networking.k8s.io"},
		{"weight unusable", "SB014", func(s *law.Snapshot) {
			s.Split.WeightErr = &law.WeightError{Object: "TrafficSplit test/podinfo", Field: "spec.backends[1].weight", Raw: "-1", Why: "negative"}
		}, Failed, `spec.backends[1].weight is "-1": negative`, "kubectl --context west -n test edit trafficsplit podinfo"},
		{"all zero", "SB014", func(s *law.Snapshot) { s.Split.AllZero = true }, Failed, "every weight is 0", ""},
		{"no backends", "SB014", func(s *law.Snapshot) { s.Split.AllZero, s.Split.Declared = true, nil }, Failed, "names no backend", ""},
		{"no split", "SB014", func(s *law.Snapshot) { s.Split.Found = false }, Unknown, "no split", ""},
		{
			"profile differs", "SB004", func(s *law.Snapshot) { s.Split.Differs, s.Split.Effective[0].Weight = true, 90 }, Failed,
			"says podinfo=90,podinfo-east=50, the split says podinfo=50,podinfo-east=50", "kubectl --context west -n test annotate trafficsplit podinfo splitbench.io/touched=",
		},
		{"profile missing", "SB004", func(s *law.Snapshot) { s.Split.Profile = law.Profile{State: law.ProfileAbsent} }, Failed, "there is no ServiceProfile podinfo.test.svc.*", "annotate trafficsplit podinfo splitbench.io/touched="},
		{"profile empty", "SB004", func(s *law.Snapshot) { s.Split.Profile.Overrides = 0 }, Failed, "has no dstOverrides", "annotate trafficsplit podinfo splitbench.io/touched="},
		{"profile empty, and no adaptor", "SB004", func(s *law.Snapshot) { s.Split.Profile.Overrides, s.Facts.Adaptor.Available = 0, false }, Failed, "", "describe deployment smi-adaptor"},
		{"profile unread", "SB004", func(s *law.Snapshot) { s.Split.Profile = law.Profile{State: law.ProfileUnread} }, Unknown, "could not be read", "can-i list serviceprofiles"},
		{"adaptor told to skip", "SB004", func(s *law.Snapshot) { s.Split.Profile.Skip = true }, Warning, "smi.linkerd.io/skip", "smi.linkerd.io/skip-"},
		{"no Linkerd API", "SB004", func(s *law.Snapshot) { s.Split.Profile = law.Profile{State: law.ProfileNotServed} }, OK, "no ServiceProfiles", ""},
		{"two splits", "SB005", func(s *law.Snapshot) { s.Split.Rivals = []string{"ts/second"} }, Failed, "ts/second", "kubectl --context west -n test delete trafficsplit/second && kubectl --context west -n test annotate trafficsplit podinfo splitbench.io/touched="},
		{
			"client's profile", "SB006", func(s *law.Snapshot) {
				s.Split.Profile.Namespace, s.Split.Profile.Hides = "web", "test/podinfo.test.svc.cluster.local"
			}, Failed,
			"is of the client's namespace and comes first; it hides test/", "kubectl --context west -n web delete serviceprofile podinfo.test.svc.cluster.local",
		},
		{"name with a dot", "SB016", func(s *law.Snapshot) { s.Split.Declared[1].Service = "podinfo.prod" }, Failed, `"podinfo.prod" is not a bare name`, "edit trafficsplit"},

		{"root gone", "SB034", func(s *law.Snapshot) { s.Root = law.Service{Namespace: "test", Name: "podinfo"} }, Failed, "there is no Service test/podinfo", "get services"},
		{"root headless", "SB015", func(s *law.Snapshot) { s.Root.Headless = true }, Failed, "headless", ""},
		{"root is an ExternalName", "SB015", func(s *law.Snapshot) { s.Root.ExternalName = "example.com" }, Failed, "ExternalName", ""},
		{"root without address", "SB015", func(s *law.Snapshot) { s.Root.ClusterIP = "" }, Failed, "no cluster IP", ""},
		{"backend gone", "SB007", func(s *law.Snapshot) { gone(east(s)) }, Failed, "there is no Service test/podinfo-east", "get services"},
		{
			"backend without the port", "SB009", func(s *law.Snapshot) { east(s).Service.Ports = []law.Port{{Name: "grpc", Port: 9999}} }, Failed,
			"Service test/podinfo-east has no TCP port 9898, it has 9999", "kubectl --context eu -n test edit service podinfo",
		},
		{"root without the port", "SB009", func(s *law.Snapshot) { s.Port = 80 }, Failed, "Service test/podinfo has no TCP port 80", ""},
		{"root without ports", "SB009", func(s *law.Snapshot) { s.Port, s.Root.Ports = 0, nil }, Failed, "has no TCP port", ""},
		{"port of a missing backend", "SB009", func(s *law.Snapshot) { gone(east(s)) }, Unknown, "there is no Service test/podinfo-east", ""},
		{"none ready", "SB008", func(s *law.Snapshot) { s.Backends[0].Endpoints[0].Ready = false }, Failed, "backend podinfo: none of its 1 endpoints is ready", "kubernetes.io/service-name=podinfo"},
		{
			"none ready in the other cluster", "SB008", func(s *law.Snapshot) { east(s).Mirror.RemoteReady = 0 }, Failed,
			"no endpoint of Service test/podinfo in cluster east is ready", "kubectl --context eu -n test get endpointslices",
		},
		{"none ready, weight 0", "SB008", func(s *law.Snapshot) { s.Backends[0].Endpoints[0].Ready, s.Backends[0].Weight = false, 0 }, Warning, "none of its 1", ""},
		{"other cluster unseen", "SB008", func(s *law.Snapshot) { east(s).Mirror.Context = "" }, Unknown, "could not be seen", "--remote-context east=CONTEXT"},
		{"endpoints unread", "SB008", func(s *law.Snapshot) { s.Backends[0].Unread, s.Backends[0].Endpoints = "forbidden", nil }, Unknown, "(forbidden)", ""},
		{"shared pods", "SB026", func(s *law.Snapshot) {
			b := s.Backends[0]
			b.Name, b.IsRoot = "podinfo-v2", false
			s.Backends = append(s.Backends, b)
		}, Warning, "1 pods of backend podinfo-v2 are also of backend podinfo", "get services -o wide"},
		{"pods of one name in two clusters", "SB026", func(s *law.Snapshot) { east(s).RemotePods = []string{"w1"} }, OK, "", ""},
		{"pods unread", "SB026", func(s *law.Snapshot) { east(s).RemotePods = nil }, Unknown, "could not be seen", ""},

		{"mirror gone", "SB010", func(s *law.Snapshot) { gone(east(s)) }, Failed, "there is no mirror Service test/podinfo-east of Service test/podinfo of cluster east", "linkerd-multicluster get links"},
		{
			"mirror gone, not exported", "SB010", func(s *law.Snapshot) { gone(east(s)); east(s).Mirror.RemoteExported = false }, Failed, "is not exported",
			"kubectl --context eu -n test label service podinfo mirror.linkerd.io/exported=true",
		},
		{"export withdrawn", "SB010", func(s *law.Snapshot) { east(s).Mirror.RemoteExported = false }, Failed, "not exported (any more)", "label service"},
		{
			"export without a gateway withdrawn", "SB010", func(s *law.Snapshot) {
				east(s).Mirror.RemoteExported, east(s).Mirror.Mode = false, law.MirrorRemoteDiscovery
			}, Failed, "not exported (any more)", "label service podinfo mirror.linkerd.io/exported=remote-discovery",
		},
		{"original gone", "SB010", func(s *law.Snapshot) { east(s).Mirror.RemoteFound = false }, Failed, "there is no Service test/podinfo of cluster east", ""},
		{"original unseen", "SB010", func(s *law.Snapshot) { east(s).Mirror.Context = "" }, Unknown, "could not be seen", "--remote-context east=CONTEXT"},
		{"federated", "SB010", func(s *law.Snapshot) { east(s).Mirror.Mode = law.MirrorFederated }, Warning, "federated", ""},
		{"may have been a mirror", "SB010", func(s *law.Snapshot) { gone(east(s)); east(s).Mirror = nil }, Unknown, "nothing says whether it was a mirror", ""},

		{
			"mirror moved", "SB011", func(s *law.Snapshot) { east(s).Endpoints[0].Address = "192.0.2.99" }, Failed,
			"leads to 192.0.2.99, the gateway of cluster east is at 192.0.2.10", "linkerd --context eu multicluster link-gen --cluster-name east | kubectl --context west apply -f -",
		},
		{"gateway moved, mirror dead", "SB011", func(s *law.Snapshot) {
			s.Gateways[0].Addresses = []string{"192.0.2.20"}
			east(s).Endpoints[0].Ready = false
		}, Failed, "is at 192.0.2.20", ""},
		{"translated address", "SB011", func(s *law.Snapshot) { s.Gateways[0].Addresses = []string{"10.9.9.9"} }, Warning, "translated", ""},
		{"one address of two", "SB011", func(s *law.Snapshot) { s.Gateways[0].Addresses = append(s.Gateways[0].Addresses, "192.0.2.11") }, Warning, "192.0.2.11", ""},
		{"host name agrees", "SB011", func(s *law.Snapshot) {
			s.Gateways[0].Addresses, s.Links[0].GatewayAddress = []string{"gw.example"}, " gw.example "
		}, OK, "agree on gw.example", ""},
		{"host name differs", "SB011", func(s *law.Snapshot) {
			s.Gateways[0].Addresses, s.Links[0].GatewayAddress = []string{"gw.example"}, "old.example"
			east(s).Endpoints[0].Ready = false
		}, Failed, "old.example", ""},
		{"a name of one's own", "SB011", func(s *law.Snapshot) {
			s.Gateways[0].Addresses, s.Links[0].GatewayAddress = []string{"gw.example"}, "own.example"
		}, Warning, "own.example", ""},
		{"host name without Link", "SB011", func(s *law.Snapshot) { s.Gateways[0].Addresses, s.Links = []string{"gw.example"}, nil }, Unknown, "no Link", ""},
		{"no remote context", "SB011", func(s *law.Snapshot) { s.Gateways, east(s).Mirror.Context = nil, "" }, Unknown, "no remote context", "--remote-context east=CONTEXT"},
		{"gateway unread", "SB011", func(s *law.Snapshot) { s.Gateways[0] = law.Gateway{Cluster: "east", Unread: "forbidden"} }, Unknown, "(forbidden)", ""},
		{"mirror's endpoints unread", "SB011", func(s *law.Snapshot) { east(s).Unread = "forbidden" }, Unknown, "(forbidden)", ""},
		{"mirror empty, of a gateway that moved", "SB011", func(s *law.Snapshot) {
			east(s).Endpoints, s.Gateways[0].Addresses = nil, []string{"192.0.2.20"}
		}, Warning, "leads to 192.0.2.10, the gateway of cluster east is at 192.0.2.20, as its Link says: it may be a translated one", ""},
		{"mirror empty, and no Link", "SB011", func(s *law.Snapshot) { east(s).Endpoints, s.Links = nil, nil }, Unknown, "has no endpoints that could be compared", ""},

		{"service mirror down", "SB039", func(s *law.Snapshot) { s.Links[0].Controller.Available = false }, Warning, "Deployment linkerd-multicluster/controller-east has no available replica: nothing follows Link east", "describe deployment controller-east"},
		{"service mirror scaled to nothing", "SB039", func(s *law.Snapshot) { s.Links[0].Controller.Available, s.Links[0].Controller.Idle = false, true }, Warning, "", "kubectl --context west -n linkerd-multicluster scale deployment controller-east --replicas=1"},
		{"no service mirror", "SB039", func(s *law.Snapshot) { s.Links[0].Controller = law.Controller{Sight: law.Absent} }, Warning, "no Deployment of namespace linkerd-multicluster has the label mirror.linkerd.io/cluster-name=east", "--set 'controllers[0].link.ref.name=east' | kubectl --context west apply -f -"},
		{"service mirrors unread", "SB039", func(s *law.Snapshot) { s.Links[0].Controller = law.Controller{Sight: law.Unread, Why: "forbidden"} }, Unknown, "(forbidden)", "can-i list deployments.apps"},
		{"Link deleted", "SB039", func(s *law.Snapshot) { s.Links = nil }, Warning, "mirror Service test/podinfo-east is of cluster east, and no Link leads there", "link-gen --cluster-name east"},
		{"Links unread", "SB039", func(s *law.Snapshot) { s.Links, s.Facts.Links = nil, law.Unread }, Unknown, "could not be seen", ""},
		{"mirror that nobody writes", "SB012", func(s *law.Snapshot) { east(s).Endpoints = nil }, Failed, "has no endpoints, though 1 of Service test/podinfo in cluster east are ready: the service mirror does not write it", ""},

		{"probe fails", "SB012", func(s *law.Snapshot) { east(s).Endpoints[0].Ready = false }, Failed, "probe of the gateway fails", "linkerd --context west multicluster gateways"},
		{"mirror empty", "SB012", func(s *law.Snapshot) { east(s).Endpoints = nil }, Failed, "has no endpoints", ""},
		{"gateway not ready", "SB012", func(s *law.Snapshot) { s.Gateways[0].Ready = false }, Failed, "no endpoint of Service linkerd-multicluster/linkerd-gateway", "kubectl --context eu -n linkerd-multicluster get"},
		{"gateway without address", "SB012", func(s *law.Snapshot) { s.Gateways[0].Addresses, s.Gateways[0].Ready = nil, false }, Failed, "no load balancer address", ""},
		{"gateway by node port", "SB012", func(s *law.Snapshot) { s.Gateways[0].Addresses = nil }, Warning, "so are the addresses that the mirror has", ""},
		{"gateway by node port", "SB011", func(s *law.Snapshot) { s.Gateways[0].Addresses = nil }, Warning, "may be given by hand", ""},
		{"gateway missing", "SB012", func(s *law.Snapshot) { s.Gateways[0].Found = false }, Failed, "has no Service linkerd-multicluster/linkerd-gateway", ""},
		{"gateway unseen", "SB012", func(s *law.Snapshot) { s.Gateways = nil }, Unknown, "could not be seen", ""},
	}
}

func TestPlantedFaults(t *testing.T) {
	for _, row := range faults() {
		t.Run(row.id+" "+row.name, func(t *testing.T) {
			s := healthy()
			row.plant(&s)
			r := result(t, Run(View{Snapshot: s}), row.id)
			if r.Status != row.want || !strings.Contains(r.Seen, row.seen) || !strings.Contains(r.Hint, row.hint) {
				t.Errorf("%s\nseen %s\nhint %s", r.Status, r.Seen, r.Hint)
			}
			if strings.Contains(r.Seen+r.Hint, "  ") || strings.HasSuffix(r.Seen, ".") {
				t.Errorf("not a sentence: %q %q", r.Seen, r.Hint)
			}
		})
	}
}

// With --through the pods behind it draw, and the source need not be meshed.
func TestThroughPodsDraw(t *testing.T) {
	s := healthy()
	s.Through = &law.Through{Service: law.Service{Namespace: "test", Name: "frontend"}, Pods: []law.Pod{s.Source}}
	s.Source.Meshed, s.Source.ProxyReady = false, false
	if r := result(t, Run(View{Snapshot: s}), "SB002"); r.Status != OK {
		t.Errorf("%+v", r)
	}
}

// A split inside one cluster has no mirrors, and those checks have nothing against it.
func TestOneCluster(t *testing.T) {
	s := healthy()
	p := answers()
	p.Direct = nil
	s.Backends[1].Mirror = nil
	s.Backends[1].Endpoints = []law.Endpoint{{Address: "10.0.0.9", Ready: true, Pod: "w9"}}
	s.Gateways, s.Links, s.Clusters = nil, nil, s.Clusters[:1]
	for _, r := range Run(View{Snapshot: s, Probed: p}) {
		if r.Status != OK {
			t.Errorf("%+v", r)
		}
	}
}

// Commands are pasted into shells; what a kubeconfig or a cluster says must stay one word of them.
func TestHintsAreSafeToPaste(t *testing.T) {
	s := healthy()
	s.Clusters[0].Context = "it's; rm -rf /\x1b"
	s.Source.Meshed = false
	hint := result(t, Run(View{Snapshot: s}), "SB002").Hint
	if !strings.Contains(hint, `--context 'it'\''s; rm -rf /`+"\uFFFD"+`'`) || strings.Contains(hint, "\x1b") {
		t.Error(hint)
	}
}

func TestFailure(t *testing.T) {
	for _, row := range []struct {
		r    Result
		want bool
	}{
		{Result{Status: Failed, Severity: Fatal}, true},
		{Result{Status: Failed, Severity: Warn}, false},
		{Result{Status: Unknown, Severity: Fatal}, false},
		{Result{Status: Warning, Severity: Fatal}, false},
	} {
		if row.r.Failure() != row.want {
			t.Errorf("%+v", row.r)
		}
	}
}
