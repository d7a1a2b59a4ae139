package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/internal/agent"
)

// start runs clusters that end with the test.
func start(t *testing.T, o Options) *Clusters {
	t.Helper()
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// restConfig reads the kubeconfig as any client would.
func restConfig(t *testing.T, c *Clusters, cluster string) *rest.Config {
	t.Helper()
	config, err := clientcmd.Load(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	r, err := clientcmd.NewNonInteractiveClientConfig(*config, cluster, nil, nil).ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	r.QPS = -1 // no limit on our side
	return r
}

// clientAt is an HTTP client in a pod of west.
func clientAt(t *testing.T, c *Clusters, meshed bool) *http.Client {
	t.Helper()
	tr := &http.Transport{DialContext: c.dialer(vantage{cluster: "west", meshed: meshed}), MaxIdleConnsPerHost: 8}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, client *http.Client, url string) answer {
	t.Helper()
	a, err := tryGet(t.Context(), client, url)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func tryGet(ctx context.Context, client *http.Client, url string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close() // read to its end
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

func TestStartRefusesBadOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"unknown backend": {Options{TrueWeights: map[string]int64{"podinfo-north": 1}}, `"podinfo-north"`},
		"negative weight": {Options{TrueWeights: map[string]int64{"podinfo": -1, "podinfo-east": 5}}, "-1"},
		"all zero":        {Options{TrueWeights: map[string]int64{"podinfo": 0}}, "all 0"},
		"huge weight":     {Options{TrueWeights: map[string]int64{"podinfo": 1 << 62}}, "4611686018427387904"},
		"negative delay":  {Options{GatewayDelay: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Start(t.Context(), tc.o)
			if err == nil {
				_ = c.Close()
				t.Fatal("want an error")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %s", err, tc.want)
			}
		})
	}
}

func TestPodinfoAnswersAsItself(t *testing.T) {
	c := start(t, Options{})
	a := get(t, clientAt(t, c, true), "http://podinfo-east:9898/")
	for _, want := range []string{
		"{\n  \"hostname\": \"podinfo-", "\"version\": \"6.7.0\"", "\"message\": \"greetings from east\"", "\"num_cpu\": \"",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%q not in %s", want, a.body)
		}
	}
	if a.status != 200 || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("status %d, headers %v", a.status, a.header)
	}
	if n := len(a.body); n < 380 || n > 480 { // podinfo 6.7.0 answers about 420 bytes
		t.Errorf("the answer has %d bytes", n)
	}
}

func TestAnswersComeFromThePodsOfTheAPI(t *testing.T) {
	c := start(t, Options{})
	for _, tc := range []struct {
		cluster *cluster
		url     string
	}{{c.west, "http://podinfo:9898/"}, {c.east, "http://podinfo-east:9898/"}} {
		client := clientAt(t, c, tc.cluster == c.east) // off the mesh podinfo is west's own
		names, _ := podsOf(tc.cluster.store, "podinfo")
		seen := map[string]bool{}
		for range 2 {
			body := get(t, client, tc.url).body
			for _, n := range names {
				if strings.Contains(body, `"hostname": "`+n+`"`) {
					seen[n] = true
				}
			}
		}
		if len(names) != 2 || len(seen) != 2 {
			t.Errorf("%s: pods %v, answered by %v", tc.url, names, seen)
		}
	}
}

func TestEveryNameOfTheRootIsSplit(t *testing.T) {
	c := start(t, Options{TrueWeights: map[string]int64{"podinfo-east": 1}})
	client := clientAt(t, c, true)
	for _, host := range []string{
		"podinfo", "podinfo.test", "podinfo.test.svc", "podinfo.test.svc.cluster.local", "podinfo.test.svc.cluster.local.",
		"10.144.17.20",
	} {
		if a := get(t, client, "http://"+host+":9898/"); !strings.Contains(a.body, "greetings from east") {
			t.Errorf("%s: %s", host, a.body)
		}
	}
	if d := c.Draws(); d["podinfo"] != 0 || d["podinfo-east"] != 6 {
		t.Errorf("draws %v", d)
	}
}

