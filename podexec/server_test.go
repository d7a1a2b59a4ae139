package podexec

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	utilexec "k8s.io/utils/exec"

	"github.com/splitbench/splitbench/internal/agent"
)

// isAgent is the variable that makes this test's program the agent.
const isAgent = "SPLITBENCH_TEST_IS_AGENT"

// TestMain silences the server's side, which logs each fault that a test makes. It would hide client-go's lines too, but
// Exec has already seen to those.
func TestMain(m *testing.M) {
	klog.SetLogger(klog.Logger{})
	if os.Getenv(isAgent) != "" { // a command of the test server
		os.Exit(agent.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, agent.ServeOptions{}))
	}
	os.Exit(m.Run())
}

// apiServer serves the exec subresource with the code that Kubernetes serves it with: SPDY by the kubelet's CRI
// streaming server, WebSocket v5 by the library that the API server's translator opens its side with (the kubelet's
// server speaks WebSocket up to v4 only). Commands are real processes of this machine.
type apiServer struct {
	*httptest.Server

	// Set before the first request.
	noWebSocket bool                                              // refuse the upgrade as an old server does
	noSPDY      bool                                              // refuse SPDY
	refuse      func(w http.ResponseWriter, r *http.Request) bool // answer instead
	env         []string                                          // of the commands
	dir         string                                            // working directory of the commands
	bufferSize  int                                               // of the copies at the server
	noShell     bool                                              // in the container
	cutStdin    int64                                             // bytes of stdin delivered, 0 for all
	noStatus    bool                                              // close normally without an exit status
	cutAfter    int64                                             // bytes of stdout after which the connection is reset
	resetAtEnd  bool                                              // reset the connection when the exit status is written
	twist       func(stdout io.Writer) io.Writer                  // what happens to stdout on the way

	websockets, spdys atomic.Int32
	running           sync.WaitGroup
	mu                sync.Mutex
	requests          []*http.Request
}

func newServer(t *testing.T, set func(*apiServer)) *apiServer {
	t.Helper()
	s := startServer(set)
	t.Cleanup(s.stop)
	return s
}

func startServer(set func(*apiServer)) *apiServer {
	s := &apiServer{bufferSize: 32 << 10}
	if set != nil {
		set(s)
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Server.Listener = lingerListener{s.Server.Listener}
	s.StartTLS()
	return s
}

func (s *apiServer) stop() {
	s.CloseClientConnections()
	s.Close()
	s.running.Wait()
}

func (s *apiServer) config() *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &rest.Config{Host: s.URL, BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
}

var testTarget = Target{Namespace: "test", Pod: "frontend-5d4c", Container: "nginx"}

func (s *apiServer) container(t *testing.T, o Options) *Container {
	t.Helper()
	c, err := New(s.config(), testTarget, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	s.running.Add(1)
	defer s.running.Done()
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	isWS := wsstream.IsWebSocketRequest(r)
	switch {
	case r.Header.Get("Authorization") != "Bearer secret":
		status(w, http.StatusUnauthorized, "Unauthorized")
		return
	case s.refuse != nil && s.refuse(w, r):
		return
	case r.URL.Path != "/api/v1/namespaces/test/pods/frontend-5d4c/exec":
		status(w, http.StatusNotFound, `pods "`+strings.Split(r.URL.Path, "/")[6]+`" not found`)
		return
	case isWS && s.noWebSocket:
		status(w, http.StatusBadRequest, "you must specify SPDY")
		return
	case !isWS && s.noSPDY:
		status(w, http.StatusBadRequest, "Upgrade request required")
		return
	}
	q := r.URL.Query()
	if q.Get("container") != "nginx" {
		status(w, http.StatusBadRequest, "container "+q.Get("container")+" is not valid for pod frontend-5d4c")
		return
	}
	if isWS {
		s.websockets.Add(1)
		s.serveWebSocket(w, r, q["command"])
		return
	}
	s.spdys.Add(1)
	remotecommand.ServeExec(w, r, &process{s, r}, "frontend-5d4c", "uid", "nginx", q["command"],
		&remotecommand.Options{Stdin: q.Get("stdin") == "true", Stdout: true, Stderr: true},
		time.Minute, time.Minute, remotecommand.SupportedStreamingProtocols)
}

func status(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Message: message, Code: int32(code),
	})
}

