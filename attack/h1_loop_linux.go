package attack

import (
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// h1Loop drives an engine's connections from one goroutine: it waits in one epoll for the next planned instant and for
// all answers, and resumes the coroutine of a connection that has something to read. Go's poller would do, and did, but
// what it costs to hand a socket's event to a goroutine (a second thread woken to look for more work, and that one's
// search) is several times what the request itself takes, above all where the process is idle in between.
//
// A connection's code stays what it is, a straight line that reads, parses and settles: its Read gives the loop its
// turn where there is nothing to read. Sockets are read and written without telling Go's scheduler, since neither can
// block; only the wait in epoll says that it may.
type h1Loop struct {
	epoll, timer, event int
	armed               time.Duration // instant that the timer is set for, since the engine's epoch; 0: none
	conns               []*loopConn   // by slot
	free                []int32       // slots
	events              [128]unix.EpollEvent

	asleep   atomic.Bool // waits, or is about to; set under the engine's lock
	arrivals []*h1Conn   // opened, for the loop to take over; guarded by the engine's lock
	opened   int32       // how many there were, guarded likewise
}

// Slots of the loop's own files, which no connection has.
const (
	slotTimer = -1
	slotEvent = -2
)

// newH1Loop returns nil where there is no such thing: in a sandbox it may be forbidden.
func newH1Loop() *h1Loop {
	l := &h1Loop{epoll: -1, timer: -1, event: -1}
	if err := l.open(); err != nil {
		l.close()
		return nil
	}
	return l
}

func (l *h1Loop) open() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	if l.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	// Edges: an expiry and a wake-up need no read to be told from the next one.
	if err := l.watch(l.timer, slotTimer, 0, unix.EPOLLIN); err != nil {
		return err
	}
	return l.watch(l.event, slotEvent, 0, unix.EPOLLIN)
}

func (l *h1Loop) watch(fd int, slot, generation int32, events uint32) error {
	e := unix.EpollEvent{Events: events | unix.EPOLLET, Fd: slot, Pad: generation}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &e))
}

// close ends what rests. Nothing may run.
func (l *h1Loop) close() {
	for _, c := range l.conns {
		if c != nil {
			c.stop()
			l.discard(c)
		}
	}
	for _, fd := range []int{l.epoll, l.timer, l.event} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// wake ends the present wait. It may be called from any goroutine; one that the loop itself runs finds it awake.
func (l *h1Loop) wake() {
	if l.asleep.CompareAndSwap(true, false) {
		one := [8]byte{1}
		_, _ = unix.Write(l.event, one[:])
	}
}

// sleep waits until something happens or, where until is not 0, until that instant since epoch. It returns what
// happened. Unless spinning, the loop must have been marked asleep.
func (l *h1Loop) sleep(until, now time.Duration, spin bool) []unix.EpollEvent {
	if until > 0 && until != l.armed && !spin {
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(until-now), 1))}
		if unix.TimerfdSettime(l.timer, 0, &spec, nil) == nil {
			l.armed = until
		}
	}
	call, timeout := unix.Syscall6, ^uintptr(0)
	if spin {
		call, timeout = unix.RawSyscall6, 0
	}
	events := uintptr(unsafe.Pointer(&l.events[0])) // l is on the heap, and does not move
	n, _, errno := call(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), events, uintptr(len(l.events)), timeout, 0, 0)
	l.asleep.Store(false)
	if errno != 0 { // EINTR: look again
		return nil
	}
	return l.events[:n]
}

// adopt takes over a connection that a goroutine has opened, if it is one of the kind. The caller holds the engine's
// lock, and serves the connection itself where adopt reports false.
func (l *h1Loop) adopt(c *h1Conn, nc net.Conn) bool {
	l.opened++
	lc := newLoopConn(nc, l.opened)
	if lc == nil {
		return false
	}
	lc.serve(c)
	c.nc = lc
	l.arrivals = append(l.arrivals, c)
	l.wake()
	return true
}

// welcome begins to serve a connection that has arrived.
func (l *h1Loop) welcome(c *h1Conn) {
	lc, ok := c.nc.(*loopConn)
	if !ok {
		return // it arrived as one
	}
	if err := l.add(lc); err != nil {
		lc.readable = true // reading what is shut says so at once
		_ = lc.Close()
	}
	l.proceed(lc)
}

// drive carries out a burst: it sends what is due, waits, and lets the connections go on that have something to read.
func (l *h1Loop) drive(b *poolBurst) {
	for full := true; full; { // connections that were closed since the last burst, however many
		events := l.sleep(0, 0, true)
		full = len(events) == len(l.events)
		l.dispatch(events)
	}
	for {
		until, now, over := l.release(b)
		if over {
			return
		}
		spin := until > 0 && b.spins(until-now)
		if until > 0 && b.plan.Spin {
			until = max(until-spinBefore, now)
		}
		l.dispatch(l.sleep(until, now, spin))
	}
}

// release sends what is due as long as there are connections for it. until is when the next request will be, since the
// engine's epoch; 0: that depends on answers.
func (l *h1Loop) release(b *poolBurst) (until, now time.Duration, over bool) {
	e := b.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if n := len(l.arrivals); n > 0 {
			c := l.arrivals[n-1]
			l.arrivals = l.arrivals[:n-1]
			e.mu.Unlock()
			l.welcome(c)
			e.mu.Lock()
			continue
		}
		if b.ended {
			return 0, 0, true
		}
		now = e.now()
		switch c, act := b.pick(now); act {
		case stepWrite:
			nc := c.nc
			e.mu.Unlock()
			write(nc, b.target.request)
			e.mu.Lock()
		case stepDial:
			go c.run()
		case stepSleep:
			l.asleep.Store(true)
			return b.began + b.due, now, false
		case stepAgain:
		case stepPark, stepEnd:
			l.asleep.Store(true)
			return 0, now, false
		}
	}
}

