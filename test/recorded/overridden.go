package recorded

import (
	"fmt"
	"maps"
	"slices"

	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/meta"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
)

// Overridden is what Linkerd tells proxies of a Service whose ServiceProfile has overrides, in ten-thousandths by
// Service of the same namespace. Recorded of it are the shapes: see ts-50-50 in linkerd.json.
func Overridden(namespace, service string, port uint32, weights map[string]uint32) (
	*destination.DestinationProfile, *outbound.OutboundPolicy,
) {
	resource := func(r *meta.Resource) *meta.Metadata {
		r.Namespace = namespace
		return &meta.Metadata{Kind: &meta.Metadata_Resource{Resource: r}}
	}
	domain := "." + namespace + ".svc.cluster.local"
	profile := &destination.DestinationProfile{
		FullyQualifiedName: service + domain,
		ProfileRef:         resource(&meta.Resource{Group: "linkerd.io", Name: service + domain}),
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		profile.DstOverrides = append(profile.DstOverrides, &destination.WeightedDst{
			Authority: fmt.Sprintf("%s%s:%d", name, domain, port), Weight: weights[name],
		})
	}
	return profile, &outbound.OutboundPolicy{
		Metadata: resource(&meta.Resource{Group: "core", Kind: "Service", Name: service, Port: port}),
		Protocol: &outbound.ProxyProtocol{Kind: &outbound.ProxyProtocol_Detect_{Detect: &outbound.ProxyProtocol_Detect{
			Http1: &outbound.ProxyProtocol_Http1{},
		}}},
	}
}
