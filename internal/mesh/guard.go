package mesh

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

// Bounds of what is read of an API server, in bytes after decompression: of an answer, and of all pages of a list.
const (
	maxAnswer = 64 << 20
	maxList   = 256 << 20
)

// Guarded is a copy of cfg whose answers have an end, and which asks no other host: client-go would follow a redirect
// there, and take the bearer token along.
func Guarded(cfg *rest.Config) *rest.Config {
	own := rest.CopyConfig(cfg)
	home, _, err := rest.DefaultServerUrlFor(own)
	own.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return guard{next, func(r *http.Request) bool {
			return err == nil && r.URL.Scheme == home.Scheme && r.URL.Host == home.Host
		}}
	})
	return own
}

type guard struct {
	next   http.RoundTripper
	atHome func(*http.Request) bool
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.atHome(r) {
		return nil, fmt.Errorf("redirect to %s: not followed", r.URL.Host)
	}
	res, err := g.next.RoundTrip(r)
	if err != nil || res.StatusCode == http.StatusSwitchingProtocols {
		return res, err
	}
	list, _ := r.Context().Value(listKey{}).(*atomic.Int64)
	res.Body = &cappedBody{ReadCloser: res.Body, list: list}
	return res, nil
}

// WrappedRoundTripper lets client-go cancel what it sent through here.
func (g guard) WrappedRoundTripper() http.RoundTripper { return g.next }

// listKey is where a context holds how much was read of a list's pages.
type listKey struct{}

func withinList(ctx context.Context) context.Context {
	return context.WithValue(ctx, listKey{}, new(atomic.Int64))
}

type cappedBody struct {
	io.ReadCloser
	n    int64
	list *atomic.Int64 // nil: a single answer
}

// Read implements io.Reader.
func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	switch {
	case b.n > maxAnswer:
		return 0, fmt.Errorf("the API server sent more than %d MiB in one answer", maxAnswer>>20)
	case b.list != nil && b.list.Add(int64(n)) > maxList:
		return 0, fmt.Errorf("the API server sent more than %d MiB in one list", maxList>>20)
	}
	return n, err
}

// dateHeader watches the Date header of answers, which every API server sends: it tells how far its clock is from ours.
type dateHeader struct {
	mu     sync.Mutex
	skew   time.Duration
	looked bool
}

func (d *dateHeader) wrap(next http.RoundTripper) http.RoundTripper { return dated{d, next} }

type dated struct {
	to   *dateHeader
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper. The header has whole seconds and was written some time between sending and
// receiving, so half a second is added and the middle of the two is compared with.
func (d dated) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := time.Now()
	res, err := d.next.RoundTrip(r)
	if err != nil {
		return res, err
	}
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		middle := sent.Add(time.Since(sent) / 2)
		d.to.mu.Lock()
		d.to.skew, d.to.looked = at.Add(500*time.Millisecond).Sub(middle), true
		d.to.mu.Unlock()
	}
	return res, nil
}

// WrappedRoundTripper lets client-go cancel what it sent through here.
func (d dated) WrappedRoundTripper() http.RoundTripper { return d.next }

// skewMs is how far the server's clock is ahead in milliseconds, nil where no answer had a date.
func (d *dateHeader) skewMs() *int64 {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.looked {
		return nil
	}
	return new(d.skew.Milliseconds())
}
