package main

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// terminal gathers what a program writes on its terminal.
type terminal struct {
	mu      sync.Mutex
	written strings.Builder
	more    chan struct{} // something was written
}

func newTerminal(tty io.Reader) *terminal {
	s := &terminal{more: make(chan struct{}, 1)}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := tty.Read(b)
			s.mu.Lock()
			s.written.Write(b[:n])
			s.mu.Unlock()
			select {
			case s.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *terminal) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written.String()
}

func (s *terminal) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written.Reset()
}

// await waits until the program has written a text.
func (s *terminal) await(t *testing.T, want string) {
	t.Helper()
	s.awaitTimes(t, want, 1)
}

// awaitTimes waits until it has done so many times.
func (s *terminal) awaitTimes(t *testing.T, want string, n int) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for strings.Count(s.text(), want) < n {
		select {
		case <-s.more:
		case <-limit:
			t.Fatalf("%q was not written %d times in 20 s, but\n%q", want, n, s.text())
		}
	}
}
