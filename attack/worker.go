package attack

import (
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// worker is a goroutine with one connection at a time.
type worker struct {
	engine *pool
	run    func() // what the goroutine does

	// nc is set by the goroutine under the engine's lock, so others read it under the lock and the goroutine without.
	// Writing to it begins the request in hand, closing it ends that.
	nc     io.ReadWriteCloser
	number int32 // of nc
	used   uint64
	quota  uint64        // requests that nc may carry; 0: any number
	born   time.Duration // of nc
	maxAge time.Duration // of nc; 0: any
	since  time.Duration // when it came to rest; guarded by the engine's lock

	// The request it carries, set by poolBurst.take before busy is.
	burst   *poolBurst
	seq     uint64
	planned time.Duration // since the burst began
	sent    time.Duration // since the epoch
	fate    ErrorClass    // why the connection was closed from this side; guarded by the engine's lock
	busy    atomic.Bool   // there is such a request; changes under the engine's lock
}

// outcome is a result with what is known of every request.
func (c *worker) outcome(done time.Duration) Result {
	began := c.burst.began
	return Result{
		Seq: c.seq, Planned: c.planned, Sent: c.sent - began, Done: done - began, Conn: c.number, Backend: Unattributed,
	}
}

func (c *worker) failed(class ErrorClass) Result {
	r := c.outcome(c.engine.now())
	r.Err = class
	return r
}

// keep offers the answer as a specimen.
func (c *worker) keep(r Result, body []byte) {
	b, e := c.burst, c.engine
	if e.o.Unmatched == nil || b.specimens.Load() >= MaxSpecimens || b.specimens.Add(1) > MaxSpecimens {
		return
	}
	s := Specimen{Seq: r.Seq, Status: r.Status, Body: string(body[:min(len(body), MaxSpecimenBody)])}
	e.mu.Lock()
	defer e.mu.Unlock()
	b.kept = append(b.kept, s)
}

// settle hands in the result of the request in hand, and takes the next where one is due: again. live says whether the
// connection can carry requests, before and after. A connection without a request rests if it lives; if not, c is done.
func (c *worker) settle(r Result, live bool) (stillLive, again bool) {
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
func (c *worker) leave() bool {
	e := c.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.busy.Load() {
		return false
	}
	if i := slices.Index(e.idle, c); i >= 0 {
		e.idle = slices.Delete(e.idle, i, i+1)
	}
	delete(e.open, c)
	e.burst.unpark()
	return true
}

// worn reports whether the connection plan wants another connection.
func (c *worker) worn(now time.Duration) bool {
	return c.quota > 0 && c.used >= c.quota || c.maxAge > 0 && now-c.born >= c.maxAge
}

// kill closes the connection under whatever it carries. The caller holds the engine's lock.
func (c *worker) kill(why ErrorClass) {
	if c.fate == OK {
		c.fate = why
	}
	if c.nc != nil {
		_ = c.nc.Close()
	}
}
