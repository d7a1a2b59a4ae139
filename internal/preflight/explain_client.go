package preflight

func explainClient() map[string]Explanation {
	return map[string]Explanation{
		"SB002": {
			"containers and native sidecars named linkerd-proxy of the pods that draw, and whether they are ready; with --probe http://localhost:4191/ready",
			"Splits apply in the client's proxy. A pod without one gets whatever the Service's own endpoints are, and an empty reply from a gateway of another cluster.",
			"Set the annotation linkerd.io/inject: enabled on the pod template or the namespace, and start the pods again: kubectl -n NAMESPACE rollout restart deploy/CLIENT",
		},
		"SB017": {
			"appProtocol and opaque ports of Service, namespace and ServiceProfile",
			"A port that a proxy takes for opaque is split for each connection, not for each request: requests on one connection all go to one backend. Routes of HTTP say nothing there.",
			"Take away what makes it opaque: the Service's annotation config.linkerd.io/opaque-ports (an empty one puts the namespace's and Linkerd's default out of force), the ServiceProfile's opaquePorts or the port's appProtocol; or give each request a connection of its own: --requests-per-connection 1",
		},
		"SB018": {
			"arguments of the container linkerd-init, else the annotations skip-outbound-ports and skip-subnets of pod and namespace",
			"Traffic to such a port or network is not sent to the proxy at all, and nothing is split.",
			"Take the port out of config.linkerd.io/skip-outbound-ports and start the pods again: kubectl -n NAMESPACE rollout restart deploy/CLIENT",
		},
		"SB019": {
			"ConfigMap kube-system/cilium-config, else Calico's FelixConfiguration",
			"Where the network plugin picks a pod when a connection is made, the proxy sees the pod's address and not the Service's, and does not know that there is a split (linkerd2#6246, #9674; cilium#16583).",
			"Restrict it to host namespaces and start the pods again: helm upgrade cilium cilium/cilium --reuse-values --set socketLB.hostNamespaceOnly=true -n kube-system",
		},
		"SB020": {
			"the proxy's environment, else clusterNetworks in ConfigMap linkerd/linkerd-config, against the cluster IPs of root and backends",
			"A proxy asks the control plane about addresses of these networks only, and passes others on as they are.",
			"Add the Services' network: linkerd upgrade --set clusterNetworks=LIST | kubectl apply -f -, and start the pods again",
		},
		"SB027": {
			"access reviews of create and get on pods/exec in the source pod's namespace; the run itself finds a place to write and a shell",
			"Requests are sent from the source pod by a program that is copied there with exec. Some API servers want the verb get for exec over WebSocket; without it SPDY is used.",
			"Have create and get on pods/exec granted: splitbench rbac run",
		},
		"SB030": {
			"with --probe: where the URL's host leads, redirects, HTML in place of data, caches in between, proxy errors",
			"A redirect, a cache or a page meant for browsers is not an answer of a backend; a bare host name may be another Service in the client's own namespace.",
			"Request the root Service by its full name, at a path that answers with a body of its own: --url http://ROOT.NAMESPACE:PORT/PATH",
		},
		"SB032": {
			"phase, container states and readiness of the source pod",
			"Nothing can be run in a pod that is not running.",
			"See why: kubectl -n NAMESPACE describe pod NAME",
		},
		"SB037": {
			"with --expect-off-mesh: that the source pod has no proxy; with --probe what the gateways of other clusters answer it",
			"The gateway of another cluster must refuse whoever comes without the mesh's identity: an empty reply, a reset connection or status 403. Any other status is an answer, 404 of the application too. If it does not refuse, answers of a run need not have come through the mesh.",
			"Name a pod without a proxy: splitbench check --from pod/NAME --expect-off-mesh --probe; if it is answered, see which Service lets it in",
		},
		"SB035": {
			"access reviews of everything that is read, made before anything is read",
			"What may not be read is unknown and never green. Rules that are needed are failures, others cost the checks that rest on them.",
			"Have the printed Role bound to you, or: splitbench rbac check",
		},
	}
}
