package mesh

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
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
		e.Hint = "use a context that may, or have somebody who may grant it"
		if c.Grant != "" {
			e.Hint += ": " + c.Grant
		}
	case apierrors.IsUnauthorized(err):
		e.Kind = KindForbidden
		e.Hint = "log in to the cluster again; to see as whom you are known: " +
			untrusted.Shell("kubectl", "--context", untrusted.Safe(c.Context), "auth", "whoami")
	case apierrors.IsNotFound(err):
		e.Kind = KindNotFound
	case errors.As(err, &transport), errors.Is(err, context.DeadlineExceeded):
		e.Kind = KindUnreachable
		e.Hint = cmp.Or(certificateHint(c, err), "is the API server at "+untrusted.Safe(c.server)+
			" up and reachable from here?")
	}
	return e
}

// certificateHint says what to do about a certificate that is not accepted: the server is up. "" for other errors.
func certificateHint(c Client, err error) string {
	server, name := untrusted.Safe(c.server), untrusted.Safe(c.Context)
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return "the server answers, but the authority in context " + name + " did not sign its certificate: is this that " +
			"cluster? fetch its kubeconfig again, or name the authority with --certificate-authority"
	case errors.As(err, &host):
		return "the server answers with a certificate for other names: use one of those in the kubeconfig, or say which " +
			"to expect with --tls-server-name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not valid yet: have it renewed, and look at this machine's clock"
	case errors.As(err, &invalid):
		return "the server's certificate cannot be used: have it renewed"
	case errors.As(err, &alert):
		return "the server answers, but does not accept the client certificate of context " + name +
			": log in to that cluster again, or fetch its kubeconfig again"
	case errors.As(err, &record):
		return "what answers at " + server + " does not speak TLS: look at the server of context " + name +
			" in the kubeconfig"
	}
	return ""
}
