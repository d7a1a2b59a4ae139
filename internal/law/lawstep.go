package law

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// question is what the law is asked for once the root is known.
func (c *Case) question() question {
	q := question{
		names: c.Namespace, root: c.root.name, rootNS: c.root.namespace, clientNS: c.ClientNamespace, port: c.DialPort,
		probe: c.Probe, provider: c.Provider(),
		service: func(ns, name string) (Service, bool) {
			if ns != c.Namespace {
				s, ok := c.Elsewhere[nameIn(c.Namespace, ns, name)]
				return s, ok
			}
			s, ok := c.Services[name]
			if !ok {
				s = Service{Namespace: ns, Name: name}
			}
			return s, true
		},
	}
	if c.Root.Name == q.root {
		q.at = c.Root
		q.portUse = use(q.provider, c.Root, q.port)
	}
	if q.probe.Protocol == "" && (c.Kind == PathGRPCRoute || c.Split.Kind == string(PathGRPCRoute)) {
		q.probe.Protocol, q.probe.Method = protocolGRPC, "POST"
		if q.probe.Path == "" || q.probe.Path == "/" { // it does not say of what
			q.probe.Path = "/grpc.health.v1.Health/Check"
		}
	}
	if q.probe.Host == "" {
		q.probe.Host = q.root
		if q.rootNS != q.clientNS {
			q.probe.Host += "." + q.rootNS
		}
	}
	return q
}

// drawers are the pods whose proxies draw.
func (c *Case) drawers() []Pod {
	if c.Through != nil {
		return c.Through.Pods
	}
	return []Pod{c.Source}
}

// Provider is whose proxy draws: as the pods that draw have it, else as the kind of split implies.
func (c *Case) Provider() Provider {
	if c.Kind == PathTraefikService {
		return ProviderTraefik
	}
	for _, p := range c.drawers() {
		if provider := ProviderOf(p.ProxyContainer); provider != "" {
			return provider
		}
	}
	if c.Kind == PathVirtualService {
		return ProviderIstio
	}
	if find(c.Objects.routes, func(r *route) bool { return strings.HasPrefix(r.controller(), "istio.io/") }) != nil {
		return ProviderIstio
	}
	return ProviderLinkerd
}

// Decide settles by which law the client's proxy draws, and lets the split's effective weights be its. The root Service
// and the port that is dialled are known by then.
func (c *Case) Decide() {
	c.settleProfile()
	if c.root.name == "" && c.Kind != PathTraefikService {
		return
	}
	q := c.question()
	var law *Law
	var shadowed []Shadowed
	switch q.provider {
	case ProviderTraefik:
		law = c.traefikLaw(q)
	case ProviderIstio:
		law, shadowed = c.istioLaw(q)
	default:
		law, shadowed = c.linkerdLaw(q)
	}
	law.Provider, law.Probe, law.Shadowed = q.provider, q.probe, shadowed
	if c.Split.Profile.State == ProfileUnread {
		c.Objects.Unread = append(c.Objects.Unread, ServiceProfiles().Plural+"."+ServiceProfiles().Group)
	}
	if law.Unread != "" {
		c.Objects.Unread = append(c.Objects.Unread, law.Unread)
		c.note("not known: %s", law.Unread)
	}
	law.Unread = strings.Join(c.Objects.Unread, ", ")
	c.keepDeclared(law)
	c.Law = *law
	c.obeyLaw()
}

// defaultLaw is the law where nothing splits.
func (q question) defaultLaw() *Law {
	return &Law{Path: PathDefault, NullModel: RandomPerRequest, Backends: q.rootAlone()}
}

// linkerdLaw follows Linkerd's precedence: a ServiceProfile that says anything, then routes, then nothing. A
// TrafficSplit that no adaptor has made a ServiceProfile of is nothing to it: its destination controller reads none
// (linkerd2 edge-26.8.3, controller/api/destination; linkerd-smi v0.2.7, pkg/adaptor/controller.go syncHandler). It
// rules only where no ServiceProfiles are served, so that another control plane reads it, or where they were not read.
func (c *Case) linkerdLaw(q question) (*Law, []Shadowed) {
	s := &c.Split
	split := s.Kind == string(PathTrafficSplit) && s.Found
	law, shadowed := q.byRoutes(c.Objects.routes)
	switch {
	case c.profileRules && c.followsProfile(q, law):
		objects := []ObjectRef{c.profileRef}
		if split {
			objects = append(objects, s.ObjectRef)
		}
		law = c.settledLaw(q, PathServiceProfile, objects...)
		law.Settings = c.profileSettings
		for _, set := range q.settings(nil, 0) {
			set.Why = "a ServiceProfile rules"
			law.Settings = append(law.Settings, set)
		}
		bound, _ := q.bound(c.Objects.routes)
		for _, r := range bound {
			shadowed = append(shadowed, Shadowed{r.ref, "a ServiceProfile with routes or dstOverrides comes before every route"})
		}
	case law != nil:
	case split && (s.Profile.State == ProfileNotServed || s.Profile.State == ProfileUnread):
		law = c.settledLaw(q, PathTrafficSplit, s.ObjectRef)
	default:
		law = q.defaultLaw()
		law.Settings, law.Problem, law.Unfit = q.settings(nil, 0), q.clash, q.clash != ""
	}
	if split && s.Profile.State == ProfileAbsent {
		why := "proxies are told of it by a ServiceProfile alone, and there is none"
		shadowed = append(shadowed, Shadowed{Object: s.ObjectRef, Why: why})
	}
	for _, v := range c.Objects.virtual {
		if v.namesHost(q) > 0 {
			shadowed = append(shadowed, Shadowed{Object: v.ref, Why: "Linkerd reads no VirtualServices"})
		}
	}
	if law.Problem == "" && q.opaque != "" {
		law.NullModel, law.ModelWhy = RandomPerConnection, q.opaque
	}
	if elsewhere := c.sentElsewhere(q); elsewhere != "" {
		law.Backends, law.Problem, law.Unfit = nil, elsewhere, true
	}
	return law, shadowed
}

