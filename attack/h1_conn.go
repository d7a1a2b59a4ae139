package attack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"
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

// Bounds of one answer. Beyond them it is ErrProtocol: what has no end must not cost memory.
const (
	minBuffer    = 4 << 10
	maxBuffer    = maxHeaderBytes + maxBody + 32<<10
	maxChunkLine = 256
	maxTrailer   = 4 << 10
)

var (
	errFraming  = errors.New("ambiguous framing")
	errSyntax   = errors.New("not an HTTP/1.1 response")
	errTooLarge = errors.New("header or chunk line too large")
	errCut      = errors.New("response is cut short")
)

// h1Reader reads a connection into one buffer, in which an answer is parsed and its body gathered in place. While an
// answer is read, buf[:floor] is kept as it is, buf[read:write] has come and is not used yet, and what lies between may
// be written over.
type h1Reader struct {
	src         io.Reader
	epoch       time.Time     // origin of first and last
	count       *atomic.Int64 // of all bytes that came; may be nil
	buf         []byte
	read, write int
	floor       int
	first, last time.Duration // when the first and the latest byte of the answer were read
	since       time.Duration // for how long the latest had been there then
	known       bool          // since is the kernel's
}

// begin makes room for the next answer. What is left over from the last one is dropped: see spare.
func (p *h1Reader) begin() {
	p.read, p.write, p.floor, p.first, p.since, p.known = 0, 0, 0, 0, 0, false
}

// spare is how many bytes have come beyond the end of the answer.
func (p *h1Reader) spare() int { return p.write - p.read }

// more waits for at least one more byte. It may move the bytes above floor.
func (p *h1Reader) more() error {
	if p.read == p.write {
		p.read, p.write = p.floor, p.floor
	}
	if p.write == len(p.buf) && p.read > p.floor {
		p.write = p.floor + copy(p.buf[p.floor:], p.buf[p.read:p.write])
		p.read = p.floor
	}
	if free := len(p.buf) - p.write; free < len(p.buf)/4 || free == 0 {
		if !p.grow() && free == 0 {
			return errTooLarge
		}
	}
	for range 100 {
		n, err := p.src.Read(p.buf[p.write:])
		if n > 0 {
			now := time.Now()
			p.last = now.Sub(p.epoch)
			if src, ok := p.src.(punctual); ok {
				p.since, p.known = src.late(now)
			}
			if p.first == 0 {
				p.first = p.last
			}
			p.write += n
			if p.count != nil {
				p.count.Add(int64(n))
			}
			return nil // an error along with bytes comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (p *h1Reader) grow() bool {
	size := min(max(2*len(p.buf), minBuffer), maxBuffer)
	if size == len(p.buf) {
		return false
	}
	bigger := make([]byte, size)
	copy(bigger, p.buf[:p.write])
	p.buf = bigger
	return true
}

// line returns the next line without its CRLF, valid until more bytes are read. A bare LF or CR is refused: programs
// that take it for an end of line and programs that do not see different answers in one stream.
func (p *h1Reader) line(limit int) ([]byte, error) {
	l, err := p.toLF(limit)
	if err == nil && !bytes.HasSuffix(l, []byte("\r")) {
		return nil, errSyntax
	}
	return bytes.TrimSuffix(l, []byte("\r")), err
}

// toLF returns what comes before the next LF, valid until more bytes are read.
func (p *h1Reader) toLF(limit int) ([]byte, error) {
	for seen := 0; ; {
		rest := p.buf[p.read:p.write]
		if i := bytes.IndexByte(rest[seen:], '\n'); i >= 0 {
			end := seen + i
			p.read += end + 1
			if end+1 > limit {
				return nil, errSyntax
			}
			return rest[:end], nil
		}
		if seen = len(rest); seen > limit {
			return nil, errTooLarge
		}
		if err := p.more(); err != nil {
			return nil, cut(err)
		}
	}
}

// cut turns an end of the stream in the middle of an answer into what it means.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return errCut
	}
	return err
}

// body reads n bytes of a body and keeps of them what the limit of the kept body, counted from start, allows. Kept
// bytes end at floor.
func (p *h1Reader) body(start int, n uint64) error {
	for n > 0 {
		if p.read == p.write {
			if err := p.more(); err != nil {
				return cut(err)
			}
		}
		k := int(min(uint64(p.write-p.read), n))
		if keep := min(k, maxBody-(p.floor-start)); keep > 0 {
			if p.floor != p.read {
				copy(p.buf[p.floor:], p.buf[p.read:p.read+keep])
			}
			p.floor += keep
		}
		p.read += k
		n -= uint64(k)
	}
	return nil
}
