package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkerd/linkerd2-proxy-api/go/destination"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/render"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/podexec"
	"github.com/splitbench/splitbench/test/recorded"
)

// tells is a control plane of the real API that tells overrides of Service test/podinfo: SERVICE, WEIGHT, ...
func tells(t *testing.T) (*recorded.ControlPlane, func(context.Context, int) (net.Conn, error)) {
	t.Helper()
	c := &recorded.ControlPlane{}
	dial, stop, err := c.ServeHere(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return c, dial
}

// of is what the control plane tells of Service test/podinfo with these weights, in ten-thousandths.
func of(podinfo, east uint32) (*destination.DestinationProfile, *outbound.OutboundPolicy) {
	return recorded.Overridden("test", "podinfo", 9898, map[string]uint32{"podinfo": podinfo, "podinfo-east": east})
}

// TestWhatIsToldIsTheLaw runs against the demo's clusters, whose control plane answers over port-forwards on the real
// wire: 3,000 requests at 50/50 pass with probability 0.998, and with the seeds of this test.
func TestWhatIsToldIsTheLaw(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		true    map[string]int64 // what the data plane obeys; nil: the split's weights
		before  func(*recorded.ControlPlane)
		during  func(*recorded.ControlPlane)
		use     law.Use
		outcome string
		say     string // in the report's text
	}{
		{
			name: "the same", before: func(c *recorded.ControlPlane) { c.Tell(of(500_000, 500_000)) }, use: law.UseTold,
			outcome: report.Pass, say: "told by linkerd-destination-1",
		},
		{
			name: "other weights, which the proxy obeys", true: map[string]int64{"podinfo": 90, "podinfo-east": 10},
			before: func(c *recorded.ControlPlane) { c.Tell(of(900_000, 100_000)) }, use: law.UseAuto,
			outcome: report.Pass, say: "the objects say podinfo=50,podinfo-east=50",
		},
		{
			name: "other weights, which it does not", before: func(c *recorded.ControlPlane) { c.Tell(of(900_000, 100_000)) },
			use: law.UseAuto, outcome: report.Fail, say: "the objects say podinfo=50,podinfo-east=50",
		},
		{
			name: "nothing splits", before: func(c *recorded.ControlPlane) {
				_, policy := of(0, 0)
				c.Tell(&destination.DestinationProfile{FullyQualifiedName: "podinfo.test.svc.cluster.local"}, policy)
			}, use: law.UseAuto, outcome: report.Invalid, say: "no usable split",
		},
		{
			name: "other weights in the midst", before: func(c *recorded.ControlPlane) { c.Tell(of(500_000, 500_000)) },
			during: func(c *recorded.ControlPlane) { c.Tell(of(900_000, 100_000)) }, use: law.UseAuto,
			outcome: report.Invalid, say: "changed during the run: effective weights: podinfo=50,podinfo-east=50 -> podinfo=90,podinfo-east=10",
		},
		{name: "silent", use: law.UseAuto, outcome: report.Pass, say: "did not answer within 2s"},
		{name: "silent, and it is needed", use: law.UseTold, outcome: report.Invalid, say: "did not answer within 2s"},
		{name: "not asked", use: law.UseObjects, outcome: report.Pass},
		{
			name: "falls silent", before: func(c *recorded.ControlPlane) { c.Tell(of(500_000, 500_000)) },
			during: func(c *recorded.ControlPlane) { c.Tell(nil, nil) }, use: law.UseTold, outcome: report.Invalid,
			say: "what proxies are told could not be asked right after the burst",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, dial := tells(t)
			if tt.before != nil {
				tt.before(c)
			}
			w := world(t, demo.Options{Seed: 1, TrueWeights: tt.true, ControlPlane: dial})
			cfg := connect(t, w, 3000)
			cfg.Query.Use, cfg.Query.Teller = tt.use, NewTeller(cfg.REST, podexec.Auto)
			defer cfg.Close()
			if tt.during != nil {
				whenSending(&cfg, func() { tt.during(c) })
			}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			text := textOf(t, r)
			if r.Verdict.Outcome != tt.outcome || !strings.Contains(text, tt.say) {
				t.Errorf("%s, want %s and %q:\n%s", r.Verdict.Outcome, tt.outcome, tt.say, text)
			}
			if asked := len(c.Asked()) > 0; asked != (tt.use != law.UseObjects) {
				t.Errorf("asked: %v", asked)
			}
		})
	}
}

