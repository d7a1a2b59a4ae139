package law

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Weighted services of Traefik. Traefik itself draws, in each of its pods by itself: the entry with the earliest
// deadline comes next, which is a weighted round robin without any chance (traefik
// pkg/server/service/loadbalancer/wrr/wrr.go).

// PathTraefikService is Traefik's path by a TraefikService.
const PathTraefikService Path = "TraefikService"

func traefikServiceKind() Kind {
	return Kind{
		Path: PathTraefikService, Short: "traefikservice", For: "the split",
		Resources: []Resource{ // the group of now, and the one before Traefik 3
			{Group: "traefik.io", Plural: "traefikservices", Versions: []string{"v1alpha1"}},
			{Group: "traefik.containo.us", Plural: "traefikservices", Versions: []string{"v1alpha1"}},
		},
		Provider: ProviderTraefik, Everywhere: true, NamedOnly: true, Nested: true,
		read: func(o *Objects, u *unstructured.Unstructured) { o.traefik = append(o.traefik, readTraefikService(u)) },
		rules: func(u *unstructured.Unstructured) []Weights {
			w := readTraefikService(u).spec.Weighted
			if w == nil {
				return nil
			}
			var ws Weights
			for _, e := range w.Services {
				ws = append(ws, Weight{Service: e.Name, Weight: orElse(e.Weight, 1)})
			}
			return []Weights{ws}
		},
		pick: (*Case).pickTraefik,
	}
}

// pickTraefik makes a TraefikService the split. It has no root Service; requests go to what --through names.
func (c *Case) pickTraefik() (bool, error) {
	t := findTraefik(c.Objects.traefik, c.Namespace, c.Name)
	if t == nil {
		return false, nil
	}
	c.Split = splitOf(t.raw)
	if c.Through != nil {
		through := c.Through.Service
		c.root = serviceRef{namespace: through.Namespace, name: through.Name}
		c.Split.Root = c.rootName(c.root)
	} else {
		c.note("no Service of Traefik was named (--through svc/traefik): it draws, so its pods are what matters")
	}
	c.declare(c.question().byTraefik(c.Objects.traefik, t).Backends)
	return true, nil
}

type traefikService struct {
	listed
	spec traefikSpec
}

type traefikSpec struct {
	Weighted *struct {
		Services []traefikEntry `json:"services"`
		Sticky   *struct {
			Cookie *struct{} `json:"cookie"`
		} `json:"sticky"`
	} `json:"weighted"`
	Mirroring           *traefikEntry `json:"mirroring"`
	HighestRandomWeight *struct{}     `json:"highestRandomWeight"`
	Failover            *struct {
		Service traefikEntry `json:"service"`
	} `json:"failover"`
}

type traefikEntry struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Port      any    `json:"port"` // number or a port's name
	Weight    *int64 `json:"weight"`
}

func readTraefikService(u *unstructured.Unstructured) traefikService {
	var t traefikService
	if t.listed = readObject(u, &t.spec); t.problem != "" {
		return t
	}
	switch {
	case len(t.entries()) > maxBackends:
		t.problem = fmt.Sprintf("it has %d services; more than %d are not read", len(t.entries()), maxBackends)
	case t.spec.Weighted == nil && t.spec.HighestRandomWeight != nil:
		t.problem = "it draws by the client's address (spec.highestRandomWeight): one client always gets the same backend"
	case len(t.entries()) == 0:
		t.problem = "it has no spec.weighted, which is what declares weights"
	}
	return t
}

// entries are what requests are given to: those of a weighted service, else the one that is mirrored, or that is asked
// before a fallback (traefik v3.7 pkg/provider/kubernetes/crd/kubernetes_http.go buildTraefikService).
func (t *traefikService) entries() []traefikEntry {
	switch s := t.spec; {
	case s.Weighted != nil:
		return s.Weighted.Services
	case s.Mirroring != nil:
		return []traefikEntry{*s.Mirroring}
	case s.HighestRandomWeight == nil && s.Failover != nil:
		return []traefikEntry{s.Failover.Service}
	}
	return nil
}

