package attack

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxPending = 1 << 16 // results that wait for the consumer
	handOver   = 1 << 10 // so many results do not wait for the next turn
	turn       = 10 * time.Millisecond
)

// poolBurst is one burst of a pool.
type poolBurst struct {
	engine     *pool
	plan       Plan
	schedule   Schedule
	target     *target
	classifier *Classifier
	limit      int // connections
	specimens  atomic.Int64

	began  time.Duration // since the engine's epoch
	bytes  int64         // of the engine, when the burst began
	ctx    context.Context
	cancel context.CancelFunc
	alarm  alarm
	wake   chan struct{} // for the pacer, when parked
	ready  chan struct{} // for the consumer: much has gathered
	over   chan struct{} // closed when every request that was or will be sent has its result

	// Guarded by the engine's lock.
	draw     *rand.Rand    // of connections' quotas
	next     uint64        // request that is sent next
	due      time.Duration // its planned instant, since began
	inFlight int
	pending  []Result
	kept     []Specimen
	guard    *guard
	cause    error // why the burst was given up
	stopped  bool
	ended    bool // over is closed
	parked   bool // the pacer waits for a connection, not for an instant
}

func newPoolBurst(e *pool, p Plan) (*poolBurst, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	classifier, err := NewClassifier(p.Rules)
	if err != nil {
		return nil, err
	}
	target, err := e.prepare(p)
	if err != nil {
		return nil, err
	}
	schedule := p.Schedule()
	var seed uint64
	if p.Reuse != nil {
		seed = p.Reuse.Seed
	}
	return &poolBurst{
		engine: e, plan: p, schedule: schedule, target: target, classifier: classifier,
		limit: min(p.Connections, e.limit) * p.streams(), due: schedule.At(0), draw: rand.New(rand.NewPCG(seed, 0xc0)),
		guard: newGuard(p), bytes: e.bytes.Load(),
		wake: make(chan struct{}, 1), ready: make(chan struct{}, 1), over: make(chan struct{}),
	}, nil
}

func (b *poolBurst) run(ctx context.Context, yield func(Result, error) bool) {
	b.ctx, b.cancel = context.WithCancel(ctx)
	var helpers sync.WaitGroup
	if l := b.engine.loop; l != nil {
		helpers.Go(func() { l.drive(b) })
	} else {
		b.alarm = newAlarm()
		defer b.alarm.close()
		helpers.Go(b.pace)
	}
	helpers.Go(b.watch)
	defer func() {
		b.stop()
		<-b.over
		b.cancel()
		helpers.Wait()
	}()

	tick := time.NewTicker(turn)
	defer tick.Stop()
	var results []Result
	for over := false; !over; {
		select {
		case <-b.over:
			over = true
		case <-b.ready:
		case <-tick.C:
		}
		var specimens []Specimen
		results, specimens = b.collect(results)
		for _, s := range specimens {
			b.engine.o.Unmatched(s)
		}
		for _, r := range results {
			if !yield(r, nil) {
				return
			}
		}
	}
	if b.cause != nil {
		yield(Result{}, b.cause)
	} else if err := ctx.Err(); err != nil {
		yield(Result{}, err)
	}
}

// collect takes what has gathered and leaves spare memory for more.
func (b *poolBurst) collect(spare []Result) ([]Result, []Specimen) {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	results, specimens := b.pending, b.kept
	b.pending, b.kept = spare[:0], nil
	b.unpark()
	return results, specimens
}

// take gives the next request to c if it is due. The caller holds the lock and sends it, or lets c's goroutine.
func (b *poolBurst) take(c *worker, now time.Duration) bool {
	if b.stopped || b.next == b.plan.Requests || b.due > now-b.began || len(b.pending)+b.inFlight >= maxPending {
		return false
	}
	c.burst, c.seq, c.planned, c.fate = b, b.next, b.due, OK
	b.advance()
	b.inFlight++
	c.sent = b.engine.now()
	b.engine.bytes.Add(int64(len(b.target.request)))
	if b.plan.closed() {
		c.planned = c.sent - b.began
	}
	c.busy.Store(true) // publishes what stands above
	return true
}

