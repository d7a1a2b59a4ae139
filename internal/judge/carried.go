package judge

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// AnalyzeReport judges a report again by its own counts, as override changes its options: what `analyze` does with a
// page or a JSON document that was sent by mail, without the run's folder. Verdict and goodness of fit are computed
// anew; times and diagnostics need the samples and are carried. Errors say that the report cannot be judged.
func AnalyzeReport(r report.Report, override func(*analyze.Options)) (report.Report, error) {
	if r.Kind != report.Kind {
		return report.Report{}, record.Usagef("analyze: this %s is judged from its samples, which the document does not "+
			"hold: name its run instead", r.Kind)
	}
	w, c, o, err := judgement(r)
	if override != nil {
		before := o
		override(&o)
		if o.Tolerance != before.Tolerance && len(w) > 0 {
			err = w.Validate() // another tolerance was given than the one that could not be read
		}
	}
	if err != nil {
		return report.Report{}, err
	}
	if r.Sequential != nil && o.Gate != analyze.GateTolerance {
		return report.Report{}, record.Usagef("--gate %s: the run looked early, its rule is the tolerance", o.Gate)
	}
	if r.GoodnessOfFit == nil {
		return rejudged(r, nil, o, nil), nil // nothing was judged then either
	}
	d, err := analyze.Judge(w, c, o)
	if err != nil {
		return report.Report{}, err
	}
	if r.Sequential != nil {
		d.Outcome = sequentialOutcome(r, o.Tolerance)
		if slices.Contains(r.Verdict.ReasonCodes, analyze.CodeLeak) {
			d.Outcome = analyze.Fail // also where it answered after the look that the counts are of
		}
		if len(r.Verdict.Reasons) > 0 && string(d.Outcome) == r.Verdict.Outcome {
			d.Reasons = nil // those of the report hold
		}
	}
	r.Diagnostics = witnessed(r, w, c, o)
	if d, err = weighed(d, w, c, r.Diagnostics); err != nil {
		return report.Report{}, err
	}
	var invalid []string
	if n := completeOf(r.Unattributed); n > 0 && d.Outcome == analyze.Pass {
		invalid = append(invalid, fmt.Sprintf(report.SayUnknownAnswers, n))
	}
	return rejudged(r, &d, o, invalid), nil
}

// witnessed are a report's diagnostics, with what the second witness says judged by the options that hold now.
func witnessed(r report.Report, w analyze.Weights, c analyze.Counts, o analyze.Options) []report.Diagnostic {
	lines := slices.Clone(r.Diagnostics)
	i := slices.IndexFunc(lines, func(d report.Diagnostic) bool { return d.Name == nameWitness })
	if i < 0 || r.Witness == nil || len(r.Witness.Draws) != len(w) {
		return lines
	}
	draws := analyze.Counts{N: make([]int64, len(w))}
	for j, x := range r.Witness.Draws {
		draws.N[j] = x.Drawn
	}
	if alone, err := analyze.Judge(w, draws, o); err == nil {
		lines[i] = witnessLine(alone, w, c, o, draws.N, r.Witness.Background)
	}
	return lines
}

// weighed lets diagnostics that took the verdict away do so again.
func weighed(d analyze.Decision, w analyze.Weights, c analyze.Counts,
	lines []report.Diagnostic,
) (analyze.Decision, error) {
	for _, line := range lines {
		if !downgrades(line) || line.Name == nameWitness { // the report weighs that one itself
			continue
		}
		item := analyze.Diagnostic{Name: analyze.DiagnosticTime, Impact: analyze.Downgrade}
		after, err := analyze.Conclude(d, w, c, analyze.Diagnostics{Items: []analyze.Diagnostic{item}, DesignEffect: 1})
		if err != nil {
			return d, err
		}
		// Its sentence stands among the diagnostics.
		after.Reasons = slices.DeleteFunc(slices.Clone(after.Reasons),
			func(r analyze.Reason) bool { return r.Code == analyze.CodeDiagnostic })
		d = after
	}
	return d, nil
}

