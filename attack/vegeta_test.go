package attack

import (
	"context"
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

func ExampleConstant_At() {
	s := Constant{Rate{Hits: 3, Per: time.Second}}
	fmt.Println(s.At(0), s.At(1), s.At(3), s.At(3_000_000))
	// Output: 0s 333.333333ms 1s 277h46m40s
}
