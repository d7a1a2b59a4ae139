package witness

import (
	"bytes"
	"net"
	"strconv"
	"strings"
)

// Names of Linkerd's counters, less _total, which some versions and scrapers leave out. Sources: linkerd2-proxy,
// registry prefix "outbound" (linkerd/app/src/lib.rs) and labels of linkerd/app/outbound/src/metrics.rs.
const (
	nameStarted     = "process_start_time_seconds"
	nameProfile     = "route_request"
	nameAttempts    = "route_actual_request"
	nameLegacy      = "request"
	nameEndpoints   = "balancer_endpoints"
	nameShutNow     = "balancer_queue_gate_shut_time_seconds"
	nameTCPOpened   = "outbound_tcp_route_open"
	nameTLSOpened   = "outbound_tls_route_open"
	queueRequests   = "balancer_queue_requests"
	queueGateShut   = "balancer_queue_gate_shut"
	routeBackend    = "_route_backend_requests"
	routeRetries    = "_route_retry_requests"
	prefixHTTP      = "outbound_http_"
	prefixGRPC      = "outbound_grpc_"
	prefixTCP       = "outbound_tcp_"
	prefixTLS       = "outbound_tls_"
	labelRouteKind  = "route_kind"
	kindDefault     = "default"
	directionLabel  = "direction"
	directionWanted = "outbound"
)

// linkerdLine takes one line of a Linkerd proxy's page. Names are matched by what they begin and end with, so that a
// level more or less in the registry's names, as between versions, does no harm.
func (p *Page) linkerdLine(s *scanner, line []byte, t Target) (bool, error) {
	name, ls, value, err := s.sample(line)
	if err != nil {
		return false, err
	}
	n := strings.TrimSuffix(string(name), "_total")
	has := func(prefix, suffix string) bool { return strings.HasPrefix(n, prefix) && strings.HasSuffix(n, suffix) }
	switch {
	case n == nameStarted:
		if value > 0 && value < maxCount {
			p.Started = value
		}
		return true, nil
	case has(prefixHTTP, queueRequests), has(prefixGRPC, queueRequests):
		return p.byParent(&p.Queue, ls, value, t)
	case has(prefixTCP, queueRequests), has(prefixTLS, queueRequests):
		return p.byParent(&p.Streams, ls, value, t)
	case has(prefixHTTP, queueGateShut), has(prefixGRPC, queueGateShut):
		return p.byParent(&p.GateShut, ls, value, t)
	case has("outbound_", nameShutNow):
		if leaf := p.leafOf(ls, t); leaf >= 0 && value > 0 {
			p.InFail[leaf] = true
		}
		return true, nil
	case has("outbound_", nameEndpoints):
		return p.endpoints(ls, value, t)
	case has(prefixHTTP, routeBackend), has(prefixGRPC, routeBackend):
		return p.routeBackend(ls, value, t)
	case has(prefixHTTP, routeRetries), has(prefixGRPC, routeRetries):
		if !parentIs(ls, t) {
			return false, nil
		}
		return take(value, p.Retries.add)
	case n == nameTCPOpened, n == nameTLSOpened:
		if !parentIs(ls, t) {
			return false, nil
		}
		return take(value, func(n int64) { p.path(PathConnections, n) })
	case n == nameProfile, n == nameAttempts:
		return p.profile(n, ls, value, t)
	case n == nameLegacy:
		return p.legacy(ls, value, t)
	}
	return false, nil
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

// parentIs reports whether the labels name the root Service as what the client dialled.
func parentIs(ls labels, t Target) bool {
	if !ls.is("parent_name", t.Root) || !ls.is("parent_namespace", t.Namespace) {
		return false
	}
	if kind := ls.get("parent_kind"); len(kind) > 0 && !bytes.Equal(kind, []byte("Service")) {
		return false
	}
	port := ls.get("parent_port")
	return t.Port == 0 || len(port) == 0 || string(port) == strconv.Itoa(int(t.Port))
}

const (
	notTheRoot = -2 // the sample is of another Service
	notALeaf   = -1 // of the root, for a backend that the split does not have
)

// leafOf is the leaf that the labels name as a backend of the root. The same Service on another port is another
// backend.
func (p *Page) leafOf(ls labels, t Target) int {
	if !parentIs(ls, t) {
		return notTheRoot
	}
	port := ls.get("backend_port")
	for i, l := range t.Leaves {
		if ls.is("backend_name", l.Service) && ls.is("backend_namespace", l.Namespace) &&
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

// routeBackend counts a draw of the policy path. Under the default route, which has no object, there is no split.
func (p *Page) routeBackend(ls labels, value float64, t Target) (bool, error) {
	leaf := p.leafOf(ls, t)
	if leaf == notTheRoot {
		return false, nil
	}
	kind := PathDefault
	switch k := ls.get(labelRouteKind); {
	case bytes.EqualFold(k, []byte(PathHTTPRoute)):
		kind = PathHTTPRoute
	case bytes.EqualFold(k, []byte(PathGRPCRoute)):
		kind = PathGRPCRoute
	case len(k) > 0 && !bytes.Equal(k, []byte(kindDefault)):
		return false, nil // a kind of route that this version does not know
	}
	return take(value, func(n int64) {
		p.path(kind, n)
		if kind != PathDefault {
			p.Route.add(leaf, n)
		}
	})
}

// profile counts requests that took the ServiceProfile's path; attempts above requests are retries, each a draw of its
// own.
func (p *Page) profile(name string, ls labels, value float64, t Target) (bool, error) {
	if !ls.is(directionLabel, directionWanted) || !authorityIs(ls.get("dst"), t.Root, t.Namespace, t.Port) {
		return false, nil
	}
	path := PathProfile
	if name == nameAttempts {
		path = pathAttempts
	}
	return take(value, func(n int64) { p.path(path, n) })
}

// pathAttempts keeps the attempts of the profile's path beside its requests.
const pathAttempts Path = "ServiceProfile attempts"

// legacy counts requests to endpoints by the authority that they were sent for, as all versions have them.
func (p *Page) legacy(ls labels, value float64, t Target) (bool, error) {
	if !ls.is(directionLabel, directionWanted) {
		return false, nil
	}
	leaf := notALeaf
	for i, l := range t.Leaves {
		switch authority := ls.get("authority"); {
		case authorityIs(authority, l.Service, l.Namespace, l.Port):
		case l.Cluster != "" && ls.is("dst_target_cluster", l.Cluster) && ls.is("dst_target_service", l.RemoteService) &&
			ls.is("dst_target_service_namespace", l.RemoteNamespace):
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
	return take(value, func(n int64) { p.Legacy.add(leaf, n) })
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
