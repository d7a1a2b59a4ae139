package demo

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// proxyErrorHeader is where a proxy says that it made the answer itself, and why.
const proxyErrorHeader = "l5d-proxy-error"

// dataPlane is what answers at the addresses of west. Each listener is one destination as one kind of client sees it.
type dataPlane struct {
	options    Options
	life       *lifetime
	split      *splitter
	west, east *podinfo
	objects    *store
	proxies    *proxies

	addresses map[destination]string // where each destination really listens
	cut       atomic.Bool            // the gateway is gone for now, though no object says so
}

// destination is one thing to dial; pod is the address of a pod that is dialled past its Service, calls the port of
// gRPC.
type destination struct {
	service string
	pod     string
	meshed  bool
	calls   bool
}

func newDataPlane(o Options, life *lifetime) *dataPlane {
	p := &dataPlane{
		options: o, life: life, split: newSplitter(o.Seed), proxies: newProxies(o.GatewayDown),
		addresses: map[destination]string{},
	}
	if o.TrueWeights != nil {
		p.split.force([]share{{backendWest, o.TrueWeights[backendWest]}, {backendEast, o.TrueWeights[backendEast]}})
	}
	return p
}

func (p *dataPlane) start(west, east *cluster) error {
	p.objects = west.store
	routes, _ := west.resources.byName(routeKey().plural)
	p.proxies.group = routes.Group
	names, ips := podsOf(west.store, backendWest)
	var err error
	if p.west, err = newPodinfo(west.site, names); err != nil {
		return err
	}
	remote, _ := podsOf(east.store, backendWest)
	if p.east, err = newPodinfo(east.site, remote); err != nil {
		return err
	}
	handlers := map[destination]http.HandlerFunc{
		{service: backendWest, meshed: true}:  p.serveRoot,
		{service: backendWest, meshed: false}: p.serveLocal,
		{service: backendEast, meshed: true}:  p.serveEast,
		{service: backendEast, meshed: false}: emptyReply,
		{service: "frontend", meshed: true}:   p.serveFrontend,
		{service: "frontend", meshed: false}:  p.serveFrontend,
		{service: adminDestination}:           p.serveAdmin,
	}
	for i, ip := range ips {
		handlers[destination{pod: ip}] = p.west.one(i).ServeHTTP
	}
	for d, h := range handlers {
		if p.addresses[d], err = p.life.serve("destination "+d.service+d.pod, h, nil, nil); err != nil {
			return err
		}
		if d.service != backendWest && d.service != backendEast {
			continue
		}
		d.calls = true
		if p.addresses[d], err = p.life.serve("calls of "+d.service, h, nil, overHTTP2()); err != nil {
			return err
		}
	}
	return nil
}

// overHTTP2 is what gRPC is spoken over where there is no TLS.
func overHTTP2() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
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

// serveRoot is the root Service as a meshed client sees it.
func (p *dataPlane) serveRoot(w http.ResponseWriter, r *http.Request) {
	name, rules := backendWest, rulesOfNobody
	switch {
	case p.options.StalePath:
		p.split.local()
	case p.options.Route:
		name, rules = p.split.draw(), rulesOfRoute
	default:
		name, rules = p.split.draw(), rulesOfProfile
	}
	p.proxies.of(r).draw(name, rules)
	p.leaf(name, "logical service "+backendWest+clusterSuffix+":9898: ")(w, r)
}

// serveLocal is the root Service without the mesh: the pods of its own cluster and no draw.
func (p *dataPlane) serveLocal(w http.ResponseWriter, r *http.Request) {
	p.split.local()
	p.west.ServeHTTP(w, r)
}

// serveEast is the mirror Service as a meshed client sees it: no draw.
func (p *dataPlane) serveEast(w http.ResponseWriter, r *http.Request) {
	p.proxies.of(r).dialDirect(backendEast)
	p.leaf(backendEast, "")(w, r)
}

// leaf is one backend. Under names on whose behalf a failure is reported.
func (p *dataPlane) leaf(name, under string) http.HandlerFunc {
	if under == "" {
		under = "logical service " + name + clusterSuffix + ":9898: route default.http: backend "
	}
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case name == backendWest:
			p.west.ServeHTTP(w, r)
		case name != backendEast || p.options.GatewayDown || p.cut.Load():
			w.Header().Set(proxyErrorHeader, under+"Service."+testNamespace+"."+name+":9898: service in fail-fast")
			w.WriteHeader(http.StatusGatewayTimeout)
		default:
			t := time.NewTimer(p.split.delay(p.options.GatewayDelay))
			defer t.Stop()
			select {
			case <-t.C:
				p.east.ServeHTTP(w, r)
			case <-r.Context().Done():
				panic(http.ErrAbortHandler) // returning would answer 200 with nothing in it
			}
		}
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
		p.serveMetrics(w, r)
	case "/ready":
		_, _ = fmt.Fprintln(w, "ready")
	case "/live":
		_, _ = fmt.Fprintln(w, "live")
	default:
		http.NotFound(w, r)
	}
}
