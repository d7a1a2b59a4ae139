package mesh

import (
	"net/http"
	"sync"
	"time"
)

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
	ms := d.skew.Milliseconds()
	return &ms
}