// headerOverride is by what a proxy in ingress mode is told where a request goes, whatever was dialled (linkerd2-proxy
// v2.366.0, linkerd/app/outbound/src/ingress.rs).
const headerOverride = "l5d-dst-override"

// sentElsewhere says where the request goes in place of the root Service, and why; empty: it goes there.
func (c *Case) sentElsewhere(q question) string {
	to, named := q.probe.Value(headerOverride)
	if !named || !slices.ContainsFunc(c.drawers(), func(p Pod) bool { return p.IngressMode }) {
		return ""
	}
	service, port, ok := parseAuthority(to, q.names)
	if ok && service == q.name(q.rootNS, q.root) && cmp.Or(port, 80) == q.port {
		return ""
	}
	return fmt.Sprintf("the proxy runs in ingress mode, and the header %s sends the request to %s, not to port %d of "+
		"Service %s", headerOverride, untrusted.Short(to, 300), q.port, untrusted.Safe(q.root))
}

// followsProfile reports whether the profile, which has routes or live overrides, comes first on this port: connections
// that are not HTTP know only overrides, and those of a TLSRoute not even them (linkerd2-proxy v2.366.0,
// linkerd/app/outbound/src/sidecar.rs and opaq.rs).
func (c *Case) followsProfile(q question, byRoute *Law) bool {
	switch {
	case q.opaque == "" && byRoute != nil && byRoute.Path == PathTLSRoute:
		return false
	case q.opaque != "" || byRoute != nil && byRoute.Path == PathTCPRoute:
		return c.profileSplits
	}
	return true
}

func (c *Case) traefikLaw(q question) *Law {
	t := findTraefik(c.Objects.traefik, c.Namespace, c.Name)
	if t == nil {
		return &Law{Path: PathDefault, NullModel: WeightedRoundRobin, Problem: c.Split.Why}
	}
	return q.byTraefik(c.Objects.traefik, t)
}

// settledLaw is a law whose weights, or why they cannot be used, stand in the split already.
func (c *Case) settledLaw(q question, path Path, objects ...ObjectRef) *Law {
	law := &Law{Path: path, NullModel: RandomPerRequest, Objects: objects}
	if len(c.Split.Effective) == 0 && c.Split.WeightErr != nil {
		law.Problem = c.Split.WeightErr.Error()
		return law
	}
	law.Backends = c.lawBackends(q, c.Split.Effective)
	return law
}

// lawBackends gives weights that were settled already their probabilities.
func (c *Case) lawBackends(q question, ws Weights) []Leaf {
	sum := ws.Sum()
	out := make([]Leaf, 0, len(ws))
	for _, w := range ws {
		ns, name := c.split2(w.Service)
		b := Leaf{Name: w.Service, Namespace: ns, Service: name, Port: c.Ports[w.Service], Weight: w.Weight}
		if sum > 0 {
			b.Probability = float64(w.Weight) / float64(sum)
		}
		s, known := q.service(ns, name)
		b.Problem = q.ofNoEndpoints(s)
		if known && !s.Found {
			b.Problem = fmt.Sprintf("there is no Service %s/%s: after three seconds of 504 its share goes to the others",
				untrusted.Safe(ns), untrusted.Safe(name))
		}
		out = append(out, b)
	}
	return out
}

// split2 takes the name of a backend apart into namespace and Service.
func (c *Case) split2(name string) (namespace, service string) {
	if _, ok := c.Services[name]; ok {
		return c.Namespace, name
	}
	name, _, _ = strings.Cut(name, ":") // see nameOfPort
	if _, ok := c.Services[name]; ok {
		return c.Namespace, name
	}
	if base, ns, ok := cutLast(name); ok {
		return ns, base
	}
	return c.Namespace, name
}

// obeyLaw makes the law's weights the split's effective ones, which those of profiles and TrafficSplits are already.
func (c *Case) obeyLaw() {
	s, law := &c.Split, c.Law
	if law.Path == PathServiceProfile || law.Path == PathTrafficSplit {
		return
	}
	declared := c.declared()
	s.Effective = weightsOf(law.Backends)
	for _, b := range law.Backends {
		if b.Port != 0 {
			c.Ports[b.Name] = b.Port
		}
	}
	s.EffectiveFrom = "the root Service alone: nothing splits it"
	if len(law.Objects) > 0 {
		s.EffectiveFrom = law.Objects[0].String()
	}
	if law.Problem != "" && !law.Unfit && s.WeightErr == nil {
		s.WeightErr = &WeightError{Object: s.EffectiveFrom, Field: "spec", Why: law.Problem}
	}
	s.Differs = s.Differs || s.Found && !law.Rules(*s) && !sameLaw(declared, s.Effective)
}

// declared is what the object that was named says, whoever rules.
func (c *Case) declared() Weights {
	if c.declaredLaw != nil {
		return c.declaredLaw
	}
	return c.Split.Effective
}

// keepDeclared keeps, with weight 0, the backends that the law leaves out: an answer of theirs is looked for.
func (c *Case) keepDeclared(law *Law) {
	if len(law.Backends) == 0 {
		return
	}
	for _, decl := range c.Split.Declared {
		if !slices.ContainsFunc(law.Backends, func(b Leaf) bool { return b.Name == decl.Service }) {
			ns, name := c.split2(decl.Service)
			law.Backends = append(law.Backends, Leaf{Name: decl.Service, Namespace: ns, Service: name})
		}
	}
}
