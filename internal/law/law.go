// Package law says which object's weights the client's proxy obeys, and by which distribution it draws a backend.
//
// It is pure: what API servers told is a Snapshot (internal/mesh fills it) and lists of objects; out of them and a
// request comes a Law. It does no I/O, has no clock, and judges nothing: whether answers follow the law is for others
// to say. It is, with internal/mesh, the only place that knows the API groups, labels and annotations of SMI, Linkerd,
// Istio, Traefik and the Gateway API, and the only one that decides by those of Istio and Traefik.
//
// Invariant: a Law tells what the client's proxy obeys, not what the split object wishes.
package law

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// NullModel says how a data plane that obeys the objects chooses a backend: answers are tested against it.
type NullModel string

// The null models. Linkerd and Envoy draw by weight for each request of HTTP and for each connection of everything
// else; Traefik takes turns; a sticky assignment is made once for each client that keeps its cookie.
const (
	RandomPerRequest    NullModel = "random-per-request"
	RandomPerConnection NullModel = "random-per-connection"
	WeightedRoundRobin  NullModel = "weighted-round-robin"
	StickyAssignment    NullModel = "sticky"
)

// Text is the null model in words.
func (n NullModel) Text() string {
	switch n {
	case RandomPerRequest:
		return "a random draw by weight for each request"
	case RandomPerConnection:
		return "a random draw by weight for each connection"
	case WeightedRoundRobin:
		return "turns by weight (weighted round robin), nothing random"
	case StickyAssignment:
		return "a client that keeps its cookie stays where it was; one without takes turns by weight"
	}
	return "not known"
}

// Provider is whose data plane draws.
type Provider string

// The providers.
const (
	ProviderLinkerd Provider = "linkerd"
	ProviderIstio   Provider = "istio"
	ProviderTraefik Provider = "traefik"
)

// Name is the provider's name in a sentence.
func (p Provider) Name() string {
	if p == "" {
		return ""
	}
	return strings.ToUpper(string(p[:1])) + string(p[1:])
}

// Path is the kind of object whose rules the client's proxy follows for the probe request.
type Path string

// PathDefault is that no object says anything: the root Service's own endpoints get everything.
const PathDefault Path = "default"

// Law is the path that the probe request takes through the client's proxy, and by which distribution a backend is drawn
// for it: which object rules, by which of its rules, and what the others that say something are worth. It is what the
// objects say; that the proxy obeys them is for a witness to show.
type Law struct {
	Provider Provider `json:"provider"`
	Path     Path     `json:"path"`
	// the rule that fits the probe, e.g. "spec.rules[1]"; empty where the object has but one
	Rule      string      `json:"rule"`
	Probe     Probe       `json:"probe"`
	NullModel NullModel   `json:"nullModel"`
	ModelWhy  string      `json:"modelWhy"`           // why that null model, where it is not the path's usual one
	Backends  []Leaf      `json:"backends"`           // weight 0 included; empty where Problem is set
	Objects   []ObjectRef `json:"objects"`            // that say so, the ruling one first
	Shadowed  []Shadowed  `json:"shadowed"`           // that say something for the same root and are not obeyed
	Settings  []Setting   `json:"settings,omitempty"` // by which answers are not draws
	Problem   string      `json:"problem"`            // why there is no distribution, one sentence; empty: there is one
	// Problem is none of weights: no rule fits, or the port is not served
	Unfit  bool   `json:"unfit,omitempty"`
	Unread string `json:"unread"` // what could not be read and might rule instead; empty: nothing
}

// Probe is the request that the law is asked for.
type Probe struct {
	// as attack.Protocol; "": it was not said, and is a gRPC call where the split is a GRPCRoute, else HTTP
	Protocol string            `json:"protocol,omitempty"`
	Method   string            `json:"method"` // "": GET
	Path     string            `json:"path"`   // with its query; of a gRPC call /package.Service/Method; "": /
	Host     string            `json:"host"`   // as the client writes it, without port; "": the root Service's name
	Header   map[string]string `json:"header,omitempty"`
}

// protocolGRPC is the protocol of gRPC calls.
const protocolGRPC = "grpc"

// IsCall reports whether the request is a gRPC call.
func (p Probe) IsCall() bool { return p.Protocol == protocolGRPC }

// Value is that of a header, whatever the case of its name.
func (p Probe) Value(header string) (string, bool) {
	for k, v := range p.Header {
		if strings.EqualFold(k, header) {
			return v, true
		}
	}
	return "", false
}

// Leaf is one backend of a Law.
type Leaf struct {
	// as in Split.Effective: the Service's bare name, name.namespace elsewhere, with a subset name/subset
	Name        string  `json:"name"`
	Namespace   string  `json:"namespace"`
	Service     string  `json:"service"`
	Subset      string  `json:"subset,omitempty"`
	Port        int32   `json:"port"`        // that the proxy dials; 0: the port that the client dialled
	Weight      int64   `json:"weight"`      // only ratios matter
	Probability float64 `json:"probability"` // of one draw; they sum to 1
	// why a request drawn for it is answered with an error, e.g. a missing Service; empty: none known
	Problem string `json:"problem"`
	// ProxyStatus is the status by which the client's proxy answers such a request itself, so that it reaches no
	// backend: of an injected failure, a missing Service, a redirect. 0: the request is sent on.
	ProxyStatus int `json:"proxyStatus,omitempty"`
	// Closed says that the client's proxy closes the connections of such a share: it has no status to answer by.
	Closed bool `json:"closed,omitempty"`
}

