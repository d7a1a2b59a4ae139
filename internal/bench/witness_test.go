package bench

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"
)

// 3,000 requests at 50/50 pass a tolerance of 5 points with probability 0.998; the seeds of this file do. With 5,000
// draws of which they are a part it is the same.

// TestTheSecondWitness runs against the demo's data plane, whose proxy counts what it draws: simulated counters on the
// real wire. Each case says what the counters must make of the run.
func TestTheSecondWitness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		world   demo.Options
		witness string
		during  func(*demo.Clusters)
		outcome string
		path    law.Path
		agrees  bool
		say     string // in reasons, warnings and remedies
	}{
		{name: "profile path", world: demo.Options{Seed: 11}, outcome: report.Pass, path: law.PathServiceProfile, agrees: true},
		{
			name: "old proxy", world: demo.Options{Seed: 13, OldProxy: true}, outcome: report.Pass, path: law.PathServiceProfile,
			agrees: true,
		},
		{
			name: "no counters", world: demo.Options{Seed: 14, NoCounters: true}, outcome: report.Pass,
			say: "there is no second witness: the proxy's counters could not be read at http://127.0.0.1:4191/metrics: status " +
				"404",
		},
		{name: "not asked", world: demo.Options{Seed: 15}, witness: witness.Off, outcome: report.Pass},
		{
			name: "asked for Envoy's", world: demo.Options{Seed: 16}, witness: string(witness.Envoy), outcome: report.Pass,
			say: "there is no second witness",
		},
		{
			name: "stale path", world: demo.Options{Seed: 17, StalePath: true}, outcome: report.Invalid, path: law.PathDefault, agrees: true,
			say: "restart the client's pods, whose proxies then read the objects anew: kubectl -n test rollout restart " +
				"deploy/frontend",
		},
		{
			name: "restart", world: demo.Options{Seed: 19}, during: (*demo.Clusters).RestartProxy, outcome: report.Invalid,
			path: law.PathServiceProfile, say: "the proxy of the client pod was not the same all the time",
		},
		{
			name: "gate shut", world: demo.Options{Seed: 20}, during: func(w *demo.Clusters) { w.ShutGate(true) },
			outcome: report.Invalid, path: law.PathServiceProfile, agrees: true, say: "gave its weight to the other backends",
		},
		{
			name: "gate shut and opened", world: demo.Options{Seed: 21}, during: func(w *demo.Clusters) { w.ShutGate(true); w.ShutGate(false) },
			outcome: report.Invalid, path: law.PathServiceProfile, agrees: true, say: "its queue was shut 1 times",
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
			available := tt.path != ""
			if (r.Witness == nil) != (tt.witness == witness.Off) || r.Witness != nil && r.Witness.Available != available {
				t.Fatalf("witness %+v", r.Witness)
			}
			if available {
				if r.Witness.Path != string(tt.path) || r.Witness.Agrees != tt.agrees ||
					r.Witness.Undisturbed != (tt.outcome == report.Pass) {
					t.Errorf("witness %+v", r.Witness)
				}
			}
			if available && tt.agrees {
				var drawn int64
				for _, d := range r.Witness.Draws {
					drawn += d.Drawn
				}
				if drawn != r.Witness.Requests || r.Witness.Background != 0 || drawn != 3005 {
					t.Errorf("%d draws, %d requests, %d of others; 3,000 and 5 of warm-up were sent", drawn, r.Witness.Requests,
						r.Witness.Background)
				}
			}
			again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.Witness, again.Witness); d != "" {
				t.Errorf("live and stored differ (-live +stored):\n%s", d)
			}
		})
	}
}

// Another run out of the same pod at the same time is background to this one: it is drawn by the same law, counted by
// the same proxy, and takes nothing away.
func TestBackgroundTrafficOfThePod(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 22})
	cfg, other := connect(t, w, 3000), connect(t, w, 60_000) // which ends with the first
	ctx, stop := context.WithCancel(t.Context())
	sends := make(chan struct{})
	begun := sync.OnceFunc(func() { close(sends) })
	other.Progress = func(p Progress) {
		if p.Phase == "attack" {
			begun()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer begun()
		if _, err := Run(ctx, other); err != nil {
			t.Error(err)
		}
	})
	<-sends
	r, err := Run(t.Context(), cfg)
	stop()
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if x := r.Witness; r.Verdict.Outcome != report.Pass || !x.Agrees || !x.Undisturbed || x.Background < 100 ||
		x.Outcome != report.Pass {
		t.Errorf("outcome %s, witness %+v, reasons %q", r.Verdict.Outcome, x, r.Verdict.Reasons)
	}
}

// The proxies of all pods that send are asked, and what they drew together is held against all answers.
func TestTheSecondWitnessOfSeveralPods(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 23, Frontends: 3})
	cfg := connect(t, w, 3000)
	cfg.Query.Pods = 3
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	x := r.Witness
	if r.Verdict.Outcome != report.Pass || x == nil || !x.Agrees || !x.Undisturbed || x.Requests != 3005 ||
		x.Background != 0 {
		t.Fatalf("outcome %s, reasons %q, witness %+v", r.Verdict.Outcome, r.Verdict.Reasons, x)
	}
	again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(x, again.Witness); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
}
