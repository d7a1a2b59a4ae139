package law

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// OpaqueByDefault reports a port that Linkerd takes for HTTP only where an annotation, be it empty, says so.
func OpaqueByDefault(port int32) bool {
	return slices.Contains([]int32{25, 587, 3306, 4444, 5432, 6379, 9300, 11211}, port)
}

// portUse is what the client's proxy and its control plane make of a port of a Service.
type portUse struct {
	reads  []Path // kinds of routes that count there, the preferred one first; nil: all
	opaque string // why the proxy does not take it for HTTP, and draws for each connection; empty: it does
	clash  string // why it cannot be used unless a ServiceProfile splits it; empty: it can
}

// use says what the provider's proxy makes of the Service's port.
func use(provider Provider, s Service, port int32) portUse {
	if !s.Found || port == 0 {
		return portUse{}
	}
	p, _ := s.PortOf(port)
	switch provider {
	case ProviderLinkerd:
		return linkerdUse(s, p, port)
	case ProviderIstio:
		return portUse{opaque: istioTCP(p)}
	}
	return portUse{}
}

// linkerdUse puts together what two controllers of Linkerd tell. The policy controller goes by the appProtocol and,
// where there is none, by the opaque ports; the destination controller by the opaque ports alone, whose names it knows
// too, and the proxy asks it first: told of an opaque port, it finds no use for a policy of HTTP (linkerd2 edge-26.8.3,
// policy-controller/grpc/src/outbound.rs to_proto, controller/api/destination/watcher/opaque_ports_watcher.go;
// linkerd2-proxy v2.366.0, linkerd/app/outbound/src/sidecar.rs and opaq.rs).
func linkerdUse(s Service, p Port, port int32) portUse {
	opaque, policyToo := opaqueByPorts(s, p, port)
	u := portUse{opaque: opaque}
	switch protocol := strings.ToLower(p.AppProtocol); protocol {
	case "":
		if policyToo {
			u.reads = []Path{PathTCPRoute}
		}
	case "http":
		u.reads = []Path{PathHTTPRoute}
	case "kubernetes.io/h2c":
		u.reads = []Path{PathGRPCRoute, PathHTTPRoute}
	default:
		u.reads = []Path{PathTCPRoute}
		u.opaque = fmt.Sprintf("port %d has appProtocol %q, which Linkerd takes for opaque TCP", port,
			untrusted.Safe(p.AppProtocol))
	}
	if opaque != "" && len(u.reads) > 0 && u.reads[0] != PathTCPRoute {
		u.clash = fmt.Sprintf("%s, and its appProtocol %q says otherwise: proxies serve no connection to it", opaque,
			untrusted.Safe(p.AppProtocol))
	}
	return u
}

// opaqueByPorts says why a port is opaque by the ports that are declared so, and whether the policy controller, which
// knows no names of ports and drops a list with one of them, agrees.
func opaqueByPorts(s Service, p Port, port int32) (why string, policyToo bool) {
	switch listed, readable := InPorts(s.OpaquePorts, port); {
	case listed || p.Name != "" && slices.Contains(portList(s.OpaquePorts), p.Name):
		return fmt.Sprintf("port %d is opaque by the Service's annotation %s", port, AnnOpaquePorts), listed && readable
	case !s.OpaquePortsSet && OpaqueByDefault(port):
		return fmt.Sprintf("port %d is opaque by Linkerd's default", port), true
	}
	return "", false
}

func portList(list string) []string {
	var out []string
	for _, part := range strings.Split(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// InPorts looks a port up in a list of ports and ranges, "25,4143-4150"; readable: all of the list is that.
func InPorts(list string, port int32) (listed, readable bool) {
	readable = true
	for _, part := range portList(list) {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
		to, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
		if err1 != nil || err2 != nil || from == 0 || from > to {
			readable = false
			continue
		}
		listed = listed || from <= uint64(port) && uint64(port) <= to
	}
	return listed, readable
}

// istioTCP says why Istio takes a port for TCP: by the first word of its appProtocol, else of its name; of a port whose
// protocol neither says by its number, else it finds out itself (istio 86c9f01fd73, pkg/config/kube/conversion.go).
func istioTCP(p Port) string {
	name, from := p.AppProtocol, "appProtocol"
	if name == "" {
		name, from = p.Name, "its name"
	}
	word, _, _ := strings.Cut(strings.ToLower(name), "-")
	switch word {
	case "tcp", "tls", "https", "mongo", "mysql", "redis", "kubernetes.io/wss":
		return fmt.Sprintf("port %d is %s by %s", p.Port, untrusted.Safe(word), from)
	case "http", "http2", "http_proxy", "grpc", "kubernetes.io/h2c", "kubernetes.io/ws":
		return ""
	}
	if slices.Contains([]int32{25, 53, 3306, 27017}, p.Port) {
		return fmt.Sprintf("port %d is TCP by its number", p.Port)
	}
	return ""
}
