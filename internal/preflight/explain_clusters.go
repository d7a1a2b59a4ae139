package preflight

func explainClusters() map[string]Explanation {
	return map[string]Explanation{
		"SB010": {
			"mirror Services here; the Service, its labels and the Link's selectors in the other cluster; the Link's status",
			"The mirror is missing because the Service is not there, is not exported, its namespace is missing here, or the service mirror reports an error. A federated Service pools clusters without weights.",
			"Export it: kubectl --context OTHER -n NAMESPACE label service NAME mirror.linkerd.io/exported=true (a mirror without a gateway: =remote-discovery)",
		},
		"SB011": {
			"Endpoints of the mirror, address in the Link, load balancer of the gateway in the other cluster, as sets",
			"The gateway's address is written into the Link once. When it moves, the mirror goes on leading to the old one. A translated address (--gateway-addresses) differs and works: a warning.",
			"Link the clusters again: linkerd --context OTHER multicluster link-gen --cluster-name NAME | kubectl apply -f - (before Linkerd 2.18: multicluster link), with what the Link was given by hand, such as --gateway-addresses.",
		},
		"SB012": {
			"readiness of the mirror's addresses, which the service mirror's probe decides; Service, load balancer and endpoints of the gateway",
			"The probe of the gateway fails three times, the mirror's addresses become not ready, and the backend's share goes to the others. linkerd multicluster check does not notice.",
			"See both ends: linkerd multicluster gateways; kubectl --context OTHER -n linkerd-multicluster get deploy,service",
		},
		"SB013": {
			"the gateway's identity in Link, Endpoints, EndpointSlices and on the gateway; ConfigMap linkerd/linkerd-identity-trust-roots in both clusters; with --probe which of the proxy's counters of requests to the mirrored Services move while the pod asks",
			"Without a common trust anchor, or with a wrong identity, connections to the gateway are not mutual TLS, and the gateway refuses them with an empty reply.",
			"Give both clusters one trust anchor, then link them again: linkerd --context OTHER multicluster link-gen --cluster-name NAME | kubectl apply -f - (before Linkerd 2.18: multicluster link), with what the Link was given by hand, such as --gateway-addresses.",
		},
		"SB022": {
			"ServiceProfiles of the same Service in the other cluster",
			"The gateway there applies that cluster's own split to what arrives: shares multiply, and where it leads back requests go in a circle until 508 (linkerd2#6569).",
			"Remove the split there, or export the Service no more",
		},
		"SB029": {
			"type and name of Secrets in Linkerd's namespace, never what they hold",
			"For a mirror without a gateway the control plane asks the other cluster for its pods, with credentials in its own namespace. Without them the backend has no endpoints. Pods must be routable, which is not seen.",
			"Link the clusters again: linkerd --context OTHER multicluster link-gen --cluster-name NAME --gateway=false | kubectl apply -f - (before Linkerd 2.18: multicluster link).",
		},
		"SB033": {
			"version of every API server; UIDs, which two clusters never share",
			"A cluster behind a mirror does not answer, no context was given for it, or two contexts lead to one cluster.",
			"Name the other cluster's context: --remote-context CLUSTER=CONTEXT",
		},
		"SB036": {
			"the Date header of every API server",
			"Times in the report cannot be laid beside those of the clusters' logs, and certificates of a mesh may be refused as not valid yet.",
			"Set the clocks by one source (chrony, systemd-timesyncd)",
		},
	}
}
