package bench

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// refusing is an address at which nothing listens: a port that was free a moment ago may be another test's by now.
func refusing(*testing.T) string { return "127.0.0.1:1" }

// silent accepts connections and never says anything.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
		}
	}()
	return l.Addr().String()
}

func answering(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// A target that cannot be measured ends as invalid and says plainly why, whatever the margin, and a sweep of it too:
// never as a pass. What was sent is stored and says the same again.
func TestLatencyOfATargetThatNeverAnswers(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		at      string // as the pod dials it
		real    func(t *testing.T) string
		against bool // the other way round: it is what others are compared with
		says    string
	}{
		"refuses connections":        {"podinfo-east:9898", refusing, false, "svc/podinfo-east answered nothing but errors"},
		"is compared with, refusing": {"podinfo-east:9898", refusing, true, "svc/podinfo-east answered nothing but errors"},
		"accepts and never replies":  {"podinfo-east:9898", silent, false, "timeout"},
		"answers only errors": {
			"podinfo-east:9898", func(t *testing.T) string { return answering(t, 503, "{}") }, false, "svc/podinfo-east answered nothing but errors: 2 http 503",
		},
		"is answered from nowhere known": {
			"podinfo:9898", func(t *testing.T) string { return answering(t, 200, `{"hostname":"stranger"}`) }, false, "svc/podinfo gave no answer of its own",
		},
	} {
		for _, sweep := range []bool{false, true} {
			if sweep && x.against {
				continue
			}
			t.Run(fmt.Sprintf("%s, sweep %v", name, sweep), func(t *testing.T) {
				t.Parallel() // one of them waits for its timeouts
				w := world(t, demo.Options{Seed: 17, Forward: map[string]string{x.at: x.real(t)}})
				cfg := compareTargets(t, w)
				cfg.Round, cfg.Load.Rate, cfg.Load.WarmUp = 100*time.Millisecond, attack.Rate{Hits: 20, Per: time.Second}, 1
				if x.says == "timeout" { // the others answer, however busy this machine is
					cfg.Load.Timeout = 200 * time.Millisecond
				}
				cfg.Margin, cfg.MarginText = analyze.Margin{Absolute: int64(time.Hour), Set: true}, "1h"
				if x.against {
					cfg.Targets, cfg.Against = []string{"svc/frontend"}, "svc/podinfo-east"
				}
				if sweep {
					cfg.Against, cfg.Margin = "", analyze.Margin{}
					cfg.Rates = []attack.Rate{{Hits: 20, Per: time.Second}, {Hits: 40, Per: time.Second}}
					cfg.Limit = &report.SweepLimit{Quantile: 0.5, Ms: 1e6}
				}
				says := x.says
				if sweep && x.at == "podinfo:9898" {
					cfg.Targets = []string{"svc/podinfo"}
				} else if sweep && says != "timeout" {
					says = "nothing but errors"
				}
				r, err := Latency(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				why := strings.Join(r.Verdict.Reasons, " ")
				if r.Verdict.Outcome != report.Invalid || why == "" || !strings.Contains(why, says) {
					t.Errorf("%s %q, want invalid because of %q", r.Verdict.Outcome, r.Verdict.Reasons, says)
				}
				t.Logf("%q", why)
				runs, err := store.List(cfg.ResultsDir)
				if err != nil || len(runs) != 1 {
					t.Fatalf("%d runs, %v", len(runs), err)
				}
				if runs[0].Status == store.Aborted {
					return // nothing was sent
				}
				again, err := judge.Analyze(runs[0], nil)
				if err != nil || again.Verdict.Outcome != report.Invalid || strings.Join(again.Verdict.Reasons, " ") != why {
					t.Errorf("stored: %s %q, %v", again.Verdict.Outcome, again.Verdict.Reasons, err)
				}
			})
		}
	}
}

// A sweep is held against a limit: what only a comparison uses is refused, not ignored.
func TestSweepRefusesWhatOnlyAComparisonUses(t *testing.T) {
	t.Parallel()
	c := LatencyConfig{
		Targets: []string{"svc/podinfo"}, Rates: []attack.Rate{{Hits: 100, Per: time.Second}},
		Round: time.Second,
	}
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	margin, baseline := c, c
	margin.Margin, baseline.Baseline = analyze.Margin{Absolute: 1e6, Set: true}, &judge.Baseline{}
	if err := margin.validate(); err == nil || !strings.Contains(err.Error(), "--limit") {
		t.Errorf("--margin: %v", err)
	}
	if err := baseline.validate(); err == nil || !strings.Contains(err.Error(), "--baseline") {
		t.Errorf("--baseline: %v", err)
	}
}
