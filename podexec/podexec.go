// Package podexec runs a command in a container of a pod, and nothing else: it carries bytes both ways, brings back the
// exit code, and can put one executable file there. To a port of a pod, see [Forward], it carries bytes alone. It
// refuses to know what the bytes mean (no HTTP, no agent, no frames), to allocate a terminal (a terminal merges and
// rewrites the streams), and to build a shell string from anything it was given.
//
// Invariant: no byte that the container wrote is ever lost in silence. What could not be handed to the caller is an
// error of [Container.Exec]. The reverse does not hold: a nil error is not proof that all of the output arrived,
// because an API server may close a stream normally before the exit status (kubernetes/kubernetes#124571). Who needs
// proof puts an end mark with totals into the output and checks it, as [Program.Exec] does of what it sends.
package podexec

import (
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// Target names one container. All three parts are required: a default chosen by the server could be the mesh proxy.
type Target struct{ Namespace, Pod, Container string }

// String returns "namespace/pod/container".
func (t Target) String() string { return t.Namespace + "/" + t.Pod + "/" + t.Container }

// Protocol is how the byte streams travel to the API server.
type Protocol string

const (
	// Auto tries WebSocket and falls back to SPDY when the upgrade is refused, as kubectl does. It is the default.
	Auto Protocol = "auto"
	// WebSocket is v5.channel.k8s.io alone, served since Kubernetes 1.30; needs the verb get (since 1.35: create).
	WebSocket Protocol = "websocket"
	// SPDY is SPDY/3.1 alone, for older servers and for proxies that break WebSocket; needs the verb create.
	SPDY Protocol = "spdy"
)

const (
	// DefaultStdoutBuffer is how far a reader of stdout may fall behind, in bytes.
	DefaultStdoutBuffer = 16 << 20
	// DefaultStallLimit is how long stdout may stand still with a full buffer.
	DefaultStallLimit = 20 * time.Second

	// maxStallLimit stays below the 61 s after which client-go gives up a WebSocket whose pongs nobody reads; one
	// goroutine there reads stdout, stderr and pongs alike (client-go tools/remotecommand/websocket.go).
	maxStallLimit = 50 * time.Second
)

// Options changes how commands are run; its zero value is right for most.
type Options struct {
	// Protocol is Auto when empty.
	Protocol Protocol
	// StdoutBuffer is the most output, in bytes, held for a slow stdout writer; 0 is DefaultStdoutBuffer.
	StdoutBuffer int
	// StallLimit ends a command whose stdout writer took nothing for so long while the buffer was full; 0 is
	// DefaultStallLimit, more than 50 s is refused because the connection would die first.
	StallLimit time.Duration
}

// Container runs commands in one container. It is safe for concurrent use; each command has a connection of its own.
type Container struct {
	cfg    *rest.Config
	target Target
	opts   Options
	base   *rest.RESTClient

	mu   sync.Mutex
	last Protocol
}

// New prepares for commands in t; it connects to nothing. cfg is copied. Errors: an incomplete target, options out of
// range, a configuration that client-go cannot use (unreadable certificates, for example).
func New(cfg *rest.Config, t Target, o Options) (*Container, error) {
	if cfg == nil {
		return nil, errors.New("podexec: no cluster configuration")
	}
	for _, part := range []struct{ what, value string }{
		{"namespace", t.Namespace}, {"pod", t.Pod}, {"container", t.Container},
	} {
		if part.value == "" {
			return nil, fmt.Errorf("podexec %q: no %s given", t.String(), part.what)
		}
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	own, base, err := restClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("podexec %s: use cluster configuration: %w", t, err)
	}
	c := &Container{cfg: own, target: t, opts: o, base: base}
	if _, err := c.execURL([]string{"true"}); err != nil {
		return nil, err
	}
	return c, nil
}

// restClient is a client for streams, and the copy of cfg that it uses.
func restClient(cfg *rest.Config) (*rest.Config, *rest.RESTClient, error) {
	own := rest.CopyConfig(cfg)
	own.GroupVersion = &corev1.SchemeGroupVersion
	own.APIPath = "/api"
	own.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	own.Timeout = 0 // it would become a query parameter of the stream, which must live as long as its context
	base, err := rest.RESTClientFor(own)
	return own, base, err
}

func (o *Options) complete() error {
	if o.Protocol == "" {
		o.Protocol = Auto
	}
	if o.StdoutBuffer == 0 {
		o.StdoutBuffer = DefaultStdoutBuffer
	}
	if o.StallLimit == 0 {
		o.StallLimit = DefaultStallLimit
	}
	switch {
	case o.Protocol != Auto && o.Protocol != WebSocket && o.Protocol != SPDY:
		return fmt.Errorf("podexec: protocol %q: must be auto, websocket or spdy", string(o.Protocol))
	case o.StdoutBuffer < 0:
		return fmt.Errorf("podexec: stdout buffer of %d bytes: must be positive", o.StdoutBuffer)
	case o.StallLimit < 0 || o.StallLimit > maxStallLimit:
		return fmt.Errorf("podexec: stall limit %s: must be positive and at most %s", o.StallLimit, maxStallLimit)
	}
	return nil
}

// Target is the container that commands run in.
func (c *Container) Target() Target { return c.target }

// Protocol is what carried the last stream that was established: WebSocket, SPDY, or "" before the first.
func (c *Container) Protocol() Protocol {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *Container) setProtocol(p Protocol) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = p
}

// execURL is the exec subresource with argv as it is: one query parameter each, no quoting, no shell. All three streams
// are always requested, and always offered to client-go: where the two differ, SPDY waits for a stream that never
// comes.
func (c *Container) execURL(argv []string) (*url.URL, error) {
	req := c.base.Post().Resource("pods").Namespace(c.target.Namespace).Name(c.target.Pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: c.target.Container, Command: argv, Stdin: true, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec)
	if err := req.Error(); err != nil {
		return nil, fmt.Errorf("podexec %q: name the pod: %w", c.target.String(), err)
	}
	return req.URL(), nil
}
