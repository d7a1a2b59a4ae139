package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func collect(t *testing.T, e Engine, ctx context.Context, p Plan) ([]Result, error) {
	t.Helper()
	var rs []Result
	for r, err := range e.Attack(ctx, p) {
		if err != nil {
			return rs, err
		}
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b Result) int { return int(a.Seq) - int(b.Seq) })
	for i, r := range rs {
		if r.Seq != uint64(i) {
			t.Fatalf("result %d has number %d: numbers are not dense", i, r.Seq)
		}
		if r.Done < r.Sent || r.Sent < 0 || r.FirstByte != 0 && (r.FirstByte < r.Sent || r.FirstByte > r.Done) {
			t.Fatalf("the instants of %+v are out of order", r)
		}
	}
	return rs, nil
}

func engine(t *testing.T, o EngineOptions) *Vegeta {
	e := NewVegeta(o, 16)
	t.Cleanup(e.Close)
	return e
}

func fastPlan(url string, n uint64) Plan {
	return Plan{URL: url, Rate: Rate{1000, time.Second}, Requests: n, Timeout: 5 * time.Second}
}

func TestVegetaSendsExactlyThePlan(t *testing.T) {
	var served atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != "splitbench/test" || r.Header.Get("X-Vegeta-Seq") != "" || r.ContentLength != 0 {
			t.Errorf("the request is not the planned one: %v, %d bytes", r.Header, r.ContentLength)
		}
		fmt.Fprintf(w, `{"message":"from %d"}`, served.Add(1)%2)
	}))
	defer srv.Close()
	p := fastPlan(srv.URL, 500)
	p.Header = map[string]string{"User-Agent": "splitbench/test"}
	p.Rules = []Rule{
		{Backend: 0, Kind: RuleJSON, Key: "/message", Values: []string{"from 0"}},
		{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"from 1"}},
	}
	e := engine(t, EngineOptions{})
	for burst := range 2 { // the second burst on the same engine is as whole as the first
		rs, err := collect(t, e, t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		var n [2]int
		for _, r := range rs {
			if r.Status != 200 || r.Err != OK || r.Backend < 0 || r.Conn < 0 || r.FirstByte == 0 {
				t.Fatalf("burst %d: %+v", burst, r)
			}
			if r.Planned != time.Duration(r.Seq)*time.Millisecond {
				t.Fatalf("request %d was planned for %s", r.Seq, r.Planned)
			}
			if r.SendLag() < 0 {
				t.Fatalf("request %d was sent %s before its time", r.Seq, -r.SendLag())
			}
			n[r.Backend]++
		}
		if n != [2]int{250, 250} {
			t.Errorf("burst %d: per backend %v, want 250 each", burst, n)
		}
	}
	if served.Load() != 1000 {
		t.Errorf("the server saw %d requests, want 1000", served.Load())
	}
}

// A connection that dies under a request is one failed request, not a second one: net/http would send it again on another
// connection, and the split would be drawn twice for one result.
func TestVegetaNeverRetries(t *testing.T) {
	var served atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%3 == 0 {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.Close()
			}
		}
	}))
	defer srv.Close()
	rs, err := collect(t, engine(t, EngineOptions{}), t.Context(), fastPlan(srv.URL, 300))
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, r := range rs {
		if r.Err != OK {
			failed++
			if r.Err != ErrEmpty && r.Err != ErrReset || r.Status != 0 {
				t.Errorf("a closed connection gave %+v", r)
			}
		}
	}
	if len(rs) != 300 || served.Load() != 300 || failed != 100 {
		t.Errorf("%d results, %d failed, %d requests at the server; want 300, 100 and 300", len(rs), failed, served.Load())
	}
}

func TestVegetaErrorClasses(t *testing.T) {
	raw := func(answer string, hold bool) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					if hold {
						io.Copy(io.Discard, c)
						return
					}
					c.Read(make([]byte, 4096))
					io.WriteString(c, answer)
				}()
			}
		}()
		return "http://" + l.Addr().String()
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	tests := []struct {
		name, url string
		want      ErrorClass
	}{
		{"nobody listens", "http://" + dead.Addr().String(), ErrDial},
		{"no such host", "http://podinfo.invalid", ErrDial},
		{"closed before the first byte", raw("", false), ErrEmpty},
		{"not HTTP", raw("SSH-2.0-OpenSSH\r\n", false), ErrProtocol},
		{"cut in the header", raw("HTTP/1.1 200 OK\r\nContent-Le", false), ErrProtocol},
		{"cut in the body", raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", false), ErrProtocol},
		{"never answers", raw("", true), ErrTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := fastPlan(tt.url, 1)
			p.Timeout = 200 * time.Millisecond
			dial := func(ctx context.Context, network, address string) (net.Conn, error) {
				if strings.HasPrefix(address, "podinfo.invalid") { // no resolver is asked in a test
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "podinfo.invalid", IsNotFound: true}}
				}
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
			rs, err := collect(t, engine(t, EngineOptions{Dial: dial}), t.Context(), p)
			if err != nil || len(rs) != 1 {
				t.Fatalf("%d results, %v", len(rs), err)
			}
			if r := rs[0]; r.Err != tt.want || r.Status != 0 || r.Backend != Unattributed {
				t.Errorf("got class %s, status %d, want %s", r.Err, r.Status, tt.want)
			}
		})
	}
}

func TestVegetaStopsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	p := fastPlan(srv.URL, 10)
	p.Rate = Rate{1, time.Hour} // the second request is an hour away: only the context can end this
	go func() {
		<-started
		cancel()
	}()
	var got []Result
	var last error
	for r, err := range engine(t, EngineOptions{}).Attack(ctx, p) {
		if err != nil {
			last = err
			break
		}
		got = append(got, r)
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
	if len(got) != 1 || got[0].Err != ErrCanceled {
		t.Errorf("want the one request that was in flight, as canceled; got %+v", got)
	}
}

func TestVegetaGivesUpOnADeadTarget(t *testing.T) {
	p := fastPlan("http://127.0.0.1:1", 10_000)
	p.GiveUpAfter = 20
	rs, err := collect(t, engine(t, EngineOptions{}), t.Context(), p)
	var gaveUp *GaveUpError
	if !errors.As(err, &gaveUp) || len(rs) < 20 || len(rs) > 200 {
		t.Errorf("%d results, %v", len(rs), err)
	}
}

func TestVegetaKeepsSpecimensOfUnmatchedAnswers(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	defer srv.Close()
	var kept []Specimen
	e := engine(t, EngineOptions{Unmatched: func(s Specimen) { kept = append(kept, s) }})
	rs, err := collect(t, e, t.Context(), fastPlan(srv.URL, 20))
	if err != nil || len(rs) != 20 {
		t.Fatalf("%d results, %v", len(rs), err)
	}
	if len(kept) != MaxSpecimens || len(kept[0].Body) != MaxSpecimenBody {
		t.Errorf("kept %d specimens of %d bytes", len(kept), len(kept[0].Body))
	}
}

func TestVegetaRefusesABadPlan(t *testing.T) {
	_, err := collect(t, engine(t, EngineOptions{}), t.Context(), Plan{URL: "gopher://x"})
	if err == nil || !strings.Contains(err.Error(), "scheme") {
		t.Errorf("got %v", err)
	}
}

func ExampleConstant_At() {
	s := Constant{Rate{Hits: 3, Per: time.Second}}
	fmt.Println(s.At(0), s.At(1), s.At(3), s.At(3_000_000))
	// Output: 0s 333.333333ms 1s 277h46m40s
}
