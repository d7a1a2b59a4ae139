package preflight

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// meshChecks are about what takes the client's connections away from the split without a word.
func meshChecks() map[string]Check {
	return map[string]Check{
		"SB001": {When: meshedClient, Func: followsWhatIsThere, Hint: func(s View) string {
			if s.Probed == nil {
				return "ask the proxy itself: add --probe; or give it a fresh start: " + restart(s, s.Source)
			}
			return "the proxy keeps the routes that it looked up first for as long as they are used; start it again: " +
				restart(s, s.Source)
		}},
		"SB017": {Func: on(aboutRoot, portIsHTTP), Hint: opaqueHint},
		"SB018": {When: meshedClient, Func: on(aboutSource, portIsCaught), Hint: func(s View) string {
			return "take the port out of config.linkerd.io/skip-outbound-ports (and the address out of skip-subnets) of " +
				"pod template and namespace, then " + restart(s, s.Source)
		}},
		"SB019": {Func: noSocketLB, Hint: func(s View) string {
			if strings.HasPrefix(s.Facts.SocketLB.Object, "Felix") {
				return "let Calico leave pods alone: " + kubectl(s, "", "patch", "felixconfiguration", "default",
					"--type=merge", "-p", `{"spec":{"bpfConnectTimeLoadBalancing":"Disabled"}}`)
			}
			return "let Cilium balance in host namespaces only, and start the pods again: helm upgrade cilium " +
				"cilium/cilium --reuse-values --set socketLB.hostNamespaceOnly=true -n kube-system"
		}},
		"SB020": {Func: inNetworks, Hint: func(s View) string {
			if s.Facts.Networks.Sight != law.Seen {
				return "compare them by hand: " + kubectl(s, "linkerd", "get", "configmap", "linkerd-config", "-o", "yaml")
			}
			return "add the Services' network to clusterNetworks, and start the pods again: " +
				"linkerd upgrade --set clusterNetworks=LIST | " + kubectl(s, "", "apply", "-f", "-")
		}},
	}
}

// covers reports whether a list of ports as Linkerd writes them, e.g. "25,587,3000-3100", holds the port.
func covers(list string, port int32) bool {
	listed, _ := law.InPorts(list, port)
	return listed
}

// portIsCaught looks at the rules that send a pod's traffic to its proxy.
func portIsCaught(s View) (Status, shown) {
	pods := []law.Pod{s.Source}
	if s.Through != nil {
		pods = s.Through.Pods
	}
	looked := false
	for _, p := range pods {
		if p.Name == "" || !p.Meshed {
			continue
		}
		looked = true
		ports, subnets, from := p.SkipOutbound, p.SkipSubnets, p.SkipFrom
		if ns, ok := s.Facts.Of(p.Namespace); ok && from == "annotations" {
			if ports == "" && ns.SkipOutbound != "" || subnets == "" && ns.SkipSubnets != "" {
				from = "namespace " + ns.Name
			}
			ports, subnets = cmp.Or(ports, ns.SkipOutbound), cmp.Or(subnets, ns.SkipSubnets)
		}
		if s.Port != 0 && covers(ports, s.Port) {
			return Failed, say("pod %s: port %d goes around the proxy (skipped ports %s, by %s)", p.Name, s.Port, ports, from)
		}
		if in, _ := within(strings.Split(subnets, ","), s.Root.ClusterIP); in {
			return Failed, say("pod %s: %s goes around the proxy (skipped subnets %s, by %s)",
				p.Name, s.Root.ClusterIP, subnets, from)
		}
	}
	if !looked {
		return Unknown, "there is no meshed pod whose rules could be read"
	}
	return OK, say("port %d is not among the ports that go around the proxy", s.Port)
}

// within reports whether one of the networks holds the address; known is false where the address or all of the networks
// cannot be read.
func within(networks []string, address string) (in, known bool) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return false, false
	}
	for _, n := range networks {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(n))
		if err != nil {
			continue
		}
		if prefix.Contains(addr) {
			return true, true
		}
		known = true
	}
	return false, known
}

func noSocketLB(s View) Finding {
	switch lb, known := s.Facts.SocketLB, s.path(); {
	case known != "" && (lb.InPods || lb.Sight != law.Absent && lb.Sight != law.Seen):
		return about(aboutMesh, OK, known)
	case lb.Sight == "":
		return about(aboutMesh, Unknown, "the settings of the network plugin were not looked at")
	case lb.Sight == law.Unread:
		return about(aboutMesh, Unknown, say("%s could not be read%s", lb.Object, because(lb.Why)))
	case lb.Sight == law.Absent:
		return about(aboutMesh, OK, say("there is no %s, and no Calico that balances at connect()", lb.Object))
	case lb.InPods:
		return about(aboutRoot, Failed, say("%s has pods' connections balanced at connect(): %s", lb.Object, lb.Settings))
	default:
		return about(aboutRoot, OK, say("%s leaves pods' connections alone: %s", lb.Object, lb.Settings))
	}
}

