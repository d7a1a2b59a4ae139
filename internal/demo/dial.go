package demo

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

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
