package told

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// What was told of routes is put in the words of the Gateway API: package law knows which rule Linkerd's proxy picks.

// matched is the rule that a request takes.
type matched struct {
	route, rule protoreflect.Message
	index       int // of the rule in its route
}

func (p protocol) best(probe law.Probe) (best matched, found bool, err error) {
	kind := law.PathHTTPRoute
	if p.rpc {
		if kind = law.PathGRPCRoute; probe.Method != http.MethodPost {
			return best, false, nil
		}
	}
	specs := make([]map[string]any, len(p.routes))
	for i, route := range p.routes {
		if specs[i], err = p.specOf(route); err != nil {
			return best, false, err
		}
	}
	route, rule, found, err := law.RuleTold(kind, specs, probe)
	if found {
		best = matched{p.routes[route], list(p.routes[route], "rules")[rule], rule}
	}
	return best, found, err
}

// specOf is as much of a route's spec as says which requests take it.
func (p protocol) specOf(route protoreflect.Message) (map[string]any, error) {
	hosts, err := each(slices.Concat(list(route, "hosts"), list(route, "snis")), hostname)
	if err != nil {
		return nil, err
	}
	match := httpMatch
	if p.rpc {
		match = rpcMatch
	}
	rules, err := each(list(route, "rules"), func(rule protoreflect.Message) (any, error) {
		matches, err := each(list(rule, "matches"), match)
		return map[string]any{"matches": matches}, err
	})
	return map[string]any{"hostnames": hosts, "rules": rules}, err
}

// each translates messages one by one.
func each[T any](in []protoreflect.Message, translate func(protoreflect.Message) (T, error)) ([]T, error) {
	out := make([]T, len(in))
	for i, m := range in {
		var err error
		if out[i], err = translate(m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func hostname(h protoreflect.Message) (string, error) {
	switch kind, m := oneof(h, "match"); kind {
	case "exact":
		return text(h, "exact"), nil
	case "suffix":
		labels := texts(m, "reverse_labels")
		slices.Reverse(labels)
		return "*." + strings.Join(labels, "."), nil
	}
	return "", unknownKind("a match of hosts")
}

func httpMatch(m protoreflect.Message) (out map[string]any, err error) {
	out = map[string]any{}
	if has(m, "path") {
		if out["path"], err = valueOf(sub(m, "path"), "kind", "a match of paths"); err != nil {
			return nil, err
		}
	}
	if has(m, "method") {
		if out["method"], err = methodOf(sub(m, "method")); err != nil {
			return nil, err
		}
	}
	if out["headers"], err = each(list(m, "headers"), namedValue); err != nil {
		return nil, err
	}
	out["queryParams"], err = each(list(m, "query_params"), namedValue)
	return out, err
}

func rpcMatch(m protoreflect.Message) (map[string]any, error) {
	rpc := sub(m, "rpc")
	headers, err := each(list(m, "headers"), namedValue)
	return map[string]any{
		"method": map[string]any{"service": text(rpc, "service"), "method": text(rpc, "method")}, "headers": headers,
	}, err
}

func methodOf(m protoreflect.Message) (string, error) {
	switch kind, _ := oneof(m, "type"); kind {
	case "registered":
		f := m.Descriptor().Fields().ByName("registered")
		if v := f.Enum().Values().ByNumber(m.Get(f).Enum()); v != nil {
			return string(v.Name()), nil
		}
	case "unregistered":
		return text(m, "unregistered"), nil
	}
	return "", unknownKind("a method")
}

// namedValue is the match of a header or a query parameter.
func namedValue(m protoreflect.Message) (map[string]any, error) {
	out, err := valueOf(m, "value", "a match of headers or query parameters")
	if err == nil {
		out["name"] = text(m, "name")
	}
	return out, err
}

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 1024

// valueOf is the match of one value; what names it in errors.
func valueOf(m protoreflect.Message, of protoreflect.Name, what string) (map[string]any, error) {
	kind, _ := oneof(m, of)
	sort := map[string]string{"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}[kind]
	if sort == "" {
		return nil, unknownKind(what)
	}
	value := text(m, protoreflect.Name(kind))
	if kind == "regex" {
		if len(value) > maxPattern {
			return nil, fmt.Errorf("the control plane told a regular expression of %d characters, which is not tried",
				len(value))
		}
		if _, err := regexp.Compile(value); err != nil {
			return nil, fmt.Errorf("the control plane told %q, which does not compile as a regular expression here, so which "+
				"rule the request takes cannot be told", untrusted.Short(value, 100))
		}
	}
	return map[string]any{"type": sort, "value": value}, nil
}

// unknownKind is the error for what a later version may tell.
func unknownKind(what string) error {
	return errors.New("the control plane told " + what + " of a kind that this program does not know; " +
		"is it of another version?")
}
