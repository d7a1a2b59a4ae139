package cluster

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// staticServer starts an nginx in frontend's container that returns podinfo's 424 bytes, and returns its URL. Nothing of the
// mesh is in between: what is measured is the generator and the way back.
func (l lab) staticServer(t *testing.T) string {
	t.Helper()
	const port = "18424"
	script := `d=$(mktemp -d /tmp/static-XXXXXX) && cat > $d/nginx.conf <<'EOF'
worker_processes 1;
error_log /dev/null;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000;
  server { listen 127.0.0.1:` + port + `; location / { default_type application/json; return 200 '` + strings.Repeat("x", 424) + `'; } } }
EOF
nginx -p $d -g "pid $d/pid;" -c $d/nginx.conf >/dev/null 2>&1 && echo $d`
	dir := strings.TrimSpace(l.inPod(t, t.Context(), "deploy/frontend", script))
	if !strings.HasPrefix(dir, "/tmp/static-") {
		t.Fatalf("no static server in the pod: %q", dir)
	}
	t.Cleanup(func() {
		l.inPod(t, context.Background(), "deploy/frontend", `kill "$(cat `+dir+`/pid)"; rm -rf `+dir)
	})
	return "http://127.0.0.1:" + port + "/"
}

// container is frontend's, over one protocol.
func (l lab) container(t *testing.T, protocol podexec.Protocol) *podexec.Container {
	t.Helper()
	pod := strings.TrimSpace(l.kubectl(t, "", "get", "pods", "-l", "app=frontend", "-o", "jsonpath={.items[0].metadata.name}"))
	c, err := podexec.New(restConfig(t, l.west), podexec.Target{Namespace: namespace, Pod: pod, Container: "nginx"}, podexec.Options{Protocol: protocol})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// restConfig is how kubectl would reach the cluster of a context.
func restConfig(t *testing.T, context string) *rest.Config {
	t.Helper()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(),
		&clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // nothing here waits for a limit of its own
	return config
}

// agentIn uploads the agent and opens a session.
func agentIn(t *testing.T, c *podexec.Container, o agent.ClientOptions) *agent.Client {
	t.Helper()
	bin, err := agentbin.For("linux", "amd64", "")
	if err != nil {
		t.Fatal(err)
	}
	name, err := podexec.UploadName(bin.Data, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	program, err := c.Upload(podexec.Upload{Data: bin.Data, Packed: bin.Packed, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	o.Running = program.Running()
	client, err := agent.Open(t.Context(), program, []string{agent.ArgServe, "2m"}, o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Ten thousand requests a second through exec, every sample accounted for: it arrived, or it was counted as dropped.
func TestTenThousandPerSecondThroughExec(t *testing.T) {
	l := need(t)
	url := l.staticServer(t)
	for protocol, seconds := range map[podexec.Protocol]uint64{podexec.WebSocket: 10, podexec.SPDY: 3} {
		t.Run(string(protocol), func(t *testing.T) {
			var carried, samples uint64
			client := agentIn(t, l.container(t, protocol), agent.ClientOptions{Verified: func(ty wire.Type, raw []byte) error {
				if ty == wire.Samples {
					carried += uint64(len(raw))
				}
				return nil
			}})
			defer client.Close()
			const rate = 10_000
			plan := attack.Plan{
				URL: url, Rate: attack.Rate{Hits: rate, Per: time.Second}, Requests: rate * seconds, WarmUp: 100, Connections: 8,
				MaxRate: rate, MaxRequests: rate * seconds,
			}
			var totals wire.Totals
			ok := uint64(0)
			var last, took time.Duration
			for r, err := range client.Attack(t.Context(), plan, &totals) {
				if err != nil {
					t.Fatal(err)
				}
				samples++
				if r.Err == attack.OK && r.Status == 200 {
					ok++
				}
				last = max(last, r.Sent)
				took += r.ResponseTime()
			}
			if totals.Requests != rate*seconds || totals.Samples+totals.Dropped != totals.Requests || samples != totals.Samples {
				t.Errorf("%d of %d requests: %d samples and %d dropped, %d arrived", totals.Requests, rate*seconds, totals.Samples, totals.Dropped, samples)
			}
			if totals.Dropped != 0 || ok != samples {
				t.Errorf("%d dropped, %d of %d answered with 200", totals.Dropped, ok, samples)
			}
			if got := totals.Times.SendLag.Len(); got != totals.Requests {
				t.Errorf("the ticks hold %d of %d requests", got, totals.Requests)
			}
			// How late the last request was is logged and not judged: a machine that others use may be late. Only times below
			// 1.6 ms have differences of two bytes.
			per, mean := float64(carried)/float64(samples), took/time.Duration(samples)
			if per > 9 && mean < 1600*time.Microsecond {
				t.Errorf("%.2f bytes for each sample on the wire, want at most 9 (mean response time %s)", per, mean)
			}
			if totals.MaxRSSBytes > 32<<20 {
				t.Errorf("the agent took %d MiB", totals.MaxRSSBytes>>20)
			}
			t.Logf("%d requests in %s: %.2f bytes for each sample, %d KiB at most, %.1f us of CPU each", totals.Requests, last.Round(time.Millisecond),
				float64(carried)/float64(samples), totals.MaxRSSBytes>>10, float64(totals.CPUUs)/float64(totals.Requests))
		})
	}
}

// Three thousand a second through the split, every sample accounted for.
func TestThreeThousandPerSecondThroughTheSplit(t *testing.T) {
	l := need(t)
	e := l.do(t, t.TempDir(), l.runArgs("--requests", "15000", "--rate", "3000", "--max-rate", "3000")...)
	r := e.report
	if r.Load == nil || len(r.Backends) != 2 {
		t.Fatalf("exit %d, no load: %s", e.code, e.stderr)
	}
	got := r.Backends[0].Observed + r.Backends[1].Observed + r.Unattributed.Requests
	if got != 15_000 || r.Load.Requests != 15_000 || r.Load.EndReason != wire.ReasonDone || !r.Run.Complete {
		t.Errorf("counted %d, load %+v", got, r.Load)
	}
	// A machine that others use may be too slow for the stand-in mesh; then the run says so and is no pass.
	if e.code != 0 && r.Verdict.Outcome != "invalid" {
		t.Errorf("exit %d, outcome %s %q", e.code, r.Verdict.Outcome, r.Verdict.Reasons)
	}
	t.Logf("%s: %.0f requests a second, %d errors, %d dropped", r.Verdict.Outcome, r.Load.RatePerSecond, r.Load.Errors, r.Load.Dropped)
}

// Upload, run and report of 1,000 requests at 1,000 a second, over each protocol. Three seconds are wanted; what it took is
// logged and not judged, since that is as much the machine's doing.
func TestAThousandRequestsFromStartToReport(t *testing.T) {
	l := need(t)
	for _, protocol := range []string{"websocket", "spdy"} {
		e := l.do(t, t.TempDir(), l.runArgs("--requests", "1000", "--rate", "1000", "--exec-protocol", protocol)...)
		if e.report.Load == nil || e.report.Load.Requests != 1000 || e.report.Source == nil || e.report.Source.Transport != protocol {
			t.Fatalf("%s: exit %d, load %+v, source %+v", protocol, e.code, e.report.Load, e.report.Source)
		}
		t.Logf("%s: %s from start to report", protocol, e.took.Round(time.Millisecond))
	}
	l.nothingLeft(t, 0)
}