func TestDialErrors(t *testing.T) {
	c := start(t, Options{})
	dial := func(meshed bool, address string) error {
		conn, err := c.dialer(vantage{cluster: "west", meshed: meshed})(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	for _, host := range []string{"nowhere", "podinfo.default", "podinfo.test.cluster", "podinfo.test.svc.cluster", "example.com"} {
		var dns *net.DNSError
		if err := dial(true, host+":9898"); !errors.As(err, &dns) || !dns.IsNotFound || dns.Name != host {
			t.Errorf("%s: %v", host, err)
		}
	}
	for address, want := range map[string]string{
		"podinfo:9797": "connection refused", "10.44.0.11:1": "connection refused", "10.45.0.11:9898": "no route to host",
		"192.0.2.1:80": "no route to host", "localhost:80": "connection refused", "podinfo": "missing port",
	} {
		if err := dial(true, address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
	if err := dial(false, "localhost:4191"); err == nil {
		t.Error("a pod without proxy has an admin port")
	}
	if a := get(t, clientAt(t, c, true), "http://localhost:4191/ready"); a.status != 200 {
		t.Errorf("ready: %+v", a)
	}
}

// settled waits until no goroutine is left that runs this package or the libraries that it starts.
func settled(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		buf := make([]byte, 4<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		var left []string
		for _, g := range strings.Split(stacks, "\n\n")[1:] { // the first is this one
			for _, mark := range []string{"internal/demo.", "net/http.", "wsstream", "spdystream", "internal/agent."} {
				if strings.Contains(g, mark) && !strings.Contains(g, "testing.(*T).Run") {
					left = append(left, g)
					break
				}
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines left:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	c, err := Start(t.Context(), Options{GatewayDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// One request is on its way through the gateway, one watch open, and one agent waits for orders.
	tr := &http.Transport{DialContext: c.dialer(vantage{cluster: "west", meshed: true})}
	defer tr.CloseIdleConnections()
	results := make(chan error, 3)
	go func() {
		a, err := tryGet(t.Context(), &http.Client{Transport: tr}, "http://podinfo-east:9898/")
		if err == nil && a.status != http.StatusOK { // one that had not begun is refused
			err = fmt.Errorf("status %d", a.status)
		}
		results <- err
	}()
	config := restConfig(t, c, "west")
	watching, serving := make(chan struct{}), make(chan struct{})
	c.west.runner.main = func(ctx context.Context, args []string, in io.Reader, out, err io.Writer, o agent.ServeOptions) int {
		close(serving)
		return agent.Main(ctx, args, in, out, err, o)
	}
	go func() { results <- watchPods(t.Context(), config, watching) }()
	in, hold := io.Pipe()
	defer hold.Close()
	go func() {
		_, _, err := runExec(t.Context(), config, webSocket, execRequest{
			pod: frontendPod(c), container: "nginx", argv: []string{agentPath, "serve"}, stdin: in,
		})
		results <- err
	}()
	<-watching
	<-serving
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case err := <-results:
			if err == nil {
				t.Error("something went on after Close and ended well")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("something goes on after Close")
		}
	}
	_ = hold.Close()
	tr.CloseIdleConnections()
	if err := c.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	settled(t)
}

func TestSimulatedSaysWhatIsWrong(t *testing.T) {
	for want, o := range map[string]Options{
		"two Kubernetes API servers":         {},
		"not part of":                        {OffMesh: true},
		"gateway down":                       {GatewayDown: true},
		"weights podinfo=65,podinfo-east=35": {TrueWeights: map[string]int64{"podinfo": 65, "podinfo-east": 35}},
	} {
		got := (&Clusters{options: o}).Simulated()
		if !strings.Contains(got, want) || strings.Count(got, ". ") != 0 || !strings.HasSuffix(got, ".") {
			t.Errorf("%s: %q", want, got)
		}
	}
}

func frontendPod(c *Clusters) string {
	names, _ := podsOf(c.west.store, "frontend")
	if len(names) != 1 {
		return fmt.Sprintf("%d frontend pods", len(names))
	}
	return names[0]
}
