package preflight

import (
	"context"
	"fmt"
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
	TLS    map[string]string   // by cluster: how the probes' connections to its gateway were secured, "true" where they were
}

// PathSeen is which objects the client's proxy follows, as its own counters say.
type PathSeen struct {
	Known         bool
	Why           string // why it is not known
	Path          string // of most requests between two reads of the counters, in the words of law.Path
	Requests      int64  // that were counted on it
	PerConnection bool   // the proxy did not look into the connections
	Retries       int64
}

// Bounds of a probe: of an answer of a Service, of one page of a proxy's metrics as far as it is about the split, of one request.
const (
	rootProbes    = 20
	directProbes  = 2
	probeBytes    = 64 << 10
	metricsBytes  = 8 << 20
	proxyReady    = "http://127.0.0.1:4191/ready"
	userAgent     = "splitbench-check"
	maxProbeError = 200
)

// Probe asks the source pod what only it can see: whether its proxy is ready, where the root's name leads, what the root and the
// backends answer, and by the proxy's own counters which path the requests took. rawURL stands for the root Service; "" is its
// name and port. The error is of the way to the pod.
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
		return p.Fetch(ctx, Get{URL: target, Header: map[string]string{"User-Agent": userAgent}, MaxBytes: probeBytes})
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

// rootURL is the root Service by its name, with its namespace where the client is in another.
func rootURL(v View) string {
	host := v.Split.Root
	if v.Root.Name != "" {
		host = v.Root.Name
	}
	if v.Source.Namespace != v.Root.Namespace {
		host += "." + v.Root.Namespace
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(int(v.Port))) + "/"
}

// backendURL is the URL with a backend's own Service in place of the root's.
func backendURL(rawURL string, v View, b law.Backend) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return rawURL
	}
	host := b.Service.Name
	if v.Source.Namespace != b.Service.Namespace {
		host += "." + b.Service.Namespace
	}
	port := b.Port
	if port == 0 {
		port = v.Port
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(int(port)))
	return u.String()
}

// answered reports whether the backend gave the pod an answer of its own.
func (p *Probed) answered(backend string) bool {
	if p == nil {
		return false
	}
	for _, a := range p.Direct[backend] {
		if a.Status > 0 && a.Status < 400 {
			return true
		}
	}
	return false
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
	if p != nil {
		for _, a := range p.Root {
			if fits(a) {
				n++
			}
		}
	}
	return n
}

// describe says in a few words what came back.
func describe(a Answer) string {
	switch {
	case a.Empty:
		return "an empty reply"
	case a.Status == 0:
		s := []rune(untrusted.Safe(a.Error))
		return "no answer (" + string(s[:min(len(s), maxProbeError)]) + ")"
	}
	s := fmt.Sprintf("status %d", a.Status)
	if e := a.proxyError(); e != "" {
		s += " by the client's own proxy (" + untrusted.Safe(e) + ")"
	}
	return s
}

// unspoiled is about what stands between a backend's answer and the client. Only the pod can tell.
func unspoiled(s View) (Status, string) {
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
			return Warning, fmt.Sprintf("%s: %s", untrusted.Safe(p.URL), describe(a))
		case a.Status >= 300 && a.Status < 400:
			return Warning, fmt.Sprintf("%s answers with a redirect (status %d) to %q", untrusted.Safe(p.URL), a.Status, untrusted.Safe(a.first("Location")))
		case a.first("Age") != "" || strings.Contains(strings.ToLower(a.first("X-Cache")), "hit"):
			return Warning, untrusted.Safe(p.URL) + " is answered by a cache (header Age or X-Cache): what it says of a backend was said once"
		case strings.HasPrefix(a.first("Content-Type"), "text/html"):
			return Warning, untrusted.Safe(p.URL) + " is answered with a page for browsers (text/html)"
		case a.Truncated:
			return Warning, fmt.Sprintf("%s answers with more than %d bytes", untrusted.Safe(p.URL), probeBytes)
		}
	}
	return OK, fmt.Sprintf("%d answers of %s: no redirect, no cache, no page for browsers", len(p.Root), untrusted.Safe(p.URL))
}

// judge compares the path that the counters tell with the one that the objects say.
func (p PathSeen) judge(s View) (Status, string) {
	pod := "the proxy of pod " + untrusted.Safe(s.Source.Name)
	want := string(s.Law.Path)
	switch {
	case p.PerConnection:
		return OK, pod + " does not look into connections: the split is drawn for each of them"
	case p.Path == want:
		return OK, fmt.Sprintf("%s counted %d requests on the path of a %s, which is what rules", pod, p.Requests, want)
	case want == string(law.PathTrafficSplit) || want == "":
		return Unknown, fmt.Sprintf("%s counted %d requests on the path %s; which it should be is not known", pod, p.Requests, untrusted.Safe(p.Path))
	}
	return Failed, fmt.Sprintf("%s counted %d requests on the path %s, though %s rules: it still uses what it looked up before", pod, p.Requests,
		untrusted.Safe(p.Path), follows(s))
}
