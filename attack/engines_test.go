package attack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// forEachEngine runs a test on every engine: they must give the same results.
func forEachEngine(t *testing.T, test func(t *testing.T, build func(EngineOptions, int) ClosableEngine)) {
	for name, construct := range map[string]func(EngineOptions, int) ClosableEngine{
		"h1": func(o EngineOptions, n int) ClosableEngine { return NewH1(o, n) },
		"h1 on Go's poller": func(o EngineOptions, n int) ClosableEngine {
			e := NewH1(o, n)
			if e.loop != nil {
				e.loop.close()
				e.loop = nil
			}
			return e
		},
		"std":    func(o EngineOptions, n int) ClosableEngine { return NewStd(o, n) },
		"vegeta": func(o EngineOptions, n int) ClosableEngine { return NewVegeta(o, n) },
	} {
		t.Run(name, func(t *testing.T) {
			test(t, func(o EngineOptions, n int) ClosableEngine {
				e := construct(o, n)
				t.Cleanup(e.Close)
				return e
			})
		})
	}
}

// script is a server that answers each request with the same bytes.
type script struct {
	name   string
	method string
	answer string
	// How it is sent.
	early  bool          // before the request was read to its end
	bytes  bool          // one byte at a time
	hangUp bool          // the connection is closed after it
	reset  bool          // and reset
	hold   bool          // nothing more comes, and the connection stays
	pause  time.Duration // before the second half

	status  uint16
	class   ErrorClass
	backend int16 // 1: the body says so
}

const said = `{"message":"from 1"}`

func chunked(s string, trailer string) string {
	var b strings.Builder
	for ; len(s) > 0; s = s[min(7, len(s)):] {
		part := s[:min(7, len(s))]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
	}
	return b.String() + "0\r\n" + trailer + "\r\n"
}

var scripts = []script{
	{name: "content-length", answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + said, status: 200, backend: 1},
	{name: "chunked", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(said, ""), status: 200, backend: 1},
	{name: "trailers", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(said, "A: b\r\nC: d\r\n"), status: 200, backend: 1},
	{name: "lines that end in LF", answer: "HTTP/1.1 200 OK\nContent-Length: 20\n\n" + said, status: 200, backend: 1},
	{name: "100-continue", answer: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + said, status: 200, backend: 1},
	{name: "early hints", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + said, status: 200, backend: 1},
	{name: "single bytes", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(said, "A: b\r\n"), bytes: true, status: 200, backend: 1},
	{name: "slow body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + said, pause: 20 * time.Millisecond, status: 200, backend: 1},
	{name: "body until the end", answer: "HTTP/1.1 200 OK\r\n\r\n" + said, hangUp: true, status: 200, backend: 1},
	{name: "connection: close", answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\n" + said, hangUp: true, status: 200, backend: 1},
	{name: "HTTP/1.0", answer: "HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n" + said, hangUp: true, status: 200, backend: 1},
	{name: "early answer", answer: "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 20\r\n\r\n" + said, early: true, hangUp: true, status: 503, backend: 1},
	{name: "HEAD", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n", status: 200, backend: Unattributed},
	{name: "204", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, backend: Unattributed},
	{name: "304", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 20\r\n\r\n", status: 304, backend: Unattributed},
	{name: "redirect", answer: "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 20\r\n\r\n" + said, status: 302, backend: 1},
	{name: "10 MB", answer: "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", 10_000_000), status: 200, backend: Unattributed},

	{name: "no answer", answer: "", hangUp: true, class: ErrEmpty},
	{name: "reset", answer: "", reset: true, class: ErrReset},
	{name: "silence", answer: "", hold: true, class: ErrTimeout},
	{name: "endless header", answer: "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: 0123456789abcdef\r\n", 8000), hold: true, class: ErrProtocol},
	{name: "body that stops", answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + said, hold: true, class: ErrTimeout},
	{name: "cut in the header", answer: "HTTP/1.1 200 OK\r\nContent-Le", hangUp: true, class: ErrProtocol},
	{name: "cut in the body", answer: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + said, hangUp: true, class: ErrProtocol},
	{name: "cut in a chunk", answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + said, hangUp: true, class: ErrProtocol},
	{name: "two lengths", answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Length: 19\r\n\r\n" + said, hangUp: true, class: ErrProtocol},
	{name: "switches protocols", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", hold: true, class: ErrProtocol},
	{name: "status 000", answer: "HTTP/1.1 000 Nothing\r\nContent-Length: 20\r\n\r\n" + said, class: ErrProtocol},
	{name: "not HTTP", answer: "SSH-2.0-OpenSSH_9.2\r\n", hangUp: true, class: ErrProtocol},
}

// serve starts the script's server and returns its address and how many requests it has read.
func (s script) serve(t *testing.T) (address string, served *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served = new(atomic.Int64)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { c.Close() })
			conns.Go(func() {
				defer stop()
				defer c.Close()
				s.play(c, served)
			})
		}
	})
	t.Cleanup(func() { l.Close(); conns.Wait() })
	return l.Addr().String(), served
}