func inNetworks(s View) Finding {
	n := s.Facts.Networks
	if known := s.path(); known != "" && n.Sight != law.Seen && s.Root.Found {
		return about(aboutMesh, OK, known)
	}
	switch n.Sight {
	case law.Seen:
	case law.Absent:
		return about(aboutMesh, Unknown, say("neither the proxy's environment nor %s, which is not there, "+
			"says which networks Linkerd serves", n.Object))
	case law.Unread:
		return about(aboutMesh, Unknown, say("%s could not be read%s", n.Object, because(n.Why)))
	default:
		return about(aboutMesh, Unknown, "the networks that Linkerd serves were not looked at")
	}
	f := newFindings()
	f.rootAndBackends(s, func(on subject, svc law.Service, _ int32) {
		name := serviceName(svc)
		if svc.Found {
			on.settled = s.path()
		}
		in, known := within(n.CIDRs, svc.ClusterIP)
		switch {
		case !svc.Found:
			on.add(Unknown, "%s could not be compared: it is not there", name)
		case svc.Headless || svc.ClusterIP == "":
			if slices.Contains(on.tags, aboutRoot) { // a backend needs none: proxies are sent to its endpoints
				on.add(Unknown, "%s has no cluster IP to compare", name)
			}
		case in:
			on.add(OK, "%s of %s", svc.ClusterIP, name)
		case known && on.settled != "":
			on.add(OK, "%s of %s: %s", svc.ClusterIP, name, on.settled)
		case known:
			on.add(Failed, "%s of %s is in none of %s (by %s): proxies pass it on unsplit",
				svc.ClusterIP, name, list(n.CIDRs), n.Object)
		default:
			on.add(Unknown, "%q of %s cannot be compared with %s", svc.ClusterIP, name, list(n.CIDRs))
		}
	})
	return f.seen("")
}

// What makes a proxy take the root's port for opaque. The split is then drawn for each connection.
type opaqueness struct {
	byService, byProfile, byNamespace bool   // annotations and spec.opaquePorts name the port
	appProtocol                       string // one that proxies do not look into
}

func opaquenessOf(s View) opaqueness {
	ns, known := s.Facts.Of(s.Root.Namespace)
	o := opaqueness{
		byService:   covers(s.Root.OpaquePorts, s.Port),
		byProfile:   slices.ContainsFunc(s.Split.Profile.OpaquePorts, func(l string) bool { return covers(l, s.Port) }),
		byNamespace: !s.Root.OpaquePortsSet && known && covers(ns.OpaquePorts, s.Port),
	}
	http := []string{"", "http", "kubernetes.io/h2c", "grpc", "http2"}
	for _, p := range s.Root.Ports {
		if p.Port == s.Port && o.appProtocol == "" && !slices.Contains(http, strings.ToLower(p.AppProtocol)) {
			o.appProtocol = p.AppProtocol
		}
	}
	return o
}

func portIsHTTP(s View) (Status, shown) {
	name, opaque := say("port %d of %s", s.Port, serviceName(s.Root)), opaquenessOf(s)
	switch {
	case !s.Root.Found || s.Port == 0:
		return Unknown, "there is no port to look at"
	case s.Probed != nil && s.Probed.Path.PerConnection:
		return Warning, name + " is not HTTP to the proxy: it counted connections and no requests"
	case s.Law.NullModel == law.RandomPerConnection:
		return Warning, name + " is not HTTP to the proxy: " + orUnknown(s.Law.ModelWhy)
	case opaque.byService:
		return Warning, say("%s is opaque by the Service's annotation: %s", name, s.Root.OpaquePorts)
	case opaque.byProfile:
		return Warning, say("%s is opaque by ServiceProfile %s", name, s.Split.Profile.Name)
	case opaque.byNamespace:
		return Warning, say("%s is opaque by the annotation of namespace %s", name, s.Root.Namespace)
	case opaque.appProtocol != "":
		return Warning, say("%s has appProtocol %q, which a proxy takes for opaque", name, opaque.appProtocol)
	}
	return OK, "nothing says that " + name + " is opaque"
}

// opaqueHint fixes what portIsHTTP found. An annotation of the Service, an empty one too, comes before the namespace's
// and before Linkerd's default; appProtocol and the ServiceProfile are not moved by it.
func opaqueHint(s View) string {
	const or = ", or let each request have a connection of its own: --requests-per-connection 1"
	root, profile, opaque := s.Root, s.Split.Profile, opaquenessOf(s)
	annotate := kubectl(s, root.Namespace, "annotate", "service", root.Name,
		"config.linkerd.io/opaque-ports=", "--overwrite")
	switch {
	case !root.Found || s.Port == 0:
		return ""
	case opaque.byService:
		return "take all ports out of the opaque ones: " + annotate + or
	case opaque.byProfile:
		return "take the port out of its spec.opaquePorts: " +
			kubectl(s, profile.Namespace, "edit", "serviceprofile", profile.Name) + or
	case opaque.appProtocol != "", s.Law.Provider == law.ProviderIstio:
		return "if it is HTTP, set appProtocol of the port to http: " +
			kubectl(s, root.Namespace, "edit", "service", root.Name) + or
	case opaque.byNamespace, !root.OpaquePortsSet && law.OpaqueByDefault(s.Port):
		return "if it is HTTP, give the Service an empty annotation of its own: " + annotate + or
	}
	return "the split is of connections; let each request have a connection of its own: --requests-per-connection 1"
}
