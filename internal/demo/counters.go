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

// proxies are the proxies of the pods in the mesh, each with counters of its own. Who a request is from is told by the
// connection that it came over.
type proxies struct {
	mu      sync.Mutex
	conns   map[string]toProxy // by local address
	byPod   map[string]*proxyCounters
	failing bool   // no ready endpoint of podinfo-east is known
	group   string // API group of HTTPRoutes
}

// toProxy is a connection to a proxy: of which pod it is, and to which port of a Service.
type toProxy struct{ pod, port string }

func newProxies(failing bool) *proxies {
	return &proxies{conns: map[string]toProxy{}, byPod: map[string]*proxyCounters{}, failing: failing}
}

// from notes which pod a connection is of. It is noted anew whenever its local address is used again, so that there are
// never more than ports. (The connection stays what it is: an engine may want to see a TCP connection.)
func (p *proxies) from(c net.Conn, pod string, calls bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	port := "9898"
	if calls {
		port = "9999"
	}
	p.conns[c.LocalAddr().String()] = toProxy{pod, port}
}

// of is the proxy that a request came through, with the port that it is for.
func (p *proxies) of(r *http.Request) through {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.conns[r.RemoteAddr]
	if p.byPod[c.pod] == nil {
		p.byPod[c.pod] = newProxyCounters(p.failing, p.group)
	}
	return through{p.byPod[c.pod], c.port}
}

// through is a proxy on the way to a port.
type through struct {
	*proxyCounters
	port string
}

// each calls f for each proxy that was used, and keeps what later ones begin with.
func (p *proxies) each(failing bool, f func(*proxyCounters)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failing = failing
	for _, c := range p.byPod {
		f(c)
	}
}

// proxyCounters are the counters of the proxy beside one pod. What they say is what the data plane drew: they are
// simulated as the data plane is, with the names and labels that linkerd2-proxy gives them (registry prefix outbound;
// linkerd/app/outbound/src/metrics.rs).
type proxyCounters struct {
	mu      sync.Mutex
	started time.Time
	ports   map[string]*portCounters
	shut    int64  // times that east's queue was shut
	failing bool   // it is shut now
	group   string // API group of the route
}

// portCounters are those of requests to one port.
type portCounters struct {
	drawn  map[string]int64 // of the root, by backend
	direct map[string]int64 // requests to a backend's own Service
	taken  map[string]int64 // requests for the root by whose rules they took: the profile's, the route's or none
}

// at is what is counted of a port. The caller holds the lock.
func (c *proxyCounters) at(port string) *portCounters {
	if c.ports[port] == nil {
		c.ports[port] = &portCounters{map[string]int64{}, map[string]int64{}, map[string]int64{}}
	}
	return c.ports[port]
}

func newProxyCounters(failing bool, group string) *proxyCounters {
	c := &proxyCounters{failing: failing, group: group}
	c.restart(time.Now().Add(-15 * time.Minute)) // about as long ago as the pod
	return c
}

func (c *proxyCounters) restart(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.shut, c.ports = at, 0, map[string]*portCounters{}
	c.at("9898")
}

// Whose rules a request for the root takes.
const (
	rulesOfProfile = "profile"
	rulesOfRoute   = "route"
	rulesOfNobody  = "default"
)

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

// gate shuts or opens the queue of east's leaf.
func (c *proxyCounters) gate(shut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if shut && !c.failing {
		c.shut++
	}
	c.failing = shut
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
	for port := range c.each {
		fmt.Fprintf(w, queue+"gate_shut_total{%s} 0\n", labelsOf(backendWest, backendWest, port))
		fmt.Fprintf(w, queue+"gate_shut_total{%s} %d\n", labelsOf(backendWest, backendEast, port), c.shut)
	}
	ready := 1
	if c.failing {
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

// serveMetrics is the proxy's page of counters.
func (p *dataPlane) serveMetrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	p.proxies.of(r).write(w, p.options.OldProxy)
}

// RestartProxy makes the proxies of west new ones: their counters begin at zero. No object shows it.
func (c *Clusters) RestartProxy() {
	now := time.Now()
	c.plane.proxies.each(c.options.GatewayDown, func(p *proxyCounters) { p.restart(now) })
}

// ShutGate makes the proxies of west see no ready endpoint of podinfo-east, or see them again. While they see none they
// give that backend's weight to the other, as proxies do after their first three seconds. No object shows it.
func (c *Clusters) ShutGate(shut bool) {
	c.plane.proxies.each(shut, func(p *proxyCounters) { p.gate(shut) })
	c.plane.split.withhold(backendEast, shut)
}
