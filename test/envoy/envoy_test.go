// Package envoy tests the second witness against a real Envoy that splits by weight. See get.sh.
package envoy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/bench"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"
	"github.com/splitbench/splitbench/podexec"
)

// proxy is a running Envoy.
type proxy struct {
	binary, config string
	root, admin    string // addresses
	cmd            *exec.Cmd
	log            *bytes.Buffer
}

// envoyConfig is one listener that splits over two clusters, by request or by connection.
const envoyConfig = `{
"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{.Admin}}}}},
"static_resources": {
 "listeners": [{"name": "root", "address": {"socket_address": {"address": "127.0.0.1", "port_value": {{.Root}}}}, "filter_chains": [{"filters": [
{{if .TCP}}
  {"name": "envoy.filters.network.tcp_proxy", "typed_config": {
   "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "root",
   "weighted_clusters": {"clusters": [{"name": "podinfo", "weight": {{.West}}}, {"name": "{{.EastName}}", "weight": {{.East}}}]}}}
{{else}}
  {"name": "envoy.filters.network.http_connection_manager", "typed_config": {
   "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "root",
   "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
   "route_config": {"virtual_hosts": [{"name": "root", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {
    "weighted_clusters": {"clusters": [{"name": "podinfo", "weight": {{.West}}}, {"name": "{{.EastName}}", "weight": {{.East}}}]}}}]}]}}}
{{end}}
 ]}]}],
 "clusters": [
  {"name": "podinfo", "type": "STATIC", "load_assignment": {"cluster_name": "podinfo", "endpoints": [{"lb_endpoints": [
   {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{.WestPort}}}}}}]}]}},
  {"name": "{{.EastName}}", "type": "STATIC", "load_assignment": {"cluster_name": "podinfo-east", "endpoints": [{"lb_endpoints": [
   {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": {{.EastPort}}}}}}]}]}}
 ]}}
`

// eastName is how Istio names the cluster of a Service.
const eastName = "outbound|9898||podinfo-east.test.svc.cluster.local"

