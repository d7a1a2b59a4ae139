package podexec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// bothProtocols runs f over each protocol alone.
func bothProtocols(t *testing.T, f func(t *testing.T, p Protocol)) {
	t.Helper()
	for _, p := range []Protocol{WebSocket, SPDY} {
		t.Run(string(p), func(t *testing.T) { f(t, p) })
	}
}

func TestExecCarriesStreamsAndArguments(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		s := newServer(t, nil)
		c := s.container(t, Options{Protocol: p})
		if got := c.Protocol(); got != "" {
			t.Errorf("protocol before the first stream: %q", got)
		}
		stdout, stderr, err := run(t, c, strings.NewReader("from here\n"),
			"sh", "-c", `cat; printf '[%s]' "$@"; echo talk >&2`, "sh", `a b`, `$(id)`, `"';&|`, "ü\n", "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("from here\n[a b][$(id)][\"';&|][ü\n][]", stdout); diff != "" {
			t.Errorf("stdout (-want +got):\n%s", diff)
		}
		if stderr != "talk\n" {
			t.Errorf("stderr %q", stderr)
		}
		if got := c.Protocol(); got != p {
			t.Errorf("protocol %q, want %q", got, p)
		}
	})
}

func TestExecRequestsStdinAlways(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		s := newServer(t, nil)
		stdout, _, err := run(t, s.container(t, Options{Protocol: p}), nil, "sh", "-c", "cat; echo end")
		if err != nil || stdout != "end\n" {
			t.Fatalf("got %q, %v", stdout, err)
		}
		q := s.requests[0].URL.Query()
		want := map[string]string{"stdin": "true", "stdout": "true", "stderr": "true", "tty": "", "container": "nginx", "timeout": ""}
		for key, value := range want {
			if got := q.Get(key); got != value {
				t.Errorf("%s=%q, want %q", key, got, value)
			}
		}
	})
}

func TestAutoFallsBackToSPDYWhenWebSocketIsRefused(t *testing.T) {
	s := newServer(t, func(s *apiServer) { s.noWebSocket = true })
	c := s.container(t, Options{})
	stdout, _, err := run(t, c, strings.NewReader("once"), "cat")
	if err != nil || stdout != "once" {
		t.Fatalf("got %q, %v", stdout, err)
	}
	if s.spdys.Load() != 1 || c.Protocol() != SPDY {
		t.Errorf("%d SPDY streams, protocol %q", s.spdys.Load(), c.Protocol())
	}
}

func TestAutoPrefersWebSocket(t *testing.T) {
	s := newServer(t, nil)
	c := s.container(t, Options{})
	if _, _, err := run(t, c, nil, "true"); err != nil {
		t.Fatal(err)
	}
	if s.websockets.Load() != 1 || s.spdys.Load() != 0 || c.Protocol() != WebSocket {
		t.Errorf("%d WebSocket and %d SPDY streams, protocol %q", s.websockets.Load(), s.spdys.Load(), c.Protocol())
	}
}

func TestExitCodes(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p})
		for _, code := range []int{1, 2, 42, 125, 128, 137, 255} {
			stdout, _, err := run(t, c, nil, "sh", "-c", fmt.Sprintf("echo out; echo why >&2; exit %d", code))
			var exit *ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("code %d: %v", code, err)
			}
			if diff := cmp.Diff(&ExitError{Command: "sh", Code: code, Stderr: "why\n"}, exit); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if stdout != "out\n" {
				t.Errorf("code %d: stdout %q", code, stdout)
			}
			if !strings.Contains(err.Error(), "test/frontend-5d4c/nginx") || !strings.HasSuffix(err.Error(), ": why") {
				t.Errorf("text %q", err)
			}
		}
	})
}

