package attack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newTestH1(t *testing.T, connections int) *H1 {
	e := NewH1(EngineOptions{}, connections)
	t.Cleanup(e.Close)
	return e
}

// A connection that dies under a request costs that request. On a new one it is the server's empty reply; on one that had
// answered before, nobody can tell an idle connection's end from a refusal, so it has a class of its own.
func TestH1NeverRetries(t *testing.T) {
	var served atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%3 == 0 {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				c.Close()
			}
		}
	}))
	defer srv.Close()
	p := fastPlan(srv.URL, 300)
	p.Connections = 1 // every third request is the third on its connection
	rs, err := collect(t, newTestH1(t, 1), t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if third := r.Seq%3 == 2; third != (r.Err == ErrStale) || third == (r.Status == 200) || int64(r.Conn) != int64(r.Seq/3) {
			t.Fatalf("got %+v", r)
		}
	}
	if len(rs) != 300 || served.Load() != 300 {
		t.Errorf("%d results, %d requests at the server; want 300 and 300", len(rs), served.Load())
	}
}

// A server that closes connections at rest, as all do sooner or later, costs no request.
func TestH1NoticesConnectionsClosedAtRest(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	e := newTestH1(t, 1)
	for burst := range 5 {
		rs, err := collect(t, e, t.Context(), fastPlan(srv.URL, 1))
		if err != nil || len(rs) != 1 || rs[0].Status != 200 || int(rs[0].Conn) != burst {
			t.Fatalf("burst %d: %+v, %v", burst, rs, err)
		}
		srv.CloseClientConnections()
		e.conns.Wait() // the connection's goroutine has noticed and ended
	}
}

// What a server says unasked answers nothing: a request that follows must not take it for its own.
func TestH1TakesNoAnswerThatWasNotAskedFor(t *testing.T) {
	// The second answer is the longer one, so that the server's first write holds some of it.
	const unasked = "HTTP/1.1 418 Teapot\r\nServer: unasked\r\nContent-Length: 0\r\n\r\n"
	for name, s := range map[string]script{
		"after a length": {answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + unasked},
		"after a 204":    {answer: "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n" + unasked},
	} {
		t.Run(name, func(t *testing.T) {
			address, served := s.serve(t)
			p := fastPlan("http://"+address, 20)
			p.Connections = 2
			rs, err := collect(t, newTestH1(t, 2), t.Context(), p)
			if err != nil || len(rs) != 20 || served.Load() > 20 {
				t.Fatalf("%d results, %d requests, %v", len(rs), served.Load(), err)
			}
			for _, r := range rs {
				if r.Status == 418 {
					t.Fatalf("took what was not asked for: %+v", r)
				}
			}
		})
	}
}

func TestH1EndsWhatIsInFlight(t *testing.T) {
	s := newSignals(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := fastPlan(s.url, 50_000)
	p.Connections = 50
	go func() {
		for range 50 {
			<-s.c
		}
		cancel()
	}()
	rs, err := collect(t, newTestH1(t, 50), ctx, p)
	if !errors.Is(err, context.Canceled) || len(rs) != 50 {
		t.Fatalf("%d results, %v", len(rs), err)
	}
	for _, r := range rs {
		if r.Err != ErrCanceled || r.Sent == 0 && r.Seq > 0 {
			t.Errorf("got %+v", r)
		}
	}
}

func TestH1DialErrors(t *testing.T) {
	noHost := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "podinfo.invalid", IsNotFound: true}}
	for name, tt := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		want ErrorClass
	}{
		"no such host":  {func(context.Context, string, string) (net.Conn, error) { return nil, noHost }, ErrDial},
		"another error": {func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }, ErrDial},
		"never there": {func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			e := NewH1(EngineOptions{Dial: tt.dial}, 4)
			defer e.Close()
			p := fastPlan("http://podinfo.invalid", 4)
			p.Timeout = 50 * time.Millisecond
			rs, err := collect(t, e, t.Context(), p)
			if err != nil || len(rs) != 4 {
				t.Fatalf("%d results, %v", len(rs), err)
			}
			for _, r := range rs {
				if r.Err != tt.want || r.Conn != UnknownConn || r.SendLag() < 0 {
					t.Errorf("got %+v, want class %s", r, tt.want)
				}
			}
			if tt.want == ErrTimeout && rs[0].ServiceTime() < p.Timeout {
				t.Errorf("timed out after %s", rs[0].ServiceTime())
			}
		})
	}
}

// A consumer that does not come costs bounded memory, and requests wait for it; none is lost.
func TestH1WaitsForASlowConsumer(t *testing.T) {
	e := newTestH1(t, 8)
	e.o.Dial = func(context.Context, string, string) (net.Conn, error) { return newEcho(), nil }
	p := Plan{URL: "http://x", Rate: Rate{10_000_000, time.Second}, Requests: 3 * maxPending, Connections: 8, MaxRate: 1e7, MaxRequests: 1e6}
	n := 0
	for r, err := range e.Attack(t.Context(), p) {
		if err != nil || r.Status != 200 {
			t.Fatal(r, err)
		}
		if n++; n == 1 {
			for full := false; !full; runtime.Gosched() {
				e.mu.Lock()
				b := e.burst
				full = len(b.pending)+b.inFlight == maxPending
				e.mu.Unlock()
			}
			e.mu.Lock()
			if sent := e.burst.next; sent > 2*maxPending {
				t.Errorf("%d requests were sent before the second result was taken", sent)
			}
			e.mu.Unlock()
		}
	}
	if n != 3*maxPending {
		t.Errorf("%d results", n)
	}
}

