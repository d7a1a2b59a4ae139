package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// lawObjects are the custom resources that a law may be read from, as they were listed.
type lawObjects struct {
	routes  []route
	virtual []virtualService
	traefik []traefikService
	unread  []string // what could not be listed, in words
}

// istioStep lists VirtualServices, which may lie in any namespace; where not all may be listed, those of the namespaces that
// matter most. Of a client that is known to be Linkerd's they are of no interest unless one was asked for.
func (d *finder) istioStep(ctx context.Context) {
	if d.provider() != ProviderIstio && d.t.splitKind != PathVirtualService {
		return
	}
	kind := virtualServices()
	versions := kind.servedBy(d.groups)
	items, err := d.local.list(ctx, kind, versions, "")
	if isForbidden(err) {
		items = nil
		for _, ns := range slices.Compact([]string{d.t.Namespace, d.t.clientNS, istioRoot}) {
			more, err2 := d.local.list(ctx, kind, versions, ns)
			items = append(items, more...)
			if err2 != nil {
				err = err2
			}
		}
		d.objects.unread = append(d.objects.unread, "virtualservices of other namespaces")
		d.note("VirtualServices of other namespaces could not be read, and may rule: %s", brief(err))
	} else if err != nil && !errors.Is(err, errNotServed) {
		d.objects.unread = append(d.objects.unread, kind.plural)
		d.note("VirtualServices could not be read, and may rule: %s", brief(err))
	}
	for i := range items {
		d.objects.virtual = append(d.objects.virtual, readVirtualService(&items[i]))
	}
}

// traefikStep lists TraefikServices where one was asked for: of all namespaces, since they may name each other, or of its own.
func (d *finder) traefikStep(ctx context.Context) error {
	if d.t.splitKind != PathTraefikService {
		return nil
	}
	for _, kind := range traefikServices() {
		versions := kind.servedBy(d.groups)
		items, err := d.local.list(ctx, kind, versions, "")
		if isForbidden(err) {
			items, err = d.local.list(ctx, kind, versions, d.t.Namespace)
		}
		if errors.Is(err, errNotServed) {
			continue
		}
		if err != nil {
			return apiError(d.local, "list", "TraefikServices in namespace "+d.t.Namespace, err)
		}
		for i := range items {
			d.objects.traefik = append(d.objects.traefik, readTraefikService(&items[i]))
		}
		return nil
	}
	return nil
}

// routesStep lists the Gateway API routes of the split's and the client's namespace: one list for each kind that the API
// server serves, and namespace. Routes elsewhere cannot rule: they hold for clients of their own namespace.
func (d *finder) routesStep(ctx context.Context) error {
	namespaces := []string{d.t.Namespace}
	if d.t.clientNS != d.t.Namespace {
		namespaces = append(namespaces, d.t.clientNS)
	}
	for _, kind := range routeKinds() {
		if !d.serves(ctx, kind) {
			continue
		}
		for _, ns := range namespaces {
			items, err := d.local.list(ctx, kind, kind.servedBy(d.groups), ns)
			if errors.Is(err, errNotServed) {
				break
			}
			if err != nil {
				d.objects.unread = append(d.objects.unread, kind.plural+"."+kind.group)
				d.note("%s.%s of namespace %s could not be read, and may rule: %s", kind.plural, kind.group, Safe(ns), brief(err))
				break
			}
			for i := range items {
				d.objects.routes = append(d.objects.routes, readRoute(&items[i]))
			}
		}
	}
	return nil
}

// question is what the law is asked for once the root is known.
func (d *finder) question() question {
	q := question{
		names: d.t.Namespace, root: d.root.name, rootNS: d.root.namespace, clientNS: d.t.clientNS, port: d.snap.Port,
		probe: d.t.Probe, provider: d.provider(),
		service: func(ns, name string) (Service, bool) {
			if ns != d.t.Namespace {
				return Service{}, false
			}
			s, ok := d.services[name]
			if !ok {
				s = Service{Namespace: ns, Name: name}
			}
			return s, true
		},
	}
	if d.snap.Root.Name == q.root {
		q.opaque = notHTTP(q.provider, d.snap.Root, q.port)
	}
	if q.probe.Host == "" {
		q.probe.Host = q.root
		if q.rootNS != q.clientNS {
			q.probe.Host += "." + q.rootNS
		}
	}
	return q
}

