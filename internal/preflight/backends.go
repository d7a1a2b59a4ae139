package preflight

import (
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func backendChecks() []Check {
	return []Check{
		{
			ID: "SB034", Category: "backends", Name: "the root Service exists", Severity: Fatal,
			After: []string{"SB031"}, Func: rootThere,
			Hint: seeServices,
		},
		{
			ID: "SB015", Category: "backends", Name: "the root Service has an address that can be split", Severity: Fatal,
			After: []string{"SB034"}, Func: on(aboutRoot, rootSplittable),
			Hint: func(s View) string {
				if !s.Root.Found {
					return ""
				}
				return "proxies know a split by the root's cluster IP: make it an ordinary Service: " + kubectl(s,
					s.Split.Namespace, "get", "service", s.Split.Root, "-o", "yaml")
			},
		},
		{
			ID: "SB007", Category: "backends", Name: "every backend Service exists", Severity: Fatal,
			After: []string{"SB031", "SB016", "SB034", "SB010"}, Func: backendsExist,
			Hint: seeServices,
		},
		{
			ID: "SB009", Category: "backends", Name: "root and backends have the port", Severity: Fatal,
			After: []string{"SB034", "SB016", "SB010", "SB007"},
			Func:  portsMatch, Hint: portHint,
		},
		{
			ID: "SB008", Category: "backends", Name: "every backend has ready endpoints", Severity: Fatal,
			After: []string{"SB031", "SB033", "SB016", "SB010", "SB007"},
			Func:  endpointsReady, Hint: readyHint,
		},
		{
			ID: "SB024", Category: "backends", Name: "nothing retries, times out or rolls out", Severity: Warn,
			After: []string{"SB034"}, Func: atRest, Hint: atRestHint,
		},
		{
			ID: "SB025", Category: "backends", Name: "the backends let the client in", Severity: Fatal,
			After: []string{"SB031", "SB033", "SB016", "SB010", "SB007", "SB008"}, Func: letIn, Hint: policyHint,
		},
		{
			ID: "SB028", Category: "backends", Name: "the backends' pods are meshed", Severity: Warn,
			After: []string{"SB031", "SB033", "SB016", "SB010", "SB007", "SB008"}, Func: leavesMeshed,
			Hint: func(s View) string {
				return "mesh them, or keep in mind that what they refuse comes back as 502 and is not moved elsewhere: " +
					kubectl(s, s.Split.Namespace, "get", "pods", "-o", "wide")
			},
		},
		{
			ID: "SB026", Category: "backends", Name: "backends can be told apart", Severity: Fatal,
			After: []string{"SB031", "SB033", "SB016", "SB010", "SB007"}, Func: podsDisjoint,
			Hint: func(s View) string {
				return "an answer of a shared pod cannot be told to one backend; make the selectors differ: " + kubectl(s,
					s.Split.Namespace, "get", "services", "-o", "wide")
			},
		},
	}
}

// backendTags are what a finding about the backend is about: it, the root where it is the root, and the cluster that its pods
// are in.
func backendTags(b law.Backend) []string {
	tags := []string{aboutBackend(b.Name)}
	if b.IsRoot {
		tags = append(tags, aboutRoot)
	}
	if b.Mirror != nil {
		tags = append(tags, aboutCluster(b.Mirror.Cluster))
	}
	return tags
}

func seeServices(s View) string {
	return "proxies send a missing backend's share elsewhere; create the Service, or name another in the split: " +
		kubectl(s, s.Split.Namespace, "get", "services")
}

func serviceName(s law.Service) string {
	return untrusted.Safe(s.Namespace) + "/" + untrusted.Safe(s.Name)
}

// rootThere is also about the split where there is none: the root's name was then guessed from it.
func rootThere(s View) Finding {
	f := newFindings()
	if s.Root.Found {
		f.ok(fmt.Sprintf("Service %s, cluster IP %s, port %d", serviceName(s.Root), orUnknown(s.Root.ClusterIP), s.Port))
		return f.seen("")
	}
	tags := []string{aboutRoot}
	if !s.Split.Found {
		tags = append(tags, aboutSplit)
	}
	f.add(Failed, "there is no Service "+serviceName(s.Root), tags...)
	return f.seen("")
}

func rootSplittable(s View) (Status, string) {
	name := "Service " + serviceName(s.Root)
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
	if to := s.Probed.dialled(); to != "" && to != s.Root.ClusterIP && s.Through == nil {
		return Failed, fmt.Sprintf("the pod dials %s for %s, not the cluster IP %s of %s", untrusted.Safe(to), untrusted.Safe(s.Probed.URL), untrusted.Safe(s.Root.ClusterIP), name)
	}
	return OK, name + " has cluster IP " + untrusted.Safe(s.Root.ClusterIP)
}

func backendsExist(s View) Finding {
	if len(s.Backends) == 0 {
		return about(aboutSplit, Unknown, "no backends could be read")
	}
	f := newFindings()
	for _, b := range s.Backends {
		if b.Service.Found {
			f.ok("Service " + serviceName(b.Service))
			continue
		}
		f.add(Failed, "there is no Service "+serviceName(b.Service), backendTags(b)...)
	}
	return f.seen("")
}

// portsMatch is about Services that are there; a missing one has its own check, but leaves this one unseen.
func portsMatch(s View) Finding {
	if s.Port == 0 {
		if s.Root.Found {
			return about(aboutRoot, Failed, "Service "+serviceName(s.Root)+" has no TCP port")
		}
		return about(aboutRoot, Unknown, "the port is not known: there is no Service "+serviceName(s.Root))
	}
	f := newFindings()
	see := func(svc law.Service, port int32, tags ...string) {
		switch {
		case !svc.Found:
			f.add(Unknown, "there is no Service "+serviceName(svc), tags...)
		case !svc.HasPort(port):
			f.add(Failed, fmt.Sprintf("Service %s has no TCP port %d, it has %s", serviceName(svc), port, portList(svc)), tags...)
		default:
			f.ok(fmt.Sprintf("Service %s has port %d", serviceName(svc), port))
		}
	}
	see(s.Root, s.Port, aboutRoot)
	for _, b := range s.Backends {
		if !b.IsRoot {
			see(b.Service, backendPort(s, b), backendTags(b)...)
		}
	}
	return f.seen("")
}

func backendPort(s View, b law.Backend) int32 {
	if b.Port != 0 {
		return b.Port
	}
	return s.Port
}

func portList(svc law.Service) string {
	var ports []string
	for _, p := range svc.Ports {
		ports = append(ports, fmt.Sprint(p.Port))
	}
	if len(ports) == 0 {
		return "none"
	}
	return strings.Join(ports, ", ")
}

func portHint(s View) string {
	broken := s.Root
	for _, b := range s.Backends {
		if b.Service.Found && !b.Service.HasPort(backendPort(s, b)) {
			broken = b.Service
		}
	}
	if !broken.Found || s.Port != 0 && broken.Name == s.Root.Name && s.Root.HasPort(s.Port) {
		return "" // what is missing is a Service: another check's hint
	}
	return "a backend without the root's port gets no traffic; add the port: " + kubectl(s, broken.Namespace, "edit",
		"service", broken.Name)
}

// endpointsReady asks the cluster that the pods run in: the endpoints of a mirror are its gateway, which SB012 looks at.
func endpointsReady(s View) Finding {
	f := newFindings()
	for _, b := range s.Backends {
		name, tags := "backend "+untrusted.Safe(b.Name), backendTags(b)
		bad := Failed
		if b.Weight == 0 { // nobody is meant to be sent there
			bad = Warning
		}
		switch {
		case !b.Service.Found:
			f.add(Unknown, name+" has no Service", tags...)
		case b.Mirror != nil && (b.Mirror.Context == "" || b.Mirror.RemoteUnread != ""):
			f.add(Unknown, name+": its pods in cluster "+untrusted.Safe(b.Mirror.Cluster)+" could not be seen"+because(b.Mirror.RemoteUnread), tags...)
		case b.Mirror != nil && b.Mirror.RemoteReady == 0:
			f.add(bad, fmt.Sprintf("%s: no endpoint of Service %s in cluster %s is ready", name, untrusted.Safe(b.Mirror.Remote),
				untrusted.Safe(b.Mirror.Cluster)), tags...)
		case b.Mirror != nil:
			f.ok(fmt.Sprintf("%s: %d ready in cluster %s", name, b.Mirror.RemoteReady, untrusted.Safe(b.Mirror.Cluster)))
		case b.Unread != "":
			f.add(Unknown, name+": its endpoints could not be read"+because(b.Unread), tags...)
		case b.Ready() == 0:
			f.add(bad, fmt.Sprintf("%s: none of its %d endpoints is ready", name, len(b.Endpoints)), tags...)
		default:
			f.ok(fmt.Sprintf("%s: %d ready", name, b.Ready()))
		}
	}
	if len(s.Backends) == 0 {
		return about(aboutSplit, Unknown, "no backends could be read")
	}
	return f.seen("")
}

func readyHint(s View) string {
	const why = "proxies give the share of a backend without ready endpoints to the others; see its pods: "
	for _, b := range s.Backends {
		if b.Mirror != nil && b.Mirror.Context != "" && b.Mirror.RemoteReady == 0 {
			ns, name, _ := strings.Cut(b.Mirror.Remote, "/")
			return why + kubectlIn(b.Mirror.Context, ns, "get", "endpointslices", "-l", "kubernetes.io/service-name="+name)
		}
		if b.Mirror == nil && b.Service.Found && b.Ready() == 0 {
			return why + kubectl(s, b.Service.Namespace, "get", "endpointslices", "-l", "kubernetes.io/service-name="+b.Service.Name)
		}
	}
	for _, b := range s.Backends {
		if b.Mirror != nil && b.Mirror.Context == "" {
			return "name the other cluster's context: --remote-context " + word(b.Mirror.Cluster) + "=CONTEXT"
		}
		if b.Unread != "" {
			return "ask for the verb list on endpointslices: " + kubectl(s, b.Service.Namespace, "auth", "can-i", "list",
				"endpointslices.discovery.k8s.io")
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
				f.add(Failed, fmt.Sprintf("backends %s and %s answer alike, byte for byte", untrusted.Safe(other), untrusted.Safe(b.Name)), aboutBackend(b.Name))
				break
			}
			owner[string(a.Body)] = b.Name
		}
	}
}

func podsDisjoint(s View) Finding {
	f := newFindings()
	owner := map[string]string{}
	for _, b := range s.Backends {
		names := b.PodNames()
		if names == nil || !b.Service.Found {
			f.add(Unknown, "the pods of backend "+untrusted.Safe(b.Name)+" could not be seen", backendTags(b)...)
			continue
		}
		cluster := ""
		if b.Mirror != nil {
			cluster = b.Mirror.Cluster
		}
		shared := 0
		first := ""
		for _, pod := range names {
			key := cluster + "/" + pod
			if other, taken := owner[key]; taken && other != b.Name {
				shared, first = shared+1, other
				continue
			}
			owner[key] = b.Name
		}
		if shared > 0 {
			f.add(Warning, fmt.Sprintf("%d pods of backend %s are also of backend %s", shared, untrusted.Safe(b.Name), untrusted.Safe(first)), aboutBackend(b.Name))
		}
	}
	if len(s.Backends) == 0 {
		return about(aboutSplit, Unknown, "no backends could be read")
	}
	alike(s, f)
	return f.seen("all pods belong to one backend each")
}
