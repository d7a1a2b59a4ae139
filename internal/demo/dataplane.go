package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// proxyErrorHeader is where a proxy says that it made the answer itself, and why.
const proxyErrorHeader = "l5d-proxy-error"

// How long proxies wait, as those of edge-26.8.3 do unless told otherwise.
const (
	// failFast is how long a queue holds requests for a backend without ready endpoint, from the first on. Then it is
	// shut: those that wait get 504, and the others carry the backend's weight.
	failFast = 3 * time.Second
	// discoveryIdle is how long a proxy keeps what it was told about a destination that has no traffic.
	discoveryIdle = 5 * time.Second
)

// dataPlane is what answers at the addresses of west, behind one listener: what a connection is to is noted when it is
// dialled.
type dataPlane struct {
	options    Options
	split      *splitter
	gates      map[string]*gate // by backend
	west, east *podinfo
	objects    *store
	proxies    *proxies
	address    string       // of the listener
	cut        atomic.Bool  // the gateway passes nothing on, though no object says so
	skew       atomic.Int64 // nanoseconds that the clock is ahead, in tests
}

// now is the time by which proxies go.
func (p *dataPlane) now() time.Time { return time.Now().Add(time.Duration(p.skew.Load())) }

func newDataPlane(o Options, west, east *cluster) *dataPlane {
	p := &dataPlane{
		options: o, objects: west.store, split: newSplitter(o.Seed), west: newPodinfo(west.site), east: newPodinfo(east.site),
	}
	p.gates = map[string]*gate{backendWest: {now: p.now}, backendEast: {now: p.now}}
	if o.GatewayDown { // for long
		p.gates[backendEast].set(func(g *gate) { g.forced = true })
	}
	routes, _ := west.resources.byName(routeKey().plural)
	p.proxies = &proxies{
		plane: p, group: routes.Group, stale: o.StalePath, conns: map[string]connection{}, byPod: map[string]*proxyCounters{},
	}
	p.proxies.first, _ = podsOf(west.store, "frontend")
	if o.TrueWeights != nil {
		p.split.force([]share{{backendWest, o.TrueWeights[backendWest]}, {backendEast, o.TrueWeights[backendEast]}})
	}
	return p
}

// start listens for HTTP/1.1, and for HTTP/2 without TLS, which gRPC is spoken over.
func (p *dataPlane) start(life *lifetime) (err error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	p.address, err = life.serve("the data plane", http.HandlerFunc(p.serve), nil, protocols)
	return err
}

func (p *dataPlane) serve(w http.ResponseWriter, r *http.Request) { p.proxies.of(r).to(w, r) }

// gate is the queue of one backend in the proxies of west.
type gate struct {
	now func() time.Time

	mu     sync.Mutex
	empty  bool          // it has no endpoint that answers
	forced bool          // it is as if so, and shut
	since  time.Time     // since when; zero: it has one
	times  int64         // that it was shut and opened again
	opened chan struct{} // closed when requests need wait no longer
}

// set says whether there is an endpoint that answers, and whether the gate is shut whatever there is.
func (g *gate) set(change func(*gate)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
	switch dead := g.empty || g.forced; {
	case dead && g.since.IsZero():
		g.since, g.opened = g.now(), make(chan struct{})
	case !dead && !g.since.IsZero():
		if g.now().Sub(g.since) >= failFast {
			g.times++
		}
		g.since = time.Time{}
		close(g.opened)
	}
	if g.forced {
		g.since = g.now().Add(-failFast)
	}
}

// state is whether requests wait, nil if not, and until when at most; whether the gate is shut; and how often it was.
func (g *gate) state() (wait <-chan struct{}, until time.Time, shut bool, times int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since.IsZero() {
		return nil, time.Time{}, false, g.times
	}
	until = g.since.Add(failFast)
	if !g.now().Before(until) {
		return nil, until, true, g.times + 1
	}
	return g.opened, until, false, g.times
}

