package attack

import (
	"context"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// spoken is a server that says which protocol it was spoken to in, and counts connections.
type spoken struct {
	*httptest.Server
	mu    sync.Mutex
	conns map[string]int // requests by the client's address
	most  int            // in flight at once, over all connections
	now   int
}

func newSpoken(t *testing.T, over string, work time.Duration) *spoken {
	t.Helper()
	s := &spoken{conns: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.conns[r.RemoteAddr]++
		s.now++
		s.most = max(s.most, s.now)
		s.mu.Unlock()
		time.Sleep(work) // the server's work
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
		fmt.Fprintf(w, `{"message":"over %s"}`, r.Proto)
	}))
	p := new(http.Protocols)
	switch over {
	case "h2c":
		p.SetUnencryptedHTTP2(true)
	case "h2":
		p.SetHTTP2(true)
		s.EnableHTTP2 = true
	default:
		p.SetHTTP1(true)
	}
	s.Config.Protocols = p
	if over == "h2c" || over == "http" {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

// trust is what a plan needs to trust the server.
func (s *spoken) trust() *TLS {
	if s.Certificate() == nil {
		return nil
	}
	return &TLS{CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})}
}

// HTTP/2 over TLS and over plain TCP, and HTTP/1.1 over TLS, go over exactly the connections of the plan.
func TestStdOpensThePlansConnections(t *testing.T) {
	for _, tt := range []struct {
		over     string
		protocol Protocol
		streams  int
		want     string
	}{
		{"https", ProtocolHTTP1, 0, "HTTP/1.1"},
		{"h2", ProtocolH2, 0, "HTTP/2.0"},
		{"h2", ProtocolH2, 8, "HTTP/2.0"},
		{"h2c", ProtocolH2C, 0, "HTTP/2.0"},
		{"h2c", ProtocolH2C, 8, "HTTP/2.0"},
	} {
		t.Run(fmt.Sprintf("%s with %d streams", tt.over, tt.streams), func(t *testing.T) {
			t.Parallel()
			s := newSpoken(t, tt.over, 20*time.Millisecond)
			p := fastPlan(s.URL, 200)
			p.Protocol, p.Streams, p.Connections, p.TLS = tt.protocol, tt.streams, 3, s.trust()
			p.Engine = EngineStd
			p.Rules = []Rule{{Backend: 1, Kind: RuleJSON, Key: "/message", Values: []string{"over " + tt.want}}}
			e := NewStd(EngineOptions{}, 3)
			defer e.Close()
			rs, err := collect(t, e, t.Context(), p)
			if err != nil || len(rs) != 200 {
				t.Fatalf("%d results, %v", len(rs), err)
			}
			for _, r := range rs {
				if r.Status != 200 || r.Backend != 1 || r.Conn < 0 || r.FirstByte < r.Sent || r.Done < r.FirstByte {
					t.Fatalf("got %+v", r)
				}
			}
			// 200 requests at 1,000/s that take 20 ms each: all there is, is used.
			if most := 3 * max(tt.streams, 1); s.most > most || s.most < most-2 {
				t.Errorf("%d in flight at once, want %d", s.most, most)
			}
			if len(s.conns) != 3 || len(used(rs)) != 3 || e.Dialled() != 3 {
				t.Errorf("%d connections at the server, %d in the results, %d dialled; want 3", len(s.conns), len(used(rs)), e.Dialled())
			}
			d := e.Dials()
			if d.Opened != 3 || d.Connect.N != 3 || (tt.over != "h2c") != (d.Handshake.N == 3) || len(d.Addresses) != 1 {
				t.Errorf("dials: %+v", d)
			}
		})
	}
}

