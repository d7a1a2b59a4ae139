package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
)

// setDelay sets the delay of the link between the clusters, one way, and waits until curl in the pod sees answers of east that
// take between least and most.
func (l lab) setDelay(t *testing.T, delay string, least, most time.Duration) {
	t.Helper()
	file := os.Getenv("SPLITBENCH_TEST_LINK_DELAY")
	if file == "" {
		t.Skip("SPLITBENCH_TEST_LINK_DELAY is not set: the link between the clusters cannot be slowed down")
	}
	if err := os.WriteFile(file, []byte(delay+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		out := strings.TrimSpace(l.inPod(t, t.Context(), "deploy/frontend", `curl -s -o /dev/null -w '%{time_total}' http://podinfo-east:9898/`))
		took, err := strconv.ParseFloat(out, 64)
		if err != nil {
			t.Fatalf("curl said %q", out)
		}
		if took >= least.Seconds() && took <= most.Seconds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("with a delay of %s curl takes %v s", delay, took)
		}
	}
}

// startCurl has curl in the pod measure by itself: one process, one connection kept, a request after the other, 15 a second, so that it
// asks during all of a run of 30 s. The function it gives waits for the end and sorts the times by who answered, in blocks of 20
// requests: those of one moment are alike, and 400 of them no 400 measurements.
func (l lab) startCurl(t *testing.T) func() (west, east [][]int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "-n", namespace, "exec", "deploy/frontend", "-c", "nginx", "--",
		"curl", "-s", "--rate", "15/s", "-w", "\n%{time_total}\n", "http://podinfo:9898/?[1-400]")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (west, east [][]int64) {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("curl: %v\n%s", err, &stderr)
		}
		west, east = make([][]int64, 20), make([][]int64, 20)
		var who [][]int64
		n := 0
		for line := range strings.Lines(stdout.String()) {
			line = strings.TrimSpace(line)
			switch took, err := strconv.ParseFloat(line, 64); {
			case strings.Contains(line, "greetings from west"):
				who = west
			case strings.Contains(line, "greetings from east"):
				who = east
			case err == nil && who != nil:
				block := min(n/20, 19)
				who[block] = append(who[block], int64(took*float64(time.Second)))
				who, n = nil, n+1
			}
		}
		return west, east
	}
}

// steady is 30 s at a rate that leaves two processors idle. With a margin of 5 points for each share, two such runs of 50/50 pass
// with a probability of 0.998 (the difference has a deviation of 0.91 points, and 5 - 2.33*0.91 is 3.1 of them); of 10 points, 0.9999.
var steady = []string{"--requests", "6000", "--rate", "200"}

// known skips where neighbours on this machine made the answers too alike for a range; the report says so then, and nothing is
// called a failure.
func known(t *testing.T, q report.QuantileChange) {
	t.Helper()
	if q.Ms == nil || q.LowMs == nil || q.HighMs == nil {
		if q.Why == "" || q.Outcome != report.Inconclusive {
			t.Errorf("no range and no reason, or an outcome without one: %+v", q)
		}
		t.Skipf("no range on this machine: %s", q.Why)
	}
}

// costAt runs once and gives the gateway cost of podinfo-east at the median, or skips where this machine was too busy to measure.
func (l lab) costAt(t *testing.T, dir string) report.QuantileDifference {
	t.Helper()
	e := l.do(t, dir, l.runArgs(steady...)...)
	e.want(t, "pass", 0)
	g := e.report.GatewayCost
	if g == nil || len(g.Costs) != 1 {
		if g != nil && strings.Contains(g.Why, "the generator was late") {
			t.Skipf("this machine was too busy to measure, and the report says so: %s (99 of 100 within %v us)", g.Why, *e.report.Load.SendLag.P99Us)
		}
		t.Fatalf("no gateway cost: %+v", g)
	}
	median := g.Costs[0].Quantiles[0]
	if g.Costs[0].Backend != "podinfo-east" || median.Quantile != 0.5 || median.Ms == nil {
		t.Fatalf("%+v", g.Costs[0])
	}
	if median.LowMs == nil || median.HighMs == nil {
		t.Skipf("neighbours on this machine made the answers too alike for a range, and the report says so: %s", median.Why)
	}
	t.Logf("gateway cost at the median %.3f ms (%.3f to %.3f)", *median.Ms, *median.LowMs, *median.HighMs)
	return median
}

