// Package told reads the law as those tell it who hand it to the client's proxy: Linkerd's control plane, or an Envoy's
// own configuration.
//
// It translates their answers into a law.Law, by the rules by which the proxies choose among what they hold. It works
// nothing out of Kubernetes objects, and does not guess: an answer that it does not understand whole is an error, and
// no law.
//
// Invariant: a law that it gives was told. Answers are hostile: bounded where they are asked for, made harmless where
// they are shown.
package told

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Linkerd is what the control plane tells a proxy of one destination.
type Linkerd struct {
	Profile *destination.DestinationProfile
	Policy  *outbound.OutboundPolicy
}

// Law is the law that a proxy makes of it: targets or routes of the profile come before the policy (linkerd2-proxy,
// linkerd/app/outbound/src/sidecar.rs). Its error says in one sentence why none can be made of it.
func (l Linkerd) Law(q law.Question) (law.Law, error) {
	if l.Profile == nil || l.Policy == nil {
		return law.Law{}, errors.New("the control plane told no policy or no profile")
	}
	if err := unknownFields(l.Profile.ProtoReflect(), "profile"); err != nil {
		return law.Law{}, err
	}
	if err := unknownFields(l.Policy.ProtoReflect(), "policy"); err != nil {
		return law.Law{}, err
	}
	if err := l.contradiction(q); err != nil {
		return law.Law{}, err
	}
	protocol, err := l.protocol(q)
	if err != nil {
		return law.Law{}, err
	}
	out := law.Law{Provider: law.ProviderLinkerd, Path: law.PathDefault, Probe: q.Probe, NullModel: law.RandomPerRequest}
	if protocol.opaque != "" {
		out.NullModel, out.ModelWhy = law.RandomPerConnection, protocol.opaque
	}
	targets := l.targets()
	if protocol.tls {
		targets = nil
	}
	if len(targets) == 0 && (protocol.opaque != "" || len(l.Profile.GetRoutes()) == 0) {
		err := protocol.follow(&out, q)
		return out, err
	}
	out.Path = law.PathServiceProfile
	if r := l.Profile.GetProfileRef().GetResource(); r.GetName() != "" { // whose kind the controller does not tell
		out.Objects = []law.ObjectRef{{
			APIVersion: untrusted.Cut(r.GetGroup(), 253), Kind: string(law.PathServiceProfile),
			Namespace: r.GetNamespace(), Name: r.GetName(),
		}}
	}
	if len(targets) == 0 {
		targets = []law.Leaf{{Namespace: q.Root.Namespace, Service: q.Root.Name, Port: q.Port, Weight: 1}}
	}
	out.Backends, out.Problem = distributed(targets)
	inWholes(out.Backends)
	return out, nil
}

// inWholes shows weights, which profiles have in ten-thousandths, as whole ones where they are.
func inWholes(leaves []law.Leaf) {
	const unit = 10_000
	if slices.ContainsFunc(leaves, func(l law.Leaf) bool { return l.Weight%unit != 0 }) {
		return
	}
	for i := range leaves {
		leaves[i].Weight /= unit
	}
}

// contradiction says that the answers are not about the Service that was asked for. Of a port that the Service lacks
// the destination controller tells an empty profile (linkerd2 edge-26.8.3, controller/api/destination/server.go).
func (l Linkerd) contradiction(q law.Question) error {
	want := q.Root.Name + "." + q.Root.Namespace + ".svc."
	if fqn := l.Profile.GetFullyQualifiedName(); fqn != "" && !strings.HasPrefix(fqn, want) {
		return fmt.Errorf("asked for Service %s/%s, the control plane told the profile of %q", q.Root.Namespace, q.Root.Name,
			untrusted.Safe(fqn))
	}
	r := l.Policy.GetMetadata().GetResource()
	if r.GetName() != q.Root.Name || r.GetNamespace() != q.Root.Namespace {
		return fmt.Errorf("asked for Service %s/%s, the control plane told the policy of %q", q.Root.Namespace, q.Root.Name,
			untrusted.Safe(r.GetNamespace()+"/"+r.GetName()))
	}
	return nil
}

