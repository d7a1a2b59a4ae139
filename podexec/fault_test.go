package podexec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func TestSlowReaderGetsEverything(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p, StdoutBuffer: 1000})
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			err := c.Exec(t.Context(), []string{"sh", "-c", "seq 1 20000; exit 5"}, nil, w, nil)
			_ = w.Close()
			done <- err
		}()
		got, sum := 0, 0
		buf := make([]byte, 77)
		for {
			n, err := r.Read(buf)
			got += n
			sum += bytes.Count(buf[:n], []byte("\n"))
			if err != nil {
				break
			}
			runtime.Gosched()
		}
		var exit *ExitError
		if err := <-done; !errors.As(err, &exit) || exit.Code != 5 {
			t.Errorf("%v", err)
		}
		if got != 108_894 || sum != 20_000 { // seq 1 20000 | wc
			t.Errorf("%d bytes, %d lines", got, sum)
		}
	})
}

func TestFullDiskEndsTheCommandWithAnError(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		s := newServer(t, nil)
		c := s.container(t, Options{Protocol: p})
		disk := &fullDisk{room: 100_000}
		// The command would go on for ever: only the error can end it.
		err := c.Exec(t.Context(), []string{"sh", "-c", "yes; echo over"}, nil, disk, nil)
		if !is[*OutputError](err) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("%v", err)
		}
		if disk.Len() != disk.room {
			t.Errorf("%d bytes written of %d that fit", disk.Len(), disk.room)
		}
	})
}

func TestFullDiskAfterTheCommandEnded(t *testing.T) {
	// All of the output fits the buffer, so the exit status may come before the writer fails.
	c := newServer(t, nil).container(t, Options{})
	err := c.Exec(t.Context(), []string{"seq", "1", "1000"}, nil, &fullDisk{room: 10}, nil)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v", err)
	}
}

func TestStuckWriterEndsTheCommandWithAnError(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p, StdoutBuffer: 10_000, StallLimit: 50 * time.Millisecond})
		g := &gate{let: make(chan struct{})}
		defer close(g.let)
		err := c.Exec(t.Context(), []string{"yes"}, nil, g, nil)
		if !is[*OutputError](err) || !errors.Is(err, ErrStalled) {
			t.Fatalf("%v", err)
		}
	})
}

func TestFailingStdinIsNotTheEndOfInput(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p})
		in := io.MultiReader(strings.NewReader("half"), &failing{syscall.EIO})
		_, _, err := run(t, c, in, "cat")
		if !is[*InputError](err) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v", err)
		}
	})
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestCancelGivesTheCommandEOFAndLeavesNothing(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		s := newServer(t, nil)
		c := s.container(t, Options{Protocol: p})
		mark := filepath.Join(t.TempDir(), "mark")
		in, feedIn := io.Pipe()
		out := &firstByte{seen: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-out.seen
			cancel()
		}()
		start := time.Now()
		err := c.Exec(ctx, []string{"sh", "-c", `echo ready; cat; echo eof > "$1"`, "sh", mark}, in, out, nil)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		if d := time.Since(start); d > 5*time.Second { // grace is 1 s
			t.Errorf("returned after %s", d)
		}
		if _, err := feedIn.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("stdin's other end: %v", err)
		}
		s.running.Wait() // the handler waits for the process
		if b, err := os.ReadFile(mark); err != nil || string(b) != "eof\n" {
			t.Errorf("the command did not see the end of its input: %q, %v", b, err)
		}
		noGoroutines(t)
	})
}

func TestEndOfCommandLeavesNothing(t *testing.T) {
	for _, o := range []Options{{Protocol: WebSocket}, {Protocol: SPDY}, {Protocol: Auto}} {
		s := newServer(t, func(s *apiServer) { s.noWebSocket = o.Protocol == Auto })
		c := s.container(t, o)
		in, feedIn := io.Pipe() // never fed, never closed here
		err := c.Exec(t.Context(), []string{"sh", "-c", "echo done; exit 4"}, in, io.Discard, io.Discard)
		if !is[*ExitError](err) {
			t.Fatalf("%v", err)
		}
		if _, err := feedIn.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("stdin's other end: %v", err)
		}
		noGoroutines(t)
	}
}

