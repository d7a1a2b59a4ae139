package mesh

import (
	"context"
	"errors"
	"strings"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

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
