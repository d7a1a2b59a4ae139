// Package agent holds both ends of a session: Serve, which runs in the meshed pod and sends the requests, and Client,
// which drives it through a command executor.
//
// The agent is a guest in somebody's production pod. It takes its orders from stdin only, so that losing the client
// means losing stdin; it ends within two seconds of that, has a deadline of its own besides, never waits for a slow
// reader while it generates load, and unlinks its own file as it starts. The client in turn believes nothing but an END
// frame whose totals agree with what arrived: the end of an exec stream without an error is not success.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// ServeOptions is what the in-pod end takes from its surroundings.
type ServeOptions struct {
	// Dial opens the connections that requests use; nil: a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Engine makes what sends the requests of a plan; nil: attack.NewEngine.
	Engine func(attack.Plan, attack.EngineOptions) attack.ClosableEngine
	// Executable is the path of the running file; empty: unknown, and then nothing is ever unlinked.
	Executable string
	// Deadline ends the session whatever happens; 0: DefaultDeadline.
	Deadline time.Duration
	// Silence ends the session when the client gives no sign of life for so long; 0: DefaultSilence.
	Silence time.Duration
	// Alone says that the process is the agent's own: its memory is limited, and in need it is the first to be killed.
	Alone bool
}

// Limits of a session.
const (
	DefaultDeadline = 30 * time.Minute
	DefaultSilence  = 10 * time.Second
	heartbeat       = time.Second
	ackWait         = 10 * time.Second
)

// Why a session ended early.
var (
	errClientGone = errors.New("client gone: stdin closed or silent")
	errDeadline   = errors.New("the agent's own deadline passed")
)

// Serve carries out one session. It returns nil after a BYE, and an error when the session ended otherwise. Every
// goroutine that it starts has ended when it returns, but one that may hang in a Read of stdin.
func Serve(ctx context.Context, stdin io.Reader, stdout io.Writer, o ServeOptions) error {
	if o.Deadline <= 0 {
		o.Deadline = DefaultDeadline
	}
	if o.Silence <= 0 {
		o.Silence = DefaultSilence
	}
	if o.Engine == nil {
		o.Engine = attack.NewEngine
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	deadline := time.AfterFunc(o.Deadline, func() { cancel(errDeadline) })
	defer deadline.Stop()

	s := &server{o: o, out: newOutbox(stdout, func(err error) { cancel(err) }), orders: make(chan order)}
	hello, err := json.Marshal(greeting(o.Executable))
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	s.out.send(wire.Hello, hello)

	silence := newSilence(o.Silence, func() { cancel(errClientGone) })
	defer silence.rest()
	silence.listen()
	go s.listen(ctx, stdin, silence.listen, cancel)
	var beats sync.WaitGroup
	beats.Go(func() { s.beat(ctx) })

	err = s.session(ctx)
	cancel(nil)
	beats.Wait()
	if flushErr := s.out.close(); err == nil {
		err = flushErr
	}
	return err
}

// order is a frame from the client, copied.
type order struct {
	t       wire.Type
	payload []byte
}

// server is the state of one session.
type server struct {
	o      ServeOptions
	out    *outbox
	orders chan order // FETCH, PLAN, BYE, ACK

	mu       sync.Mutex
	progress wire.Progress
	stop     context.CancelFunc // of the running burst, nil where none runs
	stopped  bool               // a STOP came for the PLAN that was read last, before its burst began
	batch    *batch             // of the running burst, nil where none runs
	gate     chan struct{}      // of the running burst; closed by GO
	released bool               // gate is closed
}

// listen reads the client's frames until stdin ends, which is how the agent learns that the client is gone. It is the
// one goroutine that Serve does not wait for: a Read of stdin cannot be broken off, and the process ends right after.
func (s *server) listen(ctx context.Context, stdin io.Reader, alive func(), cancel context.CancelCauseFunc) {
	r := wire.NewReader(stdin)
	for {
		f, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: %w", errClientGone, err)
			} else {
				err = errClientGone
			}
			cancel(err)
			return
		}
		alive()
		switch f.Type {
		case wire.Ping:
		case wire.Stop:
			s.stopBurst()
		case wire.Go:
			s.release()
		default:
			if f.Type == wire.Plan {
				s.mu.Lock()
				s.stopped = false
				s.mu.Unlock()
			}
			select {
			case s.orders <- order{f.Type, append([]byte(nil), f.Payload...)}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// beat sends a TICK each second, also when nothing runs: idle streams are cut by what lies between.
func (s *server) beat(ctx context.Context) {
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.mu.Lock()
			batch := s.batch
			s.mu.Unlock()
			s.tick(batch)
		case <-ctx.Done():
			return
		}
	}
}

// tick sends a TICK, and what has gathered of samples with it; batch is the running burst's, or nil.
func (s *server) tick(batch *batch) {
	send := func(burst *wire.BurstProgress) {
		s.mu.Lock()
		p := s.progress
		s.mu.Unlock()
		p.Burst = burst
		b, err := json.Marshal(p)
		if batch != nil {
			batch.flush()
		}
		if err == nil {
			s.out.send(wire.Tick, b)
		}
	}
	if batch == nil {
		send(nil)
		return
	}
	batch.tick(send)
}

// session carries out orders in turn until BYE.
func (s *server) session(ctx context.Context) error {
	for {
		var o order
		select {
		case o = <-s.orders:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		switch o.t {
		case wire.Fetch:
			s.fetch(ctx, o.payload)
		case wire.Plan:
			s.burst(ctx, o.payload)
		case wire.Bye:
			return s.farewell(ctx)
		case wire.Ack: // of an END; nothing waits for it
		default:
			return fmt.Errorf("serve: %s is not an order", o.t)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// farewell answers BYE and waits for ACK: if the process ended first, the end of what it wrote could be lost on the
// way.
func (s *server) farewell(ctx context.Context) error {
	s.out.send(wire.Bye, nil)
	limit := time.NewTimer(ackWait)
	defer limit.Stop()
	for {
		select {
		case o := <-s.orders:
			if o.t == wire.Ack {
				return nil
			}
		case <-ctx.Done():
			return nil // the client has what it wanted, and left without a word
		case <-limit.C:
			return nil
		}
	}
}

// release lets a held burst start.
func (s *server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gate != nil && !s.released {
		s.released = true
		close(s.gate)
	}
}

func (s *server) stopBurst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.stop != nil {
		s.stop()
	}
}
