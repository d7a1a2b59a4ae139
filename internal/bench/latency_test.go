package bench

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// compareTargets is a comparison of the demo's two backends in short rounds.
func compareTargets(t *testing.T, w *demo.Clusters) LatencyConfig {
	t.Helper()
	cfg := LatencyConfig{
		Config: connect(t, w, 0), Targets: []string{"svc/podinfo-east"}, Against: "svc/podinfo", Path: "/", Rounds: 20,
		Round: 200 * time.Millisecond,
	}
	cfg.Load.Rate = attack.Rate{Hits: 200, Per: time.Second}
	cfg.Query.Split = ""
	return cfg
}

// The demo's gateway delays each answer by 20 ms, give or take a fifth. That is found, and the report of the stored run
// is that of the live one. On a machine that is too busy to send on time the outcome must be invalid instead.
func TestLatencyFindsTheDelayAndIsStored(t *testing.T) {
	w := world(t, demo.Options{Seed: 11, GatewayDelay: 20 * time.Millisecond})
	cfg := compareTargets(t, w)
	cfg.Margin, cfg.MarginText = analyze.Margin{Absolute: int64(time.Second), Set: true}, "1s"
	r, err := Latency(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Comparison
	if r.Kind != report.KindLatencyReport || c == nil || len(c.Differences) != 1 || len(c.Targets) != 2 {
		t.Fatalf("%s %+v: %q", r.Kind, c, r.Verdict.Reasons)
	}
	median := c.Differences[0].Quantiles[0]
	if median.Ms == nil || math.Abs(*median.Ms-20) > 4 || median.Direction != analyze.DirectionSlower {
		t.Errorf("median %+v", median)
	}
	// Half of the answers of the root are drawn for east: 10 standard deviations of 800 draws are 141.
	if west := c.Targets[1]; west.Root == "" || west.Counted+west.Elsewhere != 800 ||
		math.Abs(float64(west.Counted)-400) > 141 {
		t.Errorf("the root's own answers: %+v", west)
	}
	// A late generator takes away the quantiles that it reaches, and all of them only where it reaches all.
	if late := strings.Contains(strings.Join(r.Verdict.Reasons, " "), "late"); !late && r.Verdict.Outcome == report.Fail ||
		late && r.Verdict.Outcome != report.Invalid && r.Verdict.Outcome != report.Inconclusive {
		t.Errorf("outcome %s: %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	f := latest(t, cfg.ResultsDir)
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Latency.Bursts) != 40 {
		t.Fatalf("%d bursts are stored", len(m.Latency.Bursts))
	}
	again, err := judge.Analyze(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, again, cmpopts.EquateApproxTime(0)); d != "" {
		t.Errorf("live and stored differ (-live +stored):\n%s", d)
	}
	// ABBA: each pair of rounds is an order and the same backwards, so that a drift falls on both alike.
	for i := 0; i < len(m.Latency.Bursts); i += 4 {
		b := m.Latency.Bursts[i : i+4]
		if b[0].Target == b[1].Target || b[0].Target != b[3].Target || b[1].Target != b[2].Target {
			t.Fatalf("bursts %d to %d: %+v", i, i+4, b)
		}
	}
	// Compared with itself as a baseline nothing differs.
	late := strings.Contains(strings.Join(r.Verdict.Reasons, " "), "late")
	times, err := judge.StoredTimes(f, m)
	if err != nil {
		t.Fatal(err)
	}
	b := judge.Conclude(m, judge.Evidence{Times: times, Then: &f}).Comparison.Baseline
	if !late && (b == nil || b.ID != m.ID || len(b.Differences) != 2) {
		t.Errorf("baseline %+v", b)
	} else if !late && b.Differences[0].Quantiles[0].Direction != analyze.DirectionNone {
		t.Errorf("against itself: %+v", b.Differences[0])
	}
	comparedWithItself(t, f, late)
}

// comparedWithItself compares a run with its copy, where the delay is the cost of the one target over the other.
func comparedWithItself(t *testing.T, f store.Folder, late bool) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(f.Dir)); err != nil {
		t.Fatal(err)
	}
	twin, err := store.Open(dir, "copy")
	if err != nil {
		t.Fatal(err)
	}
	want := report.Pass
	if late {
		want = report.Invalid
	}
	o := judge.CompareOptions{Absolute: time.Second, SharePoints: 5, Quantiles: []float64{0.5, 0.9}, Alpha: 0.01}
	r, err := judge.Compare(f, []store.Folder{twin}, o)
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Changes[0]; !late && (len(c.Latency) != 2 || len(c.GatewayCost) != 1 ||
		c.GatewayCost[0].Name != "svc/podinfo-east") {
		t.Errorf("compared as %+v", c)
	}
	if unknown := strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"not known ("); unknown && r.Verdict.Outcome == report.Inconclusive {
		t.Logf("this machine's neighbours made the few answers too alike for a range: %q", r.Verdict.Reasons)
	} else if r.Verdict.Outcome != want {
		t.Errorf("against itself: %s, want %s: %q", r.Verdict.Outcome, want, r.Verdict.Reasons)
	}
}

