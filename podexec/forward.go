package podexec

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
	httpstreamspdy "k8s.io/streaming/pkg/httpstream/spdy"
)

// Pod is a pod that ports are forwarded to.
type Pod struct{ Namespace, Name string }

// String returns "namespace/name".
func (p Pod) String() string { return p.Namespace + "/" + p.Name }

// tunnel is SPDY inside a WebSocket, the only protocol that API servers offer for port-forwards over one.
const tunnel = "SPDY/3.1+" + portforward.PortForwardProtocolV1Name

// Tunnel is a port-forward: one stream through the API server and the pod's node, which carries any number of
// connections to ports of the pod. It lives until it is closed or cut.
type Tunnel struct {
	httpstream.Connection
	end   context.CancelFunc
	rec   *recorder
	dials atomic.Int64
}

// Forward opens a port-forward to a pod. ctx bounds the opening alone. Errors: [*ForbiddenError], [*NotFoundError],
// [*UnreachableError], and one that wraps ctx.Err().
func Forward(ctx context.Context, cfg *rest.Config, to Pod, protocol Protocol) (*Tunnel, error) {
	own, base, err := restClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("forward to %s: use cluster configuration: %w", to, err)
	}
	f := &forwarding{cfg: own, rec: &recorder{note: func(Protocol) {}}}
	req := base.Post().Resource("pods").Namespace(to.Namespace).Name(to.Name).SubResource("portforward")
	if f.url = req.URL().String(); req.Error() != nil {
		return nil, fmt.Errorf("forward to %s: %w", to, req.Error())
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	opening := context.AfterFunc(ctx, end)
	life = f.rec.watch(klog.NewContext(life, klog.Logger{}))
	type opened struct {
		conn httpstream.Connection
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		conn, err := f.open(life, protocol)
		if err != nil || life.Err() != nil {
			f.rec.release()
		}
		done <- opened{conn, err}
	}()
	select {
	case o := <-done:
		if o.err == nil && opening() {
			return &Tunnel{Connection: o.conn, end: end, rec: f.rec}, nil
		}
		err = cmp.Or(o.err, ctx.Err())
	case <-ctx.Done(): // a handshake behind a mute proxy looks at no context; it ends with its connection
		err = ctx.Err()
	}
	end()
	failed := &call{op: "forward to " + to.String(), verb: "create on pods/portforward", host: own.Host, rec: f.rec}
	return nil, failed.classify(ctx, err)
}

// Broken reports whether the tunnel was cut or closed.
func (t *Tunnel) Broken() bool {
	select {
	case <-t.CloseChan():
		return true
	default:
		return false
	}
}

// Close ends the tunnel and its connections.
func (t *Tunnel) Close() error {
	err := t.Connection.Close()
	t.rec.release()
	t.end()
	return err
}

// forwarding is a port-forward that is being opened.
type forwarding struct {
	cfg *rest.Config
	url string
	rec *recorder
}

func (f *forwarding) open(ctx context.Context, protocol Protocol) (conn httpstream.Connection, err error) {
	if protocol != SPDY {
		conn, err = f.overWebSocket(ctx)
	}
	if protocol == SPDY || protocol != WebSocket && err != nil && shouldFallback(err) {
		conn, err = f.overSPDY(ctx)
	}
	return conn, err
}

func (f *forwarding) overWebSocket(ctx context.Context) (httpstream.Connection, error) {
	transport, holder, err := websocket.RoundTripperFor(f.rec.config(f.cfg, WebSocket))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, err
	}
	ws, err := websocket.Negotiate(transport, holder, req, tunnel)
	if err != nil {
		return nil, err
	}
	inner := portforward.NewTunnelingConnectionWithLogger(klog.Logger{}, ws)
	return httpstreamspdy.NewClientConnectionWithPings(inner, portforward.PingPeriod)
}

func (f *forwarding) overSPDY(ctx context.Context) (httpstream.Connection, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, nil)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdyTransport(f.rec.config(f.cfg, SPDY), req.URL, f.rec)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // it would carry the user's credentials to a host of the server's choosing
	}}
	conn, _, err := spdy.NegotiateStreaming(upgrader, client, req, portforward.PortForwardProtocolV1Name)
	return conn, err
}

// forwarded is a connection to a port: two streams, of data and of what went wrong on the far side.
type forwarded struct {
	httpstream.Stream // data
	wrong             httpstream.Stream
	tunnel            *Tunnel
	complained        chan struct{} // closed when complaint is final
	complaint         string
}

var _ net.Conn = (*forwarded)(nil)

// maxComplaint bounds what the far side may say of an error, in bytes.
const maxComplaint = 1024

// Dial opens a connection to a port of the pod, 1 to 65535. That nothing listens there, or that the pod's node gave up,
// is an error of Read. The connection has no deadlines.
func (t *Tunnel) Dial(port int) (net.Conn, error) {
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(t.dials.Add(1), 10))
	f := &forwarded{tunnel: t, complained: make(chan struct{})}
	var err error
	if f.wrong, err = t.CreateStream(header); err != nil {
		return nil, err
	}
	_ = f.wrong.Close() // only its writing half
	go func() {
		defer close(f.complained)
		said, _ := io.ReadAll(io.LimitReader(f.wrong, maxComplaint)) // it ends with the connection
		f.complaint = clean(string(said))
	}()
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	if f.Stream, err = t.CreateStream(header); err != nil {
		err = f.why(err)
		_ = f.wrong.Reset()
		return nil, err
	}
	return f, nil
}

// why is what the far side complained of, or err where it did not.
func (f *forwarded) why(err error) error {
	select {
	case <-f.complained:
		if f.complaint != "" {
			return errors.New(f.complaint)
		}
	case <-time.After(grace):
	}
	return err
}

// Read gives what the far side complained of in place of the end.
func (f *forwarded) Read(b []byte) (int, error) {
	n, err := f.Stream.Read(b)
	if err != nil && n == 0 {
		err = f.why(err)
	}
	return n, err
}

// Close closes the connection and waits for what it has started.
func (f *forwarded) Close() error {
	err := errors.Join(f.Reset(), f.wrong.Reset())
	f.tunnel.RemoveStreams(f.Stream, f.wrong)
	<-f.complained
	return err
}

type forwardAddr struct{}

func (forwardAddr) Network() string { return "portforward" }
func (forwardAddr) String() string  { return "pod" }

// LocalAddr and RemoteAddr say only that it is a port-forward.
func (*forwarded) LocalAddr() net.Addr { return forwardAddr{} }

// RemoteAddr is as LocalAddr.
func (*forwarded) RemoteAddr() net.Addr { return forwardAddr{} }

// SetDeadline does nothing: the tunnel's end ends the connection.
func (*forwarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (*forwarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (*forwarded) SetWriteDeadline(time.Time) error { return nil }
