package law

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Setting is a line of an object by which proxies retry, give up or shut a backend out, so that answers are not draws.
type Setting struct {
	Object string `json:"object"` // e.g. "HTTPRoute test/podinfo"
	Field  string `json:"field"`  // e.g. "spec.rules[0].timeouts.request"; of an annotation its name
	Value  string `json:"value"`
	Why    string `json:"why"` // why it has no effect; empty: it has
}

// String is the setting as a sentence names it.
func (s Setting) String() string {
	text := fmt.Sprintf("%s has %s=%s", s.Object, s.Field, s.Value)
	if s.Why != "" {
		text += ", which has no effect: " + s.Why
	}
	return text
}

// Annotations of Linkerd that are settings, on a route and, for routes that have none of their sort, on the Service
// (linkerd2 edge-26.8.3, policy-controller/k8s/index/src/outbound/index.rs parse_timeouts, http.rs parse_http_retry,
// grpc.rs parse_grpc_retry).
const (
	annTimeout = "timeout.linkerd.io/"
	annRetry   = "retry.linkerd.io/"
	annAccrual = "balancer.linkerd.io/failure-accrual"
)

// IsSetting reports whether an annotation is one of those.
func IsSetting(annotation string) bool {
	return slices.ContainsFunc([]string{annTimeout, annRetry, annAccrual}, func(prefix string) bool {
		return strings.HasPrefix(annotation, prefix)
	})
}

// unreadableSetting says which of the annotations has a value that Linkerd cannot read for a route of the kind.
func unreadableSetting(annotations map[string]string, kind Path) string {
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		if why := settingProblem(name, annotations[name], kind); why != "" {
			return fmt.Sprintf("its annotation %s is %q, %s", name, untrusted.Short(annotations[name], 80), why)
		}
	}
	return ""
}

func settingProblem(name, value string, kind Path) string {
	switch name {
	case annTimeout + "request", annTimeout + "response", annTimeout + "idle", annRetry + "timeout":
		if _, ok := linkerdDuration(value); !ok {
			return "not a duration such as 5s or 150ms"
		}
	case annRetry + "limit":
		if _, ok := number(value, 16); !ok {
			return "not a number"
		}
	case annRetry + "http":
		if kind == PathHTTPRoute && !all(strings.Split(value, ","), isHTTPCondition) {
			return "not a list such as 5xx, gateway-error, 503 or 500-599"
		}
	case annRetry + "grpc":
		if kind == PathGRPCRoute && !all(strings.Split(value, ","), isGRPCCondition) {
			return "not a list such as unavailable, internal, cancelled, deadline-exceeded or resource-exhausted"
		}
	}
	return ""
}

func all[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !is(x) })
}

func isHTTPCondition(s string) bool {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	return strings.EqualFold(s, "5xx") || strings.EqualFold(s, "gateway-error") ||
		err1 == nil && err2 == nil && 100 <= from && from <= to && to < 600
}

func isGRPCCondition(s string) bool {
	return slices.Contains([]string{"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"},
		strings.ToLower(s))
}

// linkerdDuration reads a duration as Linkerd's policy controller does: one whole number and one unit, unless it is 0.
func linkerdDuration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	digits := strings.TrimRight(s, "hmsd")
	n, isNumber := number(digits, 64)
	unit, ok := map[string]time.Duration{
		"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "": 0,
	}[s[len(digits):]]
	over, _ := bits.Mul64(n, uint64(unit/time.Millisecond))
	return time.Duration(n) * unit, isNumber && ok && over == 0 && (unit != 0 || n == 0)
}

// number reads a whole number as Linkerd's policy controller does.
func number(s string, size int) (n uint64, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, size)
	return n, err == nil
}

// accrualProblem says why a Service's circuit breaker has no effect; empty: it has (linkerd2 edge-26.8.3,
// policy-controller/k8s/index/src/outbound/index.rs parse_accrual_config).
func accrualProblem(annotations map[string]string) string {
	mode, there := annotations[annAccrual]
	if !there {
		return "there is no " + annAccrual
	}
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		value, why := strings.TrimSpace(annotations[name]), ""
		switch part := strings.TrimPrefix(name, annAccrual); part {
		case "":
			if mode != "consecutive" && mode != "unified" {
				why = "not consecutive or unified"
			}
		case "-consecutive-max-failures":
			if _, ok := number(value, 32); !ok {
				why = "not a number"
			}
		case "-consecutive-max-penalty", "-consecutive-min-penalty":
			if _, ok := linkerdDuration(value); !ok {
				why = "not a duration such as 5s or 150ms"
			}
		case "-consecutive-jitter-ratio":
			if ratio, err := strconv.ParseFloat(value, 32); err != nil || !(ratio >= 0 && ratio <= 100) {
				why = "not a number from 0 to 100"
			}
		}
		if why != "" {
			return fmt.Sprintf("its annotation %s is %q, %s", name, untrusted.Short(annotations[name], 80), why)
		}
	}
	return ""
}

