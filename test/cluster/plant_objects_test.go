package cluster

import (
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
)

// objectFaults add what should not be there.
func objectFaults() []fault {
	return []fault{
		{name: "two splits of one root", id: "SB005", heals: true, plant: func(t *testing.T, l lab) {
			l.create(t, l.west, "{apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, metadata: {name: second, namespace: test}, spec: {service: podinfo, backends: [{service: podinfo, weight: 1}]}}")
		}},
		{name: "profile of the client's namespace", id: "SB006", heals: true, args: []string{"--from", "pod/client", "--from-namespace", "default", "-c", "main"}, plant: func(t *testing.T, l lab) {
			l.create(t, l.west, `apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {name: podinfo.test.svc.cluster.local, namespace: default}
spec: {dstOverrides: [{authority: podinfo.test.svc.cluster.local, weight: "50"}, {authority: podinfo-east.test.svc.cluster.local, weight: "50"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: default}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: linkerd-proxy, image: "docker.io/splitlab/tools:1", imagePullPolicy: Never, command: [sleep, infinity]}
  - {name: main, image: "docker.io/splitlab/tools:1", imagePullPolicy: Never, command: [sleep, infinity]}
`)
			l.in(t, l.west, "", "-n", "default", "wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
		}},
		{name: "backend that does not exist", id: "SB007", plant: func(t *testing.T, l lab) { l.split(t, "podinfo", "podinfo-ghost") }},
		{name: "backend without endpoints", id: "SB008", plant: func(t *testing.T, l lab) {
			l.create(t, l.west, serviceOf("podinfo-idle", "selector: {app: nobody}"))
			l.split(t, "podinfo", "podinfo-idle")
		}},
		{name: "headless root", id: "SB015", args: []string{"ts/headless"}, plant: func(t *testing.T, l lab) {
			l.create(t, l.west, serviceOf("podinfo-headless", "clusterIP: None, selector: {app: podinfo}")+"---\n"+splitOf("headless", "podinfo-headless", "podinfo", "podinfo-east"))
		}},
		{name: "name of another namespace", id: "SB016", plant: func(t *testing.T, l lab) { l.split(t, "podinfo", "podinfo.other") }},
		{name: "Cilium balances at connect()", id: "SB019", plant: func(t *testing.T, l lab) {
			l.create(t, l.west, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cilium-config, namespace: kube-system}, data: {kube-proxy-replacement: "true"}}`)
		}},
		{name: "cluster IPs outside Linkerd's networks", id: "SB020", plant: func(t *testing.T, l lab) {
			l.create(t, l.west, `{apiVersion: v1, kind: ConfigMap, metadata: {name: linkerd-config, namespace: linkerd}, data: {values: "clusterNetworks: 192.0.2.0/24"}}`)
		}},
		{name: "route that nobody accepted", id: "SB021", args: []string{"httproute/plain"}, plant: func(t *testing.T, l lab) {
			l.create(t, l.west, serviceOf("podinfo-plain", "selector: {app: podinfo}")+`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: plain, namespace: test}
spec:
  parentRefs: [{group: core, kind: Service, name: podinfo-plain, port: 9898}]
  rules: [{backendRefs: [{name: podinfo, port: 9898, weight: 50}, {name: podinfo-east, port: 9898, weight: 50}]}]
`)
		}},
		{name: "two backends of the same pods", id: "SB026", status: preflight.Warning, plant: func(t *testing.T, l lab) {
			l.create(t, l.west, serviceOf("podinfo-twin", "selector: {app: podinfo}"))
			l.split(t, "podinfo", "podinfo-twin")
		}},
		{name: "no permission to run anything", id: "SB027", args: []string{"--as", "system:serviceaccount:test:reader"}, plant: func(t *testing.T, l lab) {
			const reader = `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: splitbench-test-reader}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: [get, list]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: splitbench-test-reader}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: splitbench-test-reader}, subjects: [{kind: ServiceAccount, name: reader, namespace: test}]}
`
			l.create(t, l.west, reader)
			l.create(t, l.east, reader)
		}},
	}
}
