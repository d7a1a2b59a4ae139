package mesh

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	core "k8s.io/api/core/v1"

	"github.com/splitbench/splitbench/internal/law"
)

// anchorPEM is a block of the right type; what is in it does not matter to a comparison.
const (
	anchorPEM  = "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
	anchorPEM2 = "-----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----\n"
)

func anchors(pem string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linkerd-identity-trust-roots, namespace: linkerd}\ndata:\n  ca-bundle.crt: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n    ") + "\n"
}

func controller(name, cluster, rest string) string {
	return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: " + name + ", namespace: linkerd-multicluster, labels: {mirror.linkerd.io/cluster-name: " +
		cluster + "}}, " + rest + "}"
}

// Facts as the API servers tell them; each row edits the two clusters of testdata.
func TestFacts(t *testing.T) {
	for _, row := range []struct {
		name string
		edit func(west, east *apiServer)
		got  func(law.Snapshot) any
		want any
	}{
		{"no adaptor", nil, func(s law.Snapshot) any { return s.Facts.Adaptor }, law.Adaptor{Sight: law.Absent, Namespace: "linkerd-smi", Name: "smi-adaptor"}},
		{"adaptor in a namespace of its own name", func(w, _ *apiServer) {
			w.put("{apiVersion: v1, kind: Namespace, metadata: {name: smi, labels: {linkerd.io/extension: smi}}}")
			w.put("{apiVersion: apps/v1, kind: Deployment, metadata: {name: smi-adaptor, namespace: smi}, status: {availableReplicas: 1}}")
		}, func(s law.Snapshot) any { return s.Facts.Adaptor }, law.Adaptor{Sight: law.Seen, Namespace: "smi", Name: "smi-adaptor", Available: true}},
		{"adaptor elsewhere, and namespaces may not be listed", func(w, _ *apiServer) {
			w.put("{apiVersion: v1, kind: Namespace, metadata: {name: smi, labels: {linkerd.io/extension: smi}}}")
			w.put("{apiVersion: apps/v1, kind: Deployment, metadata: {name: smi-adaptor, namespace: smi}, status: {availableReplicas: 1}}")
			w.refuse["/api/v1/namespaces$"] = 403
		}, func(s law.Snapshot) any { return s.Facts.Adaptor }, law.Adaptor{
			Sight: law.Unread, Name: "smi-adaptor", Why: "it is not in namespace linkerd-smi, and other namespaces could not be listed: refused by the test",
		}},
		{"adaptor in the usual place, and namespaces may not be listed", func(w, _ *apiServer) {
			w.put("{apiVersion: apps/v1, kind: Deployment, metadata: {name: smi-adaptor, namespace: linkerd-smi}, status: {availableReplicas: 1}}")
			w.refuse["/api/v1/namespaces$"] = 403
		}, func(s law.Snapshot) any { return s.Facts.Adaptor.Sight }, law.Seen},
		{"adaptor forbidden", func(w, _ *apiServer) { w.refuse["/apis/apps/v1/namespaces/linkerd-smi"] = 403 }, func(s law.Snapshot) any { return s.Facts.Adaptor.Sight }, law.Unread},
		{"no service mirror", nil, func(s law.Snapshot) any { return s.Links[0].Controller }, law.Controller{Sight: law.Absent}},
		{"service mirror as Linkerd 2.18 and later name it", func(w, _ *apiServer) {
			w.put(controller("controller-east", "east", "status: {availableReplicas: 1}"))
		}, func(s law.Snapshot) any { return s.Links[0].Controller }, law.Controller{Sight: law.Seen, Name: "linkerd-multicluster/controller-east", Available: true}},
		{"service mirror of before, scaled to nothing", func(w, _ *apiServer) {
			w.put(controller("linkerd-service-mirror-east", "east", "spec: {replicas: 0}"))
		}, func(s law.Snapshot) any { return s.Links[0].Controller }, law.Controller{Sight: law.Seen, Name: "linkerd-multicluster/linkerd-service-mirror-east", Idle: true}},
		{"service mirror of another Link", func(w, _ *apiServer) {
			w.put(controller("controller-north", "north", "status: {availableReplicas: 1}"))
		}, func(s law.Snapshot) any { return s.Links[0].Controller.Sight }, law.Absent},
		{"service mirrors forbidden", func(w, _ *apiServer) {
			w.refuse["/apis/apps/v1/namespaces/linkerd-multicluster"] = 403
		}, func(s law.Snapshot) any { return s.Links[0].Controller.Sight }, law.Unread},
		{"Links seen", nil, func(s law.Snapshot) any { return s.Facts.Links }, law.Seen},
		{"Links forbidden", func(w, _ *apiServer) { w.refuse["/apis/multicluster.linkerd.io/v1"] = 403 }, func(s law.Snapshot) any { return s.Facts.Links }, law.Unread},
		{"no Cilium", nil, func(s law.Snapshot) any { return s.Facts.SocketLB.Sight }, law.Absent},
		{"Cilium in place of kube-proxy", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: "true"}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Cilium for host namespaces only", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: "true", bpf-lb-sock-hostns-only: "true"}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, false},
		{"Cilium in place of kube-proxy, as it is usually installed", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: "true", bpf-lb-sock: "false"}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Cilium strict, of before 1.14", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: strict, bpf-lb-sock: "false"}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Cilium beside kube-proxy, with socket balancing", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: "false", bpf-lb-sock: "true"}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Cilium beside kube-proxy, with socket balancing off", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: partial, bpf-lb-sock: "false"}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, false},
		{"Calico at connect()", func(w, _ *apiServer) {
			w.groups["crd.projectcalico.org"] = []string{"v1"}
			w.put(`{apiVersion: crd.projectcalico.org/v1, kind: FelixConfiguration, metadata: {name: default}, spec: {bpfEnabled: true, bpfConnectTimeLoadBalancing: Enabled}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Calico without a word on connect()", func(w, _ *apiServer) {
			w.groups["crd.projectcalico.org"] = []string{"v1"}
			w.put(`{apiVersion: crd.projectcalico.org/v1, kind: FelixConfiguration, metadata: {name: default}, spec: {bpfEnabled: true}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Calico at connect() for TCP", func(w, _ *apiServer) {
			w.groups["crd.projectcalico.org"] = []string{"v1"}
			w.put(`{apiVersion: crd.projectcalico.org/v1, kind: FelixConfiguration, metadata: {name: default}, spec: {bpfEnabled: true, bpfConnectTimeLoadBalancing: TCP}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, true},
		{"Calico told to leave connect() alone", func(w, _ *apiServer) {
			w.groups["crd.projectcalico.org"] = []string{"v1"}
			w.put(`{apiVersion: crd.projectcalico.org/v1, kind: FelixConfiguration, metadata: {name: default}, spec: {bpfEnabled: true, bpfConnectTimeLoadBalancing: Disabled}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, false},
		{"Calico told so by the older field", func(w, _ *apiServer) {
			w.groups["crd.projectcalico.org"] = []string{"v1"}
			w.put(`{apiVersion: crd.projectcalico.org/v1, kind: FelixConfiguration, metadata: {name: default}, spec: {bpfEnabled: true, bpfConnectTimeLoadBalancingEnabled: false}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, false},
		{"Calico without eBPF", func(w, _ *apiServer) {
			w.groups["crd.projectcalico.org"] = []string{"v1"}
			w.put(`{apiVersion: crd.projectcalico.org/v1, kind: FelixConfiguration, metadata: {name: default}, spec: {bpfEnabled: false}}`)
		}, func(s law.Snapshot) any { return s.Facts.SocketLB.InPods }, false},
		{"networks of the control plane", func(w, _ *apiServer) {
			w.put(`{apiVersion: v1, kind: ConfigMap, metadata: {name: linkerd-config, namespace: linkerd}, data: {values: "clusterNetworks: 10.0.0.0/8, fd00::/8\n"}}`)
		}, func(s law.Snapshot) any { return s.Facts.Networks.CIDRs }, []string{"10.0.0.0/8", "fd00::/8"}},
		{"networks of the proxy come first", func(w, _ *apiServer) {
			w.set("pods/test/frontend-7-xxxxx", "spec/containers/0/env", []any{map[string]any{"name": envNetworks, "value": "192.0.2.0/24"}})
		}, func(s law.Snapshot) any { return s.Facts.Networks.CIDRs }, []string{"192.0.2.0/24"}},
		{"no anchors", nil, func(s law.Snapshot) any { return []law.Sight{s.Facts.Anchors[0].Sight, s.Facts.Anchors[1].Sight} }, []law.Sight{law.Absent, law.Absent}},
		{"anchors", func(w, e *apiServer) {
			w.put(anchors(anchorPEM + anchorPEM2 + anchorPEM))
			e.put(anchors("rubbish"))
		}, func(s law.Snapshot) any {
			return []any{len(s.Facts.Anchors[0].Fingerprints), s.Facts.Anchors[0].Cluster, s.Facts.Anchors[1].Sight, s.Facts.Anchors[1].Cluster}
		}, []any{2, "client", law.Unread, "east"}},
		{"slices of the mirror", func(w, _ *apiServer) {
			w.put("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: m, namespace: test, labels: {kubernetes.io/service-name: podinfo-east}}, addressType: IPv4, endpoints: []}")
		}, func(s law.Snapshot) any {
			return []any{s.Backends[1].Mirror.Slices, s.Backends[1].Mirror.SliceIdentities}
		}, []any{law.Seen, []string{""}}},
		{"remote discovery without credentials", func(w, _ *apiServer) {
			w.object("services/test/podinfo-east")["metadata"].(map[string]any)["labels"].(map[string]any)[labelRemoteDiscovery] = "east"
		}, func(s law.Snapshot) any { return []any{s.Backends[1].Mirror.Mode, s.Backends[1].Mirror.Credentials} }, []any{law.MirrorRemoteDiscovery, law.Absent}},
		{"remote discovery with credentials", func(w, _ *apiServer) {
			w.object("services/test/podinfo-east")["metadata"].(map[string]any)["labels"].(map[string]any)[labelRemoteDiscovery] = "east"
			w.put("{apiVersion: v1, kind: Secret, metadata: {name: cluster-credentials-east, namespace: linkerd}, type: mirror.linkerd.io/remote-kubeconfig}")
		}, func(s law.Snapshot) any { return s.Backends[1].Mirror.Credentials }, law.Seen},
		{"no split in the other cluster", nil, func(s law.Snapshot) any { return s.Backends[1].Mirror.RemoteSplit == nil }, true},
		{"two-way split", func(_, e *apiServer) {
			e.put("{apiVersion: v1, kind: Service, metadata: {name: podinfo-west, namespace: test, labels: {mirror.linkerd.io/mirrored-service: \"true\", mirror.linkerd.io/cluster-name: west}}, spec: {clusterIP: 10.2.0.9, ports: []}}")
			e.put("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: podinfo.test.svc.cluster.local, namespace: test}, spec: {dstOverrides: [{authority: podinfo.test.svc.cluster.local, weight: 80}, {authority: podinfo-west.test.svc.cluster.local, weight: 20}]}}")
		}, func(s law.Snapshot) any { return *s.Backends[1].Mirror.RemoteSplit }, law.RemoteSplit{
			Object: "ServiceProfile test/podinfo.test.svc.cluster.local", Weights: law.Weights{{Service: "podinfo", Weight: 80}, {Service: "podinfo-west", Weight: 20}}, Back: []string{"podinfo-west"},
		}},
		{"pods of a backend", func(w, _ *apiServer) {
			w.put("{apiVersion: v1, kind: Pod, metadata: {name: p1, namespace: test, uid: u1, labels: {app: podinfo}}, spec: {containers: [{name: podinfod}]}}")
			w.put("{apiVersion: v1, kind: Pod, metadata: {name: p2, namespace: test, uid: u2, labels: {app: podinfo}, annotations: {config.linkerd.io/opaque-ports: \"9898\"}}, " +
				"spec: {containers: [{name: podinfod}], initContainers: [{name: linkerd-proxy, restartPolicy: Always, env: [{name: LINKERD2_PROXY_INBOUND_DEFAULT_POLICY, value: deny}]}]}, " +
				"status: {containerStatuses: [{name: podinfod, imageID: \"example/podinfo@sha256:aa\\e\"}], initContainerStatuses: [{name: linkerd-proxy, imageID: \"example/proxy@sha256:bb\"}]}}")
		}, func(s law.Snapshot) any { return s.Backends[0].Pods }, law.PodSet{
			Sight: law.Seen, Looked: 2, Unmeshed: []string{"p1"}, UnmeshedPods: 1, OpaquePorts: []string{"9898"}, InboundPolicy: []string{"deny"},
			Built: []law.Built{
				{Name: "p1", UID: "u1", ImageIDs: map[string]string{}},
				{Name: "p2", UID: "u2", ImageIDs: map[string]string{"podinfod": "example/podinfo@sha256:aa\uFFFD"}, ProxyImageID: "example/proxy@sha256:bb"},
			},
		}},
		{"image of the source's proxy, as its node says", func(w, _ *apiServer) {
			w.set("pods/test/frontend-7-xxxxx", "status/containerStatuses", []any{map[string]any{"name": "linkerd-proxy", "imageID": "example/proxy@sha256:cc"}})
		}, func(s law.Snapshot) any { return s.Source.ProxyImageID }, "example/proxy@sha256:cc"},
		{"a Server on the port, by its name", func(w, _ *apiServer) {
			w.groups["policy.linkerd.io"] = []string{"v1beta3", "v1alpha1"}
			w.put("{apiVersion: v1, kind: Pod, metadata: {name: p1, namespace: test, labels: {app: podinfo}}, spec: {containers: [{name: linkerd-proxy}, {name: podinfod, ports: [{name: http, containerPort: 9898}]}]}}")
			w.put("{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: web, namespace: test}, spec: {podSelector: {matchLabels: {app: podinfo}}, port: http, accessPolicy: deny}}")
			w.put("{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: other, namespace: test}, spec: {podSelector: {matchLabels: {app: podinfo}}, port: 1}}")
			w.put("{apiVersion: policy.linkerd.io/v1alpha1, kind: AuthorizationPolicy, metadata: {name: let, namespace: test}, spec: {targetRef: {kind: Server, name: web}}}")
		}, func(s law.Snapshot) any { return s.Backends[0].Pods.Servers }, []law.ServerOn{{Name: "test/web", AccessPolicy: "deny", Authorizations: []string{"AuthorizationPolicy let"}}}},
		{"the gateway's own Server, by the name of a native sidecar's port", func(_, e *apiServer) {
			e.groups["policy.linkerd.io"] = []string{"v1beta3", "v1alpha1"}
			e.set("services/linkerd-multicluster/linkerd-gateway", "spec/selector", map[string]any{"app": "linkerd-gateway"})
			e.put("{apiVersion: v1, kind: Pod, metadata: {name: g1, namespace: linkerd-multicluster, labels: {app: linkerd-gateway}}, spec: {initContainers: [{name: linkerd-proxy, restartPolicy: Always, ports: [{name: linkerd-proxy, containerPort: 4143}]}], containers: [{name: pause}]}}")
			e.put("{apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: linkerd-gateway, namespace: linkerd-multicluster}, spec: {podSelector: {matchLabels: {app: linkerd-gateway}}, port: linkerd-proxy}}")
			e.put("{apiVersion: policy.linkerd.io/v1alpha1, kind: AuthorizationPolicy, metadata: {name: of-a-route, namespace: linkerd-multicluster}, spec: {targetRef: {kind: HTTPRoute, name: r}}}")
		}, func(s law.Snapshot) any { return s.Gateways[0].Pods.Servers }, []law.ServerOn{{Name: "linkerd-multicluster/linkerd-gateway", Authorizations: []string{"AuthorizationPolicy of-a-route"}}}},
		{"rollout", func(w, _ *apiServer) {
			w.put("{apiVersion: apps/v1, kind: Deployment, metadata: {name: podinfo, namespace: test, generation: 2}, spec: {replicas: 2, selector: {matchLabels: {app: podinfo}}, template: {metadata: {labels: {app: podinfo}}}}, status: {observedGeneration: 2, replicas: 2, updatedReplicas: 1}}")
		}, func(s law.Snapshot) any { return s.Facts.Rollouts }, []law.Rollout{{Deployment: "test/podinfo", State: "1 of 2 replicas updated"}}},
		{"Link's status", func(w, _ *apiServer) {
			w.set("links/linkerd-multicluster/east", "status", map[string]any{"mirrorServices": []any{map[string]any{
				"remoteRef":  map[string]any{"namespace": "test", "name": "podinfo"},
				"conditions": []any{map[string]any{"type": "Mirrored", "status": "False", "reason": "MissingNamespace", "message": "no namespace"}},
			}}})
		}, func(s law.Snapshot) any { return *s.Links[0].StatusOf("test/podinfo") }, law.MirrorStatus{Remote: "test/podinfo", Reason: "MissingNamespace", Message: "no namespace"}},
		{"skipped ports, of the init container", func(w, _ *apiServer) {
			w.set("pods/test/frontend-7-xxxxx", "metadata/annotations", map[string]any{annSkipOutbound: "9898"})
			w.set("pods/test/frontend-7-xxxxx", "spec/initContainers/0/args", []any{"--outbound-ports-to-ignore", "25,9000-9100", "--subnets-to-ignore=10.0.0.0/8"})
		}, func(s law.Snapshot) any {
			return []string{s.Source.SkipFrom, s.Source.SkipOutbound, s.Source.SkipSubnets}
		}, []string{"container linkerd-init", "25,9000-9100", "10.0.0.0/8"}},
		{"skipped ports, of annotations", func(w, _ *apiServer) {
			w.set("pods/test/frontend-7-xxxxx", "metadata/annotations", map[string]any{annSkipOutbound: "9898"})
			w.set("pods/test/frontend-7-xxxxx", "spec/initContainers", nil)
		}, func(s law.Snapshot) any { return []string{s.Source.SkipFrom, s.Source.SkipOutbound} }, []string{"annotations", "9898"}},
		{"namespace", func(w, _ *apiServer) {
			w.set("namespaces//test", "metadata/annotations", map[string]any{law.AnnOpaquePorts: "9898"})
		}, func(s law.Snapshot) any { return s.Facts.Namespaces[0].OpaquePorts }, "9898"},
		{"routes of the profile", func(w, _ *apiServer) {
			w.set("serviceprofiles/test/podinfo.test.svc.cluster.local", "spec/routes", []any{map[string]any{"name": "a", "isRetryable": true, "timeout": "1s"}, "rubbish"})
		}, func(s law.Snapshot) any {
			return []int{s.Split.Profile.Routes, s.Split.Profile.Retryable, s.Split.Profile.Timeouts}
		}, []int{2, 1, 1}},
		{"opaque ports of a Service, none", nil, func(s law.Snapshot) any { return s.Root.OpaquePortsSet }, false},
		{"opaque ports of a Service, empty", func(w, _ *apiServer) {
			w.set("services/test/podinfo", "metadata/annotations", map[string]any{law.AnnOpaquePorts: ""})
		}, func(s law.Snapshot) any { return []any{s.Root.OpaquePortsSet, s.Root.OpaquePorts} }, []any{true, ""}},
		{"settings of a Service", func(w, _ *apiServer) {
			w.set("services/test/podinfo", "metadata/annotations", map[string]any{"retry.linkerd.io/http": "5xx", "other": "x"})
		}, func(s law.Snapshot) any { return s.Root.Settings }, map[string]string{"retry.linkerd.io/http": "5xx"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			if row.edit != nil {
				row.edit(west, east)
			}
			s := mustDiscover(t, west, east, query())
			if d := cmp.Diff(row.want, row.got(s)); d != "" {
				t.Error(d)
			}
		})
	}
}

// The second look of a run asks about the split only.
func TestSplitOnlyReadsNoFacts(t *testing.T) {
	west, east := clusters(t)
	q := query()
	q.SplitOnly = true
	s := mustDiscover(t, west, east, q)
	if len(s.Facts.Namespaces)+len(s.Facts.Anchors) != 0 || len(west.calls) > 14 || len(east.calls) > 6 {
		t.Errorf("%d and %d calls, facts %+v", len(west.calls), len(east.calls), s.Facts)
	}
}

// A clock that is off is told, to about a second.
func TestClockSkew(t *testing.T) {
	west, east := clusters(t)
	east.ahead = 90 * time.Second
	s := mustDiscover(t, west, east, query())
	for i, want := range []int64{0, 90_000} {
		if got := s.Clusters[i].SkewMs; got == nil || *got < want-2000 || *got > want+2000 {
			t.Errorf("%s: %v ms ahead, want about %d", s.Clusters[i].Role, got, want)
		}
	}
}

// What the other cluster's gateway is known by: of a load balancer's entry with both, a Link has the IP.
func TestGatewayAddresses(t *testing.T) {
	svc := &core.Service{Status: core.ServiceStatus{LoadBalancer: core.LoadBalancerStatus{Ingress: []core.LoadBalancerIngress{
		{IP: "192.0.2.10", Hostname: "gw.example"}, {Hostname: "other.example"}, {IP: "192.0.2.10"}, {},
	}}}}
	if got := gatewayAddresses(svc); !slices.Equal(got, []string{"192.0.2.10", "other.example"}) {
		t.Errorf("%q", got)
	}
}

// A federated Service may have its only member here.
func TestAFederatedServiceOfThisClusterIsNoGatewayMirror(t *testing.T) {
	svc := &core.Service{}
	svc.Name, svc.Labels = "podinfo-federated", map[string]string{labelMirrored: "true"}
	svc.Annotations = map[string]string{annFederatedHere: "podinfo"}
	if m, ok := readMirror(svc); !ok || m.Mode != law.MirrorFederated {
		t.Errorf("%+v, %v", m, ok)
	}
}
