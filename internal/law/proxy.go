package law

import "strings"

// Names that proxies of meshes go by.
const (
	containerLinkerd = "linkerd-proxy"
	containerIstio   = "istio-proxy"
)

// AnnOpaquePorts is the annotation by which Linkerd is told of ports that it must not look into.
const AnnOpaquePorts = "config.linkerd.io/opaque-ports"

// ProviderOf tells by a container's name whose proxy runs in it; "": it is no proxy.
func ProviderOf(container string) Provider {
	switch container {
	case containerLinkerd:
		return ProviderLinkerd
	case containerIstio:
		return ProviderIstio
	}
	return ""
}

// UserOf is the user that the mesh's traffic rules let pass by the provider's proxy: requests of a process that runs as
// it are not split at all.
func UserOf(p Provider) int {
	if p == ProviderIstio {
		return 1337
	}
	return 2102
}

// RunsIstio reports whether the pod's proxy is Istio's, by its container or its image.
func (p Pod) RunsIstio() bool {
	return strings.Contains(p.ProxyContainer, "istio") || strings.Contains(p.ProxyImage, "istio")
}
