package podexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
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

// Port is a TCP port of a pod.
type Port struct {
	Namespace, Pod string
	Number         int // 1 to 65535
}

// String returns "namespace/pod:number".
func (p Port) String() string { return fmt.Sprintf("%s/%s:%d", p.Namespace, p.Pod, p.Number) }

// tunnel is SPDY inside a WebSocket, the only protocol that API servers offer for port-forwards over one.
const tunnel = "SPDY/3.1+" + portforward.PortForwardProtocolV1Name

// Forward opens one connection to a port of a pod, through the API server and the pod's node. That nothing listens
// there, or that the pod's node gave up, is an error of Read. The connection has no deadlines: it lives as long as ctx,
// whose end closes it. Errors: [*ForbiddenError], [*NotFoundError], [*UnreachableError], and one that wraps ctx.Err().
func Forward(ctx context.Context, cfg *rest.Config, to Port, protocol Protocol) (net.Conn, error) {
	own, base, err := restClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("forward to %s: use cluster configuration: %w", to, err)
	}
	f := &forwarding{cfg: own, rec: &recorder{note: func(Protocol) {}}}
	req := base.Post().Resource("pods").Namespace(to.Namespace).Name(to.Pod).SubResource("portforward")
	if f.url = req.URL().String(); req.Error() != nil {
		return nil, fmt.Errorf("forward to %s: %w", to, req.Error())
	}
	ctx = f.rec.watch(klog.NewContext(ctx, klog.Logger{}))
	type opened struct {
		conn *forwarded
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		conn, err := f.open(ctx, to.Number, protocol)
		if err != nil || ctx.Err() != nil {
			f.rec.release()
		}
		done <- opened{conn, err}
	}()
	select {
	case o := <-done:
		if o.err == nil {
			return o.conn, nil
		}
		err = o.err
	case <-ctx.Done(): // a handshake behind a mute proxy looks at no context; it ends with its connection
		err = ctx.Err()
	}
	failed := &call{op: "forward to " + to.String(), verb: "create on pods/portforward", host: own.Host, rec: f.rec}
	return nil, failed.classify(ctx, err)
}

// forwarding is a port-forward that is being opened.
type forwarding struct {
	cfg *rest.Config
	url string
	rec *recorder
}

func (f *forwarding) open(ctx context.Context, port int, protocol Protocol) (*forwarded, error) {
	var conn httpstream.Connection
	err := errors.New("no protocol")
	if protocol != SPDY {
		conn, err = f.overWebSocket(ctx)
	}
	if protocol != WebSocket && (protocol == SPDY || err != nil && shouldFallback(err)) {
		conn, err = f.overSPDY(ctx)
	}
	if err != nil {
		return nil, err
	}
	c := &forwarded{conn: conn, rec: f.rec, complained: make(chan struct{})}
	if err := c.streams(port); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
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
	conn              httpstream.Connection
	rec               *recorder
	complained        chan struct{} // closed when complaint is final
	complaint         string
}

var _ net.Conn = (*forwarded)(nil)

// maxComplaint bounds what the far side may say of an error, in bytes.
const maxComplaint = 1024

// streams opens the two streams.
func (f *forwarded) streams(port int) error {
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	wrong, err := f.conn.CreateStream(header)
	if err != nil {
		return err
	}
	if err := wrong.Close(); err != nil { // only its writing half
		return err
	}
	go func() {
		defer close(f.complained)
		said, _ := io.ReadAll(io.LimitReader(wrong, maxComplaint)) // it ends with the connection
		f.complaint = clean(string(said))
	}()
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	if f.Stream, err = f.conn.CreateStream(header); err != nil {
		return f.why(err)
	}
	return nil
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
	err := f.conn.Close()
	f.rec.release()
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

// SetDeadline does nothing: the context ends the connection.
func (*forwarded) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (*forwarded) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (*forwarded) SetWriteDeadline(time.Time) error { return nil }
