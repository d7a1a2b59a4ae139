package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// concludeLatency is where a live comparison and a stored one become the same.
func concludeLatency(m record.Manifest, times []Times, baseline *store.Folder) report.Report {
	doc := newDraft(m, m.Undisturbed())
	doc.Verdict.Outcome = report.Measured
	c := &report.Comparison{
		Level: 1 - m.Options.Alpha, Targets: []report.LatencyTarget{},
		Differences: []report.TargetDifference{},
	}
	doc.Comparison = c
	p := m.Latency
	if p == nil {
		doc.refuse(report.SayNotKnown)
		return doc.finish()
	}
	c.Rounds, c.RoundTime, c.Rate, c.WarmUp = p.Rounds, p.Round.Seconds(), m.Plan.Rate.PerSecond(), int64(m.Plan.WarmUp)
	c.Margin = marginOf(p)
	if p.Against && len(p.Targets) > 0 {
		c.Against = p.Targets[len(p.Targets)-1].Name
	}
	doc.lostPods(m)
	j := &latencyJudge{doc: &doc, m: m, p: p, c: c, times: times}
	j.hear()
	j.targets()
	var totals wire.Totals
	late := false
	for i, t := range times {
		totals.ThrottledUs += t.totals.ThrottledUs
		totals.Kept.Add(t.totals.Kept)
		late = late || i < len(j.blocks) && slices.ContainsFunc(analyze.DefaultQuantiles(), func(q float64) bool {
			return j.blocks[i] != nil && j.blocks[i].Late(q) != ""
		})
	}
	doc.sayKept(m, totals, 0, late)
	switch {
	case p.Sweep:
		j.sweep()
	case len(doc.invalid) == 0 && m.Interrupted == "":
		j.compare()
		if baseline != nil {
			j.baseline(*baseline)
		}
	default:
		j.compare() // for information
	}
	return doc.finish()
}

func marginOf(p *record.LatencyPlan) *report.Margin {
	if !p.Margin.Set {
		return nil
	}
	out := &report.Margin{Text: p.MarginText}
	if p.Margin.Relative > 0 {
		out.Fraction = new(p.Margin.Relative)
	} else {
		out.Ms = new(float64(p.Margin.Absolute) / float64(time.Millisecond))
	}
	return out
}

// latencyJudge fills in a comparison.
type latencyJudge struct {
	doc    *draft
	m      record.Manifest
	p      *record.LatencyPlan
	c      *report.Comparison
	times  []Times
	blocks []*analyze.Blocks // by target; nil where there are no answers
}

// hear has the report say what the client's proxy counted of the target that is the root of a split, or of the first.
func (j *latencyJudge) hear() {
	if j.m.Witness == nil || j.m.Before == nil || len(j.times) == 0 {
		return
	}
	root := max(0, slices.IndexFunc(j.p.Targets, func(t record.LatencyTarget) bool { return t.Root != "" }))
	sent := j.times[root].Sent + int64(len(j.times[root].steps))*int64(j.m.Plan.WarmUp)
	p := proxiesOf(j.m.Witness, j.m, sent)
	if j.p.Targets[root].Root == "" { // nothing is split: only whether it was one proxy matters
		p.Delta = witness.Delta{Kind: p.Kind, Restarted: p.Restarted}
	}
	j.doc.hear(j.m, p, sent)
	if j.p.Targets[root].Root == "" {
		j.doc.Witness = nil
	}
}

// errorShare is the share of failed requests from which on the answers that did come are no fair sample of the
// target's.
const errorShare = 0.01

