package bench

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

func TestASequentialRunStopsAndIsJudgedAgainAlike(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]demo.Options{
		"pass": {Seed: 1},
		"fail": {Seed: 1, TrueWeights: map[string]int64{"podinfo": 65, "podinfo-east": 35}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := connect(t, world(t, o), 20_000)
			cfg.Sequential = &record.Sequential{Every: 100}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict.Outcome != name || r.Sequential == nil || r.Sequential.Requests >= 10_000 || !r.Run.Complete {
				t.Errorf("outcome %s, %+v, run %+v", r.Verdict.Outcome, r.Sequential, r.Run)
			}
			if got := r.Backends[0].Observed + r.Backends[1].Observed; got != r.Sequential.Requests {
				t.Errorf("%d counted, %d looked at", got, r.Sequential.Requests)
			}
			if m := r.Backends[0].Interval.Method; m != analyze.MethodConfidenceSequence {
				t.Errorf("interval by %s", m)
			}
			again, err := judge.Analyze(latest(t, cfg.ResultsDir), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r, again); d != "" {
				t.Errorf("live and stored differ (-live +stored):\n%s", d)
			}
		})
	}
}

func TestSequentialRefuses(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{})
	for want, change := range map[string]func(*Config){
		"--gate chisquare": func(c *Config) { c.Options.Gate = analyze.GateChiSquare },
		"262144 can be":    func(c *Config) { c.Load.Requests, c.Load.MaxRequests = 300_000, 1_000_000 },
	} {
		cfg := connect(t, w, 100)
		cfg.Sequential = &record.Sequential{}
		change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if report.Pass != string(analyze.Pass) {
		t.Error("outcomes are spelt differently in report and analyze")
	}
}
