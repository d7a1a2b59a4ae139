package demo

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// proxies are the proxies of the pods in the mesh, each with counters of its own. Who a request is from, and to what,
// is told by the connection that it came over.
type proxies struct {
	plane *dataPlane
	group string   // API group of HTTPRoutes
	first []string // pods that were there at the start
	stale bool     // those obey nothing that they have not cached

	mu    sync.Mutex
	conns map[string]connection // by local address
	byPod map[string]*proxyCounters
}

// connection is of a pod, to a port, and answered by a handler.
type connection struct {
	pod, port string
	to        http.HandlerFunc
}

// from notes what a connection is. It is noted anew whenever its local address is used again, so that there are never
// more than ports. (The connection stays what it is: an engine may want to see a TCP connection.)
func (p *proxies) from(c net.Conn, x connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c.LocalAddr().String()] = x
}

// of is the connection of a request, with the proxy that it came through.
func (p *proxies) of(r *http.Request) through {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conns[r.RemoteAddr]
	if p.byPod[c.pod] == nil {
		n := &proxyCounters{gate: p.plane.gates[backendEast], group: p.group}
		if slices.Contains(p.first, c.pod) {
			n.restart(time.Now().Add(-15*time.Minute), p.stale) // about as long ago as the pod
		} else {
			n.restart(time.Now(), false)
		}
		p.byPod[c.pod] = n
	}
	return through{p.byPod[c.pod], c}
}

// through is a connection through a proxy.
type through struct {
	*proxyCounters
	connection
}

// proxyCounters are the counters of the proxy beside one pod. What they say is what the data plane drew: they are
// simulated as the data plane is, with the names and labels that linkerd2-proxy gives them (registry prefix outbound;
// linkerd/app/outbound/src/metrics.rs).
type proxyCounters struct {
	gate  *gate  // east's queue
	group string // API group of the route
	stale bool   // it began before there were rules

	mu      sync.Mutex
	started time.Time
	opened  int64 // times that the queue was shut before the proxy began
	ports   map[string]*portCounters
}

// portCounters are those of requests to one port.
type portCounters struct {
	drawn  map[string]int64 // of the root, by backend
	direct map[string]int64 // requests to a backend's own Service
	taken  map[string]int64 // requests for the root by whose rules they took: the profile's, the route's or none

	last     time.Time // that the root was asked for
	stuck    bool      // it obeys what it cached before there were rules
	profiled bool      // a profile rules for it
}

// at is what is counted of a port. The caller holds the lock.
func (c *proxyCounters) at(port string) *portCounters {
	if c.ports[port] == nil {
		c.ports[port] = &portCounters{
			drawn: map[string]int64{}, direct: map[string]int64{}, taken: map[string]int64{}, stuck: c.stale,
		}
	}
	return c.ports[port]
}

func (c *proxyCounters) restart(at time.Time, stale bool) {
	_, _, _, times := c.gate.state()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.opened, c.stale, c.ports = at, times, stale, map[string]*portCounters{}
	c.at("9898")
}

// Whose rules a request for the root takes.
const (
	rulesOfProfile = "profile"
	rulesOfRoute   = "route"
	rulesOfNobody  = "default"
)

// obeys is what the proxy goes by in a request for the root, where these are the rules now. It asks whether a profile
// rules when it is first used, and again when it was not used for a while; what it follows then it watches. So a split
// that comes or goes under traffic has no effect, and one that changes has.
func (c through) obeys(l law, at time.Time) ruling {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.at(c.port)
	first, idle := n.last.IsZero(), at.Sub(n.last) >= discoveryIdle
	n.last = at
	if !first && idle {
		n.stuck = false
	}
	if n.stuck {
		return ruling{rules: rulesOfNobody}
	}
	if first || idle {
		n.profiled = l.profiled
	}
	l.profiled = n.profiled
	return l.now()
}

func (c through) draw(backend, rules string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at(c.port).drawn[backend]++
	c.at(c.port).taken[rules]++
}

func (c through) dialDirect(backend string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at(c.port).direct[backend]++
}

// labelsOf are the labels of a backend under a parent, at a port.
func labelsOf(parent, backend, port string) string {
	return serviceLabels("parent", parent, port) + "," + serviceLabels("backend", backend, port)
}

func serviceLabels(role, name, port string) string {
	labels := `X_group="core",X_kind="Service",X_namespace="test",X_name="NAME",X_port="PORT",X_section_name=""`
	return strings.NewReplacer("X", role, "NAME", name, "PORT", port).Replace(labels)
}

