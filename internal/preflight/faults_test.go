package preflight

import (
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/law"
)

// viewFault is a fault of what the API says or the pod sees. Those of check_test.go are older and of the API alone.
type viewFault struct {
	name, id   string
	plant      func(*View)
	want       Status
	seen, hint string
}

// unprobed leaves the pod unasked.
func unprobed(v *View) { v.Probed = nil }

// asRoute makes the split an HTTPRoute that rules.
func asRoute(v *View) {
	const version = "gateway.networking.k8s.io/v1"
	ref := law.ObjectRef{APIVersion: version, Kind: "HTTPRoute", Namespace: "test", Name: "podinfo"}
	v.Split.Kind, v.Split.APIVersion, v.Split.Profile = "HTTPRoute", version, law.Profile{State: law.ProfileAbsent}
	v.Law = law.Law{Path: law.PathHTTPRoute, Objects: []law.ObjectRef{ref}, Rule: "spec.rules[1]", NullModel: law.RandomPerRequest}
	v.Facts.Adaptor = law.Adaptor{}
	if v.Probed != nil {
		v.Probed.Path.Path = "HTTPRoute"
	}
}

// behindProfile makes the split an HTTPRoute that is ignored: somebody's ServiceProfile with routes comes first.
func behindProfile(v *View) {
	asRoute(v)
	v.Law = law.Law{Path: law.PathServiceProfile, Objects: []law.ObjectRef{{Kind: "ServiceProfile", Namespace: "test", Name: "podinfo.test.svc.cluster.local"}}}
}

// runners has 8 runner pods asked for.
func runners(r law.Runners) func(*View) {
	r.Pods, r.Image, r.Account, r.Workload = 8, "x:1", "default", "--from deploy/frontend"
	return func(v *View) { v.Runners = &r }
}