func textOf(t *testing.T, r report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := render.Text(&b, r.Outline(), render.TextOptions{Width: 400}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// forwardsOf is a client of demo's west that counts the port-forwards that are asked for.
func forwardsOf(cfg *rest.Config) (own *rest.Config, forwards *atomic.Int64) {
	own, forwards = rest.CopyConfig(cfg), &atomic.Int64{}
	own.Wrap(func(rt http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/portforward") && r.Method == http.MethodPost {
				forwards.Add(1)
			}
			return rt.RoundTrip(r)
		})
	})
	return own, forwards
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Fifty questions take one port-forward, and each at most 300 ms; so do later looks, until it is closed. Who is silent
// is waited for once in a look.
func TestOnePortForwardForManySplits(t *testing.T) {
	t.Parallel()
	plane, dial := tells(t)
	plane.Tell(of(500_000, 500_000))
	w := world(t, demo.Options{Seed: 1, ControlPlane: dial})
	cfg, forwards := forwardsOf(connect(t, w, 1).REST)
	teller := NewTeller(cfg, podexec.SPDY)
	defer teller.Close()
	pod := law.Pod{Namespace: "linkerd", Name: "linkerd-destination-1"}
	q := law.Question{Root: law.Service{Namespace: "test", Name: "podinfo", ClusterIP: "10.144.0.10"}, Port: 9898}
	for look := range 3 {
		ask, err := teller.Reach(t.Context(), pod, law.ProviderLinkerd)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 50 {
			if l, err := ask(t.Context(), q); err != nil || len(l.Backends) != 2 {
				t.Fatalf("%+v, %v", l, err)
			}
		}
		if took := time.Since(began) / 50; took > 300*time.Millisecond {
			t.Errorf("look %d: %s for each of 50", look, took)
		}
	}
	if n := forwards.Load(); n != 1 {
		t.Errorf("%d port-forwards, want 1", n)
	}
	plane.Tell(nil, nil)
	ask, err := teller.Reach(t.Context(), pod, law.ProviderLinkerd)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 50 {
		if _, err := ask(t.Context(), q); !errors.Is(err, told.ErrSilent) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("50 questions to who is silent took %s", took)
	}
	if err := teller.Close(); err != nil {
		t.Error(err)
	}
}

// Many splits are asked about at a time: under the race detector this found that who is silent was written down unguarded.
func TestPatientWithManyAtATime(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	ask := patient(func(context.Context, law.Question) (law.Law, error) {
		asked.Add(1)
		return law.Law{}, told.ErrSilent
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := ask(t.Context(), law.Question{}); !errors.Is(err, told.ErrSilent) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	before := asked.Load()
	if _, err := ask(t.Context(), law.Question{}); !errors.Is(err, told.ErrSilent) || asked.Load() != before {
		t.Errorf("asked %d times, then %d: %v", before, asked.Load(), err)
	}
}

// What a Traefik, or an Envoy, shows of itself is read over a port-forward to its pod, once for many questions.
func TestTellerReadsWhatAProxyHolds(t *testing.T) {
	t.Parallel()
	const rawData = `{"services": {"test-split@kubernetescrd": {"weighted": {"services": [{"name": "test-podinfo-9898", "weight": 3}]}},
 "test-podinfo-9898@kubernetescrd": {"loadBalancer": {"servers": []}}}}`
	for _, tt := range []struct {
		name  string
		shows http.HandlerFunc // nil: nothing listens
		want  string           // of the error; "": podinfo is the law
	}{
		{name: "it shows", shows: func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, rawData) }},
		{name: "no API", shows: http.NotFound, want: "its API is not enabled"},
		{name: "an error", shows: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, want: "/api/rawdata of the proxy could not be read: status 403"},
		{name: "endless", shows: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxWitnessPage+1)) }, want: "it is more than 4 MiB"},
		{name: "nothing listens", want: "connection refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var read atomic.Int64
			o := demo.Options{Seed: 1}
			if tt.shows != nil {
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					read.Add(1)
					tt.shows(w, r)
				}))
				defer srv.Close()
				o.Forward = map[string]string{"127.0.0.1:8080": srv.Listener.Addr().String()}
			}
			cfg, forwards := forwardsOf(connect(t, world(t, o), 1).REST)
			teller := NewTeller(cfg, podexec.SPDY)
			defer teller.Close()
			ask, err := teller.Reach(t.Context(), law.Pod{Namespace: "test", Name: frontendPod(t, cfg)}, law.ProviderTraefik)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 50 {
				l, err := ask(t.Context(), law.Question{Split: law.ObjectRef{Namespace: "test", Name: "split"}})
				if err != nil || len(l.Backends) != 1 || l.Backends[0].Service != "podinfo" {
					t.Fatalf("%+v, %v", l, err)
				}
			}
			if read.Load() != 1 || forwards.Load() != 1 {
				t.Errorf("%d pages, %d port-forwards", read.Load(), forwards.Load())
			}
		})
	}
}

func frontendPod(t *testing.T, cfg *rest.Config) string {
	t.Helper()
	pods, err := kubernetes.NewForConfigOrDie(cfg).CoreV1().Pods("test").List(t.Context(), metav1.ListOptions{LabelSelector: "app=frontend"})
	if err != nil || len(pods.Items) == 0 {
		t.Fatal(err)
	}
	return pods.Items[0].Name
}
