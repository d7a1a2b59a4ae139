package cluster

import (
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
)

// apiFaults change what is there already.
func apiFaults() []fault {
	return []fault{
		{name: "client outside the mesh", id: "SB002", plant: func(*testing.T, lab) {}, args: []string{"--from", "deploy/offmesh"}},
		{name: "adaptor scaled to nothing", id: "SB003", heals: true, plant: func(t *testing.T, l lab) {
			scale := func(n string) {
				l.in(t, l.west, "", "-n", "linkerd-smi", "scale", "deploy/smi-adaptor", "--replicas="+n)
				l.in(t, l.west, "", "-n", "linkerd-smi", "rollout", "status", "deploy/smi-adaptor", "--timeout=60s")
			}
			t.Cleanup(func() { scale("1") })
			scale("0")
		}},
		{name: "ServiceProfile edited", id: "SB004", plant: func(t *testing.T, l lab) {
			l.patch(t, "serviceprofile", "podinfo.test.svc.cluster.local", `[{"op":"replace","path":"/spec/dstOverrides/0/weight","value":"90"}]`)
		}},
		{name: "ServiceProfile deleted", id: "SB004", plant: func(t *testing.T, l lab) {
			l.restore(t, "serviceprofile", "podinfo.test.svc.cluster.local")
			l.kubectl(t, "", "delete", "serviceprofile", "podinfo.test.svc.cluster.local")
		}},
		{name: "ServiceProfile emptied", id: "SB004", plant: func(t *testing.T, l lab) {
			l.patch(t, "serviceprofile", "podinfo.test.svc.cluster.local", `[{"op":"remove","path":"/spec/dstOverrides"}]`)
		}},
		{name: "no pod behind the gateway", id: "SB008", plant: func(t *testing.T, l lab) {
			// What the service mirror of Linkerd edge-26.8.3 does then: the mirror's Endpoints are empty.
			scale := func(n string) {
				l.in(t, l.east, "", "-n", namespace, "scale", "deploy/podinfo", "--replicas="+n)
				l.in(t, l.east, "", "-n", namespace, "rollout", "status", "deploy/podinfo", "--timeout=60s")
			}
			t.Cleanup(func() { scale("2") })
			scale("0")
			l.in(t, l.east, "", "-n", namespace, "wait", "--for=delete", "pod", "-l", "app=podinfo", "--timeout=60s")
			l.patch(t, "endpoints", "podinfo-east", `[{"op":"remove","path":"/subsets"}]`)
		}},
		{name: "port missing in a backend", id: "SB009", plant: func(t *testing.T, l lab) {
			l.patch(t, "service", "podinfo-east", `[{"op":"remove","path":"/spec/ports/0"}]`)
		}},
		{name: "mirror Service deleted", id: "SB010", plant: func(t *testing.T, l lab) {
			l.serviceMirror(t, "1")
			l.restore(t, "endpoints", "podinfo-east")
			l.restore(t, "service", "podinfo-east")
			l.kubectl(t, "", "delete", "service", "podinfo-east")
		}},
		{name: "export withdrawn", id: "SB010", heals: true, plant: func(t *testing.T, l lab) {
			t.Cleanup(func() {
				l.in(t, l.east, "", "-n", namespace, "label", "service", "podinfo", "mirror.linkerd.io/exported=true", "--overwrite")
			})
			l.in(t, l.east, "", "-n", namespace, "label", "service", "podinfo", "mirror.linkerd.io/exported-")
		}},
		{name: "gateway moved", id: "SB011", plant: func(t *testing.T, l lab) {
			l.patch(t, "endpoints", "podinfo-east", `[{"op":"replace","path":"/subsets/0/addresses/0/ip","value":"172.30.44.77"}]`)
		}},
		{name: "gateway moved and its probe dead", id: "SB011", plant: func(t *testing.T, l lab) {
			l.patch(t, "endpoints", "podinfo-east", `[{"op":"add","path":"/subsets/0/notReadyAddresses","value":[{"ip":"172.30.44.77"}]},{"op":"remove","path":"/subsets/0/addresses"}]`)
		}},
		{name: "probe of the gateway dead", id: "SB012", plant: func(t *testing.T, l lab) {
			l.patch(t, "endpoints", "podinfo-east", `[{"op":"move","from":"/subsets/0/addresses","path":"/subsets/0/notReadyAddresses"}]`)
		}},
		{name: "gateway identity of another link", id: "SB013", plant: func(t *testing.T, l lab) {
			patch := func(id string) {
				l.in(t, l.west, "", "-n", "linkerd-multicluster", "patch", "link", "east", "--type=merge", "-p", `{"spec":{"gatewayIdentity":"`+id+`"}}`)
			}
			old := l.in(t, l.west, "", "-n", "linkerd-multicluster", "get", "link", "east", "-o", "jsonpath={.spec.gatewayIdentity}")
			t.Cleanup(func() { patch(old) })
			patch("gateway.north.mesh.local")
		}},
		{name: "trust anchors differ", id: "SB013", plant: func(t *testing.T, l lab) {
			l.create(t, l.west, anchors("AQID"))
			l.create(t, l.east, anchors("BAUG"))
		}},
		{name: "weight that nobody can read", id: "SB014", plant: func(t *testing.T, l lab) {
			l.patch(t, "trafficsplits.v1alpha1.split.smi-spec.io", "podinfo", `[{"op":"replace","path":"/spec/backends/0/weight","value":"abc"}]`)
		}},
		{name: "negative weight", id: "SB014", plant: func(t *testing.T, l lab) {
			l.patch(t, "trafficsplits.v1alpha1.split.smi-spec.io", "podinfo", `[{"op":"replace","path":"/spec/backends/1/weight","value":-5}]`)
		}},
		{name: "gateway denies", id: "SB025", plant: func(t *testing.T, l lab) {
			annotate := func(a string) {
				l.in(t, l.east, "", "-n", "linkerd-multicluster", "annotate", "pod", "-l", "app=linkerd-gateway", a, "--overwrite")
			}
			t.Cleanup(func() { annotate("config.linkerd.io/default-inbound-policy-") })
			annotate("config.linkerd.io/default-inbound-policy=deny")
		}},
		{name: "mirror without a gateway and without credentials", id: "SB029", plant: func(t *testing.T, l lab) {
			t.Cleanup(func() {
				l.kubectl(t, "", "label", "service", "podinfo-east", "multicluster.linkerd.io/remote-discovery-")
			})
			l.kubectl(t, "", "label", "service", "podinfo-east", "multicluster.linkerd.io/remote-discovery=east", "--overwrite")
		}},
		{name: "TrafficSplit deleted", id: "SB031", plant: func(t *testing.T, l lab) {
			l.restore(t, "trafficsplit", "podinfo")
			l.kubectl(t, "", "delete", "trafficsplit", "podinfo")
		}},

		{name: "opaque port", id: "SB017", status: preflight.Warning, warned: true, heals: true, plant: func(t *testing.T, l lab) {
			t.Cleanup(func() { l.kubectl(t, "", "annotate", "service", "podinfo", "config.linkerd.io/opaque-ports-") })
			l.kubectl(t, "", "annotate", "service", "podinfo", "config.linkerd.io/opaque-ports=9898", "--overwrite")
		}},
		{name: "written by Flagger", id: "SB023", status: preflight.Warning, warned: true, plant: func(t *testing.T, l lab) {
			l.restore(t, "trafficsplit", "podinfo")
			l.kubectl(t, "", "patch", "trafficsplit", "podinfo", "--field-manager=flagger", "--type=merge", "-p", `{"metadata":{"annotations":{"x":"y"}}}`)
			t.Cleanup(func() { l.kubectl(t, "", "delete", "trafficsplit", "podinfo") }) // what restores it makes it anew, without Flagger's fields
		}},
		{name: "retries by annotation", id: "SB024", status: preflight.Warning, warned: true, plant: func(t *testing.T, l lab) {
			t.Cleanup(func() { l.kubectl(t, "", "annotate", "service", "podinfo", "retry.linkerd.io/http-") })
			l.kubectl(t, "", "annotate", "service", "podinfo", "retry.linkerd.io/http=5xx", "--overwrite")
		}},
		{name: "service mirror scaled to nothing", id: "SB039", status: preflight.Warning, warned: true, heals: true, plant: func(t *testing.T, l lab) { l.serviceMirror(t, "0") }},
		{name: "no service mirror, as it is", id: "SB039", status: preflight.Warning, warned: true, plant: func(*testing.T, lab) {}},
		{name: "backends without a proxy, as they are", id: "SB028", status: preflight.Warning, warned: true, plant: func(*testing.T, lab) {}},
		{name: "an address that redirects", id: "SB030", status: preflight.Warning, warned: true, probed: true, plant: func(*testing.T, lab) {}, args: []string{"--url", "http://podinfo:9898/status/302"}},
	}
}

// serviceMirror makes a Deployment that stands for the service mirror of Link east, as Linkerd's extension names and labels it.
func (l lab) serviceMirror(t *testing.T, replicas string) {
	t.Helper()
	l.create(t, l.west, `apiVersion: apps/v1
kind: Deployment
metadata: {name: controller-east, namespace: linkerd-multicluster, labels: {component: controller, mirror.linkerd.io/cluster-name: east}}
spec:
  replicas: `+replicas+`
  selector: {matchLabels: {component: controller}}
  template:
    metadata: {labels: {component: controller}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: controller, image: "docker.io/splitlab/tools:1", imagePullPolicy: Never, command: [sleep, infinity]}]
`)
	l.in(t, l.west, "", "-n", "linkerd-multicluster", "rollout", "status", "deploy/controller-east", "--timeout=60s")
}

func anchors(bytes string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linkerd-identity-trust-roots, namespace: linkerd}\ndata:\n  ca-bundle.crt: |\n" +
		"    -----BEGIN CERTIFICATE-----\n    " + bytes + "\n    -----END CERTIFICATE-----\n"
}
