package bench

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// connect points a run of n requests at 1,000/s at the demo's clusters.
func connect(t *testing.T, world *demo.Clusters, n uint64) Config {
	t.Helper()
	config, err := clientcmd.Load(world.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Options: analyze.DefaultOptions(), ResultsDir: t.TempDir(), Simulated: world.Simulated(), Tool: "test",
		Load:  Load{Requests: n, Rate: attack.Rate{Hits: 1000, Per: time.Second}, WarmUp: 5},
		Query: mesh.Query{Namespace: "test", Split: "ts/podinfo", From: "deploy/frontend", Container: "nginx"},
	}
	for _, name := range []string{"west", "east"} {
		rest, err := clientcmd.NewNonInteractiveClientConfig(*config, name, nil, nil).ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		client, err := mesh.Connect(rest, name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "west" {
			cfg.REST, cfg.Local = rest, client
		} else {
			cfg.Remotes = []mesh.Remote{{Client: client}}
		}
	}
	return cfg
}

func world(t *testing.T, o demo.Options) *demo.Clusters {
	t.Helper()
	w, err := demo.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func latest(t *testing.T, dir string) store.Folder {
	t.Helper()
	f, err := store.Open(dir, "latest")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// whenSending calls f once the burst is under way.
func whenSending(cfg *Config, f func()) {
	called := false
	cfg.Progress = func(p Progress) {
		if p.Live != nil && p.Live.Requests > 100 && !called {
			called = true
			f()
		}
	}
}

func TestTheLiveRunAndTheStoredOneAgree(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 1})
	cfg := connect(t, w, 1000)
	live, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	// What the agent counted is what the data plane drew: 1,000 and 5 of warm-up, and the probes of the root.
	draws := w.Draws()
	probes := draws["podinfo"] + draws["podinfo-east"] - 1005
	if live.Load == nil || live.Load.Requests != 1000 || probes < directProbes || probes > rootProbes {
		t.Errorf("load %+v, draws %v", live.Load, draws)
	}
	f, err := store.Open(cfg.ResultsDir, "latest")
	if err != nil {
		t.Fatal(err)
	}
	again, err := judge.Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(live, again, cmpopts.EquateApproxTime(0)); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
	v, err := f.Verify()
	if err != nil || f.Status != store.Complete {
		t.Errorf("%s, %v, %v", f.Status, v, err)
	}
}

// A change of the weights during the run is invalid, whatever the counts say.
func TestWeightsThatMoveAreNoVerdict(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 2})
	cfg := connect(t, w, 3000)
	whenSending(&cfg, func() {
		if err := w.SetWeights(90, 10); err != nil {
			t.Error(err)
		}
	})
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "weights") {
		t.Errorf("outcome %s, reasons %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if r.Split == nil || r.Split.Unchanged {
		t.Errorf("split: %+v", r.Split)
	}
	// From 50/50 to 90/10 in some 2,900 requests: ln 5 nats for each answer of east before, ln 1.8 for each of west after.
	if len(r.Segments) != 2 || r.Segments[1].Propagation == nil || r.Segments[1].Propagation.Seconds == nil {
		t.Errorf("the change was not located: %+v", r.Segments)
	}
}

// A change that was taken back before the end leaves the same weights, but not the same generation.
func TestWeightsThatMovedAndCameBackAreNoVerdict(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 4})
	cfg := connect(t, w, 1500)
	whenSending(&cfg, func() {
		if err := errors.Join(w.SetWeights(53, 47), w.SetWeights(50, 50)); err != nil {
			t.Error(err)
		}
	})
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "generation") {
		t.Errorf("outcome %s, reasons %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}

// Killed between the last sample and the second look at the cluster: the samples are whole, the run is not.
func TestARunThatWasNotSeenToTheEndIsNoPass(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 5})
	cfg := connect(t, w, 3000)
	if r, err := Run(t.Context(), cfg); err != nil || r.Verdict.Outcome != report.Pass {
		t.Fatalf("%s, %v", r.Verdict.Outcome, err)
	}
	f := latest(t, cfg.ResultsDir)
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	m.After = nil
	var totals wire.Totals
	tl := judge.NewTally(len(m.Weights))
	for r, err := range record.Samples(f, &totals) {
		if err != nil {
			t.Fatal(err)
		}
		tl.Add(r)
	}
	if r := judge.Conclude(m, judge.Evidence{Totals: totals, Tally: tl}); r.Verdict.Outcome != report.Invalid ||
		r.Verdict.StatisticalOutcome != report.Pass {
		t.Errorf("outcome %s, statistics %s", r.Verdict.Outcome, r.Verdict.StatisticalOutcome)
	}
}

func TestAnOverloadedGeneratorIsNoPass(t *testing.T) {
	w := world(t, demo.Options{Seed: 6, GatewayDelay: 30 * time.Millisecond})
	cfg := connect(t, w, 200)
	cfg.Load.Connections = 1 // some 65 requests per second are possible, 1,000 are planned
	cfg.Options.Tolerance = analyze.Tolerance{Points: 25}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "overloaded") {
		t.Errorf("outcome %s, reasons %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}

func TestAnInterruptedRunKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 3})
	cfg := connect(t, w, 60_000)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	whenSending(&cfg, func() { cancel(errors.New("SIGINT")) })
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || r.Run == nil || r.Run.Complete || r.Run.CutShort != "SIGINT" {
		t.Errorf("outcome %s, run %+v", r.Verdict.Outcome, r.Run)
	}
	f, err := store.Open(cfg.ResultsDir, "latest")
	if err != nil {
		t.Fatal(err)
	}
	again, err := judge.Analyze(f, nil)
	if err != nil || f.Status != store.Partial || again.Load == nil || again.Load.Requests != r.Load.Requests {
		t.Errorf("%v, status %s, load %+v and %+v", err, f.Status, r.Load, again.Load)
	}
}

func TestARefusedRunSendsNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    demo.Options
		want string
	}{
		"off mesh":     {demo.Options{OffMesh: true}, "linkerd-proxy"},
		"gateway down": {demo.Options{GatewayDown: true}, "gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t, tt.o)
			cfg := connect(t, w, 1000)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), tt.want) {
				t.Errorf("outcome %s, reasons %q", r.Verdict.Outcome, r.Verdict.Reasons)
			}
			if f := latest(t, cfg.ResultsDir); f.Status != store.Refused {
				t.Errorf("status %s", f.Status)
			}
			if d := w.Draws(); d["podinfo"]+d["podinfo-east"] != 0 {
				t.Errorf("requests were sent: %v", d)
			}
		})
	}
}

func TestWhatIsWrongHereIsAUsageError(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{})
	for name, change := range map[string]func(*Config){
		"url":       func(c *Config) { c.URL = "http://elsewhere:9898/" },
		"results":   func(c *Config) { c.ResultsDir = "/proc/nowhere" },
		"rule":      func(c *Config) { c.Rules = []judge.ClassifyRule{{Backend: "nobody"}} },
		"tolerance": func(c *Config) { c.Load.Requests = 0; c.Options.Tolerance.Points = 0.1 },
	} {
		cfg := connect(t, w, 100)
		change(&cfg)
		_, err := Run(t.Context(), cfg)
		var u *record.UsageError
		if !errors.As(err, &u) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if d := w.Draws(); d["podinfo"]+d["podinfo-east"] != 0 {
		t.Errorf("requests were sent: %v", d)
	}
}
