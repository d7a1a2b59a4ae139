package witness

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
)

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
		return kindOf(word), word, nil
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

// kindOf tells the kind of proxy by the address of its page.
func kindOf(url string) Kind {
	if strings.Contains(url, "/stats") {
		return Envoy
	}
	return Linkerd
}

func envoyStats(pod law.Pod) string {
	address := envoyURL
	if pod.RunsIstio() {
		address = istioURL
	}
	return address + "?filter=" + url.QueryEscape(envoyFilter)
}
