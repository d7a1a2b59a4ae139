package told

import (
	"cmp"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

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
