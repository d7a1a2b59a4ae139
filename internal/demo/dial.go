package demo

import (
	"context"
	"net"
	"slices"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// adminDestination is the admin port of the proxy beside a meshed client.
const adminDestination = "proxy admin"

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
	d, err := p.resolve(v, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	real, ok := p.addresses[d]
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, real)
	if err != nil {
		return nil, err
	}
	p.proxies.from(conn, v.pod, d.calls)
	return conn, nil
}

func (p *dataPlane) resolve(v vantage, address string) (destination, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return destination{}, err
	}
	if host == "localhost" || host == "127.0.0.1" {
		if v.meshed && port == "4191" {
			return destination{service: adminDestination}, nil
		}
		return destination{}, syscall.ECONNREFUSED
	}
	if net.ParseIP(host) == nil {
		name, ok := p.service(host)
		if !ok {
			return destination{}, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return p.servicePort(v, name, port)
	}
	return p.resolveIP(v, host, port)
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

func (p *dataPlane) servicePort(v vantage, name, port string) (destination, error) {
	want := map[string][]string{backendWest: {"9898", "9999"}, backendEast: {"9898", "9999"}, "frontend": {"8080"}}
	if !slices.Contains(want[name], port) {
		return destination{}, syscall.ECONNREFUSED // other ports are not simulated
	}
	return destination{service: name, meshed: v.meshed, calls: port == "9999"}, nil
}

func (p *dataPlane) resolveIP(v vantage, ip, port string) (destination, error) {
	services, _ := p.objects.list("services", testNamespace)
	for _, o := range services {
		if at, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP"); at == ip {
			return p.servicePort(v, o.GetName(), port)
		}
	}
	if _, ok := p.addresses[destination{pod: ip}]; ok && port == "9898" {
		return destination{pod: ip}, nil
	}
	_, frontends := podsOf(p.objects, "frontend")
	if slices.Contains(frontends, ip) && port == "8080" {
		return destination{service: "frontend", meshed: v.meshed}, nil
	}
	if s := westSite().with(p.options); ip == s.GatewayIP && port == s.GatewayPort && !p.options.GatewayDown {
		return destination{service: backendEast}, nil // whoever dials it by hand has no certificate
	}
	if strings.HasPrefix(ip, westSite().PodNet+".") {
		return destination{}, syscall.ECONNREFUSED
	}
	return destination{}, syscall.EHOSTUNREACH
}
