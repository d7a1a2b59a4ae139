package preflight

import (
	"cmp"
	"net"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func mirrorChecks() map[string]Check {
	return map[string]Check{
		"SB039": {Func: mirrorsKept, Hint: keptHint},
		"SB010": {Func: mirrorsPresent, Hint: mirrorHint},
		"SB011": {Func: gatewayAddress, Hint: relinkHint},
		"SB013": {Func: trusted, Hint: trustHint},
		"SB022": {Func: oneWay, Hint: oneWayHint},
		"SB029": {Func: credentialsPresent, Hint: credentialsHint},
		"SB012": {Func: gatewaysAlive, Hint: gatewayHint},
	}
}

const noMirrors = "no backend is in another cluster"

func mirrorsPresent(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		m, on, name := b.Mirror, f.backend(b), serviceName(b.Service)
		if m == nil {
			if !b.Service.Found {
				on.add(Unknown, "there is no %s, and nothing says whether it was a mirror", name)
			}
			continue
		}
		remote := say("Service %s of cluster %s", m.Remote, m.Cluster)
		switch seen := !unreadable(m); {
		case !b.Service.Found && seen && !m.RemoteFound:
			on.add(Failed, "there is no mirror %s, and no %s to mirror", name, remote)
		case !b.Service.Found && seen && !m.RemoteExported:
			on.add(Failed, "there is no mirror %s, and %s is not exported", name, remote)
		case !b.Service.Found:
			on.and(partMirror).add(Failed, "there is no mirror %s of %s%s", name, remote, linkSays(s, m))
		case m.Mode == law.MirrorFederated:
			on.add(Warning, "%s is federated: it pools several clusters without weights", name)
		case !seen:
			on.add(Unknown, "mirror %s is there; %s could not be seen%s", name, remote, because(m.RemoteUnread))
		case !m.RemoteFound:
			on.only(partExport, partPods).add(Failed, "there is no %s, which %s mirrors", remote, name)
		case !m.RemoteExported:
			on.only(partExport).add(Failed, "%s is not exported (any more), though %s mirrors it", remote, name)
		default:
			on.add(OK, "%s mirrors %s", name, remote)
		}
	}
	return f.seen(noMirrors)
}

// linkSays is what the Link's status says of a Service that is not mirrored.
func linkSays(s View, m *law.Mirror) shown {
	l := linkOf(s, m.Cluster)
	if l == nil {
		return ""
	}
	st := l.StatusOf(m.Remote)
	if st == nil || st.Mirrored {
		return ""
	}
	return say(": Link %s says %s (%s)", l.Name, st.Reason, st.Message)
}

func mirrorHint(s View) string {
	for _, b := range mirrors(s) {
		m := b.Mirror
		if m.Mode == law.MirrorFederated {
			continue
		}
		if l := linkOf(s, m.Cluster); l != nil && !b.Service.Found {
			if st := l.StatusOf(m.Remote); st != nil && st.Reason == "MissingNamespace" {
				return "create the namespace here, the service mirror does not: " +
					kubectl(s, "", "create", "namespace", b.Service.Namespace)
			}
		}
		ns, name, _ := strings.Cut(m.Remote, "/")
		switch {
		case m.Context == "" && b.Service.Found:
			return contextHint(b)
		case !unreadable(m) && !m.RemoteFound:
			return "create the Service there first: " + kubectlIn(m.Context, ns, "get", "services")
		case !unreadable(m) && !m.RemoteExported:
			how := "true"
			if m.Mode == law.MirrorRemoteDiscovery {
				how = "remote-discovery"
			}
			return "export it: " + kubectlIn(m.Context, ns, "label", "service", name, "mirror.linkerd.io/exported="+how)
		case !b.Service.Found:
			return "see what the service mirror says: " + kubectl(s, "linkerd-multicluster", "get", "links,pods")
		}
	}
	return ""
}

