package preflight

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// letIn is about policies at the other end: of the backends' own proxies and of the gateways'.
func letIn(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		name := "backend " + untrusted.Safe(b.Name)
		if refused := s.Probed.refused(b); refused != "" {
			f.add(Failed, name+": "+refused, backendTags(b)...)
			continue
		}
		if b.Mirror != nil && (b.Mirror.Context == "" || b.Mirror.RemoteUnread != "") {
			f.add(Unknown, name+": the policies of cluster "+untrusted.Safe(b.Mirror.Cluster)+" could not be seen"+because(b.Mirror.RemoteUnread), backendTags(b)...)
			continue
		}
		if !b.Service.Found {
			f.add(Unknown, name+" has no Service", backendTags(b)...)
			continue
		}
		podsLetIn(f, name, b.Pods, backendTags(b), s.Probed.answered(b.Name))
	}
	for _, g := range s.Gateways {
		mirrored := slices.ContainsFunc(s.Backends, func(b law.Backend) bool { return b.Mirror != nil && b.Mirror.Cluster == g.Cluster })
		if g.Found && mirrored {
			var tags []string
			ok := false
			for _, b := range s.Backends {
				if b.Mirror != nil && b.Mirror.Cluster == g.Cluster {
					tags, ok = append(tags, backendTags(b)...), ok || s.Probed.answered(b.Name)
				}
			}
			podsLetIn(f, "the gateway of cluster "+untrusted.Safe(g.Cluster), g.Pods, tags, ok)
		}
	}
	if len(s.Backends) == 0 {
		return about(aboutSplit, Unknown, "no backends could be read")
	}
	return f.seen("")
}

// refused says that the backend, or whoever stands before it, answered the pod with 403 that is not its own proxy's.
func (p *Probed) refused(b law.Backend) string {
	if p == nil {
		return ""
	}
	answers := p.Direct[b.Name]
	if b.IsRoot {
		answers = p.Root
	}
	for _, a := range answers {
		if a.Status == 403 && a.proxyError() == "" {
			return "a request of the source pod got 403, and not from its own proxy"
		}
	}
	return ""
}

// podsLetIn judges what the proxies of some pods do by default, and what Servers say of their port. answered is that the pod's own
// requests were let in, which settles what policies only suggest.
func podsLetIn(f *findings, name string, pods law.PodSet, tags []string, answered bool) {
	switch {
	case pods.Sight == law.Unread:
		f.add(Unknown, name+": its pods could not be read"+because(pods.Why), tags...)
		return
	case pods.Sight == law.Absent || pods.Looked == 0:
		f.add(Unknown, name+": there is no pod whose policies could be read", tags...)
		return
	case pods.Sight == "":
		f.add(Unknown, name+": its pods were not looked at", tags...)
		return
	case pods.Looked == pods.UnmeshedPods:
		f.ok(name + " has no proxy that could refuse")
		return
	}
	if answered { // whatever the policies are, and whether or not they could be read
		f.ok(name + " answered the source pod")
		return
	}
	unclear, opened := "", false
	for _, server := range pods.Servers {
		// audit lets everything in and logs what a policy would have refused (Linkerd 2.16 and later).
		open := server.AccessPolicy == "audit" || strings.HasPrefix(server.AccessPolicy, "all-") || strings.HasPrefix(server.AccessPolicy, "cluster-")
		switch {
		case open:
			opened = true
		case len(server.Authorizations) == 0 && pods.ServersWhy != "":
		case len(server.Authorizations) == 0:
			f.add(Failed, fmt.Sprintf("%s: Server %s covers the port and nothing authorises anybody (accessPolicy %s): every request gets 403", name,
				untrusted.Safe(server.Name), orDeny(server.AccessPolicy)), tags...)
			return
		default:
			unclear = fmt.Sprintf("Server %s lets in whom %s names", untrusted.Safe(server.Name), list(server.Authorizations))
		}
	}
	if pods.ServersWhy != "" && unclear == "" && !opened {
		unclear = "the policies of its port could not be read" + because(pods.ServersWhy)
	}
	if len(pods.Servers) == 0 {
		switch {
		case pods.ServersWhy != "":
		case slices.Contains(pods.InboundPolicy, "deny"):
			f.add(Failed, name+": its proxies deny by default, and no Server covers the port: every request gets 403", tags...)
			return
		case slices.Contains(pods.InboundPolicy, ""):
			unclear = "no object says what its proxies let in by default"
		}
	}
	switch {
	case unclear == "":
		f.ok(name + " lets the mesh in by default")
	default:
		f.add(Unknown, name+": "+unclear+"; whether the client is let in is seen with --probe", tags...)
	}
}

