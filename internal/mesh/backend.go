package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

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

// slicesOf lists the EndpointSlices of some Services, by Service; a wide client those of the whole namespace.
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

// sliceEndpoints flattens one slice; portName is the Service port that is looked for. Without it the port is 0.
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

// subsetsStep narrows the endpoints of backends that are subsets of a Service to their pods, by the labels that a
// DestinationRule gives the subset. Requests to a subset that no rule knows are answered with 503.
func (d *finder) subsetsStep(ctx context.Context) error {
	if !slices.ContainsFunc(d.snap.Law.Backends, func(b law.Leaf) bool { return b.Subset != "" }) {
		return nil
	}
	var rules []unstructured.Unstructured
	var unread error
	for _, ns := range slices.Compact([]string{d.t.Namespace, d.t.clientNS, law.IstioRoot}) {
		items, err := d.local.list(ctx, law.DestinationRules(), ns)
		if err != nil && !errors.Is(err, errNotServed) {
			unread = err
		}
		rules = append(rules, items...)
	}
	for i := range d.snap.Law.Backends {
		lb := &d.snap.Law.Backends[i]
		b := slices.IndexFunc(d.snap.Backends, func(b law.Backend) bool { return b.Name == lb.Name })
		if lb.Subset == "" || b < 0 {
			continue
		}
		set, rule, found := law.SubsetLabels(rules, *lb)
		switch {
		case found:
			if !slices.Contains(d.snap.Law.Objects, rule) {
				d.snap.Law.Objects = append(d.snap.Law.Objects, rule)
			}
			d.narrow(ctx, &d.snap.Backends[b], set)
		case unread != nil:
			d.snap.Backends[b].Unread = "DestinationRules could not be read: " + law.Brief(unread)
			d.note("DestinationRules could not be read, so which pods subset %s has is not known: %s", untrusted.Safe(lb.Name),
				law.Brief(unread))
		default:
			lb.Problem = fmt.Sprintf("no DestinationRule names subset %s of Service %s/%s: its share is answered with 503",
				untrusted.Safe(lb.Subset), untrusted.Safe(lb.Namespace), untrusted.Safe(lb.Service))
			lb.ProxyStatus = http.StatusServiceUnavailable
			d.snap.Backends[b].ProxyStatus, d.snap.Backends[b].Endpoints = lb.ProxyStatus, nil
		}
	}
	return nil
}

// narrow keeps the endpoints whose pods bear the labels.
func (d *finder) narrow(ctx context.Context, b *law.Backend, set map[string]string) {
	pods, err := d.podsOf(ctx, b.Service.Namespace, labels.SelectorFromSet(set),
		"bear the labels of subset "+untrusted.Safe(b.Name))
	if err != nil {
		b.Unread = "pods of the subset could not be read: " + law.Brief(err)
		d.note("pods of subset %s could not be read: %s", untrusted.Safe(b.Name), law.Brief(err))
		return
	}
	of := map[string]bool{}
	for i := range pods {
		of[pods[i].Name] = true
	}
	b.Endpoints = slices.DeleteFunc(slices.Clone(b.Endpoints), func(e law.Endpoint) bool { return !of[e.Pod] })
}

func isForbidden(err error) bool { return apierrors.IsForbidden(err) }

// readService keeps what a check or a run asks about a Service. Only TCP ports count: a split is of HTTP requests.
func readService(svc *core.Service) law.Service {
	s := law.Service{
		Namespace: svc.Namespace, Name: svc.Name, Found: true, UID: string(svc.UID), ClusterIP: svc.Spec.ClusterIP,
		Headless: svc.Spec.ClusterIP == core.ClusterIPNone, Selector: svc.Spec.Selector,
		OpaquePorts: annotation(svc, law.AnnOpaquePorts), Settings: routeSettings(svc),
	}
	if len(svc.Spec.ClusterIPs) > 1 {
		s.ClusterIPs = svc.Spec.ClusterIPs
	}
	_, s.OpaquePortsSet = svc.Annotations[law.AnnOpaquePorts]
	if svc.Spec.Type == core.ServiceTypeExternalName {
		s.ExternalName = svc.Spec.ExternalName
	}
	for _, p := range svc.Spec.Ports {
		if p.Protocol == "" || p.Protocol == core.ProtocolTCP {
			port := law.Port{Name: p.Name, Port: p.Port}
			if p.AppProtocol != nil {
				port.AppProtocol = untrusted.Short(*p.AppProtocol, 100)
			}
			s.Ports = append(s.Ports, port)
		}
	}
	return s
}

