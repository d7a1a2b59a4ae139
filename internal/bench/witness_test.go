package bench

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// 3,000 requests at 50/50 pass a tolerance of 5 points with probability 0.998; the seeds of this file do. With 5,000 draws of
// which they are a part it is the same.

// TestTheSecondWitness runs against the demo's data plane, whose proxy counts what it draws: simulated counters on the real
// wire. Each case says what the counters must make of the run.
func TestTheSecondWitness(t *testing.T) {
	for _, tt := range []struct {
		name    string
		world   demo.Options
		witness string
		during  func(*demo.Clusters)
		outcome string
		path    witness.Path
		agrees  bool
		say     string // in reasons, warnings and remedies
	}{
		{name: "profile path", world: demo.Options{Seed: 11}, outcome: report.Pass, path: witness.PathProfile, agrees: true},
		{name: "old proxy", world: demo.Options{Seed: 13, OldProxy: true}, outcome: report.Pass, path: witness.PathProfile, agrees: true},
		{
			name: "no counters", world: demo.Options{Seed: 14, NoCounters: true}, outcome: report.Pass,
			say: "there is no second witness: the proxy's counters could not be read at http://127.0.0.1:4191/metrics: status 404",
		},
		{name: "not asked", world: demo.Options{Seed: 15}, witness: WitnessOff, outcome: report.Pass},
		{
			name: "asked for Envoy's", world: demo.Options{Seed: 16}, witness: WitnessEnvoy, outcome: report.Pass,
			say: "there is no second witness",
		},
		{
			name: "stale path", world: demo.Options{Seed: 17, StalePath: true}, outcome: report.Invalid, path: witness.PathDefault, agrees: true,
			say: "restart the client's pods, whose proxies then read the objects anew: kubectl -n test rollout restart deploy/frontend",
		},
		{
			name: "restart", world: demo.Options{Seed: 19}, during: (*demo.Clusters).RestartProxy, outcome: report.Invalid,
			path: witness.PathProfile, say: "the proxy of the client pod was not the same all the time",
		},
		{
			name: "gate shut", world: demo.Options{Seed: 20}, during: func(w *demo.Clusters) { w.ShutGate(true) },
			outcome: report.Invalid, path: witness.PathProfile, agrees: true, say: "gave its weight to the other backends",
		},
		{
			name: "gate shut and opened", world: demo.Options{Seed: 21}, during: func(w *demo.Clusters) { w.ShutGate(true); w.ShutGate(false) },
			outcome: report.Invalid, path: witness.PathProfile, agrees: true, say: "its queue was shut 1 times",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := world(t, tt.world)
			cfg := connect(t, w, 3000)
			cfg.Witness = tt.witness
			if tt.world.Route {
				cfg.Query.Split = "httproute/podinfo"
			}
			if tt.during != nil {
				whenSending(&cfg, func() { tt.during(w) })
			}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != tt.outcome {
				t.Errorf("outcome %s, want %s: %q", r.Verdict.Outcome, tt.outcome, r.Verdict.Reasons)
			}
			said := strings.Join(append(append(r.Verdict.Reasons, r.Verdict.Remedies...), r.Warnings...), "\n")
			if !strings.Contains(said, tt.say) {
				t.Errorf("nothing says %q:\n%s", tt.say, said)
			}
			available := tt.path != witness.PathUnknown
			if (r.Witness == nil) != (tt.witness == WitnessOff) || r.Witness != nil && r.Witness.Available != available {
				t.Fatalf("witness %+v", r.Witness)
			}
			if available {
				if r.Witness.Path != string(tt.path) || r.Witness.Agrees != tt.agrees || r.Witness.Undisturbed != (tt.outcome == report.Pass) {
					t.Errorf("witness %+v", r.Witness)
				}
			}
			if available && tt.agrees {
				var drawn int64
				for _, d := range r.Witness.Draws {
					drawn += d.Drawn
				}
				if drawn != r.Witness.Requests || r.Witness.Background != 0 || drawn != 3005 {
					t.Errorf("%d draws, %d requests, %d of others; 3,000 and 5 of warm-up were sent", drawn, r.Witness.Requests, r.Witness.Background)
				}
			}
			again, err := Analyze(latest(t, cfg.ResultsDir), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.Witness, again.Witness); d != "" {
				t.Errorf("live and stored differ (-live +stored):\n%s", d)
			}
		})
	}
}

// Another run out of the same pod at the same time is background to this one: it is drawn by the same law, counted by the
// same proxy, and takes nothing away.
func TestBackgroundTrafficOfThePod(t *testing.T) {
	w := world(t, demo.Options{Seed: 22})
	cfg, other := connect(t, w, 3000), connect(t, w, 1500)
	var wg sync.WaitGroup
	began := false
	cfg.Progress = func(p Progress) {
		if p.Phase == "attack" && !began {
			began = true
			wg.Add(1)
			go func() {
				defer wg.Done()
				if _, err := Run(t.Context(), other); err != nil {
					t.Error(err)
				}
			}()
		}
	}
	r, err := Run(t.Context(), cfg)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if x := r.Witness; r.Verdict.Outcome != report.Pass || !x.Agrees || !x.Undisturbed || x.Background < 100 || x.Outcome != report.Pass {
		t.Errorf("outcome %s, witness %+v, reasons %q", r.Verdict.Outcome, x, r.Verdict.Reasons)
	}
}