// How requests are sent is what the flags of every load say, not only what a run of one split makes of them.
func TestLatencySendsAsItIsTold(t *testing.T) {
	t.Parallel()
	cfg := compareTargets(t, world(t, demo.Options{Seed: 14}))
	cfg.Against, cfg.Rates, cfg.Round = "", []attack.Rate{cfg.Load.Rate}, 100*time.Millisecond
	cfg.Load.Template = attack.Plan{
		Engine: attack.EngineStd, Header: map[string]string{"x-canary": "always"},
		Limits: &attack.Limits{Time: time.Hour},
	}
	if _, err := Latency(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	f := latest(t, cfg.ResultsDir)
	m, err := record.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	var totals wire.Totals
	file, err := f.OpenStream(store.SamplesFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, err := range agent.NewStoredBursts(file).Next(&totals) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if totals.Engine != attack.EngineStd || m.Plan.Limits == nil || m.Plan.Header["x-canary"] != "***" {
		t.Errorf("sent by engine %q with plan %+v", totals.Engine, m.Plan)
	}
}

func TestLatencyRefusals(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 12})
	for name, change := range map[string]func(*LatencyConfig){
		"the same Service twice":   func(c *LatencyConfig) { c.Against = "svc/podinfo-east" },
		"the same by its port":     func(c *LatencyConfig) { c.Against = "svc/podinfo-east:9898" },
		"the same among targets":   func(c *LatencyConfig) { c.Targets = []string{"svc/podinfo-east", "svc/podinfo-east"} },
		"no target":                func(c *LatencyConfig) { c.Targets = nil },
		"nothing to compare with":  func(c *LatencyConfig) { c.Against = "" },
		"too few rounds":           func(c *LatencyConfig) { c.Rounds = 5 },
		"not a Service":            func(c *LatencyConfig) { c.Targets = []string{"deploy/podinfo"} },
		"a limit without a sweep":  func(c *LatencyConfig) { c.Limit = &report.SweepLimit{Quantile: 0.99, Ms: 1} },
		"a sweep of two":           func(c *LatencyConfig) { c.Rates = []attack.Rate{{Hits: 1, Per: time.Second}} },
		"a rate above the ceiling": func(c *LatencyConfig) { c.Load.Rate.Hits = 1_000_000 },
	} {
		cfg := compareTargets(t, w)
		change(&cfg)
		_, err := Latency(t.Context(), cfg)
		var usage *record.UsageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
	cfg := compareTargets(t, w)
	cfg.Targets = []string{"svc/nothing"}
	r, err := Latency(t.Context(), cfg)
	if err != nil || r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"no Service nothing") {
		t.Errorf("a Service that is not there: %s %q, %v", r.Verdict.Outcome, r.Verdict.Reasons, err)
	}
}

