package law

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// OpaqueByDefault reports a port that Linkerd never takes for HTTP unless an annotation says otherwise, an empty one
// too.
func OpaqueByDefault(port int32) bool {
	return slices.Contains([]int32{25, 587, 3306, 4444, 5432, 6379, 9300, 11211}, port)
}

// notHTTP says why the provider's proxy does not take the Service's port for HTTP, so that it draws a backend for each
// connection; empty: it does, or it finds out by itself.
func notHTTP(provider Provider, s Service, port int32) string {
	if !s.Found || port == 0 {
		return ""
	}
	p, _ := s.PortOf(port)
	switch provider {
	case ProviderLinkerd:
		return linkerdOpaque(s, p, port)
	case ProviderIstio:
		return istioTCP(p)
	}
	return ""
}

func linkerdOpaque(s Service, p Port, port int32) string {
	switch {
	case inPorts(s.OpaquePorts, port):
		return fmt.Sprintf("port %d is opaque by the Service's annotation %s", port, AnnOpaquePorts)
	case !s.OpaquePortsSet && OpaqueByDefault(port):
		return fmt.Sprintf("port %d is opaque by Linkerd's default", port)
	}
	switch p.AppProtocol {
	case "", "http", "kubernetes.io/h2c":
		return ""
	}
	return fmt.Sprintf("port %d has appProtocol %q, which Linkerd takes for opaque TCP", port,
		untrusted.Safe(p.AppProtocol))
}

// inPorts reads a list of ports and ranges: "25,4143-4150".
func inPorts(list string, port int32) bool {
	for _, part := range strings.Split(list, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 16)
		to, err2 := strconv.ParseUint(high, 10, 16)
		if err1 == nil && err2 == nil && from <= uint64(port) && uint64(port) <= to {
			return true
		}
	}
	return false
}

// istioTCP: Istio reads the protocol from appProtocol, else from the port name's first part, else finds out itself.
func istioTCP(p Port) string {
	name, from := p.AppProtocol, "appProtocol"
	if name == "" {
		name, _, _ = strings.Cut(p.Name, "-")
		from = "its name"
	}
	switch strings.ToLower(name) {
	case "tcp", "tls", "https", "mongo", "mysql", "redis":
		return fmt.Sprintf("port %d is %s by %s", p.Port, strings.ToLower(untrusted.Safe(name)), from)
	}
	return ""
}
