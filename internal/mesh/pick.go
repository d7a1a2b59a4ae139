package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// objectsStep lists whatever may say how the root's traffic is split, before it is known which of it is meant: a bare name
// may be a root Service's, and only all kinds together tell what rules there.
func (d *finder) objectsStep(ctx context.Context) error {
	var err error
	if d.groups, err = d.local.groups(ctx); err != nil {
		return apiError(d.local, "list", "API groups", err)
	}
	d.splits, err = d.local.list(ctx, trafficSplits(), trafficSplits().servedBy(d.groups), d.t.Namespace)
	switch {
	case errors.Is(err, errNotServed):
		d.noSplits = "the API server serves no TrafficSplits (split.smi-spec.io)"
	case err != nil && (d.t.splitKind == "" || d.t.splitKind == PathTrafficSplit):
		return apiError(d.local, "list", "TrafficSplits in namespace "+d.t.Namespace, err)
	case err != nil:
		d.note("TrafficSplits could not be read: %s", brief(err))
	}
	d.profiles, d.profilesErr = readProfiles(ctx, d.local, serviceProfiles().servedBy(d.groups), d.t.clientNS, d.t.Namespace)
	d.istioStep(ctx)
	if err := d.traefikStep(ctx); err != nil {
		return err
	}
	return d.routesStep(ctx)
}

// splitStep finds the split object. That it is missing is for a check to say.
func (d *finder) splitStep(context.Context) error {
	if d.t.splitName == "" {
		if err := d.onlyRoot(); err != nil {
			return err
		}
	}
	switch {
	case d.t.splitKind == PathTraefikService:
		d.takeTraefik()
		return nil
	case d.takeVirtual():
		return nil
	}
	if r := d.pickRoute(); r != nil {
		d.takeRoute(r)
		return nil
	}
	if d.t.splitKind != "" && d.t.splitKind != PathTrafficSplit && d.t.splitKind != PathTraefikService {
		d.missingSplit(d.t.splitKind, fmt.Sprintf("there is no %s %s in namespace %s", d.t.splitKind, d.t.splitName, d.t.Namespace))
		return nil
	}
	u, err := pickSplit(d.t, d.splits)
	if err != nil {
		return err
	}
	if u == nil {
		why := d.noSplits
		if why == "" {
			why = "there is no TrafficSplit " + d.t.splitName + " in namespace " + d.t.Namespace
		}
		d.missingSplit(PathTrafficSplit, why)
	} else {
		d.snap.Split, d.leaves = readSplit(u)
	}
	d.root = serviceRef{namespace: d.t.Namespace, name: d.snap.Split.Root}
	d.nameOthers()
	if d.snap.Split.Matches {
		d.note("TrafficSplit %s has spec.matches; Linkerd's SMI adaptor ignores it and splits every request", d.snap.Split.Name)
	}
	return nil
}

// missingSplit is the Split of a name that no object has: it is taken for the root Service's too.
func (d *finder) missingSplit(kind Path, why string) {
	d.snap.Split = Split{Kind: string(kind), Namespace: d.t.Namespace, Name: d.t.splitName, Root: d.t.splitName, Why: why}
	d.root = serviceRef{namespace: d.t.Namespace, name: d.t.splitName}
	d.nameOthers()
}

// candidate is a split object and the root Service that it names.
type candidate struct{ short, root string }

// candidates are all splits of the namespace.
func (d *finder) candidates() []candidate {
	var out []candidate
	for i := range d.splits {
		out = append(out, candidate{"ts/" + d.splits[i].GetName(), rootOf(&d.splits[i])})
	}
	for i := range d.objects.routes {
		r := &d.objects.routes[i]
		if r.ref.Namespace != d.t.Namespace {
			continue
		}
		if p := r.parentsOf(); len(p) > 0 {
			out = append(out, candidate{shortName(r.kind, r.ref.Name), d.rootName(p[0])})
		}
	}
	for i := range d.objects.virtual {
		if v := &d.objects.virtual[i]; v.ref.Namespace == d.t.Namespace {
			if roots := v.roots(); len(roots) > 0 {
				out = append(out, candidate{shortName(PathVirtualService, v.ref.Name), d.rootName(roots[0])})
			}
		}
	}
	return out
}