// mirrorsKept is a remark: a mirror that nobody keeps up to date leads where it led last, and that may be right.
func mirrorsKept(s View) Finding {
	f := newFindings()
	for _, b := range mirrors(s) {
		m, on := b.Mirror, f.backend(b).only(partMirror)
		link := linkOf(s, m.Cluster)
		bad := func(format string, args ...any) {
			on.add(Warning, format, args...)
			f.items = append(f.items, item{Failed, on.tags}) // what depends on it may well have failed
		}
		if link == nil {
			switch {
			case m.Mode == law.MirrorFederated && m.Cluster == "":
			case s.Facts.Links == law.Seen || s.Facts.Links == law.Absent:
				bad("mirror %s is of cluster %s, and no Link leads there: nothing keeps it up to date or probes its gateway",
					serviceName(b.Service), m.Cluster)
			default:
				on.add(Unknown, "whether a Link leads to cluster %s could not be seen", m.Cluster)
			}
			continue
		}
		switch c := link.Controller; {
		case c.Sight == law.Absent:
			bad("no Deployment of namespace %s has the label mirror.linkerd.io/cluster-name=%s: nothing follows Link %s",
				link.Namespace, m.Cluster, link.Name)
		case c.Sight != law.Seen:
			on.add(Unknown, "whether a service mirror follows Link %s could not be seen%s", link.Name, because(c.Why))
		case !c.Available:
			bad("Deployment %s has no available replica: nothing follows Link %s or probes its gateway", c.Name, link.Name)
		default:
			on.add(OK, "Deployment %s follows Link %s; it asks the gateway for %s", c.Name, link.Name, orUnknown(link.Probe))
		}
	}
	return f.seen(noMirrors)
}

func keptHint(s View) string {
	for _, b := range mirrors(s) {
		link := linkOf(s, b.Mirror.Cluster)
		if link == nil {
			return cmp.Or(contextHint(b), "link the clusters again, or delete the mirror: "+relink(s, b, ""))
		}
		ns, name, _ := strings.Cut(link.Controller.Name, "/")
		switch c := link.Controller; {
		case c.Sight == law.Absent:
			return "have one for the Link, by the value controllers of Linkerd's extension: linkerd --context " +
				word(s.Context("")) + " multicluster install --set " + word("controllers[0].link.ref.name="+link.Name) +
				" | " + kubectl(s, "", "apply", "-f", "-")
		case c.Sight != law.Seen:
			return "ask for the verb list on deployments: " +
				kubectl(s, link.Namespace, "auth", "can-i", "list", "deployments.apps")
		case c.Idle:
			return "start it: " + kubectl(s, ns, "scale", "deployment", name, "--replicas=1")
		case !c.Available:
			return "see why: " + kubectl(s, ns, "describe", "deployment", name)
		}
	}
	return ""
}

func gatewayOf(s View, cluster string) *law.Gateway {
	return find(s.Gateways, func(g law.Gateway) bool { return g.Cluster == cluster })
}

func linkOf(s View, cluster string) *law.Link {
	return find(s.Links, func(l law.Link) bool { return l.TargetCluster == cluster })
}

// find returns the first element that fits, nil if none does.
func find[T any](all []T, fits func(T) bool) *T {
	if i := slices.IndexFunc(all, fits); i >= 0 {
		return &all[i]
	}
	return nil
}

// gatewayMirrors calls each for every mirror that leads through a gateway. A mirror that is missing is unseen here.
func gatewayMirrors(s View, each func(on subject, b law.Backend, dead shown)) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		on, name := f.backend(b), serviceName(b.Service)
		on.settled = s.answer(b)
		switch {
		case b.Mirror == nil && !b.Service.Found:
			on.add(Unknown, "there is no %s", name)
		case b.Mirror == nil || b.Mirror.Mode != law.MirrorGateway:
		case !b.Service.Found:
			on.add(Unknown, "there is no mirror %s", name)
		case b.Unread != "":
			on.add(Unknown, "the endpoints of mirror %s could not be read%s", name, because(b.Unread))
		default:
			on.mild = b.Weight == 0 // nothing is sent to it: what is wrong there is worth knowing, and no obstacle
			dead := s.unreached(b)
			if emptied(b) {
				dead = "" // by what is lacking behind the gateway
			}
			each(on, b, dead)
		}
	}
	return f.seen(noMirrors)
}

// emptied reports that the original of a mirror was seen to have no ready endpoint: the service mirror then takes the
// mirror's addresses away, and neither the way nor the gateway is at fault.
func emptied(b law.Backend) bool { return !unreadable(b.Mirror) && b.Mirror.RemoteReady == 0 }

func gatewayAddress(s View) Finding {
	return gatewayMirrors(s, func(on subject, b law.Backend, dead shown) {
		on.address(b, gatewayOf(s, b.Mirror.Cluster), linkOf(s, b.Mirror.Cluster), dead)
	})
}