// compared is what `results compare` says of the last two runs in dir.
func (l lab) compared(t *testing.T, dir string, more ...string) report.RunComparison {
	t.Helper()
	e := l.do(t, dir, append([]string{"results", "compare", "latest~1", "latest", "-o", "json"}, more...)...)
	var c report.RunComparison
	if err := json.Unmarshal([]byte(e.stdout), &c); err != nil || len(c.Changes) != 1 {
		t.Fatalf("results compare: %v\n%s%s", err, e.stdout, e.stderr)
	}
	return c
}

// TestDelayedGateway puts 20 ms give or take 2 each way between the clusters: the gateway costs 40 ms and what the data plane
// needs itself, as curl says at the same moments. A second run at that delay is the same within 5 ms. With 5 ms, set
// while everything runs, `results compare` sees 30 ms less.
func TestDelayedGateway(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	t.Cleanup(func() { l.nothingLeft(t, 5*time.Second) })
	l.setDelay(t, "20ms 2ms", 36*time.Millisecond, 80*time.Millisecond)
	curl := l.startCurl(t)
	cost := l.costAt(t, dir)
	west, east := curl()
	near, errNear := analyze.NewBlocks(west)
	far, errFar := analyze.NewBlocks(east)
	if errNear != nil || errFar != nil || near.Samples() < 100 || far.Samples() < 100 {
		t.Fatalf("curl has %v of west and %v of east: %v, %v", west, east, errNear, errFar)
	}
	d, err := analyze.Difference(far, near, 0.5, 0.99, true)
	if err != nil {
		t.Fatal(err)
	}
	low, high := d.DifferenceCI.Low/1e6, d.DifferenceCI.High/1e6
	t.Logf("by curl %.3f ms (%.3f to %.3f), %d and %d answers", float64(d.Difference)/1e6, low, high, near.Samples(), far.Samples())
	if *cost.Ms < 40 || *cost.Ms > 50 {
		t.Errorf("the cost at the median is %v ms, want 40 and the data plane's own few", *cost.Ms)
	}
	if *cost.HighMs < low || *cost.LowMs > high {
		t.Errorf("the ranges do not overlap: %v to %v, by curl %v to %v", *cost.LowMs, *cost.HighMs, low, high)
	}

	before := l.costAt(t, dir)
	same := l.compared(t, dir, "--margin", "5ms", "--share-margin", "10")
	t.Logf("two runs at one delay: %s %q", same.Verdict.Outcome, same.Verdict.Reasons)
	for _, change := range slices.Concat(same.Changes[0].Latency, same.Changes[0].GatewayCost) {
		for _, q := range change.Quantiles {
			if q.Quantile <= 0.9 {
				known(t, q)
			}
		}
	}
	if same.Verdict.Outcome != report.Pass {
		t.Errorf("two runs at one delay: %s %q", same.Verdict.Outcome, same.Verdict.Reasons)
	}

	l.setDelay(t, "5ms", 9*time.Millisecond, 30*time.Millisecond)
	after := l.costAt(t, dir)
	c := l.compared(t, dir, "--margin", "5ms", "--share-margin", "10")
	seen := false
	for _, change := range c.Changes[0].GatewayCost {
		for _, q := range change.Quantiles {
			if change.Name != "podinfo-east" || q.Quantile != 0.5 {
				continue
			}
			seen = true
			known(t, q)
			if math.Abs(*q.Ms+30) > 3 || *q.HighMs > -27 || *q.LowMs < -33 {
				t.Errorf("the cost went from %v to %v ms, and the change is given as %+v (%s)", *before.Ms, *after.Ms, q, q.Why)
			}
			t.Logf("change of the cost %.3f ms (%.3f to %.3f)", *q.Ms, *q.LowMs, *q.HighMs)
		}
	}
	if !seen {
		t.Errorf("no change of the cost at the median in %+v", c.Changes[0])
	}
	// To cost less is no failure; the other way round it is one.
	if c.Verdict.Outcome == report.Fail {
		t.Errorf("faster by 30 ms is called worse: %q", c.Verdict.Reasons)
	}
	if e := l.do(t, dir, "results", "compare", "latest", "latest~1", "--margin", "5ms", "--share-margin", "10"); e.code != report.ExitFail {
		t.Errorf("slower by 30 ms: exit %d\n%s%s", e.code, e.stdout, e.stderr)
	}
}