// takeVirtual makes a VirtualService the split of the Snapshot: the one that is named, or the oldest in force of a root
// Service by whose bare name an Istio client was asked about.
func (d *finder) takeVirtual() bool {
	var v *virtualService
	switch d.t.splitKind {
	case PathVirtualService:
		for i := range d.objects.virtual {
			if x := &d.objects.virtual[i]; x.ref.Namespace == d.t.Namespace && x.ref.Name == d.t.splitName {
				v = x
			}
		}
	case "":
		d.root = serviceRef{namespace: d.t.Namespace, name: d.t.splitName}
		if law, _ := d.question().byVirtualServices(d.objects.virtual, d.sourceLabels); law != nil {
			for i := range d.objects.virtual {
				if x := &d.objects.virtual[i]; x.ref == law.Objects[0] && x.ref.Namespace == d.t.Namespace {
					v = x
				}
			}
		}
	}
	if v == nil {
		return false
	}
	s := splitOf(v.ref, v.object)
	roots := v.roots()
	if d.root.name == "" && len(roots) > 0 {
		d.root = roots[0]
		if len(roots) > 1 {
			d.note("%s names %d hosts; %s is the one that is looked at", v.ref, len(roots), Safe(d.root.name))
		}
	}
	if len(roots) == 0 {
		s.WeightErr = &WeightError{Object: v.ref.String(), Field: "spec.hosts", Raw: strings.Join(v.spec.Hosts, ","), Why: "names no Service in full"}
	}
	s.Root = d.rootName(d.root)
	d.snap.Split = s
	q := d.question()
	law := q.ofVirtualService(v, d.sourceLabels)
	d.declare(law.Backends)
	if v.problem != "" && s.WeightErr == nil {
		d.snap.Split.WeightErr = &WeightError{Object: v.ref.String(), Field: "spec", Why: v.problem}
	}
	d.nameOthers()
	return true
}

// takeTraefik makes a TraefikService the split of the Snapshot. It has no root Service; requests go to Traefik itself, which
// --through names.
func (d *finder) takeTraefik() {
	t := findTraefik(d.objects.traefik, d.t.Namespace, d.t.splitName)
	if t == nil {
		d.missingSplit(PathTraefikService, fmt.Sprintf("there is no TraefikService %s in namespace %s", d.t.splitName, d.t.Namespace))
		d.root = serviceRef{}
		d.snap.Split.Root = ""
		return
	}
	d.snap.Split = splitOf(t.ref, t.object)
	if d.snap.Through != nil {
		through := d.snap.Through.Service
		d.root = serviceRef{namespace: through.Namespace, name: through.Name}
		d.snap.Split.Root = d.rootName(d.root)
	} else {
		d.note("no Service of Traefik was named (--through svc/traefik): it draws, so its pods are what matters")
	}
	d.declare(d.question().byTraefik(d.objects.traefik, t).Backends)
	d.nameOthers()
}

// splitOf is the split that an object is, less its weights.
func splitOf(ref ObjectRef, u *unstructured.Unstructured) Split {
	s := Split{
		Kind: ref.Kind, APIVersion: ref.APIVersion, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID,
		ResourceVersion: ref.ResourceVersion, Generation: ref.Generation, Found: true, YAML: yamlOf(u),
	}
	s.LastWriter, s.LastWritten = lastWriter(u)
	return s
}