func (l *h1Loop) add(lc *loopConn) error {
	if n := len(l.free); n > 0 {
		lc.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		lc.slot = int32(len(l.conns))
		l.conns = append(l.conns, nil)
	}
	l.conns[lc.slot] = lc
	return l.watch(lc.fd, lc.slot, lc.generation, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP)
}

// dispatch resumes the connections that something has happened to.
func (l *h1Loop) dispatch(events []unix.EpollEvent) {
	for i := range events {
		ev := &events[i]
		switch ev.Fd {
		case slotTimer:
			l.armed = 0
		case slotEvent: // arrivals, an end, or a consumer that made room
		default:
			lc := l.conns[ev.Fd]
			if lc == nil || lc.generation != ev.Pad {
				continue // gone since
			}
			lc.happened(ev.Events)
			if lc.readable {
				l.proceed(lc)
			}
		}
	}
}

// proceed runs a connection's code until it waits to read again, or has ended.
func (l *h1Loop) proceed(lc *loopConn) {
	if _, waits := lc.resume(); !waits {
		l.discard(lc)
		if lc.again { // it has a request in hand, and needs another connection
			lc.owner.engine.conns.Add(1)
			go lc.owner.carry()
		}
	}
}

func (l *h1Loop) discard(lc *loopConn) {
	l.conns[lc.slot] = nil
	l.free = append(l.free, lc.slot)
	lc.free()
}

// loopConn is a socket that a loop waits for. Its methods are called from what the loop runs, but for Close.
type loopConn struct {
	fd         int
	slot       int32
	generation int32 // of the slot's use: events of a connection that had it before are none of this one's
	readable   bool  // there may be something to read
	ended      bool  // the other side has sent all it will
	out        []byte

	arrivals arrivals

	owner  *h1Conn
	again  bool // the owner has a request in hand, but no connection
	yield  func(struct{}) bool
	resume func() (struct{}, bool)
	stop   func()

	mu     sync.Mutex
	closed bool // fd is not ours any more
}

var _ io.ReadWriteCloser = (*loopConn)(nil)

// newLoopConn takes the socket out of a connection of package net, which is closed. It returns nil for any other kind
// of connection, or where the system refuses.
func newLoopConn(nc net.Conn, generation int32) *loopConn {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	// A duplicate, of which Go's poller knows nothing. It stays non-blocking, which is a property of what is shared.
	if raw.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return nil
	}
	_ = tc.Close()
	return &loopConn{fd: fd, generation: generation, arrivals: newArrivals(fd)}
}

// serve makes c's code a coroutine that resume runs up to its next wait.
func (lc *loopConn) serve(c *h1Conn) {
	lc.owner = c
	lc.resume, lc.stop = iter.Pull(func(yield func(struct{}) bool) {
		lc.yield = yield
		write(lc, c.burst.target.request)
		lc.again = c.serve()
	})
}

func (lc *loopConn) happened(events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		lc.ended = true
	}
	if events&^unix.EPOLLOUT != 0 {
		lc.readable = true
	}
	if len(lc.out) > 0 {
		rest := lc.out
		lc.out = nil
		_, _ = lc.Write(rest)
	}
}

// Read implements io.Reader. It gives the loop its turn until there is something to read.
func (lc *loopConn) Read(p []byte) (int, error) {
	for {
		if !lc.readable && !lc.yield(struct{}{}) {
			return 0, net.ErrClosed
		}
		if len(p) == 0 {
			return 0, nil
		}
		n, errno := lc.arrivals.read(lc.fd, p)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			lc.readable = false
		case errno != 0:
			return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", errno)}
		case n == 0:
			return 0, io.EOF
		default:
			// Fewer than asked for is all there was: what comes later is an event of its own. Not so the end, which may
			// have been told along with the last bytes.
			lc.readable = lc.ended || int(n) == len(p)
			return int(n), nil
		}
	}
}

// Write implements io.Writer. What the socket does not take at once is written as it does.
func (lc *loopConn) Write(p []byte) (int, error) {
	for written := 0; ; {
		rest := p[written:]
		n, _, errno := unix.RawSyscall(
			unix.SYS_WRITE, uintptr(lc.fd), uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			lc.out = rest
			return len(p), nil
		case errno != 0:
			return written, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", errno)}
		default:
			if written += int(n); written == len(p) {
				return written, nil
			}
		}
	}
}

// Close implements io.Closer, from any goroutine: reading ends. The loop closes the socket itself.
func (lc *loopConn) Close() error {
	lc.mu.Lock()
	defer lc.mu.Unlock()
	if lc.closed {
		return net.ErrClosed
	}
	return os.NewSyscallError("shutdown", unix.Shutdown(lc.fd, unix.SHUT_RDWR))
}

func (lc *loopConn) free() {
	lc.mu.Lock()
	defer lc.mu.Unlock()
	if !lc.closed {
		lc.closed = true
		_ = unix.Close(lc.fd)
	}
}
