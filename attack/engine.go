// Package attack generates load: it sends one planned burst of requests and says, for each, when it was planned, sent
// and answered, by whom, and how it failed.
//
// It holds that a load generator is a measuring instrument. So the plan is fixed before the first request; every
// request of the plan yields exactly one Result, none is retried behind the caller's back (a hidden retry is a second
// draw of the split), and none is dropped silently; the time a request was planned for is kept beside the time it was
// sent, so that a late generator shows. Two engines carry out a plan: h1, our own, and vegeta's, which speaks TLS and
// checks the other. The package knows nothing of Kubernetes, of weights or of verdicts.
package attack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"time"
)

// Engine sends the bursts of one session over connections of its own, one burst at a time. Results come as answers do,
// not in the order of Seq. The iterator ends after the last result; when the burst was cut short it ends with an error:
// the context's, a *GaveUpError, or an *AbortError. Every request that was sent has its result, also then. Breaking off
// the iteration stops the burst, and the iterator returns only when nothing of it runs any more.
type Engine interface {
	Attack(ctx context.Context, p Plan) iter.Seq2[Result, error]
}

// EngineOptions is what every engine takes from its surroundings.
type EngineOptions struct {
	// Dial opens connections; nil: a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Unmatched is called with the first MaxSpecimens answers that no rule named, by whoever iterates; may be nil.
	Unmatched func(Specimen)
}

// The engines' names.
const (
	EngineH1     = "h1"     // our own: HTTP/1.1 over plain TCP, on time and cheap
	EngineStd    = "std"    // net/http's client connections: TLS, HTTP/2, gRPC
	EngineVegeta = "vegeta" // vegeta's Attacker on net/http's pool: the cross-check
)

// maxBody bounds what is read of an answer for classification; maxHeaderBytes what is read of its header.
const (
	maxBody        = 64 << 10
	maxHeaderBytes = 64 << 10
)

// idleTimeout closes connections before servers do: a request on a connection that the server is just closing fails,
// and since nothing is retried here it would count as a failure of the split.
const idleTimeout = 2 * time.Second

// ClosableEngine is an engine with connections of its own.
type ClosableEngine interface {
	Engine
	// Dialled is how many connections were opened so far.
	Dialled() int64
	// Dials says what opening them took; nothing where the engine cannot know.
	Dials() Dials
	// Bytes is what was read and written so far over all connections; 0 where the engine cannot know.
	Bytes() int64
	// Close closes all of them. No burst may be running.
	Close()
}

// NewEngine returns the engine that p.EngineName names.
func NewEngine(p Plan, o EngineOptions) ClosableEngine {
	p = p.WithDefaults()
	switch name := p.EngineName(); {
	case name == EngineVegeta && hasVegeta:
		return newVegeta(o, p.Connections)
	case name == EngineH1:
		return NewH1(o, p.Connections)
	}
	return NewStd(o, p.Connections) // whose Attack refuses a plan for another engine
}

// GaveUpError says that a burst was stopped because requests had no answers any more.
type GaveUpError struct {
	InARow uint64 // requests without an answer
}

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("attack: gave up: %d requests in a row got no answer", e.InARow)
}

// classifyError says how a request failed below HTTP. Errors of the resolver and of connecting are dial errors,
// whatever their cause; a timeout while connecting is a timeout.
func classifyError(ctx context.Context, err error) ErrorClass {
	if err == nil {
		return OK
	}
	if ctx.Err() != nil {
		return ErrCanceled
	}
	if c, ok := errnoClass(err); ok {
		return c
	}
	var ne net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout() {
		return ErrTimeout
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return ErrDial
	}
	if errors.As(err, new(*net.DNSError)) {
		return ErrDial
	}
	return ErrOther
}
