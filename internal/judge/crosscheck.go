package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// crossCheck is what the second witness says of a run, and what the verdict has to count because of it.
type crossCheck struct {
	unit    string // witness.UnitRequest, UnitConnection or UnitDraw
	why     string // of another unit than the request
	counts  analyze.Counts
	ordered *Tally // what the counts were made of, in order; nil: no order is known
}

// crossChecked holds the run against its second witness: it fills doc.Witness, adds what takes the verdict away, and
// says what is to be judged. Without a witness it changes nothing but that the report says so.
func crossChecked(doc *draft, m record.Manifest, t *Tally, totals wire.Totals) crossCheck {
	out := crossCheck{unit: witness.UnitRequest, counts: doc.counts, ordered: t}
	if m.Before == nil {
		return out
	}
	if m.Witness != nil {
		out.read(doc, m, t, totals)
	}
	if m.CountedBy == record.CountedByProxy {
		out.byProxy(doc, t)
	}
	out.count(doc, m, t)
	return out
}

// read reads what the proxies counted, and holds it against the answers.
func (out *crossCheck) read(doc *draft, m record.Manifest, t *Tally, totals wire.Totals) {
	target, sent := witness.TargetOf(*m.Before), int64(totals.Requests+totals.WarmUp)
	p := proxiesOf(m.Witness, m, sent)
	for _, f := range doc.hear(m, p, sent) {
		if f.Effect != witness.Unit || f.Unit == witness.UnitConnection && m.Law().NullModel == law.RandomPerConnection {
			continue // the objects say so too, and the plan and the judge know
		}
		out.unit, out.why = f.Unit, f.Text
		doc.mend(f, m)
		doc.warn("%s", f.Text)
	}
	if m.CountedBy == record.CountedByProxy {
		out.unit, out.why = witness.UnitDraw, report.SayCountedByProxy
	}
	r := doc.Witness
	if !r.Available || p.Drawn() == nil {
		return
	}
	counted := exact(totals, len(m.Weights)).N
	if p.PerConnection() {
		r.Unit = witness.UnitConnection
		counted, sent = nil, max(totals.Connections, 0)
		if conns, err := perConnection(t, len(m.Weights)); err == nil {
			counted = conns.counts.N
		}
	}
	a := p.Agree(target, counted, sent)
	r.Background, r.Agrees = a.Background, a.Disagrees == ""
	if !r.Agrees {
		doc.refuse("%s", a.Disagrees)
	}
	if p.Unsure != "" {
		r.Blurred = p.Unsure
		return
	}
	r.Draws = drawsOf(p.Delta, target, counted)
	out.judgeDraws(doc, m, p.Delta)
}

// byProxy says that the verdict is on what the proxy counted, or why there is none.
func (out *crossCheck) byProxy(doc *draft, t *Tally) {
	switch {
	case out.unit != witness.UnitDraw || out.ordered != nil:
		doc.refuse(report.SayProxyDidNotCount)
	case t.unknown == 0:
		doc.refuse(report.SayProxyAlone)
	}
	doc.warn(report.SayCountedByProxy)
	if doc.Witness != nil && doc.Witness.Background > 0 {
		doc.warn(report.SayOthersCounted, doc.Witness.Background)
	}
}

// judgeDraws tests the draws by themselves against the weights.
func (out *crossCheck) judgeDraws(doc *draft, m record.Manifest, d witness.Delta) {
	draws := analyze.Counts{N: d.Drawn()}
	if d.Blurred != "" && doc.Witness.Background > 0 {
		return // whose they are besides is not known, and so not by which weights they were drawn
	}
	alone, err := analyze.Judge(m.Weights, draws, m.Options)
	if err != nil {
		doc.warn(report.SayDrawsNotJudged, untrusted.Error(err))
		return
	}
	doc.Witness.Outcome = string(alone.Outcome)
	doc.Witness.GoodnessOfFit = new(statistic(alone.GoodnessOfFit.Pearson))
	if out.unit == witness.UnitDraw {
		out.counts, out.ordered = draws, nil
		return
	}
	doc.Diagnostics = append(doc.Diagnostics, witnessLine(alone, m.Weights, doc.counts, m.Options, draws.N,
		doc.Witness.Background))
}

