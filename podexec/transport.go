package podexec

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	// Since client-go v0.36 the WebSocket code returns the UpgradeFailureError of this module. The one of the same name
	// in k8s.io/apimachinery compiles too, never matches, and there is no fallback then.
	"k8s.io/streaming/pkg/httpstream"
	httpstreamspdy "k8s.io/streaming/pkg/httpstream/spdy"
)

// executor makes a fresh one: an executor keeps the state of its stream and serves one only (client-go websocket.go).
func (c *Container) executor(argv []string, rec *recorder) (remotecommand.Executor, error) {
	u, err := c.execURL(argv)
	if err != nil {
		return nil, err
	}
	var ws, sp remotecommand.Executor
	if c.opts.Protocol != SPDY {
		ws, err = remotecommand.NewWebSocketExecutor(rec.config(c.cfg, WebSocket), http.MethodGet, u.String())
		if err != nil {
			return nil, fmt.Errorf("exec in %s: prepare websocket: %w", c.target, err)
		}
	}
	if c.opts.Protocol != WebSocket {
		transport, upgrader, err := spdyTransport(rec.config(c.cfg, SPDY), u, rec)
		if err != nil {
			return nil, fmt.Errorf("exec in %s: prepare spdy: %w", c.target, err)
		}
		// A redirect would carry the user's credentials to a host of the server's choosing.
		sp, err = remotecommand.NewSPDYExecutorRejectRedirects(transport, upgrader, http.MethodPost, u)
		if err != nil {
			return nil, fmt.Errorf("exec in %s: prepare spdy: %w", c.target, err)
		}
	}
	switch c.opts.Protocol {
	case WebSocket:
		return ws, nil
	case SPDY:
		return sp, nil
	default:
		return remotecommand.NewFallbackExecutor(ws, sp, shouldFallback)
	}
}

// shouldFallback is kubectl's predicate. Any refused handshake counts, a 403 too, and rightly so: WebSocket may need
// the verb get where SPDY needs create, so SPDY's answer is the one to believe.
func shouldFallback(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// spdyTransport is client-go's, with our dialler where no proxy is in between: client-go waits for the answer to the
// handshake without looking at the context, and forgets to close the connection when the answer is a refusal.
func spdyTransport(cfg *rest.Config, u *url.URL, rec *recorder) (http.RoundTripper, spdy.Upgrader, error) {
	proxy := cfg.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	if via, err := proxy(&http.Request{URL: u}); err != nil || via != nil {
		return spdy.RoundTripperFor(cfg)
	}
	tlsConfig, err := rest.TLSConfigFor(cfg)
	if err != nil {
		return nil, nil, err
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12} // nil would mean: do not verify (streaming's roundtripper.go)
	}
	dial := cfg.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	rt, err := httpstreamspdy.NewRoundTripperWithConfig(httpstreamspdy.RoundTripperConfig{
		PingPeriod: 5 * time.Second, // client-go's
		UpgradeTransport: &http.Transport{
			TLSClientConfig: tlsConfig,
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				if err == nil {
					rec.hold(ctx, conn)
				}
				return conn, err
			},
		},
	})
	if err != nil {
		return nil, nil, err
	}
	wrapped, err := rest.HTTPWrappersForConfig(cfg, rt)
	if err != nil {
		return nil, nil, err
	}
	return wrapped, spdy.NewUpgraderForStreaming(rt), nil
}

// recorder sees each handshake from inside client-go's transports, because their errors forget it: SPDY's carry no
// status code and no wrapped cause.
type recorder struct {
	note func(Protocol)

	mu       sync.Mutex
	protocol Protocol   // of the latest handshake
	open     bool       // the latest handshake succeeded
	status   int        // HTTP status of the latest refusal, 0 if none or unknown
	cause    error      // of the latest handshake that failed without an answer
	conns    []net.Conn // of the WebSocket and of the SPDY attempt
	stops    []func() bool
}

// config returns a copy of cfg whose connections report to r.
func (r *recorder) config(cfg *rest.Config, p Protocol) *rest.Config {
	own := rest.CopyConfig(cfg)
	own.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := rt.RoundTrip(req)
			r.record(p, resp, err)
			if err == nil && resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != nil {
				resp.Body = refusal{io.LimitReader(resp.Body, maxRefusal), resp.Body} // client-go reads it to its end
			}
			return resp, err
		})
	})
	return own
}

// maxRefusal bounds what is read of a refused handshake, in bytes.
const maxRefusal = 64 << 10

type refusal struct {
	io.Reader
	io.Closer
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (r *recorder) record(p Protocol, resp *http.Response, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.protocol, r.open, r.status, r.cause = p, false, 0, err
	var refused *httpstream.UpgradeFailureError
	switch {
	case errors.As(err, &refused): // it has no Unwrap
		r.cause = refused.Cause
		r.status = statusOf(refused.Cause)
	case err != nil:
	case resp.StatusCode == http.StatusSwitchingProtocols:
		r.open = true
		r.note(p)
	default:
		r.status = resp.StatusCode
	}
}

// watch holds a WebSocket's connection. client-go's WebSocket library dials with the context but then waits for the
// answer to the handshake without it.
func (r *recorder) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		r.hold(ctx, info.Conn)
	}})
}

// hold closes conn when ctx ends, or at the release.
func (r *recorder) hold(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conn)
	r.stops = append(r.stops, stop)
}

func (r *recorder) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, stop := range r.stops {
		stop()
		_ = r.conns[i].Close() // mostly the second time
	}
}
