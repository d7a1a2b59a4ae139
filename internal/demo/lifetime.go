package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// lifetime owns everything that was started: listeners, connections (hijacked ones too) and handlers. Nothing else in
// the package starts a goroutine that can outlive a request.
type lifetime struct {
	ctx    context.Context // ends when the caller's ends or close is called; requests descend from it
	cancel context.CancelFunc

	mu       sync.Mutex
	closing  bool
	servers  []*http.Server
	hijacked map[net.Conn]struct{}
	wg       sync.WaitGroup
}

func newLifetime(parent context.Context) *lifetime {
	ctx, cancel := context.WithCancel(parent)
	return &lifetime{ctx: ctx, cancel: cancel, hijacked: map[net.Conn]struct{}{}}
}

// serve listens on a loopback port and serves it until close: protocols are net/http's own where none are named. With a
// configuration it speaks TLS. It returns the address.
func (l *lifetime) serve(
	name string, handler http.Handler, config *tls.Config, protocols *http.Protocols,
) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(l.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for %s: %w", name, err)
	}
	server := &http.Server{
		Handler:           l.counted(handler),
		Protocols:         protocols,
		TLSConfig:         config.Clone(), // which the server writes to
		BaseContext:       func(net.Listener) context.Context { return l.ctx },
		ConnState:         l.connState,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // stderr belongs to the command
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		_ = ln.Close()
		return "", fmt.Errorf("listen for %s: closed", name)
	}
	l.servers = append(l.servers, server)
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		if config != nil {
			_ = server.ServeTLS(ln, "", "")
			return
		}
		_ = server.Serve(ln)
	}()
	return ln.Addr().String(), nil
}

// connState counts the goroutines that net/http starts for connections. The first call for a connection comes from the
// accept loop, which is itself counted, so Add never races with a Wait that has seen zero.
func (l *lifetime) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		l.wg.Add(1)
	case http.StateClosed, http.StateHijacked:
		l.wg.Done()
	}
}

func (l *lifetime) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.enter() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		defer l.wg.Done()
		next.ServeHTTP(w, r)
	})
}

func (l *lifetime) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.wg.Add(1)
	return true
}

// adopt takes a hijacked connection, which http.Server.Close leaves alone; the returned function lets it go.
func (l *lifetime) adopt(conn net.Conn) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		_ = conn.Close()
		return func() {}
	}
	l.hijacked[conn] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.hijacked, conn)
	}
}

func (l *lifetime) close() {
	l.cancel()
	l.mu.Lock()
	l.closing = true
	for _, s := range l.servers {
		_ = s.Close()
	}
	for conn := range l.hijacked {
		_ = conn.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}
