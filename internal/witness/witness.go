// Package witness reads the second witness: the counters of the client's own proxy, which draws the backends and knows
// nothing of the answers that the client counted.
//
// It takes pages of metrics as they were fetched, right before and right after the counted burst, and says what the
// proxy drew between them and what disturbed it. It refuses to fetch, to judge a distribution, and to guess: a counter
// that is not on a page is unknown and not zero, and what the counters cannot tell apart is said with them.
//
// Invariant: its memory does not grow with a page, whatever the page says: pages come from a pod and are hostile.
package witness

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

// Kind is whose counters a page has.
type Kind string

// The kinds of proxy that are understood.
const (
	Linkerd Kind = "linkerd"
	Envoy   Kind = "envoy"
)

// PathConnections is, beside the kinds of objects, what a proxy's counters tell where it does not look into the
// connections. The path is "" where no counter tells.
const PathConnections law.Path = "connections"

// Target is the split whose draws are looked for.
type Target struct {
	Namespace string // of the root Service
	Root      string // its name
	Port      int32  // that the client dials; 0: any
	Leaves    []Leaf // in the order in which results number the backends
}

// Leaf is one backend as counters name it.
type Leaf struct {
	Name      string // as the split names it
	Namespace string // of its Service
	Service   string // its name in the client's cluster
	Subset    string // Istio's; "": none
	Port      int32  // that the proxy dials; 0: any
	Weight    int64  // effective

	Cluster, RemoteNamespace, RemoteService string // of a mirror: the target cluster and the Service there; else empty
}

// TargetOf is the split of a Snapshot.
func TargetOf(s law.Snapshot) Target {
	t := Target{Namespace: s.Root.Namespace, Root: s.Root.Name, Port: s.Port}
	for _, b := range s.Backends {
		l := Leaf{Name: b.Name, Namespace: b.Service.Namespace, Service: b.Service.Name, Port: b.Port, Weight: b.Weight}
		for _, x := range s.Law.Backends {
			if x.Name == b.Name {
				l.Namespace, l.Service, l.Subset = x.Namespace, x.Service, x.Subset
			}
		}
		if l.Service == "" {
			l.Service, l.Namespace = b.Name, s.Root.Namespace
		}
		if m := b.Mirror; m != nil {
			l.Cluster = m.Cluster
			l.RemoteNamespace, l.RemoteService, _ = strings.Cut(m.Remote, "/")
		}
		t.Leaves = append(t.Leaves, l)
	}
	return t
}

// Keep are the sets of strings that lines of a page have which say anything of the target: what an agent is asked to
// send of a page of tens of megabytes. A line is wanted if it holds all strings of one set.
func (t Target) Keep(k Kind) [][]string {
	if k == Envoy {
		keep := [][]string{{"server.uptime"}, {"envoy_server_uptime"}}
		seen := map[string]bool{}
		for _, l := range t.Leaves {
			if !seen[l.Service] {
				seen[l.Service] = true
				keep = append(keep, []string{"cluster", "upstream_", l.Service}, []string{"cluster", "membership_", l.Service})
			}
		}
		return keep
	}
	keep := [][]string{{nameStarted}, {nameUptime}}
	parent := fmt.Sprintf("parent_name=%q", t.Root)
	for _, name := range []string{"balancer", "outbound_http_route", "outbound_grpc_route", prefixTCP, prefixTLS} {
		keep = append(keep, []string{name, parent})
	}
	dst := fmt.Sprintf(`dst="%s.`, t.Root)
	keep = append(keep, []string{"route_request_total", dst}, []string{"route_actual_request_total", dst})
	seen := map[string]bool{}
	for _, l := range t.Leaves {
		keep = append(keep, []string{"balancer_queue_requests", fmt.Sprintf("parent_name=%q", l.Service)},
			[]string{"route_actual_request_total", fmt.Sprintf(`dst="%s.`, l.Service)})
		for _, name := range []string{l.Service, l.RemoteService} {
			if name != "" && !seen[name] {
				seen[name] = true
				keep = append(keep, []string{"request_total", "outbound", name})
			}
		}
	}
	return keep
}

// The words of --witness besides the kinds of proxy and an address.
const (
	Auto = "auto"
	Off  = "off"
)

// Default addresses of the admin servers, from inside the pod.
const (
	LinkerdURL = "http://127.0.0.1:4191/metrics"
	istioURL   = "http://127.0.0.1:15000/stats"
	envoyURL   = "http://127.0.0.1:9901/stats"
)

// envoyFilter has Envoy itself leave out what is not asked for.
const envoyFilter = `^(cluster\..*\.(` +
	`upstream_rq_(total|retry|completed|pending_overflow|pending_failure_eject)|` +
	`upstream_cx_(total|none_healthy)|membership_healthy)|server\.uptime)$`

// CheckWord checks what --witness says: auto, linkerd, envoy, off, or the address of a page of metrics inside the pod.
func CheckWord(s string) error {
	switch s {
	case "", Auto, string(Linkerd), string(Envoy), Off:
		return nil
	}
	if u, err := url.Parse(s); err == nil && u.Scheme == "http" && u.Host != "" {
		return nil
	}
	return fmt.Errorf("--witness %q: want auto, linkerd, envoy, off, or the http address of the proxy's metrics "+
		"as the pod reaches it", s)
}

// Locate returns whose counters the source pod's proxy has and where: what the word of --witness says, or what the
// snapshot tells. The error says why there is no such proxy.
func Locate(word string, s law.Snapshot) (Kind, string, error) {
	switch word {
	case string(Linkerd):
		return Linkerd, LinkerdURL, nil
	case string(Envoy):
		return Envoy, envoyStats(s.Source), nil
	case "", Auto:
	default:
		if strings.Contains(word, "/stats") {
			return Envoy, word, nil
		}
		return Linkerd, word, nil
	}
	switch {
	case s.Through != nil:
		return "", "", fmt.Errorf("the pods of Service %s draw the backends, and only the source pod's proxy can be asked",
			s.Through.Service.Name)
	case s.Law.Provider == law.ProviderTraefik:
		return "", "", errors.New("a Traefik draws the backends, not a proxy in the client pod")
	case s.Law.Provider == law.ProviderIstio:
		return Envoy, envoyStats(s.Source), nil
	case s.Source.Meshed:
		return Linkerd, LinkerdURL, nil
	}
	return "", "", errors.New("no proxy is known in the client pod")
}

func envoyStats(pod law.Pod) string {
	address := envoyURL
	if pod.RunsIstio() {
		address = istioURL
	}
	return address + "?filter=" + url.QueryEscape(envoyFilter)
}