// address compares sets: a gateway may have several addresses, and the mirror all of them; one that has none is to get
// those of the Link. A load balancer known by host name has addresses that only a resolver beside the service mirror
// can tell, so there the names are compared with those in the Link. An address that differs from the gateway's own but
// is the Link's and alive is a translated one (linkerd multicluster link --gateway-addresses): worth a warning, not a
// failure, unless the probes show that nothing arrives.
func (on subject) address(b law.Backend, g *law.Gateway, link *law.Link, dead shown) {
	name := "mirror " + serviceName(b.Service)
	switch {
	case g == nil:
		on.add(Unknown, "%s: the gateway of cluster %s could not be seen: no remote context", name, b.Mirror.Cluster)
		return
	case g.Unread != "" && !g.Found:
		on.add(Unknown, "%s: the gateway of cluster %s could not be read%s", name, b.Mirror.Cluster, because(g.Unread))
		return
	case !g.Found:
		on.add(Unknown, "%s: cluster %s has no Service %s/%s to compare with", name, g.Cluster, g.Namespace, g.Name)
		return
	case len(b.Endpoints) == 0 && link == nil:
		on.add(Unknown, "%s has no endpoints that could be compared, the gateway is at %s", name, list(g.Addresses))
		return
	}
	have, ready := addresses(b), "; the Link says so too and the address is ready: it may be "
	var linked []string
	if link != nil {
		linked = split(link.GatewayAddress)
	}
	if len(have) == 0 {
		have, ready = linked, ", as its Link says: it may be "
	}
	// Alive at what the Link says, a host name being somebody else's to resolve: what differs may be meant.
	given := Failed
	if link != nil && dead == "" && b.Ready() == len(b.Endpoints) && (sameSet(have, linked) || hasHostName(linked)) {
		given = Warning
	}
	if hasHostName(g.Addresses) {
		on.hostName(name, g, link, linked, given)
		return
	}
	says, but := say("%s leads to %s, the gateway of cluster %s is at %s", name, list(have), g.Cluster,
		list(g.Addresses)), ""
	switch {
	case len(g.Addresses) == 0 && given == Failed:
		on.add(Unknown, "the gateway of cluster %s has no address to compare with, %s leads to %s", g.Cluster, name,
			list(have))
		return
	case len(g.Addresses) == 0:
		says = say("the gateway of cluster %s has no address, %s leads to %s", g.Cluster, name, list(have))
		but = ready + "given by hand"
	case sameSet(have, g.Addresses):
		on.add(OK, "%s and gateway agree on %s", name, list(have))
		return
	case dead == "" && slices.ContainsFunc(have, func(a string) bool { return slices.Contains(g.Addresses, a) }):
		but = ready + "one of several"
		given = Warning
	default:
		but = ready + "a translated one"
	}
	switch {
	case dead != "":
		but = "; " + string(dead)
	case given == Failed:
		but = ""
	}
	on.only(partWay).add(given, "%s%s", says, shown(but))
}

// hostName is address for a gateway that is known by host name.
func (on subject) hostName(name shown, g *law.Gateway, link *law.Link, linked []string, given Status) {
	says := say("%s: the Link says %s, the gateway is at %s", name, list(linked), list(g.Addresses))
	switch {
	case link == nil:
		on.add(Unknown, "%s: the gateway is known by host name, %s, and there is no Link to compare with", name,
			list(hostNames(g.Addresses)))
	case sameSet(linked, g.Addresses):
		on.add(OK, "%s: Link and gateway agree on %s", name, list(g.Addresses))
	case given == Warning:
		on.add(Warning, "%s; what the Link says is ready: it may be given by hand", says)
	default:
		on.only(partWay).add(Failed, "%s", says)
	}
}

// addresses are a mirror's, ready or not, each once.
func addresses(b law.Backend) []string {
	var out []string
	for _, e := range b.Endpoints {
		if !slices.Contains(out, e.Address) {
			out = append(out, e.Address)
		}
	}
	return out
}

func hostNames(addresses []string) []string {
	return slices.DeleteFunc(slices.Clone(addresses), func(a string) bool { return net.ParseIP(a) != nil })
}

func hasHostName(addresses []string) bool { return len(hostNames(addresses)) > 0 }

