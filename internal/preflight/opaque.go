package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// portIsHTTP finds what makes a proxy treat the port as opaque. The split is then drawn for each connection.
func portIsHTTP(s View) (Status, string) {
	if !s.Root.Found || s.Port == 0 {
		return Unknown, "there is no port to look at"
	}
	name := fmt.Sprintf("port %d of Service %s", s.Port, serviceName(s.Root))
	ns, known := s.Facts.Of(s.Root.Namespace)
	switch {
	case s.Probed != nil && s.Probed.Path.PerConnection:
		return Warning, name + " is not HTTP to the proxy: it counted connections and no requests"
	case s.Law.NullModel == law.RandomPerConnection:
		return Warning, name + " is not HTTP to the proxy: " + orUnknown(s.Law.ModelWhy)
	case covers(s.Root.OpaquePorts, s.Port):
		return Warning, name + " is opaque by the Service's annotation: " + s.Root.OpaquePorts
	case slices.ContainsFunc(s.Split.Profile.OpaquePorts, func(list string) bool { return covers(list, s.Port) }):
		return Warning, name + " is opaque by ServiceProfile " + untrusted.Safe(s.Split.Profile.Name)
	case !s.Root.OpaquePortsSet && known && covers(ns.OpaquePorts, s.Port):
		return Warning, name + " is opaque by the annotation of namespace " + untrusted.Safe(ns.Name)
	}
	if p := notHTTP(s); p != "" {
		return Warning, fmt.Sprintf("%s has appProtocol %q, which a proxy takes for opaque", name, untrusted.Safe(p))
	}
	return OK, "nothing says that " + name + " is opaque"
}

// notHTTP is the appProtocol of the root's port where it is one that proxies do not look into.
func notHTTP(s View) string {
	for _, p := range s.Root.Ports {
		if p.Port == s.Port && !slices.Contains([]string{"", "http", "kubernetes.io/h2c", "grpc", "http2"}, strings.ToLower(p.AppProtocol)) {
			return p.AppProtocol
		}
	}
	return ""
}

// opaqueHint mends what portIsHTTP found. An annotation of the Service, an empty one too, comes before the namespace's and before
// Linkerd's default; appProtocol and the ServiceProfile are not moved by it.
func opaqueHint(s View) string {
	ns, known := s.Facts.Of(s.Root.Namespace)
	annotate := kubectl(s, s.Root.Namespace, "annotate", "service", s.Root.Name, "config.linkerd.io/opaque-ports=", "--overwrite")
	const or = ", or let each request have a connection of its own: --requests-per-connection 1"
	profile := s.Split.Profile
	switch {
	case !s.Root.Found || s.Port == 0:
		return ""
	case covers(s.Root.OpaquePorts, s.Port):
		return "take all ports out of the opaque ones: " + annotate + or
	case slices.ContainsFunc(profile.OpaquePorts, func(list string) bool { return covers(list, s.Port) }):
		return "take the port out of its spec.opaquePorts: " + kubectl(s, profile.Namespace, "edit", "serviceprofile", profile.Name) + or
	case notHTTP(s) != "", s.Law.Provider == law.ProviderIstio:
		return "if it is HTTP, set appProtocol of the port to http: " + kubectl(s, s.Root.Namespace, "edit", "service", s.Root.Name) + or
	case !s.Root.OpaquePortsSet && (known && covers(ns.OpaquePorts, s.Port) || law.OpaqueByDefault(s.Port)):
		return "if it is HTTP, give the Service an empty annotation of its own: " + annotate + or
	}
	return "the split is of connections; let each request have a connection of its own: --requests-per-connection 1"
}
