package attack

import (
	"context"
	"errors"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// H1 is the engine that this package exists for: HTTP/1.1 over plain connections, one goroutine for each, and nothing
// between the plan and the socket.
//
// A connection's goroutine always waits in Read, also at rest, so that a server that closes is noticed. When a request
// falls due, the pacer takes the connection used last and writes to it itself: no goroutine has to wake up before a request
// leaves. A connection that ends an answer while others are already due takes the next of them on the spot. On Linux pacer
// and connections are coroutines of one loop on one epoll (h1Loop); elsewhere, and for connections that are no sockets,
// they are goroutines on Go's poller. All that they share is decided under one lock, held for some 100 ns per request.
//
// Where more is due than connections may be open, requests wait in the queue and keep their planned instants. Nothing is
// ever sent twice: a connection that dies under a request costs that request.
type H1 struct {
	o       EngineOptions
	limit   int
	epoch   time.Time // origin of the instants inside
	dialled atomic.Int64
	conns   sync.WaitGroup // the connections' goroutines
	loop    *h1Loop        // drives the connections; nil where the system has no such thing

	mu    sync.Mutex
	burst *h1Burst             // the one that runs, or the last
	busy  bool                 // a burst runs
	open  map[*h1Conn]struct{} // connections that have a goroutine
	idle  []*h1Conn            // of them, those at rest, the one used last at the end
}

var _ Engine = (*H1)(nil)

// NewH1 returns an engine with no connections yet, which opens at most so many. Connections outlive a burst, each with its
// goroutine; Close ends them.
func NewH1(o EngineOptions, connections int) *H1 {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	return &H1{o: o, limit: max(connections, 1), epoch: time.Now(), loop: newH1Loop(), open: make(map[*h1Conn]struct{})}
}

// Dialled is how many connections were opened so far.
func (e *H1) Dialled() int64 { return e.dialled.Load() }

// Close closes all connections and waits for their goroutines. No burst may be running.
func (e *H1) Close() {
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
func (e *H1) Attack(ctx context.Context, p Plan) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		p = p.WithDefaults()
		b, err := newH1Burst(e, p)
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
func (e *H1) begin(b *h1Burst) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy {
		return false
	}
	e.busy = true
	if e.burst != nil && e.burst.target.address != b.target.address {
		for _, c := range e.idle {
			c.kill(ErrCanceled)
		}
		e.idle = nil
	}
	e.burst = b
	b.began = e.now()
	return true
}

func (e *H1) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.busy = false
}

func (e *H1) now() time.Duration { return time.Since(e.epoch) }

// rested takes the connection used last from those at rest, or nil. Connections that rested for long are closed instead:
// servers do the same, and a request on its way at that instant would be lost. The caller holds the lock.
func (e *H1) rested(now time.Duration) *h1Conn {
	for n := len(e.idle); n > 0; n = len(e.idle) {
		c := e.idle[n-1]
		e.idle = e.idle[:n-1]
		if now-c.since <= idleTimeout && !c.worn(now) {
			return c
		}
		c.kill(ErrCanceled) // its goroutine finds out
	}
	return nil
}
