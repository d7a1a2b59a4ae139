package mesh

import (
	core "k8s.io/api/core/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// routeSettings are the annotations of a Service that make its proxies retry, give up or break off. They count on the
// path of routes only, and are remarks on the profile's.
func routeSettings(svc *core.Service) map[string]string {
	out := map[string]string{}
	for k, v := range svc.Annotations {
		if law.IsSetting(k) && len(out) < maxNamed {
			out[untrusted.Short(k, 100)] = untrusted.Short(v, 100)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
