package preflight

func explainSplit() map[string]Explanation {
	return map[string]Explanation{
		"SB001": {
			"when the ServiceProfile was created and last written, against the start of the client's proxy; with --probe the proxy's own counters around 20 requests",
			"A proxy decides when a Service is first dialled whether its traffic follows a ServiceProfile or routes, and keeps to that until the Service has not been dialled for five seconds. A client that dials it all the time ignores a TrafficSplit that is created later, or an HTTPRoute after a ServiceProfile is deleted (linkerd2#11032, #12769, #14274). Changes of weights within one path do arrive.",
			"Start the client again after the first split is created: kubectl -n NAMESPACE rollout restart deploy/CLIENT",
		},
		"SB003": {
			"namespaces with the label linkerd.io/extension=smi and the Deployment smi-adaptor there",
			"Linkerd 2.12 and later read no TrafficSplit. The adaptor of the linkerd-smi extension copies each into a ServiceProfile; where it does not run, a new TrafficSplit does nothing and a changed one changes nothing.",
			"Install linkerd-smi and wait until its adaptor is available, or move to an HTTPRoute: splitbench convert ts/NAME",
		},
		"SB004": {
			"the ServiceProfile of the root Service, its dstOverrides against the split's weights, and its annotation smi.linkerd.io/skip; of a route: which object rules",
			"The ServiceProfile, not the TrafficSplit, is what proxies obey. They differ where somebody edited the profile, the adaptor is told to skip it or does not run, or wrote it under the name of another cluster domain (before linkerd-smi 0.2.7).",
			"Find who wrote it: kubectl -n NAMESPACE get serviceprofile ROOT.NAMESPACE.svc.cluster.local -o yaml --show-managed-fields; take the skip annotation off, or see why the adaptor does not write",
		},
		"SB005": {
			"all splits of the namespace that name the same root Service",
			"Of two TrafficSplits with one root the last one written wins, and deleting either ends both. A ServiceProfile, which a TrafficSplit becomes, comes before every HTTPRoute and GRPCRoute, which is then ignored without a word in its status.",
			"Keep one: kubectl -n NAMESPACE delete trafficsplit NAME; where a ServiceProfile of your own comes before a route: kubectl -n NAMESPACE delete serviceprofile NAME",
		},
		"SB006": {
			"ServiceProfiles of the root's name in the namespace of the client",
			"A ServiceProfile in the client's own namespace comes before the one of the Service's namespace. If there is one, clients of that namespace never see the split.",
			"Delete it if it is not meant: kubectl -n CLIENT_NAMESPACE delete serviceprofile ROOT.NAMESPACE.svc.cluster.local",
		},
		"SB014": {
			"the weights of the split, and of the ServiceProfile where there is one",
			"Entries of weight 0 are dropped. If all are 0, or there are none, everything goes to the root Service's own endpoints; a single backend gets everything whatever its weight; two backendRefs of an HTTPRoute that are both 0 may make the proxy panic. A negative weight, or one above 429496.7295, wraps around to another number; a text that is no number stops the adaptor for every split of the cluster.",
			"Write weights of 0 and above, at least one above 0: kubectl -n NAMESPACE edit trafficsplit NAME",
		},
		"SB016": {
			"the names in the split",
			"A TrafficSplit names Services of its own namespace. A name with a dot is taken for a Service name all the same, and leads to SERVICE.OTHER.NAMESPACE.svc, which does not exist.",
			"Use bare names, or an HTTPRoute, whose backendRefs have a namespace",
		},
		"SB021": {
			"the route's status and rules, against the request's method, path and headers; with --probe a 404 with l5d-proxy-error: no route",
			"A route that no controller has accepted is not in force: its Service may be headless, its parentRef may name another port, an older route or one of a preferred kind may shadow it, it may use fields of a Gateway API that is newer than the controller. Where routes are attached and none of their rules fits, proxies answer 404. A backendRef that does not resolve gets 500 for its share.",
			"See its status: kubectl -n NAMESPACE get httproute NAME -o yaml",
		},
		"SB023": {
			"owners, labels and field managers of the split",
			"Flagger, Argo Rollouts, Flux or linkerd-failover write the weights by their own rules. A run during which they change compares answers of two laws; it is invalid, and says at which request.",
			"Pause the program for the measurement, and see who wrote: kubectl -n NAMESPACE get trafficsplit NAME -o yaml --show-managed-fields",
		},
		"SB031": {
			"the splits of the namespace",
			"There is no split of that name, or the API server serves no such kind.",
			"Name one that exists, of whichever kind: kubectl -n NAMESPACE get trafficsplits (or httproutes, grpcroutes, virtualservices, traefikservices, ...)",
		},
	}
}
