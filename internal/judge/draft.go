package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// draft is a report in the making: what it says already, and what the rest of it is worked out from.
type draft struct {
	report.Report

	weights  analyze.Weights
	counts   analyze.Counts
	options  analyze.Options   // what was asked for; used where there is no decision
	decision *analyze.Decision // nil where nothing was judged

	// invalid are the reasons why this is no verdict whatever the statistics say, one sentence each, the weightiest first;
	// the decision is then kept as information.
	invalid  []string
	remedies []string // what to do about it, before what the verdict finds itself

	before, after *law.Snapshot
	signatures    map[string]string // by backend: how its answers are recognised

	answers []answers // by backend; nil where nothing was sent, or only counts are known
	rest    answers   // unattributed
	lags    []int64   // nanoseconds that requests were sent late by
	cpu     time.Duration
}

// newDraft is what a report of any kind takes from the record. complete says that all was sent that was to be.
func newDraft(m record.Manifest, complete bool) draft {
	return draft{
		Report: report.Report{
			Checks: m.Checks, Warnings: slices.Clone(m.Warnings), Source: sourceOf(m.Before, m.Agent),
			Run: &report.Run{
				ID: m.ID, Dir: m.Dir, Started: m.Started, Ended: m.Ended, URL: m.Plan.URL, Command: m.Command, Seed: m.Options.Seed,
				Tool: m.Tool, Simulated: m.Simulated, Labels: m.Labels, Complete: complete && m.Interrupted == "",
				CutShort: m.Interrupted,
			},
		},
		weights: m.Weights, options: m.Options, counts: analyze.Counts{N: make([]int64, len(m.Weights))},
		before: m.Before, after: m.After, signatures: m.Signatures,
		invalid: slices.Clone(m.Failures), remedies: slices.Clone(m.Remedies),
	}
}

// AnalyzeCounts judges counts alone.
func AnalyzeCounts(w analyze.Weights, c analyze.Counts, o analyze.Options) (report.Report, error) {
	d, err := analyze.Judge(w, c, o)
	if err != nil {
		return report.Report{}, err
	}
	doc := draft{weights: w, counts: c, options: o, decision: &d}
	return doc.finish(), nil
}

// finish makes the report. It takes the decision as it is and may only make it worse: any reason in invalid, an
// interruption, a failed fatal check, weights that changed, and no counted answer make it invalid; a diagnostic that
// downgrades makes it inconclusive. Text is kept as it came, but for bytes that are not UTF-8.
func (doc *draft) finish() report.Report {
	doc.APIVersion = report.APIVersion
	doc.Diagnostics = append([]report.Diagnostic{}, doc.Diagnostics...)
	doc.Checks = append([]preflight.Result{}, doc.Checks...)
	doc.Warnings = append([]string{}, doc.Warnings...)
	if doc.Run != nil {
		run := *doc.Run
		run.Command = append([]string{}, run.Command...)
		doc.Run = &run
	}
	if doc.before != nil {
		doc.Split = splitOf(doc.before, doc.after)
	}
	doc.rows()
	doc.withoutBackend()
	doc.sent()
	doc.GoodnessOfFit = nil
	if doc.decision != nil {
		doc.GoodnessOfFit = goodnessOf(doc.decision.GoodnessOfFit)
	}
	doc.Kind = report.KindOf(doc.Report)
	if doc.Comparison != nil {
		doc.Split = nil // its targets are Services, not a split
	}
	if doc.Kind == report.Kind {
		doc.concludeShares()
	} else {
		doc.Unattributed.Harmless = true // its verdict is not about shares of one run
		doc.concludeOther()
	}
	return report.Storable(doc.Report)
}

// rows are the backends.
func (doc *draft) rows() {
	shares := doc.weights.Shares()
	n := float64(attributed(doc.counts))
	if doc.Backends == nil {
		doc.Backends = make([]report.Backend, len(doc.weights))
	}
	for i, w := range doc.weights {
		b := &doc.Backends[i]
		b.Name, b.Weight, b.ExpectedShare, b.Expected = w.Backend, w.W, shares[i], n*shares[i]
		b.Signature = cmp.Or(doc.signatures[w.Backend], b.Signature)
		if doc.before != nil {
			b.Cluster = clusterOf(doc.before, w.Backend)
		}
		if i < len(doc.counts.N) {
			b.Observed = doc.counts.N[i]
		}
		if n > 0 {
			b.ObservedShare = report.Finite(float64(b.Observed) / n)
		}
		b.Interval, b.StandardizedResidual, b.AdjustedP, b.LeakUpperShare, b.NoticeablePoints = nil, nil, nil, nil, nil
		if d := doc.decision; d != nil && i < len(d.Backends) {
			addDecision(b, d, i)
		}
		if i < len(doc.answers) {
			a := doc.answers[i]
			b.Errors, b.Statuses, b.Latency = a.serverErrors(), statusNames(a.statuses), latencyOf(a.service, a.response)
		}
	}
}

// addDecision is what the decision says of one backend.
func addDecision(b *report.Backend, d *analyze.Decision, i int) {
	row := d.Backends[i]
	b.Interval = interval(row.Interval)
	b.StandardizedResidual = report.Finite(row.StandardizedResidual)
	b.AdjustedP = probability(row.AdjustedP)
	if row.Weight == 0 {
		b.LeakUpperShare = report.Finite(row.LeakUpper)
	}
	if i < len(d.NoticeablePoints) && d.NoticeablePoints[i] > 0 {
		b.NoticeablePoints = report.Finite(d.NoticeablePoints[i])
	}
}

