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
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
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

// A target that cannot be measured ends as invalid and says plainly why, whatever the margin, and a sweep of it too: never as a
// pass. What was sent is stored and says the same again.
func TestLatencyOfATargetThatNeverAnswers(t *testing.T) {
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
			"podinfo-east:9898", func(t *testing.T) string { return answering(t, 503, "{}") }, false, "svc/podinfo-east answered nothing but errors: 40 http 503",
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
				cfg.Round, cfg.Load.Rate, cfg.Load.WarmUp, cfg.Load.Timeout = 100*time.Millisecond, attack.Rate{Hits: 20, Per: time.Second}, 1, 200*time.Millisecond
				cfg.Margin, cfg.MarginText = analyze.Margin{Absolute: int64(time.Hour), Set: true}, "1h"
				if x.against {
					cfg.Targets, cfg.Against = []string{"svc/frontend"}, "svc/podinfo-east"
				}
				if sweep {
					cfg.Against, cfg.Margin, cfg.Rates = "", analyze.Margin{}, []attack.Rate{{Hits: 20, Per: time.Second}, {Hits: 40, Per: time.Second}}
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
				again, err := Analyze(runs[0], nil)
				if err != nil || again.Verdict.Outcome != report.Invalid || strings.Join(again.Verdict.Reasons, " ") != why {
					t.Errorf("stored: %s %q, %v", again.Verdict.Outcome, again.Verdict.Reasons, err)
				}
			})
		}
	}
}