func (s script) play(c net.Conn, served *atomic.Int64) {
	r := bufio.NewReader(c)
	for {
		if s.early {
			if _, err := r.Peek(1); err != nil {
				return
			}
			io.WriteString(c, s.answer)
		}
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		served.Add(1)
		switch half := len(s.answer) / 2; {
		case s.early:
		case s.bytes:
			for i := range len(s.answer) {
				if _, err := io.WriteString(c, s.answer[i:i+1]); err != nil {
					return
				}
			}
		default:
			io.WriteString(c, s.answer[:half])
			time.Sleep(s.pause) // what is slow in a slow answer, not a way to wait for something
			io.WriteString(c, s.answer[half:])
		}
		if s.reset {
			c.(*net.TCPConn).SetLinger(0)
		}
		if s.hold {
			io.Copy(io.Discard, r)
		}
		if s.hangUp || s.reset || s.hold {
			return
		}
	}
}

func TestScripts(t *testing.T) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		for _, s := range scripts {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				address, served := s.serve(t)
				p := fastPlan("http://podinfo", 10)
				p.ConnectTo = map[string]string{"podinfo:80": address}
				p.Method = s.method
				p.Rules = []Rule{{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"from 1"}}}
				if s.class == ErrTimeout {
					p.Timeout = 100 * time.Millisecond
				}
				rs, err := collect(t, build(EngineOptions{}, 4), t.Context(), p)
				if err != nil || len(rs) != 10 {
					t.Fatalf("%d results, %v", len(rs), err)
				}
				backend := s.backend
				if s.class != OK {
					backend = Unattributed
				}
				for _, r := range rs {
					if r.Status != s.status || r.Err != s.class || r.Backend != backend {
						t.Errorf("got status %d, class %s, backend %d; want %d, %s, %d", r.Status, r.Err, r.Backend, s.status, s.class, backend)
					}
				}
				if !s.early && s.class != ErrTimeout && served.Load() != 10 {
					t.Errorf("the server saw %d requests", served.Load())
				}
			})
		}
	})
}

func TestEnginesSendExactlyThePlan(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		var served atomic.Int64
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("User-Agent") != "splitbench/test" || r.Header.Get("X-Vegeta-Seq") != "" || r.ContentLength != 0 || r.Host != "podinfo" {
				t.Errorf("the request is not the planned one: %v, %d bytes", r.Header, r.ContentLength)
			}
			fmt.Fprintf(w, `{"message":"from %d"}`, served.Add(1)%2)
		}))
		defer srv.Close()
		p := fastPlan(srv.URL+"/a?b=c", 500)
		p.Header = map[string]string{"User-Agent": "splitbench/test", "Host": "podinfo"}
		p.Rules = []Rule{
			{Backend: 0, Kind: RuleJSON, Key: "/message", Values: []string{"from 0"}},
			{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"from 1"}},
		}
		e := build(EngineOptions{}, 16)
		for burst := range 2 { // the second burst on the same engine is as whole as the first, on the same connections
			rs, err := collect(t, e, t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			var n [2]int
			for _, r := range rs {
				if r.Status != 200 || r.Err != OK || r.Backend < 0 || r.Conn < 0 || r.FirstByte == 0 {
					t.Fatalf("burst %d: %+v", burst, r)
				}
				if r.Planned != time.Duration(r.Seq)*time.Millisecond || r.SendLag() < 0 {
					t.Fatalf("request %d was planned for %s and sent at %s", r.Seq, r.Planned, r.Sent)
				}
				n[r.Backend]++
			}
			if n != [2]int{250, 250} {
				t.Errorf("burst %d: per backend %v, want 250 each", burst, n)
			}
		}
		// net/http gives a connection up where it was kept from running for 50 ms after an answer: on a busy machine that happens.
		most := int64(16)
		if !strings.Contains(t.Name(), "/h1") {
			most = 32
		}
		if served.Load() != 1000 || e.Dialled() > most {
			t.Errorf("the server saw %d requests over %d connections, want 1000 over at most %d", served.Load(), e.Dialled(), most)
		}
	})
}

