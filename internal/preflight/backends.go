package preflight

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

func backendChecks() map[string]Check {
	return map[string]Check{
		"SB034": {Func: rootThere, Hint: seeServices},
		"SB015": {Func: on(aboutRoot, rootSplittable), Hint: func(s View) string {
			if !s.Root.Found {
				return ""
			}
			if to := s.Probed.dialled(); to != "" && !s.Root.IsAt(to) && s.Root.ClusterIP != "" && !s.Root.Headless {
				return "have the pod dial the root by its name: --url " + word(rootURL(s))
			}
			if s.Source.IPv4Only && law.IsIPv6(cmp.Or(s.Probed.dialled(), s.Root.ClusterIP)) {
				return "dial an address of IPv4 (--url), or have Linkerd listen on IPv6 too (its Helm value disableIPv6: false)"
			}
			return "proxies know a split by the root's cluster IP: make it an ordinary Service: " +
				kubectl(s, s.Split.Namespace, "get", "service", s.Split.Root, "-o", "yaml")
		}},
		"SB007": {Func: backendsExist, Hint: seeServices},
		"SB009": {Func: portsMatch, Hint: portHint},
		"SB008": {Func: endpointsReady, Hint: readyHint},
		"SB024": {Func: atRest, Hint: atRestHint},
		"SB025": {Func: letIn, Hint: policyHint},
		"SB028": {Func: leavesMeshed, Hint: func(s View) string {
			const why = "mesh them, or keep in mind that what they refuse comes back as 502 and is not moved elsewhere: "
			for _, b := range mirrors(s) {
				if ns, _, _ := strings.Cut(b.Mirror.Remote, "/"); b.Pods.UnmeshedPods > 0 {
					return why + kubectlIn(b.Mirror.Context, ns, "get", "pods", "-o", "wide")
				}
			}
			return why + kubectl(s, s.Split.Namespace, "get", "pods", "-o", "wide")
		}},
		"SB026": {Func: podsDisjoint, Hint: func(s View) string {
			return "an answer of a shared pod cannot be told to one backend; make the selectors differ: " +
				kubectl(s, s.Split.Namespace, "get", "services", "-o", "wide")
		}},
	}
}

func seeServices(s View) string {
	return "proxies send a missing backend's share elsewhere; create the Service, or name another in the split: " +
		kubectl(s, s.Split.Namespace, "get", "services")
}

func serviceName(s law.Service) shown { return say("Service %s/%s", s.Namespace, s.Name) }

// rootThere is also about the split where there is none: the root's name was then guessed from it.
func rootThere(s View) Finding {
	f := newFindings()
	on := f.about(aboutRoot)
	if !s.Split.Found {
		on.tags = append(on.tags, aboutSplit)
	}
	if s.Root.Found {
		on.add(OK, "%s, cluster IP %s, port %d", serviceName(s.Root), orUnknown(s.Root.ClusterIP), s.Port)
	} else {
		on.add(Failed, "there is no %s", serviceName(s.Root))
	}
	return f.seen("")
}

func rootSplittable(s View) (Status, shown) {
	name := serviceName(s.Root)
	switch {
	case !s.Root.Found:
		return Unknown, "there is no " + name
	case s.Root.ExternalName != "":
		return Failed, name + " is an ExternalName"
	case s.Root.Headless:
		return Failed, name + " is headless: clients dial pods, and no split applies"
	case s.Root.ClusterIP == "":
		return Failed, name + " has no cluster IP"
	}
	to := s.Probed.dialled()
	if to != "" && !s.Root.IsAt(to) && s.Through == nil {
		return Failed, say("the pod dials %s for %s, not the cluster IP %s of %s", to, s.Probed.URL, s.Root.ClusterIP, name)
	}
	if at := cmp.Or(to, s.Root.ClusterIP); law.IsIPv6(at) && s.Source.IPv4Only && s.Through == nil {
		return Warning, say("%s has cluster IP %s, and the proxy of pod %s listens on IPv4 alone: what the pod dials by "+
			"IPv6 goes around it and is not split", name, at, s.Source.Name)
	}
	return OK, say("%s has cluster IP %s", name, s.Root.ClusterIP)
}