// provider is whose proxy draws: as the pods that draw have it, else as the kind of split implies.
func (d *finder) provider() Provider {
	if d.t.splitKind == PathTraefikService {
		return ProviderTraefik
	}
	pods := []Pod{d.snap.Source}
	if d.snap.Through != nil {
		pods = d.snap.Through.Pods
	}
	for _, p := range pods {
		switch p.ProxyContainer {
		case proxyContainer:
			return ProviderLinkerd
		case proxyIstio:
			return ProviderIstio
		}
	}
	if d.t.splitKind == PathVirtualService {
		return ProviderIstio
	}
	for i := range d.objects.routes {
		if strings.HasPrefix(d.objects.routes[i].controller(), "istio.io/") {
			return ProviderIstio
		}
	}
	return ProviderLinkerd
}

// lawStep settles by which law the client's proxy draws, and lets the split's effective weights be its.
func (d *finder) lawStep(context.Context) error {
	if d.root.name == "" && d.t.splitKind != PathTraefikService {
		return nil
	}
	q := d.question()
	var law *Law
	var shadowed []Shadowed
	switch q.provider {
	case ProviderTraefik:
		law = d.traefikLaw(q)
	case ProviderIstio:
		law, shadowed = d.istioLaw(q)
	default:
		law, shadowed = d.linkerdLaw(q)
	}
	law.Provider, law.Probe, law.Shadowed = q.provider, q.probe, shadowed
	if d.snap.Split.Profile.State == ProfileUnread {
		d.objects.unread = append(d.objects.unread, serviceProfiles().plural+"."+serviceProfiles().group)
	}
	law.Unread = strings.Join(d.objects.unread, ", ")
	d.keepDeclared(law)
	d.snap.Law = *law
	d.obeyLaw()
	return nil
}

// linkerdLaw follows Linkerd's precedence: a ServiceProfile that says anything, then routes, then nothing.
func (d *finder) linkerdLaw(q question) (*Law, []Shadowed) {
	s := &d.snap.Split
	law, shadowed := q.byRoutes(d.objects.routes)
	switch {
	case d.profileRules:
		law = d.profileLaw(q)
		bound, _ := q.bound(d.objects.routes)
		for _, r := range bound {
			shadowed = append(shadowed, Shadowed{Object: r.ref, Why: "a ServiceProfile with routes or dstOverrides comes before every route"})
		}
	case law != nil:
	case s.Kind == string(PathTrafficSplit) && s.Found && s.Profile.State != ProfileFound:
		law = d.splitLaw(q)
	default:
		law = &Law{Path: PathDefault, NullModel: RandomPerRequest, Backends: q.rootAlone()}
	}
	for i := range d.objects.virtual {
		if v := &d.objects.virtual[i]; v.namesHost(q) {
			shadowed = append(shadowed, Shadowed{Object: v.ref, Why: "Linkerd reads no VirtualServices"})
		}
	}
	if law.Problem == "" && q.opaque != "" {
		law.NullModel, law.ModelWhy = RandomPerConnection, q.opaque
	}
	return law, shadowed
}

// istioLaw is Istio's: VirtualServices, and routes of a Service, which Istio turns into VirtualServices of its own. Which of
// the two it obeys where both name one host is not written down anywhere; the older is taken, and said to be in doubt.
func (d *finder) istioLaw(q question) (*Law, []Shadowed) {
	law, shadowed := q.byVirtualServices(d.objects.virtual, d.sourceLabels)
	byRoute, more := q.byRoutes(d.objects.routes)
	shadowed = append(shadowed, more...)
	if d.snap.Split.Kind == string(PathTrafficSplit) && d.snap.Split.Found {
		shadowed = append(shadowed, Shadowed{Object: d.snap.Split.ref(), Why: "Istio reads no TrafficSplits"})
	}
	switch {
	case law == nil && byRoute == nil:
		return &Law{Path: PathDefault, NullModel: RandomPerRequest, Backends: q.rootAlone()}, shadowed
	case law == nil:
		return byRoute, shadowed
	case byRoute == nil:
		return law, shadowed
	}
	first, second := law, byRoute
	if d.createdAt(byRoute.Objects[0]).Before(d.createdAt(law.Objects[0])) {
		first, second = byRoute, law
	}
	doubt := fmt.Sprintf("which of %s and %s Istio obeys (both name one host; the older was taken)", first.Objects[0], second.Objects[0])
	d.objects.unread = append(d.objects.unread, doubt)
	d.note("not known: %s", doubt)
	return first, append(shadowed, Shadowed{Object: second.Objects[0], Why: first.Objects[0].String() + " names the same host and is older"})
}

