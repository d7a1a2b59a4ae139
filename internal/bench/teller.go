package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/podexec"
)

// Teller asks pods over port-forwards: one to each pod, which is opened when it is needed and kept until Close, however
// many splits are asked about.
type Teller struct {
	cfg      *rest.Config
	protocol podexec.Protocol

	mu    sync.Mutex
	lines map[podexec.Pod]*line
}

var _ mesh.Teller = (*Teller)(nil)

// NewTeller is a teller of one cluster. It opens nothing yet.
func NewTeller(cfg *rest.Config, protocol podexec.Protocol) *Teller {
	return &Teller{cfg: cfg, protocol: protocol, lines: map[podexec.Pod]*line{}}
}

// Close ends the port-forwards.
func (t *Teller) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for pod, l := range t.lines {
		errs = append(errs, l.close())
		delete(t.lines, pod)
	}
	return errors.Join(errs...)
}

// Close lets go of what the configuration has opened.
func (c *Config) Close() {
	if t, ok := c.Query.Teller.(*Teller); ok {
		_ = t.Close() // nothing is lost with it
	}
}

// Reach implements mesh.Teller.
func (t *Teller) Reach(ctx context.Context, pod law.Pod, provider law.Provider) (mesh.Ask, error) {
	l, err := t.line(podexec.Pod{Namespace: pod.Namespace, Name: pod.Name})
	if err != nil {
		return nil, err
	}
	if _, err := l.open(ctx); err != nil {
		return nil, err
	}
	switch provider {
	case law.ProviderLinkerd:
		return patient(l.plane.Ask), nil
	case law.ProviderTraefik:
		t, err := held(told.TraefikPages(), l.pages(ctx, told.TraefikPort), told.ReadTraefik)
		return holds(t), err
	}
	e, err := held(told.EnvoyPages(), l.pages(ctx, told.EnvoyPort), told.ReadEnvoy)
	return holds(e), err
}

// holds answers by what a proxy was read to hold.
func holds(by interface {
	Law(q law.Question) (law.Law, error)
},
) mesh.Ask {
	return func(_ context.Context, q law.Question) (law.Law, error) { return by.Law(q) }
}

// patient waits once for who is silent, and not again for each of many questions. Several may be asked at a time.
func patient(ask mesh.Ask) mesh.Ask {
	var silent atomic.Pointer[error]
	return func(ctx context.Context, q law.Question) (law.Law, error) {
		if err := silent.Load(); err != nil {
			return law.Law{}, *err
		}
		l, err := ask(ctx, q)
		if errors.Is(err, told.ErrSilent) {
			silent.Store(&err)
		}
		return l, err
	}
}

// line is the way to one pod.
type line struct {
	forward func(context.Context) (*podexec.Tunnel, error)
	plane   *told.ControlPlane

	mu     sync.Mutex
	tunnel *podexec.Tunnel // nil: none yet
}

func (t *Teller) line(pod podexec.Pod) (*line, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.lines[pod]; l != nil {
		return l, nil
	}
	l := &line{forward: func(ctx context.Context) (*podexec.Tunnel, error) {
		return podexec.Forward(ctx, t.cfg, pod, t.protocol)
	}}
	var err error
	l.plane, err = told.NewControlPlane(l.dial)
	t.lines[pod] = l
	return l, err
}

// open is the tunnel, a new one where the last was cut.
func (l *line) open(ctx context.Context) (*podexec.Tunnel, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tunnel != nil && !l.tunnel.Broken() {
		return l.tunnel, nil
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	tunnel, err := l.forward(ctx)
	if err != nil {
		return nil, err
	}
	if l.tunnel != nil {
		_ = l.tunnel.Close() // it is broken, and lets go of what it holds
	}
	l.tunnel = tunnel
	return tunnel, nil
}

func (l *line) dial(ctx context.Context, port int) (net.Conn, error) {
	tunnel, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return tunnel.Dial(port)
}

func (l *line) close() error {
	err := l.plane.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tunnel != nil {
		err = errors.Join(err, l.tunnel.Close())
	}
	return err
}

// reachLimit bounds the opening of a port-forward, and the reading of a page through one.
const reachLimit = 5 * time.Second

// errEndless is that a page does not end.
var errEndless = fmt.Errorf("it is more than %d MiB", maxWitnessPage>>20)

// pages reads pages of a port of the pod.
func (l *line) pages(ctx context.Context, port int) func(string) (int, []byte, error) {
	client := &http.Client{Timeout: reachLimit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx, port) },
	}}
	return func(page string) (int, []byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", port, page), nil)
		if err != nil {
			return 0, nil, err
		}
		res, err := client.Do(req)
		if err != nil {
			return 0, nil, errors.Unwrap(err) // without its URL, which is ours
		}
		defer res.Body.Close()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxWitnessPage+1))
		if len(body) > maxWitnessPage {
			err = errEndless
		}
		return res.StatusCode, body, err
	}
}

// held reads the pages of what a proxy holds. One that is not found is of a kind that the proxy has none of.
func held[T any](
	pages []string, get func(page string) (status int, body []byte, err error), read func([][]byte) (T, error),
) (out T, err error) {
	var found [][]byte
	for _, page := range pages {
		status, body, err := get(page)
		switch {
		case err != nil:
			return out, fmt.Errorf("%s of the proxy could not be read: %s", page, untrusted.Short(err.Error(), 200))
		case status == http.StatusOK:
			found = append(found, body)
		case status != http.StatusNotFound:
			return out, fmt.Errorf("%s of the proxy could not be read: status %d", page, status)
		}
	}
	return read(found)
}