func backendsExist(s View) Finding {
	f := newFindings()
	for on, b := range f.backends(s) {
		if b.Service.Found {
			on.add(OK, "%s", serviceName(b.Service))
		} else {
			on.add(Failed, "there is no %s", serviceName(b.Service))
		}
	}
	return f.seen("")
}

// rootAndBackends calls see for the Service of the root and of every other backend, with the port that requests go to.
func (f *findings) rootAndBackends(s View, see func(on subject, svc law.Service, port int32)) {
	root := f.about(aboutRoot)
	root.backend = s.Root.Name
	see(root, s.Root, s.Port)
	for _, b := range s.Backends {
		if !b.IsRoot && !b.IsProxy() {
			see(f.backend(b), b.Service, backendPort(s, b))
		}
	}
}

// portsMatch is about Services that are there; a missing one has its own check, but leaves this one unseen.
func portsMatch(s View) Finding {
	switch {
	case s.Port == 0 && s.Root.Found:
		return about(aboutRoot, Failed, serviceName(s.Root)+" has no TCP port")
	case s.Port == 0:
		return about(aboutRoot, Unknown, "the port is not known: there is no "+serviceName(s.Root))
	}
	f := newFindings()
	f.rootAndBackends(s, func(on subject, svc law.Service, port int32) {
		switch name := serviceName(svc); {
		case !svc.Found:
			on.add(Unknown, "there is no %s", name)
		case !svc.HasPort(port):
			on.only(partPort).add(Failed, "%s has no TCP port %d, it has %s", name, port, portList(svc))
		case port != s.Port && svc.HasPort(s.Port):
			on.add(Warning, "requests to port %d are sent to port %d of %s, which has port %d too: is what answers there meant?",
				s.Port, port, name, s.Port)
		case port != s.Port:
			on.add(OK, "%s has port %d, where requests to port %d are sent", name, port, s.Port)
		default:
			on.add(OK, "%s has port %d", name, port)
		}
	})
	return f.seen("")
}

func backendPort(s View, b law.Backend) int32 { return cmp.Or(b.Port, s.Port) }

func portList(svc law.Service) shown {
	var ports []string
	for _, p := range svc.Ports {
		ports = append(ports, fmt.Sprint(p.Port))
	}
	return shown(cmp.Or(strings.Join(ports, ", "), "none"))
}

// portHint is where the port is lacking. A mirror has those of its original, by whose Service it is written.
func portHint(s View) string {
	const why = "a backend without the root's port gets no traffic; add the port: "
	for _, b := range s.Backends {
		switch m := b.Mirror; {
		case !b.Service.Found || b.Service.HasPort(backendPort(s, b)):
		case m != nil && m.RemoteFound && m.RemoteService.HasPort(backendPort(s, b)):
			ns, name, _ := strings.Cut(m.Remote, "/")
			return "the original has it; have the service mirror write it again, which it does when that is written: " +
				kubectlIn(m.Context, ns, "annotate", "service", name, touched(s), "--overwrite")
		case m != nil:
			ns, name, _ := strings.Cut(m.Remote, "/")
			return cmp.Or(contextHint(b), why+kubectlIn(m.Context, ns, "edit", "service", name))
		default:
			return why + kubectl(s, b.Service.Namespace, "edit", "service", b.Service.Name)
		}
	}
	if s.Root.Found && (s.Port == 0 || !s.Root.HasPort(s.Port)) {
		return why + kubectl(s, s.Root.Namespace, "edit", "service", s.Root.Name)
	}
	return "" // what is missing is a Service: another check's hint
}

