package judge

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// manifestOf is a run of two backends at 50/50 under a null model.
func manifestOf(model law.NullModel, path law.Path, perConn uint64) record.Manifest {
	return record.Manifest{
		Options: analyze.DefaultOptions(), Weights: analyze.Weights{{Backend: "a", W: 1}, {Backend: "b", W: 1}},
		Plan:   attack.Plan{Reuse: &attack.Reuse{MinRequests: perConn, MaxRequests: perConn}},
		Before: &law.Snapshot{Law: law.Law{Path: path, NullModel: model}},
	}
}

// tallyOf has n requests: request i on connection conn(i), answered by backend(i).
func tallyOf(n int, conn, backend func(i int) int) *Tally {
	t := NewTally(2)
	for i := range n {
		t.Add(attack.Result{Seq: uint64(i), Conn: int32(conn(i)), Backend: int16(backend(i)), Status: 200})
	}
	return t
}

// 4,000 requests over 100 connections that are pinned to a backend, 50 to each: as requests they would be a clear pass, as the
// 100 draws that they are they cannot tell. At 50/50 exactly, 100 draws have no chance at a tolerance of 5 points: the exact
// test needs some 2,400.
func TestConnectionsAreTheUnit(t *testing.T) {
	t.Parallel()
	m := manifestOf(law.RandomPerConnection, law.PathTCPRoute, 40)
	pinned := tallyOf(4000, func(i int) int { return i % 100 }, func(i int) int { return i % 100 % 2 })
	in := draft{counts: pinned.counts}
	d, counted, err := judgeLaw(&in, m, pinned)
	if err != nil {
		t.Fatal(err)
	}
	if d.Outcome != analyze.Inconclusive || d.Requests != 100 || counted.N != 100 || in.counts.N[0] != 50 || in.counts.N[1] != 50 {
		t.Errorf("outcome %s of %d draws, counts %v", d.Outcome, d.Requests, in.counts.N)
	}
	if len(in.Warnings) != 1 || !strings.Contains(in.Warnings[0], "100 connections were counted") {
		t.Errorf("warnings %q", in.Warnings)
	}
	// One connection for each request: nothing to reduce.
	m.Plan.Reuse = &attack.Reuse{MinRequests: 1, MaxRequests: 1}
	in = draft{counts: pinned.counts}
	if d, _, err = judgeLaw(&in, m, pinned); err != nil || d.Outcome != analyze.Pass || len(in.Warnings) != 0 {
		t.Errorf("outcome %s, %v, warnings %q", d.Outcome, err, in.Warnings)
	}
	// Whose order was not kept cannot be counted by connection.
	lost := tallyOf(10, func(i int) int { return i }, func(i int) int { return i % 2 })
	lost.observations = nil
	m.Plan.Reuse.MaxRequests = 40
	if _, _, err = judgeLaw(&in, m, lost); err == nil || !strings.Contains(err.Error(), "--requests-per-connection 1") {
		t.Errorf("error %v", err)
	}
}

// Strict alternation: turns by weight pass it and its diagnostics; for a random draw the alternation is told.
func TestTurnsAreJudgedAsTurns(t *testing.T) {
	t.Parallel()
	for model, name := range map[law.NullModel]string{law.WeightedRoundRobin: analyze.CodeTurns, law.StickyAssignment: analyze.CodeTurns, law.RandomPerRequest: analyze.CodeWithin, "": analyze.CodeWithin} {
		m := manifestOf(model, law.PathTraefikService, 1)
		alternating := tallyOf(4000, func(i int) int { return i }, func(i int) int { return i % 2 })
		alternating.sorted()
		in := draft{counts: alternating.counts, Report: report.Report{Load: &report.Load{}}}
		judge(&in, m, alternating, wire.Totals{})
		if in.decision == nil || in.decision.Outcome != analyze.Pass || in.decision.Reasons[0].Code != name {
			t.Fatalf("%q: decision %+v", model, in.decision)
		}
		flagged := false
		for _, d := range in.Diagnostics {
			flagged = flagged || !d.OK
		}
		if want := name == analyze.CodeWithin; flagged != want {
			t.Errorf("%q: flagged %v: %+v", model, flagged, in.Diagnostics)
		}
	}
}

// At 90/10 with the tolerance of 5 points 3,000 requests that are exactly on target pass; that the tenth party is the proxy
// itself takes the pass away, and names it. A backend's own 500 stays the backend's.
func TestAnswersOfTheProxyAreNoPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		tenth   uint16 // of the requests that name no backend
		outcome string
		says    string
	}{
		"no such party":   {0, 500, report.Inconclusive, ""},
		"as expected":     {500, 500, report.Invalid, "10 % of the requests with status 500 in place of b (a filter), as 300 of 3,000 were"},
		"a redirect":      {302, 302, report.Invalid, "with status 302 in place of b"},
		"another status":  {500, 502, report.Inconclusive, ""},
		"none of it came": {500, 0, report.Fail, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := manifestOf(law.RandomPerRequest, law.PathHTTPRoute, 1)
			m.Weights = analyze.Weights{{Backend: "a", W: 90}, {Backend: "b", W: 10}}
			m.Before.Law.Backends = []law.Leaf{
				{Name: "a", Probability: 0.9}, {Name: "b", Probability: 0.1, ProxyStatus: c.status, Problem: "a filter"},
			}
			m.After = m.Before
			own, tally := m.ProxyAnswers(), NewTally(2)
			draw := rand.New(rand.NewPCG(1, 1)).Perm(3000)
			for i, n := range draw {
				r := attack.Result{Seq: uint64(i), Conn: int32(i), Status: 200}
				if n < 300 && c.tenth != 0 {
					r.Status, r.Backend = c.tenth, attack.Unattributed
				}
				tally.Add(own.Tell(r))
			}
			rep := conclude(m, wire.Totals{Reason: ""}, tally)
			if rep.Verdict.Outcome != c.outcome || !strings.Contains(strings.Join(rep.Verdict.Reasons, "\n"), c.says) {
				t.Errorf("outcome %s, reasons %q, warnings %q", rep.Verdict.Outcome, rep.Verdict.Reasons, rep.Warnings)
			}
		})
	}
}
