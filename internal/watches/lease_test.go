package watches

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/internal/demo"
)

// cutting is a way to an API server that can be cut.
type cutting struct {
	next http.RoundTripper
	cut  *atomic.Bool
}

func (c cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, errors.New("cut")
	}
	return c.next.RoundTrip(r)
}

// candidate is a process that wants the lease; its way to the API server can be cut.
type candidate struct {
	lease   *Lease
	cut     atomic.Bool
	working chan struct{} // each time that it begins to work
	stopped chan error    // each time that it stops, with the cause
	ended   chan error
}

func run(t *testing.T, world *demo.Clusters, ctx context.Context, name string) *candidate {
	t.Helper()
	cfg, err := clientcmd.RESTConfigFromKubeConfig(world.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	c := &candidate{working: make(chan struct{}), stopped: make(chan error), ended: make(chan error, 1)}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return cutting{next, &c.cut} })
	if c.lease, err = NewLease(cfg, "test", "splitbench-watch", name, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	go func() {
		c.ended <- c.lease.Hold(ctx, t.Logf, func(ctx context.Context) error {
			c.working <- struct{}{}
			<-ctx.Done()
			c.stopped <- context.Cause(ctx)
			return nil
		})
	}()
	return c
}

func within[T any](t *testing.T, what string, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("not within 20 s: %s", what)
	}
	return v
}

// One of two works. When it cannot renew its lease it stops before the other one may begin, says why, stands by, and
// takes over again when the other one ends.
func TestTheLeaseMoves(t *testing.T) {
	t.Parallel()
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	a := run(t, world, ctx, "a")
	within(t, "a works", a.working)
	other, stopOther := context.WithCancelCause(t.Context())
	defer stopOther(nil)
	b := run(t, world, other, "b")
	for b.lease.known() != nil {
		time.Sleep(10 * time.Millisecond) // it asks every 200 ms
	}
	if a.lease.role() != "leader" || b.lease.role() != "standby" || a.lease.known() != nil {
		t.Errorf("a %q, b %q", a.lease.role(), b.lease.role())
	}
	for _, l := range []*Lease{a.lease, b.lease} {
		if err := l.healthy(httptest.NewRequest(http.MethodGet, "/healthz", nil)); err != nil {
			t.Errorf("%v", err)
		}
	}
	a.cut.Store(true)
	var lost *leaseLost
	if err := within(t, "a stops", a.stopped); !errors.As(err, &lost) || lost.Lease != "test/splitbench-watch" {
		t.Errorf("a stopped: %v", err)
	}
	within(t, "b takes over", b.working) // it could not be read above if b worked first: the channels are in this order
	a.cut.Store(false)
	why := errors.New("enough")
	stopOther(why)
	if err := within(t, "b stops", b.stopped); !errors.Is(err, why) {
		t.Errorf("b stopped: %v", err)
	}
	if err := within(t, "b ends", b.ended); err != nil {
		t.Errorf("b ended: %v", err)
	}
	within(t, "a works again", a.working)
	c := run(t, world, ctx, "c")
	for c.lease.known() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	cancel(why)
	within(t, "a stops", a.stopped)
	if err := within(t, "c ends while it stands by", c.ended); !errors.Is(err, why) {
		t.Errorf("c ended: %v", err)
	}
}

// The kubelet is told of an API server that does not answer, and by nobody who asks too often.
func TestReady(t *testing.T) {
	t.Parallel()
	down, asked := true, 0
	p := &Page{Reach: func(context.Context) error {
		asked++
		if down {
			return errors.New("read version: connection refused")
		}
		return nil
	}}
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "connection refused") {
		t.Errorf("%d %q", code, body)
	}
	get("/readyz")
	if asked != 1 {
		t.Errorf("the API server was asked %d times at once", asked)
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("healthz is %d: a restart mends no API server", code)
	}
	down, p.asked = false, time.Time{}
	if code, body := get("/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("%d %q", code, body)
	}
	lease, err := NewLease(&rest.Config{Host: "http://127.0.0.1:1"}, "test", "splitbench-watch", "a", 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	p.Lease = lease
	if code, body := get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "test/splitbench-watch") {
		t.Errorf("nobody knows who leads: %d %q", code, body)
	}
}