// A sweep whose steps are too short for its limit's quantile is no pass: of 100 answers all are below any limit that is exceeded
// by less than 1 in 100. With enough of them it is.
func TestSweepOfTooFewAnswers(t *testing.T) {
	fast := func(i int) time.Duration { return time.Millisecond + time.Duration(i%97)*time.Microsecond }
	sweep := func(counts ...int) report.Report {
		m := latencyManifest(0)
		m.Latency.Sweep, m.Latency.Against, m.Latency.Targets = true, false, m.Latency.Targets[:1]
		m.Latency.Limit = &report.SweepLimit{Quantile: 0.99, Ms: 50}
		var times latencyTimes
		for i, n := range counts {
			one := timesOf(1, n, fast)
			times.steps = append(times.steps, one.steps...)
			m.Latency.Bursts = append(m.Latency.Bursts, LatencyBurst{Rate: attack.Rate{Hits: uint64(100 * (i + 1)), Per: time.Second}, Requests: uint64(n)})
		}
		return concludeLatency(m, []latencyTimes{times}, nil)
	}
	r := sweep(100, 100)
	if r.Verdict.Outcome != report.Inconclusive || !strings.Contains(strings.Join(r.Verdict.Reasons, " "), "p99 needs 528 answers") || r.Comparison.Sweep.HoldsAt != nil {
		t.Errorf("%s %q %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Comparison.Sweep)
	}
	if r := sweep(100, 600); r.Verdict.Outcome != report.Pass || *r.Comparison.Sweep.HoldsAt != 200 || r.Comparison.Sweep.Steps[0].State != "unclear" {
		t.Errorf("%s %q %+v", r.Verdict.Outcome, r.Verdict.Reasons, r.Comparison.Sweep)
	}
	if r := sweep(600, 100); r.Verdict.Outcome != report.Inconclusive {
		t.Errorf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if r := sweep(); r.Verdict.Outcome == report.Pass {
		t.Errorf("without a step: %s", r.Verdict.Outcome)
	}
}

// A step holds or breaks where its answers show it: near the limit it does neither, and no gate is green by a coin's fall.
func TestSweepNearItsLimit(t *testing.T) {
	l := &report.SweepLimit{Quantile: 0.99, Ms: 50}
	for _, x := range []struct {
		name  string
		slow  func(i int) bool // of 2,000 requests; 20 may be slow
		fails int64
		state string
		why   string
	}{
		{"none is slow", func(int) bool { return false }, 0, stepHolds, ""},
		{"5 here and there", func(i int) bool { return i%400 == 7 }, 0, stepHolds, ""},
		{"17", func(i int) bool { return i%117 == 7 }, 0, stepUnclear, "18 of 2000 requests took longer, 20 may"},
		{"22", func(i int) bool { return i%91 == 7 }, 0, stepUnclear, "22 of 2000 requests took longer, 20 may"},
		{"5, all at once", func(i int) bool { return i/5 == 100 }, 0, stepUnclear, "close together"},
		{"40", func(i int) bool { return i%50 == 7 }, 0, stepBreaks, ""},
		{"40 that never came", func(int) bool { return false }, 40, stepBreaks, ""},
		{"5 that never came", func(int) bool { return false }, 5, stepUnclear, "close together"},
		{"nothing but errors", nil, 2000, stepBreaks, ""},
	} {
		b := newBurstTimes(-1)
		for i := range 2000 {
			if x.slow == nil {
				break
			}
			at := time.Duration(i) * time.Millisecond
			took := time.Millisecond
			if x.slow(i) {
				took = 60 * time.Millisecond
			}
			b.add(attack.Result{Seq: uint64(i), Planned: at, Sent: at, Done: at + took, Status: 200, Backend: attack.Unattributed})
		}
		b.errors += x.fails
		state, why := judgeStep(b, l, 0.01)
		if state != x.state || !strings.Contains(why, x.why) {
			t.Errorf("%s: %s %q, want %s %q", x.name, state, why, x.state, x.why)
		}
	}
	if state, why := judgeStep(newBurstTimes(-1), l, 0.01); state != stepUnclear || why == "" {
		t.Errorf("nothing: %s %q", state, why)
	}
}

// A limit that breaks only because requests were sent late says nothing of the target: the generator was late, or had too few
// connections. One that breaks in the answers themselves does.
func TestSweepWhoseGeneratorIsLate(t *testing.T) {
	m := latencyManifest(0)
	m.Latency.Sweep, m.Latency.Against, m.Latency.Targets = true, false, m.Latency.Targets[:1]
	m.Latency.Limit = &report.SweepLimit{Quantile: 0.99, Ms: 50}
	m.Latency.Bursts = []LatencyBurst{{Rate: attack.Rate{Hits: 100, Per: time.Second}, Requests: 500}}
	for _, x := range []struct {
		late, took time.Duration
		want       string
	}{{80 * time.Millisecond, time.Millisecond, report.Inconclusive}, {0, 80 * time.Millisecond, report.Fail}, {0, time.Millisecond, report.Pass}} {
		b := newBurstTimes(-1)
		for i := range 500 {
			at := time.Duration(i) * 10 * time.Millisecond
			b.add(attack.Result{Seq: uint64(i), Planned: at, Sent: at + x.late, Done: at + x.late + x.took, Status: 200, Backend: attack.Unattributed})
		}
		var times latencyTimes
		times.take(b, wire.Totals{}, true)
		r := concludeLatency(m, []latencyTimes{times}, nil)
		if r.Verdict.Outcome != x.want {
			t.Errorf("sent %s late and answered in %s: %s %q, want %s", x.late, x.took, r.Verdict.Outcome, r.Verdict.Reasons, x.want)
		}
	}
}

// A sweep is held against a limit: what only a comparison uses is refused, not ignored.
func TestSweepRefusesWhatOnlyAComparisonUses(t *testing.T) {
	c := LatencyConfig{Targets: []string{"svc/podinfo"}, Rates: []attack.Rate{{Hits: 100, Per: time.Second}}, Round: time.Second}
	if err := c.validate(); err != nil {
		t.Fatal(err)
	}
	margin, baseline := c, c
	margin.Margin, baseline.Baseline = analyze.Margin{Absolute: 1e6, Set: true}, &store.Folder{}
	if err := margin.validate(); err == nil || !strings.Contains(err.Error(), "--limit") {
		t.Errorf("--margin: %v", err)
	}
	if err := baseline.validate(); err == nil || !strings.Contains(err.Error(), "--baseline") {
		t.Errorf("--baseline: %v", err)
	}
}
