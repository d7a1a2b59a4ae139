package podexec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a writer that takes a Write only when it is let.
type gate struct {
	bytes.Buffer
	let chan struct{}
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.let
	return g.Buffer.Write(p)
}

func TestPumpDoesNotWaitForItsWriterWhileThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{let: make(chan struct{})}
		p := newPump(g, 100, time.Minute, func(error) {})
		start := time.Now()
		for range 10 {
			if n, err := p.Write(make([]byte, 10)); n != 10 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("100 bytes into a buffer of 100 took %s", d)
		}
		close(g.let)
		if err := p.finish(t.Context()); err != nil || g.Len() != 100 {
			t.Errorf("%d bytes, %v", g.Len(), err)
		}
	})
}

func TestPumpStallsAfterItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{let: make(chan struct{})}
		ctx, cancel := context.WithCancelCause(t.Context())
		p := newPump(g, 10, 20*time.Second, cancel)
		start := time.Now()
		n, err := p.Write(make([]byte, 11))
		if n != 10 || !errors.Is(err, ErrStalled) {
			t.Errorf("took %d, %v", n, err)
		}
		if d := time.Since(start); d != 20*time.Second {
			t.Errorf("after %s", d)
		}
		if !errors.Is(context.Cause(ctx), ErrStalled) {
			t.Errorf("stream's context: %v", context.Cause(ctx))
		}
		if err := p.finish(t.Context()); !errors.Is(err, ErrStalled) || time.Since(start) != 20*time.Second {
			t.Errorf("finish after %s: %v", time.Since(start), err)
		}
		close(g.let)
	})
}

func TestPumpIsPatientWithAWriterThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow slowWriter
		p := newPump(&slow, 1000, 20*time.Second, func(error) {})
		data := bytes.Repeat([]byte("0123456789"), 1000)
		if _, err := p.Write(data); err != nil { // ten times the limit in all, but never 20 s without progress
			t.Fatal(err)
		}
		if err := p.finish(t.Context()); err != nil || !bytes.Equal(slow.got, data) {
			t.Errorf("%d bytes, %v", len(slow.got), err)
		}
	})
}

type slowWriter struct{ got []byte }

func (s *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(19 * time.Second) // of the bubble's clock
	s.got = append(s.got, p...)
	return len(p), nil
}

func TestPumpStallAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{let: make(chan struct{})}
		p := newPump(g, 100, 20*time.Second, func(error) {})
		_, _ = p.Write([]byte("rest"))
		start := time.Now()
		err := p.finish(t.Context())
		if !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "4 bytes left") || time.Since(start) != 20*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		close(g.let)
	})
}

func TestPumpAfterCancelWaitsForTheGraceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{let: make(chan struct{})}
		p := newPump(g, 4, 20*time.Second, func(error) {})
		_, _ = p.Write([]byte("rest"))
		late := make(chan error)
		go func() { _, err := p.Write([]byte("more")); late <- err }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if err := p.finish(ctx); err != nil || time.Since(start) != grace {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if err := <-late; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a Write that waited: %v", err)
		}
		close(g.let)
	})
}

func TestPumpEndsTheStreamWhenItsWriterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := newPump(&fullDisk{room: 5}, 100, 20*time.Second, cancel)
		_, _ = p.Write([]byte("123456"))
		<-ctx.Done()
		if err := context.Cause(ctx); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("stream's context: %v", err)
		}
		if _, err := p.Write([]byte("7")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("next Write: %v", err)
		}
		if err := p.finish(t.Context()); !is[*OutputError](err) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("finish: %v", err)
		}
	})
}

// fullDisk fails as a file system does: part of the last write fits.
type fullDisk struct {
	bytes.Buffer
	room int
}

func (f *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), f.room-f.Len())
	f.Buffer.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func TestTailForwardsWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{let: make(chan struct{})}
		tl := newTail(g)
		start := time.Now()
		for range 100 {
			_, _ = tl.Write(bytes.Repeat([]byte("x"), 10_000)) // 1 MB, of which the stuck writer takes nothing
		}
		if kept := tl.finish(); len(kept) != stderrKept || time.Since(start) != grace {
			t.Errorf("%d bytes kept after %s", len(kept), time.Since(start))
		}
		close(g.let)
		synctest.Wait()
		if g.Len() > 2*stderrPending { // one batch in the writer's hands, one behind it
			t.Errorf("%d bytes were waiting for the writer", g.Len())
		}
	})
}

func TestTailKeepsTheEnd(t *testing.T) {
	for _, sizes := range [][]int{{}, {1}, {stderrKept}, {stderrKept + 1}, {3, stderrKept - 1, 7}, {100_000, 5}, {40_000, 40_000, 40_000}} {
		var all []byte
		tl := newTail(nil)
		for i, size := range sizes {
			part := bytes.Repeat([]byte{byte('a' + i)}, size)
			all = append(all, part...)
			_, _ = tl.Write(part)
		}
		if got, want := tl.finish(), string(all[max(0, len(all)-stderrKept):]); got != want {
			t.Errorf("%v: %d bytes, want %d, or others", sizes, len(got), len(want))
		}
	}
}
