package podexec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/wire"
)

// These tests run a real agent behind a real exec server, and break what is in between. They hold of each fault that the burst
// is no success, that what arrived before it is kept, and that the agent ends.

// agentLimit is how long an agent may outlive a fault.
const agentLimit = 10 * time.Second

// remoteAgent opens a session with an agent behind s.
func remoteAgent(t *testing.T, s *apiServer, o Options, deadline string, co agent.ClientOptions) (*agent.Client, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), isAgent+"=1")
	return agent.Open(t.Context(), s.container(t, o), []string{self, agent.ArgServe, deadline}, co)
}

// targets is what agents send to; the count is of all requests.
func targets(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		io.WriteString(w, `{"hostname":"podinfo"}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, &n
}

func burstOf(url string, requests uint64) attack.Plan {
	return attack.Plan{URL: url, Rate: attack.Rate{Hits: 2000, Per: time.Second}, Requests: requests, MaxRate: 2000, MaxRequests: requests}
}

// planBytes is how long a session's first order is: opening and PLAN.
func planBytes(t *testing.T, p attack.Plan) int64 {
	t.Helper()
	b, err := json.Marshal(wire.PlanRequest{Plan: p})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := wire.NewWriter(&out).Write(wire.Plan, b); err != nil {
		t.Fatal(err)
	}
	return int64(out.Len())
}

// sent is what came of a burst of a minute at 2,000 a second, into which during is called when so many results are there.
func sent(t *testing.T, c *agent.Client, url string, requests uint64, during func()) (kept int, totals wire.Totals, err error) {
	t.Helper()
	for r, e := range c.Attack(t.Context(), burstOf(url, requests), &totals) {
		if e != nil {
			err = e
			continue
		}
		if r.Err == attack.OK {
			kept++
		}
		if kept == 500 && during != nil {
			during()
			during = nil
		}
	}
	return kept, totals, err
}

// gone waits until no command of the server runs any more.
func (s *apiServer) gone(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	limit := time.NewTimer(agentLimit)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		t.Errorf("an agent still runs %s after the fault", agentLimit)
	}
}

const long = 120_000 // requests: a minute

func TestAWholeSessionOverEachProtocol(t *testing.T) {
	t.Parallel()
	url, served := targets(t)
	for name, set := range map[string]func(*apiServer){
		"both": nil, "SPDY only": func(s *apiServer) { s.noWebSocket = true }, "WebSocket only": func(s *apiServer) { s.noSPDY = true },
	} {
		s := newServer(t, set)
		c, err := remoteAgent(t, s, Options{}, "1m", agent.ClientOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		served.Store(0)
		kept, totals, err := sent(t, c, url, 1000, nil)
		if err != nil || kept != 1000 || totals.Requests != 1000 || served.Load() != 1000 {
			t.Errorf("%s: %d results, %d served, %+v, %v", name, kept, served.Load(), totals, err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if spdy := s.spdys.Load() > 0; spdy != (name == "SPDY only") {
			t.Errorf("%s: SPDY %v", name, spdy)
		}
		s.gone(t)
	}
}

func TestNoPermissionStartsNothing(t *testing.T) {
	s := newServer(t, func(s *apiServer) {
		s.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
			status(w, http.StatusForbidden, "forbidden")
			return true
		}
	})
	if _, err := remoteAgent(t, s, Options{}, "1m", agent.ClientOptions{}); !is[*ForbiddenError](err) {
		t.Errorf("%v", err)
	}
	s.gone(t)
}

// breaking is stdout on its way, until so many bytes have passed.
type breaking struct {
	w     io.Writer
	left  int
	after func(p []byte) (int, error) // in the place of what comes then
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left >= len(p) {
		b.left -= len(p)
		return b.w.Write(p)
	}
	return b.after(p)
}

func TestFaultsOfTheStream(t *testing.T) {
	t.Parallel()
	const passed = 20_000 // bytes before the fault: some 2,000 samples
	tests := []struct {
		name     string
		deadline string // of the agent
		silence  time.Duration
		set      func(*apiServer)
		during   func(t *testing.T, s *apiServer, c *agent.Client)
		full     bool // the client's disk
	}{
		{name: "connection reset in the middle", set: func(s *apiServer) { s.cutAfter = passed }},
		{name: "connection reset after the status", deadline: "1s", set: func(s *apiServer) { s.resetAtEnd = true }},
		{name: "normal close without a status", set: func(s *apiServer) { s.noStatus = true }, during: func(t *testing.T, _ *apiServer, c *agent.Client) {
			if err := syscall.Kill(c.Hello().PID, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}},
		{name: "agent killed", during: func(t *testing.T, _ *apiServer, c *agent.Client) {
			if err := syscall.Kill(c.Hello().PID, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}},
		{name: "client gone", during: func(_ *testing.T, s *apiServer, _ *agent.Client) { s.cutAll() }},
		{name: "stall", silence: 2 * time.Second, set: func(s *apiServer) {
			s.twist = func(w io.Writer) io.Writer {
				return &breaking{w: w, left: passed, after: func(p []byte) (int, error) { return len(p), nil }} // nothing comes any more
			}
		}},
		{name: "garbage", set: func(s *apiServer) {
			s.twist = func(w io.Writer) io.Writer {
				return &breaking{w: w, left: passed, after: func(p []byte) (int, error) {
					junk := make([]byte, len(p))
					for i := range junk {
						junk[i] = p[i] ^ 0x5a
					}
					return w.Write(junk)
				}}
			}
		}},
		{name: "stdin dropped", set: func(s *apiServer) { s.cutStdin = planBytes(t, burstOf("http://127.0.0.1:12345", long)) + 25 }}, // two PINGs later
		{name: "disk full", full: true},
	}
	for _, tt := range tests {
		for _, p := range []Protocol{WebSocket, SPDY} {
			if p == SPDY && (tt.name == "connection reset after the status" || tt.name == "normal close without a status") {
				continue // the WebSocket server's own
			}
			t.Run(fmt.Sprintf("%s/%s", tt.name, p), func(t *testing.T) {
				t.Parallel() // they wait most of the time
				url, served := targets(t)
				s := newServer(t, tt.set)
				deadline := "1m"
				if tt.deadline != "" {
					deadline = tt.deadline
				}
				frames := 0
				o := agent.ClientOptions{Silence: tt.silence}
				if tt.full {
					o.Verified = func(wire.Type, []byte) error {
						if frames++; frames > 5 {
							return syscall.ENOSPC
						}
						return nil
					}
				}
				c, err := remoteAgent(t, s, Options{Protocol: p}, deadline, o)
				if err != nil {
					t.Fatal(err)
				}
				var during func()
				if tt.during != nil {
					during = func() { tt.during(t, s, c) }
				}
				kept, totals, err := sent(t, c, url, long, during)
				if err == nil || totals.Reason == wire.ReasonDone {
					t.Errorf("the burst ended as if all were well: %+v", totals)
				}
				if kept == 0 || kept >= long {
					t.Errorf("%d results were kept", kept)
				}
				if tt.full && !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("the full disk is not named: %v", err)
				}
				c.Close() // what broke is reported already
				s.gone(t)
				if n := served.Load(); n > long {
					t.Errorf("%d requests were sent", n)
				}
			})
		}
	}
}

// cutAll resets every connection of the clients, as their death does.
func (s *apiServer) cutAll() {
	resets.Lock()
	defer resets.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if c := resets.conns[r.RemoteAddr]; c != nil {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	}
}

// An agent of another version says so in one sentence.
func TestAnAgentOfAnotherVersion(t *testing.T) {
	s := newServer(t, nil)
	c := s.container(t, Options{})
	_, err := agent.Open(t.Context(), c, []string{"printf", `SBW\011`}, agent.ClientOptions{})
	if err == nil || !strings.Contains(err.Error(), "protocol version 9, this program speaks 2: both ends must be of one version") {
		t.Errorf("%v", err)
	}
	s.gone(t)
}