// declare keeps what the object that was named says, whoever rules.
func (d *finder) declare(bs []LawBackend) {
	for _, b := range bs {
		d.snap.Split.Declared = append(d.snap.Split.Declared, Declared{Service: b.Name, Raw: fmt.Sprint(b.Weight)})
		d.declaredLaw = append(d.declaredLaw, Weight{Service: b.Name, Weight: b.Weight})
	}
}

func (d *finder) rootName(r serviceRef) string {
	if r.namespace == d.t.Namespace {
		return r.name
	}
	return r.name + "." + r.namespace
}

// onlyRoot takes the one root Service that is split for the name that was not given. Several TrafficSplits of one root are
// told apart later.
func (d *finder) onlyRoot() error {
	all := d.candidates()
	if len(d.splits) == len(all) && len(all) > 0 {
		return nil // the choice among TrafficSplits has its own words
	}
	if len(all) == 0 {
		return &Error{
			Kind: KindNotFound, Op: "find split", Object: "in namespace " + d.t.Namespace,
			Cause: errors.New("there is no TrafficSplit and no route of a Service"), Hint: "name one, as ts/NAME, and its namespace with -n",
		}
	}
	var names []string
	for _, c := range all {
		names = append(names, c.short)
		if c.root != all[0].root {
			names = names[:0]
			break
		}
	}
	if len(names) == len(all) {
		if len(all) == 1 {
			kind, name, _ := strings.Cut(all[0].short, "/")
			d.t.splitKind, d.t.splitName = splitKindOf(kind), name
			return nil
		}
		d.t.splitName = all[0].root
		return nil
	}
	names = nil
	for _, c := range all {
		names = append(names, c.short)
	}
	return &Error{
		Kind: KindAmbiguous, Op: "find split", Object: "in namespace " + d.t.Namespace,
		Cause: fmt.Errorf("%d splits fit", len(all)), Hint: "name one; " + candidates("splits", names),
	}
}

// pickRoute is the route that is meant: the one that is named, or the ruling one of a root Service by whose name no
// TrafficSplit is obeyed. nil: none.
func (d *finder) pickRoute() *route {
	switch d.t.splitKind {
	case PathGRPCRoute, PathHTTPRoute, PathTLSRoute, PathTCPRoute:
		return d.namedRoute(d.t.splitKind, d.t.splitName)
	case "":
	default:
		return nil
	}
	name, ns := d.t.splitName, d.t.Namespace
	if base, other, ok := cutLast(name); ok {
		if _, own := d.services[name]; !own {
			name, ns = base, other
		}
	}
	d.root = serviceRef{namespace: ns, name: name}
	byRoot := slices.ContainsFunc(d.splits, func(u unstructured.Unstructured) bool { return rootOf(&u) == d.t.splitName })
	if byRoot {
		if u, _ := pickProfile(d.profiles, name, ns, d.t.clientNS); u != nil {
			return nil
		}
	}
	q := d.question()
	q.port = d.t.Port
	in, _ := q.bound(d.objects.routes)
	if len(in) > 0 {
		if law, _ := q.byRoutes(d.objects.routes); law != nil {
			for _, r := range in {
				if len(law.Objects) > 0 && r.ref == law.Objects[0] && r.ref.Namespace == d.t.Namespace {
					return r
				}
			}
		}
	}
	if byRoot || slices.ContainsFunc(d.splits, func(u unstructured.Unstructured) bool { return u.GetName() == d.t.splitName }) {
		return nil
	}
	for i := range d.objects.routes { // one that names the root and is of no effect: checks say why
		r := &d.objects.routes[i]
		if slices.ContainsFunc(r.parentsOf(), func(p serviceRef) bool { return p.name == name && p.namespace == ns }) &&
			r.ref.Namespace == d.t.Namespace {
			return r
		}
	}
	for _, kind := range routeOrder() {
		if r := d.namedRoute(kind, d.t.splitName); r != nil {
			return r
		}
	}
	return nil
}

