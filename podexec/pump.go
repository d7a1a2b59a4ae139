package podexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrStalled is the cause of an [*OutputError] whose writer took nothing for Options.StallLimit.
var ErrStalled = errors.New("writer stands still")

// slice is the most that one Write of the caller's writer gets: progress is counted by whole writes.
const slice = 64 << 10

// pump stands between client-go and the caller's stdout. One goroutine of client-go serves stdout, stderr, the exit
// status and the connection's pongs; if it waits in a slow writer for a minute, the connection is given up. So Write
// copies into a bounded buffer, and a goroutine of the pump empties it. And client-go only logs a writer's error and
// drops the rest, so the error ends the stream from here.
type pump struct {
	w     io.Writer
	limit int           // bytes held, at most
	stall time.Duration // without progress, with a full buffer or at the end
	fail  context.CancelCauseFunc

	done chan struct{} // closed when the goroutine has ended
	more chan struct{} // one token: there is something to write, or the end
	room chan struct{} // one token: the writer took something, or failed
	quit chan struct{} // closed by finish: a Write that still waits must not

	mu     sync.Mutex
	queue  []byte // not yet begun
	held   int    // bytes in queue and in the batch being written
	moved  int64  // bytes the writer took in all
	closed bool
	err    error
}

func newPump(w io.Writer, limit int, stall time.Duration, fail context.CancelCauseFunc) *pump {
	if w == nil {
		w = io.Discard
	}
	p := &pump{
		w: w, limit: limit, stall: stall, fail: fail,
		done: make(chan struct{}), quit: make(chan struct{}),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	go p.run()
	return p
}

// Write takes all of b, or fails. It waits while the buffer is full and the writer makes progress.
func (p *pump) Write(b []byte) (int, error) {
	taken := 0
	for taken < len(b) {
		n, moved, err := p.put(b[taken:])
		taken += n
		if err != nil {
			return taken, err
		}
		if n == 0 {
			if err := p.wait(moved); err != nil {
				return taken, err
			}
		}
	}
	return taken, nil
}

// ReadFrom is Write for all that r has. client-go's io.Copy finds it, and makes no buffer of 32 KiB for each stream.
func (p *pump) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{p}, r, make([]byte, 8<<10))
}

func (p *pump) put(b []byte) (n int, moved int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.moved, p.err
	}
	if p.closed {
		return 0, p.moved, io.ErrClosedPipe
	}
	n = min(len(b), p.limit-p.held)
	p.queue = append(p.queue, b[:n]...)
	p.held += n
	if n > 0 {
		signal(p.more)
	}
	return n, p.moved, nil
}

// wait returns when the writer has taken more than moved, or the stall limit has passed.
func (p *pump) wait(moved int64) error {
	limit := time.NewTimer(p.stall)
	defer limit.Stop()
	for {
		p.mu.Lock()
		err, progress := p.err, p.moved > moved
		p.mu.Unlock()
		if err != nil || progress {
			return err
		}
		select {
		case <-p.room:
		case <-p.quit:
			return io.ErrClosedPipe
		case <-limit.C:
			return p.broken(fmt.Errorf("%w: nothing taken for %s with %d bytes waiting", ErrStalled, p.stall, p.limit))
		}
	}
}

// broken records the first error, ends the stream, and returns the error that counts.
func (p *pump) broken(err error) error {
	p.mu.Lock()
	if p.err == nil {
		p.err = &OutputError{Err: err}
	}
	p.queue, err = nil, p.err
	p.mu.Unlock()
	p.fail(err)
	signal(p.more)
	signal(p.room)
	return err
}

func (p *pump) run() {
	defer close(p.done)
	var batch []byte
	for range p.more {
		for {
			p.mu.Lock()
			batch, p.queue = p.queue, batch[:0]
			end := p.closed || p.err != nil
			p.mu.Unlock()
			if len(batch) == 0 {
				if end {
					return
				}
				break
			}
			if !p.drain(batch) {
				return
			}
		}
	}
}

func (p *pump) drain(batch []byte) bool {
	for len(batch) > 0 {
		part := batch[:min(len(batch), slice)]
		n, err := p.w.Write(part)
		if err == nil && n != len(part) {
			err = io.ErrShortWrite
		}
		if err != nil {
			_ = p.broken(err)
			return false
		}
		batch = batch[n:]
		p.mu.Lock()
		p.held -= n
		p.moved += int64(n)
		ok := p.err == nil
		p.mu.Unlock()
		signal(p.room)
		if !ok {
			return false
		}
	}
	return true
}

// finish waits until the writer has everything, and returns why it has not. After the end of ctx it waits for the grace
// only and says nothing of what was left: the caller knows that it cut the stream. Called once.
func (p *pump) finish(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	moved := p.moved
	p.mu.Unlock()
	close(p.quit)
	signal(p.more)
	limit := time.NewTimer(p.stall)
	defer limit.Stop()
	cut := ctx.Done()
	for {
		p.mu.Lock()
		err, left, progress := p.err, p.held, p.moved > moved
		moved = p.moved
		p.mu.Unlock()
		if err != nil {
			return err // run ends as soon as the writer lets it
		}
		if progress && ctx.Err() == nil {
			limit.Reset(p.stall)
		}
		select {
		case <-p.done:
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.err
		case <-p.room:
		case <-cut:
			cut = nil
			limit.Reset(min(grace, p.stall))
		case <-limit.C:
			if ctx.Err() != nil {
				return nil
			}
			return p.broken(fmt.Errorf("%w: nothing taken for %s, %d bytes left", ErrStalled, p.stall, left))
		}
	}
}

// signal leaves a token unless there is one already.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