func TestCommandThatCannotStart(t *testing.T) {
	tests := []struct {
		name   string
		argv   []string
		reason StartReason
	}{
		{"not in PATH", []string{"splitbench-no-such-command"}, NoSuchFile},
		{"no such path", []string{"/nonexistent/agent"}, NoSuchFile},
		{"no permission", []string{"/etc/passwd"}, NotExecutable},
		{"shell says 127", []string{"sh", "-c", "splitbench-no-such-command"}, NoSuchFile},
		{"shell says 126", []string{"sh", "-c", "/etc/passwd"}, NotExecutable},
	}
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p})
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				_, _, err := run(t, c, nil, test.argv...)
				var start *StartError
				if !errors.As(err, &start) || start.Reason != test.reason {
					t.Fatalf("got %v, want reason %q", err, test.reason)
				}
			})
		}
	})
}

func TestRefusals(t *testing.T) {
	// What the API server says, over each protocol and over both: WebSocket's 403 must not end as a refused upgrade.
	answer := func(code int, message string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { status(w, code, message); return true }
	}
	forbidden := `pods "frontend-5d4c" is forbidden: User "me" cannot create resource "pods/exec"`
	tests := []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		target Target
		check  func(error) bool
		text   string
	}{
		{name: "403", refuse: answer(403, forbidden), check: is[*ForbiddenError], text: "cannot create resource"},
		{name: "403 too long for client-go to decode", refuse: answer(403, forbidden+strings.Repeat(" because", 300)), check: is[*ForbiddenError], text: "cannot create resource"},
		{name: "403 by a proxy", refuse: func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "<html>no</html>", 403)
			return true
		}, check: is[*ForbiddenError], text: "no permission"},
		{name: "401", refuse: answer(401, "Unauthorized"), check: is[*ForbiddenError], text: "log in"},
		{name: "no such pod", target: Target{"test", "gone", "nginx"}, check: is[*NotFoundError], text: `pods "gone" not found`},
		{name: "no such container", target: Target{"test", "frontend-5d4c", "nope"}, check: is[*NotFoundError], text: "nope is not valid"},
		{name: "container has ended", refuse: answer(500, `unable to upgrade connection: container not found ("nginx")`), check: is[*NotFoundError], text: "container not found"},
		{name: "kubelet down", refuse: answer(500, "error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused"), check: is[*UnreachableError], text: "error dialing backend"},
		{name: "gateway", refuse: answer(503, "no endpoints"), check: is[*UnreachableError], text: "no endpoints"},
		{name: "not an API server", refuse: func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = io.WriteString(w, "hello")
			return true
		}, check: is[*UnreachableError], text: "hello"},
	}
	for _, p := range []Protocol{Auto, WebSocket, SPDY} {
		for _, test := range tests {
			t.Run(string(p)+"/"+test.name, func(t *testing.T) {
				s := newServer(t, func(s *apiServer) { s.refuse = test.refuse })
				if test.target == (Target{}) {
					test.target = testTarget
				}
				c, err := New(s.config(), test.target, Options{Protocol: p})
				if err != nil {
					t.Fatal(err)
				}
				_, _, err = run(t, c, nil, "true")
				if !test.check(err) || !strings.Contains(err.Error(), test.text) {
					t.Fatalf("got %T %v, want %q", errors.Unwrap(err), err, test.text)
				}
				if c.Protocol() != "" {
					t.Errorf("protocol %q of a stream that was refused", c.Protocol())
				}
			})
		}
	}
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var stolen int
	thief := newServer(t, func(s *apiServer) {
		s.refuse = func(w http.ResponseWriter, _ *http.Request) bool { stolen++; status(w, 403, "thanks"); return true }
	})
	for _, p := range []Protocol{Auto, WebSocket, SPDY} {
		s := newServer(t, func(s *apiServer) {
			s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			}
		})
		if _, _, err := run(t, s.container(t, Options{Protocol: p}), nil, "true"); !is[*UnreachableError](err) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if stolen != 0 {
		t.Errorf("%d requests followed the redirect", stolen)
	}
}