// each yields the ports to which anything was sent, and 9898, in order. The caller holds the lock.
func (c *proxyCounters) each(yield func(string, *portCounters) bool) {
	for _, port := range slices.Sorted(maps.Keys(c.ports)) {
		if !yield(port, c.ports[port]) {
			return
		}
	}
}

// write writes the page. A proxy that is old has no counters of its queues.
func (c *proxyCounters) write(w io.Writer, old bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	backends := []string{backendWest, backendEast}
	if !old {
		c.writeQueues(w, backends)
		c.writeRoutes(w, backends)
	}
	for _, name := range []string{"route_request", "route_actual_request"} {
		writeType(w, name, "counter")
		for port, n := range c.each {
			if n := n.taken[rulesOfProfile]; n > 0 {
				fmt.Fprintf(w, "%s_total{direction=\"outbound\",dst=%q} %d\n", name, backendWest+clusterSuffix+":"+port, n)
			}
		}
	}
	fmt.Fprintf(w, "# HELP request_total Total count of HTTP requests.\n")
	writeType(w, "request_total", "counter")
	for port, n := range c.each {
		for _, b := range backends {
			fmt.Fprintf(w, "request_total{direction=\"outbound\",authority=%q,tls=\"true\"} %d\n",
				b+clusterSuffix+":"+port, n.drawn[b]+n.direct[b])
		}
	}
	writeType(w, "process_start_time_seconds", "gauge")
	fmt.Fprintf(w, "process_start_time_seconds %.3f\n", float64(c.started.UnixMilli())/1000)
	if !old {
		writeType(w, "process_uptime_seconds_total", "counter")
		fmt.Fprintf(w, "process_uptime_seconds_total %.3f\n", time.Since(c.started).Seconds())
	}
}

func writeType(w io.Writer, name, kind string) { fmt.Fprintf(w, "# TYPE %s %s\n", name, kind) }

func (c *proxyCounters) writeQueues(w io.Writer, backends []string) {
	const queue, endpoints = "outbound_http_balancer_queue_", "outbound_http_balancer_endpoints"
	writeType(w, queue+"requests", "counter")
	for port, n := range c.each {
		for _, b := range backends {
			fmt.Fprintf(w, queue+"requests_total{%s} %d\n", labelsOf(backendWest, b, port), n.drawn[b])
			if b != backendWest {
				fmt.Fprintf(w, queue+"requests_total{%s} %d\n", labelsOf(b, b, port), n.direct[b])
			}
		}
	}
	writeType(w, queue+"gate_shut", "counter")
	_, _, shut, times := c.gate.state()
	for port := range c.each {
		fmt.Fprintf(w, queue+"gate_shut_total{%s} 0\n", labelsOf(backendWest, backendWest, port))
		fmt.Fprintf(w, queue+"gate_shut_total{%s} %d\n", labelsOf(backendWest, backendEast, port), times-c.opened)
	}
	ready := 1
	if shut {
		ready = 0
	}
	writeType(w, endpoints, "gauge")
	for port := range c.each {
		fmt.Fprintf(w, endpoints+"{%s,endpoint_state=\"ready\"} 2\n", labelsOf(backendWest, backendWest, port))
		fmt.Fprintf(w, endpoints+"{%s,endpoint_state=\"ready\"} %d\n", labelsOf(backendWest, backendEast, port), ready)
	}
}

func (c *proxyCounters) writeRoutes(w io.Writer, backends []string) {
	writeType(w, "outbound_http_route_backend_requests", "counter")
	for port, n := range c.each {
		route := fmt.Sprintf(`route_group=%q,route_kind="HTTPRoute",route_namespace="test",route_name="podinfo"`, c.group)
		if n.taken[rulesOfRoute] == 0 {
			route = `route_group="",route_kind="default",route_namespace="",route_name="http"`
		}
		if n.taken[rulesOfRoute]+n.taken[rulesOfNobody] == 0 {
			continue
		}
		for _, b := range backends {
			if d := n.drawn[b]; d > 0 {
				fmt.Fprintf(w, "outbound_http_route_backend_requests_total{%s,%s,%s} %d\n",
					serviceLabels("parent", backendWest, port), route, serviceLabels("backend", b, port), d)
			}
		}
	}
}

// RestartProxy makes the proxies of west new ones: their counters begin at zero. No object shows it.
func (c *Clusters) RestartProxy() {
	p := c.plane.proxies
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.byPod {
		n.restart(time.Now(), false)
	}
}

// ShutGate makes the proxies of west see no ready endpoint of podinfo-east, or see them again, as if the time was over
// for which requests wait. No object shows it.
func (c *Clusters) ShutGate(shut bool) {
	c.plane.gates[backendEast].set(func(g *gate) { g.forced = shut })
}
