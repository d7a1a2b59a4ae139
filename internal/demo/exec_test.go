package demo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"

	"github.com/splitbench/splitbench/internal/agent"
)

// transport makes an executor of client-go.
type transport struct {
	name string
	make func(config *rest.Config, u *url.URL) (remotecommand.Executor, error)
}

var (
	webSocket = transport{"websocket", func(config *rest.Config, u *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutor(config, http.MethodGet, u.String())
	}}
	webSocketV4 = transport{"websocket v4", func(config *rest.Config, u *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewWebSocketExecutorForProtocols(config, http.MethodGet, u.String(), "v4.channel.k8s.io")
	}}
	spdy = transport{"spdy", func(config *rest.Config, u *url.URL) (remotecommand.Executor, error) {
		return remotecommand.NewSPDYExecutor(config, http.MethodPost, u)
	}}
)

type execRequest struct {
	pod, container string
	argv           []string
	stdin          io.Reader
	started        chan struct{} // closed at the first byte of stdout
}

func runExec(ctx context.Context, config *rest.Config, via transport, r execRequest) (stdout, stderr string, err error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", "", err
	}
	u := client.CoreV1().RESTClient().Post().Resource("pods").Namespace("test").Name(r.pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: r.container, Command: r.argv, Stdin: r.stdin != nil, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	e, err := via.make(config, u)
	if err != nil {
		return "", "", err
	}
	out, errOut := &tellingBuffer{started: r.started}, &tellingBuffer{}
	err = e.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: r.stdin, Stdout: out, Stderr: errOut})
	return out.String(), errOut.String(), err
}

// tellingBuffer does not embed its buffer: io.Copy would find ReadFrom and go around Write. It is locked because a
// cancelled executor returns before its copiers have ended.
type tellingBuffer struct {
	mu      sync.Mutex
	bytes   bytes.Buffer
	once    sync.Once
	started chan struct{} // nil, or closed at the first byte
}

func (b *tellingBuffer) Write(p []byte) (int, error) {
	if b.started != nil && len(p) > 0 {
		b.once.Do(func() { close(b.started) })
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.Write(p)
}

func (b *tellingBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes.String()
}

func TestExecAgent(t *testing.T) {
	c := start(t, Options{})
	config := restConfig(t, c, "west")
	for _, via := range []transport{webSocket, webSocketV4, spdy} {
		t.Run(via.name, func(t *testing.T) {
			out, stderr, err := runExec(t.Context(), config, via, execRequest{
				pod: frontendPod(c), container: "nginx", argv: []string{agentPath, "--version"},
			})
			if err != nil || out == "" || stderr != "" {
				t.Errorf("version: stdout %q, stderr %q, error %v", out, stderr, err)
			}
			_, stderr, err = runExec(t.Context(), config, via, execRequest{
				pod: frontendPod(c), container: "nginx", argv: []string{agentPath, "--no-such-flag"},
			})
			var exit exec.CodeExitError
			if !errors.As(err, &exit) || exit.Code != 2 || stderr == "" {
				t.Errorf("bad flag: stderr %q, error %v", stderr, err)
			}
		})
	}
}

// What a runtime says of a file that is not there; see github.com/kubernetes/kubernetes issues that quote containerd.
func TestExecOnlyTheAgent(t *testing.T) {
	c := start(t, Options{})
	config := restConfig(t, c, "west")
	west, _ := podsOf(c.west.store, "podinfo")
	for name, tc := range map[string]struct {
		pod, container string
		argv           []string
		want           string
	}{
		"shell":                {frontendPod(c), "nginx", []string{"sh", "-c", "id"}, `exec: "sh": executable file not found in $PATH`},
		"path":                 {frontendPod(c), "nginx", []string{"/bin/sh"}, `exec: "/bin/sh": stat /bin/sh: no such file or directory`},
		"agent without a path": {frontendPod(c), "nginx", []string{"splitbench-agent"}, "executable file not found"},
		"no agent in the pod":  {west[0], "podinfod", []string{agentPath, "--version"}, "no such file or directory"},
		"proxy":                {frontendPod(c), "linkerd-proxy", []string{agentPath, "--version"}, "no such file or directory"},
	} {
		for _, via := range []transport{webSocket, spdy} {
			t.Run(name+" "+via.name, func(t *testing.T) {
				_, _, err := runExec(t.Context(), config, via, execRequest{pod: tc.pod, container: tc.container, argv: tc.argv})
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
				var exit exec.CodeExitError
				if errors.As(err, &exit) {
					t.Errorf("it has an exit code: %d", exit.Code)
				}
			})
		}
	}
}

func TestExecRefusals(t *testing.T) {
	c := start(t, Options{})
	config := restConfig(t, c, "west")
	for name, tc := range map[string]struct {
		r    execRequest
		want string
	}{
		"no pod":       {execRequest{pod: "nobody", argv: []string{"x"}}, `pods "nobody" not found`},
		"no container": {execRequest{pod: frontendPod(c), container: "db", argv: []string{"x"}}, "container db is not valid for pod"},
		"which one":    {execRequest{pod: frontendPod(c), argv: []string{"x"}}, "choose one of: [nginx internal external linkerd-proxy]"},
		"no command":   {execRequest{pod: frontendPod(c), container: "nginx"}, "at least 1 command"},
	} {
		for _, via := range []transport{webSocket, spdy} {
			t.Run(name+" "+via.name, func(t *testing.T) {
				if _, _, err := runExec(t.Context(), config, via, tc.r); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
			})
		}
	}
	t.Run("no upgrade", func(t *testing.T) {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		err = client.CoreV1().RESTClient().Post().Resource("pods").Namespace("test").Name("legacy").SubResource("exec").
			Param("command", "x").Param("stdout", "true").Do(t.Context()).Error()
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "Upgrade request required") {
			t.Errorf("error %v", err)
		}
	})
}