func (d *finder) createdAt(o ObjectRef) time.Time {
	for i := range d.objects.routes {
		if d.objects.routes[i].ref == o {
			return d.objects.routes[i].created
		}
	}
	for i := range d.objects.virtual {
		if d.objects.virtual[i].ref == o {
			return d.objects.virtual[i].created
		}
	}
	return time.Time{}
}

func (d *finder) traefikLaw(q question) *Law {
	t := findTraefik(d.objects.traefik, d.t.Namespace, d.t.splitName)
	if t == nil {
		return &Law{Path: PathDefault, NullModel: WeightedRoundRobin, Problem: d.snap.Split.Why}
	}
	return q.byTraefik(d.objects.traefik, t)
}

// profileLaw is the law of the ServiceProfile, whose weights are settled already.
func (d *finder) profileLaw(q question) *Law {
	s := &d.snap.Split
	law := &Law{Path: PathServiceProfile, NullModel: RandomPerRequest, Objects: []ObjectRef{d.profileRef}}
	if s.Kind == string(PathTrafficSplit) && s.Found {
		law.Objects = append(law.Objects, s.ref())
	}
	if len(s.Effective) == 0 && s.WeightErr != nil {
		law.Problem = s.WeightErr.Error()
		return law
	}
	law.Backends = d.lawBackends(q, s.Effective)
	return law
}

// splitLaw is the law of a TrafficSplit that no ServiceProfile stands in for.
func (d *finder) splitLaw(q question) *Law {
	s := &d.snap.Split
	law := &Law{Path: PathTrafficSplit, NullModel: RandomPerRequest, Objects: []ObjectRef{s.ref()}}
	if len(s.Effective) == 0 && s.WeightErr != nil {
		law.Problem = s.WeightErr.Error()
		return law
	}
	law.Backends = d.lawBackends(q, s.Effective)
	return law
}

// lawBackends gives weights that were settled already their probabilities.
func (d *finder) lawBackends(q question, ws []Weight) []LawBackend {
	var sum int64
	for _, w := range ws {
		sum += w.Weight
	}
	out := make([]LawBackend, 0, len(ws))
	for _, w := range ws {
		ns, name := d.split2(w.Service)
		b := LawBackend{Name: w.Service, Namespace: ns, Service: name, Port: d.ports[w.Service], Weight: w.Weight}
		if sum > 0 {
			b.Probability = float64(w.Weight) / float64(sum)
		}
		if s, known := q.service(ns, name); known && !s.Found {
			b.Problem = "there is no Service " + Safe(ns) + "/" + Safe(name) + ": after three seconds of 504 its share goes to the others"
		}
		out = append(out, b)
	}
	return out
}

// split2 takes the name of a backend apart into namespace and Service.
func (d *finder) split2(name string) (namespace, service string) {
	if _, ok := d.services[name]; ok {
		return d.t.Namespace, name
	}
	if base, ns, ok := cutLast(name); ok {
		return ns, base
	}
	return d.t.Namespace, name
}

// obeyLaw makes the effective weights of the split those of the law, where the law is not read from a profile or a
// TrafficSplit: there they are settled already.
func (d *finder) obeyLaw() {
	s, law := &d.snap.Split, d.snap.Law
	if law.Path == PathServiceProfile || law.Path == PathTrafficSplit {
		return
	}
	declared := s.Effective
	if d.declaredLaw != nil {
		declared = d.declaredLaw
	}
	s.Effective = nil
	for _, b := range law.Backends {
		s.Effective = append(s.Effective, Weight{Service: b.Name, Weight: b.Weight})
		if b.Port != 0 {
			d.ports[b.Name] = b.Port
		}
	}
	switch {
	case len(law.Objects) > 0:
		s.EffectiveFrom = law.Objects[0].String()
	default:
		s.EffectiveFrom = "the root Service alone: nothing splits it"
	}
	if law.Problem != "" && s.WeightErr == nil {
		s.WeightErr = &WeightError{Object: s.EffectiveFrom, Field: "spec", Why: law.Problem}
	}
	s.Differs = s.Differs || s.Found && !law.Rules(*s) && !sameLaw(declared, s.Effective)
}

// keepDeclared keeps the backends that the split names and the law leaves out, with weight 0: an answer of theirs is looked
// for.
func (d *finder) keepDeclared(law *Law) {
	if len(law.Backends) == 0 {
		return
	}
	for _, decl := range d.snap.Split.Declared {
		if !slices.ContainsFunc(law.Backends, func(b LawBackend) bool { return b.Name == decl.Service }) {
			ns, name := d.split2(decl.Service)
			law.Backends = append(law.Backends, LawBackend{Name: decl.Service, Namespace: ns, Service: name})
		}
	}
}
