package judge

import (
	"fmt"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// judgeLaw makes the one decision by the null model of the law: requests that are drawn one by one, connections where
// each of them is one draw, or turns by weight. The tally that it gives is what the decision counted.
func judgeLaw(doc *draft, m record.Manifest, t *Tally) (analyze.Decision, *Tally, error) {
	switch m.Law().NullModel {
	case law.RandomPerConnection:
		if r := m.Plan.Reuse; r == nil || r.MaxRequests != 1 {
			byConnection, err := perConnection(t, len(m.Weights))
			if err != nil {
				return analyze.Decision{}, nil, err
			}
			doc.counts, t = byConnection.counts, byConnection
			doc.warn(report.SayByConnection, t.N)
		}
	case law.WeightedRoundRobin, law.StickyAssignment:
		d, turns, err := analyze.JudgeTurns(m.Weights, doc.counts, m.Options, turnsOf(*m.Before))
		t.turns = turns.Within
		return d, t, err
	case law.RandomPerRequest:
	}
	d, err := analyze.Judge(m.Weights, doc.counts, m.Options)
	return d, t, err
}

// turnsOf says how many schedules there are: one in each pod that draws.
func turnsOf(s law.Snapshot) analyze.Turns {
	t := analyze.Turns{Instances: 1 + len(s.Others), Levels: 1}
	if s.Through != nil {
		t.Instances = max(1, len(s.Through.Pods))
	}
	if law.KindNamed(s.Law.Path).Nested {
		t.Levels = max(1, len(s.Law.Objects))
	}
	return t
}

// perConnection counts the first answer of each connection: later ones of it are no draws of their own.
func perConnection(t *Tally, backends int) (*Tally, error) {
	if !t.ordered() {
		return nil, fmt.Errorf("the split is drawn for each connection, and which requests shared one was not kept; send " +
			"fewer requests, or one for each connection with --requests-per-connection 1")
	}
	out := NewTally(backends)
	out.Pods = t.Pods
	seen := map[int]bool{}
	for _, o := range t.observations {
		if o.Conn < 0 || seen[o.Conn] {
			continue
		}
		seen[o.Conn] = true
		o.Conn = int(out.N) // each a connection of its own
		out.keep(o)
	}
	if out.N == 0 {
		return nil, fmt.Errorf("the split is drawn for each connection, and the engine did not say which request used which")
	}
	return out, nil
}

// expected are the diagnostics that turns by weight show by their nature.
func expected(item analyze.Diagnostic, turns bool) bool {
	switch item.Name {
	case analyze.DiagnosticAlternating, analyze.DiagnosticEven, analyze.DiagnosticPeriodic, analyze.DiagnosticSticky:
		return turns && !item.OK
	}
	return false
}
