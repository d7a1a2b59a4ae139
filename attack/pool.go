package attack

import (
	"context"
	"errors"
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
