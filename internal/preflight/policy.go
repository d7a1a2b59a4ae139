package preflight

import (
	"cmp"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// gate is what may refuse the client at the other end: the proxies of a backend's pods, or those of a gateway.
type gate struct {
	subject
	name               shown
	context, namespace string // where its policies are
	pods               law.PodSet
	unseen             shown  // why its pods could not be looked at; "": they could
	answered, refused  bool   // as the source pod's own requests show
	through            string // cluster of the gateway that leads there; "": none does
}

// gates are those of the backends, each before the gateway that leads there.
func gates(s View, f *findings) []gate {
	var out []gate
	for on, b := range f.backends(s) {
		g := gate{
			subject: on.and(partPods), name: say("backend %s", b.Name), context: s.Context(""),
			namespace: cmp.Or(b.Service.Namespace, s.Split.Namespace), pods: b.Pods, answered: s.answer(b) != "",
			refused: s.refused(b),
		}
		if m := b.Mirror; m != nil {
			g.name += say(" in cluster %s", m.Cluster)
			g.context, g.namespace = m.Context, strings.Split(m.Remote, "/")[0]
			if m.Mode == law.MirrorGateway {
				g.through = m.Cluster
			}
			if unreadable(m) {
				g.unseen = say("its policies could not be seen") + because(m.RemoteUnread)
			}
		}
		if !b.Service.Found {
			g.unseen = "it has no Service"
		}
		out = append(out, g)
	}
	for _, gw := range s.Gateways {
		g := gate{
			name: say("the gateway of cluster %s", gw.Cluster), context: gw.Context, namespace: gw.Namespace, pods: gw.Pods,
		}
		g.findings = f
		for _, b := range out {
			if b.through == gw.Cluster {
				g.tags, g.backend = append(g.tags, b.tags...), b.backend
				g.answered, g.refused = g.answered || b.answered, g.refused || b.refused
			}
		}
		if !gw.Found || len(g.tags) == 0 {
			continue
		}
		// Who of two in a row refused, an answer does not tell: the gateway where its policies say so, else the backend.
		status, _ := g.policies()
		g.refused = g.refused && status == Failed
		for i := range out {
			if g.refused && out[i].through == gw.Cluster {
				out[i].refused, out[i].unseen = false, "requests for it are refused before, by "+g.name
			}
		}
		out = append(out, g)
	}
	return out
}

// refused reports whether the backend, or a proxy before it, answered the pod with a 403 that is not of the pod's own
// proxy. The root Service's answers are of all backends: they are the root's own only where no other refused.
func (v View) refused(b law.Backend) bool {
	if v.Probed == nil {
		return false
	}
	forbidden := func(a Answer) bool { return a.Status == 403 && a.proxyError() == "" }
	if !b.IsRoot {
		return slices.ContainsFunc(v.Probed.Direct[b.Name], forbidden)
	}
	for _, other := range v.Probed.Direct {
		if slices.ContainsFunc(other, forbidden) {
			return false
		}
	}
	return v.Probed.count(forbidden) > 0
}

// letIn is about policies at the other end: of the backends' own proxies and of the gateways'.
func letIn(s View) Finding {
	f := newFindings()
	for _, g := range gates(s, f) {
		status, seen := g.judge()
		if status == Failed {
			g.subject = g.only(partPolicy)
		}
		g.add(status, "%s", g.name+": "+seen)
	}
	return f.seen("")
}

// judge says what the gate does. That the source pod's own requests were let in, or refused, settles what policies only
// suggest.
func (g gate) judge() (Status, shown) {
	pods := g.pods
	switch {
	case g.refused:
		status, why := g.policies()
		if status == OK {
			why = "the policies that were read do not say why"
		}
		return Failed, "a request of the source pod got 403, and not from its own proxy; " + why
	case g.unseen != "":
		return Unknown, g.unseen
	case pods.Sight == law.Unread:
		return Unknown, "its pods could not be read" + because(pods.Why)
	case pods.Sight == law.Absent || pods.Looked == 0:
		return Unknown, "there is no pod whose policies could be read"
	case pods.Sight == "":
		return Unknown, "its pods were not looked at"
	case pods.Looked == pods.UnmeshedPods:
		return OK, "it has no proxy that could refuse"
	case g.answered: // whatever the policies are, and whether or not they could be read
		return OK, "it answered the source pod"
	}
	return g.policies()
}

// policies judges by the objects alone: what the proxies of its pods do by default, and what Servers say of their port.
func (g gate) policies() (Status, shown) {
	unclear, opened, pods := shown(""), false, g.pods
	for _, server := range pods.Servers {
		// audit lets everything in and logs what a policy would have refused (Linkerd 2.16 and later).
		policy := server.AccessPolicy
		switch {
		case policy == "audit" || strings.HasPrefix(policy, "all-") || strings.HasPrefix(policy, "cluster-"):
			opened = true
		case len(server.Authorizations) > 0:
			unclear = say("Server %s lets in whom %s names", server.Name, list(server.Authorizations))
		case pods.ServersWhy == "":
			return Failed, say("Server %s covers the port and nothing authorises anybody (accessPolicy %s): "+
				"every request gets 403", server.Name, cmp.Or(policy, "deny"))
		}
	}
	switch {
	case pods.ServersWhy != "":
		if unclear == "" && !opened {
			unclear = "the policies of its port could not be read" + because(pods.ServersWhy)
		}
	case len(pods.Servers) > 0:
	case slices.Contains(pods.InboundPolicy, "deny"):
		return Failed, "its proxies deny by default, and no Server covers the port: every request gets 403"
	case slices.Contains(pods.InboundPolicy, ""):
		unclear = "no object says what its proxies let in by default"
	}
	switch {
	case unclear == "":
		return OK, "it lets the mesh in by default"
	case g.refused:
		return Unknown, unclear
	}
	return Unknown, unclear + "; whether the client is let in is seen with --probe"
}

// policyHint leads to the policies of the gate that refuses, else of the first that is not known to let the client in.
func policyHint(s View) string {
	all := gates(s, newFindings())
	for _, want := range []Status{Failed, Unknown} {
		for _, g := range all {
			if status, _ := g.judge(); status != want {
				continue
			}
			if g.context == "" && g.backend != "" && s.Context("") != "" {
				return anyContextHint(s)
			}
			who := "the client's identity"
			if strings.HasPrefix(string(g.name), "the gateway") {
				who = "the clients' mesh"
			} else if want == Failed && g.context != s.Context("") {
				who = "the identity of the gateway there, which is who knocks,"
			}
			return "let " + who + " in at " + string(g.name) + "; to see what is there: " + kubectlIn(g.context, g.namespace,
				"get", "servers.policy.linkerd.io,authorizationpolicies.policy.linkerd.io")
		}
	}
	return ""
}