// limitUse says when c, just opened, is to be given up. The caller holds the lock.
func (b *poolBurst) limitUse(c *worker) {
	c.quota, c.maxAge = 0, 0
	if r := b.plan.Reuse; r != nil {
		c.maxAge, c.quota = r.MaxAge, r.quota(b.draw)
	}
}

// quota draws how many requests a connection is to carry; 0: any number.
func (r *Reuse) quota(draw *rand.Rand) uint64 {
	if r.MaxRequests == 0 {
		return 0
	}
	least := max(r.MinRequests, 1)
	return least + draw.Uint64N(r.MaxRequests-least+1)
}

// deliver hands in the result of a request that was taken. The caller holds the lock.
func (b *poolBurst) deliver(r Result) {
	b.pending = append(b.pending, r)
	if len(b.pending) == handOver {
		select {
		case b.ready <- struct{}{}:
		default:
		}
	}
	b.inFlight--
	if why := b.guard.see(r); why != nil {
		b.giveUp(why)
	}
	b.finish()
}

// giveUp ends the burst for a reason that is known. The caller holds the lock.
func (b *poolBurst) giveUp(why error) {
	if !b.stopped {
		b.cause = why
		b.halt()
	}
}

// saturated does with the request that is due now what the plan wants where no connection is free for it, and reports
// whether there may be another one to do it with. The caller holds the lock.
func (b *poolBurst) saturated(now time.Duration) (again bool) {
	if b.plan.closed() {
		return false
	}
	switch b.plan.Saturation {
	case SaturationDrop:
		b.inFlight++
		r := Result{
			Seq: b.next, Planned: b.due, Sent: b.due, Done: max(now-b.began, b.due),
			Conn: UnknownConn, Backend: Unattributed, Err: ErrDropped,
		}
		b.advance()
		b.deliver(r)
		return true
	case SaturationAbort:
		b.giveUp(abort(AbortSaturated, "request %d was due while all %d connections were busy", b.next, b.limit))
		return true
	}
	return false
}

// advance makes the next request the one after. The caller holds the lock.
func (b *poolBurst) advance() {
	b.next++
	if b.next < b.plan.Requests {
		b.due = b.schedule.At(b.next)
	}
}

// finish notes the end. The caller holds the lock.
func (b *poolBurst) finish() {
	if !b.ended && b.inFlight == 0 && (b.stopped || b.next == b.plan.Requests) {
		b.ended = true
		close(b.over)
		b.unpark()
	}
}

// stop ends the burst: nothing more is sent, and what is in flight ends now.
func (b *poolBurst) stop() {
	b.engine.mu.Lock()
	defer b.engine.mu.Unlock()
	b.halt()
}

// halt is stop, for a caller who holds the lock.
func (b *poolBurst) halt() {
	if b.stopped {
		return
	}
	b.stopped = true
	for c := range b.engine.open {
		if c.busy.Load() {
			c.kill(ErrCanceled)
		}
	}
	b.cancel()
	if b.alarm != nil {
		b.alarm.interrupt()
	}
	b.unpark()
	b.finish()
}

// unpark lets the pacer look again. The caller holds the lock.
func (b *poolBurst) unpark() {
	if l := b.engine.loop; l != nil {
		l.wake()
	} else if b.parked {
		b.parked = false
		b.wake <- struct{}{} // has room: there is one pacer, and it was parked
	}
}

// pacerStep is what the pacer does next.
type pacerStep int

const (
	stepEnd   pacerStep = iota // nothing more will be sent
	stepSleep                  // the next request is not due yet
	stepPark                   // it is, and has to wait for a connection or for the consumer
	stepWrite                  // send it over a connection that is open
	stepDial                   // open one for it
	stepAgain                  // it was dropped: look at the next one
)