// judgement is what a report says of what was judged and how: enough to judge it again.
func judgement(r report.Report) (analyze.Weights, analyze.Counts, analyze.Options, error) {
	var w analyze.Weights
	c := analyze.Counts{Unattributed: r.Unattributed.Requests}
	for _, b := range r.Backends {
		w = append(w, analyze.Weight{Backend: b.Name, W: b.Weight})
		c.N = append(c.N, b.Observed)
	}
	o := analyze.DefaultOptions()
	v := r.Verdict
	if v.Gate != "" {
		o.Gate = analyze.Gate(v.Gate)
	}
	if v.Alpha > 0 {
		o.Alpha, o.Power = v.Alpha, v.Power
	}
	if r.Run != nil {
		o.Seed = r.Run.Seed
	}
	switch {
	case v.ToleranceRule != nil:
		o.Tolerance = analyze.Tolerance{
			Points: v.ToleranceRule.Points, Relative: v.ToleranceRule.RelativeShare, Leak: v.ToleranceRule.LeakShare,
		}
	case len(v.Tolerance) > 0 && !slices.ContainsFunc(v.Tolerance,
		func(t report.BackendTolerance) bool { return t.Points != v.Tolerance[0].Points }):
		o.Tolerance = analyze.Tolerance{Points: v.Tolerance[0].Points} // written before the rule was
	case len(v.Tolerance) > 0:
		return w, c, o, errors.New("the report does not say which tolerance was asked for, and it was not the same for " +
			"every backend")
	}
	if err := w.Validate(); err != nil {
		return w, c, o, fmt.Errorf("read report: %w: %w", report.ErrNotReport, err)
	}
	return w, c, o, nil
}

// rejudged is the report with another decision over its counts. What only the samples could say is carried: times,
// errors, diagnostics, which weigh as they did, and whatever made the run invalid; invalid is what makes it so now.
func rejudged(r report.Report, d *analyze.Decision, o analyze.Options, invalid []string) report.Report {
	w, c, _, err := judgement(r)
	doc := draft{Report: r, weights: w, counts: c, options: o, decision: d, invalid: slices.Clone(invalid)}
	doc.Backends, doc.Split, doc.Verdict = slices.Clone(r.Backends), nil, report.Verdict{}
	for i, text := range r.Verdict.Reasons {
		if code := report.CodeOf(r, i); d != nil && len(d.Reasons) == 0 && code != codeDiagnostic {
			doc.because(code, "%s", text)
		}
	}
	if err != nil {
		doc.invalid = append(doc.invalid, err.Error())
	}
	if r.Verdict.Outcome == report.Invalid {
		doc.invalid, doc.remedies = r.Verdict.Reasons, r.Verdict.Remedies
	}
	out := doc.finish()
	if r.Sequential != nil { // the likely ranges are of the looks, which only the samples have
		for i := range out.Backends {
			out.Backends[i].Interval = r.Backends[i].Interval
		}
	}
	if out.Split = r.Split; out.Split != nil && out.Verdict.Outcome == r.Verdict.Outcome {
		out.Verdict.Remedies = r.Verdict.Remedies // they name the split
	}
	return out
}

// sequentialOutcome is what the likely ranges of a run that looked early say under a tolerance: the rule of such runs.
// A weight-0 backend that answered is a fail.
func sequentialOutcome(r report.Report, t analyze.Tolerance) analyze.Outcome {
	inside := true
	for _, b := range r.Backends {
		if b.Weight == 0 {
			if b.Observed > 0 {
				return analyze.Fail
			}
			continue
		}
		low, high, ok := b.Interval.Ends()
		if !ok {
			return analyze.Inconclusive
		}
		allowed := t.Share(b.ExpectedShare)
		const exact = 1e-12
		if low > b.ExpectedShare+allowed+exact || high < b.ExpectedShare-allowed-exact {
			return analyze.Fail
		}
		inside = inside && low >= b.ExpectedShare-allowed-exact && high <= b.ExpectedShare+allowed+exact &&
			!math.IsNaN(low+high)
	}
	if inside {
		return analyze.Pass
	}
	return analyze.Inconclusive
}
