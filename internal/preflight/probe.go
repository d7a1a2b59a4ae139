package preflight

import (
	"cmp"
	"context"
	"fmt"
	"math"
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
	rawURL = cmp.Or(rawURL, rootURL(v))
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

// Prober reaches the source pod. A probe is a request that the pod sends like any other client in it, on a connection
// of its own; it is never counted.
type Prober interface {
	// Fetch gets one URL from inside the pod. The error is only ever of the way to the pod, or of ctx; what went wrong
	// between the pod and the URL is in the Answer.
	Fetch(ctx context.Context, q Get) (Answer, error)
}

// Get is one request of a Prober.
type Get struct {
	URL      string
	Asked    bool       // the request that the law is asked for, of this URL; false: a GET
	MaxBytes int64      // of the body; the rest is not sent back
	Keep     [][]string // send back only those lines that have all strings of one set; nil: all
}

// Answer is what the pod saw.
type Answer struct {
	Status     int                 // HTTP status; 0: no answer
	Header     map[string][]string // canonical keys
	Body       []byte
	Truncated  bool   // there was more body than was asked for
	Empty      bool   // the other end hung up without an answer, as a gateway does to a client outside the mesh
	Error      string // why there is no whole answer
	RemoteAddr string // ADDRESS:PORT that the pod's connection went to; "" where that is not known
}

// first is the first value of a header, "" where there is none.
func (a Answer) first(key string) string {
	if v := a.Header[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// proxyError is what the client's own proxy says of an answer that it made itself. Those of remote proxies lack the
// header.
func (a Answer) proxyError() string { return a.first("L5d-Proxy-Error") }

// What the source pod's own requests came to outranks what objects say of a backend: endpoints that are written down as
// ready may lead nowhere, and a backend that answered is alive whatever could not be read.

// drawError is how often the probes of a split in order may say that one of its backends is never drawn: at most once
// in so many checks, all backends together.
const drawError = 1e-4

// probes are those that a meshed source pod sent, nil where its proxy is not what draws.
func (v View) probes() *Probed {
	if !v.Source.Meshed || v.Through != nil || v.OffMesh {
		return nil
	}
	return v.Probed
}

// unreached says how the probes show that requests for a backend do not arrive there, "" where they do not show it.
func (v View) unreached(b law.Backend) shown {
	p := v.probes()
	if p == nil {
		return ""
	}
	answers := p.Direct[b.Name]
	byProxy := func(a Answer) bool { return a.Status >= 500 && a.proxyError() != "" }
	if len(answers) > 0 && !slices.ContainsFunc(answers, func(a Answer) bool { return !byProxy(a) }) {
		return say("asked by itself %d times it gave %s", len(answers), string(describe(answers[0])))
	}
	return v.undrawn(b)
}

// undrawn says that the proxy drew the backend for none of its requests, though so many would have missed it by chance
// less than drawError allows. Draws are independent, so that is (1-p)^n.
func (v View) undrawn(b law.Backend) shown {
	path, n, p := v.Probed.Path, int64(0), 0.0
	for _, l := range v.Law.Backends {
		n += path.Draws[l.Name]
		if l.Name == b.Name {
			p = l.Probability
		}
	}
	chance := math.Pow(1-p, float64(n))
	follows := path.PerConnection || path.Path == string(v.Law.Path)
	drawn := path.Draws == nil || path.Draws[b.Name] > 0
	if p == 0 || drawn || !follows || chance*float64(len(v.Law.Backends)) > drawError {
		return ""
	}
	return say("the proxy drew it for none of %d requests, though its weight is %s of all (by chance: once in %s checks)",
		n, fmt.Sprintf("%.4g %%", 100*p), fmt.Sprintf("%.3g", 1/chance))
}

// answer says that the backend answered the source pod, "" where it is not known to have. The root Service, which
// cannot be asked by itself, did where it was drawn and every answer was one.
func (v View) answer(b law.Backend) shown {
	const answered = "it answered the source pod"
	p := v.probes()
	switch own := func(a Answer) bool { return a.Status > 0 && a.Status < 400 }; {
	case p == nil || !b.Service.Found:
	case slices.ContainsFunc(p.Direct[b.Name], own):
		return answered
	case b.IsRoot && p.Path.Draws[b.Name] > 0 && p.count(own) == len(p.Root):
		return answered
	}
	return ""
}

// tls is how requests of the source pod to the gateway of a cluster were secured, "true" for mutual TLS and "" where
// that was not seen.
func (v View) tls(cluster string) string {
	if p := v.probes(); p != nil {
		return p.TLS[cluster]
	}
	return ""
}

// path says by which path the source pod's proxy counted requests for the root, "" where that is not known.
func (v View) path() shown {
	if p := v.probes(); p != nil && p.Path.Known {
		return "the proxy knows the requests of the source pod for those of the root Service"
	}
	return ""
}
