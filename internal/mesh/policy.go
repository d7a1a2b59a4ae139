package mesh

import (
	"context"
	"slices"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// policyGroup is Linkerd's policy API.
const policyGroup = "policy.linkerd.io"

func policyServers() customKind {
	return customKind{group: policyGroup, plural: "servers", known: []string{"v1beta3", "v1beta2", "v1beta1"}}
}

func authorizationPolicies() customKind {
	return customKind{group: policyGroup, plural: "authorizationpolicies", known: []string{"v1alpha1"}}
}

func serverAuthorizations() customKind {
	return customKind{group: policyGroup, plural: "serverauthorizations", known: []string{"v1beta1"}}
}

// policyReader reads the policies of one cluster; nil knows of none.
type policyReader struct{ groups *metav1.APIGroupList }

// on are the Servers that cover the port of the pod. Policies that may not be read are none: what they would say is unseen, and
// a check asks the pod.
func (r *policyReader) on(ctx context.Context, c Client, pod *core.Pod, port int32) []ServerOn {
	if r == nil || r.groups == nil || len(policyServers().servedBy(r.groups)) == 0 {
		return nil
	}
	servers, err := c.list(ctx, policyServers(), policyServers().servedBy(r.groups), pod.Namespace)
	if err != nil {
		return nil
	}
	var out []ServerOn
	for i := range servers {
		u := &servers[i]
		if !serverSelects(u, pod, port) {
			continue
		}
		s := ServerOn{Name: pod.Namespace + "/" + u.GetName(), AccessPolicy: text(u, "spec", "accessPolicy"), ProxyProtocol: text(u, "spec", "proxyProtocol")}
		s.Authorizations = r.authorizations(ctx, c, u)
		out = append(out, s)
	}
	return out
}

func text(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return cut(Safe(s), 100)
}

func serverSelects(u *unstructured.Unstructured, pod *core.Pod, port int32) bool {
	raw, found, err := unstructured.NestedMap(u.Object, "spec", "podSelector")
	if err != nil || !found {
		return false
	}
	var ls metav1.LabelSelector
	if remarshal(raw, &ls) != nil {
		return false
	}
	sel, err := metav1.LabelSelectorAsSelector(&ls)
	if err != nil || !sel.Matches(labels.Set(pod.Labels)) {
		return false
	}
	value, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "port")
	switch p := value.(type) {
	case int64:
		return p == int64(port)
	case string:
		if n := intstr.Parse(p); n.Type == intstr.Int {
			return n.IntVal == port
		}
		for i := range pod.Spec.Containers {
			if slices.ContainsFunc(pod.Spec.Containers[i].Ports, func(cp core.ContainerPort) bool { return cp.Name == p && cp.ContainerPort == port }) {
				return true
			}
		}
	}
	return false
}

// authorizations are the objects that let somebody through to the Server: policies that target it or its namespace, and the
// older ServerAuthorizations. Whom they let in is not worked out here.
func (r *policyReader) authorizations(ctx context.Context, c Client, server *unstructured.Unstructured) []string {
	var out []string
	policies, err := c.list(ctx, authorizationPolicies(), authorizationPolicies().servedBy(r.groups), server.GetNamespace())
	if err == nil {
		for i := range policies {
			kind, name := text(&policies[i], "spec", "targetRef", "kind"), text(&policies[i], "spec", "targetRef", "name")
			if kind == "Namespace" || kind == "Server" && name == server.GetName() {
				out = append(out, "AuthorizationPolicy "+policies[i].GetName())
			}
		}
	}
	older, err := c.list(ctx, serverAuthorizations(), serverAuthorizations().servedBy(r.groups), server.GetNamespace())
	if err == nil {
		for i := range older {
			name := text(&older[i], "spec", "server", "name")
			if name == server.GetName() || name == "" {
				out = append(out, "ServerAuthorization "+older[i].GetName())
			}
		}
	}
	return listed(out)
}