// maxNesting is how deep weighted services of weighted services are followed.
const maxNesting = 8

// byTraefik is the law of a TraefikService. Entries that are TraefikServices are followed: their weights multiply.
func (q question) byTraefik(all []traefikService, t *traefikService) *Law {
	law := &Law{Path: PathTraefikService, NullModel: WeightedRoundRobin, Objects: []ObjectRef{t.ref}}
	if t.problem == "" && t.spec.Weighted == nil {
		law.Problem = t.ref.String() + ": it mirrors traffic, or has a fallback for it, and does not split it: only " +
			"spec.weighted declares weights"
		return law
	}
	out, problem := q.flatten(all, t, big.NewRat(1, 1), map[string]bool{}, law)
	if problem != "" {
		law.Problem = problem
		return law
	}
	law.Backends, law.Problem = q.wholeWeights(out, t.ref.String()+": spec.weighted.services")
	return law
}

// flatten gives the backends of a weighted service with their probabilities, share being that of the service itself.
func (q question) flatten(all []traefikService, t *traefikService, share *big.Rat, above map[string]bool,
	law *Law,
) ([]portion, string) {
	key := t.ref.Namespace + "/" + t.ref.Name
	switch {
	case t.problem != "":
		return nil, t.ref.String() + ": " + t.problem
	case above[key]:
		return nil, t.ref.String() + " leads back to itself"
	case len(above) >= maxNesting:
		return nil, fmt.Sprintf("%s is nested more than %d deep", t.ref, maxNesting)
	}
	above[key] = true
	defer delete(above, key)
	if w := t.spec.Weighted; w != nil && w.Sticky != nil && w.Sticky.Cookie != nil {
		law.NullModel = StickyAssignment
		law.ModelWhy = t.ref.String() + " has a sticky cookie; requests without one, as splitbench's, take turns by weight"
	}
	field := t.ref.String() + ": spec.weighted.services"
	weights, sum, problem := t.weights(field)
	if problem != "" {
		return nil, problem
	}
	var out []portion
	for i, e := range t.entries() {
		p := new(big.Rat).Mul(share, big.NewRat(weights[i], sum))
		ns := cmp.Or(e.Namespace, t.ref.Namespace)
		if ns != t.ref.Namespace && !strings.Contains(e.Name, "@") {
			law.Unread = "whether Traefik follows references to other namespaces (providers.kubernetesCRD.allowCrossNamespace)"
		}
		switch e.Kind {
		case "", "Service":
			b, why := q.traefikBackend(e, ns)
			if why != "" {
				return nil, fmt.Sprintf("%s[%d]: %s: Traefik leaves the whole weighted service out", field, i, why)
			}
			out = append(out, portion{b, p})
		case string(PathTraefikService):
			inner := e.find(all, ns)
			if inner == nil {
				return nil, fmt.Sprintf("%s[%d]: there is no TraefikService %s/%s", field, i, untrusted.Safe(ns),
					untrusted.Safe(e.Name))
			}
			if len(law.Objects) <= maxBackends {
				law.Objects = append(law.Objects, inner.ref)
			}
			below, problem := q.flatten(all, inner, p, above, law)
			if problem != "" {
				return nil, problem
			}
			out = append(out, below...)
		default:
			return nil, fmt.Sprintf("%s[%d].kind is %q: want Service or TraefikService", field, i, untrusted.Safe(e.Kind))
		}
		if len(out) > maxBackends {
			return nil, fmt.Sprintf("%s leads to more than %d backends", field, maxBackends)
		}
	}
	return out, ""
}

// weights are those of the entries: absent is 1, and what is not above 0 is never drawn.
func (t *traefikService) weights(field string) (ws []int64, sum int64, problem string) {
	for i, e := range t.entries() {
		w := max(0, orElse(e.Weight, 1))
		if w > math.MaxInt32 {
			return nil, 0, fmt.Sprintf("%s[%d].weight is %d: too large to be meant", field, i, w)
		}
		ws, sum = append(ws, w), sum+w
	}
	if sum == 0 {
		return nil, 0, field + ": the weights sum to nothing: Traefik answers with an error of its own"
	}
	return ws, sum, ""
}

