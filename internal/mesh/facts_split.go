package mesh

import (
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// labelFailover marks a split that linkerd-failover rewrites.
const labelFailover = "failover.linkerd.io/controlled-by"

// drivers names the programs that write the object by themselves: those that own it, those that it is labelled for, and those
// that its managed fields name. A person's kubectl is none of them.
func drivers(u *unstructured.Unstructured) []string {
	var out []string
	add := func(s string) {
		if s = cut(Safe(s), 200); !slices.Contains(out, s) && len(out) < maxListed {
			out = append(out, s)
		}
	}
	if v := u.GetLabels()[labelFailover]; v != "" {
		add("linkerd-failover (label " + labelFailover + "=" + v + ")")
	}
	for _, o := range u.GetOwnerReferences() {
		add(o.Kind + "/" + o.Name + ", which owns it")
	}
	for _, f := range u.GetManagedFields() {
		if f.Subresource == "status" {
			continue
		}
		for _, known := range []string{"flagger", "rollouts-controller", "argo", "kustomize-controller", "helm-controller", "failover"} {
			if strings.Contains(strings.ToLower(f.Manager), known) {
				add(f.Manager + ", which wrote fields of it")
			}
		}
	}
	return out
}

// routeSettings are the annotations of a Service that make its proxies retry, give up or break off. They count on the path of
// routes only, and are remarks on the profile's.
func routeSettings(svc *core.Service) map[string]string {
	out := map[string]string{}
	for k, v := range svc.Annotations {
		for _, prefix := range []string{"retry.linkerd.io/", "timeout.linkerd.io/", "balancer.linkerd.io/failure-accrual"} {
			if strings.HasPrefix(k, prefix) && len(out) < maxListed {
				out[cut(Safe(k), 100)] = cut(Safe(v), 100)
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// readRoutes reads what a ServiceProfile says besides its overrides.
func readRoutes(u *unstructured.Unstructured, p *Profile) {
	p.OpaquePorts, _, _ = unstructured.NestedStringSlice(u.Object, "spec", "opaquePorts")
	routes, _, _ := unstructured.NestedSlice(u.Object, "spec", "routes")
	for _, r := range routes {
		route, ok := r.(map[string]any)
		if !ok {
			continue
		}
		if retried, _ := route["isRetryable"].(bool); retried {
			p.Retryable++
		}
		if timeout, _ := route["timeout"].(string); timeout != "" {
			p.Timeouts++
		}
	}
}
