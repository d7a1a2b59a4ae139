package preflight

import (
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

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