// withheld reports whether proxies give the backend's weight to the others.
func (p *dataPlane) withheld(backend string) bool {
	g, ok := p.gates[backend]
	if !ok {
		return false
	}
	_, _, shut, _ := g.state()
	return shut
}

// serveRoot is the root Service as a meshed client sees it.
func (p *dataPlane) serveRoot(w http.ResponseWriter, r *http.Request) {
	t := p.proxies.of(r)
	law := t.obeys(p.split.declared(), p.now())
	name := p.split.draw(law.shares, p.withheld)
	t.draw(name, law.rules)
	why := "logical service " + backendWest + clusterSuffix + ":9898: Service." + testNamespace + "." + name +
		":9898: service in fail-fast"
	p.leaf(name, http.StatusGatewayTimeout, why)(w, r)
}

// serveLocal is the root Service without the mesh: the pods of its own cluster and no draw.
func (p *dataPlane) serveLocal(w http.ResponseWriter, r *http.Request) {
	p.split.local()
	p.west.ServeHTTP(w, r)
}

// serveEast is the mirror Service as a meshed client sees it: no draw.
func (p *dataPlane) serveEast(w http.ResponseWriter, r *http.Request) {
	p.proxies.of(r).dialDirect(backendEast)
	p.leaf(backendEast, http.StatusServiceUnavailable, "logical service "+backendEast+clusterSuffix+
		":9898: route default.http: service unavailable")(w, r)
}

// leaf is one backend, with what the proxy answers where it cannot be reached: the status is that of a queue which is
// shut. Requests before wait until it is, and end as 504.
func (p *dataPlane) leaf(name string, status int, why string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g, ok := p.gates[name]
		if !ok { // there is no such Service
			refuse(w, status, why)
			return
		}
		wait, until, shut, _ := g.state()
		if wait != nil && !waitFor(r.Context(), wait, until.Sub(p.now())) {
			shut, status = true, http.StatusGatewayTimeout
		}
		switch {
		case shut:
			refuse(w, status, why)
		case name == backendWest:
			p.west.ServeHTTP(w, r)
		case p.cut.Load():
			refuse(w, http.StatusGatewayTimeout, "gateway: service in fail-fast")
		default:
			waitFor(r.Context(), nil, p.split.delay(p.options.GatewayDelay))
			p.east.ServeHTTP(w, r)
		}
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set(proxyErrorHeader, why)
	w.WriteHeader(status)
}

// waitFor reports whether it was called off before the time was over. It ends the connection if the client goes first:
// returning would answer 200 with nothing in it.
func waitFor(ctx context.Context, off <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-off:
		return true
	case <-t.C:
		return false
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	}
}

// serveFrontend is nginx in the frontend pod, a client of the mesh unless the pod is outside it. What it passes on is
// drawn anew for each request.
func (p *dataPlane) serveFrontend(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "nginx/1.27.0")
	passed := r.Clone(r.Context())
	path, east := strings.CutPrefix(r.URL.Path, "/east")
	passed.URL.Path = "/" + strings.TrimPrefix(path, "/")
	switch {
	case east && p.options.OffMesh:
		http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
	case east:
		p.serveEast(w, passed)
	case p.options.OffMesh:
		p.serveLocal(w, passed)
	default:
		p.serveRoot(w, passed)
	}
}

