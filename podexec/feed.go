package podexec

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// feed is the caller's stdin as client-go reads it, on a goroutine that nobody else can end.
type feed struct {
	src io.Reader

	mu      sync.Mutex
	stopped bool
	reading chan struct{} // closed when the Read in progress returns; nil when there is none
	err     error
}

func newFeed(src io.Reader) *feed {
	if src == nil {
		src = strings.NewReader("")
	}
	return &feed{src: src}
}

// Read passes on what the source gives. client-go logs a source's error and sends EOF, as if the input were complete.
// The command cannot be told the difference, the caller can.
func (f *feed) Read(p []byte) (int, error) {
	f.mu.Lock()
	if f.stopped {
		f.mu.Unlock()
		return 0, io.EOF
	}
	idle := make(chan struct{})
	f.reading = idle
	f.mu.Unlock()

	n, err := f.src.Read(p)

	f.mu.Lock()
	defer f.mu.Unlock()
	f.reading = nil
	close(idle)
	if err != nil && !errors.Is(err, io.EOF) && !f.stopped && f.err == nil {
		f.err = &InputError{Err: err}
	}
	return n, err
}

// stop ends the reading, and returns the error of the source if there was one. A source that can be closed is closed,
// and a Read in progress gets the grace to return.
func (f *feed) stop() error {
	f.mu.Lock()
	f.stopped = true
	idle, err := f.reading, f.err
	f.mu.Unlock()
	if c, ok := f.src.(io.Closer); ok {
		_ = c.Close() // its error is of no use: the command has ended
	}
	if idle == nil {
		return err
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
	}
	return err
}
