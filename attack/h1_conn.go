package attack

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// h1Conn is a goroutine with one connection at a time.
type h1Conn struct {
	engine *H1
	in     h1Reader
	answer h1Answer
	find   jsonFinder

	// nc is set by the goroutine under the engine's lock, so others read it under the lock and the goroutine without.
	nc     io.ReadWriteCloser
	number int32 // of nc
	used   uint64
	quota  uint64        // requests that nc may carry; 0: any number
	born   time.Duration // of nc
	maxAge time.Duration // of nc; 0: any
	since  time.Duration // when it came to rest; guarded by the engine's lock

	// The request it carries, set by h1Burst.take before busy is.
	burst   *h1Burst
	seq     uint64
	planned time.Duration // since the burst began
	sent    time.Duration // since the epoch
	fate    ErrorClass    // why the connection was closed from this side; guarded by the engine's lock
	busy    atomic.Bool   // there is such a request; changes under the engine's lock
}

// run carries requests until there is none due and no connection to rest with. It begins with one taken for it.
func (c *h1Conn) run() {
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
	nc, err := e.o.Dial(ctx, "tcp", b.target.address)
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
	b.wear(c)
	adopted = e.loop != nil && e.loop.adopt(c, nc)
	c.in.src, c.in.epoch = c.nc, e.epoch
	if c.fate != OK { // stopped meanwhile: nobody could close it
		_ = c.nc.Close()
	}
	return adopted, OK
}

// serve reads answers until the connection can carry no more requests. It reports whether it has one in hand all the same.
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
	r = c.outcome(c.in.last)
	r.FirstByte = c.in.first - b.began
	r.Status = c.answer.status
	r.Backend = b.classifier.classify(&answer{raw: c.answer.head, body: c.answer.body}, &c.find)
	if r.Backend == Unattributed {
		c.keep(r)
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

// outcome is a result with what is known of every request.
func (c *h1Conn) outcome(done time.Duration) Result {
	began := c.burst.began
	return Result{
		Seq: c.seq, Planned: c.planned, Sent: c.sent - began, Done: done - began, Conn: c.number, Backend: Unattributed,
	}
}

func (c *h1Conn) failed(class ErrorClass) Result {
	r := c.outcome(c.engine.now())
	r.Err = class
	return r
}

// keep offers the answer as a specimen.
func (c *h1Conn) keep(r Result) {
	b, e := c.burst, c.engine
	if e.o.Unmatched == nil || b.specimens.Load() >= MaxSpecimens || b.specimens.Add(1) > MaxSpecimens {
		return
	}
	body := c.answer.body[:min(len(c.answer.body), MaxSpecimenBody)]
	s := Specimen{Seq: r.Seq, Status: r.Status, Body: string(body)}
	e.mu.Lock()
	defer e.mu.Unlock()
	b.kept = append(b.kept, s)
}

// settle hands in the result of the request in hand, and takes the next where one is due: again. live says whether the
// connection can carry requests, before and after. A connection without a request rests if it lives; if not, c is done.
func (c *h1Conn) settle(r Result, live bool) (stillLive, again bool) {
	e := c.engine
	now := r.Done + c.burst.began
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.fate != OK {
		live = false
		if r.Err != OK {
			r.Err = c.fate
		}
	}
	live = live && !c.worn(now)
	c.busy.Store(false)
	c.burst.deliver(r)
	b := e.burst
	if b.take(c, now) {
		return live, true
	}
	if live {
		c.since = now
		e.idle = append(e.idle, c)
	} else {
		delete(e.open, c)
	}
	b.unpark()
	return live, false
}

// leave ends c at rest. It reports false where c is not at rest: a request was taken for it in the meantime.
func (c *h1Conn) leave() bool {
	e := c.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.busy.Load() {
		return false
	}
	for i, other := range e.idle {
		if other == c {
			e.idle = append(e.idle[:i], e.idle[i+1:]...)
			break
		}
	}
	delete(e.open, c)
	e.burst.unpark()
	return true
}

// worn reports whether the connection plan wants another connection.
func (c *h1Conn) worn(now time.Duration) bool {
	return c.quota > 0 && c.used >= c.quota || c.maxAge > 0 && now-c.born >= c.maxAge
}

// kill closes the connection under whatever it carries. The caller holds the engine's lock.
func (c *h1Conn) kill(why ErrorClass) {
	if c.fate == OK {
		c.fate = why
	}
	if c.nc != nil {
		_ = c.nc.Close()
	}
}

// write sends a request. If it cannot, reading tells why: an answer may be there in spite of it.
func write(nc io.WriteCloser, request []byte) {
	if _, err := nc.Write(request); err != nil {
		if _, numbered := errnoClass(err); !numbered {
			_ = nc.Close()
		}
	}
}
