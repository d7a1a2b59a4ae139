//go:build !splitbench_agent

package attack

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tracer is the RoundTripper under vegeta's client. It adds what vegeta does not say: which connection carried a
// request, when the first byte of the answer came, and how a request failed. It never retries and follows nothing.
type tracer struct {
	transport *http.Transport
	dialled   atomic.Int64
	epoch     time.Time // origin of the traces' instants

	ctx     context.Context // of the running burst; set by begin
	timeout time.Duration

	connectTo atomic.Pointer[map[string]string] // of the running burst; atomic since dialling may outlive one

	mu     sync.Mutex
	traces map[uint64]*trace // of requests whose result was not taken yet, by sequence number
}

// trace is one request's. Its fields are atomic because net/http may still call back after a request was given up.
type trace struct {
	conn      atomic.Int32
	firstByte atomic.Int64 // nanoseconds since the tracer's epoch, 0: none
	err       atomic.Uint32
}

// numberedConn is a connection with its number.
type numberedConn struct {
	net.Conn
	number int32
}

func newTracer(dial func(context.Context, string, string) (net.Conn, error), connections int) *tracer {
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	t := &tracer{traces: make(map[uint64]*trace), epoch: time.Now()}
	t.transport = &http.Transport{
		Proxy: nil, // a proxy from the pod's environment would take the requests out of the mesh
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if to, ok := (*t.connectTo.Load())[strings.ToLower(address)]; ok {
				address = to
			}
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &numberedConn{Conn: c, number: int32(t.dialled.Add(1) - 1)}, nil
		},
		MaxConnsPerHost:        connections,
		MaxIdleConns:           connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        idleTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              http1Only(), // over HTTP/2 one connection would carry everything
	}
	return t
}

// begin sets the burst that requests belong to from now on.
func (t *tracer) begin(ctx context.Context, p Plan) {
	t.ctx, t.timeout = ctx, p.Timeout
	if old := t.connectTo.Swap(&p.ConnectTo); old != nil && !maps.Equal(*old, p.ConnectTo) {
		t.transport.CloseIdleConnections() // they may lead elsewhere
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.traces)
}

// take returns the trace of a request that has ended, and forgets it.
func (t *tracer) take(seq uint64) *trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr := t.traces[seq]
	delete(t.traces, seq)
	if tr == nil { // the request never reached the round trip
		tr = &trace{}
		tr.conn.Store(UnknownConn)
	}
	return tr
}

// RoundTrip implements http.RoundTripper.
func (t *tracer) RoundTrip(req *http.Request) (*http.Response, error) {
	tr := &trace{}
	tr.conn.Store(UnknownConn)
	t.mu.Lock()
	t.traces[seqOf(req)] = tr
	t.mu.Unlock()

	ctx, cancel := context.WithTimeout(t.ctx, t.timeout)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			if c, ok := i.Conn.(*numberedConn); ok {
				tr.conn.Store(c.number)
			}
		},
		GotFirstResponseByte: func() { tr.firstByte.Store(int64(time.Since(t.epoch))) },
	})
	out := req.WithContext(ctx)
	out.Header.Del(seqHeader) // the request on the wire carries nothing that a user's would not
	// A body that cannot be got again makes net/http's transport not retry the request on another connection when a reused
	// one dies: that would be a second draw of the split that nobody sees. It is found to be empty and nothing is sent.
	out.Body = io.NopCloser(strings.NewReader(""))
	out.GetBody = nil

	res, err := final(t.transport.RoundTrip(out))
	if err != nil {
		tr.err.Store(uint32(t.class(err, tr)))
		cancel()
		return nil, err
	}
	res.Body = &tracedBody{ReadCloser: res.Body, ctx: t.ctx, trace: tr, cancel: cancel}
	return res, nil
}

// class sorts an error of the round trip. net/http has no typed errors for a closed connection or a broken answer.
func (t *tracer) class(err error, tr *trace) ErrorClass {
	c := classifyError(t.ctx, err)
	if c != ErrOther {
		return c
	}
	text := err.Error()
	switch {
	case tr.conn.Load() == UnknownConn:
		return ErrDial
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && tr.firstByte.Load() == 0,
		strings.Contains(text, "server closed idle connection"):
		return ErrEmpty
	case strings.Contains(text, "malformed"), strings.Contains(text, "transport connection broken"),
		errors.Is(err, io.ErrUnexpectedEOF):
		return ErrProtocol
	}
	return ErrOther
}

func http1Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}