// echo is a connection in memory whose other side answers each write at once.
type echo struct {
	net.Conn
	answers chan struct{}
	closed  chan struct{}
}

const echoed = "HTTP/1.1 200 OK\r\nServer: echo\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + said

func newEcho() *echo { return &echo{answers: make(chan struct{}, 8), closed: make(chan struct{})} }

func (c *echo) Write(p []byte) (int, error) {
	if !bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		return 0, errors.New("not a request")
	}
	c.answers <- struct{}{}
	return len(p), nil
}

func (c *echo) Read(p []byte) (int, error) {
	select {
	case <-c.answers:
		return copy(p, echoed), nil
	case <-c.closed:
		return 0, io.EOF
	}
}

func (c *echo) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }

func (c *echo) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// One request and its classified answer, from taking the one to handing in the other, puts nothing on the heap.
func TestH1DoesNotAllocate(t *testing.T) {
	e := newTestH1(t, 1)
	p := Plan{URL: "http://x", Rate: Rate{1000, time.Second}, Requests: 1 << 40, MaxRequests: 1 << 41, Rules: []Rule{
		{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"from 1"}},
	}}.WithDefaults()
	b, err := newPoolBurst(e.pool, p)
	if err != nil || !e.begin(b) {
		t.Fatal(err)
	}
	defer e.end()
	b.schedule = Constant{Rate{1_000_000_000, time.Second}} // always due
	nc := newEcho()
	b.ctx = t.Context()
	c := &h1Conn{worker: worker{engine: e.pool, nc: nc}, in: h1Reader{src: nc, epoch: e.epoch, count: &e.bytes}}
	e.open[&c.worker] = struct{}{}
	b.take(&c.worker, e.now())
	var spare []Result
	once := func() {
		write(c.nc, b.target.request)
		c.in.begin()
		r, live := c.result(c.in.more())
		if r.Status != 200 || r.Backend != 1 || !live {
			t.Errorf("got %+v", r)
		}
		if live, again := c.settle(r, live); !live || !again {
			t.Errorf("live %v, again %v", live, again)
		}
		spare, _ = b.collect(spare)
	}
	once()
	once() // both buffers of results are there now
	if n := testing.AllocsPerRun(1000, once); n != 0 {
		t.Errorf("%g allocations per request", n)
	}
	delete(e.open, &c.worker)
}

func TestH1RefusesWhatItCannotSend(t *testing.T) {
	for want, change := range map[string]func(*Plan){
		"use engine std":      func(p *Plan) { p.URL = "https://podinfo" },
		"sets the framing":    func(p *Plan) { p.Header = map[string]string{"Content-Length": "5"} },
		"not a valid header":  func(p *Plan) { p.Header = map[string]string{"a b": "5"} },
		"ASCII letters":       func(p *Plan) { p.URL = "http://pödinfo" },
		"sends at most 16384": func(p *Plan) { p.Header = map[string]string{"A": strings.Repeat("x", maxRequest)} },
	} {
		p := validPlan()
		change(&p)
		if _, err := collect(t, newTestH1(t, 1), t.Context(), p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestH1RequestBytes(t *testing.T) {
	p := validPlan()
	p.URL = "http://Podinfo.test/a%20b?c=d"
	p.Header = map[string]string{"X-B": "2", "X-A": "1", "User-Agent": "splitbench/1"}
	p.ConnectTo = map[string]string{"podinfo.test:80": "127.0.0.1:8080"}
	got, err := newH1Target(p)
	want := "GET /a%20b?c=d HTTP/1.1\r\nHost: Podinfo.test\r\nUser-Agent: splitbench/1\r\nX-A: 1\r\nX-B: 2\r\n\r\n"
	if err != nil || string(got.request) != want || got.address != "127.0.0.1:8080" {
		t.Errorf("%q to %s, %v", got.request, got.address, err)
	}
}

// However many connections a server closes between two bursts, the next burst notices all of them before it sends. The loop
// takes so many events at once.
func TestH1NoticesManyConnectionsClosedAtRest(t *testing.T) {
	const connections = 300
	var asked atomic.Int64
	all := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) == connections {
			close(all) // all connections are open
		}
		<-all
	}))
	defer srv.Close()
	e := newTestH1(t, connections)
	for burst := range 2 {
		p := fastPlan(srv.URL, connections)
		p.Connections = connections
		rs, err := collect(t, e, t.Context(), p)
		if err != nil || len(rs) != connections {
			t.Fatalf("burst %d: %d results, %v", burst, len(rs), err)
		}
		for _, r := range rs {
			if r.Err != OK {
				t.Fatalf("burst %d: %+v", burst, r)
			}
		}
		if e.Dialled() < connections {
			t.Fatalf("%d connections: the test does not try what it should", e.Dialled())
		}
		srv.CloseClientConnections()
	}
}
