package attack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// TestCausesHaveNames names what dialling and handshakes fail of, as the standard library's errors have it, wrapped as it wraps them.
func TestCausesHaveNames(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	verify := func(err error) error { return fmt.Errorf("tls: %w", &tls.CertificateVerificationError{Err: err}) }
	for want, err := range map[string]error{
		"connection refused":             dial(syscall.ECONNREFUSED),
		"no route to the host":           dial(syscall.EHOSTUNREACH),
		"no such host":                   &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "a", IsNotFound: true}},
		"the name server did not answer": &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "a", IsTemporary: true}},
		"timed out":                      fmt.Errorf("dial: %w", context.DeadlineExceeded),
		"interrupted":                    context.Canceled,
		"the connection was closed before it could be used":    io.EOF,
		"TLS: the certificate is of an unknown authority":      verify(x509.UnknownAuthorityError{}),
		"TLS: the certificate is for another name":             verify(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a"}),
		"TLS: the certificate has expired or is not valid yet": verify(x509.CertificateInvalidError{Reason: x509.Expired}),
		"TLS: the certificate is not valid":                    verify(x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}),
		"TLS: the server does not speak it":                    tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
		"TLS: the server refused the handshake":                fmt.Errorf("remote error: %w", tls.AlertError(40)),
		"other":                                                errors.New("something else"),
	} {
		if got := causeOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}