// settings are those of requests that follow a rule of a route or, where r is nil, the default path.
func (q question) settings(r *route, rule int) []Setting {
	kind := PathHTTPRoute
	var out []Setting
	if r != nil {
		if splitsConnections(r.kind) {
			return nil
		}
		kind = r.kind
		own := maps.Clone(r.raw.GetAnnotations())
		maps.DeleteFunc(own, func(name, _ string) bool { return strings.HasPrefix(name, annAccrual) }) // Services' alone
		out = slices.Concat(settingsOn(r.ref.String(), own, kind), r.timeoutOf(rule))
	}
	own := func(prefix string) bool {
		return slices.ContainsFunc(out, func(s Setting) bool {
			ofRule := prefix == annTimeout && strings.HasPrefix(s.Field, "spec.")
			return s.Why == "" && (ofRule || strings.HasPrefix(s.Field, prefix))
		})
	}
	for _, s := range settingsOn("Service "+q.at.Namespace+"/"+q.at.Name, q.at.Settings, kind) {
		for _, prefix := range []string{annTimeout, annRetry} {
			if strings.HasPrefix(s.Field, prefix) && own(prefix) {
				s.Why = cmp.Or(s.Why, "the route has its own")
			}
		}
		out = append(out, s)
	}
	return out
}

// settingsOn are the settings among annotations. One that cannot be read takes the others of its sort with it.
func settingsOn(object string, annotations map[string]string, kind Path) []Setting {
	var out []Setting
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		sort := annTimeout
		switch {
		case strings.HasPrefix(name, annAccrual):
			sort = annAccrual
		case strings.HasPrefix(name, annRetry):
			sort = annRetry
		case !strings.HasPrefix(name, annTimeout):
			continue
		}
		s := Setting{Object: object, Field: untrusted.Short(name, 100), Value: untrusted.Short(annotations[name], 100)}
		same := maps.Clone(annotations)
		maps.DeleteFunc(same, func(n, _ string) bool { return !strings.HasPrefix(n, sort) })
		switch {
		case name == annRetry+"http" && kind != PathHTTPRoute, name == annRetry+"grpc" && kind != PathGRPCRoute:
			s.Why = "requests here follow a " + string(kind)
		case sort == annAccrual:
			s.Why = accrualProblem(same)
		case unreadableSetting(same, kind) != "":
			s.Why = unreadableSetting(same, kind)
		case name == annRetry+"limit" || name == annRetry+"timeout":
			if strings.Trim(s.Value, " +0hmsd") == "" {
				s.Why = "0 is none"
			}
		}
		out = append(out, s)
	}
	return out
}

// timeoutOf is the timeout of a rule: Linkerd reads that of the request alone, the route's annotation comes first, and
// of the Gateway API's durations it knows those of one unit.
func (r *route) timeoutOf(rule int) []Setting {
	raw := r.spec.Rules[rule].Timeouts.Request
	if raw == "" {
		return nil
	}
	s := Setting{
		Object: r.ref.String(), Field: fmt.Sprintf("spec.rules[%d].timeouts.request", rule), Value: untrusted.Short(raw, 100),
	}
	d, ok := linkerdDuration(raw)
	if !ok && strings.HasPrefix(r.ref.APIVersion, groupPolicy+"/") {
		var err error
		d, err = time.ParseDuration(raw)
		ok = err == nil
	}
	switch {
	case !ok:
		s.Why = "Linkerd reads one whole number and one unit"
	case d == 0:
		s.Why = "0 is no timeout"
	case r.raw.GetAnnotations()[annTimeout+"request"] != "":
		s.Why = "the route's annotation comes first"
	}
	return []Setting{s}
}

// istioTimeouts are those of a route's rule, both of which Istio reads (istio 86c9f01fd73,
// pilot/pkg/config/kube/gateway/conversion.go convertHTTPRoute). Its retries stay with the backend that was drawn.
func (r *route) istioTimeouts(rule int) []Setting {
	t, field := r.spec.Rules[rule].Timeouts, fmt.Sprintf("spec.rules[%d].timeouts.", rule)
	return slices.Concat(cutOff(r.ref.String(), field+"request", t.Request),
		cutOff(r.ref.String(), field+"backendRequest", t.BackendRequest))
}

// cutOff is a timeout of Istio's, none where it is 0 or none is written.
func cutOff(object, field, value string) []Setting {
	if d, err := time.ParseDuration(value); err != nil || d == 0 {
		return nil
	}
	return []Setting{{Object: object, Field: field, Value: untrusted.Short(value, 100)}}
}
