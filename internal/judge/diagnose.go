package judge

import (
	"fmt"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// diagnose checks what the decision takes for granted and lets it be kept, qualified or made inconclusive. Where the
// order of requests was not kept whole, it says so and checks nothing.
func diagnose(doc *draft, d analyze.Decision, w analyze.Weights, t *Tally, dropped uint64) analyze.Decision {
	if t == nil || !t.ordered() || dropped > 0 {
		doc.warn(report.SayNoOrder)
		return d
	}
	g, err := analyze.Diagnose(t.observations, w, analyze.DiagnoseOptions{})
	if err != nil {
		doc.warn(report.SayNotChecked, untrusted.Error(err))
		return d
	}
	for i := range g.Items {
		if expected(g.Items[i], t.turns) {
			g.Items[i].OK, g.Items[i].Impact = true, analyze.Keep
		}
	}
	after, err := analyze.Conclude(d, w, doc.counts, g)
	if err != nil {
		doc.warn(report.SayNotWeighed, untrusted.Error(err))
		return d
	}
	for _, item := range g.Items {
		doc.Diagnostics = append(doc.Diagnostics, diagnostic(item, d.Outcome, &after))
	}
	return after
}

// diagnostic turns one check into a line of the report. The reason that Conclude made of it moves there from the
// decision, so that it is said once.
func diagnostic(item analyze.Diagnostic, before analyze.Outcome, after *analyze.Decision) report.Diagnostic {
	out := report.Diagnostic{Name: item.Name, OK: item.OK, Effect: report.EffectKeep}
	if item.P.Method != "" {
		p := item.AdjustedP.P
		out.P = &p
	}
	if item.OK {
		out.Text = report.SayNothingFound
		return out
	}
	out.Effect = report.EffectQualify
	kept := after.Reasons[:0:0]
	for _, r := range after.Reasons {
		if r.Finding != nil && r.Finding.Name == item.Name {
			out.Text = report.Sentence(r)
			continue
		}
		kept = append(kept, r)
	}
	after.Reasons = kept
	if item.Impact == analyze.Downgrade && after.Outcome != before {
		out.Effect = report.EffectDowngrade
	}
	return out
}

// propagation says, of a tally in order, when the data plane followed a change of the weights during the run, as far as
// the answers show.
func propagation(m record.Manifest, t *Tally) string {
	if m.After == nil || !t.ordered() {
		return ""
	}
	before, after := record.WeightsOf(*m.Before), record.WeightsOf(*m.After)
	if len(before) != len(after) || record.SameShares(before, after) {
		return ""
	}
	seq := make([]int, 0, len(t.observations))
	sent := make([]time.Duration, 0, len(t.observations))
	for _, o := range t.observations {
		if o.Backend >= 0 {
			seq = append(seq, o.Backend)
			sent = append(sent, o.Sent)
		}
	}
	c, err := analyze.KnownChange(seq, before, after)
	if err != nil || c.Categorised == 0 || c.NoChange > 0.05 || c.At >= len(sent) {
		return ""
	}
	at := func(i int) string { return sent[max(0, min(i, len(sent)-1))].Round(10 * time.Millisecond).String() }
	return fmt.Sprintf(report.SayFollowed, at(c.At), at(c.Low), at(c.High))
}
