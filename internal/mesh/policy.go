package mesh

import (
	"cmp"
	"context"
	"errors"
	"slices"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// policyGroup is Linkerd's policy API.
const policyGroup = "policy.linkerd.io"

func policyServers() law.Resource {
	return law.Resource{Group: policyGroup, Plural: "servers", Versions: []string{"v1beta3", "v1beta2", "v1beta1"}}
}

func authorizationPolicies() law.Resource {
	return law.Resource{Group: policyGroup, Plural: "authorizationpolicies", Versions: []string{"v1alpha1"}}
}

func serverAuthorizations() law.Resource {
	return law.Resource{Group: policyGroup, Plural: "serverauthorizations", Versions: []string{"v1beta1"}}
}

func policyKinds() []law.Resource {
	return []law.Resource{policyServers(), authorizationPolicies(), serverAuthorizations()}
}

// serversOn are the policy Servers that cover the port of the pod, and why they could not be read, "" where they were.
func (c Client) serversOn(ctx context.Context, pod *core.Pod, port int32) (out []law.ServerOn, why string) {
	if groups, err := c.groups(ctx); err != nil || groups == nil {
		return nil, "the API groups of the cluster could not be read"
	}
	servers, err := c.list(ctx, policyServers(), pod.Namespace)
	if _, why = sightOf(err); why != "" {
		return nil, why
	}
	for i := range servers {
		u := &servers[i]
		if !serverSelects(u, pod, port) {
			continue
		}
		s := law.ServerOn{
			Name: pod.Namespace + "/" + u.GetName(), AccessPolicy: text(u, "spec", "accessPolicy"),
			ProxyProtocol: text(u, "spec", "proxyProtocol"),
		}
		var unread string
		s.Authorizations, unread = c.authorizations(ctx, u)
		why = cmp.Or(unread, why)
		out = append(out, s)
	}
	return out, why
}

func text(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return untrusted.Short(s, 100)
}

func serverSelects(u *unstructured.Unstructured, pod *core.Pod, port int32) bool {
	sel, ok := selectorOf(u, "podSelector")
	if !ok || !sel.Matches(labels.Set(pod.Labels)) {
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
		// A native sidecar is an init container, and the gateway's only named port is its proxy's.
		for _, container := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
			fits := func(cp core.ContainerPort) bool { return cp.Name == p && cp.ContainerPort == port }
			if slices.ContainsFunc(container.Ports, fits) {
				return true
			}
		}
	}
	return false
}

// selectorOf reads a label selector of an object's spec; not ok where it is absent or malformed.
func selectorOf(u *unstructured.Unstructured, field string) (sel labels.Selector, ok bool) {
	raw, found, err := unstructured.NestedFieldNoCopy(u.Object, "spec", field)
	var ls metav1.LabelSelector
	if err != nil || !found || law.Decode(raw, &ls) != nil {
		return nil, false
	}
	sel, err = metav1.LabelSelectorAsSelector(&ls)
	return sel, err == nil
}

// authorizations are the objects that let somebody through to the Server: policies that target it or its namespace, and
// the older ServerAuthorizations. Whom they let in is not worked out here. A policy of an HTTPRoute or GRPCRoute may be
// of this Server's routes: it is counted, for it is not certain that nobody is let in.
func (c Client) authorizations(ctx context.Context, server *unstructured.Unstructured) (out []string, unread string) {
	take := func(k law.Resource, what string, fits func(*unstructured.Unstructured) bool) {
		items, err := c.list(ctx, k, server.GetNamespace())
		if err != nil && !errors.Is(err, errNotServed) {
			unread = law.Brief(err)
		}
		for i := range items {
			if fits(&items[i]) {
				out = append(out, what+" "+items[i].GetName())
			}
		}
	}
	take(authorizationPolicies(), "AuthorizationPolicy", func(u *unstructured.Unstructured) bool {
		switch text(u, "spec", "targetRef", "kind") {
		case "Namespace", "HTTPRoute", "GRPCRoute":
			return true
		case "Server":
			return text(u, "spec", "targetRef", "name") == server.GetName()
		}
		return false
	})
	take(serverAuthorizations(), "ServerAuthorization", func(u *unstructured.Unstructured) bool {
		name := text(u, "spec", "server", "name")
		return name == server.GetName() || name == ""
	})
	return law.Listed(out), unread
}
