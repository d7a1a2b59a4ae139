package preflight

import (
	"cmp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// letIn is about policies at the other end: of the backends' own proxies and of the gateways'.
func letIn(s View) Finding {
	f := newFindings()
	for on, b := range f.backends(s) {
		name := say("backend %s", b.Name)
		switch {
		case s.Probed.refused(b):
			on.add(Failed, "%s: a request of the source pod got 403, and not from its own proxy", name)
		case b.Mirror != nil && unreadable(b.Mirror):
			on.add(Unknown, "%s: the policies of cluster %s could not be seen%s",
				name, b.Mirror.Cluster, because(b.Mirror.RemoteUnread))
		case !b.Service.Found:
			on.add(Unknown, "%s has no Service", name)
		default:
			on.podsLetIn(name, b.Pods, s.Probed.answered(b.Name))
		}
	}
	for _, g := range s.Gateways {
		gateway, answered := f.about(), false
		for _, b := range mirrors(s) {
			if b.Mirror.Cluster == g.Cluster {
				gateway.tags = append(gateway.tags, f.backend(b).tags...)
				answered = answered || s.Probed.answered(b.Name)
			}
		}
		if g.Found && len(gateway.tags) > 0 {
			gateway.podsLetIn(say("the gateway of cluster %s", g.Cluster), g.Pods, answered)
		}
	}
	return f.seen("")
}

// podsLetIn judges what the proxies of some pods do by default, and what Servers say of their port. answered is that
// the source pod's own requests were let in, which settles what policies only suggest.
func (on subject) podsLetIn(name shown, pods law.PodSet, answered bool) {
	switch {
	case pods.Sight == law.Unread:
		on.add(Unknown, "%s: its pods could not be read%s", name, because(pods.Why))
	case pods.Sight == law.Absent || pods.Looked == 0:
		on.add(Unknown, "%s: there is no pod whose policies could be read", name)
	case pods.Sight == "":
		on.add(Unknown, "%s: its pods were not looked at", name)
	case pods.Looked == pods.UnmeshedPods:
		on.add(OK, "%s has no proxy that could refuse", name)
	case answered: // whatever the policies are, and whether or not they could be read
		on.add(OK, "%s answered the source pod", name)
	default:
		on.policies(name, pods)
	}
}

// policies judges by the objects alone.
func (on subject) policies(name shown, pods law.PodSet) {
	unclear, opened := shown(""), false
	for _, server := range pods.Servers {
		// audit lets everything in and logs what a policy would have refused (Linkerd 2.16 and later).
		policy := server.AccessPolicy
		switch {
		case policy == "audit" || strings.HasPrefix(policy, "all-") || strings.HasPrefix(policy, "cluster-"):
			opened = true
		case len(server.Authorizations) > 0:
			unclear = say("Server %s lets in whom %s names", server.Name, list(server.Authorizations))
		case pods.ServersWhy == "":
			on.add(Failed, "%s: Server %s covers the port and nothing authorises anybody (accessPolicy %s): "+
				"every request gets 403", name, server.Name, cmp.Or(policy, "deny"))
			return
		}
	}
	switch {
	case pods.ServersWhy != "":
		if unclear == "" && !opened {
			unclear = "the policies of its port could not be read" + because(pods.ServersWhy)
		}
	case len(pods.Servers) > 0:
	case slices.Contains(pods.InboundPolicy, "deny"):
		on.add(Failed, "%s: its proxies deny by default, and no Server covers the port: every request gets 403", name)
		return
	case slices.Contains(pods.InboundPolicy, ""):
		unclear = "no object says what its proxies let in by default"
	}
	if unclear == "" {
		on.add(OK, "%s lets the mesh in by default", name)
		return
	}
	on.add(Unknown, "%s: %s; whether the client is let in is seen with --probe", name, unclear)
}

func policyHint(s View) string {
	if hint := anyContextHint(s); hint != "" {
		return hint
	}
	for _, g := range s.Gateways {
		if slices.Contains(g.Pods.InboundPolicy, "deny") {
			return "let the clients' mesh in at the gateway; to see what is there: " + seePolicies(g.Context, g.Namespace)
		}
	}
	return "let the client's identity in; to see what is there: " + seePolicies(clientContext(s), s.Split.Namespace)
}

func seePolicies(context, namespace string) string {
	return kubectlIn(context, namespace, "get", "servers.policy.linkerd.io,authorizationpolicies.policy.linkerd.io")
}
