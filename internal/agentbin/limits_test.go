package agentbin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/wire"
)

// What an agent may cost a guest's host: bytes to upload, and bytes of memory with so many connections.
const (
	mostBytes       = 7_000_000
	mostMemory      = 32 << 20
	manyConnections = 1024
)

func TestAgentsAreSmall(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := files.ReadFile(Name("linux", arch)); err != nil {
			t.Skipf("no agent for linux/%s is embedded: run make agents", arch)
		}
		a, err := For("linux", arch, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Data) > mostBytes {
			t.Errorf("the agent for linux/%s is %d bytes, want at most %d", arch, len(a.Data), mostBytes)
		}
	}
}

// process runs the agent as a process of this machine.
type process struct{ path string }

func (p process) Exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, p.path, argv[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		io.Copy(in, stdin)
		in.Close()
	}()
	return cmd.Wait()
}

// crowd answers when so many requests are there at once, all of them together.
type crowd struct {
	mu   sync.Mutex
	here int
	size int
	open chan struct{}
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	open := c.open
	if c.here++; c.here == c.size {
		close(open)
		c.here, c.open = 0, make(chan struct{})
	}
	c.mu.Unlock()
	<-open
	fmt.Fprint(w, `{"hostname":"podinfo"}`)
}

func TestTheAgentStaysSmallWithManyConnections(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the agents are for Linux")
	}
	bin, err := For("linux", runtime.GOARCH, "")
	if err != nil {
		t.Skip("no agent is embedded: run make agents")
	}
	path := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(path, bin.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(&crowd{size: manyConnections, open: make(chan struct{})})
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	c, err := agent.Open(t.Context(), process{path}, []string{path, agent.ArgServe, "2m"}, agent.ClientOptions{Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	plan := attack.Plan{
		URL: srv.URL, Rate: attack.Rate{Hits: 5000, Per: time.Second}, Requests: 4 * manyConnections, Connections: manyConnections,
		MaxRate: 5000, Timeout: time.Minute, Rules: []attack.Rule{{Backend: 0, Kind: attack.RuleJSON, Key: "/hostname", Values: []string{"podinfo"}}},
	}
	var totals wire.Totals
	answered := 0
	for r, err := range c.Attack(t.Context(), plan, &totals) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Err == attack.OK && r.Backend == 0 {
			answered++
		}
	}
	if answered != 4*manyConnections || totals.Connections < manyConnections {
		t.Errorf("%d answers over %d connections", answered, totals.Connections)
	}
	if totals.MaxRSSBytes == 0 || totals.MaxRSSBytes > mostMemory {
		t.Errorf("the agent took %d KiB, want at most %d", totals.MaxRSSBytes>>10, mostMemory>>10)
	}
	t.Logf("%d KiB with %d connections", totals.MaxRSSBytes>>10, totals.Connections)
}