// What a TLS server does to be not trusted, or not to be one, has a class of its own.
func TestStdTLSErrors(t *testing.T) {
	s := newSpoken(t, "https", 0)
	plain := newSpoken(t, "http", 0)
	hangUp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp.Close()
	go func() {
		for {
			c, err := hangUp.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for name, tt := range map[string]struct {
		url  string
		tls  *TLS
		want ErrorClass
	}{
		"unknown authority":      {s.URL, nil, ErrTLS},
		"another name":           {s.URL, &TLS{CA: s.trust().CA, ServerName: "podinfo"}, ErrTLS},
		"no TLS":                 {"https://" + plain.Listener.Addr().String(), nil, ErrTLS},
		"closes":                 {"https://" + hangUp.Addr().String(), nil, ErrTLS},
		"nobody there":           {"https://127.0.0.1:1", nil, ErrDial},
		"unknown, not verified":  {s.URL, &TLS{Insecure: true}, OK},
		"trusted, by its name":   {s.URL, &TLS{CA: s.trust().CA, ServerName: "example.com"}, OK},
		"trusted, by its number": {s.URL, s.trust(), OK},
	} {
		t.Run(name, func(t *testing.T) {
			p := fastPlan(tt.url, 3)
			p.TLS = tt.tls
			e := NewEngine(p, EngineOptions{})
			defer e.Close()
			rs, err := collect(t, e, t.Context(), p)
			if err != nil || len(rs) != 3 {
				t.Fatalf("%d results, %v", len(rs), err)
			}
			for _, r := range rs {
				if r.Err != tt.want || (r.Status == 200) != (tt.want == OK) {
					t.Errorf("got %+v, want class %s", r, tt.want)
				}
			}
		})
	}
}

// A request over HTTP/2 that takes too long costs that request, not its connection's others.
func TestStdTimesOutOneStream(t *testing.T) {
	var n atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			<-r.Context().Done()
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	p := fastPlan(s.URL, 100)
	p.Protocol, p.Streams, p.Connections, p.Timeout = ProtocolH2C, 16, 1, 200*time.Millisecond
	e := NewEngine(p, EngineOptions{})
	defer e.Close()
	rs, err := collect(t, e, t.Context(), p)
	if err != nil || len(rs) != 100 {
		t.Fatalf("%d results, %v", len(rs), err)
	}
	classes := map[ErrorClass]int{}
	for _, r := range rs {
		classes[r.Err]++
	}
	if classes[OK] != 90 || classes[ErrTimeout] != 10 || e.Dialled() != 1 {
		t.Errorf("classes %v over %d connections; want 90 ok and 10 timeouts over 1", classes, e.Dialled())
	}
}

// grpcServer speaks enough of gRPC to answer unary calls: the health check, and an echo.
func grpcServer(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" ||
			len(body) < 5 || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 {
			t.Errorf("not a gRPC call: %s %v, %x, %v", r.Method, r.Header, body, err)
		}
		w.Header().Set("Content-Type", "application/grpc")
		reply := func(message string) {
			w.Header().Set("Trailer", "Grpc-Status")
			w.Write(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))))
			io.WriteString(w, message)
			w.Header().Set("Grpc-Status", "0")
		}
		switch r.URL.Path {
		case "/grpc.health.v1.Health/Check":
			reply("\x08\x01") // status: SERVING
		case "/test.Echo/Echo":
			reply(string(body[5:]))
		case "/test.Echo/Broken":
			w.Write([]byte{0, 0, 0, 0, 9, 'x'})
			w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		default:
			w.Header().Set("Grpc-Status", "12") // unimplemented, in an answer of trailers only
		}
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func TestStdCallsGRPC(t *testing.T) {
	s := grpcServer(t)
	for name, tt := range map[string]struct {
		unary   *Unary
		rule    string
		status  uint16
		class   ErrorClass
		backend int16
	}{
		"health check": {nil, "^\\x08\\x01$", 200, OK, 1},
		"echo":         {&Unary{Method: "test.Echo/Echo", Message: []byte("\x0a\x05hello")}, "hello$", 200, OK, 1},
		"unknown":      {&Unary{Method: "test.Echo/No"}, "x", 501, OK, Unattributed},
		"broken":       {&Unary{Method: "test.Echo/Broken"}, "x", 0, ErrProtocol, Unattributed},
	} {
		t.Run(name, func(t *testing.T) {
			p := fastPlan(s.URL, 20)
			p.Protocol, p.Unary, p.AllowUnsafe, p.Connections = ProtocolGRPC, tt.unary, tt.unary != nil, 2
			p.Rules = []Rule{{Backend: 1, Kind: RuleRegexp, Key: tt.rule}}
			e := NewEngine(p.WithDefaults(), EngineOptions{})
			defer e.Close()
			rs, err := collect(t, e, t.Context(), p)
			if err != nil || len(rs) != 20 {
				t.Fatalf("%d results, %v", len(rs), err)
			}
			for _, r := range rs {
				if r.Status != tt.status || r.Err != tt.class || r.Backend != tt.backend {
					t.Errorf("got %+v", r)
				}
			}
		})
	}
}

// The engine verifies with the URL's name, whatever address it is sent to.
func TestStdConnectTo(t *testing.T) {
	s := newSpoken(t, "https", 0)
	p := fastPlan("https://example.com/", 5)
	p.TLS = s.trust()
	p.ConnectTo = map[string]string{"example.com:443": s.Listener.Addr().String()}
	e := NewEngine(p, EngineOptions{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != s.Listener.Addr().String() {
			t.Errorf("dialled %s", address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}})
	defer e.Close()
	rs, err := collect(t, e, t.Context(), p)
	if err != nil || len(rs) != 5 || rs[4].Status != 200 {
		t.Fatalf("%+v, %v", rs, err)
	}
}

// A request that net/http refuses to write at all fails at once, also over a connection that carries several: it is not tried
// again and again until its time is up.
func TestStdGivesUpARequestThatCannotBeWritten(t *testing.T) {
	s := newSpoken(t, "h2c", 0)
	e := NewStd(EngineOptions{}, 1)
	defer e.Close()
	p := fastPlan(s.URL, 20)
	p.Protocol, p.Streams, p.Connections, p.GiveUpAfter = ProtocolH2C, 4, 1, 1000
	p.Header = map[string]string{"Connection": "upgrade"} // HTTP/2 has no such header
	rs, err := collect(t, e, t.Context(), p)
	if err != nil || len(rs) != 20 {
		t.Fatalf("%d results, %v", len(rs), err)
	}
	for _, r := range rs {
		if r.Err == OK || r.Err == ErrTimeout {
			t.Fatalf("got %+v", r)
		}
	}
}
