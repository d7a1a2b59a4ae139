package attack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Std is the engine on net/http's client connections, for what H1 does not speak: TLS, HTTP/2 over it and without, and
// unary gRPC. It opens the plan's connections one by one and uses each as the plan says (http.Transport.NewClientConn);
// net/http's pool, which shares, retries and replaces connections unasked, has no part in it. The rules are H1's.
type Std struct {
	*pool
	slots stdSlots
}

var _ ClosableEngine = (*Std)(nil)

// NewStd returns an engine without connections, which opens at most so many. They outlive a burst; Close ends them.
func NewStd(o EngineOptions, connections int) *Std {
	e := &Std{}
	e.pool = newPool(o, connections, e.newConn, e.prepareCalls)
	e.slots.limit = max(connections, 1)
	return e
}

// Close closes all connections and waits for their goroutines. No burst may be running.
func (e *Std) Close() {
	e.pool.Close()
	e.slots.close()
}

// stdCalls is what one burst sends.
type stdCalls struct {
	transport *http.Transport
	scheme    string
	address   string // of the URL, to which names in certificates belong
	request   *http.Request
	body      []byte
	grpc      bool
}

// prepareCalls prepares a plan's requests.
func (e *Std) prepareCalls(p Plan) (*target, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, fmt.Errorf("url %q: %w", p.URL, err)
	}
	c := &stdCalls{scheme: strings.ToLower(u.Scheme), address: hostPort(u), body: p.Body}
	t := &target{address: c.address, head: p.Method == http.MethodHead, std: c}
	if to, ok := p.ConnectTo[t.address]; ok {
		t.address = to
	}
	if p.Protocol == ProtocolGRPC {
		c.grpc = true
		if c.body, u, err = p.Unary.call(u); err != nil {
			return nil, err
		}
	}
	c.request = &http.Request{
		Method: p.Method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header(p.Header), Host: u.Host,
	}
	if host := c.request.Header.Get("Host"); host != "" {
		c.request.Host = host
		c.request.Header.Del("Host")
	}
	if c.request.Header.Get("User-Agent") == "" {
		c.request.Header.Set("User-Agent", "splitbench")
	}
	if c.grpc {
		c.request.Header.Set("Content-Type", "application/grpc")
		c.request.Header.Set("Te", "trailers")
	}
	if c.transport, err = e.transport(p, t.address); err != nil {
		return nil, err
	}
	t.key = fmt.Sprint(c.scheme, " ", c.address, " ", t.address, " ", p.Protocol, " ", p.TLS)
	return t, nil
}

// transport is what opens connections for a plan. It pools none.
func (e *Std) transport(p Plan, address string) (*http.Transport, error) {
	protocols := new(http.Protocols)
	switch overTLS := strings.HasPrefix(strings.ToLower(p.URL), "https:"); {
	case p.Protocol == "" || p.Protocol == ProtocolHTTP1:
		protocols.SetHTTP1(true)
	case overTLS:
		protocols.SetHTTP2(true)
	default:
		protocols.SetUnencryptedHTTP2(true)
	}
	config, err := p.TLS.config()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy: nil, // a proxy from the pod's environment would take the requests out of the mesh
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := e.dials.open(ctx, e.o.Dial, address)
			if err != nil {
				return nil, err
			}
			return &countedConn{nc, &e.bytes}, nil
		},
		TLSClientConfig:        config,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
	}, nil
}

// config is nil where nothing was said.
func (t *TLS) config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{InsecureSkipVerify: t.Insecure, ServerName: t.ServerName}
	if len(t.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.CA) {
			return nil, errors.New("tls: no certificate in the authorities: want PEM")
		}
	}
	return c, nil
}

func header(fields map[string]string) http.Header {
	h := make(http.Header, len(fields))
	for k, v := range fields {
		h.Set(k, v)
	}
	return h
}

// countedConn counts what goes over it.
type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// stdSlots are an engine's places for connections. Each has as many workers as it carries requests at once.
type stdSlots struct {
	limit int
	mu    sync.Mutex
	slots []*stdSlot
}

// least returns the connection that has the fewest workers, for one more.
func (l *stdSlots) least(limit int) *stdSlot {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit = min(limit, l.limit)
	var least *stdSlot
	for _, x := range l.slots[:min(limit, len(l.slots))] {
		if least == nil || x.workers < least.workers {
			least = x
		}
	}
	if (least == nil || least.workers > 0) && len(l.slots) < limit {
		least = &stdSlot{}
		l.slots = append(l.slots, least)
	}
	least.workers++
	return least
}

func (l *stdSlots) leave(x *stdSlot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x.workers--
}

func (l *stdSlots) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.slots {
		x.mu.Lock()
		x.retire()
		x.mu.Unlock()
	}
}

// stdSlot is a place for one connection.
type stdSlot struct {
	workers int // guarded by stdSlots.mu

	mu      sync.Mutex
	cc      *http.ClientConn // nil: none
	to      string           // target.key that cc leads to
	number  int32
	used    uint64
	quota   uint64
	born    time.Duration
	since   time.Duration // when it last ended a request
	serving int           // requests on cc
}

// retire gives the connection up for new requests. Those that it carries go on over it. The caller holds the lock.
func (x *stdSlot) retire() {
	if x.cc == nil {
		return
	}
	if x.serving == 0 {
		_ = x.cc.Close()
	}
	x.cc, x.serving = nil, 0
}
