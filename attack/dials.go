package attack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/http/httptrace"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Dials says what opening an engine's connections took.
type Dials struct {
	Opened    int64            // connections
	Failed    int64            // attempts that gave none
	Causes    map[string]int64 // why attempts, or the TLS handshakes after them, failed; see causeOf
	Addresses map[string]int64 // how often each was dialled; of more than 64, the rest under "others"
	Resolve   Spread           // of names; none where the URL has an address
	Connect   Spread           // of TCP, for each address that was tried
	Handshake Spread           // of TLS
}

// Spread is a distribution of times in three numbers.
type Spread struct {
	N   int64         // times
	P50 time.Duration // a quantile, to three digits
	P99 time.Duration // likewise
	Max time.Duration // the longest
}

// maxDialled bounds the addresses that are told apart.
const maxDialled = 64

// dialLog notes what dials take. The zero value is ready for use.
type dialLog struct {
	mu                          sync.Mutex
	opened, failed              int64
	addresses, causes           map[string]int64
	resolve, connect, handshake spread
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// open dials, and notes how long its parts took.
func (d *dialLog) open(ctx context.Context, dial dialFunc, address string) (net.Conn, error) {
	var mu sync.Mutex // of what follows: addresses may be tried side by side
	var resolving time.Time
	connecting := map[string]time.Time{}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) {
			mu.Lock()
			defer mu.Unlock()
			resolving = time.Now()
		},
		DNSDone: func(httptrace.DNSDoneInfo) {
			mu.Lock()
			defer mu.Unlock()
			d.note(&d.resolve, time.Since(resolving))
		},
		ConnectStart: func(_, address string) {
			mu.Lock()
			defer mu.Unlock()
			connecting[address] = time.Now()
			d.count(address)
		},
		ConnectDone: func(_, address string, err error) {
			mu.Lock()
			defer mu.Unlock()
			if start, ok := connecting[address]; ok && err == nil {
				d.note(&d.connect, time.Since(start))
			}
		},
	})
	nc, err := dial(ctx, "tcp", address)
	mu.Lock()
	traced := len(connecting) > 0
	mu.Unlock()
	if err == nil && !traced && nc.RemoteAddr() != nil {
		d.count(nc.RemoteAddr().String())
	}
	if err != nil {
		d.blame(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.failed++
	} else {
		d.opened++
	}
	return nc, err
}

// blame counts the cause of an error.
func (d *dialLog) blame(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.causes == nil {
		d.causes = make(map[string]int64)
	}
	d.causes[causeOf(err)]++
}

// causeOf says in a few words, of which there are few, why there is no connection. What a server or a certificate says
// of itself is not in them.
func causeOf(err error) string {
	var name *net.DNSError
	var timeout net.Error
	var certificate x509.CertificateInvalidError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "no such host"
	case errors.As(err, &name):
		return "the name server did not answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to the host"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF):
		return "the connection was closed before it could be used"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "TLS: the certificate is of an unknown authority"
	case errors.As(err, new(x509.HostnameError)):
		return "TLS: the certificate is for another name"
	case errors.As(err, &certificate) && certificate.Reason == x509.Expired:
		return "TLS: the certificate has expired or is not valid yet"
	case errors.As(err, &certificate):
		return "TLS: the certificate is not valid"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "TLS: the server does not speak it"
	case errors.As(err, new(tls.AlertError)):
		return "TLS: the server refused the handshake"
	}
	return "other"
}

func (d *dialLog) count(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.addresses == nil {
		d.addresses = make(map[string]int64)
	}
	if _, known := d.addresses[address]; !known && len(d.addresses) >= maxDialled {
		address = "others"
	}
	d.addresses[address]++
}

func (d *dialLog) note(s *spread, t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.record(t)
}

func (d *dialLog) report() Dials {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Dials{
		Opened: d.opened, Failed: d.failed, Addresses: maps.Clone(d.addresses), Causes: maps.Clone(d.causes),
		Resolve: d.resolve.report(), Connect: d.connect.report(), Handshake: d.handshake.report(),
	}
}

// spread gathers times of up to ten minutes, to three digits. The zero value is ready for use.
type spread struct{ h *hdrhistogram.Histogram }

const maxSpread = 10 * time.Minute

func (s *spread) record(t time.Duration) {
	if s.h == nil {
		s.h = hdrhistogram.New(1, int64(maxSpread/time.Microsecond*10), 3)
	}
	s.h.RecordValue(int64(min(max(t, 0), maxSpread) / 100)) //nolint:errcheck // it is in range
}

// at is a quantile, 0 where there is nothing.
func (s *spread) at(q float64) time.Duration {
	if s.h == nil {
		return 0
	}
	return time.Duration(s.h.ValueAtPercentile(q*100)) * 100
}

func (s *spread) len() int64 {
	if s.h == nil {
		return 0
	}
	return s.h.TotalCount()
}

func (s *spread) report() Spread {
	if s.h == nil {
		return Spread{}
	}
	return Spread{N: s.h.TotalCount(), P50: s.at(0.5), P99: s.at(0.99), Max: time.Duration(s.h.Max()) * 100}
}