// Leaf is the backend of that name, the zero Leaf where the law has none.
func (l Law) Leaf(name string) Leaf {
	return orElse(find(l.Backends, func(b *Leaf) bool { return b.Name == name }), Leaf{})
}

// PortOf is the port of a backend's Service that the client's proxy dials, port being what is known without the
// Service: a VirtualService that names none means the only one that there is (istio
// pilot/pkg/networking/core/route/route.go GetDestinationCluster).
func (l Law) PortOf(b Leaf, s Service, port int32) int32 {
	if l.Path == PathVirtualService && b.Port == 0 && len(s.Ports) == 1 {
		return s.Ports[0].Port
	}
	return port
}

// ObjectRef is an object in the version that was read.
type ObjectRef struct {
	APIVersion      string `json:"apiVersion"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
	Generation      int64  `json:"generation"`
}

// Group is the API group of the object; "" is the core's.
func (o ObjectRef) Group() string {
	group, _, versioned := strings.Cut(o.APIVersion, "/")
	if !versioned && !strings.Contains(group, ".") {
		return ""
	}
	return group
}

// String is the object as sentences name it: "HTTPRoute test/podinfo".
func (o ObjectRef) String() string {
	return o.Kind + " " + untrusted.Safe(o.Namespace) + "/" + untrusted.Safe(o.Name)
}

// Shadowed is an object that names the same root and is not obeyed, and why not.
type Shadowed struct {
	Object ObjectRef `json:"object"`
	Why    string    `json:"why"`
}

// Rules reports whether the split object itself is what the law was read from.
func (l Law) Rules(s Split) bool {
	return slices.ContainsFunc(l.Objects, s.Is)
}

// Names that proxies of meshes go by.
const (
	containerLinkerd = "linkerd-proxy"
	containerIstio   = "istio-proxy"
)

// AnnOpaquePorts is the annotation by which Linkerd is told of ports that it must not look into.
const AnnOpaquePorts = "config.linkerd.io/opaque-ports"

// ProviderOf tells by a container's name whose proxy runs in it; "": it is no proxy.
func ProviderOf(container string) Provider {
	switch container {
	case containerLinkerd:
		return ProviderLinkerd
	case containerIstio:
		return ProviderIstio
	}
	return ""
}

// UserOf is the user whose requests go around the provider's proxy: they are not split at all.
func UserOf(p Provider) int {
	if p == ProviderIstio {
		return 1337
	}
	return 2102
}

// RunsIstio reports whether the pod's proxy is Istio's, by its container or its image.
func (p Pod) RunsIstio() bool {
	return strings.Contains(p.ProxyContainer, "istio") || strings.Contains(p.ProxyImage, "istio")
}

// Case is one split on its way to its law: what is asked, what was read, and what comes of it. Pick and then Decide
// fill the last.
type Case struct {
	Namespace       string // of the split
	ClientNamespace string // of the pods that draw
	Kind            Path   // that was named; "": any
	Name            string // of the split or of its root Service; "": the only one there is
	Port            int32  // of the root Service; 0: none was named. Pick takes a route's own for it
	Probe           Probe

	Objects      Objects
	Services     map[string]Service // of the namespace, by name
	Elsewhere    map[string]Service // of other namespaces, by name.namespace: those of Foreign that could be read
	Source       Pod
	SourceLabels map[string]string
	Through      *Through
	Root         Service // known to Decide
	DialPort     int32   // of the root Service, known to Decide

	Split Split
	Law   Law
	Ports map[string]int32 // that proxies dial where it is not DialPort, by backend
	Notes []string         // what could not be seen, one sentence each

	leaves        []leafWeight // of the split object
	root          serviceRef   // of the split
	declaredLaw   Weights      // what the rule of the route that was named says, whoever rules
	profileRef    ObjectRef
	profileRules  bool // the profile has routes or targets, so that proxies follow it and no route
	profileSplits bool // it has targets

	profileSettings []Setting
}

// Objects are the custom resources that a law may be read from, as they were listed.
type Objects struct {
	TrafficSplits []unstructured.Unstructured // of the namespace
	NoSplits      string                      // why there are none; empty: they were listed
	Profiles      []unstructured.Unstructured // ServiceProfiles of the client's and the split's namespace
	ProfilesState ProfileState                // ProfileNotServed and ProfileUnread: why Profiles are none
	ProfilesWhy   string                      // why they could not be read
	Unread        []string                    // what could not be listed, in words

	routes  []route
	virtual []virtualService
	traefik []traefikService
}

// Add takes objects of a kind as they were listed.
func (o *Objects) Add(k Kind, items []unstructured.Unstructured) {
	for i := range items {
		if k.is(&items[i]) {
			k.read(o, &items[i])
		}
	}
}

// Unclear is why no split could be picked: none is there, or several fit where one must be named.
type Unclear struct {
	Several             bool
	Object, Cause, Hint string
}

// Error says what was seen and what to do.
func (u *Unclear) Error() string { return u.Object + ": " + u.Cause + "; " + u.Hint }

func (c *Case) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}