func orDeny(policy string) string {
	if policy == "" {
		return "deny"
	}
	return untrusted.Safe(policy)
}

func policyHint(s View) string {
	for _, b := range s.Backends {
		if b.Mirror != nil && b.Mirror.Context == "" {
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		}
	}
	for _, g := range s.Gateways {
		if slices.Contains(g.Pods.InboundPolicy, "deny") {
			return "let the clients' mesh in at the gateway; to see what is there: " + kubectlIn(g.Context, g.Namespace, "get", "servers.policy.linkerd.io,authorizationpolicies.policy.linkerd.io")
		}
	}
	return "let the client's identity in; to see what is there: " + kubectl(s, s.Split.Namespace, "get",
		"servers.policy.linkerd.io,authorizationpolicies.policy.linkerd.io")
}

// leavesMeshed is a remark: a pod without a proxy gives no mutual TLS, and its refusals are not moved to other backends.
func leavesMeshed(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		name := "backend " + untrusted.Safe(b.Name)
		p := b.Pods
		switch {
		case p.Sight != law.Seen || p.Looked == 0:
			f.add(Unknown, name+": its pods could not be looked at"+because(p.Why), backendTags(b)...)
		case p.UnmeshedPods > 0:
			f.add(Warning, fmt.Sprintf("%s: %d of %d pods have no proxy (%s)", name, p.UnmeshedPods, p.Looked, list(p.Unmeshed)), backendTags(b)...)
		default:
			f.ok(fmt.Sprintf("%s: all %d pods that were looked at are meshed", name, p.Looked))
		}
	}
	if len(s.Backends) == 0 {
		return about(aboutSplit, Unknown, "no backends could be read")
	}
	return f.seen("")
}

// atRest is about what makes answers differ from draws: retries, timeouts, circuit breakers, and pods that come and go.
func atRest(s View) Finding {
	f := newFindings()
	p := s.Split.Profile
	if p.Retryable > 0 {
		f.add(Warning, fmt.Sprintf("ServiceProfile %s has %d routes that are retried: answers are after retries, each a new draw", untrusted.Safe(p.Name), p.Retryable), aboutSplit)
	}
	if p.Timeouts > 0 {
		f.add(Warning, fmt.Sprintf("ServiceProfile %s has %d routes with a timeout", untrusted.Safe(p.Name), p.Timeouts), aboutSplit)
	}
	if len(s.Root.Settings) > 0 {
		var names []string
		for k, v := range s.Root.Settings {
			names = append(names, k+"="+v)
		}
		sort.Strings(names)
		in := "are in force"
		if s.Law.Path == law.PathServiceProfile {
			in = "are not in force while a ServiceProfile rules"
		}
		f.add(Warning, fmt.Sprintf("annotations of Service %s %s: %s", serviceName(s.Root), in, list(names)), aboutRoot)
	}
	if s.Probed != nil && s.Probed.Path.Retries > 0 {
		f.add(Warning, fmt.Sprintf("the proxy drew %d of the probes again", s.Probed.Path.Retries), aboutSplit)
	}
	for _, r := range s.Facts.Rollouts {
		cluster := "the client's cluster"
		if r.Cluster != "" {
			cluster = "cluster " + untrusted.Safe(r.Cluster)
		}
		f.add(Warning, fmt.Sprintf("Deployment %s of %s is changing: %s", untrusted.Safe(r.Deployment), cluster, untrusted.Safe(r.State)), aboutSplit)
	}
	if !s.Root.Found {
		f.add(Unknown, "there is no Service "+serviceName(s.Root)+" whose settings could be read", aboutRoot)
	}
	return f.seen("no retries, timeouts, circuit breakers or rollouts were seen")
}

func atRestHint(s View) string {
	if len(s.Facts.Rollouts) > 0 {
		r := s.Facts.Rollouts[0]
		context := contextOf(s, r.Cluster)
		ns, name, _ := strings.Cut(r.Deployment, "/")
		return "wait for it: " + kubectlIn(context, ns, "rollout", "status", "deployment/"+name)
	}
	return "what counts is each draw, which the client's proxy counts; to see the settings: " + kubectl(s, s.Root.Namespace, "get", "service", s.Root.Name, "-o", "yaml")
}