func viewFaults() []viewFault {
	restart := "rollout restart deploy/frontend"
	return []viewFault{
		{"counters tell of another path", "SB001", func(v *View) { v.Probed.Path.Path = "default" }, Failed, "20 requests on the path default, though ServiceProfile test/podinfo.test.svc.cluster.local rules", restart},
		{"route after a deleted profile", "SB001", func(v *View) { asRoute(v); v.Probed.Path.Path = "ServiceProfile" }, Failed, "though HTTPRoute test/podinfo rules", restart},
		{"profile younger than the proxy", "SB001", func(v *View) { unprobed(v); v.Split.Profile.Created = v.Source.ProxyStartedAt.Add(time.Hour) }, Warning, "created at 2026-11-01T10:01:00Z, after the proxy", "--probe"},
		{"profile written since", "SB001", func(v *View) { unprobed(v); v.Split.Profile.LastWritten = v.Source.ProxyStartedAt.Add(time.Hour) }, Unknown, "was written since", "--probe"},
		{"no counters", "SB001", func(v *View) { v.Probed.Path = PathSeen{Why: "connection refused"}; asRoute(v) }, Unknown, "what is lacking: the counters of the proxy of pod frontend-1 (connection refused)", restart},
		{"no profile and no counters", "SB001", func(v *View) { unprobed(v); asRoute(v) }, Unknown, "(--probe reads them)", "--probe"},
		{"profile as old as the client", "SB001", unprobed, OK, "after ServiceProfile podinfo.test.svc.cluster.local was last written", ""},

		{"counters of a profile that was emptied", "SB001", func(v *View) {
			v.Split.Profile.Overrides, v.Split.Differs = 0, true
			v.Law = law.Law{Path: law.PathDefault}
		}, Unknown, "the objects put another law in force than the split's", ""},

		{"proxy not ready by its own word", "SB002", func(v *View) { v.Probed.Ready = &Answer{Status: 503} }, Failed, "says that it is not ready: status 503", restart},
		{"client on its node's network", "SB002", func(v *View) { v.Source.Meshed, v.Source.HostNetwork = false, true }, Failed, "it is on its node's network, where Linkerd injects none whatever the annotations", "take hostNetwork out of the pod template"},
		{"client with a limit of CPU", "SB032", func(v *View) { v.Source.CPULimit = "100m" }, OK, "container nginx (-c), limited to 100m CPU", ""},

		{"no injector for runner pods", "SB040", runners(law.Runners{Sight: law.Seen}), Failed, "runner pods would get no proxy: no injector adds one in namespace test", "mutatingwebhookconfigurations"},
		{"quota for 4 of 8 runner pods", "SB040", runners(law.Runners{Sight: law.Seen, Meshed: true, Shortages: []law.Shortage{
			{Quota: "four", Resource: "pods", Hard: "12", Used: "8", Each: "1", Room: 4},
		}}), Failed, "8 runner pods: ResourceQuota four leaves room for 4 of them (pods: 8 of 12 are used, each takes 1)", "describe resourcequotas"},
		{"quota that is full", "SB040", runners(law.Runners{Sight: law.Seen, Refused: `pods "x" is forbidden: exceeded quota: four`}), Failed, "takes no runner pod: pods", "lower --runners"},
		{"Pod Security", "SB040", runners(law.Runners{Sight: law.Seen, Refused: `violates PodSecurity "restricted:latest"`}), Failed, `violates PodSecurity "restricted:latest"`, "the mesh's CNI plugin"},
		{"another webhook", "SB040", runners(law.Runners{Sight: law.Seen, Refused: `admission webhook "no" denied the request`}), Failed, "denied the request", "--dry-run=server"},
		{"runner pods that nobody was asked of", "SB040", runners(law.Runners{Sight: law.Unread, Why: "forbidden"}), Unknown, "was not asked: forbidden", "-n test --from deploy/frontend --runners |"},
		{"runner pods", "SB040", runners(law.Runners{Sight: law.Seen, Meshed: true}), OK, "takes runner pods with ServiceAccount default and image x:1", ""},
		{"runner pods before meshed ones", "SB040", func(v *View) { runners(law.Runners{Sight: law.Seen})(v); v.Through = &law.Through{} }, OK, "takes runner pods", ""},

		{"no admin port", "SB002", func(v *View) { v.Probed.Ready = &Answer{Error: "connection refused"} }, OK, "admin port 4191 did not answer the pod: no answer (connection refused)", ""},

		{"no adaptor", "SB003", func(v *View) { v.Facts.Adaptor.Sight = law.Absent }, Failed, "there is no Deployment linkerd-smi/smi-adaptor", "splitbench convert ts/podinfo -n test"},
		{"adaptor down", "SB003", func(v *View) { v.Facts.Adaptor.Available = false }, Failed, "has no available replica", "kubectl --context west -n linkerd-smi describe deployment smi-adaptor"},
		{"adaptor unread", "SB003", func(v *View) { v.Facts.Adaptor.Sight, v.Facts.Adaptor.Why = law.Unread, "forbidden" }, Unknown, "(forbidden)", "can-i get deployments.apps"},
		{"adaptor in a namespace that is not known", "SB003", func(v *View) {
			v.Facts.Adaptor = law.Adaptor{Sight: law.Unread, Name: "smi-adaptor", Why: "it is not in namespace linkerd-smi, and other namespaces could not be listed: forbidden"}
		}, Unknown, "Deployment smi-adaptor could not be read (it is not in namespace linkerd-smi", "kubectl --context west get deployments -A --field-selector metadata.name=smi-adaptor"},
		{"a route needs none", "SB003", asRoute, OK, "needs no adaptor", ""},

		{"route that is not followed", "SB004", func(v *View) { asRoute(v); v.Law.Objects = nil }, Failed, "proxies follow none of them: the root Service alone gets everything; they do not follow HTTPRoute test/podinfo", ""},
		{"route followed", "SB004", asRoute, OK, "proxies follow HTTPRoute test/podinfo itself", ""},
		{"law not certain", "SB004", func(v *View) { asRoute(v); v.Law.Unread = "grpcroutes" }, Unknown, "not certain: grpcroutes", ""},

		{"route behind a profile", "SB005", func(v *View) {
			asRoute(v)
			v.Law.Path, v.Law.Objects = law.PathServiceProfile, []law.ObjectRef{{Kind: "ServiceProfile", Namespace: "test", Name: "podinfo.test.svc.cluster.local"}}
			v.Split.Rivals = []string{"ts/podinfo"}
		}, Failed, "ServiceProfile test/podinfo.test.svc.cluster.local comes before HTTPRoute test/podinfo", "delete trafficsplit/podinfo"},
		{"route behind a profile of the user's own", "SB005", behindProfile, Failed, "ServiceProfile test/podinfo.test.svc.cluster.local comes before HTTPRoute test/podinfo", "kubectl --context west -n test delete serviceprofile podinfo.test.svc.cluster.local"},
		{"two routes behind a profile", "SB005", func(v *View) {
			behindProfile(v)
			v.Split.Rivals = []string{"httproute/second"}
		}, Failed, "comes before HTTPRoute", "delete serviceprofile podinfo.test.svc.cluster.local"},
		{"route behind a profile of the user's own", "SB004", behindProfile, Failed, "proxies follow ServiceProfile test/podinfo.test.svc.cluster.local; they do not follow HTTPRoute", "get httproute podinfo -o yaml"},
		{"route beside a TrafficSplit", "SB005", func(v *View) { v.Split.Rivals = []string{"httproute/podinfo"} }, Warning, "httproute/podinfo names the root Service podinfo too; proxies follow ServiceProfile", "delete httproute/podinfo"},

		{"mirror that answers nobody", "SB012", unavailable, Failed, "requests do not arrive in cluster east: asked by itself 2 times it gave status 503 by the client's own proxy (route default.http: service unavailable)", "multicluster gateways"},
		{"mirror that answers nobody", "SB008", unavailable, Failed, "backend podinfo-east: whatever is ready there, requests do not arrive", "multicluster gateways"},
		{"Link to a wrong address", "SB011", func(v *View) {
			v.Gateways[0].Addresses = []string{"192.0.2.20"}
			unavailable(v)
		}, Failed, "leads to 192.0.2.10, the gateway of cluster east is at 192.0.2.20; asked by itself 2 times", "link-gen"},
		{"backend that is never drawn", "SB008", func(v *View) { draws(v, 20, 0) }, Failed, "the proxy drew it for none of 20 requests, though its weight is 50 % of all (by chance: once in 1.05e+06 checks)", ""},
		{"root that is never drawn", "SB008", func(v *View) { draws(v, 0, 20) }, Failed, "backend podinfo: whatever is ready there, requests do not arrive: the proxy drew it for none of 20", "kubernetes.io/service-name=podinfo"},
		{"never drawn, of connections", "SB012", func(v *View) { draws(v, 20, 0); v.Probed.Path.Path, v.Probed.Path.PerConnection = "connections", true }, Failed, "the proxy drew it for none of 20", ""},
		{"never drawn, of a small weight", "SB008", func(v *View) { draws(v, 20, 0); weigh(v, 0.9, 0.1) }, OK, "", ""}, // 0.9^20 is 0.12
		{"never drawn, too few", "SB008", func(v *View) { draws(v, 14, 0) }, OK, "", ""},                               // 2 x 0.5^14 is 1.2e-4
		{"never drawn, just enough", "SB008", func(v *View) { draws(v, 15, 0) }, Failed, "none of 15", ""},             // 2 x 0.5^15 is 6.1e-5
		{"never drawn, and the proxy is stale", "SB008", func(v *View) { draws(v, 20, 0); v.Probed.Path.Path = "default" }, OK, "", ""},
		{"weight 0 that answers nobody", "SB008", func(v *View) { unavailable(v); v.Backends[1].Weight = 0; weigh(v, 1, 0) }, Warning, "requests do not arrive", ""},
		{"an error of the application", "SB008", func(v *View) { v.Probed.Direct["podinfo-east"] = []Answer{{Status: 503}, {Status: 503}} }, OK, "", ""},
		{"one answer of two", "SB008", func(v *View) { unavailable(v); v.Probed.Direct["podinfo-east"][1] = Answer{Status: 200} }, OK, "", ""},
		{"other cluster unseen, and it answered", "SB008", unseenEast, OK, "backend podinfo-east: its pods in cluster east could not be seen; it answered the source pod", ""},
		{"other cluster unseen, and it answered", "SB011", unseenEast, OK, "could not be seen: no remote context; it answered the source pod", ""},
		{"other cluster unseen, and it answered", "SB012", unseenEast, OK, "could not be seen: no remote context; it answered the source pod", ""},
		{"anchors unread, and mutual TLS seen", "SB013", func(v *View) { v.Facts.Anchors[1].Sight = law.Unread }, OK, "requests of the source pod went there by mutual TLS", ""},
		{"networks not told, and the proxy knows the root", "SB020", func(v *View) { v.Facts.Networks.Sight = law.Absent }, OK, "the proxy knows the requests", ""},
		{"plugin unread, and the proxy knows the root", "SB019", func(v *View) { v.Facts.SocketLB.Sight = law.Unread }, OK, "the proxy knows the requests", ""},

		{"IPv6 goes around the proxy", "SB015", func(v *View) {
			unprobed(v)
			v.Root.ClusterIP, v.Root.ClusterIPs, v.Source.IPv4Only = "fd00::10", []string{"fd00::10", "10.1.0.10"}, true
		}, Warning, "listens on IPv4 alone: what the pod dials by IPv6 goes around it", ""},
		{"IPv6 of a proxy that listens there", "SB015", func(v *View) {
			unprobed(v)
			v.Root.ClusterIP = "fd00::10"
		}, OK, "", ""},
		{"the second address is the Service too", "SB015", func(v *View) {
			v.Root.ClusterIPs = []string{v.Root.ClusterIP, "fd00::10"}
			v.Probed.Root[0].RemoteAddr = "[fd00::10]:9898"
		}, OK, "", ""},
		{"endpoints of IPv6 alone", "SB008", func(v *View) {
			v.Source.IPv4Only = true
			v.Backends[0].Endpoints = []law.Endpoint{{Address: "fd00::6", Port: 9898, Ready: true}}
		}, Failed, "backend podinfo: none of its 1 ready endpoints has an address of IPv4", ""},
		{"another port of the same Service", "SB009", func(v *View) {
			asRoute(v)
			v.Backends[1].Port, v.Port = 9898, 9999
			v.Root.Ports = append(v.Root.Ports, law.Port{Port: 9999})
			v.Backends[1].Service.Ports = v.Root.Ports
		}, Warning, "requests to port 9999 are sent to port 9898 of Service test/podinfo-east, which has port 9999 too", ""},
		{"pod dials something else", "SB015", func(v *View) { v.Probed.Root[0].RemoteAddr = "10.9.9.9:9898" }, Failed, "the pod dials 10.9.9.9 for http://podinfo:9898/, not the cluster IP 10.1.0.10", "--url http://podinfo:9898/"},
		{"names of a route", "SB016", asRoute, OK, "names the namespaces of its Services itself", ""},

		{"opaque by the Service", "SB017", func(v *View) { v.Root.OpaquePorts, v.Root.OpaquePortsSet = "25,9000-9999", true }, Warning, "opaque by the Service's annotation: 25,9000-9999", "kubectl --context west -n test annotate service podinfo config.linkerd.io/opaque-ports= --overwrite"},
		{"opaque by the namespace", "SB017", func(v *View) { v.Facts.Namespaces[0].OpaquePorts = "9898" }, Warning, "annotation of namespace test", "an empty annotation of its own: kubectl --context west -n test annotate service podinfo config.linkerd.io/opaque-ports= --overwrite"},
		{"opaque by the namespace, but not by the Service", "SB017", func(v *View) { v.Facts.Namespaces[0].OpaquePorts, v.Root.OpaquePortsSet = "9898", true }, OK, "", ""},
		{"opaque by the profile", "SB017", func(v *View) { v.Split.Profile.OpaquePorts = []string{"9898"} }, Warning, "opaque by ServiceProfile", "spec.opaquePorts: kubectl --context west -n test edit serviceprofile podinfo.test.svc.cluster.local"},
		{"unknown protocol", "SB017", func(v *View) { v.Root.Ports = []law.Port{{Port: 9898, AppProtocol: "https"}} }, Warning, `appProtocol "https"`, "appProtocol of the port to http: kubectl --context west -n test edit service podinfo"},
		{"opaque by default", "SB017", func(v *View) {
			v.Port, v.Root.Ports = 4444, []law.Port{{Port: 4444}}
			v.Law.NullModel, v.Law.ModelWhy = law.RandomPerConnection, "port 4444 is opaque by Linkerd's default"
		}, Warning, "opaque by Linkerd's default", "an empty annotation of its own: kubectl --context west -n test annotate service podinfo"},
		{"Istio takes it for TCP", "SB017", func(v *View) {
			v.Law.Provider = law.ProviderIstio
			v.Law.NullModel, v.Law.ModelWhy = law.RandomPerConnection, "port 9898 is tcp by its name"
		}, Warning, "port 9898 is tcp by its name", "appProtocol of the port to http: kubectl --context west -n test edit service podinfo"},
		{"a route of connections", "SB017", func(v *View) {
			v.Law.NullModel, v.Law.ModelWhy = law.RandomPerConnection, "a TCPRoute splits connections"
		}, Warning, "a TCPRoute splits connections", "let each request have a connection of its own: --requests-per-connection 1"},
		{"counters of connections", "SB017", func(v *View) { v.Probed.Path.PerConnection = true }, Warning, "it counted connections and no requests", "let each request have a connection of its own"},

		{"port skipped", "SB018", func(v *View) { v.Source.SkipOutbound = "25,9898" }, Failed, "pod frontend-1: port 9898 goes around the proxy (skipped ports 25,9898, by container linkerd-init)", restart},
		{"subnet skipped", "SB018", func(v *View) { v.Source.SkipSubnets = "10.1.0.0/16" }, Failed, "10.1.0.10 goes around the proxy", ""},
		{"port skipped by the namespace", "SB018", func(v *View) { v.Source.SkipFrom, v.Facts.Namespaces[0].SkipOutbound = "annotations", "9898" }, Failed, "by namespace test", ""},
		{"no meshed pod", "SB018", func(v *View) { v.Source.Meshed = false }, Unknown, "no meshed pod", ""},

		{"Cilium", "SB019", func(v *View) {
			unprobed(v)
			v.Facts.SocketLB = law.SocketLB{Sight: law.Seen, Object: "ConfigMap kube-system/cilium-config", InPods: true, Settings: "x"}
		}, Failed, "balanced at connect()", "socketLB.hostNamespaceOnly=true"},
		{"Calico", "SB019", func(v *View) {
			unprobed(v)
			v.Facts.SocketLB = law.SocketLB{Sight: law.Seen, Object: "FelixConfiguration default", InPods: true, Settings: "x"}
		}, Failed, "balanced at connect()", "patch felixconfiguration default"},
		{"plugin unread", "SB019", func(v *View) { unprobed(v); v.Facts.SocketLB.Sight = law.Unread }, Unknown, "could not be read", ""},

		{"outside the networks", "SB020", func(v *View) { unprobed(v); v.Facts.Networks.CIDRs = []string{"172.16.0.0/12"} }, Failed, "10.1.0.10 of Service test/podinfo is in none of 172.16.0.0/12", "linkerd upgrade --set clusterNetworks=LIST | kubectl --context west apply -f -"},
		{"networks not told", "SB020", func(v *View) { unprobed(v); v.Facts.Networks.Sight = law.Absent }, Unknown, "neither the proxy's environment nor ConfigMap linkerd/linkerd-config", ""},
		{"networks unreadable", "SB020", func(v *View) { unprobed(v); v.Facts.Networks.CIDRs = []string{"all"} }, Unknown, "cannot be compared", ""},

		{"nothing to compare", "SB020", func(v *View) {
			v.Root = law.Service{Namespace: "test", Name: "podinfo"}
			v.Backends = nil
		}, Unknown, "Service test/podinfo could not be compared: it is not there", ""},
		{"backend without a Service", "SB020", func(v *View) { gone(&v.Backends[1]) }, Unknown, "Service test/podinfo-east could not be compared: it is not there", ""},
		{"root without an address", "SB020", func(v *View) { unprobed(v); v.Root.Headless, v.Root.ClusterIP = true, "None" }, Unknown, "Service test/podinfo has no cluster IP to compare", ""},
		{"not accepted", "SB021", func(v *View) {
			asRoute(v)
			v.Law.Shadowed = []law.Shadowed{{Object: v.Law.Objects[0], Why: "its condition Accepted is False (NoMatchingParent)"}}
		}, Failed, "HTTPRoute test/podinfo is not followed: its condition Accepted is False", "kubectl --context west -n test get httproute podinfo -o yaml"},
		{"no rule fits", "SB021", func(v *View) {
			asRoute(v)
			v.Law.Unfit = true
			v.Law.Problem = "no rule of HTTPRoute test/podinfo fits GET /x: proxies answer 404 (no route)"
		}, Failed, "fits GET /x", ""},
		{"backendRef does not resolve", "SB021", func(v *View) {
			asRoute(v)
			v.Law.Backends = []law.Leaf{{Name: "gone", Weight: 1, Problem: "there is no Service test/gone: proxies answer its share with 500"}}
		}, Failed, "backend gone: there is no Service test/gone", ""},
		{"404 of the client's own proxy", "SB021", func(v *View) {
			asRoute(v)
			v.Probed.Root[0] = Answer{Status: 404, Header: map[string][]string{"L5d-Proxy-Error": {"no route"}}}
		}, Failed, "1 of 2 probes got 404 (no route)", ""},
		{"in order", "SB021", asRoute, OK, "HTTPRoute test/podinfo, spec.rules[1] fits GET /", ""},

		{"two-way", "SB022", func(v *View) {
			v.Backends[1].Mirror.RemoteSplit = &law.RemoteSplit{Object: "ServiceProfile test/p.test.svc.x", Weights: []law.Weight{{Service: "podinfo", Weight: 8}, {Service: "podinfo-west", Weight: 2}}, Back: []string{"podinfo-west"}}
		}, Warning, "podinfo=8,podinfo-west=2), and podinfo-west leads away again", "kubectl --context eu -n test get trafficsplits,serviceprofile/p.test.svc.x"},
		{"split there, and no gateway that would ask for it", "SB022", func(v *View) {
			v.Backends[1].Mirror.Mode = law.MirrorRemoteDiscovery
			v.Backends[1].Mirror.RemoteSplit = &law.RemoteSplit{Object: "ServiceProfile test/p", Weights: []law.Weight{{Service: "a", Weight: 1}}}
		}, OK, "", ""},
		{"split again", "SB022", func(v *View) {
			v.Backends[1].Mirror.RemoteSplit = &law.RemoteSplit{Object: "ServiceProfile test/p", Weights: []law.Weight{{Service: "a", Weight: 1}}}
		}, Warning, "is shared out once more", ""},
		{"loop", "SB022", func(v *View) { v.Probed.Root[1].Status = 508 }, Failed, "1 of 2 probes went in a circle (status 508)", ""},
		{"other cluster's split unread", "SB022", func(v *View) { v.Backends[1].Mirror.RemoteSplitWhy = "forbidden" }, Unknown, "(forbidden)", ""},

		{"driven", "SB023", func(v *View) { v.Split.Drivers = []string{"flagger, which wrote fields of it"} }, Warning, "is written by flagger", "--show-managed-fields"},

		{"retries", "SB024", func(v *View) {
			v.Law.Settings = []law.Setting{{Object: "HTTPRoute test/podinfo", Field: "retry.linkerd.io/http", Value: "5xx"}}
		}, Warning, "HTTPRoute test/podinfo has retry.linkerd.io/http=5xx", ""},
		{"annotations not in force", "SB024", func(v *View) {
			v.Law.Settings = []law.Setting{{Object: "Service test/podinfo", Field: "retry.linkerd.io/http", Value: "5xx", Why: "a ServiceProfile rules"}}
		}, Warning, "Service test/podinfo has retry.linkerd.io/http=5xx, which has no effect: a ServiceProfile rules", ""},
		{"rollout", "SB024", func(v *View) {
			v.Facts.Rollouts = []law.Rollout{{Cluster: "east", Deployment: "test/podinfo", State: "1 of 2 replicas updated"}}
		}, Warning, "Deployment test/podinfo of cluster east is changing: 1 of 2", "kubectl --context eu -n test rollout status deployment/podinfo"},
		{"retried probes", "SB024", func(v *View) { v.Probed.Path.Retries = 3 }, Warning, "drew 3 of the probes again", ""},

		{"denied by default", "SB025", func(v *View) { unprobed(v); v.Backends[0].Pods.InboundPolicy = []string{"deny"} }, Failed, "backend podinfo: its proxies deny by default", "servers.policy.linkerd.io"},
		{"gateway denies", "SB025", func(v *View) { unprobed(v); v.Gateways[0].Pods.InboundPolicy = []string{"deny"} }, Failed, "the gateway of cluster east: its proxies deny by default", "kubectl --context eu -n linkerd-multicluster get servers"},
		{"gateway denies by default and lets in", "SB025", func(v *View) { v.Gateways[0].Pods.InboundPolicy = []string{"deny"} }, OK, "", ""}, // the stock multicluster extension under proxy.defaultInboundPolicy=deny
		{"Servers unread", "SB025", func(v *View) {
			unprobed(v)
			v.Gateways[0].Pods.InboundPolicy, v.Gateways[0].Pods.ServersWhy = []string{"deny"}, "forbidden"
		}, Unknown, "the gateway of cluster east: the policies of its port could not be read (forbidden)", ""},
		{"audited", "SB025", func(v *View) {
			unprobed(v)
			v.Backends[0].Pods.Servers = []law.ServerOn{{Name: "test/web", AccessPolicy: "audit"}}
		}, OK, "", ""},
		{"Server without authorization", "SB025", func(v *View) { unprobed(v); v.Backends[0].Pods.Servers = []law.ServerOn{{Name: "test/web"}} }, Failed, "nothing authorises anybody (accessPolicy deny)", ""},
		{"Server with one, not asked", "SB025", func(v *View) {
			unprobed(v)
			v.Backends[1].Pods.Servers = []law.ServerOn{{Name: "test/web", AccessPolicy: "deny", Authorizations: []string{"AuthorizationPolicy let"}}}
		}, Unknown, "Server test/web lets in whom AuthorizationPolicy let names; whether the client is let in is seen with --probe", ""},
		{"Server with one, asked", "SB025", func(v *View) {
			v.Backends[1].Pods.Servers = []law.ServerOn{{Name: "test/web", AccessPolicy: "deny", Authorizations: []string{"AuthorizationPolicy let"}}}
		}, OK, "", ""},
		{"open Server", "SB025", func(v *View) {
			v.Backends[0].Pods.Servers = []law.ServerOn{{Name: "test/web", AccessPolicy: "all-unauthenticated"}}
			v.Backends[0].Pods.InboundPolicy = []string{"deny"}
		}, OK, "", ""},
		{"default not told", "SB025", func(v *View) { unprobed(v); v.Backends[0].Pods.InboundPolicy = []string{""} }, Unknown, "no object says what its proxies let in by default", ""},
		{"403 from the other end", "SB025", func(v *View) { v.Probed.Direct["podinfo-east"][0].Status = 403 }, Failed, "backend podinfo-east in cluster east: a request of the source pod got 403", ""},
		{"pods unread", "SB025", func(v *View) { v.Backends[0].Pods = law.PodSet{Sight: law.Unread, Why: "forbidden"} }, Unknown, "(forbidden)", ""},

		{"answer alike", "SB026", func(v *View) {
			v.Probed.Direct["podinfo-north"] = v.Probed.Direct["podinfo-east"]
			b := v.Backends[1]
			b.Name, b.RemotePods = "podinfo-north", []string{"n1"}
			v.Backends = append(v.Backends, b)
		}, Failed, "backends podinfo-east and podinfo-north answer alike", ""},

		{"unmeshed backend", "SB028", func(v *View) {
			v.Backends[0].Pods = law.PodSet{Sight: law.Seen, Looked: 3, UnmeshedPods: 1, Unmeshed: []string{"p9"}}
		}, Warning, "backend podinfo: 1 of 3 pods have no proxy (p9)", ""},

		{"no credentials", "SB029", func(v *View) {
			v.Backends[1].Mirror.Mode, v.Backends[1].Mirror.Credentials = law.MirrorRemoteDiscovery, law.Absent
		}, Failed, "there is no Secret linkerd/cluster-credentials-east", "linkerd --context eu multicluster link-gen --cluster-name east --gateway=false"},
		{"credentials", "SB029", func(v *View) {
			v.Backends[1].Mirror.Mode, v.Backends[1].Mirror.Credentials = law.MirrorRemoteDiscovery, law.Seen
		}, OK, "", ""},
		{"credentials unread", "SB029", func(v *View) {
			v.Backends[1].Mirror.Mode, v.Backends[1].Mirror.Credentials = law.MirrorFederated, law.Unread
		}, Unknown, "could not be seen", ""},

		{"federated, over several clusters", "SB029", func(v *View) {
			v.Backends[1].Mirror.Mode, v.Backends[1].Mirror.Cluster, v.Backends[1].Mirror.Credentials = law.MirrorFederated, "", law.Absent
		}, Unknown, "members' clusters are not looked at", ""},
		{"federated, over several clusters", "SB033", func(v *View) {
			v.Backends[1].Mirror.Mode, v.Backends[1].Mirror.Cluster = law.MirrorFederated, ""
		}, Unknown, "the clusters of its members are not looked at", ""},

		{"not asked", "SB030", unprobed, Unknown, "--probe", "--probe"},
		{"redirect", "SB030", func(v *View) {
			v.Probed.Root[0] = Answer{Status: 302, Header: map[string][]string{"Location": {"https://x/"}}}
		}, Warning, `redirect (status 302) to "https://x/"`, "--url http://podinfo.test:9898/"},
		{"cache", "SB030", func(v *View) { v.Probed.Root[1].Header["Age"] = []string{"7"} }, Warning, "answered by a cache", ""},
		{"page", "SB030", func(v *View) { v.Probed.Root[0].Header["Content-Type"] = []string{"text/html; charset=utf-8"} }, Warning, "page for browsers", ""},
		{"fail-fast", "SB030", func(v *View) {
			v.Probed.Root[0] = Answer{Status: 504, Header: map[string][]string{"L5d-Proxy-Error": {"Service.test.podinfo-east:9898: service in fail-fast"}}}
		}, Warning, "status 504 by the client's own proxy (Service.test.podinfo-east:9898: service in fail-fast)", ""},

		{"identity in the Link", "SB013", func(v *View) { v.Links[0].GatewayIdentity = "old.example" }, Failed, "names the gateway gateway.east.example, Link east names old.example", "link-gen"},
		{"identity of the gateway", "SB013", func(v *View) { v.Gateways[0].Identity = "new.example" }, Failed, "the gateway itself names new.example", ""},
		{"identity lost on the way to slices", "SB013", func(v *View) { v.Backends[1].Mirror.SliceIdentities = []string{""} }, Failed, "an EndpointSlice of it names none", ""},
		{"no identity", "SB013", func(v *View) { v.Backends[1].Mirror.GatewayIdentity = "" }, Failed, "clients dial in plain text", ""},
		{"other anchors", "SB013", func(v *View) { v.Facts.Anchors[1].Fingerprints = []string{"bb"} }, Failed, "no trust anchor in common (aa here, bb there)", ""},
		{"anchors half rotated", "SB013", func(v *View) { v.Facts.Anchors[1].Fingerprints = []string{"aa", "bb"} }, Warning, "share 1 of 1 and 2 trust anchors", ""},
		{"no anchors", "SB013", func(v *View) { unprobed(v); v.Facts.Anchors[0].Sight = law.Absent }, Unknown, "what is lacking: those of the client's cluster (there is no ConfigMap linkerd/linkerd-identity-trust-roots)", "multicluster check"},
		{"plain text to the gateway", "SB013", func(v *View) { v.Probed.TLS["east"] = "no_identity" }, Failed, "not mutual TLS (no_identity)", ""},

		{"same cluster twice", "SB033", func(v *View) { v.Backends[1].Mirror.RemoteService.UID = v.Root.UID }, Failed, "contexts west and eu lead to the same cluster: Service test/podinfo has UID 1 in both", "--remote-context"},

		{"rule missing", "SB035", func(v *View) { v.Access[2].Allowed = false }, Failed, "list services is not allowed in namespace test (for: root and backends)", "splitbench rbac run ts/podinfo --context west -n test --from deploy/frontend | kubectl --context west apply -f -"},
		{"optional rule missing", "SB035", func(v *View) { v.Access[3].Allowed = false }, Warning, "list serviceprofiles.linkerd.io is not allowed in namespace test", ""},
		{"not told", "SB035", func(v *View) { v.Access = nil }, Unknown, "did not say", ""},

		{"clock ahead", "SB036", func(v *View) { ms := int64(42_000); v.Clusters[1].SkewMs = &ms }, Warning, "cluster east is 42s ahead of this machine", "date -u"},
		{"clock behind", "SB036", func(v *View) { ms := int64(-7_200_000); v.Clusters[0].SkewMs = &ms }, Warning, "client's cluster is 2h0m0s behind", ""},
		{"no clock", "SB036", func(v *View) { v.Clusters[0].SkewMs = nil }, Unknown, "did not say what time it is", ""},

		{"told the same", "SB038", told(nil), OK, "pod linkerd/linkerd-destination-1 tells proxies exactly what the objects say", ""},
		{"told other weights", "SB038", told(func(v *View) {
			worked := v.Law
			worked.Objects = []law.ObjectRef{v.Split.ObjectRef}
			v.Told.WorkedOut, v.Law.Objects = &worked, worked.Objects
			v.Law.Backends = []law.Leaf{{Name: "podinfo", Weight: 70}, {Name: "podinfo-east", Weight: 30}}
		}), Warning, "tells proxies podinfo=70,podinfo-east=30 by TrafficSplit test/podinfo, and the split is judged by that; the objects say", "logs linkerd-destination-1"},
		{"told of another object", "SB038", told(func(v *View) {
			worked := v.Law
			v.Told.WorkedOut, v.Law.Objects = &worked, nil
			v.Law.Backends = []law.Leaf{{Name: "podinfo", Weight: 1}}
		}), Failed, "tells proxies podinfo=1, and that is obeyed; the objects say", "logs linkerd-destination-1"},
		{"told what has no distribution", "SB038", told(func(v *View) {
			worked := v.Law
			v.Told.WorkedOut, v.Law.Problem = &worked, "the weights sum to nothing"
		}), Failed, "tells proxies no usable split: the weights sum to nothing", "logs"},
		{"told nothing", "SB038", told(func(v *View) { v.Told.Why = "the policy controller did not answer within 2s" }), Unknown, "is not known: the policy controller did not answer within 2s; the law is worked out from the objects", "splitbench rbac"},
		{"told nothing, and it must be", "SB038", told(func(v *View) { v.Told.Why, v.Told.Required = "no permission", true }), Failed, "is not known: no permission", "--law objects"},
		{"refused", "SB037", func(v *View) { offMesh(v, Answer{Empty: true, Error: "EOF"}) }, OK, "backend podinfo-east gives pod frontend-1 an empty reply", ""},
		{"let in", "SB037", func(v *View) { offMesh(v, Answer{Status: 200}) }, Failed, "answered pod frontend-1, which has no proxy, with status 200", "get services"},
		{"refused with a status", "SB037", func(v *View) { offMesh(v, Answer{Status: 403}) }, OK, "with status 403", ""},
		{"answered with an error of the application", "SB037", func(v *View) { offMesh(v, Answer{Status: 404}) }, Failed, "answered pod frontend-1, which has no proxy, with status 404", "get services"},
		{"let in, and the way on is broken", "SB037", func(v *View) { offMesh(v, Answer{Status: 503}) }, Failed, "with status 503", ""},
		{"cut off", "SB037", func(v *View) {
			offMesh(v, Answer{Error: "read tcp 10.0.0.9:1->10.1.0.11:9898: read: connection reset by peer"})
		}, OK, "cuts pod frontend-1 off", ""},
		{"unreachable", "SB037", func(v *View) { offMesh(v, Answer{Error: "i/o timeout"}) }, Unknown, "no answer (i/o timeout)", ""},
		{"not asked", "SB037", func(v *View) { offMesh(v, Answer{}); v.Probed = nil }, Unknown, "what is lacking is a request from the pod (--probe)", "--probe"},
		{"meshed after all", "SB037", func(v *View) { offMesh(v, Answer{}); v.Source.Meshed = true }, Failed, "it is no client outside the mesh", "--expect-off-mesh"},
		{"no gateway", "SB037", func(v *View) { offMesh(v, Answer{}); v.Backends = v.Backends[:1] }, Unknown, "no backend is behind a gateway", ""},
	}
}

