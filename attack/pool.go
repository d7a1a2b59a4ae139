package attack

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// target is where requests go and what they are.
type target struct {
	key     string    // equal for targets that can share connections
	address string    // to dial
	request []byte    // H1: byte for byte
	head    bool      // the answers have no bodies
	std     *stdCalls // Std
}

// pool holds connections, each with a worker, and hands them requests: what the engines H1 and Std have in common. One
// lock guards all that workers share.
type pool struct {
	o       EngineOptions
	limit   int
	epoch   time.Time // origin of the instants inside
	dialled atomic.Int64
	conns   sync.WaitGroup // the connections' goroutines
	loop    *h1Loop        // drives the connections; nil where Go's poller does
	dials   dialLog
	bytes   atomic.Int64 // read and written

	newWorker func(*pool) *worker
	prepare   func(Plan) (*target, error)

	mu    sync.Mutex
	burst *poolBurst           // the one that runs, or the last
	busy  bool                 // a burst runs
	open  map[*worker]struct{} // connections that have a goroutine
	idle  []*worker            // of them, those at rest, the one used last at the end
}

// newPool returns a pool without connections, which opens at most the given number.
func newPool(
	o EngineOptions, connections int, newWorker func(*pool) *worker, prepare func(Plan) (*target, error),
) *pool {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	return &pool{
		o: o, limit: max(connections, 1), epoch: time.Now(), newWorker: newWorker, prepare: prepare,
		open: make(map[*worker]struct{}),
	}
}

// Dialled is how many connections were opened so far.
func (e *pool) Dialled() int64 { return e.dialled.Load() }

// Dials says what opening them took.
func (e *pool) Dials() Dials { return e.dials.report() }

// Bytes is what was read and written so far over all connections.
func (e *pool) Bytes() int64 { return e.bytes.Load() }

// Close closes all connections and waits for their goroutines. No burst may be running.
func (e *pool) Close() {
	e.mu.Lock()
	e.idle = nil
	for c := range e.open {
		c.kill(ErrCanceled)
	}
	e.mu.Unlock()
	e.conns.Wait()
	if e.loop != nil {
		e.loop.close()
	}
}

var errBusy = errors.New("attack: the engine has a burst running already")

// Attack implements Engine. Results are handed over at least every 10 ms. A consumer that is slower than the answers
// costs memory for 65,536 results (4 MB), after which no more requests are sent until it comes: that shows as send lag,
// since planned instants stay, and never as a lost result.
func (e *pool) Attack(ctx context.Context, p Plan) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		p = p.WithDefaults()
		b, err := newPoolBurst(e, p)
		if err != nil {
			yield(Result{}, err)
			return
		}
		if !e.begin(b) {
			yield(Result{}, errBusy)
			return
		}
		defer e.end()
		b.run(ctx, yield)
	}
}

// begin makes b the running burst. Connections to another address are of no use to it.
func (e *pool) begin(b *poolBurst) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return false
	}
	e.busy = true
	if e.burst != nil && e.burst.target.key != b.target.key {
		for _, c := range e.idle {
			c.kill(ErrCanceled)
		}
		e.idle = nil
	}
	e.burst = b
	b.began = e.now()
	return true
}

func (e *pool) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
}

func (e *pool) now() time.Duration { return time.Since(e.epoch) }

// takeIdle takes an idle connection in the plan's order, or returns nil. Connections that were idle for long are closed
// instead: servers do the same, and a request on its way at that instant would be lost. The caller holds the lock.
func (e *pool) takeIdle(now time.Duration) *worker {
	for n := len(e.idle); n > 0; n = len(e.idle) {
		i := n - 1
		switch e.burst.plan.Order {
		case OrderFIFO:
			i = 0
		case OrderRandom:
			i = e.burst.draw.IntN(n)
		}
		c := e.idle[i]
		e.idle = slices.Delete(e.idle, i, i+1)
		if now-c.since <= idleTimeout && !c.worn(now) {
			return c
		}
		c.kill(ErrCanceled) // its goroutine finds out
	}
	return nil
}

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