// unreadable reports whether the mirror's original could not be looked at.
func unreadable(m *law.Mirror) bool { return m.Context == "" || m.RemoteUnread != "" }

// endpointsReady asks the cluster that the pods run in: the endpoints of a mirror are its gateway, which SB012 looks
// at.
func endpointsReady(s View) Finding {
	f := newFindings()
	for on, b := range f.backends(s) {
		name, m := say("backend %s", b.Name), b.Mirror
		on.mild, on.settled = b.Weight == 0, s.answer(b) // nobody is meant to be sent to one of weight 0
		switch dead := s.unreached(b); {
		case m != nil && !unreadable(m) && m.RemoteFound && m.RemoteReady == 0:
			on.only(partPods).add(Failed, "%s: no endpoint of Service %s in cluster %s is ready", name, m.Remote, m.Cluster)
		case !b.Service.Found:
			on.add(Unknown, "%s has no Service", name)
		case m != nil && !unreadable(m) && !m.RemoteFound:
			on.and(partPods).add(Failed, "%s: there is no Service %s in cluster %s", name, m.Remote, m.Cluster)
		case m == nil && b.Unread == "" && b.Ready() > 0 && b.ReadyFor(s.Source) == 0:
			on.only(partPods).add(Failed, "%s: none of its %d ready endpoints has an address of IPv4, and the proxy of pod "+
				"%s is given no other", name, b.Ready(), s.Source.Name)
		case m == nil && b.Unread == "" && b.Ready() == 0:
			on.only(partPods).add(Failed, "%s: none of its %d endpoints is ready", name, len(b.Endpoints))
		case dead != "":
			on.and(partPort, partWay, partTrust, partGateway).add(Failed,
				"%s: whatever is ready there, requests do not arrive: %s", name, dead)
		case m != nil && unreadable(m):
			on.add(Unknown, "%s: its pods in cluster %s could not be seen%s", name, m.Cluster, because(m.RemoteUnread))
		case m != nil:
			on.add(OK, "%s: %d ready in cluster %s", name, m.RemoteReady, m.Cluster)
		case b.Unread != "":
			on.add(Unknown, "%s: its endpoints could not be read%s", name, because(b.Unread))
		default:
			on.add(OK, "%s: %d ready", name, b.ReadyFor(s.Source))
		}
	}
	return f.seen("")
}

func readyHint(s View) string {
	const why = "proxies give the share of a backend without ready endpoints to the others; see its pods: "
	const byService = "kubernetes.io/service-name="
	for _, b := range s.Backends {
		if b.Mirror != nil && b.Mirror.Context != "" && b.Mirror.RemoteReady == 0 {
			ns, name, _ := strings.Cut(b.Mirror.Remote, "/")
			return why + kubectlIn(b.Mirror.Context, ns, "get", "endpointslices", "-l", byService+name)
		}
		if b.Mirror == nil && b.Service.Found && b.ReadyFor(s.Source) == 0 {
			return why + kubectl(s, b.Service.Namespace, "get", "endpointslices", "-l", byService+b.Service.Name)
		}
	}
	for _, b := range s.Backends {
		switch dead := s.unreached(b); {
		case dead != "" && b.Mirror != nil:
			return gatewayHint(s)
		case dead != "":
			return "see whether its pods answer: " + kubectl(s, b.Service.Namespace, "get", "endpointslices", "-l",
				byService+b.Service.Name)
		}
		if b.Mirror != nil && b.Mirror.Context == "" {
			return contextHint(b)
		}
		if b.Unread != "" {
			return "ask for the verb list on endpointslices: " +
				kubectl(s, b.Service.Namespace, "auth", "can-i", "list", "endpointslices.discovery.k8s.io")
		}
	}
	return ""
}

