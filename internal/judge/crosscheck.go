package judge

import (
	"bytes"
	"fmt"
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
	if w := m.Witness; w != nil {
		doc.Witness = &report.Witness{Why: w.Why, Proxy: string(w.Kind), URL: w.URL}
		if w.Why == "" {
			out.read(doc, m, totals)
		}
		if !doc.Witness.Available {
			doc.warn(report.SayNoWitness, untrusted.Safe(doc.Witness.Why))
		}
	}
	out.count(doc, m, t)
	return out
}

// read reads the two pages of each proxy.
func (out *crossCheck) read(doc *draft, m record.Manifest, totals wire.Totals) {
	target := witness.TargetOf(*m.Before)
	r := doc.Witness
	d, err := proxyDelta(m.Witness, target)
	if err != nil {
		r.Why = untrusted.Safe(err.Error())
		return
	}
	sent := int64(totals.Requests + totals.WarmUp)
	counted := exact(totals, len(m.Weights))
	r.Available, r.Undisturbed, r.Counter, r.Path, r.Requests = true, true, d.Counter, string(d.Path), sent
	r.Retries, r.Blurred = d.Retries, d.Blurred
	for _, f := range d.Findings(target, expectedPath(m.Before.Law), sent) {
		r.Findings = append(r.Findings, f.Text)
		switch f.Effect {
		case witness.Invalid:
			r.Undisturbed = false
			doc.invalid = append(doc.invalid, f.Text)
			doc.remedies = append(doc.remedies, remedy(f, m)...)
		case witness.Unit:
			if f.Unit == witness.UnitConnection && m.Law().NullModel == law.RandomPerConnection {
				continue // the objects say so too, and the plan and the judge know
			}
			out.unit, out.why = f.Unit, f.Text
			doc.remedies = append(doc.remedies, remedy(f, m)...)
			doc.Warnings = append(doc.Warnings, f.Text)
		case witness.Note:
			doc.Warnings = append(doc.Warnings, f.Text)
		}
	}
	if d.Draws == nil {
		r.Agrees = true // nothing contradicts the answers
		return
	}
	var disagree string
	r.Background, disagree = d.Agree(target, counted.N, sent)
	if r.Agrees = disagree == ""; !r.Agrees {
		doc.invalid = append(doc.invalid, disagree)
	}
	r.Draws = drawsOf(d, target, counted)
	out.judgeDraws(doc, m, d)
}

// proxyDelta is what the proxies of all pods did together.
func proxyDelta(w *record.WitnessFacts, target witness.Target) (witness.Delta, error) {
	var all witness.Delta
	for i, p := range w.Pods {
		before, err := witness.Parse(bytes.NewReader(p.Before), w.Kind, target)
		if err != nil {
			return all, err
		}
		after, err := witness.Parse(bytes.NewReader(p.After), w.Kind, target)
		if err != nil {
			return all, err
		}
		d, err := witness.Compare(before, after, target, time.Duration(p.ElapsedMs)*time.Millisecond)
		switch {
		case err != nil:
			return all, err
		case i == 0:
			all = d
		default:
			if d.Restarted != "" {
				d.Restarted += " (pod " + p.Pod + ")"
			}
			all = all.Plus(d)
		}
	}
	if len(w.Pods) == 0 {
		return all, witness.ErrNoCounters
	}
	return all, nil
}

// judgeDraws tests the draws by themselves against the weights.
func (out *crossCheck) judgeDraws(doc *draft, m record.Manifest, d witness.Delta) {
	draws := analyze.Counts{N: d.Draws}
	alone, err := analyze.Judge(m.Weights, draws, m.Options)
	if err != nil {
		doc.warn(report.SayDrawsNotJudged, untrusted.Safe(err.Error()))
		return
	}
	doc.Witness.Outcome = string(alone.Outcome)
	s := statistic(alone.GoodnessOfFit.Pearson)
	doc.Witness.GoodnessOfFit = &s
	if out.unit == witness.UnitDraw {
		out.counts, out.ordered = draws, nil
		return
	}
	doc.Diagnostics = append(doc.Diagnostics, witnessLine(alone, m.Weights, doc.counts, m.Options, d.Draws,
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
		p := exactP.P
		line.P = &p
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

func drawsOf(d witness.Delta, t witness.Target, counted analyze.Counts) []report.WitnessDraws {
	total := d.Other
	for _, n := range d.Draws {
		total += n
	}
	var out []report.WitnessDraws
	for i, n := range d.Draws {
		row := report.WitnessDraws{Backend: t.Leaves[i].Name, Drawn: n}
		if i < len(counted.N) {
			row.Answered = counted.N[i]
		}
		if total > 0 {
			share := float64(n) / float64(total)
			row.DrawnShare = &share
		}
		out = append(out, row)
	}
	return out
}

// expectedPath is the path that the objects say requests take through a Linkerd proxy; others have but one.
func expectedPath(l law.Law) witness.Path {
	if l.Provider != law.ProviderLinkerd {
		return witness.PathUnknown
	}
	switch p := witness.Path(l.Path); p {
	case witness.PathProfile, witness.PathHTTPRoute, witness.PathGRPCRoute:
		return p
	}
	return witness.PathUnknown
}

// remedy completes a finding's command with the workload that the client pod is of.
func remedy(f witness.Finding, m record.Manifest) []string {
	if f.Remedy == "" {
		return nil
	}
	text := f.Remedy
	if f.Code == witness.CodeStalePath {
		if workload := strings.TrimPrefix(m.Before.Source.Workload, "--from "); workload != m.Before.Source.Workload {
			text += " " + workload
		} else {
			text += " the workload of pod " + m.Before.Source.Name
		}
	}
	return []string{untrusted.Safe(text)}
}

// count makes the counts of another unit than the request.
func (out *crossCheck) count(doc *draft, m record.Manifest, t *Tally) {
	if out.unit == witness.UnitRequest {
		return
	}
	if doc.Witness == nil {
		doc.Witness = &report.Witness{Why: report.SayNotAskedFor}
	}
	doc.Witness.Unit, doc.Witness.UnitWhy = out.unit, out.why
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
