package podexec

import (
	"io"
	"sync"
	"time"
)

const (
	stderrKept    = 64 << 10 // bytes, for the error
	stderrPending = 64 << 10 // bytes, for a slow writer
)

// tail is the command's stderr: it keeps the end of it and forwards it as far as the caller's writer keeps up. A slow
// reader of diagnostics must not hold up the results, so what it does not take is dropped.
type tail struct {
	more chan struct{}
	done chan struct{}

	mu      sync.Mutex
	ring    []byte // the last bytes, oldest at next once full
	next    int
	pending []byte
	closed  bool
}

func newTail(w io.Writer) *tail {
	t := &tail{more: make(chan struct{}, 1), done: make(chan struct{})}
	if w == nil {
		close(t.done)
		return t
	}
	go t.forward(w)
	return t
}

// Write never waits and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keep(p)
	if !t.closed {
		t.pending = append(t.pending, p[:min(len(p), stderrPending-len(t.pending))]...)
		signal(t.more)
	}
	return len(p), nil
}

// ReadFrom is what the pump's is.
func (t *tail) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{t}, r, make([]byte, 1<<10))
}

func (t *tail) keep(p []byte) {
	if len(p) > stderrKept {
		p = p[len(p)-stderrKept:]
	}
	grow := min(len(p), stderrKept-len(t.ring))
	t.ring = append(t.ring, p[:grow]...)
	for p = p[grow:]; len(p) > 0; {
		n := copy(t.ring[t.next:], p)
		t.next = (t.next + n) % stderrKept
		p = p[n:]
	}
}

func (t *tail) forward(w io.Writer) {
	defer close(t.done)
	var batch []byte
	for range t.more {
		t.mu.Lock()
		batch, t.pending = t.pending, batch[:0]
		closed := t.closed
		t.mu.Unlock()
		if len(batch) > 0 {
			if _, err := w.Write(batch); err != nil {
				return // diagnostics that cannot be shown are still in the error
			}
		}
		if closed {
			return
		}
	}
}

// finish gives the writer the grace to take what is pending and returns the kept end of stderr.
func (t *tail) finish() string {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	signal(t.more)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-t.done:
	case <-late.C:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.ring[t.next:]) + string(t.ring[:t.next])
}
