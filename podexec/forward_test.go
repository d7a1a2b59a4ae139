package podexec

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	criforward "k8s.io/cri-streaming/pkg/streaming/portforward"
)

// dialling serves port-forwards as a kubelet does, to ports of this machine.
type dialling struct{ cut chan struct{} }

func (d dialling) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return errors.New("failed to connect to localhost:" + strconv.Itoa(int(port)) + " inside namespace: connection refused")
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(conn, stream); _ = conn.Close() }()
	go func() { <-d.cut; _ = conn.Close() }()
	_, _ = io.Copy(stream, conn)
	return nil
}

// forwardServer is an API server whose WebSockets are refused, as those before 1.30 refuse them. refuse answers in its
// place.
func forwardServer(t *testing.T, cut chan struct{}, refuse http.HandlerFunc) *rest.Config {
	t.Helper()
	if cut == nil {
		cut = make(chan struct{})
		t.Cleanup(func() { close(cut) })
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case refuse != nil:
			refuse(w, r)
		case r.Method != http.MethodPost || r.URL.Path != "/api/v1/namespaces/linkerd/pods/destination-1/portforward":
			status(w, http.StatusBadRequest, "Upgrade request required")
		default:
			criforward.ServePortForward(w, r, dialling{cut}, "destination-1", "uid", nil, time.Minute, time.Minute,
				criforward.SupportedProtocols)
		}
	}))
	srv.Start()
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	return &rest.Config{Host: srv.URL}
}

// echo listens and says everything back.
func echo(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

var destination = Pod{Namespace: "linkerd", Name: "destination-1"}

// Any number of connections go through one port-forward, and closing one leaves the others.
func TestForward(t *testing.T) {
	handshakes := 0
	cfg := forwardServer(t, nil, nil)
	cfg.WrapTransport = func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { handshakes++; return rt.RoundTrip(r) })
	}
	for protocol, want := range map[Protocol]int{Auto: 2, SPDY: 1} {
		handshakes = 0
		tunnel, err := Forward(t.Context(), cfg, destination, protocol)
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		for range 50 {
			talk(t, tunnel, echo(t))
		}
		if handshakes != want {
			t.Errorf("%s: %d handshakes for 50 connections, want %d", protocol, handshakes, want)
		}
		conn, err := tunnel.Dial(echo(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := tunnel.Close(); err != nil || !tunnel.Broken() {
			t.Errorf("%s: close: %v, broken %v", protocol, err, tunnel.Broken())
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: it can be read after the tunnel was closed", protocol)
		}
		_ = conn.Close()
		if _, err := tunnel.Dial(echo(t)); err == nil {
			t.Errorf("%s: a closed tunnel dials", protocol)
		}
	}
}

// talk says something over a connection of its own, and closes it.
func talk(t *testing.T, tunnel *Tunnel, port int) {
	t.Helper()
	conn, err := tunnel.Dial(port)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("x", 1<<16)
	go func() { _, _ = io.WriteString(conn, want) }()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("other bytes came back, %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := conn.Read(got); err == nil {
		t.Error("it can be read after it was closed")
	}
}

// The context is of the opening alone. What the far side ends, ends.
func TestForwardEnds(t *testing.T) {
	cut := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	tunnel, err := Forward(ctx, forwardServer(t, cut, nil), destination, SPDY)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	conn, err := tunnel.Dial(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	close(cut)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it lives on")
	}
	_ = conn.Close()
	if err := tunnel.Close(); err != nil {
		t.Error(err)
	}
}

func TestForwardRefusals(t *testing.T) {
	answer := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { status(w, code, "no") }
	}
	for _, test := range []struct {
		name   string
		refuse http.HandlerFunc
		check  func(error) bool
		text   string
	}{
		{"forbidden", answer(http.StatusForbidden), is[*ForbiddenError], "forward to linkerd/destination-1: no permission, needs the verb create on pods/portforward"},
		{"logged out", answer(http.StatusUnauthorized), is[*ForbiddenError], "log in again"},
		{"no such pod", answer(http.StatusNotFound), is[*NotFoundError], "not there"},
		{"a gateway's error", answer(http.StatusBadGateway), is[*UnreachableError], "no stream through API server"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, is[*UnreachableError], "no stream"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tunnel, err := Forward(t.Context(), forwardServer(t, nil, test.refuse), destination, Auto)
			if tunnel != nil || !test.check(err) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want %q", err, test.text)
			}
		})
	}
	t.Run("nothing listens", func(t *testing.T) {
		tunnel, err := Forward(t.Context(), forwardServer(t, nil, nil), destination, Auto)
		if err != nil {
			t.Fatal(err)
		}
		defer tunnel.Close()
		conn, err := tunnel.Dial(1)
		if err == nil { // else the answer was there before the stream
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a mute server", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		mute := func(http.ResponseWriter, *http.Request) { cancel(); <-t.Context().Done() }
		if _, err := Forward(ctx, forwardServer(t, nil, mute), destination, Auto); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