// targets are the overrides of the profile that a proxy takes: those with a weight and an address with a port
// (linkerd2-proxy, linkerd/service-profiles/src/proto.rs).
func (l Linkerd) targets() []law.Leaf {
	var out []law.Leaf
	for _, d := range l.Profile.GetDstOverrides() {
		if leaf, ok := leafAt(d.GetAuthority()); ok && d.GetWeight() > 0 {
			leaf.Weight = int64(d.GetWeight())
			out = append(out, leaf)
		}
	}
	return out
}

// protocol is the part of a policy that holds for a request.
type protocol struct {
	routes []protoreflect.Message
	opaque string // why the proxy draws for each connection; "": it draws for each request
	rpc    bool   // the routes match gRPC calls
	tls    bool   // connections of TLS, which know no targets of a profile
	// why a proxy cannot use the policy; "": it can
	unusable string
}

func (l Linkerd) protocol(q law.Question) (p protocol, err error) {
	kind, m := oneof(l.Policy.GetProtocol().ProtoReflect(), "kind")
	if kind == "detect" {
		kind = "http1"
		if l.Profile.GetOpaqueProtocol() {
			kind = "opaque"
		}
		m = sub(m, protoreflect.Name(kind))
	}
	switch kind {
	case "http1", "http2":
	case "grpc":
		p.rpc = true
	case "opaque", "tls":
		p.tls = kind == "tls"
		p.opaque = fmt.Sprintf("to the control plane port %d is %s", q.Port, kind)
	default:
		return p, errors.New("the control plane told a policy for a protocol that this program does not know; " +
			"is it of another version?")
	}
	p.routes = list(m, "routes")
	switch {
	case l.Profile.GetOpaqueProtocol() && kind != "opaque":
		// the profile is asked first, and then knows no use for such a policy (sidecar.rs, opaq.rs)
		p.opaque, p.tls = fmt.Sprintf("to the destination controller port %d is opaque", q.Port), false
		p.unusable = p.opaque + ", to the policy controller it is " + kind + ": proxies serve no connection to it"
	case p.rpc && slices.ContainsFunc(p.routes, namesNoCall):
		p.unusable = "a match of a gRPC route names no call: proxies up to v2.366.0 refuse the whole policy and answer " +
			"every request with an error"
	}
	return p, nil
}

// namesNoCall reports a match of a gRPC route that proxies do not take (linkerd/http/route/src/grpc/match.rs).
func namesNoCall(route protoreflect.Message) bool {
	return slices.ContainsFunc(list(route, "rules"), func(rule protoreflect.Message) bool {
		return slices.ContainsFunc(list(rule, "matches"), func(m protoreflect.Message) bool { return !has(m, "rpc") })
	})
}

// follow makes the law of the route that fits.
func (p protocol) follow(out *law.Law, q law.Question) error {
	if p.unusable != "" {
		out.Problem = p.unusable
		return nil
	}
	m, found, err := p.best(q.Probe)
	switch {
	case err != nil:
		return err
	case !found:
		out.Problem = fmt.Sprintf("no rule of what the control plane tells fits %s: proxies answer 404 (no route)", q.Probe)
		return nil
	}
	if ref := refOf(m.route); ref.Name != "" {
		out.Path, out.Objects = law.Path(ref.Kind), []law.ObjectRef{ref}
		if len(list(m.route, "rules")) > 1 {
			out.Rule = fmt.Sprintf("spec.rules[%d]", m.index)
		}
	}
	leaves, problem, err := backendsOf(m.rule)
	if err != nil || problem != "" {
		out.Problem = problem
		return err
	}
	out.Backends, out.Problem = distributed(leaves)
	return nil
}

// distributed gives the leaves their probabilities; the second result says why there are none.
func distributed(in []law.Leaf) ([]law.Leaf, string) {
	if len(in) == 1 {
		in[0].Weight = 1
	}
	return law.Distribution(in, "")
}