func TestUnreachableServer(t *testing.T) {
	s := newServer(t, nil)
	s.Close()
	for _, p := range []Protocol{Auto, WebSocket, SPDY} {
		_, _, err := run(t, s.container(t, Options{Protocol: p}), nil, "true")
		if !is[*UnreachableError](err) || !strings.Contains(err.Error(), s.URL) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestUntrustedServer(t *testing.T) {
	s := newServer(t, nil)
	cfg := s.config()
	cfg.CAData = nil
	c, err := New(cfg, testTarget, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, c, nil, "true"); !is[*UnreachableError](err) {
		t.Errorf("%v", err)
	}
}

func TestLoopbackOfOneMebibyte(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, 1<<20)
	_, _ = random.Read(data)
	bothProtocols(t, func(t *testing.T, p Protocol) {
		for _, size := range []int{1 << 10, 4 << 10, 32 << 10, 64 << 10, 128 << 10} {
			for _, buffer := range []int{1, 1000, 0} {
				if buffer == 1 && size != 64<<10 {
					continue // a byte at a time is slow; once is enough
				}
				t.Run(fmt.Sprintf("server %d client %d", size, buffer), func(t *testing.T) {
					sent := data
					if buffer == 1 {
						sent = data[:20_000]
					}
					s := newServer(t, func(s *apiServer) { s.bufferSize = size })
					c := s.container(t, Options{Protocol: p, StdoutBuffer: buffer})
					var out bytes.Buffer
					if err := c.Exec(t.Context(), []string{"cat"}, bytes.NewReader(sent), &out, nil); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(sent, out.Bytes()) {
						t.Errorf("sent %d bytes, got %d, or others", len(sent), out.Len())
					}
				})
			}
		}
	})
}

func TestConcurrentExec(t *testing.T) {
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				want := fmt.Sprintf("call %d\n", i)
				var out, errOut bytes.Buffer
				err := c.Exec(t.Context(), []string{"sh", "-c", "cat; exit " + fmt.Sprint(i)}, strings.NewReader(want), &out, &errOut)
				var exit *ExitError
				if got := errors.As(err, &exit); got != (i > 0) || got && exit.Code != i || out.String() != want {
					t.Errorf("call %d: %q, %v", i, out.String(), err)
				}
				_ = c.Protocol()
			})
		}
		wg.Wait()
	})
}

func TestStderrIsBoundedToItsEnd(t *testing.T) {
	c := newServer(t, nil).container(t, Options{})
	_, _, err := run(t, c, nil, "sh", "-c", "seq 1 40000 >&2; exit 3") // 228,894 bytes
	var exit *ExitError
	if !errors.As(err, &exit) || len(exit.Stderr) != 64<<10 || !strings.HasSuffix(exit.Stderr, "\n39999\n40000\n") {
		t.Fatalf("%v, %d bytes", err, len(exit.Stderr))
	}
}

func TestNewRefuses(t *testing.T) {
	cfg := &rest.Config{Host: "https://127.0.0.1:1"}
	tests := []struct {
		name   string
		cfg    *rest.Config
		target Target
		opts   Options
		text   string
	}{
		{"no configuration", nil, testTarget, Options{}, "no cluster configuration"},
		{"no namespace", cfg, Target{"", "p", "c"}, Options{}, "no namespace"},
		{"no pod", cfg, Target{"n", "", "c"}, Options{}, "no pod"},
		{"no container", cfg, Target{"n", "p", ""}, Options{}, "no container"},
		{"pod with a slash", cfg, Target{"n", "p/../../secrets", "c"}, Options{}, "name the pod"},
		{"protocol", cfg, testTarget, Options{Protocol: "telnet"}, `protocol "telnet"`},
		{"buffer", cfg, testTarget, Options{StdoutBuffer: -1}, "stdout buffer"},
		{"stall limit", cfg, testTarget, Options{StallLimit: 1 << 40}, "stall limit"},
		{"certificate", &rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{CAFile: "/nonexistent"}}, testTarget, Options{}, "cluster configuration"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := New(test.cfg, test.target, test.opts); err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %q", err, test.text)
			}
		})
	}
}

func TestExecWithoutCommand(t *testing.T) {
	c := newServer(t, nil).container(t, Options{})
	for _, argv := range [][]string{nil, {}, {""}} {
		if _, _, err := run(t, c, nil, argv...); err == nil || !strings.Contains(err.Error(), "no command") {
			t.Errorf("%q: %v", argv, err)
		}
	}
}
