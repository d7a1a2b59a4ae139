package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	criforward "k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

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
