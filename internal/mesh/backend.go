package mesh

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// rootStep looks up the Service that clients dial, and the port of it.
func (d *finder) rootStep(ctx context.Context) error {
	s := &d.snap
	s.Root = d.service(ctx, s.Split.Root)
	s.Port = d.c.Port
	if s.Port == 0 && len(s.Root.Ports) > 0 {
		s.Port = s.Root.Ports[0].Port
	}
	return nil
}

// backendsStep looks up every leaf and reads the endpoints of each.
func (d *finder) backendsStep(ctx context.Context) error {
	s := &d.snap
	weights := s.Split.Effective
	if len(weights) == 0 { // unusable weights: the backends are still worth a look
		for _, decl := range s.Split.Declared {
			weights = append(weights, law.Weight{Service: decl.Service})
		}
	}
	for _, w := range weights {
		leaf, service := s.Law.Leaf(w.Service), w.Service
		if leaf.Namespace != "" {
			service = d.c.NameOf(leaf.Namespace, leaf.Service)
		}
		b := law.Backend{
			Name: w.Service, Weight: w.Weight, Subset: leaf.Subset, ProxyStatus: leaf.ProxyStatus,
			IsRoot: service == s.Split.Root, Port: cmp.Or(d.c.Ports[w.Service], s.Port),
		}
		if leaf.ProxyStatus != 0 && leaf.Service == "" {
			s.Backends = append(s.Backends, b)
			continue
		}
		b.Service = d.service(ctx, service)
		b.Port = s.Law.PortOf(leaf, b.Service, b.Port)
		if m, ok := d.mirrors[service]; ok {
			b.Mirror = &m
		} else if !b.Service.Found {
			b.Mirror = supposedMirror(d.t.Namespace, service, s.Links)
		}
		s.Backends = append(s.Backends, b)
	}
	d.readBackendEndpoints(ctx)
	return d.subsetsStep(ctx)
}

// readBackendEndpoints fills Endpoints: of mirrors one by one from Endpoints, of all others from EndpointSlices, one
// list for each namespace (which is one list, but for leaves that a profile takes from elsewhere).
func (d *finder) readBackendEndpoints(ctx context.Context) {
	ordinary := map[string][]servicePort{} // by namespace
	for i := range d.snap.Backends {
		b := &d.snap.Backends[i]
		if !b.Service.Found {
			continue
		}
		ns, port := b.Service.Namespace, b.Service.PortName(b.Port)
		if b.Mirror == nil {
			ordinary[ns] = append(ordinary[ns], servicePort{b.Service.Name, port})
			continue
		}
		if b.Mirror.Mode != law.MirrorGateway {
			b.Unread = "a " + b.Mirror.Mode + " mirror has no endpoints of its own"
			continue
		}
		es, identity, err := readEndpoints(ctx, d.local, ns, b.Service.Name, port)
		if err != nil {
			b.Unread = law.Brief(err)
			d.note("endpoints of mirror Service %s/%s could not be read: %s", untrusted.Safe(ns),
				untrusted.Safe(b.Service.Name), b.Unread)
		}
		b.Endpoints, b.Mirror.GatewayIdentity = es, identity
	}
	for _, ns := range slices.Sorted(maps.Keys(ordinary)) {
		got, unread := endpointsOf(ctx, d.local, ns, ordinary[ns]...)
		for i := range d.snap.Backends {
			b := &d.snap.Backends[i]
			if !b.Service.Found || b.Mirror != nil || b.Service.Namespace != ns {
				continue
			}
			of := servicePort{b.Service.Name, b.Service.PortName(b.Port)}
			b.Endpoints, b.Unread = got[of], unread[of]
			if b.Unread != "" {
				d.note("endpoints of Service %s/%s could not be read: %s", untrusted.Safe(ns), untrusted.Safe(b.Service.Name),
					b.Unread)
			}
		}
	}
}

// supposedMirror reads <service>-<cluster> for a Service that is not there: that is how mirrors are named, and the
// other cluster can then be asked why it is missing.
func supposedMirror(ns, name string, links []law.Link) *law.Mirror {
	for _, l := range links {
		base, ok := strings.CutSuffix(name, "-"+l.TargetCluster)
		if ok && base != "" && l.TargetCluster != "" {
			return &law.Mirror{Cluster: l.TargetCluster, Remote: ns + "/" + base, Mode: law.MirrorGateway, Supposed: true}
		}
	}
	return nil
}
