package law

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Istio's VirtualServices. Sidecars of Envoy draw by weight for each request (envoy source/common/router/
// weighted_cluster_specifier.cc), for each connection where the port is not HTTP; the first rule that fits is taken,
// and of several VirtualServices of one host only the oldest (IST0109).

// PathVirtualService is Istio's path by a VirtualService.
const PathVirtualService Path = "VirtualService"

func virtualServiceKind() Kind {
	return Kind{
		Path: PathVirtualService, Short: "vs", For: "what sidecars of Istio obey",
		Resources: []Resource{{
			Group: istioGroup, Plural: "virtualservices",
			Versions: []string{"v1", "v1beta1", "v1alpha3"},
		}},
		Beside:   []Resource{DestinationRules()},
		Provider: ProviderIstio, Everywhere: true, Home: IstioRoot,
		read: func(o *Objects, items []unstructured.Unstructured) {
			for i := range items {
				o.virtual = append(o.virtual, readVirtualService(&items[i]))
			}
		},
		rules: func(u *unstructured.Unstructured) []Weights {
			var out []Weights
			for _, r := range readVirtualService(u).spec.HTTP {
				var ws Weights
				for _, d := range r.Route {
					name := strings.TrimSuffix(d.Destination.Host+"/"+d.Destination.Subset, "/")
					ws = append(ws, Weight{Service: name, Weight: d.Weight})
				}
				out = append(out, ws)
			}
			return out
		},
		splits: func(c *Case) []candidate {
			var out []candidate
			for _, v := range c.Objects.virtual {
				if roots := v.roots(); v.ref.Namespace == c.Namespace && len(roots) > 0 {
					out = append(out, candidate{ShortName(PathVirtualService, v.ref.Name), c.rootName(roots[0])})
				}
			}
			return out
		},
		pick: (*Case).pickVirtual,
	}
}

const (
	istioGroup = "networking.istio.io"
	// IstioRoot is where Istio's own configuration lies.
	IstioRoot = "istio-system"
)

// DestinationRules are the objects by which Istio knows the subsets of a Service.
func DestinationRules() Resource {
	return Resource{Group: istioGroup, Plural: "destinationrules", Versions: []string{"v1", "v1beta1", "v1alpha3"}}
}

type virtualService struct {
	listed
	spec virtualSpec
}

type virtualSpec struct {
	Hosts    []string       `json:"hosts"`
	Gateways []string       `json:"gateways"`
	ExportTo []string       `json:"exportTo"`
	HTTP     []virtualRule  `json:"http"`
	TLS      []virtualRoute `json:"tls"`
	TCP      []virtualRoute `json:"tcp"`
}

type virtualRule struct {
	Name           string               `json:"name"`
	Match          []virtualMatch       `json:"match"`
	Route          []virtualDestination `json:"route"`
	Redirect       *struct{}            `json:"redirect"`
	DirectResponse *struct{}            `json:"directResponse"`
	Delegate       *struct{}            `json:"delegate"`
}

// virtualRoute is a rule of TLS or TCP.
type virtualRoute struct {
	Match []connectionMatch    `json:"match"`
	Route []virtualDestination `json:"route"`
}

type connectionMatch struct {
	Port     int64    `json:"port"`
	SniHosts []string `json:"sniHosts"`
	Gateways []string `json:"gateways"`
}

type virtualDestination struct {
	Destination struct {
		Host   string `json:"host"`
		Subset string `json:"subset"`
		Port   struct {
			Number int64 `json:"number"`
		} `json:"port"`
	} `json:"destination"`
	Weight int64 `json:"weight"`
}

type stringMatch struct {
	Exact  *string `json:"exact"`
	Prefix *string `json:"prefix"`
	Regex  *string `json:"regex"`
}

type virtualMatch struct {
	URI             *stringMatch           `json:"uri"`
	Scheme          *stringMatch           `json:"scheme"`
	Method          *stringMatch           `json:"method"`
	Authority       *stringMatch           `json:"authority"`
	Headers         map[string]stringMatch `json:"headers"`
	WithoutHeaders  map[string]stringMatch `json:"withoutHeaders"`
	QueryParams     map[string]stringMatch `json:"queryParams"`
	Port            int64                  `json:"port"`
	SourceLabels    map[string]string      `json:"sourceLabels"`
	SourceNamespace string                 `json:"sourceNamespace"`
	Gateways        []string               `json:"gateways"`
	IgnoreURICase   bool                   `json:"ignoreUriCase"`
}