// unavailable has the client's own proxy answer for east.
func unavailable(v *View) {
	a := Answer{Status: 503, Header: map[string][]string{"L5d-Proxy-Error": {"route default.http: service unavailable"}}}
	v.Probed.Direct["podinfo-east"] = []Answer{a, a}
}

// draws are what the client's proxy counted between the probes.
func draws(v *View, west, east int64) {
	v.Probed.Path.Draws = map[string]int64{"podinfo": west, "podinfo-east": east}
}

func weigh(v *View, west, east float64) {
	v.Law.Backends[0].Probability, v.Law.Backends[1].Probability = west, east
}

// unseenEast leaves east without a context.
func unseenEast(v *View) {
	v.Backends[1].Mirror.Context, v.Gateways, v.Clusters = "", nil, v.Clusters[:1]
}

func offMesh(v *View, a Answer) {
	v.OffMesh, v.Source.Meshed, v.Source.ProxyReady = true, false, false
	v.Probed = &Probed{Direct: map[string][]Answer{"podinfo-east": {a}}}
}

func TestFaultsOfAView(t *testing.T) {
	for _, row := range viewFaults() {
		t.Run(row.id+" "+row.name, func(t *testing.T) {
			v := View{Snapshot: healthy(), Probed: answers()}
			row.plant(&v)
			r := result(t, Run(v), row.id)
			if r.Status != row.want || !strings.Contains(r.Seen, row.seen) || !strings.Contains(r.Hint, row.hint) {
				t.Errorf("%s\nseen %s\nhint %s", r.Status, r.Seen, r.Hint)
			}
			if strings.Contains(r.Seen+r.Hint, "  ") || strings.HasSuffix(r.Seen, ".") {
				t.Errorf("not a sentence: %q %q", r.Seen, r.Hint)
			}
		})
	}
}

