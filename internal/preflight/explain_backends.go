package preflight

func explainBackends() map[string]Explanation {
	return map[string]Explanation{
		"SB007": {
			"the Services that the split names",
			"A TrafficSplit's missing backend answers 504 for three seconds and then its share goes to the others without a word; that of an HTTPRoute is answered with 500.",
			"Create the Service, or name another in the split: kubectl -n NAMESPACE get services",
		},
		"SB008": {
			"EndpointSlices of the backends, in the cluster that their pods run in",
			"A backend without a ready endpoint answers 504 for three seconds, then proxies give its share to the others: the weights cannot hold.",
			"See its pods: kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=NAME",
		},
		"SB009": {
			"the port that the requests go to, in root and backends",
			"A backend without the root's port is dialled at that port all the same; connections fail, and its share goes to the others.",
			"Add the port: kubectl -n NAMESPACE edit service NAME",
		},
		"SB015": {
			"type and cluster IP of the root Service; with --probe the address that the pod dials",
			"Proxies know a split by the root's cluster IP. A headless Service, an ExternalName, a pod's own address or that of a load balancer goes around it (linkerd2#12830).",
			"Make the root an ordinary Service and dial it by its name",
		},
		"SB024": {
			"retries and timeouts in the ServiceProfile, annotations of the root Service, Deployments behind the backends that are changing; with --probe counters of retries",
			"Each retry is a new draw, so answers lean away from a backend that fails. Pods that come and go move endpoints during the run.",
			"Wait for rollouts; judge by the proxy's own counters, which count draws: kubectl -n NAMESPACE rollout status deploy/NAME",
		},
		"SB025": {
			"Servers, AuthorizationPolicies and the default inbound policy of the backends' pods and of the gateway; with --probe a 403 without l5d-proxy-error",
			"The backend's or the gateway's own proxy refuses with 403. What comes through a gateway bears the gateway's identity.",
			"Let the client's identity in: kubectl -n NAMESPACE get servers.policy.linkerd.io,authorizationpolicies.policy.linkerd.io",
		},
		"SB026": {
			"pods behind each backend; with --probe answers of each backend by itself",
			"If two backends share pods, typically because the root's selector also picks the canary's, an answer cannot be told to one of them.",
			"Make the selectors differ, or judge by the proxy's counters alone: kubectl -n NAMESPACE get services -o wide",
		},
		"SB028": {
			"pods behind the backends, in their own cluster",
			"A pod without a proxy gets no mutual TLS, and connections that it refuses come back as 502 instead of going to another backend.",
			"Mesh the backends, or keep it in mind when latencies are compared",
		},
		"SB034": {
			"the root Service",
			"The Service that clients dial is not there.",
			"Create it, or name another: kubectl -n NAMESPACE get services",
		},
	}
}
