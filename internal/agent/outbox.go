package agent

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

// maxQueued bounds what waits for a slow stdout, in bytes of payload. Sample blocks beyond it are dropped and counted:
// load must never wait for its own report.
const maxQueued = 8 << 20

// flushLimit is how long the end of a session waits for stdout to take what is queued.
const flushLimit = time.Second

// writeAtOnce is the most that is gathered for one write, in bytes: as much as TLS takes for one record.
const writeAtOnce = 16 << 10

var errStuck = errors.New("stdout takes nothing any more")

// outbox is the one writer of stdout. Frames are queued without waiting and written by its goroutine.
type outbox struct {
	mu     sync.Mutex
	wake   *sync.Cond
	queue  []outFrame
	queued int
	closed bool
	err    error
	done   chan struct{}
}

type outFrame struct {
	t       wire.Type
	payload []byte
}

// newOutbox starts the writer; broken is called once if stdout fails. close ends it.
func newOutbox(w io.Writer, broken func(error)) *outbox {
	b := &outbox{done: make(chan struct{})}
	b.wake = sync.NewCond(&b.mu)
	go func() {
		defer close(b.done)
		b.run(bufio.NewWriterSize(w, writeAtOnce), broken)
	}()
	return b
}

// run writes what is queued, as much as there is at once: each write is a message with its own way through the kubelet
// and the API server.
func (b *outbox) run(stdout *bufio.Writer, broken func(error)) {
	w := wire.NewWriter(stdout)
	for {
		next, more := b.next(stdout.Buffered() == 0)
		var err error
		switch {
		case next.t != 0:
			err = w.Write(next.t, next.payload)
		case stdout.Buffered() > 0:
			err = stdout.Flush()
		case !more:
			return
		}
		if err != nil {
			b.mu.Lock()
			b.err, b.closed, b.queue = err, true, nil
			b.mu.Unlock()
			broken(err)
			return
		}
	}
}

// next takes a frame from the queue, one of no type where there is none, and says whether others may come. With wait it
// waits for one, or for the end.
func (b *outbox) next(wait bool) (f outFrame, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for wait && len(b.queue) == 0 && !b.closed {
		b.wake.Wait()
	}
	if len(b.queue) > 0 {
		f, b.queue = b.queue[0], b.queue[1:]
		b.queued -= len(f.payload)
	}
	return f, !b.closed
}

// send queues a frame whatever the queue's length: control frames are few and small.
func (b *outbox) send(t wire.Type, payload []byte) { b.put(t, payload, false) }

// offer queues a frame if there is room, and says whether there was.
func (b *outbox) offer(t wire.Type, payload []byte) bool { return b.put(t, payload, true) }

func (b *outbox) put(t wire.Type, payload []byte, mayDrop bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || mayDrop && b.queued+len(payload) > maxQueued {
		return false
	}
	b.queue = append(b.queue, outFrame{t, payload})
	b.queued += len(payload)
	b.wake.Signal()
	return true
}

// close writes what is queued and ends the writer. It waits for both, but not for ever: a stdout that nobody reads must
// not keep the agent alive.
func (b *outbox) close() error {
	b.mu.Lock()
	b.closed = true
	b.wake.Signal()
	b.mu.Unlock()
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	select {
	case <-b.done:
	case <-limit.C:
		return errStuck
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
