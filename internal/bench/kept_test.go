package bench

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// What checks refuse has a folder with a page, of every kind of run.
func TestWhatIsRefusedIsKept(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(context.Context, Config) (report.Report, error){
		"run":   Run,
		"drill": func(ctx context.Context, c Config) (report.Report, error) { return Drill(ctx, DrillConfig{Config: c}) },
		"watch": func(ctx context.Context, c Config) (report.Report, error) { return Watch(ctx, WatchConfig{Config: c}) },
		"latency": func(ctx context.Context, c Config) (report.Report, error) {
			c.Query.Split = ""
			return Latency(ctx, LatencyConfig{
				Config: c, Targets: []string{"svc/podinfo-east"}, Against: "svc/podinfo", Rounds: 20, Round: time.Second,
			})
		},
	}
	for name, measure := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := connect(t, world(t, demo.Options{Seed: 91, OffMesh: true}), 100)
			r, err := measure(t.Context(), cfg)
			if err != nil || r.Verdict.Outcome != report.Invalid {
				t.Fatalf("%s, %v", r.Verdict.Outcome, err)
			}
			f := latest(t, cfg.ResultsDir)
			v, err := f.Verify()
			if err != nil || f.Status != store.Refused {
				t.Errorf("status %s, %+v, %v", f.Status, v, err)
			}
			page, err := f.ReadFile("report.html")
			if err != nil || !strings.Contains(string(page), "linkerd-proxy") || r.Run.Dir != f.Dir {
				t.Errorf("no page that names the proxy in %s: %v", r.Run.Dir, err)
			}
			if name == "watch" { // it is never judged again
				return
			}
			again, err := judge.Analyze(f, nil)
			if err != nil || again.Verdict.Outcome != report.Invalid {
				t.Errorf("stored: %s, %v", again.Verdict.Outcome, err)
			}
		})
	}
}

// A refusal that cannot be kept says so, and names no folder.
func TestARefusalThatCannotBeKeptSaysSo(t *testing.T) {
	t.Parallel()
	cfg := connect(t, world(t, demo.Options{Seed: 92, OffMesh: true}), 100)
	cfg.ResultsDir += "/file"
	if err := os.WriteFile(cfg.ResultsDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), cfg)
	why := strings.Join(r.Verdict.Reasons, "\n")
	if err != nil || r.Run.Dir != "" || !strings.Contains(why, "could not be kept") || !strings.Contains(why, "linkerd-proxy") {
		t.Errorf("dir %q, %v:\n%s", r.Run.Dir, err, why)
	}
}

// A run whose folder is lost before its verdict is written is no pass with a path that is not there.
func TestWhatCannotBeKeptIsNoPass(t *testing.T) {
	t.Parallel()
	cfg := connect(t, world(t, demo.Options{Seed: 1}), 3000)
	cfg.Progress = func(p Progress) {
		if p.Phase != "judge" {
			return
		}
		if err := os.RemoveAll(latestRunning(t, cfg.ResultsDir)); err != nil {
			t.Error(err)
		}
	}
	r, err := Run(t.Context(), cfg)
	why := strings.Join(r.Verdict.Reasons, "\n")
	if err != nil || r.Verdict.Outcome != report.Invalid || r.Verdict.StatisticalOutcome != report.Pass ||
		!strings.Contains(why, "could not be kept") {
		t.Errorf("%s (%s) %q, %+v, %v", r.Verdict.Outcome, r.Verdict.StatisticalOutcome, r.Verdict.Reasons, r.Backends, err)
	}
}

func latestRunning(t *testing.T, dir string) string {
	t.Helper()
	all, err := store.List(dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d runs, %v", len(all), err)
	}
	return all[0].Dir
}