type firstByte struct {
	seen chan struct{}
	done bool
}

func (f *firstByte) Write(p []byte) (int, error) {
	if !f.done && len(p) > 0 {
		f.done = true
		close(f.seen)
	}
	return len(p), nil
}

// noGoroutines waits until no goroutine of a stream's client end is left. One is exempt: the heartbeat of client-go's
// WebSocket looks at its connection every 5 s only, and ends then.
func noGoroutines(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		buf := make([]byte, 1<<20)
		var left []string
		for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			client := strings.Contains(stack, "podexec.(*pump)") || strings.Contains(stack, "podexec.(*tail)") ||
				strings.Contains(stack, "podexec.(*feed)") || strings.Contains(stack, "podexec.stream") ||
				strings.Contains(stack, "client-go/tools/remotecommand")
			if client && !strings.Contains(stack, "(*heartbeat).start") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		runtime.Gosched()
	}
}

func TestCancelDuringTheHandshake(t *testing.T) {
	// A server that accepts and says nothing. client-go's transports wait for it regardless of the context.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 10)
			_, _ = conn.Read(buf) // the request is on its way
			accepted <- conn
		}
	}()
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c, err := New(&rest.Config{Host: "http://" + l.Addr().String()}, testTarget, Options{Protocol: p})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Exec(ctx, []string{"true"}, nil, nil, nil) }()
		conn := <-accepted
		defer conn.Close()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		noGoroutines(t)
	})
}

func TestCancelledBeforeTheStart(t *testing.T) {
	s := newServer(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.container(t, Options{}).Exec(ctx, []string{"true"}, nil, nil, nil)
	if !errors.Is(err, context.Canceled) || len(s.requests) != 0 {
		t.Errorf("%v, %d requests", err, len(s.requests))
	}
}

func TestConnectionCutAfterSomeOutput(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		s := newServer(t, func(s *apiServer) { s.cutAfter = 50_000; s.bufferSize = 10_000 })
		stdout, _, err := run(t, s.container(t, Options{Protocol: p}), nil, "yes")
		if err == nil && p == SPDY {
			t.Log("client-go reports a cut SPDY connection as success") // see TestCloseWithoutStatus
		} else if !is[*LostError](err) {
			t.Errorf("%v", err)
		}
		if strings.Trim(stdout, "y\n") != "" || len(stdout) > 60_000 {
			t.Errorf("%d bytes", len(stdout))
		}
	})
}

// TestCloseWithoutStatus is kubernetes/kubernetes#124571: a connection closed normally before the exit status is no
// error to client-go (errorstream.go), though the command was still running. Exec cannot know better, which is why nil
// is not success; whoever needs to know looks for an end mark in the output.
func TestCloseWithoutStatus(t *testing.T) {
	s := newServer(t, func(s *apiServer) { s.noStatus = true })
	stdout, _, err := run(t, s.container(t, Options{Protocol: WebSocket}), nil, "sh", "-c", "echo half; exit 9")
	if err != nil || stdout != "half\n" {
		t.Errorf("client-go has changed, and the package comment must: %q, %v", stdout, err)
	}
}

func TestHostileTextIsOneCleanLine(t *testing.T) {
	c := newServer(t, nil).container(t, Options{})
	_, _, err := run(t, c, nil, "sh", "-c", `printf 'x\n\033[2J\a%0700d\r' 7 >&2; exit 1`)
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%v", err)
	}
	if text := err.Error(); strings.ContainsAny(text, "\x1b\a\n\r") || len(text) > 700 {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	if !strings.Contains(exit.Stderr, "\x1b[2J") {
		t.Error("the raw text is kept for who wants it")
	}
}
