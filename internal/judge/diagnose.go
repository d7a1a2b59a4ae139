package judge

import (
	"fmt"
	"slices"
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
	if i := slices.IndexFunc(after.Reasons, func(r analyze.Reason) bool { return r.Cause != nil }); i >= 0 {
		doc.explain(after.Reasons[i], w, d)
		after.Reasons = slices.Delete(slices.Clone(after.Reasons), i, i+1)
	}
	for _, item := range g.Items {
		doc.Diagnostics = append(doc.Diagnostics, diagnostic(item, &after, doc.Cause))
	}
	return after
}

// explain has the report say what explains the order of requests: one cause in place of each check that found
// something, and each part between changes of the shares judged by itself, for information.
func (doc *draft) explain(r analyze.Reason, w analyze.Weights, d analyze.Decision) {
	c := r.Cause
	for i := range c.Parts {
		if c.Parts[i].Name = fmt.Sprintf("pod %d", i+1); doc.Source != nil && i < len(doc.Source.Pods) {
			c.Parts[i].Name = doc.Source.Pods[i].Pod
		}
	}
	doc.Cause = report.CauseOf(c)
	line := report.Diagnostic{Name: report.NameCause, Text: report.Sentence(r), Effect: report.EffectQualify}
	if r.Why != "" {
		line.Effect = report.EffectDowngrade
	}
	doc.Diagnostics = append(doc.Diagnostics, line)
	if c.Kind != analyze.CauseChange {
		return
	}
	for _, p := range c.Parts {
		s := report.Segment{FromSeconds: p.From.Seconds(), ToSeconds: p.To.Seconds()}
		doc.Segments = append(doc.Segments, judged(s, w, analyze.Counts{N: p.N}, d.Options))
	}
}

// diagnostic turns one check into a line of the report. The reason that Conclude made of it moves there from the
// decision, so that it is said once.
func diagnostic(item analyze.Diagnostic, after *analyze.Decision, cause *report.Cause) report.Diagnostic {
	out := report.Diagnostic{Name: item.Name, OK: item.OK, Effect: report.EffectKeep}
	if item.P.Method != "" {
		p := item.AdjustedP.P
		out.P = &p
	}
	if item.OK {
		out.Text = report.SayNothingFound
		return out
	}
	mine := func(r analyze.Reason) bool { return r.Finding != nil && r.Finding.Name == item.Name }
	i := slices.IndexFunc(after.Reasons, mine)
	if i < 0 && cause != nil {
		out.Text = fmt.Sprintf(report.SayExplained, cause.Kind)
		return out
	}
	out.Effect = report.EffectQualify
	if i >= 0 {
		out.Text = report.Sentence(after.Reasons[i])
		if after.Reasons[i].Why != "" {
			out.Effect = report.EffectDowngrade
		}
		after.Reasons = slices.Delete(slices.Clone(after.Reasons), i, i+1)
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
