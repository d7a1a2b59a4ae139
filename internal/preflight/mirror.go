package preflight

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func mirrorChecks() []Check {
	return []Check{
		{
			ID: "SB010", Category: "mirror", Name: "the mirror Services are there and their originals exported", Severity: Fatal,
			After: []string{"SB033", "SB016", "SB034"},
			Func:  mirrorsPresent, Hint: mirrorHint,
		},
		{
			ID: "SB011", Category: "mirror", Name: "the mirrors lead to the address of the gateway", Severity: Fatal,
			After: []string{"SB033", "SB016", "SB010"},
			Func:  gatewayAddress, Hint: relinkHint,
		},
		{
			ID: "SB013", Category: "mirror", Name: "the clusters trust each other", Severity: Fatal,
			After: []string{"SB033", "SB016", "SB010", "SB011"}, Func: trusted, Hint: trustHint,
		},
		{
			ID: "SB022", Category: "mirror", Name: "the other cluster does not split the Service again", Severity: Fatal,
			After: []string{"SB033", "SB010"}, Func: oneWay, Hint: oneWayHint,
		},
		{
			ID: "SB029", Category: "mirror", Name: "mirrors without a gateway have credentials", Severity: Fatal,
			After: []string{"SB033", "SB010"}, Func: credentialsPresent, Hint: credentialsHint,
		},
		{
			ID: "SB012", Category: "mirror", Name: "the gateways are alive", Severity: Fatal,
			After: []string{"SB033", "SB016", "SB010", "SB011", "SB013"},
			Func:  gatewaysAlive, Hint: gatewayHint,
		},
	}
}

const noMirrors = "no backend is in another cluster"

func mirrorsPresent(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		m := b.Mirror
		switch {
		case m == nil && !b.Service.Found:
			f.add(Unknown, "there is no Service "+serviceName(b.Service)+", and nothing says whether it was a mirror", backendTags(b)...)
			continue
		case m == nil:
			continue
		}
		remote := fmt.Sprintf("Service %s of cluster %s", untrusted.Safe(m.Remote), untrusted.Safe(m.Cluster))
		seen := m.Context != "" && m.RemoteUnread == ""
		switch {
		case !b.Service.Found && seen && !m.RemoteFound:
			f.add(Failed, "there is no mirror Service "+serviceName(b.Service)+", and no "+remote+" to mirror", backendTags(b)...)
		case !b.Service.Found && seen && !m.RemoteExported:
			f.add(Failed, "there is no mirror Service "+serviceName(b.Service)+", and "+remote+" is not exported", backendTags(b)...)
		case !b.Service.Found:
			f.add(Failed, "there is no mirror Service "+serviceName(b.Service)+" of "+remote+linkSays(s, m), backendTags(b)...)
		case m.Mode == law.MirrorFederated:
			f.add(Warning, "Service "+serviceName(b.Service)+" is federated: it pools several clusters without weights", backendTags(b)...)
		case !seen:
			f.add(Unknown, "mirror Service "+serviceName(b.Service)+" is there; "+remote+" could not be seen"+because(m.RemoteUnread), backendTags(b)...)
		case !m.RemoteFound:
			f.add(Failed, "there is no "+remote+", which Service "+serviceName(b.Service)+" mirrors", backendTags(b)...)
		case !m.RemoteExported:
			f.add(Failed, remote+" is not exported (any more), though Service "+serviceName(b.Service)+" mirrors it", backendTags(b)...)
		default:
			f.ok("Service " + serviceName(b.Service) + " mirrors " + remote)
		}
	}
	return f.seen(noMirrors)
}

// linkSays is what the Link's status says of a Service that is not mirrored.
func linkSays(s View, m *law.Mirror) string {
	l := linkOf(s, m.Cluster)
	if l == nil {
		return ""
	}
	st := l.StatusOf(m.Remote)
	if st == nil || st.Mirrored {
		return ""
	}
	return fmt.Sprintf(": Link %s says %s (%s)", untrusted.Safe(l.Name), untrusted.Safe(st.Reason), untrusted.Safe(st.Message))
}

