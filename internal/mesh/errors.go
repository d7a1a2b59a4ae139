package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// Error is one sentence: what was tried, on what, what was seen and what to do. The cause may quote a server, so it is made
// safe to print.
func (e *Error) Error() string {
	s := e.Op
	if e.Object != "" {
		s += " " + e.Object
	}
	s += ": " + Safe(e.Cause.Error())
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// Unwrap gives the cause, so that errors.Is sees context.Canceled and API statuses.
func (e *Error) Unwrap() error { return e.Cause }

func usage(op, object, cause, hint string) *Error {
	return &Error{Kind: KindUsage, Op: op, Object: object, Cause: errors.New(cause), Hint: hint}
}

// apiError types what client-go returned. The context that ended is never dressed up as the server's fault.
func apiError(c Client, op, object string, err error) *Error {
	e := &Error{Kind: KindServer, Op: op, Object: object, Cause: fmt.Errorf("context %s: %w", Safe(c.Context), err)}
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
		e.Hint = "is the API server at " + Safe(c.server) + " up and reachable from here?"
	}
	return e
}

// brief is an error as a part of a note: bounded and on one line.
func brief(err error) string { return cut(Safe(err.Error()), 300) }

// candidates is the hint that lists what there is: sorted, at most ten, made safe to print.
func candidates(what string, names []string) string {
	if len(names) == 0 {
		return "there are no " + what
	}
	return "there are: " + strings.Join(listed(names), ", ")
}

const maxListed = 10

// listed is names sorted, bounded and safe, with a last entry that tells how many were left out.
func listed(names []string) []string {
	sorted := make([]string, len(names))
	copy(sorted, names)
	sort.Strings(sorted)
	var out []string
	for i, n := range sorted {
		if i == maxListed {
			return append(out, fmt.Sprintf("and %d more", len(sorted)-maxListed))
		}
		out = append(out, Safe(n))
	}
	return out
}

// Printable is text with everything but printable characters replaced, at its full length but for 16 KiB: for sentences that are
// put together of parts which were bounded each by itself, and whose end says what to do.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, cut(s, 16<<10))
}

// Safe is text from a cluster with everything but printable characters replaced, and not longer than 500 characters.
func Safe(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, cut(s, 4*500)), 500)
}

// cut bounds s to n bytes, at a character's border.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "..."
}
