package witness

import (
	"bytes"
	"math"
	"net"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// Names of Linkerd's counters, less _total, which some versions and scrapers leave out. Sources: linkerd2-proxy,
// registry prefix "outbound" (linkerd/app/src/lib.rs) and labels of linkerd/app/outbound/src/metrics.rs; seen on the
// pages of testdata/recorded.
const (
	nameStarted  = "process_start_time_seconds"
	nameUptime   = "process_uptime_seconds"
	nameProfile  = "route_request"
	nameAttempts = "route_actual_request"
	nameLegacy   = "request"
	prefixHTTP   = "outbound_http_"
	prefixGRPC   = "outbound_grpc_"
	prefixTCP    = "outbound_tcp_"
	prefixTLS    = "outbound_tls_"

	labelRouteKind  = "route_kind"
	kindDefault     = "default"
	directionLabel  = "direction"
	directionWanted = "outbound"
)

// family is a set of counters, told by what their names begin and end with, so that a level more or less in the
// registry's names, as between versions, does no harm.
type family struct {
	prefixes []string
	suffix   string
	read     func(*Page, labels, float64, Target) (bool, error)
}

var families = []family{ //nolint:gochecknoglobals // a table that never changes
	{[]string{prefixHTTP, prefixGRPC}, "balancer_queue_requests", (*Page).queued},
	{[]string{prefixTCP, prefixTLS}, "balancer_queue_requests", (*Page).streamed},
	{[]string{"outbound_"}, "balancer_queue_gate_shut", (*Page).gateShut},
	{[]string{"outbound_"}, "balancer_queue_gate_shut_time_seconds", (*Page).shutNow},
	{[]string{"outbound_"}, "balancer_endpoints", (*Page).endpoints},
	{[]string{prefixHTTP, prefixGRPC}, "_route_backend_requests", (*Page).routeBackend},
	{[]string{prefixHTTP, prefixGRPC}, "_route_retry_requests", (*Page).retries},
	{[]string{prefixTCP, prefixTLS}, "_route_open", (*Page).opened},
}

// linkerdLine takes one line of a Linkerd proxy's page.
func (p *Page) linkerdLine(s *scanner, line []byte, t Target) (bool, error) {
	name, ls, value, err := s.sample(line)
	if err != nil {
		return false, err
	}
	n := strings.TrimSuffix(string(name), "_total")
	read := readerOf(n)
	if read == nil {
		return false, nil
	}
	if s.again(name, ls) {
		p.Doubled++
		return true, nil
	}
	return read(p, ls, value, t)
}

// readerOf is what takes samples of a name, nil where nothing does.
func readerOf(n string) func(*Page, labels, float64, Target) (bool, error) {
	switch n {
	case nameStarted:
		return (*Page).started
	case nameUptime:
		return (*Page).upFor
	case nameProfile, nameAttempts:
		return func(p *Page, ls labels, v float64, t Target) (bool, error) { return p.profile(n, ls, v, t) }
	case nameLegacy:
		return (*Page).legacy
	}
	for _, f := range families {
		for _, prefix := range f.prefixes {
			if strings.HasPrefix(n, prefix) && strings.HasSuffix(n, f.suffix) {
				return f.read
			}
		}
	}
	return nil
}

func (p *Page) started(_ labels, value float64, _ Target) (bool, error) {
	if value > 0 && value < maxCount {
		p.Started = value
	}
	return true, nil
}

func (p *Page) upFor(_ labels, value float64, _ Target) (bool, error) {
	return take(math.Floor(value), func(n int64) { p.Uptime = Count{n, true} })
}

// take hands a sample's value on where it is a whole number.
func take(value float64, to func(n int64)) (bool, error) {
	n, err := whole(value)
	if err != nil {
		return false, err
	}
	to(n)
	return true, nil
}

// parentIs reports whether the labels name a Service and port as what the client dialled; unclear: they do not tell.
func parentIs(ls labels, name, namespace string, port int32) (is, unclear bool) {
	parent := ls.get("parent_name")
	if parent != nil && string(parent) != name {
		return false, false
	}
	if kind := ls.get("parent_kind"); len(kind) > 0 && !bytes.Equal(kind, []byte("Service")) {
		return false, false
	}
	if parent == nil || len(ls.get("parent_namespace")) == 0 {
		return false, true
	}
	at := ls.get("parent_port")
	samePort := port == 0 || len(at) == 0 || string(at) == strconv.Itoa(int(port))
	return samePort && ls.is("parent_namespace", namespace), false
}

const (
	notTheRoot = -2 // the sample is of another Service, or does not say of which
	notALeaf   = -1 // of the root, for a backend that the split does not have
)

// leafOf is the leaf that the labels name as a backend of the root: another port is another backend.
func (p *Page) leafOf(ls labels, t Target) int {
	is, unclear := parentIs(ls, t.Root, t.Namespace, t.Port)
	name, namespace, port := ls.get("backend_name"), ls.get("backend_namespace"), ls.get("backend_port")
	if unclear || is && (len(name) == 0 || len(namespace) == 0) {
		p.Unclear++
		return notTheRoot
	}
	if !is {
		return notTheRoot
	}
	for i, l := range t.Leaves {
		if string(name) == l.Service && string(namespace) == l.Namespace &&
			(l.Port == 0 || len(port) == 0 || string(port) == strconv.Itoa(int(l.Port))) {
			return i
		}
	}
	return notALeaf
}

func (p *Page) byParent(c *Counts, ls labels, value float64, t Target) (bool, error) {
	leaf := p.leafOf(ls, t)
	if leaf == notTheRoot {
		return false, nil
	}
	return take(value, func(n int64) { c.add(leaf, n) })
}

func (p *Page) queued(ls labels, v float64, t Target) (bool, error) {
	return p.draws(&p.Queue, ls, v, t)
}

func (p *Page) streamed(ls labels, v float64, t Target) (bool, error) {
	return p.draws(&p.Streams, ls, v, t)
}

func (p *Page) gateShut(ls labels, v float64, t Target) (bool, error) {
	return p.byParent(&p.GateShut, ls, v, t)
}

// draws counts what was handed to balancers: for the root, or for a backend's own Service, which is no draw.
func (p *Page) draws(c *Counts, ls labels, value float64, t Target) (bool, error) {
	p.Modern = true
	for i, l := range t.Leaves {
		own := l.Service != t.Root || l.Namespace != t.Namespace
		if is, _ := parentIs(ls, l.Service, l.Namespace, l.Port); own && is && ls.is("backend_name", l.Service) {
			return take(value, p.Direct[i].add)
		}
	}
	return p.byParent(c, ls, value, t)
}

func (p *Page) shutNow(ls labels, value float64, t Target) (bool, error) {
	leaf := p.leafOf(ls, t)
	if leaf >= 0 && value > 0 {
		p.InFail[leaf] = true
	}
	return leaf >= 0, nil
}

func (p *Page) endpoints(ls labels, value float64, t Target) (bool, error) {
	leaf := p.leafOf(ls, t)
	if leaf < 0 {
		return false, nil
	}
	if !ls.is("endpoint_state", "ready") {
		return true, nil
	}
	return take(value, p.Ready[leaf].add)
}

// ofRoot hands the value of a sample of the root on.
func (p *Page) ofRoot(ls labels, value float64, t Target, to func(n int64)) (bool, error) {
	is, unclear := parentIs(ls, t.Root, t.Namespace, t.Port)
	if unclear {
		p.Unclear++
	}
	if !is {
		return false, nil
	}
	return take(value, to)
}

func (p *Page) retries(ls labels, value float64, t Target) (bool, error) {
	return p.ofRoot(ls, value, t, p.Retries.add)
}

// opened counts connections that the proxy does not look into, by whose rules they took. The policy controller has one
// default route for them besides, whatever its name; that of a ServiceProfile is called so.
func (p *Page) opened(ls labels, value float64, t Target) (bool, error) {
	path := law.PathDefault
	switch kind := law.Path(ls.get(labelRouteKind)); {
	case kind == law.PathTCPRoute, kind == law.PathTLSRoute:
		path = kind
	case ls.is("route_name", "serviceprofile"):
		path = law.PathServiceProfile
	case kind != kindDefault:
		path = ""
	}
	return p.ofRoot(ls, value, t, func(n int64) {
		p.path(PathConnections, n)
		addTo(p.StreamPaths, path, n)
	})
}

// routeBackend counts a draw of the policy path. Under the default route, which has no object, there is no split.
func (p *Page) routeBackend(ls labels, value float64, t Target) (bool, error) {
	leaf := p.leafOf(ls, t)
	if leaf == notTheRoot {
		return false, nil
	}
	kind := law.PathDefault
	switch k := ls.get(labelRouteKind); {
	case bytes.EqualFold(k, []byte(law.PathHTTPRoute)):
		kind = law.PathHTTPRoute
	case bytes.EqualFold(k, []byte(law.PathGRPCRoute)):
		kind = law.PathGRPCRoute
	case len(k) > 0 && !bytes.Equal(k, []byte(kindDefault)):
		return false, nil // a kind of route that this version does not know
	}
	return take(value, func(n int64) {
		p.path(kind, n)
		if kind != law.PathDefault {
			p.Route.add(leaf, n)
		}
	})
}

// profile counts requests that took the ServiceProfile's path; attempts above requests are retries, each a draw of its
// own. Those for a backend's own Service are no draws.
func (p *Page) profile(name string, ls labels, value float64, t Target) (bool, error) {
	if !ls.is(directionLabel, directionWanted) {
		return false, nil
	}
	dst := ls.get("dst")
	if !authorityIs(dst, t.Root, t.Namespace, t.Port) {
		for i, l := range t.Leaves {
			if name == nameAttempts && authorityIs(dst, l.Service, l.Namespace, l.Port) {
				return take(value, p.Own[i].add)
			}
		}
		return false, nil
	}
	path := law.PathServiceProfile
	if name == nameAttempts {
		path = pathAttempts
	}
	return take(value, func(n int64) { p.path(path, n) })
}

// pathAttempts keeps the attempts of the profile's path beside its requests.
const pathAttempts law.Path = "ServiceProfile attempts"

// legacy counts requests to endpoints by the authority that they were sent for, as all versions have them.
func (p *Page) legacy(ls labels, value float64, t Target) (bool, error) {
	if !ls.is(directionLabel, directionWanted) {
		return false, nil
	}
	leaf, to := notALeaf, ""
	for i, l := range t.Leaves {
		mirrored := l.Cluster != "" && ls.is("dst_target_cluster", l.Cluster) &&
			ls.is("dst_target_service", l.RemoteService) && ls.is("dst_target_service_namespace", l.RemoteNamespace)
		switch authority := ls.get("authority"); {
		case mirrored:
			to = l.Cluster
		case authorityIs(authority, l.Service, l.Namespace, l.Port):
		case l.Cluster == "" && len(authority) == 0 && ls.is("dst_service", l.Service) && ls.is("dst_namespace", l.Namespace):
		default:
			continue
		}
		leaf = i
		break
	}
	if leaf < 0 {
		return false, nil
	}
	return take(value, func(n int64) {
		p.Legacy.add(leaf, n)
		if how := ls.get("tls"); to != "" && len(how) > 0 && len(how) <= maxHow && len(p.Mirrored) < maxMirrored {
			addTo(p.Mirrored, security{to, string(how)}, n)
		}
	})
}

// authorityIs reports whether NAME.NAMESPACE.svc.DOMAIN:PORT is the Service; the rest may be missing from the right.
func authorityIs(authority []byte, name, namespace string, port int32) bool {
	host := string(authority)
	if h, at, err := net.SplitHostPort(host); err == nil {
		if port != 0 && at != strconv.Itoa(int(port)) {
			return false
		}
		host = h
	}
	parts := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	switch {
	case parts[0] != strings.ToLower(name) || name == "":
		return false
	case len(parts) >= 2 && parts[1] != strings.ToLower(namespace):
		return false
	case len(parts) >= 3 && parts[2] != "svc":
		return false
	}
	return true
}
