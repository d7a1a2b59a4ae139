package told

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Which rule a request takes, as linkerd2-proxy decides it (linkerd/http/route/src): the best match wins over all
// routes and rules, the first of equal ones. Hosts come first: an exact one, then the longest suffix, then none at all.
// Of matches of HTTP the longest path comes first, then the most headers, the most query parameters, a method; of gRPC
// the longest service, the longest method, the most headers.

// rank orders matches that all fit; the greater wins.
type rank [6]int

// matched is the rule that a request takes.
type matched struct {
	route, rule protoreflect.Message
	index       int // of the rule in its route
}

func (p protocol) best(probe law.Probe) (best matched, found bool, err error) {
	var most rank
	for _, route := range p.routes {
		host, fits, err := hostRank(slices.Concat(list(route, "hosts"), list(route, "snis")), probe.Host)
		if err != nil {
			return best, false, err
		}
		if !fits {
			continue
		}
		for i, rule := range list(route, "rules") {
			r, fits, err := p.ruleRank(rule, probe)
			if err != nil {
				return best, false, err
			}
			r[0], r[1] = host[0], host[1]
			if fits && (!found || slices.Compare(most[:], r[:]) < 0) {
				best, most, found = matched{route, rule, i}, r, true
			}
		}
	}
	return best, found, nil
}

// ruleRank is the best match of a rule. One without matches fits everything.
func (p protocol) ruleRank(rule protoreflect.Message, probe law.Probe) (best rank, fits bool, err error) {
	if p.opaque != "" {
		return best, true, nil
	}
	matches, rankOf := list(rule, "matches"), httpRank
	if p.rpc {
		rankOf = rpcRank
	}
	if len(matches) == 0 {
		return rank{2: 1 - boolRank(p.rpc)}, !p.rpc || probe.Method == http.MethodPost, nil
	}
	for _, m := range matches {
		r, ok, err := rankOf(m, probe)
		if err != nil {
			return best, false, err
		}
		if ok && (!fits || slices.Compare(best[:], r[:]) < 0) {
			best, fits = r, true
		}
	}
	return best, fits, nil
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func hostRank(hosts []protoreflect.Message, host string) (best rank, fits bool, err error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, h := range hosts {
		var r rank
		ok := false
		switch kind, m := oneof(h, "match"); kind {
		case "exact":
			name := strings.ToLower(strings.TrimSuffix(text(h, "exact"), "."))
			r, ok = rank{2, len(name)}, name == host
		case "suffix":
			labels := texts(m, "reverse_labels")
			slices.Reverse(labels)
			suffix := "." + strings.ToLower(strings.Join(labels, "."))
			r, ok = rank{1, len(suffix)}, strings.HasSuffix(host, suffix)
		default:
			return best, false, unknownKind("a match of hosts")
		}
		if ok && (!fits || slices.Compare(best[:], r[:]) < 0) {
			best, fits = r, true
		}
	}
	return best, fits || len(hosts) == 0, nil
}

func httpRank(m protoreflect.Message, probe law.Probe) (r rank, fits bool, err error) {
	path, raw, _ := strings.Cut(cmp.Or(probe.Path, "/"), "?")
	r[2] = 1
	if path = cmp.Or(path, "/"); has(m, "path") {
		if r[2], fits, err = pathRank(sub(m, "path"), path); err != nil || !fits {
			return r, false, err
		}
	}
	if fits, err = headersFit(m, probe); err != nil || !fits {
		return r, false, err
	}
	query, _ := url.ParseQuery(raw) // what can be read of it
	params := list(m, "query_params")
	if fits, err = allFit(params, func(name string) []string { return query[name] }); err != nil || !fits {
		return r, false, err
	}
	if has(m, "method") {
		method, err := methodOf(sub(m, "method"))
		if err != nil || method != cmp.Or(probe.Method, http.MethodGet) {
			return r, false, err
		}
	}
	r[3], r[4], r[5] = len(list(m, "headers")), len(params), boolRank(has(m, "method"))
	return r, true, nil
}

func pathRank(m protoreflect.Message, path string) (length int, fits bool, err error) {
	switch kind, _ := oneof(m, "kind"); kind {
	case "exact":
		return len(path), text(m, "exact") == path, nil
	case "prefix":
		prefix := text(m, "prefix")
		if prefix == "/" {
			return 1, true, nil
		}
		prefix = strings.TrimRight(prefix, "/")
		rest, ok := strings.CutPrefix(strings.TrimRight(path, "/"), prefix)
		return len(prefix), ok && (rest == "" || strings.HasPrefix(rest, "/")), nil
	case "regex":
		fits, err := spans(text(m, "regex"), path)
		return len(path), fits, err
	}
	return 0, false, unknownKind("a match of paths")
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

// rpcRank fits POST /SERVICE/METHOD alone.
func rpcRank(m protoreflect.Message, probe law.Probe) (r rank, fits bool, err error) {
	path, _, _ := strings.Cut(probe.Path, "?")
	parts := strings.Split(path, "/")
	if probe.Method != http.MethodPost || len(parts) < 3 || parts[0] != "" {
		return r, false, nil
	}
	for i, field := range []protoreflect.Name{"service", "method"} {
		want := text(sub(m, "rpc"), field)
		if want != "" && want != parts[i+1] {
			return r, false, nil
		}
		r[2+i] = len(want)
	}
	r[4] = len(list(m, "headers"))
	fits, err = headersFit(m, probe)
	return r, fits, err
}

func headersFit(m protoreflect.Message, probe law.Probe) (bool, error) {
	return allFit(list(m, "headers"), func(name string) []string {
		if v, there := probe.Value(name); there {
			return []string{v}
		}
		return nil
	})
}

// allFit asks matches of named values: each must fit some value of its name.
func allFit(matches []protoreflect.Message, values func(name string) []string) (bool, error) {
	for _, m := range matches {
		kind, _ := oneof(m, "value")
		fits := false
		for _, v := range values(text(m, "name")) {
			switch kind {
			case "exact":
				fits = fits || text(m, "exact") == v
			case "regex":
				ok, err := spans(text(m, "regex"), v)
				if err != nil {
					return false, err
				}
				fits = fits || ok
			}
		}
		if kind == "" {
			return false, unknownKind("a match of headers or query parameters")
		}
		if !fits {
			return false, nil
		}
	}
	return true, nil
}

// maxPattern bounds a regular expression, in bytes.
const maxPattern = 1024

// spans reports whether the first find of an expression is the whole value, which is not the same as an anchored one:
// a|ab does not find the whole of ab.
func spans(expr, value string) (bool, error) {
	if len(expr) > maxPattern {
		return false, fmt.Errorf("the control plane told a regular expression of %d characters, which is not tried",
			len(expr))
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return false, fmt.Errorf("the control plane told %q, which does not compile as a regular expression here, so which "+
			"rule the request takes cannot be told", untrusted.Short(expr, 100))
	}
	at := re.FindStringIndex(value)
	return at != nil && at[0] == 0 && at[1] == len(value), nil
}

// unknownKind is the error for what a later version may tell.
func unknownKind(what string) error {
	return errors.New("the control plane told " + what + " of a kind that this program does not know; " +
		"is it of another version?")
}