func mirrorHint(s View) string {
	for _, b := range s.Backends {
		m := b.Mirror
		if m == nil || m.Mode == law.MirrorFederated {
			continue
		}
		if l := linkOf(s, m.Cluster); l != nil && !b.Service.Found {
			if st := l.StatusOf(m.Remote); st != nil && st.Reason == "MissingNamespace" {
				return "create the namespace here, the service mirror does not: " + kubectl(s, "", "create", "namespace", b.Service.Namespace)
			}
		}
		ns, name, _ := strings.Cut(m.Remote, "/")
		seen := m.Context != "" && m.RemoteUnread == ""
		switch {
		case m.Context == "" && b.Service.Found:
			return "name the other cluster's context: --remote-context " + word(m.Cluster) + "=CONTEXT"
		case seen && !m.RemoteFound:
			return "create the Service there first: " + kubectlIn(m.Context, ns, "get", "services")
		case seen && !m.RemoteExported:
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

func gatewayOf(s View, cluster string) *law.Gateway {
	for i := range s.Gateways {
		if s.Gateways[i].Cluster == cluster {
			return &s.Gateways[i]
		}
	}
	return nil
}

func linkOf(s View, cluster string) *law.Link {
	for i := range s.Links {
		if s.Links[i].TargetCluster == cluster {
			return &s.Links[i]
		}
	}
	return nil
}

// gatewayMirrors calls f for every mirror that leads through a gateway. A mirror that is missing is unseen here.
func gatewayMirrors(s View, f *findings, each func(b law.Backend, g *law.Gateway)) {
	for _, b := range s.Backends {
		if b.Mirror == nil || b.Mirror.Mode != law.MirrorGateway {
			if b.Mirror == nil && !b.Service.Found {
				f.add(Unknown, "there is no Service "+serviceName(b.Service), backendTags(b)...)
			}
			continue
		}
		switch {
		case !b.Service.Found:
			f.add(Unknown, "there is no mirror Service "+serviceName(b.Service), backendTags(b)...)
		case b.Unread != "":
			f.add(Unknown, "the endpoints of mirror Service "+serviceName(b.Service)+" could not be read"+because(b.Unread), backendTags(b)...)
		default:
			f.mild = b.Weight == 0 // nothing is sent to it: what is wrong there is worth knowing, and no obstacle
			each(b, gatewayOf(s, b.Mirror.Cluster))
			f.mild = false
		}
	}
}

func gatewayAddress(s View) Finding {
	f := newFindings()
	gatewayMirrors(s, f, func(b law.Backend, g *law.Gateway) { compareAddress(s, f, b, g) })
	return f.seen(noMirrors)
}

// compareAddress compares sets: a gateway may have several addresses, and the mirror all of them. A load balancer known by
// host name has addresses that only a resolver beside the service mirror can tell, so there the names are compared with
// those in the Link. An address that differs from the gateway's own but is the Link's and alive is a translated one
// (linkerd multicluster link --gateway-addresses): worth a warning, not a failure.
func compareAddress(s View, f *findings, b law.Backend, g *law.Gateway) {
	name := "mirror Service " + serviceName(b.Service)
	switch {
	case g == nil:
		f.add(Unknown, name+": the gateway of cluster "+untrusted.Safe(b.Mirror.Cluster)+" could not be seen: no remote context", backendTags(b)...)
		return
	case g.Unread != "" && !g.Found:
		f.add(Unknown, name+": the gateway of cluster "+untrusted.Safe(b.Mirror.Cluster)+" could not be read"+because(g.Unread), backendTags(b)...)
		return
	case !g.Found:
		f.add(Failed, fmt.Sprintf("%s: cluster %s has no Service %s/%s", name, untrusted.Safe(g.Cluster), untrusted.Safe(g.Namespace),
			untrusted.Safe(g.Name)), backendTags(b)...)
		return
	case len(b.Endpoints) == 0:
		f.add(Failed, name+" has no endpoints, the gateway is at "+list(g.Addresses), backendTags(b)...)
		return
	}
	have, link := addresses(b), linkOf(s, b.Mirror.Cluster)
	given := link != nil && b.Ready() == len(b.Endpoints) && // alive at what the Link says, a host name being somebody else's to resolve
		(sameSet(have, split(link.GatewayAddress)) || len(hostNames(split(link.GatewayAddress))) > 0)
	if len(g.Addresses) == 0 {
		says := fmt.Sprintf("the gateway of cluster %s has no address, %s leads to %s", untrusted.Safe(g.Cluster), name, list(have))
		if given {
			f.add(Warning, says+"; the Link says so too and the address is ready: it may be given by hand", backendTags(b)...)
		} else {
			f.add(Failed, says, backendTags(b)...)
		}
		return
	}
	if hosts := hostNames(g.Addresses); len(hosts) > 0 {
		switch {
		case link == nil:
			f.add(Unknown, name+": the gateway is known by host name, "+list(hosts)+", and there is no Link to compare with", backendTags(b)...)
		case sameSet(split(link.GatewayAddress), g.Addresses):
			f.ok(name + ": Link and gateway agree on " + list(g.Addresses))
		case given:
			f.add(Warning, fmt.Sprintf("%s: the Link says %s, the gateway is at %s; what the Link says is ready: it may be given by hand", name,
				list(split(link.GatewayAddress)), list(g.Addresses)), backendTags(b)...)
		default:
			f.add(Failed, fmt.Sprintf("%s: the Link says %s, the gateway is at %s", name, list(split(link.GatewayAddress)),
				list(g.Addresses)), backendTags(b)...)
		}
		return
	}
	common := 0
	for _, a := range have {
		if slices.Contains(g.Addresses, a) {
			common++
		}
	}
	says := fmt.Sprintf("%s leads to %s, the gateway of cluster %s is at %s", name, list(have), untrusted.Safe(g.Cluster),
		list(g.Addresses))
	switch {
	case sameSet(have, g.Addresses):
		f.ok(name + " and gateway agree on " + list(have))
	case common > 0:
		f.add(Warning, says, backendTags(b)...)
	case given:
		f.add(Warning, says+"; the Link says so too and the address is ready: it may be a translated one", backendTags(b)...)
	default:
		f.add(Failed, says, backendTags(b)...)
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
	var out []string
	for _, a := range addresses {
		if net.ParseIP(a) == nil {
			out = append(out, a)
		}
	}
	return out
}

func split(commaList string) []string {
	var out []string
	for _, a := range strings.Split(commaList, ",") {
		if a = strings.TrimSpace(a); a != "" {
			out = append(out, a)
		}
	}
	return out
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func list(items []string) string {
	if len(items) == 0 {
		return "nothing"
	}
	var safe []string
	for i, s := range items {
		if i == 5 {
			safe = append(safe, "...")
			break
		}
		safe = append(safe, untrusted.Safe(s))
	}
	return strings.Join(safe, ", ")
}

func relinkHint(s View) string {
	for _, b := range s.Backends {
		if b.Mirror == nil {
			continue
		}
		if b.Mirror.Context == "" {
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		}
		return "link the clusters again: " + relink(s, b, "")
	}
	return ""
}

// relink is the command that writes the Link of a mirror's cluster anew.
func relink(s View, b law.Backend, more string) string {
	return fmt.Sprintf("linkerd --context %s multicluster link-gen --cluster-name %s%s | kubectl --context %s apply -f - "+
		"(before Linkerd 2.18 it is multicluster link; give again what the Link was given by hand, such as --gateway-addresses)",
		word(b.Mirror.Context), word(b.Mirror.Cluster), more, word(clientContext(s)))
}

func gatewaysAlive(s View) Finding {
	f := newFindings()
	gatewayMirrors(s, f, func(b law.Backend, g *law.Gateway) {
		name := "mirror Service " + serviceName(b.Service)
		cluster := untrusted.Safe(b.Mirror.Cluster)
		switch {
		case len(b.Endpoints) == 0:
			f.add(Failed, name+" has no endpoints", backendTags(b)...)
		case b.Ready() == 0:
			f.add(Failed, fmt.Sprintf("%s: none of its addresses (%s) is ready: the service mirror's probe of the gateway fails",
				name, list(addresses(b))), backendTags(b)...)
		case g == nil:
			f.add(Unknown, "the gateway of cluster "+cluster+" could not be seen: no remote context", backendTags(b)...)
		case g.Unread != "":
			f.add(Unknown, "the gateway of cluster "+cluster+" could not be read"+because(g.Unread), backendTags(b)...)
		case !g.Found:
			f.add(Failed, fmt.Sprintf("cluster %s has no Service %s/%s", cluster, untrusted.Safe(g.Namespace), untrusted.Safe(g.Name)), backendTags(b)...)
		case len(g.Addresses) == 0 && b.Ready() == len(b.Endpoints) && g.Ready: // a NodePort, say, linked with --gateway-addresses
			f.add(Warning, fmt.Sprintf("Service %s/%s of cluster %s has no load balancer address; it is ready, and so are the addresses that the mirror has, %s",
				untrusted.Safe(g.Namespace), untrusted.Safe(g.Name), cluster, list(addresses(b))), backendTags(b)...)
		case len(g.Addresses) == 0:
			f.add(Failed, fmt.Sprintf("Service %s/%s of cluster %s has no load balancer address", untrusted.Safe(g.Namespace),
				untrusted.Safe(g.Name), cluster), backendTags(b)...)
		case !g.Ready:
			f.add(Failed, fmt.Sprintf("no endpoint of Service %s/%s of cluster %s is ready", untrusted.Safe(g.Namespace),
				untrusted.Safe(g.Name), cluster), backendTags(b)...)
		default:
			f.ok(fmt.Sprintf("gateway of cluster %s is ready at %s", cluster, list(g.Addresses)))
		}
	})
	return f.seen(noMirrors)
}

func gatewayHint(s View) string {
	if !slices.ContainsFunc(s.Backends, func(b law.Backend) bool { return b.Mirror != nil && b.Service.Found }) {
		return "" // what is missing is the mirror: another check's hint
	}
	for _, g := range s.Gateways {
		if g.Context != "" && (!g.Found || !g.Ready || len(g.Addresses) == 0) {
			return "see the gateway: " + kubectlIn(g.Context, g.Namespace, "get", "deploy,service,endpointslices")
		}
	}
	for _, b := range s.Backends {
		if b.Mirror != nil && b.Mirror.Context == "" {
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		}
	}
	return "see what the service mirror says: linkerd --context " + word(clientContext(s)) + " multicluster gateways"
}