// emptyReply is east's gateway to a client without a certificate of the mesh: it hangs up.
func emptyReply(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// serveAdmin is the proxy's own port.
func (p *dataPlane) serveAdmin(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/metrics":
		if p.options.NoCounters {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		p.proxies.of(r).write(w, p.options.OldProxy)
	case "/ready":
		_, _ = fmt.Fprintln(w, "ready")
	case "/live":
		_, _ = fmt.Fprintln(w, "live")
	default:
		http.NotFound(w, r)
	}
}

// dial opens a connection to host:port as a process at v would get it: names are Services as west's objects have them,
// addresses are ClusterIPs, pods and the gateway. Unknown names give a *net.DNSError, ports that nothing listens on a
// refused connection, and what west cannot reach no route.
func (p *dataPlane) dial(ctx context.Context, v vantage, network, address string) (net.Conn, error) {
	if !slices.Contains([]string{"tcp", "tcp4"}, network) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	if real, ok := p.options.Forward[address]; ok && v.meshed {
		return (&net.Dialer{}).DialContext(ctx, network, real)
	}
	to, port, err := p.resolve(v, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, p.address)
	if err != nil {
		return nil, err
	}
	p.proxies.from(conn, connection{v.pod, port, to})
	return conn, nil
}

// resolve is what answers at an address.
func (p *dataPlane) resolve(v vantage, address string) (to http.HandlerFunc, port string, err error) {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
	case (host == "localhost" || host == "127.0.0.1") && v.meshed && port == "4191":
		to = p.serveAdmin
	case host == "localhost" || host == "127.0.0.1":
		err = syscall.ECONNREFUSED
	case net.ParseIP(host) != nil:
		to, err = p.resolveIP(v, host, port)
	default:
		name, ok := p.service(host)
		if !ok {
			return nil, "", &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		to, err = p.servicePort(v, name, port)
	}
	return to, port, err
}

// service resolves a name as a pod of the test namespace does, search domains included.
func (p *dataPlane) service(host string) (string, bool) {
	labels := strings.Split(strings.ToLower(strings.TrimSuffix(host, ".")), ".")
	domain := strings.Split(strings.TrimPrefix(clusterSuffix, "."), ".")
	for i, l := range labels[1:] {
		if i >= len(domain) || l != domain[i] {
			return "", false
		}
	}
	if n := len(labels) - 1; n != 0 && n != 1 && n != 2 && n != len(domain) {
		return "", false
	}
	_, ok := p.objects.get(key{"services", testNamespace, labels[0]})
	return labels[0], ok
}

// servicePort is what a Service is to a client; other ports than these are not simulated.
func (p *dataPlane) servicePort(v vantage, name, port string) (http.HandlerFunc, error) {
	podinfo := port == "9898" || port == "9999"
	switch {
	case name == backendWest && podinfo && v.meshed:
		return p.serveRoot, nil
	case name == backendWest && podinfo && len(p.west.said()) > 0:
		return p.serveLocal, nil
	case name == backendEast && podinfo && v.meshed:
		return p.serveEast, nil
	case name == backendEast && podinfo:
		return emptyReply, nil
	case name == "frontend" && port == "8080":
		return p.serveFrontend, nil
	}
	return nil, syscall.ECONNREFUSED
}

func (p *dataPlane) resolveIP(v vantage, ip, port string) (http.HandlerFunc, error) {
	services, _ := p.objects.list("services", testNamespace)
	for _, o := range services {
		if at, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP"); at == ip {
			return p.servicePort(v, o.GetName(), port)
		}
	}
	pods, ips := podsOf(p.objects, backendWest)
	if i := slices.Index(ips, ip); i >= 0 && port == "9898" {
		one := newPodinfo(p.west.site)
		one.pods(pods[i : i+1])
		return one.ServeHTTP, nil
	}
	_, frontends := podsOf(p.objects, "frontend")
	switch s := p.west.site; {
	case slices.Contains(frontends, ip) && port == "8080":
		return p.serveFrontend, nil
	case ip == s.GatewayIP && port == s.GatewayPort && !p.withheld(backendEast):
		return emptyReply, nil // whoever dials it by hand has no certificate
	case strings.HasPrefix(ip, s.PodNet+"."):
		return nil, syscall.ECONNREFUSED
	}
	return nil, syscall.EHOSTUNREACH
}

// podsOf lists the pods of an app by name, with their addresses.
func podsOf(s *store, app string) (names, ips []string) {
	pods, _ := s.list("pods", testNamespace)
	for _, o := range pods {
		if o.GetLabels()["app"] == app {
			ip, _, _ := unstructured.NestedString(o.Object, "status", "podIP")
			names, ips = append(names, o.GetName()), append(ips, ip)
		}
	}
	return names, ips
}