func (s *apiServer) serveWebSocket(w http.ResponseWriter, r *http.Request, argv []string) {
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: []wsstream.ChannelType{
			wsstream.ReadChannel, wsstream.WriteChannel, wsstream.WriteChannel, wsstream.WriteChannel,
			wsstream.ReadChannel,
		}},
	})
	_, streams, err := conn.Open(w, r)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = streams[remotecommand.StreamStdOut].Write([]byte{}) // as the API server does: established
	p := &process{s, r}
	err = p.ExecInContainer(r.Context(), "", "", "", argv, streams[remotecommand.StreamStdIn],
		streams[remotecommand.StreamStdOut], streams[remotecommand.StreamStdErr], false, nil, 0)
	if s.noStatus {
		return
	}
	st := metav1.Status{Status: metav1.StatusSuccess}
	var exit utilexec.ExitError
	switch {
	case errors.As(err, &exit):
		st = metav1.Status{
			Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
				{Type: remotecommand.ExitCodeCauseType, Message: fmt.Sprint(exit.ExitStatus())},
			}},
		}
	case err != nil:
		st = metav1.Status{
			Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError,
			Message: "Internal error occurred: error executing command in container: " + err.Error(),
		}
	}
	b, _ := json.Marshal(st)
	_, _ = streams[remotecommand.StreamErr].Write(b)
	if s.resetAtEnd {
		p.abort()
	}
}

// process runs commands as the container's runtime would.
type process struct {
	s *apiServer
	r *http.Request
}

// ExecInContainer implements remotecommand.Executor of the streaming server.
func (p *process) ExecInContainer(_ context.Context, _, _, _ string, argv []string, in io.Reader,
	out, errOut io.WriteCloser, tty bool, _ <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	if tty || in == nil {
		return errors.New("test server: stdin is always requested, a terminal never")
	}
	if p.s.noShell && argv[0] == "sh" {
		return errors.New(`failed to exec in container: failed to start exec "0f": OCI runtime exec failed: exec failed: ` +
			`unable to start container process: exec: "sh": executable file not found in $PATH: unknown`) // containerd 2, runc 1.3
	}
	if p.s.cutStdin > 0 {
		in = io.LimitReader(in, p.s.cutStdin)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = p.s.env, p.s.dir
	cmd.Stdout, cmd.Stderr = &copying{w: out, size: p.s.bufferSize, cut: p.s.cutAfter, abort: p.abort}, errOut
	if p.s.twist != nil {
		cmd.Stdout = p.s.twist(cmd.Stdout)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: "+
			"unable to start container process: %w: unknown", err)
	}
	go func() { // ends with the connection; Wait does not wait for it, as a runtime does not
		_, _ = io.CopyBuffer(struct{ io.Writer }{stdin}, in, make([]byte, p.s.bufferSize))
		_ = stdin.Close()
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	}
	return err
}

// abort resets the client's connection.
func (p *process) abort() {
	resets.Lock()
	defer resets.Unlock()
	if c := resets.conns[p.r.RemoteAddr]; c != nil {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// copying passes writes on in pieces.
type copying struct {
	w     io.Writer
	size  int
	cut   int64
	seen  int64
	abort func()
}

func (c *copying) Write(p []byte) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+c.size)]
		m, err := c.w.Write(part)
		n += m
		if err != nil {
			return n, err
		}
		if c.seen += int64(m); c.cut > 0 && c.seen >= c.cut {
			c.abort()
			return n, io.ErrClosedPipe
		}
	}
	return n, nil
}

// lingerListener's connections close in two steps, as the newest API servers do: first the sending side, then, when the
// client has closed too, the whole. A close at once with input unread becomes a reset, which makes the client's kernel
// throw away what it received (apiserver/pkg/util/proxy/websocket.go).
type lingerListener struct{ net.Listener }

var resets = struct {
	sync.Mutex
	conns map[string]*net.TCPConn
}{conns: map[string]*net.TCPConn{}}

func (l lingerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	resets.Lock()
	resets.conns[tcp.RemoteAddr().String()] = tcp
	resets.Unlock()
	return &lingerConn{TCPConn: tcp}, nil
}

type lingerConn struct {
	*net.TCPConn
	once sync.Once
}

func (c *lingerConn) Close() error {
	c.once.Do(func() {
		resets.Lock()
		delete(resets.conns, c.RemoteAddr().String())
		resets.Unlock()
		_ = c.CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.Copy(io.Discard, c.TCPConn)
		_ = c.TCPConn.Close()
	})
	return nil
}

// run is Exec into buffers.
func run(t *testing.T, c *Container, stdin io.Reader, argv ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errOut bytes.Buffer
	err = c.Exec(t.Context(), argv, stdin, &out, &errOut)
	return out.String(), errOut.String(), err
}
