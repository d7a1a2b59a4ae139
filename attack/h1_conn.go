package attack

import (
	"context"
	"errors"
	"io"
	"runtime"
)

// h1Conn is a worker with a plain connection.
type h1Conn struct {
	worker
	in     h1Reader
	answer h1Answer
	find   jsonFinder
}

// newH1Conn returns a worker of an H1.
func newH1Conn(e *pool) *worker {
	c := &h1Conn{worker: worker{engine: e, number: UnknownConn}}
	c.run = c.carry
	return &c.worker
}

// carry carries requests until there is none due and no connection to rest with. It begins with one taken for it.
func (c *h1Conn) carry() {
	defer c.engine.conns.Done()
	for again := true; again; {
		adopted, class := c.dial()
		if adopted {
			return
		}
		if class != OK {
			_, again = c.settle(c.failed(class), false)
			continue
		}
		write(c.nc, c.burst.target.request)
		again = c.serve()
		_ = c.nc.Close()
	}
}

// dial opens a connection for the request in hand. Where the engine's loop adopted it, it is out of the caller's hands.
func (c *h1Conn) dial() (adopted bool, class ErrorClass) {
	e, b := c.engine, c.burst
	c.number = UnknownConn
	ctx, cancel := context.WithDeadline(b.ctx, e.epoch.Add(c.sent+b.plan.Timeout))
	nc, err := e.dials.open(ctx, e.o.Dial, b.target.address)
	cancel()
	if err != nil {
		if class := classifyError(b.ctx, err); class != ErrOther {
			return false, class
		}
		return false, ErrDial
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	c.nc, c.used, c.born = nc, 0, e.now()
	c.number = int32(e.dialled.Add(1) - 1)
	b.limitUse(&c.worker)
	adopted = e.loop != nil && e.loop.adopt(c, nc)
	c.in.src, c.in.epoch, c.in.count = c.nc, e.epoch, &e.bytes
	if c.fate != OK { // stopped meanwhile: nobody could close it
		_ = c.nc.Close()
	}
	return adopted, OK
}

// serve reads answers until the connection can carry no more requests. It reports whether it has one in hand all the
// same.
func (c *h1Conn) serve() (again bool) {
	for {
		c.in.begin()
		err := c.in.more()
		if !c.busy.Load() && c.leave() {
			return false // at rest: the server closed it, or said what it was not asked
		}
		live, again := c.settle(c.result(err))
		switch {
		case !live:
			return again
		case again:
			write(c.nc, c.burst.target.request)
		}
	}
}

// result reads the rest of an answer whose first bytes have come, or have not.
func (c *h1Conn) result(err error) (r Result, live bool) {
	c.used++
	if err != nil {
		return c.failed(c.silence(err)), false
	}
	if c.in.first < c.sent { // these bytes answer nothing that was asked
		return c.failed(ErrStale), false
	}
	b := c.burst
	if err := c.in.answer(b.target.head, &c.answer); err != nil {
		class := ErrProtocol
		if !protocolError(err) {
			if class = classifyError(b.ctx, err); class == ErrOther {
				class = ErrProtocol
			}
		}
		r = c.failed(class)
		r.FirstByte = c.in.first - b.began
		return r, false
	}
	r = c.outcome(max(c.in.last-c.in.since, c.sent))
	r.FirstByte, r.Arrived = min(c.in.first-b.began, r.Done), c.in.known
	r.Status = c.answer.status
	r.Backend = b.classifier.classify(&answer{raw: c.answer.head, body: c.answer.body}, &c.find)
	if r.Backend == Unattributed {
		c.keep(r, c.answer.body)
	}
	return r, c.answer.reuse
}

// silence says what it means that a connection died before the first byte of an answer.
func (c *h1Conn) silence(err error) ErrorClass {
	class := classifyError(c.burst.ctx, err)
	switch {
	case class == ErrCanceled, class == ErrTimeout:
		return class
	case c.used > 1:
		return ErrStale
	case errors.Is(err, io.EOF):
		return ErrEmpty
	}
	return class
}

// write sends a request. If it cannot, reading tells why: an answer may be there in spite of it.
func write(nc io.WriteCloser, request []byte) {
	if _, err := nc.Write(request); err != nil {
		if _, numbered := errnoClass(err); !numbered {
			_ = nc.Close()
		}
	}
}

// H1 is the engine of this package's own: HTTP/1.1 over plain connections, and nothing between plan and socket.
//
// A connection's goroutine always waits in Read, also at rest, so that a server that closes is noticed. When a request
// falls due, the pacer takes the connection used last and writes to it itself: no goroutine has to wake up before a
// request leaves. A connection that ends an answer while others are already due takes the next of them on the spot. On
// Linux pacer and connections are coroutines of one loop on one epoll (h1Loop); elsewhere, and for connections that are
// no sockets, they are goroutines on Go's poller. All that they share is decided under one lock, held for some 100 ns
// per request.
//
// Where more is due than connections may be open, requests wait in the queue and keep their planned instants. Nothing
// is ever sent twice: a connection that dies under a request costs that request.
type H1 struct{ *pool }

var _ Engine = (*H1)(nil)

// NewH1 returns an engine without connections, which opens at most so many. They outlive a burst; Close ends them.
func NewH1(o EngineOptions, connections int) *H1 {
	e := newPool(o, connections, newH1Conn, newH1Target)
	// While the loop waits it keeps its processor to itself for a moment. With one only, what else there is to do, such as
	// dialling, would wait for that.
	if runtime.GOMAXPROCS(0) > 1 {
		e.loop = newH1Loop()
	}
	return &H1{e}
}
