package attack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// stdConn is a worker that carries one request at a time over a connection of net/http's.
type stdConn struct {
	worker
	std    *Std
	slot   *stdSlot
	handle *stdHandle
	body   []byte // of the answer; for the next one too
	// The connection that carries the request in hand.
	cc     *http.ClientConn
	first  atomic.Int64 // when the first byte of the answer came, since the epoch; 0: not
	reused bool         // it had carried requests before
}

// stdHandle stands in for the worker's connection: writing to it begins the request in hand, closing it ends that.
type stdHandle struct {
	begin  chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
}

// Write lets the worker carry the request that it was given. What to write it knows itself.
func (g *stdHandle) Write(p []byte) (int, error) {
	select {
	case g.begin <- struct{}{}:
	default: // it ended in between, and has found the request itself
	}
	return len(p), nil
}

func (g *stdHandle) Read([]byte) (int, error) { return 0, io.EOF }

func (g *stdHandle) Close() error {
	g.cancel()
	return nil
}

// newConn returns a worker of a Std.
func (e *Std) newConn(p *pool) *worker {
	c := &stdConn{worker: worker{engine: p, number: UnknownConn}, std: e}
	c.run = c.carry
	return &c.worker
}

// carry carries requests until there is none due and no connection to rest with. It begins with one taken for it.
func (c *stdConn) carry() {
	defer c.engine.conns.Done()
	c.slot = c.std.slots.least(c.burst.plan.Connections)
	defer c.std.slots.leave(c.slot)
	for {
		c.ensureHandle()
		live, again := c.settle(c.do())
		if again {
			continue
		}
		if !live {
			break
		}
		select {
		case <-c.handle.begin:
		case <-c.handle.ctx.Done():
			if c.leave() {
				c.hangUp()
				return
			}
		}
	}
	c.handle.cancel()
}

// ensureHandle gives the worker a handle unless it has one that is open.
func (c *stdConn) ensureHandle() {
	if c.handle != nil && c.handle.ctx.Err() == nil {
		return
	}
	g := &stdHandle{begin: make(chan struct{}, 1)}
	g.ctx, g.cancel = context.WithCancel(context.WithoutCancel(c.burst.ctx)) // it outlives a burst; kill ends it
	c.engine.mu.Lock()
	defer c.engine.mu.Unlock()
	c.handle, c.nc = g, g
	if c.fate != OK { // stopped meanwhile: nobody could close it
		g.cancel()
	}
}

// hangUp closes the connection if nothing else is on it.
func (c *stdConn) hangUp() {
	c.slot.mu.Lock()
	defer c.slot.mu.Unlock()
	if c.slot.serving == 0 {
		c.slot.retire()
	}
}

// do carries out the request in hand.
func (c *stdConn) do() (r Result, live bool) {
	b := c.burst
	c.number = UnknownConn
	ctx, cancel := context.WithDeadline(c.handle.ctx, c.engine.epoch.Add(c.sent+b.plan.Timeout))
	defer cancel()
	res, class, err := c.send(ctx) //nolint:bodyclose // read closes it
	if class != OK {
		return c.failed(class), class != ErrCanceled && class != ErrTimeout
	}
	keep := err == nil
	if err == nil {
		err = c.read(res.Body)
		keep = err == nil && !res.Close
	}
	done := c.engine.now()
	c.disconnect(keep)
	if err == nil && b.target.std.grpc {
		c.body, err = unframe(res, c.body)
	}
	if err != nil {
		r = c.failed(c.class(ctx, err))
		r.FirstByte = c.firstByte()
		return r, ctx.Err() == nil
	}
	r = c.outcome(done)
	r.FirstByte = c.firstByte()
	r.Status = uint16(res.StatusCode)
	a := answer{header: res.Header, body: c.body}
	var f jsonFinder
	r.Backend = b.classifier.classify(&a, &f)
	if r.Backend == Unattributed {
		c.keep(r, c.body)
	}
	return r, true
}

// send sends the request in hand, and opens a connection for it where there is none; class says why there is none.
//
// net/http may give a connection up after its last answer, without being asked: where it was kept from running for 50
// ms between two steps of its own, for one. That shows only as the next request is to be written. Nothing of that has
// left then, so that sending it over a new connection is no second draw of the split. It is done once: what cannot be
// written over that one either is the request's own fault.
func (c *stdConn) send(ctx context.Context) (res *http.Response, class ErrorClass, err error) {
	for again := true; ; again = false {
		if class := c.connect(ctx); class != OK {
			return nil, class, nil
		}
		var wrote atomic.Bool
		c.first.Store(0)
		res, err = c.cc.RoundTrip(c.burst.target.std.newRequest(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			WroteHeaderField:     func(string, []string) { wrote.Store(true) },
			WroteHeaders:         func() { wrote.Store(true) },
			GotFirstResponseByte: func() { c.first.CompareAndSwap(0, int64(c.engine.now())) },
		})))
		res, err = final(res, err)
		if err == nil || wrote.Load() || !again || !c.reused || ctx.Err() != nil {
			return res, OK, err
		}
		c.disconnect(false)
	}
}