// routeSettings are the annotations of a Service that make its proxies retry, give up or break off. They count on the
// path of routes only, and are remarks on the profile's.
func routeSettings(svc *core.Service) map[string]string {
	var out map[string]string
	for k, v := range svc.Annotations {
		if law.IsSetting(k) && len(out) < maxNamed {
			if out == nil {
				out = map[string]string{}
			}
			out[untrusted.Short(k, 100)] = untrusted.Short(v, 100)
		}
	}
	return out
}

// servicesStep lists the Services of the namespace once: root, leaves and mirrors are looked up in the list, and its
// names are what an error offers. A namespace without Services is asked for by name, since a list of nothing does not
// tell a namespace that is empty from one that is not there.
func (d *finder) servicesStep(ctx context.Context) error {
	d.services, d.mirrors = map[string]law.Service{}, map[string]law.Mirror{}
	items, err := d.local.servicesOf(ctx, d.t.Namespace)
	if errors.Is(err, errTooMany) {
		d.note("namespace %s has more than %d Services; the rest was not read", d.t.Namespace, maxObject)
	} else if err != nil {
		return apiError(d.local, "list", "Services in namespace "+d.t.Namespace, err)
	}
	for i := range items {
		name := items[i].Name
		d.services[name] = readService(&items[i])
		if m, ok := readMirror(&items[i]); ok {
			d.mirrors[name] = m
		}
	}
	if len(d.services) == 0 {
		return d.namespaceExists(ctx)
	}
	return nil
}

func (d *finder) namespaceExists(ctx context.Context) error {
	_, err := d.local.kube.CoreV1().Namespaces().Get(ctx, d.t.Namespace, metav1.GetOptions{})
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		d.note("namespace %s has no Services, and may not be read itself: it may not exist", d.t.Namespace)
		return nil
	case !apierrors.IsNotFound(err):
		return apiError(d.local, "read", "namespace "+d.t.Namespace, err)
	}
	hint := "its namespaces may not be listed; check the name and --context"
	if names, err := Namespaces(ctx, d.local); err == nil {
		hint = law.Candidates(d.t.Namespace, "namespaces", names)
	}
	return notFound("find namespace", "-n "+d.t.Namespace,
		"there is no such namespace in context "+untrusted.Safe(d.local.Context), hint)
}

// service is the Service that a backend's name stands for: "name" in the split's namespace, "name.namespace" in
// another. What cannot be a Service is not found.
func (d *finder) service(ctx context.Context, name string) law.Service {
	if s, ok := d.services[name]; ok {
		return s
	}
	if s, ok := d.c.Elsewhere[name]; ok {
		return s
	}
	s, err := d.serviceElsewhere(ctx, name)
	if err != nil {
		d.note("Service %s/%s could not be read: %s", untrusted.Safe(s.Namespace), untrusted.Safe(s.Name), law.Brief(err))
	}
	return s
}

// serviceElsewhere reads the Service of another namespace that a name like podinfo.shop stands for.
func (d *finder) serviceElsewhere(ctx context.Context, name string) (law.Service, error) {
	base, ns, _ := strings.Cut(name, ".")
	if strings.Contains(ns, ".") || ns == "" {
		return law.Service{Namespace: d.t.Namespace, Name: name}, nil
	}
	svc, err := d.local.kube.CoreV1().Services(ns).Get(ctx, base, metav1.GetOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) {
			err = nil
		}
		return law.Service{Namespace: ns, Name: base}, err
	}
	if m, ok := readMirror(svc); ok {
		d.mirrors[name] = m
	}
	return readService(svc), nil
}