// pickVirtual makes a VirtualService the split of the Snapshot: the one that is named, or the oldest in force of a root
// Service by whose bare name an Istio client was asked about.
func (c *Case) pickVirtual() (bool, error) {
	var v *virtualService
	switch c.Kind {
	case PathVirtualService:
		v = find(c.Objects.virtual, func(v *virtualService) bool { return v.is(c.Namespace, c.Name) })
	case "":
		c.root = serviceRef{namespace: c.Namespace, name: c.Name}
		if law, _ := c.question().byVirtualServices(c.Objects.virtual, c.SourceLabels); law != nil {
			v = find(c.Objects.virtual, func(v *virtualService) bool {
				return v.ref == law.Objects[0] && v.ref.Namespace == c.Namespace
			})
		}
	}
	if v == nil {
		return false, nil
	}
	s := splitOf(v.raw)
	roots := v.roots()
	if c.root.name == "" && len(roots) > 0 {
		c.root = roots[0]
		if len(roots) > 1 {
			c.note("%s names %d hosts; %s is the one that is looked at", v.ref, len(roots), untrusted.Safe(c.root.name))
		}
	}
	if len(roots) == 0 {
		s.WeightErr = &WeightError{
			Object: v.ref.String(), Field: "spec.hosts", Raw: strings.Join(v.spec.Hosts, ","), Why: "names no Service in full",
		}
	}
	s.Root = c.rootName(c.root)
	c.Split = s
	c.declare(c.question().ofVirtualService(v, c.SourceLabels).Backends)
	if v.problem != "" && s.WeightErr == nil {
		c.Split.WeightErr = &WeightError{Object: v.ref.String(), Field: "spec", Why: v.problem}
	}
	return true, nil
}

func readVirtualService(u *unstructured.Unstructured) virtualService {
	var v virtualService
	v.listed = readObject(u, &v.spec)
	n := 0
	for _, r := range v.spec.HTTP {
		n += len(r.Route)
	}
	if n > maxBackends {
		v.problem = fmt.Sprintf("it has %d routes; more than %d are not read", n, maxBackends)
	}
	return v
}

// hostOf completes a host as Istio does: a bare name is of the namespace of the VirtualService; one with a dot stands
// as it is. ok is false where it is no Service's name in full.
func hostOf(host, namespace string) (ref serviceRef, ok bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if !strings.Contains(host, ".") {
		return serviceRef{namespace: namespace, name: host}, host != "" && host != "*"
	}
	parts := strings.SplitN(host, ".", 4)
	if len(parts) < 4 || parts[2] != "svc" {
		return serviceRef{}, false
	}
	return serviceRef{namespace: parts[1], name: parts[0]}, true
}

// namesHost says whether one of the hosts means the root Service.
func (v virtualService) namesHost(q question) bool {
	full := q.root + "." + q.rootNS + ".svc.cluster.local"
	for _, h := range v.spec.Hosts {
		if ref, ok := hostOf(h, v.ref.Namespace); ok && ref.name == q.root && ref.namespace == q.rootNS {
			return true
		}
		if suffix, wild := strings.CutPrefix(strings.ToLower(h), "*"); wild && strings.HasSuffix(full, suffix) {
			return true
		}
	}
	return false
}

// roots are the Services that the hosts name.
func (v virtualService) roots() []serviceRef {
	var out []serviceRef
	for _, h := range v.spec.Hosts {
		if ref, ok := hostOf(h, v.ref.Namespace); ok {
			out = append(out, ref)
		}
	}
	return out
}

// idle says why the sidecar of a client in the namespace takes no notice; empty: it does.
func (v virtualService) idle(q question) string {
	switch {
	case v.problem != "":
		return v.problem
	case !ofMesh(v.spec.Gateways):
		return "it is for gateways (" + untrusted.Safe(strings.Join(v.spec.Gateways,
			", ")) + "), not for sidecars: spec.gateways lacks mesh"
	case !v.exportedTo(q.clientNS):
		return "it is not exported to namespace " + untrusted.Safe(q.clientNS) + " (spec.exportTo)"
	}
	return ""
}

func (v virtualService) exportedTo(namespace string) bool {
	return len(v.spec.ExportTo) == 0 || slices.ContainsFunc(v.spec.ExportTo, func(to string) bool {
		return to == "*" || to == namespace || to == "." && v.ref.Namespace == namespace
	})
}