func findTraefik(all []traefikService, namespace, name string) *traefikService {
	return find(all, func(t *traefikService) bool { return t.is(namespace, name) })
}

// find is the TraefikService that an entry names, nil where there is none. A name of Traefik's own, NAME@kubernetescrd,
// is that of an object after its namespace, in letters, digits and dashes; one of another provider is none of
// Kubernetes' (traefik v3.7 pkg/provider/kubernetes/crd/kubernetes_http.go fullServiceName).
func (e traefikEntry) find(all []traefikService, ns string) *traefikService {
	name, provider, own := strings.Cut(e.Name, "@")
	if !own {
		return findTraefik(all, ns, e.Name)
	}
	other := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }
	normal := func(s string) string { return strings.Join(strings.FieldsFunc(s, other), "-") }
	return find(all, func(t *traefikService) bool {
		return provider == "kubernetescrd" && normal(t.ref.Namespace+"-"+t.ref.Name) == normal(e.Namespace+"-"+name)
	})
}

// traefikBackend reads an entry that is a Service. The second result says why Traefik cannot use it: it must have the
// port, by number or, where a text is written, by name.
func (q question) traefikBackend(e traefikEntry, ns string) (Leaf, string) {
	b := Leaf{Name: q.name(ns, untrusted.Cut(e.Name, 253)), Namespace: ns, Service: untrusted.Cut(e.Name, 253)}
	s, known := q.service(ns, e.Name)
	fits := func(Port) bool { return false }
	switch port := e.Port.(type) {
	case float64:
		fits = func(p Port) bool { return float64(p.Port) == port }
		if port >= 1 && port <= math.MaxUint16 {
			b.Port = int32(port)
		}
	case string:
		fits = func(p Port) bool { return p.Name == port }
	}
	at := slices.IndexFunc(s.Ports, fits)
	switch {
	case strings.Contains(e.Name, "@"):
		return b, fmt.Sprintf("%q is of a provider of Traefik's, and its kind is Service", untrusted.Safe(e.Name))
	case known && !s.Found:
		return b, fmt.Sprintf("there is no Service %s/%s", untrusted.Safe(ns), untrusted.Safe(e.Name))
	case e.Port == nil || e.Port == "" || e.Port == float64(0):
		return b, "it names no port"
	case known && at < 0 && s.ExternalName == "":
		return b, fmt.Sprintf("Service %s/%s has no port %v", untrusted.Safe(ns), untrusted.Safe(e.Name),
			untrusted.Safe(fmt.Sprint(e.Port)))
	case known && at >= 0:
		b.Port = s.Ports[at].Port
	}
	return b, ""
}

// portion is a backend and its exact share.
type portion struct {
	Leaf
	share *big.Rat
}

// wholeWeights gives the backends the smallest whole weights of exactly their shares, one for each name.
func (q question) wholeWeights(ps []portion, field string) ([]Leaf, string) {
	leaves := make([]Leaf, len(ps))
	for i, p := range ps {
		leaves[i] = p.Leaf
	}
	leaves = q.apart(leaves)
	var out []Leaf
	var shares []*big.Rat
	common := big.NewInt(1) // of the denominators
	for n, p := range ps {
		i := slices.IndexFunc(out, func(b Leaf) bool { return b.Name == leaves[n].Name })
		if i < 0 {
			i = len(out)
			out, shares = append(out, leaves[n]), append(shares, new(big.Rat))
		}
		shares[i].Add(shares[i], p.share)
	}
	for _, s := range shares {
		g := new(big.Int).GCD(nil, nil, common, s.Denom())
		common.Mul(common, new(big.Int).Div(s.Denom(), g))
	}
	if !common.IsInt64() || common.Int64() > math.MaxUint32 {
		return nil, field + ": the weights are too fine to be told apart by any number of requests"
	}
	for i, s := range shares {
		out[i].Weight = new(big.Int).Div(new(big.Int).Mul(s.Num(), common), s.Denom()).Int64()
		out[i].Probability, _ = s.Float64()
	}
	return out, ""
}