const nameWitness = "witness"

// witnessLine holds the answers against the draws. Answers that follow the weights over draws that do not: the
// difference is other traffic, or it is not what is drawn.
func witnessLine(alone analyze.Decision, w analyze.Weights, c analyze.Counts, o analyze.Options, draws []int64,
	background int64,
) report.Diagnostic {
	line := report.Diagnostic{Name: nameWitness, OK: true, Text: report.SayNothingFound, Effect: report.EffectKeep}
	if exactP := alone.GoodnessOfFit.Pearson.Exact; exactP.Method != "" {
		line.P = new(exactP.P)
	}
	if answers, err := analyze.Judge(w, c, o); err == nil && answers.Outcome == analyze.Pass &&
		alone.Outcome == analyze.Fail {
		line.OK, line.Effect = false, report.EffectDowngrade
		line.Text = fmt.Sprintf(report.SayDrawsDiffer, drawsText(draws, w), background)
	}
	return line
}

func drawsText(draws []int64, w analyze.Weights) string {
	parts := make([]string, 0, len(w))
	for i, x := range w {
		parts = append(parts, fmt.Sprintf("%s %d", untrusted.Safe(x.Backend), draws[i]))
	}
	return strings.Join(parts, ", ")
}

func drawsOf(d witness.Delta, t witness.Target, counted []int64) []report.WitnessDraws {
	total := d.Other
	for _, n := range d.Drawn() {
		total += n
	}
	var out []report.WitnessDraws
	for i, n := range d.Drawn() {
		row := report.WitnessDraws{Backend: t.Leaves[i].Name, Drawn: n}
		if i < len(d.Direct) {
			row.Direct = d.Direct[i]
		}
		if i < len(counted) {
			row.Answered = counted[i]
		}
		if total > 0 {
			row.DrawnShare = new(float64(n) / float64(total))
		}
		out = append(out, row)
	}
	return out
}

// count makes the counts of another unit than the request.
func (out *crossCheck) count(doc *draft, m record.Manifest, t *Tally) {
	if out.unit == witness.UnitRequest {
		return
	}
	doc.Witness = cmp.Or(doc.Witness, &report.Witness{Why: report.SayNotAskedFor})
	doc.Witness.Unit, doc.Witness.UnitWhy = out.unit, out.why
	if one := m.Plan.Reuse; out.unit == witness.UnitConnection && one != nil && one.MaxRequests == 1 {
		return // each request has a connection of its own
	}
	if m.Sequential != nil {
		doc.refuse(report.SayLooksOfRequests, out.why)
		return
	}
	if out.unit == witness.UnitConnection {
		conns, err := perConnection(t, len(m.Weights))
		if err == nil {
			err = oneBackendEach(t)
		}
		if err != nil {
			doc.refuse(report.SayNotByConnection, err)
			return
		}
		out.counts, out.ordered = conns.counts, conns
	}
	doc.counts = out.counts
}

// oneBackendEach checks what a proxy that draws for each connection cannot but do: that all answers over one connection
// came from one backend.
func oneBackendEach(t *Tally) error {
	first := map[int]int{}
	for _, o := range t.observations {
		if o.Backend < 0 {
			continue
		}
		if have, ok := first[o.Conn]; ok && have != o.Backend {
			return fmt.Errorf("answers over connection %d came from different backends, so that something else draws for "+
				"each request", o.Conn)
		}
		first[o.Conn] = o.Backend
	}
	return nil
}

// say has the reasons name the unit that was counted.
func (out *crossCheck) say(d *analyze.Decision) {
	for i := range d.Reasons {
		d.Reasons[i].Unit = out.unit
	}
}

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
		out.P = new(item.AdjustedP.P)
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
	used, seq := attributedOf(t)
	c, err := analyze.KnownChange(seq, before, after)
	if err != nil || c.Categorised == 0 || c.NoChange > sureOfChange || c.At >= len(used) {
		return ""
	}
	at := func(i int) string {
		return used[max(0, min(i, len(used)-1))].Sent.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf(report.SayFollowed, at(c.At), at(c.Low), at(c.High))
}