// A target that only fails ends in invalid and says why, never in a pass.
func TestLatencyOfATargetThatOnlyFails(t *testing.T) {
	t.Parallel()
	w := world(t, demo.Options{Seed: 13, GatewayDown: true})
	cfg := compareTargets(t, w)
	cfg.Against, cfg.Targets = "svc/podinfo-east", []string{"svc/frontend"}
	cfg.Margin, cfg.MarginText = analyze.Margin{Absolute: int64(time.Hour), Set: true}, "1h"
	r, err := Latency(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != report.Invalid || !strings.Contains(strings.Join(r.Verdict.Reasons, " "),
		"nothing but errors") {
		t.Errorf("%s %q", r.Verdict.Outcome, r.Verdict.Reasons)
	}
}

// backlogged is the latencies of a burst at a server that answers one request at a time, in 4 ms each, so 250 a second:
// at even distances 4 ms below that, and above it the n-th request waits for a backlog that grows by 4 ms less the
// distance.
func backlogged(rate attack.Rate, length time.Duration) *judge.Burst {
	const service = 4 * time.Millisecond
	b := judge.NewBurst(-1)
	free := time.Duration(0)
	schedule := attack.Constant{Rate: rate}
	for i := range rate.Requests(length) {
		at := schedule.At(i)
		free = max(free, at) + service
		b.Add(attack.Result{Seq: i, Planned: at, Sent: at, Done: free, Status: 200})
	}
	return b
}

// The limit of 100 ms at p99 breaks above 250/s, where a step of 10 s leaves a backlog of 100 ms: at 1 % too much.
func TestSweepFindsTheCapacityOfAQueue(t *testing.T) {
	t.Parallel()
	s := sweepOf(t, report.SweepLimit{Quantile: 0.99, Ms: 100}, func(rate attack.Rate) (*judge.Burst,
		error,
	) {
		return backlogged(rate, 10*time.Second), nil
	})
	if s.HoldsAt == nil || s.BreaksAt == nil || math.Abs(math.Sqrt(*s.HoldsAt**s.BreaksAt)-250) > 25 ||
		*s.BreaksAt / *s.HoldsAt > sweepFine {
		t.Errorf("want within 10 %% of 250: %s %+v", s.Sentence, s.Steps)
	}
}

// sweepOf sweeps from 150 to 600 per second and reports what was found.
func sweepOf(t *testing.T, limit report.SweepLimit, step func(attack.Rate) (*judge.Burst, error)) *report.Sweep {
	t.Helper()
	m := record.Manifest{Kind: report.KindLatency, Options: analyze.DefaultOptions(), Latency: &record.LatencyPlan{
		Targets: []record.LatencyTarget{{Name: "svc/a", Own: -1}}, Rounds: 20, Round: time.Second, Sweep: true, Limit: &limit,
	}}
	times := make([]judge.Times, 1)
	given := []attack.Rate{{Hits: 600, Per: time.Second}, {Hits: 150, Per: time.Second}}
	err := sweepRates(given, m.Latency.Limit, func(rate attack.Rate) (*judge.Burst, error) {
		b, err := step(rate)
		if err == nil {
			m.Latency.Bursts = append(m.Latency.Bursts, record.LatencyBurst{Rate: rate, Requests: uint64(b.Sent)})
			times[0].Add(b, wire.Totals{}, true)
		}
		return b, err
	})
	if err != nil {
		t.Fatal(err)
	}
	r := judge.Conclude(m, judge.Evidence{Times: times})
	s := r.Comparison.Sweep
	if s == nil {
		t.Fatalf("%s %q: no sweep", r.Verdict.Outcome, r.Verdict.Reasons)
	}
	if s.HoldsAt != nil && s.BreaksAt != nil && (r.Verdict.Outcome != report.Fail || !strings.Contains(s.Sentence,
		"breaks it at")) {
		t.Errorf("%s: %q", r.Verdict.Outcome, s.Sentence)
	}
	return s
}

// The same server for real. Half way through a step of a second the backlog is 15 ms at 3 % too much.
func TestSweepFindsTheCapacity(t *testing.T) {
	sweepForReal(t, report.SweepLimit{Quantile: 0.5, Ms: 15}, time.Second)
}

// Near the end of a step of 3 seconds the backlog is 125 ms at 4.2 % too much. Beside other tests requests are sent late, which a
// sweep refuses to judge at p99.
func TestSweepFindsTheCapacityAtP99(t *testing.T) {
	sweepForReal(t, report.SweepLimit{Quantile: 0.99, Ms: 125}, 3*time.Second)
}

// sweepForReal sweeps a server that answers one request at a time, in 4 ms each, so 250 a second.
func sweepForReal(t *testing.T, limit report.SweepLimit, length time.Duration) {
	t.Helper()
	server := startOneAtATime(t, 4*time.Millisecond)
	s := sweepOf(t, limit, func(rate attack.Rate) (*judge.Burst, error) {
		plan := attack.Plan{URL: server.url, Rate: rate, Connections: 2000, Requests: rate.Requests(length)}.WithDefaults()
		engine := attack.NewEngine(plan, attack.EngineOptions{})
		defer engine.Close()
		b := judge.NewBurst(-1)
		for result, err := range engine.Attack(t.Context(), plan) {
			if err != nil {
				return nil, err
			}
			server.late(result.Sent - result.Planned)
			b.Add(result)
		}
		return b, nil
	})
	late := time.Duration(server.latest.Load())
	t.Logf("%s This machine was late by %s at most.", s.Sentence, late)
	if s.HoldsAt != nil && s.BreaksAt != nil && math.Abs(math.Sqrt(*s.HoldsAt**s.BreaksAt)-250) <= 25 {
		return
	}
	if late > 50*time.Millisecond || strings.Contains(s.Sentence, "only because requests were sent late") {
		t.Skipf("this machine was too busy: a timer was %s late, so the server is not the one whose capacity is known", late)
	}
	t.Errorf("want within 10 %% of 250: %s %+v", s.Sentence, s.Steps)
}

// oneAtATime is a server of known capacity, and by how much this machine was late at most.
type oneAtATime struct {
	url    string
	latest atomic.Int64 // nanoseconds
}

func (q *oneAtATime) late(by time.Duration) {
	for {
		was := q.latest.Load()
		if int64(by) <= was || q.latest.CompareAndSwap(was, int64(by)) {
			return
		}
	}
}

func startOneAtATime(t *testing.T, service time.Duration) *oneAtATime {
	q := &oneAtATime{}
	turn := make(chan struct{}, 1)
	next := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		turn <- struct{}{}
		next = next.Add(service) // a timer that is late must not make the server slower: it owes instants, not pauses
		if now := time.Now(); next.Before(now.Add(-50 * time.Millisecond)) {
			next = now
		}
		if wait := time.Until(next); wait > 0 {
			time.Sleep(wait)
			q.late(time.Since(next))
		}
		<-turn
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(server.Close)
	q.url = server.URL
	return q
}

func TestPerSecondHasThreeDigits(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ in, want float64 }{{0.12345, 0.123}, {7.0711, 7.07}, {223.6, 224}, {12345, 12345}} {
		if got := perSecond(x.in).PerSecond(); math.Abs(got-x.want) > 1e-9*x.want {
			t.Errorf("%g: %g, want %g", x.in, got, x.want)
		}
	}
}
