package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
)

// kindsOfRun are runs of every kind of one world, each as long as its kind needs, with something done once it sends.
// Times and rates are the runner's: none of these verdicts rests on chance.
func kindsOfRun(t *testing.T, w *demo.Clusters, act func()) map[string]func(context.Context) (report.Report, error) {
	t.Helper()
	begin := func(cfg *Config) {
		cfg.Progress = func(p Progress) {
			if p.Live != nil && p.Live.Requests > 0 && act != nil {
				act()
				act = nil
			}
		}
	}
	return map[string]func(context.Context) (report.Report, error){
		report.KindSplit: func(ctx context.Context) (report.Report, error) {
			cfg := connect(t, w, 1500)
			begin(&cfg)
			return Run(ctx, cfg)
		},
		report.KindLatency: func(ctx context.Context) (report.Report, error) {
			cfg := LatencyConfig{
				Config: connect(t, w, 0), Targets: []string{"svc/podinfo-east"}, Against: "svc/podinfo", Rounds: 20,
				Round: 100 * time.Millisecond,
			}
			cfg.Load.Rate = attack.Rate{Hits: 200, Per: time.Second}
			begin(&cfg.Config)
			return Latency(ctx, cfg)
		},
		report.KindDrill: func(ctx context.Context) (report.Report, error) {
			cfg := DrillConfig{Config: connect(t, w, 900)}
			cfg.Load.Rate = attack.Rate{Hits: 300, Per: time.Second}
			begin(&cfg.Config)
			return Drill(ctx, cfg)
		},
		report.KindWatch: func(ctx context.Context) (report.Report, error) {
			cfg := watchOf(t, w)
			cfg.For = 3 * time.Second
			begin(&cfg.Config)
			return Watch(ctx, cfg)
		},
	}
}

// What the client's proxy shows is read in every kind of run, and means what it means for that kind.
func TestEveryKindOfRunHasTheWitness(t *testing.T) {
	t.Parallel()
	const (
		stale     = "still uses the routes that it cached before the ServiceProfile ruled"
		restarted = "was started at"
		shut      = "gave its weight to the other backends"
	)
	for _, tt := range []struct {
		name    string
		world   demo.Options
		act     func(*demo.Clusters)
		path    law.Path
		invalid map[string]bool // kinds whose result it takes away
		say     string
		check   preflight.Status // of the proxy's path, where the kind has that check
	}{
		{
			name: "in force", world: demo.Options{Seed: 61}, path: law.PathServiceProfile, check: preflight.OK,
		},
		{
			name: "stale path", world: demo.Options{Seed: 62, StalePath: true}, path: law.PathDefault, say: stale,
			invalid: map[string]bool{report.KindSplit: true, report.KindDrill: true, report.KindWatch: true},
			check:   preflight.Failed,
		},
		{
			name: "restart", world: demo.Options{Seed: 63}, act: (*demo.Clusters).RestartProxy, path: law.PathServiceProfile,
			say: restarted, check: preflight.OK,
			invalid: map[string]bool{report.KindSplit: true, report.KindDrill: true, report.KindLatency: true},
		},
		{ // a watch sees the share leave its tolerance too, and says why
			name: "redistributed", world: demo.Options{Seed: 64}, act: func(w *demo.Clusters) { w.ShutGate(true) },
			path: law.PathServiceProfile, say: shut, check: preflight.OK,
			invalid: map[string]bool{report.KindSplit: true, report.KindWatch: true},
		},
	} {
		for _, kind := range []string{report.KindSplit, report.KindLatency, report.KindDrill, report.KindWatch} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				w := world(t, tt.world)
				var act func()
				if tt.act != nil {
					act = func() { tt.act(w) }
				}
				r, err := kindsOfRun(t, w, act)[kind](t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if r.Witness == nil || !r.Witness.Available || r.Witness.Path != string(tt.path) {
					t.Fatalf("witness %+v; warnings %q, reasons %q", r.Witness, r.Warnings, r.Verdict.Reasons)
				}
				reasons := strings.Join(r.Verdict.Reasons, "\n")
				said := strings.Join(append(r.Warnings, reasons), "\n")
				if !strings.Contains(said, tt.say) {
					t.Errorf("nothing says %q:\n%s", tt.say, said)
				}
				if got := tt.say != "" && strings.Contains(reasons, tt.say); got != tt.invalid[kind] || got && r.Verdict.Outcome != report.Invalid {
					t.Errorf("outcome %s, %q", r.Verdict.Outcome, r.Verdict.Reasons)
				}
				for _, c := range r.Checks {
					if c.ID == "SB001" && c.Status != tt.check {
						t.Errorf("%s is %s beside a witness that told: %s", c.ID, c.Status, c.Seen)
					}
				}
				if tt.say == stale && kind != report.KindLatency && !strings.Contains(strings.Join(r.Verdict.Remedies, "\n"),
					"rollout restart deploy/frontend") {
					t.Errorf("remedies %q", r.Verdict.Remedies)
				}
			})
		}
	}
}

// A backend that never answered has not failed over: on a stale path nothing took over from it.
func TestDrillOfABackendThatNeverAnswered(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]demo.Options{
		"stale path": {Seed: 65, StalePath: true}, "no witness": {Seed: 66, StalePath: true, NoCounters: true},
		"all from one": {Seed: 67, TrueWeights: map[string]int64{"podinfo": 1, "podinfo-east": 0}, NoCounters: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := kindsOfRun(t, world(t, o), nil)[report.KindDrill](t.Context())
			if err != nil {
				t.Fatal(err)
			}
			reasons := strings.Join(r.Verdict.Reasons, "\n")
			if r.Verdict.Outcome != report.Invalid || len(r.Drill.Failovers) > 0 ||
				!strings.Contains(reasons, "podinfo-east has weight and gave no answer at all") {
				t.Errorf("%s %s: %+v", r.Verdict.Outcome, reasons, r.Drill.Failovers)
			}
		})
	}
}