// alike compares what backends answered when they were asked by themselves.
func alike(s View, f *findings) {
	if s.Probed == nil {
		return
	}
	owner := map[string]string{}
	for _, b := range s.Backends {
		for _, a := range s.Probed.Direct[b.Name] {
			if a.Status == 0 || len(a.Body) == 0 {
				continue
			}
			if other, taken := owner[string(a.Body)]; taken && other != b.Name {
				f.about(aboutBackend(b.Name)).add(Failed, "backends %s and %s answer alike, byte for byte", other, b.Name)
				break
			}
			owner[string(a.Body)] = b.Name
		}
	}
}

func podsDisjoint(s View) Finding {
	f := newFindings()
	owner := map[string]string{}
	for on, b := range f.backends(s) {
		if b.ProxyStatus != 0 {
			continue // told by the status
		}
		names := b.PodNames()
		if names == nil || !b.Service.Found {
			on.add(Unknown, "the pods of backend %s could not be seen", b.Name)
			continue
		}
		cluster := ""
		if b.Mirror != nil {
			cluster = b.Mirror.Cluster
		}
		shared, other := 0, ""
		for _, pod := range names {
			key := cluster + "/" + pod
			if o, taken := owner[key]; taken && o != b.Name {
				shared, other = shared+1, o
				continue
			}
			owner[key] = b.Name
		}
		if shared > 0 {
			f.about(aboutBackend(b.Name)).add(Warning, "%d pods of backend %s are also of backend %s", shared, b.Name, other)
		}
	}
	alike(s, f)
	return f.seen("all pods belong to one backend each")
}

// leavesMeshed is a remark: a pod without a proxy gives no mutual TLS, and its refusals are not moved to other
// backends.
func leavesMeshed(s View) Finding {
	f := newFindings()
	for on, b := range f.backends(s) {
		switch p := b.Pods; {
		case p.Sight != law.Seen || p.Looked == 0:
			on.and(partPods).add(Unknown, "backend %s: its pods could not be looked at%s", b.Name, because(p.Why))
		case p.UnmeshedPods > 0:
			on.add(Warning, "backend %s: %d of %d pods have no proxy (%s)", b.Name, p.UnmeshedPods, p.Looked, list(p.Unmeshed))
		default:
			on.add(OK, "backend %s: all %d pods that were looked at are meshed", b.Name, p.Looked)
		}
	}
	return f.seen("")
}

// atRest is about what makes answers differ from draws: retries, timeouts, circuit breakers, and pods that come and go.
func atRest(s View) Finding {
	f := newFindings()
	split, root := f.about(aboutSplit), f.about(aboutRoot)
	for _, set := range s.Law.Settings {
		split.add(Warning, "%s", set)
	}
	if s.Probed != nil && s.Probed.Path.Retries > 0 {
		split.add(Warning, "the proxy drew %d of the probes again", s.Probed.Path.Retries)
	}
	for _, r := range s.Facts.Rollouts {
		cluster := shown("the client's cluster")
		if r.Cluster != "" {
			cluster = say("cluster %s", r.Cluster)
		}
		split.add(Warning, "Deployment %s of %s is changing: %s", r.Deployment, cluster, r.State)
	}
	if !s.Root.Found {
		root.add(Unknown, "there is no %s whose settings could be read", serviceName(s.Root))
	}
	return f.seen("no retries, timeouts, circuit breakers or rollouts were seen")
}

func atRestHint(s View) string {
	if len(s.Facts.Rollouts) > 0 {
		r := s.Facts.Rollouts[0]
		ns, name, _ := strings.Cut(r.Deployment, "/")
		return "wait for it: " + kubectlIn(s.Context(r.Cluster), ns, "rollout", "status", "deployment/"+name)
	}
	const see = "what counts is each draw, which the client's proxy counts; to see the settings: "
	if p := s.Split.Profile; p.Retryable+p.Timeouts > 0 {
		return see + kubectl(s, p.Namespace, "get", "serviceprofile", p.Name, "-o", "yaml")
	}
	return see + kubectl(s, s.Root.Namespace, "get", "service", s.Root.Name, "-o", "yaml")
}