// A missing rule is printed ready to apply, by cluster and namespace; rules of exec with the check of exec.
func TestMissingRulesAsYAML(t *testing.T) {
	s := healthy()
	s.Access = append(s.Access, law.Access{Cluster: "east", Verb: "get", Resource: "services", Namespace: "linkerd-multicluster", Optional: true, For: "the gateway"},
		law.Access{Verb: "get", Resource: "nodes", Optional: true, For: "platform"})
	s.Access[0].Allowed, s.Access[3].Allowed = false, false
	results := Run(View{Snapshot: s})
	want := `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: splitbench-missing
  namespace: test
rules:
- {apiGroups: ["linkerd.io"], resources: ["serviceprofiles"], verbs: ["list"]} # optional: what proxies obey
---
# in cluster east
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: splitbench-missing
  namespace: linkerd-multicluster
rules:
- {apiGroups: [""], resources: ["services"], verbs: ["get"]} # optional: the gateway
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: splitbench-missing
rules:
- {apiGroups: [""], resources: ["nodes"], verbs: ["get"]} # optional: platform
`
	if got := result(t, results, "SB035").Apply; got != want {
		t.Errorf("got\n%s", got)
	}
	if got := result(t, results, "SB027").Apply; !strings.Contains(got, `resources: ["pods/exec"], verbs: ["create"]`) {
		t.Errorf("got\n%s", got)
	}
}