// withoutBackend is what no backend could be named for.
func (doc *draft) withoutBackend() {
	u := &doc.Unattributed
	u.Requests, u.Harmless, u.Bounds = doc.counts.Unattributed, doc.counts.Unattributed == 0, nil
	if d := doc.decision; d != nil {
		u.Harmless = !d.Unattributed.Decides
		for i, w := range doc.weights {
			if u.Requests > 0 && i < len(d.Unattributed.Low) && i < len(d.Unattributed.High) {
				low, high := number(d.Unattributed.Low[i]), number(d.Unattributed.High[i])
				u.Bounds = append(u.Bounds, report.ShareBounds{Backend: w.Backend, LowShare: low, HighShare: high})
			}
		}
	}
	if doc.answers == nil {
		return
	}
	u.Statuses = statusNames(doc.rest.statuses)
	for class, n := range doc.rest.errors {
		if u.Errors == nil {
			u.Errors = map[string]int64{}
		}
		u.Errors[class.String()] += n
	}
}

func attributed(c analyze.Counts) (n int64) {
	for _, v := range c.N {
		n += v
	}
	return n
}

func (doc *draft) total() int64 { return attributed(doc.counts) + doc.counts.Unattributed }

func neededOf(d *analyze.Decision) *report.RequestsNeeded {
	if d.Outcome != analyze.Inconclusive {
		return nil
	}
	n := report.RequestsNeeded{
		IfOnTargetWhy: report.NeededWhy(d.NeededIfOnTarget), IfAsObservedWhy: report.NeededWhy(d.NeededIfAsObserved),
	}
	if d.NeededIfOnTarget.Requests > 0 {
		n.IfOnTarget, n.IfOnTargetWhy = &d.NeededIfOnTarget.Requests, ""
	}
	if d.NeededIfAsObserved.Requests > 0 {
		n.IfAsObserved, n.IfAsObservedWhy = &d.NeededIfAsObserved.Requests, ""
	}
	return &n
}

func goodnessOf(g analyze.GoodnessOfFit) *report.GoodnessOfFit {
	return &report.GoodnessOfFit{
		Pearson:            statistic(g.Pearson),
		G:                  statistic(g.G),
		CohensW:            report.Finite(g.CohensW),
		TotalVariation:     number(g.TotalVariation),
		MaxDeviationPoints: number(g.MaxDeviationPoints),
	}
}

func statistic(s analyze.Statistic) report.Statistic {
	out := report.Statistic{
		DF: s.DF, Statistic: report.Finite(s.Value), Asymptotic: probability(s.Asymptotic), Exact: probability(s.Exact),
	}
	switch {
	case math.IsInf(s.Value, 1):
		out.Why = report.SayInfinite
	case s.DF <= 0:
		out.Why = report.SayOneBackend
	case out.Statistic == nil:
		out.Why = report.SayNotComputed
	}
	return out
}

// probability is nil for a p-value that nobody computed.
func probability(p analyze.PValue) *report.Probability {
	if p.Method == "" || math.IsNaN(p.P) {
		return nil
	}
	out := &report.Probability{P: p.P, LnP: report.Finite(p.LnP), Method: string(p.Method)}
	if out.LnP == nil {
		out.Why = report.SayImpossible
	}
	if p.Method == analyze.MonteCarlo {
		out.Low, out.High = report.Finite(p.Lo), report.Finite(p.Hi)
	}
	return out
}

func interval(i analyze.Interval) *report.Interval {
	if i.Method == "" && i.Why == "" {
		return nil
	}
	out := &report.Interval{Level: i.Level, Method: i.Method, Why: i.Why}
	if i.Why == "" {
		out.Low, out.High = report.Finite(i.Low), report.Finite(i.High)
	}
	return out
}

func number(x float64) float64 {
	if p := report.Finite(x); p != nil {
		return *p
	}
	return 0
}

// quantileTimes are the quantiles of one sample with their intervals.
func quantileTimes(b *analyze.Blocks, level float64) []report.QuantileTime {
	var out []report.QuantileTime
	for _, q := range analyze.DefaultQuantiles() {
		t := b.Interval(q, level)
		x := report.QuantileTime{
			Quantile: q, LowMs: report.Ms(t.CI.Low), HighMs: report.Ms(t.CI.High),
			DesignEffect: math.Round(1000*t.DesignEffect) / 1000, Why: t.CI.Why,
		}
		if t.Samples > 0 && b.Late(q) == "" {
			x.Ms = report.Ms(float64(t.Value))
		}
		out = append(out, x)
	}
	return out
}

func quantileDifference(q float64, ns int64, ci analyze.Interval) report.QuantileDifference {
	return report.QuantileDifference{Quantile: q, Difference: report.DifferenceOf(ns, ci)}
}

// differenceOf is a decision about two targets as reports have it.
func differenceOf(target, than string, d analyze.LatencyDecision) report.TargetDifference {
	out := report.TargetDifference{Target: target, Than: than, Outcome: report.Measured}
	if d.Judged {
		out.Outcome = string(d.Outcome)
	}
	for _, v := range d.Quantiles {
		q := report.QuantileVerdict{
			QuantileDifference: quantileDifference(v.Q, v.Difference, v.DifferenceCI),
			Direction:          v.Direction, P: v.Different.P, Outcome: report.Measured,
		}
		if d.Judged && v.Outcome != "" { // "": shown, not judged
			q.Outcome = string(v.Outcome)
		}
		out.Quantiles = append(out.Quantiles, q)
	}
	out.Say("slower", "faster")
	return out
}