func (c *stdConn) firstByte() time.Duration {
	if at := c.first.Load(); at > 0 {
		return time.Duration(at) - c.burst.began
	}
	return 0
}

// newRequest makes one request of the burst's.
func (s *stdCalls) newRequest(ctx context.Context) *http.Request {
	req := s.request.WithContext(ctx)
	if len(s.body) > 0 {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(s.body)), int64(len(s.body))
	}
	return req
}

// read takes the body: its beginning for the classifier, the rest not at all.
func (c *stdConn) read(body io.ReadCloser) error {
	if c.body == nil {
		c.body = make([]byte, 0, minBuffer)
	}
	c.body = c.body[:0]
	for {
		if len(c.body) == cap(c.body) && cap(c.body) < maxBody {
			c.body = append(c.body, 0)[:len(c.body)]
		}
		into := c.body[len(c.body):min(cap(c.body), maxBody)]
		if len(into) == 0 {
			break
		}
		n, err := body.Read(into)
		c.body = c.body[:len(c.body)+n]
		if err != nil {
			return errors.Join(ended(err), body.Close())
		}
	}
	_, err := io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}

func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// connect makes sure of a connection that can carry a request, and counts the request.
func (c *stdConn) connect(ctx context.Context) ErrorClass {
	e, b, x := c.engine, c.burst, c.slot
	x.mu.Lock()
	defer x.mu.Unlock()
	now := e.now()
	idle := x.serving == 0 && now-x.since > idleTimeout
	if x.cc != nil && (x.cc.Err() != nil || x.to != b.target.key || x.worn(b.plan.Reuse, now) || idle) {
		x.retire()
	}
	if x.cc == nil {
		cc, err := b.target.std.dial(ctx, &e.dials)
		if err != nil {
			return dialClass(ctx, c.handle.ctx, err)
		}
		x.cc, x.to, x.used, x.quota, x.born, x.serving = cc, b.target.key, 0, 0, e.now(), 0
		x.number = int32(e.dialled.Add(1) - 1)
		if r := b.plan.Reuse; r != nil && r.MaxRequests > 0 {
			e.mu.Lock()
			x.quota = r.quota(b.draw)
			e.mu.Unlock()
		}
	}
	c.cc, c.number, c.reused = x.cc, x.number, x.used > 0
	x.used++
	x.serving++
	return OK
}

// disconnect counts the request out. A connection that has done its part is closed at once.
func (c *stdConn) disconnect(keep bool) {
	x := c.slot
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cc != c.cc { // given up meanwhile; who is the last on it closes it
		c.closeLast()
		return
	}
	x.serving--
	x.since = c.engine.now()
	http1 := c.burst.plan.streams() == 1
	if !keep && (http1 || x.cc.Err() != nil) || x.worn(c.burst.plan.Reuse, x.since) {
		x.retire()
	}
}

func (c *stdConn) closeLast() {
	if c.cc.InFlight() == 0 {
		_ = c.cc.Close()
	}
}

// worn reports whether the connection plan wants another connection. The caller holds the lock.
func (x *stdSlot) worn(r *Reuse, now time.Duration) bool {
	return x.quota > 0 && x.used >= x.quota || r != nil && r.MaxAge > 0 && now-x.born >= r.MaxAge
}

// dial opens a connection.
func (s *stdCalls) dial(ctx context.Context, d *dialLog) (*http.ClientConn, error) {
	var began time.Time
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeStart: func() { began = time.Now() },
	})
	cc, err := s.transport.NewClientConn(ctx, s.scheme, s.address)
	switch {
	case began.IsZero():
	case err != nil:
		d.blame(err)
	default:
		d.note(&d.handshake, time.Since(began))
	}
	return cc, err
}

// dialClass says why there is no connection. What is no error of the network is one of TLS.
func dialClass(ctx, life context.Context, err error) ErrorClass {
	switch class := classifyError(life, err); {
	case ctx.Err() != nil && life.Err() == nil:
		return ErrTimeout
	case class == ErrReset, errors.Is(err, io.EOF): // of a handshake
		return ErrTLS
	case class != ErrOther:
		return class
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "x509: "):
		return ErrTLS
	}
	return ErrDial
}

// class sorts an error of a request. net/http has no types for most of them.
func (c *stdConn) class(ctx context.Context, err error) ErrorClass {
	if class := classifyError(c.handle.ctx, err); class != ErrOther && class != ErrReset {
		return class
	}
	if ctx.Err() != nil {
		return ErrTimeout
	}
	text := err.Error()
	answered := c.first.Load() != 0
	_, reset := errnoClass(err)
	switch {
	case errors.As(err, new(*grpcError)), strings.Contains(text, "malformed"), strings.Contains(text, "PROTOCOL_ERROR"),
		answered && !reset && !strings.Contains(text, "http2: "):
		return ErrProtocol
	case !answered && c.reused && c.burst.plan.streams() == 1 && !strings.Contains(text, "http2: "):
		return ErrStale
	case reset, strings.Contains(text, "GOAWAY"), strings.Contains(text, "stream error"),
		strings.Contains(text, "connection lost"):
		return ErrReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "server closed"):
		return ErrEmpty
	case strings.Contains(text, "transport connection broken"):
		return ErrProtocol
	}
	return ErrOther
}