// TestDelayedRunsAreTheSame compares pairs of runs at one delay, as often as SPLITBENCH_TEST_COMPARISONS says, one after the other and
// both at once, so that their windows are interleaved: none may be a fail, and 9 of 10 must pass.
func TestDelayedRunsAreTheSame(t *testing.T) {
	l := need(t)
	pairs, _ := strconv.Atoi(os.Getenv("SPLITBENCH_TEST_COMPARISONS"))
	if pairs < 1 {
		t.Skip("SPLITBENCH_TEST_COMPARISONS is not set: a pair of runs takes a minute")
	}
	l.setDelay(t, "20ms 2ms", 36*time.Millisecond, 80*time.Millisecond)
	for name, both := range map[string]func(t *testing.T, dir string){
		"one after the other": func(t *testing.T, dir string) {
			for range 2 {
				l.do(t, dir, l.runArgs(steady...)...).want(t, "pass", 0)
			}
		},
		"at once": func(t *testing.T, dir string) {
			first, _, firstTalk := l.start(t, dir, l.runArgs(steady...)...)
			l.do(t, dir, l.runArgs(steady...)...).want(t, "pass", 0)
			if err := first.Wait(); err != nil {
				t.Fatalf("%v\n%s", err, firstTalk)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			passed := 0
			for i := range pairs {
				dir := filepath.Join(t.TempDir(), strconv.Itoa(i))
				both(t, dir)
				c := l.compared(t, dir, "--margin", "5ms")
				t.Logf("pair %d: %s %q %q", i+1, c.Verdict.Outcome, c.Verdict.Reasons, c.Changes[0].Warnings)
				switch c.Verdict.Outcome {
				case report.Fail:
					t.Errorf("pair %d is called a failure: %q", i+1, c.Verdict.Reasons)
				case report.Pass:
					passed++
				}
			}
			t.Logf("%d of %d passed", passed, pairs)
			if 10*passed < 9*pairs {
				t.Errorf("%d of %d passed", passed, pairs)
			}
		})
	}
}

// TestLatencyOfAnUndelayedGateway: without a delay the gateway costs less than 5 ms at the median and at p90: a pass. Rounds of 200
// requests, of which the root of the split answers half itself, so that each round has a p90 of its own.
func TestLatencyOfAnUndelayedGateway(t *testing.T) {
	l := need(t)
	t.Cleanup(func() { l.nothingLeft(t, 5*time.Second) })
	dir := t.TempDir()
	cmd, stdout, stderr := l.start(t, dir, "latency", "svc/podinfo-east", "--against", "svc/podinfo", "--context", l.west, "--remote-context", l.east,
		"-n", namespace, "--from", "deploy/frontend", "-c", "nginx", "--margin", "5ms", "--rounds", "20", "--round-duration", "1s", "--rate", "200", "-o", "json")
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r, err := report.ReadJSON(stdout)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if r.Verdict.Outcome == report.Invalid && strings.Contains(strings.Join(r.Verdict.Reasons, " "), "the generator was late") {
		t.Skipf("this machine was too busy to measure, and the report says so: %q", r.Verdict.Reasons)
	}
	if r.Comparison == nil || len(r.Comparison.Differences) != 1 {
		t.Fatalf("%s %q\n%s", r.Verdict.Outcome, r.Verdict.Reasons, stderr)
	}
	d := r.Comparison.Differences[0]
	t.Logf("%s: %s", r.Verdict.Outcome, d.Sentence)
	for _, q := range d.Quantiles[:2] {
		if q.Outcome == report.Inconclusive && strings.Contains(q.Why, "alike") {
			t.Skipf("neighbours on this machine made all rounds alike, and the report says so: p%g %s", 100*q.Quantile, q.Why)
		}
	}
	if r.Verdict.Outcome != report.Pass {
		t.Errorf("%s %q, want pass: %+v", r.Verdict.Outcome, r.Verdict.Reasons, d.Quantiles)
	}
	if own := r.Comparison.Targets[1]; own.Elsewhere == 0 || own.Counted == 0 || own.Counted+own.Elsewhere != own.Sent {
		t.Errorf("the root of the split: %+v", own)
	}
}
