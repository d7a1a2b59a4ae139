package mesh

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// maxEndpoints bounds what is kept of one Service, well above the pods that a cluster can run behind it.
const maxEndpoints = 100_000

// servicePort is a Service of a namespace and one of its ports, by the names that endpoints bear.
type servicePort struct{ service, port string }

// readSlices lists the EndpointSlices of the Services in one call (a label selector with a set) and gives the endpoints
// by Service and port. A Service without a slice has an empty list.
func readSlices(ctx context.Context, c Client, ns string, wanted []servicePort) (map[servicePort][]law.Endpoint,
	error,
) {
	names := map[string]bool{}
	for _, w := range wanted {
		names[w.service] = true
	}
	found, err := c.slicesOf(ctx, ns, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return nil, err
	}
	out := map[servicePort][]law.Endpoint{}
	for _, w := range wanted {
		var es []law.Endpoint
		for i := range found[w.service] {
			if es = append(es, sliceEndpoints(&found[w.service][i], w.port)...); len(es) > maxEndpoints {
				return nil, fmt.Errorf("service %s has more than %d endpoints", untrusted.Safe(w.service), maxEndpoints)
			}
		}
		sortEndpoints(es)
		out[w] = es
	}
	return out, nil
}

// slicesOf lists the EndpointSlices of some Services, by Service; of all of the namespace where many splits are looked
// at.
func (c Client) slicesOf(ctx context.Context, ns string, names []string) (map[string][]discoveryv1.EndpointSlice,
	error,
) {
	selector := discoveryv1.LabelServiceName
	if !c.wide {
		selector += " in (" + strings.Join(names, ",") + ")"
	}
	return remember(c.memo, "slices "+ns+" "+selector, func() (map[string][]discoveryv1.EndpointSlice, error) {
		items, _, err := paged(ctx, c.kube.DiscoveryV1().EndpointSlices(ns), metav1.ListOptions{LabelSelector: selector},
			maxEndpoints,
			func(l *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return l.Items })
		out := map[string][]discoveryv1.EndpointSlice{}
		for i := range items {
			name := items[i].Labels[discoveryv1.LabelServiceName]
			out[name] = append(out[name], items[i])
		}
		return out, err
	})
}

// sliceEndpoints flattens one slice; portName is the Service port that is looked for. A slice without that port gives
// port 0.
func sliceEndpoints(s *discoveryv1.EndpointSlice, portName string) []law.Endpoint {
	var port int32
	for _, p := range s.Ports {
		if p.Port != nil && (p.Name == nil && portName == "" || p.Name != nil && *p.Name == portName) {
			port = *p.Port
		}
	}
	var out []law.Endpoint
	for _, e := range s.Endpoints {
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready // nil means "unknown", which consumers take for ready
		for _, a := range e.Addresses {
			out = append(out, law.Endpoint{Address: a, Port: port, Ready: ready, Pod: podOf(e.TargetRef)})
		}
	}
	return out
}

// podOf is the name of the pod that an address is of.
func podOf(target *core.ObjectReference) string {
	if target == nil || target.Kind != "Pod" {
		return ""
	}
	return target.Name
}

// readEndpoints reads the core/v1 Endpoints of one Service. Deprecated as the kind is, it is the one that Linkerd's
// service mirror writes; EndpointSlices of a mirror are only Kubernetes' copy of it, and may lag or lack annotations. A
// Service without Endpoints has none, which is no error.
func readEndpoints(ctx context.Context, c Client, ns, service, portName string) (es []law.Endpoint, identity string,
	err error,
) {
	e, err := c.endpoints(ctx, ns, service)
	if apierrors.IsNotFound(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	out := []law.Endpoint{}
	add := func(addresses []core.EndpointAddress, ports []core.EndpointPort, ready bool) {
		var port int32
		for _, p := range ports {
			if p.Name == portName {
				port = p.Port
			}
		}
		for _, a := range addresses {
			out = append(out, law.Endpoint{Address: a.IP, Port: port, Ready: ready, Pod: podOf(a.TargetRef)})
		}
	}
	for _, s := range e.Subsets {
		add(s.Addresses, s.Ports, true)
		add(s.NotReadyAddresses, s.Ports, false)
	}
	sortEndpoints(out)
	return out, untrusted.Cut(e.Annotations[annGatewayIdentity], 253), nil
}

// endpoints is the Endpoints of one Service; where many splits are looked at, from a list of those that are mirrored.
//
//nolint:staticcheck // deprecated as it is, it is what service mirrors write
func (c Client) endpoints(ctx context.Context, ns, service string) (*core.Endpoints, error) {
	if c.wide {
		l, err := remember(c.memo, "endpoints "+ns, func() (*core.EndpointsList, error) {
			return c.kube.CoreV1().Endpoints(ns).List(ctx, metav1.ListOptions{LabelSelector: labelMirrored + "=true"})
		})
		if err == nil {
			for i := range l.Items {
				if l.Items[i].Name == service {
					return &l.Items[i], nil
				}
			}
		}
	}
	return get(ctx, c, "endpoints", ns, service, c.kube.CoreV1().Endpoints(ns))
}

// sortEndpoints makes two reads of the same endpoints equal: servers give slices and addresses in any order.
func sortEndpoints(es []law.Endpoint) {
	slices.SortFunc(es, func(a, b law.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	})
}

// endpointsOf reads the endpoints of ordinary Services, from EndpointSlices, else from Endpoints where slices may not
// be read. The second result says by Service and port why endpoints could not be read.
func endpointsOf(
	ctx context.Context, c Client, ns string, wanted ...servicePort,
) (map[servicePort][]law.Endpoint, map[servicePort]string) {
	if len(wanted) == 0 {
		return nil, nil
	}
	got, err := readSlices(ctx, c, ns, wanted)
	if err == nil {
		return got, nil
	}
	out, unread := map[servicePort][]law.Endpoint{}, map[servicePort]string{}
	for _, w := range wanted {
		es, _, err2 := readEndpoints(ctx, c, ns, w.service, w.port)
		if err2 != nil {
			unread[w] = law.Brief(err)
			continue
		}
		out[w] = es
	}
	return out, unread
}
