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
func echo(t *testing.T) Port {
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
	return Port{Namespace: "linkerd", Pod: "destination-1", Number: l.Addr().(*net.TCPAddr).Port}
}

func TestForward(t *testing.T) {
	cfg := forwardServer(t, nil, nil)
	for _, protocol := range []Protocol{Auto, SPDY} {
		conn, err := Forward(t.Context(), cfg, echo(t), protocol)
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		want := strings.Repeat("x", 1<<20)
		go func() { _, _ = io.WriteString(conn, want) }()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Errorf("%s: other bytes came back, %v", protocol, err)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("%s: close: %v", protocol, err)
		}
		if _, err := conn.Read(got); err == nil {
			t.Errorf("%s: it can be read after it was closed", protocol)
		}
	}
}

// The end of the context ends the connection, and so does a cut.
func TestForwardEnds(t *testing.T) {
	cut := make(chan struct{})
	cancelled, cancel := context.WithCancel(t.Context())
	for name, test := range map[string]struct {
		ctx context.Context
		cut chan struct{}
		end func()
	}{
		"cancelled": {cancelled, nil, cancel},
		"cut":       {t.Context(), cut, func() { close(cut) }},
	} {
		conn, err := Forward(test.ctx, forwardServer(t, test.cut, nil), echo(t), SPDY)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := io.WriteString(conn, "x"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		test.end()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: it lives on", name)
		}
		_ = conn.Close()
	}
}

func TestForwardRefusals(t *testing.T) {
	answer := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { status(w, code, "no") }
	}
	nowhere := Port{Namespace: "linkerd", Pod: "destination-1", Number: 1}
	for _, test := range []struct {
		name   string
		refuse http.HandlerFunc
		check  func(error) bool
		text   string
	}{
		{"forbidden", answer(http.StatusForbidden), is[*ForbiddenError], "forward to linkerd/destination-1:1: no permission, needs the verb create on pods/portforward"},
		{"logged out", answer(http.StatusUnauthorized), is[*ForbiddenError], "log in again"},
		{"no such pod", answer(http.StatusNotFound), is[*NotFoundError], "not there"},
		{"a gateway's error", answer(http.StatusBadGateway), is[*UnreachableError], "no stream through API server"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, is[*UnreachableError], "no stream"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := Forward(t.Context(), forwardServer(t, nil, test.refuse), nowhere, Auto)
			if conn != nil || !test.check(err) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want %q", err, test.text)
			}
		})
	}
	t.Run("nothing listens", func(t *testing.T) {
		conn, err := Forward(t.Context(), forwardServer(t, nil, nil), nowhere, Auto)
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
		if _, err := Forward(ctx, forwardServer(t, nil, mute), nowhere, Auto); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