// leafAt is the Service behind an address as proxies dial it: name.namespace.svc.domain:port.
func leafAt(authority string) (law.Leaf, bool) {
	host, port, err := net.SplitHostPort(authority)
	n, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || host == "" {
		return law.Leaf{}, false
	}
	l := law.Leaf{Service: untrusted.Cut(host, 253), Port: int32(n)}
	if parts := strings.SplitN(host, ".", 4); len(parts) > 2 && parts[2] == "svc" {
		l.Service, l.Namespace = parts[0], parts[1]
	}
	return l, true
}

// backendsOf are the leaves of a rule, and what the proxy answers in place of one by a filter. problem says why there
// is no distribution.
func backendsOf(rule protoreflect.Message) (out []law.Leaf, problem string, err error) {
	status, why, err := answered(rule)
	if err != nil {
		return nil, "", err
	}
	if why != "" {
		return []law.Leaf{{ProxyStatus: status, Closed: status == 0, Problem: why, Weight: 1}}, "", nil
	}
	kind, d := oneof(sub(rule, "backends"), "kind")
	backends := list(d, "backends")
	switch kind {
	case "first_available":
		backends = backends[:min(1, len(backends))] // the next ones wait for its failure
	case "random_available":
	case "empty":
	default:
		return nil, "", unknownKind("a distribution")
	}
	if len(backends) == 0 {
		return nil, "the rule that fits has no backends: proxies answer 503", nil
	}
	for _, b := range backends {
		weight := int64(1)
		if kind == "random_available" {
			weight, b = int64(b.Get(field(b, "weight")).Uint()), sub(b, "backend")
		}
		leaf, err := leafOf(b)
		if err != nil {
			return nil, "", err
		}
		leaf.Weight = weight
		out = append(out, leaf)
	}
	return out, "", nil
}

// leafOf is one backend, or what the proxy answers in its place.
func leafOf(b protoreflect.Message) (law.Leaf, error) {
	status, why, err := answered(b)
	if err != nil {
		return law.Leaf{}, err
	}
	backend := sub(b, "backend")
	kind, how := oneof(backend, "kind")
	meta := refOf(backend)
	leaf := law.Leaf{
		Service: meta.Name, Namespace: meta.Namespace, Port: portOf(backend),
		ProxyStatus: status, Closed: why != "" && status == 0, Problem: why,
	}
	if why != "" {
		return leaf, nil
	}
	switch kind {
	case "balancer": // what it dials is said by the address
		_, dst := oneof(sub(how, "discovery"), "kind")
		at, ok := leafAt(text(dst, "path"))
		if !ok {
			return leaf, fmt.Errorf("the control plane told a backend at %q, which is no address of a Service",
				untrusted.Safe(text(dst, "path")))
		}
		return at, nil
	case "forward": // one endpoint, which only the name tells
		if leaf.Service != "" {
			return leaf, nil
		}
	}
	return leaf, unknownKind("a backend")
}

// answered is the status that filters of a rule or a backend have the proxy answer by itself, 0 where it closes
// connections, and why; an empty why: it sends them on.
func answered(of protoreflect.Message) (status int, why string, err error) {
	for _, f := range list(of, "filters") {
		switch kind, m := oneof(f, "kind"); kind {
		case "request_header_modifier", "response_header_modifier":
			continue
		case "failure_injector":
			status = int(number(m, "status") + number(m, "code")) // of HTTP, of gRPC
			why = fmt.Sprintf("proxies answer its share with %d: %s", status, untrusted.Short(text(m, "message"), 200))
			if r := sub(m, "ratio"); has(m, "ratio") && number(r, "numerator") != number(r, "denominator") {
				return 0, "", fmt.Errorf("the control plane has proxies answer %d to a part of a share, which this program does "+
					"not weigh", status)
			}
		case "redirect":
			status = cmp.Or(int(number(m, "status")), http.StatusMovedPermanently)
			why = fmt.Sprintf("proxies answer its share with a redirect, %d", status)
		case "invalid", "forbidden": // of connections
			why = "proxies close the connections of its share (" + kind + ")"
		default:
			return 0, "", unknownKind("a filter")
		}
		return status, why, nil // the first filter that answers ends it
	}
	return 0, "", nil
}