// byVirtualServices is the law of the VirtualServices of the root, nil where none is in force.
func (q question) byVirtualServices(all []virtualService, labels map[string]string) (*Law, []Shadowed) {
	var fit []*virtualService
	var shadowed []Shadowed
	for i := range all {
		v := &all[i]
		if !v.namesHost(q) {
			continue
		}
		if why := v.idle(q); why != "" {
			shadowed = append(shadowed, Shadowed{Object: v.ref, Why: why})
			continue
		}
		fit = append(fit, v)
	}
	if len(fit) == 0 {
		return nil, shadowed
	}
	name := func(o ObjectRef) string { return o.Name + "." + o.Namespace }
	slices.SortStableFunc(fit, func(a, b *virtualService) int { return a.older(b.listed, name) })
	for _, v := range fit[1:] {
		shadowed = append(shadowed, Shadowed{Object: v.ref, Why: fmt.Sprintf("%s names the same host and is older",
			fit[0].ref)})
	}
	return q.ofVirtualService(fit[0], labels), shadowed
}

// ofVirtualService picks the first rule that fits and gives its distribution.
func (q question) ofVirtualService(v *virtualService, labels map[string]string) *Law {
	law := &Law{Path: PathVirtualService, NullModel: RandomPerRequest, Objects: []ObjectRef{v.ref}}
	if q.opaque != "" {
		law.NullModel, law.ModelWhy = RandomPerConnection, q.opaque
		for _, r := range v.spec.TCP {
			if len(r.Match) == 0 || slices.ContainsFunc(r.Match, q.connectionFits) {
				law.Backends, law.Problem = q.destinations(v, r.Route, v.ref.String()+": spec.tcp")
				return law
			}
		}
		law.Backends = q.rootAlone()
		return law
	}
	for i, r := range v.spec.HTTP {
		ok, problem := q.ruleFits(r, labels)
		field := fmt.Sprintf("spec.http[%d]", i)
		switch {
		case problem != "":
			law.Problem = fmt.Sprintf("%s: %s.match: %s", v.ref, field, problem)
			return law
		case !ok:
			continue
		}
		if len(v.spec.HTTP) > 1 || len(r.Match) > 0 {
			law.Rule = field
		}
		switch {
		case r.Redirect != nil || r.DirectResponse != nil:
			law.Problem = fmt.Sprintf("%s: %s answers %s itself, with a redirect or a fixed response: no backend is drawn",
				v.ref, field, q.probe)
		case r.Delegate != nil:
			law.Problem = fmt.Sprintf("%s: %s delegates to another VirtualService, which this version does not follow", v.ref,
				field)
		default:
			law.Backends, law.Problem = q.destinations(v, r.Route, v.ref.String()+": "+field+".route")
		}
		return law
	}
	if len(v.spec.HTTP) == 0 {
		law.Backends = q.rootAlone() // nothing is said of HTTP: the Service's own route stands
		return law
	}
	law.Unfit = true
	law.Problem = fmt.Sprintf("no rule of %s fits %s: proxies answer 404", v.ref, q.probe)
	return law
}

func (q question) connectionFits(m connectionMatch) bool {
	return (m.Port == 0 || m.Port == int64(q.port)) && ofMesh(m.Gateways)
}

// ofMesh reports whether something that names gateways is for sidecars: those that it names, or all where it names
// none.
func ofMesh(gateways []string) bool { return len(gateways) == 0 || slices.Contains(gateways, "mesh") }

// ruleFits asks a rule's matches, any of which may fit.
func (q question) ruleFits(r virtualRule, labels map[string]string) (bool, string) {
	if len(r.Match) == 0 {
		return true, ""
	}
	for _, m := range r.Match {
		ok, err := q.virtualFits(m, labels)
		if err != nil {
			return false, Brief(err)
		}
		if ok {
			return true, ""
		}
	}
	return false, ""
}

