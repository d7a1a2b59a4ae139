package law

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Istio's VirtualServices. Sidecars of Envoy draw by weight for each request (envoy source/common/router/
// weighted_cluster_specifier.cc), for each connection where the port is not HTTP; the first rule that fits is taken,
// and of several VirtualServices of one host only one: that with the most exact host, of equals the oldest (IST0109).

// PathVirtualService is Istio's path by a VirtualService.
const PathVirtualService Path = "VirtualService"

func virtualServiceKind() Kind {
	return Kind{
		Path: PathVirtualService, Short: "vs", For: "what sidecars of Istio obey",
		Resources: []Resource{{istioGroup, "virtualservices", []string{"v1", "v1beta1", "v1alpha3"}}},
		Beside:    []Resource{DestinationRules()},
		Provider:  ProviderIstio, Everywhere: true, Home: IstioRoot,
		read: func(o *Objects, u *unstructured.Unstructured) { o.virtual = append(o.virtual, readVirtualService(u)) },
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
	Match    []virtualMatch       `json:"match"`
	Route    []virtualDestination `json:"route"`
	Redirect *struct {
		Code int `json:"redirectCode"`
	} `json:"redirect"`
	DirectResponse *struct {
		Status int `json:"status"`
	} `json:"directResponse"`
	Delegate *struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"delegate"`
	Fault   *virtualFault `json:"fault"`
	Timeout string        `json:"timeout"`

	field string     // where it stands, from the object on that names the host
	of    *ObjectRef // the delegate that it is of; nil: of that object
}

// virtualFault is the failure that a rule injects.
type virtualFault struct {
	Abort *struct {
		Percentage *struct {
			Value float64 `json:"value"`
		} `json:"percentage"`
		HTTPStatus int    `json:"httpStatus"`
		GRPCStatus string `json:"grpcStatus"`
	} `json:"abort"`
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

// pickVirtual makes a VirtualService the split of the Snapshot: the one that is named, or the oldest in force of a root
// Service by whose bare name an Istio client was asked about.
func (c *Case) pickVirtual() (bool, error) {
	var v *virtualService
	switch c.Kind {
	case PathVirtualService:
		v = find(c.Objects.virtual, func(v *virtualService) bool { return v.is(c.Namespace, c.Name) })
	case "":
		c.root = serviceRef{namespace: c.Namespace, name: c.Name}
		if law, _ := c.question().byIstio(nil, c.Objects.virtual, c.SourceLabels); law != nil {
			v = find(c.Objects.virtual, func(v *virtualService) bool {
				return v.ref == law.Objects[0] && v.ref.Namespace == c.Namespace
			})
		}
	}
	if v == nil {
		return false, nil
	}
	s := v.split()
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
	c.declare(c.question().ofVirtualService(v, c.Objects.virtual, c.SourceLabels).Backends)
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

// namesHost says how specifically one of the hosts means the root Service: a whole name most, then the longest
// wildcard; 0: none does (istio pilot/pkg/model/sidecar.go computeWildcardHostVirtualServiceIndex).
func (v virtualService) namesHost(q question) int {
	full := q.fullName()
	best := 0
	for _, h := range v.spec.Hosts {
		if ref, ok := hostOf(h, v.ref.Namespace); ok && ref.name == q.root && ref.namespace == q.rootNS {
			return len(full) + 1
		}
		if suffix, wild := strings.CutPrefix(strings.ToLower(h), "*"); wild && strings.HasSuffix(full, suffix) {
			best = max(best, 1+len(suffix))
		}
	}
	return best
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

// ofVirtualService picks the first rule that fits and gives its distribution.
func (q question) ofVirtualService(v *virtualService, all []virtualService, labels map[string]string) *Law {
	law := &Law{Path: PathVirtualService, NullModel: RandomPerRequest, Objects: []ObjectRef{v.ref}}
	if q.opaque != "" {
		law.NullModel, law.ModelWhy = RandomPerConnection, q.opaque
		for _, r := range v.spec.TCP {
			fits := func(m connectionMatch) bool { return (m.Port == 0 || m.Port == int64(q.port)) && ofMesh(m.Gateways) }
			if len(r.Match) == 0 || slices.ContainsFunc(r.Match, fits) {
				law.Backends, law.Problem = q.destinations(v, r.Route, v.ref.String()+": spec.tcp")
				return law
			}
		}
		law.Backends = q.rootAlone()
		return law
	}
	for _, r := range v.rulesFor(q, all, labels) {
		ok, problem := q.ruleFits(r)
		field := v.ref.String() + ": " + r.field
		switch {
		case problem != "":
			law.Problem = field + ".match: " + problem
			return law
		case !ok:
			continue
		}
		if len(v.spec.HTTP) > 1 || len(r.Match) > 0 || r.of != nil {
			law.Rule = r.field
		}
		if r.of != nil {
			law.Objects = append(law.Objects, *r.of)
		}
		q.obey(law, v, r, field)
		law.Settings = cutOff(v.ref.String(), r.field+".timeout", r.Timeout)
		return law
	}
	law.Problem, law.Unfit = fmt.Sprintf("no rule of %s fits %s: proxies answer 404", v.ref, q.probe), true
	return law
}

// obey fills in what a rule makes of a request that fits it.
func (q question) obey(law *Law, v *virtualService, r virtualRule, field string) {
	itself := func(status int, with string) {
		law.Problem = fmt.Sprintf("%s answers %s itself, with %s (status %d): no backend is drawn", field, q.probe, with,
			status)
	}
	switch {
	case r.Redirect != nil:
		itself(cmp.Or(r.Redirect.Code, statusMoved), "a redirect")
	case r.DirectResponse != nil:
		itself(r.DirectResponse.Status, "a fixed response")
	default:
		if law.Backends, law.Problem = q.destinations(v, r.Route, field+".route"); law.Problem == "" {
			law.Backends, law.Problem = q.injected(law.Backends, r.Fault, field)
		}
	}
}

// injected adds the failures that a rule injects as a party of their own; the others keep their shares of the rest. The
// percentage is a whole number of millionths; without one, or without a status, nothing is injected (istio route.go
// TranslateFault).
func (q question) injected(leaves []Leaf, f *virtualFault, field string) ([]Leaf, string) {
	if f == nil || f.Abort == nil || f.Abort.Percentage == nil || f.Abort.HTTPStatus == 0 && f.Abort.GRPCStatus == "" {
		return leaves, ""
	}
	const million = 1_000_000
	a := f.Abort
	share := big.NewRat(min(max(int64(a.Percentage.Value*million/100), 0), million), million)
	rest, sum := new(big.Rat).Sub(big.NewRat(1, 1), share), weightsOf(leaves).Sum()
	if share.Sign() == 0 {
		return leaves, ""
	}
	fault := Leaf{ProxyStatus: cmp.Or(a.HTTPStatus, statusOfGRPC(a.GRPCStatus))}
	fault.Name = fmt.Sprintf("fault (%d)", fault.ProxyStatus)
	fault.Problem = fmt.Sprintf("%s.fault aborts its share with %d", field, fault.ProxyStatus)
	var parties []portion
	for _, b := range leaves {
		parties = append(parties, portion{b, new(big.Rat).Mul(rest, big.NewRat(b.Weight, sum))})
	}
	return q.wholeWeights(append(parties, portion{fault, share}), field)
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
	out, problem := Distribution(q.apart(out), field+": ")
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
		s, known := q.service(ref.namespace, ref.name)
		if b.Port == 0 && len(s.Ports) == 1 { // else the port that was dialled (istio route.go GetDestinationCluster)
			b.Port = s.Ports[0].Port
		}
		missing := ""
		switch {
		case known && !s.Found:
			missing = "there is no Service %s/%s"
		case known && b.Port != 0 && !s.HasPort(b.Port):
			missing = fmt.Sprintf("there is no port %d of Service %%s/%%s", b.Port)
		}
		if missing != "" {
			b.ProxyStatus = statusUnavailable
			b.Problem = fmt.Sprintf(missing+": its share is answered with %d", untrusted.Safe(ref.namespace),
				untrusted.Safe(ref.name), b.ProxyStatus)
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