// pick decides what is to be done next, and takes the request where it is one to be sent. The caller holds the lock.
func (b *poolBurst) pick(now time.Duration) (*worker, pacerStep) {
	e := b.engine
	switch {
	case b.stopped || b.next == b.plan.Requests:
		return nil, stepEnd
	case b.due > now-b.began:
		return nil, stepSleep
	case len(b.pending)+b.inFlight >= maxPending:
		return nil, stepPark
	}
	if c := e.takeIdle(now); c != nil {
		b.take(c, now)
		return c, stepWrite
	}
	if len(e.open) >= b.limit {
		if b.saturated(now) {
			return nil, stepAgain
		}
		return nil, stepPark
	}
	c := e.newWorker(e)
	b.take(c, now)
	e.open[c] = struct{}{}
	e.conns.Add(1)
	return c, stepDial
}

// spins reports whether to wait for so long without sleeping.
func (b *poolBurst) spins(wait time.Duration) bool { return b.plan.Spin && wait < spinBefore }

// spinBefore is how long before an instant a burst that spins stops sleeping: longer than a sleep is late, but for few.
const spinBefore = 200 * time.Microsecond

// pace sends each request when it is due, as long as there is a connection for it, where no loop does.
func (b *poolBurst) pace() {
	e := b.engine
	for {
		e.mu.Lock()
		now := e.now()
		c, act := b.pick(now)
		wait := b.due - (now - b.began)
		var nc io.WriteCloser
		switch act {
		case stepWrite:
			nc = c.nc // c may have another one as soon as the lock is free
		case stepPark:
			b.parked = true
		}
		e.mu.Unlock()
		switch act {
		case stepEnd:
			return
		case stepSleep:
			b.alarm.sleep(wait)
		case stepPark:
			<-b.wake
		case stepWrite:
			write(nc, b.target.request)
		case stepDial:
			go c.run()
		}
	}
}

// watch ends requests that take too long, and the burst with its context, its time and its bytes. One timer serves all
// requests: no request sent after a look at them can expire before a whole timeout has passed, so the next look is at
// the first of those there were.
func (b *poolBurst) watch() {
	timer := time.NewTimer(b.look())
	defer timer.Stop()
	for {
		select {
		case <-b.over:
			return
		case <-b.ctx.Done():
			b.stop()
			return
		case <-timer.C:
			timer.Reset(b.look())
		}
	}
}

// look ends what is to end now and returns when to look again.
func (b *poolBurst) look() time.Duration {
	wait := b.expire()
	l := b.plan.Limits
	if l == nil || l.Bytes == 0 && l.Time == 0 {
		return wait
	}
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	if l.Time > 0 {
		left := l.Time - (e.now() - b.began)
		if left <= 0 {
			b.giveUp(abort(AbortTime, "%s are over", l.Time))
		}
		wait = min(wait, max(left, 0))
	}
	if l.Bytes > 0 {
		if n := e.bytes.Load() - b.bytes; n > l.Bytes {
			b.giveUp(abort(AbortBytes, "%d bytes went over the connections, more than %d", n, l.Bytes))
		}
		wait = min(wait, bytesEvery)
	}
	return wait
}

// bytesEvery is how often bytes are looked at: too seldom to cost, often enough to stop within a second.
const bytesEvery = 100 * time.Millisecond

// expire ends the requests whose time is up and returns how long none can be.
func (b *poolBurst) expire() time.Duration {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	wait := b.plan.Timeout
	for c := range e.open {
		if !c.busy.Load() || c.fate != OK {
			continue
		}
		if left := c.sent + b.plan.Timeout - now; left <= 0 {
			c.kill(ErrTimeout)
		} else {
			wait = min(wait, left)
		}
	}
	return wait
}