func (q question) virtualFits(m virtualMatch, labels map[string]string) (bool, error) {
	path, query := q.probe.target()
	if m.Port != 0 && m.Port != int64(q.port) || m.SourceNamespace != "" && m.SourceNamespace != q.clientNS ||
		!ofMesh(m.Gateways) {
		return false, nil
	}
	for k, v := range m.SourceLabels {
		if labels[k] != v {
			return false, nil
		}
	}
	if m.IgnoreURICase && m.URI != nil && m.URI.Regex == nil {
		path = strings.ToLower(path)
		m.URI = m.URI.lower()
	}
	// A value that has to fit, or with unwanted must not; there says whether the request has it.
	fits := func(m *stringMatch, value string, there, unwanted bool) (bool, error) {
		if m == nil || !there {
			return m == nil || unwanted, nil
		}
		ok, err := m.fits(value)
		return ok != unwanted, err
	}
	type part struct {
		match           *stringMatch
		value           string
		there, unwanted bool
	}
	parts := []part{
		{m.URI, path, true, false},
		{m.Method, q.probe.method(), true, false},
		{m.Authority, q.probe.Host, true, false},
		{m.Scheme, "http", true, false},
	}
	for name, want := range m.Headers {
		v, there := headerOf(q.probe, name)
		parts = append(parts, part{&want, v, there, false})
	}
	for name, unwanted := range m.WithoutHeaders {
		v, there := headerOf(q.probe, name)
		parts = append(parts, part{&unwanted, v, there, true})
	}
	for name, want := range m.QueryParams {
		parts = append(parts, part{&want, query.Get(name), query.Has(name), false})
	}
	for _, p := range parts {
		if ok, err := fits(p.match, p.value, p.there, p.unwanted); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (m stringMatch) lower() *stringMatch {
	low := func(s *string) *string {
		if s == nil {
			return nil
		}
		l := strings.ToLower(*s)
		return &l
	}
	return &stringMatch{Exact: low(m.Exact), Prefix: low(m.Prefix)}
}

// fits: a match of nothing asks only that the value is there.
func (m stringMatch) fits(value string) (bool, error) {
	switch {
	case m.Exact != nil:
		return *m.Exact == value, nil
	case m.Prefix != nil:
		return strings.HasPrefix(value, *m.Prefix), nil
	case m.Regex != nil:
		re, err := anchored(*m.Regex)
		return err == nil && re.MatchString(value), err
	}
	return true, nil
}

// destinations gives the distribution of a rule. A lone destination gets everything even at weight 0
// (istio/api, networking/v1alpha3/virtual_service.proto).
func (q question) destinations(v *virtualService, ds []virtualDestination, field string) ([]Leaf, string) {
	if len(ds) == 0 {
		return nil, field + " is empty"
	}
	var out []Leaf
	for i, d := range ds {
		if d.Weight < 0 || d.Weight > math.MaxInt32 {
			return nil, fmt.Sprintf("%s[%d].weight is %d: weights are 0 to %d", field, i, d.Weight, math.MaxInt32)
		}
		out = append(out, q.destination(v, d))
	}
	out, problem := distribution(q.apart(out), field)
	return merged(out), problem
}

func (q question) destination(v *virtualService, d virtualDestination) Leaf {
	host := untrusted.Cut(d.Destination.Host, 253)
	b := Leaf{Name: host, Service: host, Subset: untrusted.Cut(d.Destination.Subset, 253), Weight: d.Weight}
	if n := d.Destination.Port.Number; n > 0 && n <= math.MaxUint16 {
		b.Port = int32(n)
	}
	ref, ok := hostOf(d.Destination.Host, v.ref.Namespace)
	if !ok {
		b.Problem = fmt.Sprintf("destination %q is not a Service's name in full, and only bare names are completed: "+
			"Istio knows it by a ServiceEntry or answers 503", untrusted.Safe(d.Destination.Host))
	} else {
		b.Namespace, b.Service, b.Name = ref.namespace, ref.name, q.name(ref.namespace, ref.name)
		if s, known := q.service(ref.namespace, ref.name); known && !s.Found {
			b.ProxyStatus = statusUnavailable
			b.Problem = fmt.Sprintf("there is no Service %s/%s: its share is answered with %d",
				untrusted.Safe(ref.namespace), untrusted.Safe(ref.name), b.ProxyStatus)
		}
	}
	if b.Subset != "" {
		b.Name += "/" + b.Subset
	}
	return b
}

// subsetSpec is as much of a DestinationRule as names subsets.
type subsetSpec struct {
	Host    string `json:"host"`
	Subsets []struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"subsets"`
}

// SubsetLabels are the labels that a DestinationRule gives the subset of a backend, and that rule.
func SubsetLabels(rules []unstructured.Unstructured, b Leaf) (labels map[string]string, rule ObjectRef, ok bool) {
	for i := range rules {
		var spec subsetSpec
		raw, _ := rules[i].Object["spec"].(map[string]any)
		if Decode(raw, &spec) != nil {
			continue
		}
		ref, ok := hostOf(spec.Host, rules[i].GetNamespace())
		if !ok || ref.name != b.Service || ref.namespace != b.Namespace {
			continue
		}
		for _, s := range spec.Subsets {
			if s.Name == b.Subset {
				return s.Labels, refOf(&rules[i]), true
			}
		}
	}
	return nil, ObjectRef{}, false
}