// split returns the words of a list with commas.
func split(commaList string) []string {
	return strings.FieldsFunc(commaList, func(r rune) bool { return r == ',' || r == ' ' })
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

// list joins names, the first five of them.
func list(items []string) shown {
	if len(items) == 0 {
		return "nothing"
	}
	const most = 5
	var safe []string
	for _, s := range items[:min(most, len(items))] {
		safe = append(safe, untrusted.Safe(s))
	}
	if len(items) > most {
		safe = append(safe, "...")
	}
	return shown(strings.Join(safe, ", "))
}

func relinkHint(s View) string {
	all := mirrors(s)
	if len(all) == 0 {
		return ""
	}
	return cmp.Or(contextHint(all[0]), "link the clusters again: "+relink(s, all[0], ""))
}

// relink is the command that writes the Link of a mirror's cluster anew.
func relink(s View, b law.Backend, more string) string {
	return "linkerd --context " + word(b.Mirror.Context) + " multicluster link-gen --cluster-name " +
		word(b.Mirror.Cluster) + more + " | kubectl --context " + word(s.Context("")) + " apply -f - " +
		"(before Linkerd 2.18 it is multicluster link; give again what the Link was given by hand, " +
		"such as --gateway-addresses)"
}

func gatewaysAlive(s View) Finding {
	return gatewayMirrors(s, func(on subject, b law.Backend, dead shown) {
		on.alive(b, gatewayOf(s, b.Mirror.Cluster), dead)
	})
}

// alive looks at both ends of a mirror: its own addresses, and the gateway's Service; and at whether anything arrives.
func (on subject) alive(b law.Backend, g *law.Gateway, dead shown) {
	name, cluster := "mirror "+serviceName(b.Service), b.Mirror.Cluster
	gateway := shown("")
	if g != nil {
		gateway = say("Service %s/%s", g.Namespace, g.Name)
	}
	switch {
	case len(b.Endpoints) == 0 && unreadable(b.Mirror):
		on.add(Unknown, "%s has no endpoints: none of Service %s in cluster %s is ready, or the service mirror does not "+
			"write it", name, b.Mirror.Remote, cluster)
	case len(b.Endpoints) == 0 && !emptied(b):
		on.and(partMirror).add(Failed, "%s has no endpoints, though %d of Service %s in cluster %s are ready: "+
			"the service mirror does not write it", name, b.Mirror.RemoteReady, b.Mirror.Remote, cluster)
	case b.Ready() == 0 && !emptied(b):
		on.and(partWay, partTrust).add(Failed,
			"%s: none of its addresses (%s) is ready: the service mirror's probe of the gateway fails", name, list(addresses(b)))
	case dead != "":
		on.and(partWay, partTrust, partPort, partGateway).add(Failed,
			"%s: whatever is ready there, requests do not arrive in cluster %s: %s", name, cluster, dead)
	case g == nil:
		on.add(Unknown, "the gateway of cluster %s could not be seen: no remote context", cluster)
	case g.Unread != "":
		on.add(Unknown, "the gateway of cluster %s could not be read%s", cluster, because(g.Unread))
	case !g.Found:
		on.only(partGateway).add(Failed, "cluster %s has no %s", cluster, gateway)
	case len(g.Addresses) == 0 && b.Ready() == len(b.Endpoints) && g.Ready: // a NodePort, say, with --gateway-addresses
		on.add(Warning, "%s of cluster %s has no load balancer address; it is ready, and so are the addresses that the "+
			"mirror has, %s", gateway, cluster, list(addresses(b)))
	case len(g.Addresses) == 0:
		on.only(partGateway).add(Failed, "%s of cluster %s has no load balancer address", gateway, cluster)
	case !g.Ready:
		on.only(partGateway).add(Failed, "no endpoint of %s of cluster %s is ready", gateway, cluster)
	default:
		on.add(OK, "gateway of cluster %s is ready at %s", cluster, list(g.Addresses))
	}
}

func gatewayHint(s View) string {
	if !slices.ContainsFunc(mirrors(s), func(b law.Backend) bool { return b.Service.Found }) {
		return "" // what is missing is the mirror: another check's hint
	}
	for _, g := range s.Gateways {
		if g.Context != "" && (!g.Found || !g.Ready || len(g.Addresses) == 0) {
			return "see the gateway: " + kubectlIn(g.Context, g.Namespace, "get", "deploy,service,endpointslices")
		}
	}
	return cmp.Or(anyContextHint(s),
		"see what the service mirror says: linkerd --context "+word(s.Context(""))+" multicluster gateways")
}
