package demo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/exec"
	criforward "k8s.io/cri-streaming/pkg/streaming/portforward"
	criremote "k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// serveWebSocket speaks v5.channel.k8s.io, in which a client can close its stdin and go on reading.
func serveWebSocket(w http.ResponseWriter, r *http.Request, o *criremote.Options,
	run func(in io.Reader, out, err io.Writer) error,
) {
	channels := make([]wsstream.ChannelType, criremote.StreamResize+1) // the terminal's size is read and dropped
	channels[criremote.StreamErr] = wsstream.WriteChannel
	for i, on := range []bool{o.Stdin, o.Stdout, o.Stderr} {
		switch {
		case on && i == criremote.StreamStdIn:
			channels[i] = wsstream.ReadChannel
		case on:
			channels[i] = wsstream.WriteChannel
		}
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		criremote.StreamProtocolV5Name: {Binary: true, Channels: channels},
	})
	conn.SetIdleTimeout(execIdle)
	_, streams, err := conn.Open(w, r) // it answers for itself if the handshake fails
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	// An empty message tells the client that the connection stands.
	first := criremote.StreamErr
	switch {
	case o.Stdout:
		first = criremote.StreamStdOut
	case o.Stderr:
		first = criremote.StreamStdErr
	}
	if _, err := streams[first].Write(nil); err != nil {
		return
	}
	err = run(streams[criremote.StreamStdIn], streams[criremote.StreamStdOut], streams[criremote.StreamStdErr])
	b, err := json.Marshal(exitStatus(err))
	if err != nil {
		return
	}
	_, _ = streams[criremote.StreamErr].Write(b)
}

// exitStatus says in a Status how a command ended, as kubelets do on the error stream.
func exitStatus(err error) metav1.Status {
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return metav1.Status{Status: metav1.StatusSuccess}
	case errors.As(err, &exit):
		return metav1.Status{
			Status: metav1.StatusFailure, Reason: criremote.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", exit),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
				{Type: criremote.ExitCodeCauseType, Message: strconv.Itoa(exit.Code)},
			}},
		}
	}
	return apierrors.NewInternalError(fmt.Errorf("error executing command in container: %w", err)).ErrStatus
}

// linger is how long a finished exec waits for the client to hang up.
const linger = time.Second

// hijacker hands a connection to the streaming libraries and notices when the client is gone: a failing read or
// a library's Close calls gone. It has no Unwrap, or the libraries would go around it.
type hijacker struct {
	http.ResponseWriter
	life *lifetime
	gone func()
	conn *watchedConn
	free func()
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack the connection: %w", err)
	}
	// The client may have spoken already: bytes that net/http has read come first.
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("hijack the connection: %w", err)
	}
	h.free = h.life.adopt(conn)
	h.conn = &watchedConn{Conn: conn, r: io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn), gone: h.gone}
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// release closes the connection once the exec has ended, if there was one. Closing at once would make the system drop
// the answer that is still on its way wherever the client has sent something that nobody read, so the client is told
// that nothing follows, and given time to hang up.
func (h *hijacker) release() {
	if h.conn == nil {
		return
	}
	defer h.free()
	_ = h.conn.Close()
	end := time.AfterFunc(linger, func() { _ = h.conn.Conn.Close() })
	defer end.Stop()
	_, _ = io.Copy(io.Discard, h.conn.Conn)
	_ = h.conn.Conn.Close()
}

// watchedConn is a hijacked connection. Close, as the libraries call it, only ends the writing, and says that nobody is
// there any more: after a SPDY GOAWAY the library reads no further, so there is no failing read to go by.
type watchedConn struct {
	net.Conn
	r    io.Reader
	gone func()
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if err != nil {
		c.gone()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.gone()
	if t, ok := c.Conn.(*tls.Conn); ok {
		_ = t.CloseWrite() // fails when it was called before, or the client has gone
	}
	return nil
}

// serveForward forwards ports of a pod, by the code of the kubelet. WebSockets are refused, as by an
// API server before 1.30: clients then come again with SPDY.
func (c *cluster) serveForward(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := c.lookup(t); err != nil {
		return err
	}
	if r.Method != http.MethodPost || wsstream.IsWebSocketRequest(r) {
		return apierrors.NewBadRequest("Upgrade request required")
	}
	ctx, cancel := context.WithCancel(klog.NewContext(r.Context(), klog.Logger{}))
	defer cancel()
	h := &hijacker{ResponseWriter: w, life: c.life, gone: cancel}
	defer h.release()
	criforward.ServePortForward(h, r.WithContext(ctx), forwarder{c, t.name}, t.name, "", nil, execIdle, execSetup,
		criforward.SupportedProtocols)
	return nil
}

type forwarder struct {
	cluster *cluster
	pod     string
}

// dial connects to the control plane, or to what really listens in the place of a port of the pod.
func (f forwarder) dial(ctx context.Context, port int) (net.Conn, error) {
	if f.pod == controlPlanePod && f.cluster.controlPlane != nil {
		return f.cluster.controlPlane(ctx, port)
	}
	address := f.cluster.forward[fmt.Sprintf("127.0.0.1:%d", port)]
	if address == "" {
		return nil, errors.New("connection refused")
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// PortForward copies until one side ends or the client is gone.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := f.dial(ctx, int(port))
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside namespace: %w", port, err)
	}
	end := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer end()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(conn, stream)
		_ = conn.SetReadDeadline(time.Now()) // the client has ended it
	}()
	_, _ = io.Copy(stream, conn)
	_ = conn.Close()
	_ = stream.Close()
	<-copied
	return nil
}
