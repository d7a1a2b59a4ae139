package attack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
)

// Engine sends the bursts of one session over connections of its own, one burst at a time. Results come as answers do,
// not in the order of Seq. The iterator ends after the last result; when the burst was cut short it ends with an error:
// the context's, or a *GaveUpError. Every request that was sent has its result, also then. Breaking off the iteration
// stops the burst, and the iterator returns only when nothing of it runs any more.
type Engine interface {
	Attack(ctx context.Context, p Plan) iter.Seq2[Result, error]
}

// EngineOptions is what every engine takes from its surroundings.
type EngineOptions struct {
	// Dial opens connections; nil: a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Unmatched is called with the first MaxSpecimens answers that no rule named, from the goroutine that iterates; may be nil.
	Unmatched func(Specimen)
}

// The engines' names.
const (
	EngineH1     = "h1"     // our own: HTTP/1.1 over plain TCP, on time and cheap
	EngineVegeta = "vegeta" // vegeta's Attacker on net/http: TLS, and the cross-check
)

// ClosableEngine is an engine with connections of its own.
type ClosableEngine interface {
	Engine
	// Dialled is how many connections were opened so far.
	Dialled() int64
	// Close closes all of them. No burst may be running.
	Close()
}

// NewEngine returns the engine that p.EngineName names.
func NewEngine(p Plan, o EngineOptions) ClosableEngine {
	p = p.WithDefaults()
	if p.EngineName() == EngineVegeta {
		return NewVegeta(o, p.Connections)
	}
	return NewH1(o, p.Connections)
}

// GaveUpError says that a burst was stopped because requests had no answers any more.
type GaveUpError struct {
	InARow uint64 // requests without an answer
}

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("attack: gave up: %d requests in a row got no answer", e.InARow)
}

// classifyError says how a request failed below HTTP. Errors of the resolver and of connecting are dial errors, whatever
// their cause; a timeout while connecting is a timeout.
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
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return ErrDial
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return ErrDial
	}
	return ErrOther
}