// Requests in flight are bounded, those that wait keep their planned instants.
func TestEnginesQueueWhenSaturated(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		var now, most atomic.Int64
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(5 * time.Millisecond) // the server's work
			now.Add(-1)
		}))
		defer srv.Close()
		p := fastPlan(srv.URL, 100)
		p.Connections = 3
		rs, err := collect(t, build(EngineOptions{}, 3), t.Context(), p)
		if err != nil || len(rs) != 100 || most.Load() != 3 {
			t.Fatalf("%d results, %d at once, %v", len(rs), most.Load(), err)
		}
		// 100 requests, 3 at a time, 5 ms each: the last is sent at 160 ms or later, and was planned for 99 ms.
		if last := rs[99]; last.Planned != 99*time.Millisecond || last.SendLag() < 50*time.Millisecond {
			t.Errorf("the last request was planned for %s and sent at %s", last.Planned, last.Sent)
		}
	})
}

func TestEnginesStopWithTheirContext(t *testing.T) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		started := newSignals(t)
		ctx, cancel := context.WithCancel(t.Context())
		p := fastPlan(started.url, 10)
		p.Rate = Rate{1, time.Hour} // the second request is an hour away: only the context can end this
		go func() {
			<-started.c
			cancel()
		}()
		rs, err := collect(t, build(EngineOptions{}, 16), ctx, p)
		if !errors.Is(err, context.Canceled) || len(rs) != 1 || rs[0].Err != ErrCanceled {
			t.Errorf("want the one request that was in flight, as canceled; got %+v, %v", rs, err)
		}
	})
}

// signals is a server that says when a request came, and never answers.
type signals struct {
	url string
	c   chan struct{}
}

func newSignals(t *testing.T) signals {
	s := signals{c: make(chan struct{}, 1000)}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.c <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}

func TestEnginesStopWhenTheConsumerDoes(t *testing.T) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		defer srv.Close()
		e := build(EngineOptions{}, 4)
		for range e.Attack(t.Context(), fastPlan(srv.URL, 50_000)) {
			break
		}
		if rs, err := collect(t, e, t.Context(), fastPlan(srv.URL, 5)); len(rs) != 5 || err != nil {
			t.Errorf("the next burst: %d results, %v", len(rs), err)
		}
	})
}

func TestEnginesGiveUpOnADeadTarget(t *testing.T) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		p := fastPlan("http://127.0.0.1:1", 10_000)
		p.GiveUpAfter = 20
		rs, err := collect(t, build(EngineOptions{}, 16), t.Context(), p)
		var gaveUp *GaveUpError
		if !errors.As(err, &gaveUp) || len(rs) < 20 || len(rs) > 200 {
			t.Errorf("%d results, %v", len(rs), err)
		}
	})
}

func TestEnginesKeepSpecimensOfUnmatchedAnswers(t *testing.T) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", 100_000))
		}))
		defer srv.Close()
		var kept []Specimen
		e := build(EngineOptions{Unmatched: func(s Specimen) { kept = append(kept, s) }}, 16)
		rs, err := collect(t, e, t.Context(), fastPlan(srv.URL, 20))
		if err != nil || len(rs) != 20 {
			t.Fatalf("%d results, %v", len(rs), err)
		}
		if len(kept) != MaxSpecimens || len(kept[0].Body) != MaxSpecimenBody {
			t.Errorf("kept %d specimens of %d bytes", len(kept), len(kept[0].Body))
		}
	})
}

func TestEnginesRefuseABadPlan(t *testing.T) {
	forEachEngine(t, func(t *testing.T, build func(EngineOptions, int) ClosableEngine) {
		_, err := collect(t, build(EngineOptions{}, 1), t.Context(), Plan{URL: "gopher://x"})
		if err == nil || !strings.Contains(err.Error(), "scheme") {
			t.Errorf("got %v", err)
		}
	})
}
