package law

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
