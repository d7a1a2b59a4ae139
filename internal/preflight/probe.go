package preflight

import (
	"cmp"
	"context"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Probed is what a Prober told. It is plain data; Probe fills it.
type Probed struct {
	URL    string              // that stood for the root Service
	Ready  *Answer             // of the proxy's admin port; nil: not asked
	Root   []Answer            // of the root Service
	Direct map[string][]Answer // of each backend that can be asked by itself, by name
	Path   PathSeen            // which path the proxy follows
	TLS    map[string]string   // by cluster: how connections to its gateway were secured, "true" for mutual TLS
}

// PathSeen is which objects the client's proxy follows, as its own counters say.
type PathSeen struct {
	Known         bool
	Why           string // why it is not known
	Path          string // of most requests between two reads of the counters, in the words of law.Path
	Requests      int64  // that were counted on it
	PerConnection bool   // the proxy did not look into the connections
	// of which backend it drew how many requests, or connections, for the root; nil: its counters do not tell
	Draws   map[string]int64
	Retries int64
}

// Bounds of a probe: of an answer of a Service, of one page of a proxy's metrics as far as it is about the split, of
// one request.
const (
	rootProbes    = 20
	directProbes  = 2
	probeBytes    = 64 << 10
	metricsBytes  = 8 << 20
	proxyReady    = "http://127.0.0.1:4191/ready"
	maxProbeError = 200
)

// Probe asks the source pod what only it can see: whether its proxy is ready, where the root's name leads, what the
// root and the backends answer, and by the proxy's own counters which path the requests took. rawURL stands for the
// root Service; "" is its name and port. The error is of the way to the pod.
func Probe(ctx context.Context, v View, rawURL string, p Prober) (*Probed, error) {
	if rawURL == "" {
		rawURL = rootURL(v)
	}
	out := &Probed{URL: rawURL, Direct: map[string][]Answer{}, TLS: map[string]string{}}
	ready, err := p.Fetch(ctx, Get{URL: proxyReady, MaxBytes: 1024})
	if err != nil {
		return nil, err
	}
	out.Ready = &ready
	get := func(target string) (Answer, error) {
		return p.Fetch(ctx, Get{URL: target, Asked: true, MaxBytes: probeBytes})
	}
	pages := newCounters(v)
	if err := pages.read(ctx, p); err != nil {
		return nil, err
	}
	for range rootProbes {
		a, err := get(rawURL)
		if err != nil {
			return nil, err
		}
		out.Root = append(out.Root, a)
		if a.Status == 0 && len(out.Root) == directProbes {
			break // nobody answers: more of the same tells nothing, and each may take as long as a timeout
		}
	}
	if err := pages.read(ctx, p); err != nil {
		return nil, err
	}
	out.Path = pages.path()
	for _, b := range v.Backends {
		if b.IsRoot || !b.Service.Found {
			continue
		}
		for range directProbes {
			a, err := get(backendURL(rawURL, v, b))
			if err != nil {
				return nil, err
			}
			out.Direct[b.Name] = append(out.Direct[b.Name], a)
		}
	}
	if slices.ContainsFunc(v.Backends, func(b law.Backend) bool { return b.Mirror != nil }) {
		if err := pages.read(ctx, p); err != nil {
			return nil, err
		}
		out.TLS = pages.tls()
	}
	return out, nil
}

// rootURL is the root Service by its name.
func rootURL(v View) string {
	return "http://" + hostPort(v, cmp.Or(v.Root.Name, v.Split.Root), v.Root.Namespace, v.Port) + "/"
}

// backendURL is the URL with a backend's own Service in place of the root's.
func backendURL(rawURL string, v View, b law.Backend) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return rawURL
	}
	u.Host = hostPort(v, b.Service.Name, b.Service.Namespace, backendPort(v, b))
	return u.String()
}

// hostPort names a Service as the source pod does: with its namespace where that is another.
func hostPort(v View, name, namespace string, port int32) string {
	if v.Source.Namespace != namespace {
		name += "." + namespace
	}
	return net.JoinHostPort(name, strconv.Itoa(int(port)))
}

// dialled is the address that the pod's connections to the root went to, "" where that is not known.
func (p *Probed) dialled() string {
	if p == nil {
		return ""
	}
	for _, a := range p.Root {
		if host, _, err := net.SplitHostPort(a.RemoteAddr); err == nil {
			return host
		}
	}
	return ""
}

// count is how many answers of the root fit.
func (p *Probed) count(fits func(Answer) bool) int {
	n := 0
	if p == nil {
		return n
	}
	for _, a := range p.Root {
		if fits(a) {
			n++
		}
	}
	return n
}

// describe says in a few words what came back.
func describe(a Answer) shown {
	switch e := a.proxyError(); {
	case a.Empty:
		return "an empty reply"
	case a.Status == 0:
		s := []rune(untrusted.Safe(a.Error))
		return shown("no answer (" + string(s[:min(len(s), maxProbeError)]) + ")")
	case e != "":
		return say("status %d by the client's own proxy (%s)", a.Status, e)
	default:
		return say("status %d", a.Status)
	}
}

// unspoiled is about what stands between a backend's answer and the client. Only the pod can tell.
func unspoiled(s View) (Status, shown) {
	p := s.Probed
	if p == nil {
		return Unknown, "what comes back to the pod was not looked at (--probe does)"
	}
	if len(p.Root) == 0 {
		return Unknown, "nothing was asked for"
	}
	for _, a := range p.Root {
		switch {
		case a.Status == 0, a.Status >= 500 && a.proxyError() != "":
			return Warning, say("%s: %s", p.URL, describe(a))
		case a.Status >= 300 && a.Status < 400:
			return Warning, say("%s answers with a redirect (status %d) to %q", p.URL, a.Status, a.first("Location"))
		case a.first("Age") != "" || strings.Contains(strings.ToLower(a.first("X-Cache")), "hit"):
			return Warning, say("%s is answered by a cache (header Age or X-Cache): "+
				"what it says of a backend was said once", p.URL)
		case strings.HasPrefix(a.first("Content-Type"), "text/html"):
			return Warning, say("%s is answered with a page for browsers (text/html)", p.URL)
		case a.Truncated:
			return Warning, say("%s answers with more than %d bytes", p.URL, probeBytes)
		}
	}
	return OK, say("%d answers of %s: no redirect, no cache, no page for browsers", len(p.Root), p.URL)
}