func TestEveryCheckIsExplained(t *testing.T) {
	for _, c := range Checks() {
		for what, text := range map[string]string{"looks": c.Looks, "cause": c.Cause, "remedy": c.Remedy} {
			if text == "" || strings.Contains(text, "  ") {
				t.Errorf("%s: %s is %q", c.ID, what, text)
			}
		}
	}
	if len(functions()) != len(Checks()) {
		t.Errorf("%d checks do something, %d are described", len(functions()), len(Checks()))
	}
	if c, ok := Explain("SB012"); !ok || c.ID != "SB012" {
		t.Error("SB012 is not found")
	}
	if _, ok := Explain("SB999"); ok {
		t.Error("SB999 is found")
	}
}

// The failure modes of the field are all there, each under its number.
func TestAllThirtyFailureModes(t *testing.T) {
	n := 0
	for _, c := range Checks() {
		if c.ID <= "SB030" {
			n++
		}
	}
	if n != 30 {
		t.Errorf("%d checks up to SB030, want 30", n)
	}
}

// told is a View whose control plane was asked.
func told(change func(*View)) func(*View) {
	return func(v *View) {
		v.Law.Backends = []law.Leaf{{Name: "podinfo", Weight: 50}, {Name: "podinfo-east", Weight: 50}}
		v.Told = &law.Told{Namespace: "linkerd", Pod: "linkerd-destination-1", Law: v.Law}
		if change != nil {
			change(v)
		}
	}
}
