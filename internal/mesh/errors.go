package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Kind classes an Error for those who act on it.
type Kind string

// The kinds. Usage is the command line's fault; the others are the cluster's answer.
const (
	KindUsage       Kind = "usage"       // the query itself is malformed or asks for what this version cannot do
	KindNotFound    Kind = "not found"   // an object is not there
	KindAmbiguous   Kind = "ambiguous"   // several objects fit where one must be named
	KindForbidden   Kind = "forbidden"   // no permission, or not logged in
	KindUnreachable Kind = "unreachable" // the API server did not answer
	KindServer      Kind = "server"      // the API server answered with an error
)

// Error is what ends a discovery: what was tried, on which object, why it did not work and what to do about it.
type Error struct {
	Kind   Kind
	Op     string // e.g. "find source pod"
	Object string // flag or object, e.g. `--from deploy/frontend`
	Cause  error
	Hint   string // what to do; may be empty
}

// Error is one sentence: what was tried, on what, what was seen and what to do. The cause may quote a server, so it is
// made safe to print.
func (e *Error) Error() string {
	s := e.Op
	if e.Object != "" {
		s += " " + e.Object
	}
	s += ": " + untrusted.Safe(e.Cause.Error())
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives the cause, so that errors.Is sees context.Canceled and API statuses.
func (e *Error) Unwrap() error { return e.Cause }

func notFound(op, object, cause, hint string) *Error {
	return &Error{Kind: KindNotFound, Op: op, Object: object, Cause: errors.New(cause), Hint: hint}
}

func usage(op, object, cause, hint string) *Error {
	return &Error{Kind: KindUsage, Op: op, Object: object, Cause: errors.New(cause), Hint: hint}
}

// apiError types what client-go returned. The context that ended is never dressed up as the server's fault.
func apiError(c Client, op, object string, err error) *Error {
	e := &Error{Kind: KindServer, Op: op, Object: object, Cause: fmt.Errorf("context %s: %w", untrusted.Safe(c.Context),
		err)}
	var transport *url.Error
	switch {
	case errors.Is(err, context.Canceled):
		e.Kind = KindUnreachable
	case apierrors.IsForbidden(err):
		e.Kind = KindForbidden
		e.Hint = "ask for the missing rule, or use a context that has it"
	case apierrors.IsUnauthorized(err):
		e.Kind = KindForbidden
		e.Hint = "log in to the cluster again"
	case apierrors.IsNotFound(err):
		e.Kind = KindNotFound
	case errors.As(err, &transport), errors.Is(err, context.DeadlineExceeded):
		e.Kind = KindUnreachable
		e.Hint = "is the API server at " + untrusted.Safe(c.server) + " up and reachable from here?"
	}
	return e
}