// The proxies of all pods that send are asked, and what they drew together is held against all answers.
func TestTheSecondWitnessOfSeveralPods(t *testing.T) {
	w := world(t, demo.Options{Seed: 23, Frontends: 3})
	cfg := connect(t, w, 3000)
	cfg.Query.Pods = 3
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	x := r.Witness
	if r.Verdict.Outcome != report.Pass || x == nil || !x.Agrees || !x.Undisturbed || x.Requests != 3005 || x.Background != 0 {
		t.Fatalf("outcome %s, reasons %q, witness %+v", r.Verdict.Outcome, r.Verdict.Reasons, x)
	}
	again, err := Analyze(latest(t, cfg.ResultsDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(x, again.Witness); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
}

// facts of a run of two backends whose proxy said these pages.
func testified(before, after string, conns bool, n int64) (report.Input, testimony) {
	m := Manifest{
		Weights: analyze.Weights{{Backend: "podinfo", W: 50}, {Backend: "podinfo-east", W: 50}}, Options: analyze.DefaultOptions(),
		Before: &law.Snapshot{
			Root: law.Service{Namespace: "test", Name: "podinfo", Found: true}, Port: 9898,
			Law:    law.Law{Provider: law.ProviderLinkerd, Path: law.PathServiceProfile},
			Source: law.Pod{Name: "frontend-1", Workload: "--from deploy/frontend"},
			Backends: []law.Backend{
				{Name: "podinfo", Weight: 50, Service: law.Service{Namespace: "test", Name: "podinfo"}, Port: 9898},
				{Name: "podinfo-east", Weight: 50, Service: law.Service{Namespace: "test", Name: "podinfo-east"}, Port: 9898},
			},
		},
		Witness: &WitnessFacts{Kind: witness.Linkerd, Pods: []ProxyPages{{before: []byte(before), after: []byte(after), ElapsedMs: 1000}}},
	}
	t := newTally(2)
	var outcomes wire.Tally
	for i := range n {
		r := attack.Result{Seq: uint64(i), Backend: int16(i % 2), Status: 200, Conn: -1}
		if conns {
			r.Conn = int32(i / 10)
			r.Backend = int16(i / 10 % 2)
		}
		outcomes.Add(r)
		t.add(r)
	}
	t.sorted()
	totals := wire.Totals{Requests: uint64(n), Tally: outcomes.Entries(), Reason: wire.ReasonDone}
	in := report.Input{Counts: t.counts}
	return in, testify(&in, m, t, totals)
}

func queue(kind string, west, east int) string {
	const parent = `parent_namespace="test",parent_name="podinfo",parent_port="9898",parent_kind="Service"`
	return fmt.Sprintf(`outbound_%s_balancer_queue_requests_total{%s,backend_namespace="test",backend_name="podinfo"} %d
outbound_%s_balancer_queue_requests_total{%s,backend_namespace="test",backend_name="podinfo-east"} %d
`, kind, parent, west, kind, parent, east)
}

// A proxy that draws again what failed makes its own draws what is judged.
func TestRetriesChangeTheUnit(t *testing.T) {
	route := func(requests, attempts int) string {
		return fmt.Sprintf(`route_request_total{direction="outbound",dst="podinfo.test.svc.cluster.local:9898"} %d
route_actual_request_total{direction="outbound",dst="podinfo.test.svc.cluster.local:9898"} %d
`, requests, attempts)
	}
	in, got := testified(queue("http", 0, 0), queue("http", 560, 540)+route(1000, 1100), false, 1000)
	if got.unit != witness.UnitDraw || !cmp.Equal(got.counts.N, []int64{560, 540}) || !cmp.Equal(in.Counts.N, []int64{560, 540}) ||
		in.Witness.Unit != witness.UnitDraw || in.Witness.Retries != 100 || len(in.Invalid) > 0 {
		t.Errorf("unit %q, counts %v, witness %+v, invalid %q", got.unit, got.counts, in.Witness, in.Invalid)
	}
}

// A proxy that does not look into connections makes connections what is judged: 100 of 10 requests each.
func TestOpaquePortsChangeTheUnit(t *testing.T) {
	in, got := testified(queue("tcp", 0, 0), queue("tcp", 50, 50), true, 1000)
	if got.unit != witness.UnitConnection || !cmp.Equal(in.Counts.N, []int64{50, 50}) || len(in.Invalid) > 0 || got.ordered == nil || got.ordered.n != 100 {
		t.Errorf("unit %q, counts %v, invalid %q", got.unit, in.Counts, in.Invalid)
	}
	// Answers of different backends over one connection: something else draws.
	in, got = testified(queue("tcp", 0, 0), queue("tcp", 50, 50), false, 1000)
	if len(in.Invalid) != 1 {
		t.Errorf("unit %q, invalid %q", got.unit, in.Invalid)
	}
}

// Answers that follow the weights over draws that do not are no pass.
func TestDrawsThatDoNotFollowTheWeights(t *testing.T) {
	in, _ := testified(queue("http", 0, 0), queue("http", 9000, 3000), false, 4000)
	if len(in.Diagnostics) != 1 || in.Diagnostics[0].OK || in.Diagnostics[0].Effect != report.EffectDowngrade || !in.Witness.Agrees ||
		in.Witness.Background != 8000 {
		t.Errorf("diagnostics %+v, witness %+v", in.Diagnostics, in.Witness)
	}
	if in, _ = testified(queue("http", 0, 0), queue("http", 1000, 3000), false, 4000); in.Witness.Agrees || len(in.Invalid) != 1 ||
		!strings.Contains(in.Invalid[0], "podinfo answered 2000 requests, and the proxy drew it 1000 times") {
		t.Errorf("invalid %q", in.Invalid)
	}
}

func TestParseWitness(t *testing.T) {
	for _, s := range []string{"", "auto", "linkerd", "envoy", "off", "http://127.0.0.1:15000/stats"} {
		if err := ParseWitness(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"istio", "https://x/", "http://", "127.0.0.1:4191", "file:///etc/passwd"} {
		if ParseWitness(s) == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