// targets reports each target, and what makes its times no measurement.
func (j *latencyJudge) targets() {
	j.blocks = make([]*analyze.Blocks, len(j.p.Targets))
	for i, t := range j.p.Targets {
		row := report.LatencyTarget{Name: t.Name, URL: t.URL, Root: t.Root, Quantiles: []report.QuantileTime{}}
		if i >= len(j.times) {
			j.c.Targets = append(j.c.Targets, row)
			continue
		}
		times := j.times[i]
		row.Sent, row.Elsewhere, row.Errors, row.Failures = times.Sent, times.elsewhere, times.errors, times.failures
		b, err := times.sample(len(times.whole), j.m.Plan)
		if err != nil {
			j.doc.refuse(report.SayTargetFailed, t.Name, untrusted.Error(err))
			continue
		}
		j.blocks[i] = b
		row.Counted = int64(b.Samples())
		row.Quantiles = quantileTimes(b, j.c.Level)
		j.c.Targets = append(j.c.Targets, row)
		switch {
		case j.p.Sweep || times.Sent == 0:
		case b.Samples() == 0 && times.errors == times.Sent:
			j.doc.refuse(report.SayOnlyErrors, t.Name, failuresText(times.failures))
		case b.Samples() == 0:
			j.doc.refuse(report.SayNoOwnAnswer, t.Name)
		case float64(times.errors) > errorShare*float64(times.Sent):
			j.doc.refuse(report.SayManyErrors, t.Name, times.errors, times.Sent, failuresText(times.failures))
		case b.Quantile(0.5) < int64(time.Microsecond):
			j.doc.refuse(report.SayTooFast, t.Name)
		case times.totals.Dropped > 0:
			j.doc.refuse(report.SayTargetLost, times.totals.Dropped, t.Name)
		case allLate(b, j.judgedQuantiles()):
			q := j.judgedQuantiles()[0]
			j.doc.refuse(report.SayTargetLate, 100*q, t.Name, rough(time.Duration(b.Quantile(q))), b.Late(q))
			j.doc.remedy(report.RemedyLate)
		}
		if times.Sent > 0 && len(times.whole) < j.p.Rounds && !j.p.Sweep && j.m.Interrupted == "" && len(j.m.Failures) == 0 {
			j.doc.refuse(report.SayFewerRounds, len(times.whole), j.p.Rounds, t.Name)
		}
	}
}

func allLate(b *analyze.Blocks, quantiles []float64) bool {
	return !slices.ContainsFunc(quantiles, func(q float64) bool { return b.Late(q) == "" })
}

// EnoughRounds are those after which a generator that is late is taken to stay so.
const EnoughRounds = 3

// Hopeless reports whether what was measured so far would be refused however much more there were of it: a target only
// fails, or, where there are enough rounds to say so, the generator is late for each quantile that is judged.
func Hopeless(m record.Manifest, times []Times) bool {
	j := &latencyJudge{p: m.Latency}
	return slices.ContainsFunc(times, func(t Times) bool {
		if t.Sent > 0 && t.errors == t.Sent {
			return true
		}
		b, err := t.sample(len(t.whole), m.Plan)
		return err == nil && len(t.whole) >= EnoughRounds && b.Samples() > 0 && allLate(b, j.judgedQuantiles())
	})
}

func failuresText(f map[string]int64) string {
	var parts []string
	for kind, n := range f {
		parts = append(parts, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(parts)
	return untrusted.Safe(strings.Join(parts, ", "))
}

// compare judges each target against the last. Alpha is shared between targets.
func (j *latencyJudge) compare() {
	last := len(j.p.Targets) - 1
	if !j.p.Against || last < 1 || len(j.times) <= last || j.blocks[last] == nil {
		return
	}
	outcome := report.Pass
	alpha := j.m.Options.Alpha / float64(last)
	for i := range last {
		if j.blocks[i] == nil {
			return
		}
		pair, ok := costOf(j.p.Targets[i].Name, j.times[i], j.times[last], j.m.Plan)
		if !ok {
			return
		}
		d, err := decide(pair.far, pair.near, j.judgedQuantiles(), j.p.Margin, alpha, true)
		if err != nil {
			j.doc.refuse("%s", untrusted.Error(err))
			return
		}
		j.c.Differences = append(j.c.Differences, differenceOf(j.p.Targets[i].Name, j.p.Targets[last].Name, d))
		outcome = report.WorseOutcome(outcome, string(d.Outcome))
		if d.Judged && d.Outcome != analyze.Pass {
			d.Reason.Target = j.p.Targets[i].Name
			j.doc.because(d.Reason.Code, "%s", report.Sentence(d.Reason))
		}
		if d.Judged && d.Outcome == analyze.Inconclusive && d.Needed > 0 {
			j.doc.remedy(report.RemedyRounds, min(record.MaxRounds, d.Needed))
		}
	}
	if j.p.Margin.Set {
		j.doc.Verdict.Outcome = outcome
	}
}