// TestExecStreams replaces the agent by an echo, to see the bytes and the end of each stream.
func TestExecStreams(t *testing.T) {
	c := start(t, Options{})
	c.west.runner.main = func(_ context.Context, args []string, in io.Reader, out, stderr io.Writer, _ agent.ServeOptions) int {
		n, err := io.Copy(out, in)
		if err != nil || n == 0 {
			return 3
		}
		_, _ = io.WriteString(stderr, strings.Join(args, " "))
		return 0
	}
	config := restConfig(t, c, "west")
	sent := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for _, via := range []transport{webSocket, spdy} {
		t.Run(via.name, func(t *testing.T) {
			out, stderr, err := runExec(t.Context(), config, via, execRequest{
				pod: "legacy", argv: []string{agentPath, "a", "b c"}, stdin: strings.NewReader(sent),
			})
			if err != nil || out != sent || stderr != "a b c" {
				t.Errorf("%d bytes came back, stderr %q, error %v", len(out), stderr, err)
			}
		})
	}
}

// TestExecEndsWithTheClient: a real container would only see its stdin close; here the context ends too.
func TestExecEndsWithTheClient(t *testing.T) {
	c := start(t, Options{})
	ended := make(chan error, 1)
	c.west.runner.main = func(ctx context.Context, _ []string, in io.Reader, out, _ io.Writer, _ agent.ServeOptions) int {
		_, _ = io.WriteString(out, "up\n")
		_, err := io.Copy(io.Discard, in)
		<-ctx.Done()
		ended <- err
		return 0
	}
	config := restConfig(t, c, "west")
	for _, via := range []transport{webSocket, spdy} {
		t.Run(via.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			started := make(chan struct{})
			in, hold := io.Pipe()
			defer hold.Close()
			result := make(chan error, 1)
			go func() {
				_, _, err := runExec(ctx, config, via, execRequest{pod: "legacy", argv: []string{agentPath}, stdin: in, started: started})
				result <- err
			}()
			<-started
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("the client got %v", err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the agent runs on without its client")
			}
		})
	}
}