// namedRoute finds a route of the split's namespace by kind and name. Of two HTTPRoutes of one name in two groups that of
// the Gateway API is taken.
func (d *finder) namedRoute(kind Path, name string) *route {
	for i := range d.objects.routes {
		if r := &d.objects.routes[i]; r.kind == kind && r.ref.Name == name && r.ref.Namespace == d.t.Namespace {
			return r
		}
	}
	return nil
}

// takeRoute makes a route the split of the Snapshot. Its root is the Service that was asked for, else the first that it is
// bound to.
func (d *finder) takeRoute(r *route) {
	s := splitOf(r.ref, r.object)
	parents := r.parentsOf()
	root := serviceRef{}
	for i, p := range parents {
		if i == 0 || d.t.splitKind == "" && p.name == d.root.name && p.namespace == d.root.namespace {
			root = p
		}
	}
	switch {
	case len(parents) == 0:
		s.WeightErr = &WeightError{Object: r.ref.String(), Field: "spec.parentRefs", Why: "names no Service as a parent (kind: Service), so no mesh follows it"}
	case len(parents) > 1:
		d.note("%s is bound to %d Services; %s is the one that is looked at", r.ref, len(parents), Safe(root.name))
	}
	if root.port != 0 && d.t.Port == 0 {
		d.t.Port = root.port
	}
	d.root = serviceRef{namespace: root.namespace, name: root.name}
	s.Root = d.rootName(d.root)
	d.snap.Split = s
	q := d.question()
	q.port = d.t.Port
	if m, ok := bestRule([]*route{r}, q.probe); ok {
		d.snap.Split.Declared = q.declared(r, m.rule)
		backends, _ := q.backendsOf(r, m.rule)
		for _, b := range backends {
			d.declaredLaw = append(d.declaredLaw, Weight{Service: b.Name, Weight: b.Weight})
		}
	}
	if r.problem != "" && s.WeightErr == nil {
		d.snap.Split.WeightErr = &WeightError{Object: r.ref.String(), Field: "spec", Why: r.problem}
	}
	d.nameOthers()
}

// declared is what a rule of a route writes, by the names of the Snapshot.
func (q question) declared(r *route, rule int) []Declared {
	var out []Declared
	for _, ref := range r.spec.Rules[rule].BackendRefs {
		raw := "1"
		if ref.Weight != nil {
			raw = fmt.Sprint(*ref.Weight)
		}
		out = append(out, Declared{Service: q.backend(r, ref, 0).Name, Raw: raw})
	}
	return out
}

// nameOthers lists the other splits of the namespace, and which of them have the same root.
func (d *finder) nameOthers() {
	s := &d.snap.Split
	var others, rivals []string
	for _, c := range d.candidates() {
		if s.Found && c.short == s.Short() {
			continue
		}
		others = append(others, c.short)
		if s.Found && c.root == s.Root {
			rivals = append(rivals, c.short)
		}
	}
	s.Others, s.Rivals = listed(others), listed(rivals)
}

// yamlOf is the object for the record, less what only servers read.
func yamlOf(u *unstructured.Unstructured) []byte {
	bare := u.DeepCopy()
	bare.SetManagedFields(nil)
	if b, err := yaml.Marshal(bare.Object); err == nil && len(b) <= maxYAML {
		return b
	}
	return nil
}

// Short is the split as a command line names it: "ts/podinfo".
func (s Split) Short() string { return shortName(Path(s.Kind), s.Name) }

func shortName(kind Path, name string) string {
	switch kind {
	case PathTrafficSplit:
		return "ts/" + name
	case PathVirtualService:
		return "vs/" + name
	}
	return strings.ToLower(string(kind)) + "/" + name
}

// cutLast takes name.namespace apart.
func cutLast(name string) (base, namespace string, ok bool) {
	base, namespace, ok = strings.Cut(name, ".")
	return base, namespace, ok && base != "" && namespace != "" && !strings.Contains(namespace, ".")
}