// startEnvoy starts an Envoy in front of two backends of ours.
func startEnvoy(t *testing.T, west, east int, tcp bool) *proxy {
	t.Helper()
	binary := os.Getenv("SPLITBENCH_TEST_ENVOY")
	if binary == "" {
		t.Skip("SPLITBENCH_TEST_ENVOY is not set: no Envoy to test with; make envoy-test fetches one")
	}
	backend := func(message string) int {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"message":"greetings from %s"}`, message)
		}))
		t.Cleanup(srv.Close)
		return srv.Listener.Addr().(*net.TCPAddr).Port
	}
	admin, root := freePort(t), freePort(t)
	p := &proxy{
		binary: binary, config: filepath.Join(t.TempDir(), "envoy.json"), log: &bytes.Buffer{},
		admin: fmt.Sprintf("127.0.0.1:%d", admin), root: fmt.Sprintf("127.0.0.1:%d", root),
	}
	var config bytes.Buffer
	if err := template.Must(template.New("envoy").Parse(envoyConfig)).Execute(&config, map[string]any{
		"Admin": admin, "Root": root, "West": west, "East": east, "EastName": eastName, "TCP": tcp,
		"WestPort": backend("west"), "EastPort": backend("east"),
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.config, config.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t)
	t.Cleanup(p.stop)
	return p
}

// freePort is a port that was free just now: Envoy cannot say which one it was given.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs Envoy and waits until it is ready.
func (p *proxy) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.binary, "-c", p.config, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		status, err := fetch("http://" + p.admin + "/ready")
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Envoy is not ready after 30 s: %v\n%s", err, p.log)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at a process that is starting
	}
}

// fetch gets a page of a process of ours.
func fetch(url string) (status int, err error) {
	r, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, err
}

func get(t *testing.T, url string) {
	t.Helper()
	if status, err := fetch(url); err != nil || status != http.StatusOK {
		t.Fatalf("get %s: status %d, %v", url, status, err)
	}
}

func (p *proxy) stop() {
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// startWorld starts the demo's API servers and exec, where what the client pod dials is the real Envoy.
func startWorld(t *testing.T, p *proxy, west, east int64, o demo.Options) (*demo.Clusters, bench.Config) {
	t.Helper()
	o.Forward = map[string]string{"podinfo:9898": p.root, "127.0.0.1:9901": p.admin, "127.0.0.1:15000": p.admin}
	world, err := demo.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	if err := world.SetWeights(west, east); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := clientcmd.Load(world.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg := bench.Config{
		Options: analyze.DefaultOptions(), ResultsDir: t.TempDir(), Simulated: world.Simulated(), Tool: "test",
		Query: mesh.Query{Namespace: "test", Split: "podinfo", From: "deploy/frontend", Container: "nginx"},
	}
	for _, name := range []string{"west", "east"} {
		rest, err := clientcmd.NewNonInteractiveClientConfig(*kubeconfig, name, nil, nil).ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		c, err := mesh.Connect(rest, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "west" {
			cfg.REST, cfg.Local = rest, c
		} else {
			cfg.Remotes = []mesh.Remote{{Client: c}}
		}
	}
	for _, rule := range []string{"podinfo=json:/message=greetings from west", "podinfo-east=json:/message=greetings from east"} {
		parsed, err := judge.ParseClassify(rule)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Rules = append(cfg.Rules, parsed)
	}
	return world, cfg
}

// runThrough runs splitbench there.
func runThrough(t *testing.T, p *proxy, west, east int64, requests, rate, perConn uint64, progress func(bench.Progress), change ...func(*bench.Config)) report.Report {
	t.Helper()
	_, cfg := startWorld(t, p, west, east, demo.Options{})
	most := float64(max(rate, attack.DefaultMaxRate))
	var sending attack.Plan
	if perConn > 0 {
		sending.Reuse = &attack.Reuse{MinRequests: perConn, MaxRequests: perConn}
	}
	cfg.Witness, cfg.Progress, cfg.Query.Split = string(witness.Envoy), progress, "ts/podinfo"
	cfg.Load = bench.Load{Requests: requests, Rate: attack.Rate{Hits: rate, Per: time.Second}, WarmUp: 20, MaxRate: most, Template: sending}
	for _, c := range change {
		c(&cfg)
	}
	r, err := bench.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Envoy draws by weight for each request, and its clusters count exactly what the client saw answered, the warm-up's 20
// requests aside. 10,000 requests at a true 70/30 pass the tolerance of 5 points with probability above 0.9999: at alpha
// 0.01 the share must be off by 0.05-2.33*0.00458 = 0.0393, which is 8.6 standard deviations. The checks of independence
// are made at 0.001, of which only windows of time that differ could take such a pass away, in fewer than 2 runs of 10,000.
func TestEnvoySplitsByRequest(t *testing.T) {
	p := startEnvoy(t, 70, 30, false)
	r := runThrough(t, p, 70, 30, 10_000, 2000, 0, nil)
	w := r.Witness
	if r.Verdict.Outcome != report.Pass || w == nil || !w.Available || !w.Agrees || !w.Undisturbed || w.Outcome != report.Pass || w.Proxy != "envoy" {
		t.Fatalf("outcome %s, reasons %q, witness %+v\n%s", r.Verdict.Outcome, r.Verdict.Reasons, w, p.log)
	}
	var drawn, answered int64
	for i, d := range w.Draws {
		if d.Answered != r.Backends[i].Observed || d.Drawn < d.Answered || d.Drawn > d.Answered+20 {
			t.Errorf("%s: drawn %d, answered %d, counted %d", d.Backend, d.Drawn, d.Answered, r.Backends[i].Observed)
		}
		drawn, answered = drawn+d.Drawn, answered+d.Answered
	}
	if drawn != 10_020 || answered != 10_000 || w.Background != 0 {
		t.Errorf("%d drawn, %d answered, %d of others; 10,000 and 20 of warm-up were sent", drawn, answered, w.Background)
	}
	t.Logf("draws %+v, chi-square p %.3g", w.Draws, w.GoodnessOfFit.Exact.P)
}

// Envoy at 65/35 where the object says 50/50: both witnesses say so, independently. The shares are 10 points outside the
// tolerance of 5, which is 20 standard deviations.
func TestEnvoyThatDisobeys(t *testing.T) {
	p := startEnvoy(t, 65, 35, false)
	r := runThrough(t, p, 50, 50, 10_000, 2000, 0, nil)
	if w := r.Witness; r.Verdict.Outcome != report.Fail || w == nil || !w.Agrees || w.Outcome != report.Fail {
		t.Errorf("outcome %s, reasons %q, witness %+v", r.Verdict.Outcome, r.Verdict.Reasons, w)
	}
}

// As a TCP proxy Envoy draws for each connection: the witness shows it and connections are judged. 4,000 connections of one
// request each pass at 70/30 with probability above 0.9999: the share must be off by 0.05-2.33*0.00725 = 0.0331, 4.6
// standard deviations.
func TestEnvoySplitsByConnection(t *testing.T) {
	p := startEnvoy(t, 70, 30, true)
	r := runThrough(t, p, 70, 30, 8_000, 1000, 2, nil)
	w := r.Witness
	if r.Verdict.Outcome != report.Pass || w == nil || w.Unit != "connection" || w.Path != "connections" {
		t.Fatalf("outcome %s, reasons %q, warnings %q, witness %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Warnings, w)
	}
	var n int64
	for _, b := range r.Backends {
		n += b.Observed
	}
	if n < 4000 || n > 4500 { // two requests each; a connection may carry one
		t.Errorf("%d connections of 8,000 requests were judged", n)
	}
}

// What a real Envoy holds is the law where it is not what the objects say: it splits 70/30, they say 50/50. 5,000 requests
// pass but for a share that is off by 0.05-2.33*0.00648 = 0.0349, 5.4 standard deviations.
func TestEnvoyTellsTheLaw(t *testing.T) {
	p := startEnvoy(t, 70, 30, false)
	r := runThrough(t, p, 50, 50, 5_000, 500, 0, nil, func(c *bench.Config) { c.Query.Use = law.UseTold })
	told := r.Split.Law.Told
	if r.Verdict.Outcome != report.Pass || told == nil || !told.Heard || !told.HeardAfter || told.Agrees || len(told.WorkedOut) != 2 {
		t.Fatalf("outcome %s, reasons %q, warnings %q, told %+v\n%s", r.Verdict.Outcome, r.Verdict.Reasons, r.Warnings, told, p.log)
	}
	for i, want := range []int64{70, 30} {
		if b := r.Backends[i]; b.Weight != want || told.WorkedOut[i].Weight != 50 {
			t.Errorf("%s is judged by %d, worked out %d", b.Name, b.Weight, told.WorkedOut[i].Weight)
		}
	}
	for _, c := range r.Checks {
		if c.ID == "SB038" && (c.Status != preflight.Warning || !strings.Contains(c.Seen, "holds podinfo=70,podinfo-east=30")) {
			t.Errorf("%s: %s", c.Status, c.Seen)
		}
	}
}

// An Envoy that holds what the objects say agrees; one that cannot be asked leaves the law to the objects.
func TestEnvoyAgreesOrIsSilent(t *testing.T) {
	p := startEnvoy(t, 50, 50, false)
	use := func(u law.Use) func(*bench.Config) { return func(c *bench.Config) { c.Query.Use = u } }
	r := runThrough(t, p, 50, 50, 5_000, 500, 0, nil, use(law.UseAuto))
	if told := r.Split.Law.Told; r.Verdict.Outcome != report.Pass || told == nil || !told.Agrees {
		t.Errorf("outcome %s, reasons %q, told %+v", r.Verdict.Outcome, r.Verdict.Reasons, told)
	}
	p.admin = "127.0.0.1:1"
	r = runThrough(t, p, 50, 50, 5_000, 500, 0, nil, use(law.UseAuto))
	if told := r.Split.Law.Told; r.Verdict.Outcome != report.Pass || told == nil || told.Heard || told.Why == "" {
		t.Errorf("outcome %s, reasons %q, told %+v", r.Verdict.Outcome, r.Verdict.Reasons, told)
	}
	r = runThrough(t, p, 50, 50, 5_000, 500, 0, nil, use(law.UseTold))
	if why := strings.Join(r.Verdict.Reasons, "\n"); r.Verdict.Outcome != report.Invalid || !strings.Contains(why, "--law told") {
		t.Errorf("outcome %s, reasons %q", r.Verdict.Outcome, why)
	}
}

// istio makes the demo's pods and its HTTPRoute Istio's, as the API tells of them.
func istio(t *testing.T, cfg *bench.Config) {
	t.Helper()
	names := strings.NewReplacer("linkerd-proxy", "istio-proxy", "linkerd.io/policy-controller", "istio.io/mesh-controller")
	cfg.REST.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			res, err := rt.RoundTrip(r)
			if err != nil || res.StatusCode != http.StatusOK || r.Method != http.MethodGet {
				return res, err
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			res.Body = io.NopCloser(strings.NewReader(names.Replace(string(b))))
			return res, err
		})
	})
	var err error
	if cfg.Local, err = mesh.Connect(cfg.REST, "west"); err != nil {
		t.Fatal(err)
	}
	cfg.Query.Use, cfg.Query.Teller = law.UseAuto, bench.NewTeller(cfg.REST, podexec.Auto)
	t.Cleanup(cfg.Close)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A check reads what a real Envoy holds over a port-forward to the client's pod: it executes nothing there.
func TestCheckAsksEnvoy(t *testing.T) {
	p := startEnvoy(t, 70, 30, false)
	for _, test := range []struct {
		name       string
		west, east int64
		admin      string // "": Envoy's own
		status     preflight.Status
		seen       string
	}{
		{"other weights", 50, 50, "", preflight.Warning, "holds podinfo=70,podinfo-east=30"},
		{"the same", 70, 30, "", preflight.OK, "holds exactly what the objects say"},
		{"nothing listens", 70, 30, "127.0.0.1:1", preflight.Unknown, "could not be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := *p
			asked.admin = cmp.Or(test.admin, p.admin)
			_, cfg := startWorld(t, &asked, test.west, test.east, demo.Options{Route: true})
			istio(t, &cfg)
			snap, err := bench.Discover(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			checks := preflight.Run(preflight.View{Snapshot: snap})
			i := slices.IndexFunc(checks, func(c preflight.Result) bool { return c.ID == "SB038" })
			if i < 0 || checks[i].Status != test.status || !strings.Contains(checks[i].Seen, test.seen) {
				t.Errorf("provider %s, told %+v, checks %+v", snap.Law.Provider, snap.Told, checks)
			}
			if test.status == preflight.Warning && snap.Law.Backends[0].Weight != 70 {
				t.Errorf("the law is not what Envoy holds: %+v", snap.Law)
			}
		})
	}
}

// An Envoy that is started anew in the middle takes the verdict away.
func TestEnvoyThatIsRestarted(t *testing.T) {
	p := startEnvoy(t, 50, 50, false)
	for range 2000 { // so that what the new one counts cannot reach what the old one had
		get(t, "http://"+p.root)
	}
	restarted := false
	// 200 requests in a row without an answer end a burst: at 250 a second Envoy has 0.8 s to be back.
	r := runThrough(t, p, 50, 50, 1_000, 250, 0, func(x bench.Progress) {
		if x.Live != nil && x.Live.Requests > 300 && !restarted {
			restarted = true
			p.stop()
			p.start(t)
		}
	})
	said := strings.Join(r.Verdict.Reasons, "\n")
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(said, "was not the same all the time") {
		t.Errorf("restarted %v, outcome %s, reasons %q, witness %+v", restarted, r.Verdict.Outcome, r.Verdict.Reasons, r.Witness)
	}
}

// An Envoy that is gone when it is asked is no witness, and no error.
func TestEnvoyWithoutAdmin(t *testing.T) {
	p := startEnvoy(t, 50, 50, false)
	p.admin = "127.0.0.1:1"
	r := runThrough(t, p, 50, 50, 5_000, 2000, 0, nil)
	if r.Witness == nil || r.Witness.Available || r.Verdict.Outcome != report.Pass {
		t.Errorf("outcome %s, reasons %q, witness %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Witness)
	}
}
