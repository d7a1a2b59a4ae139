package judge

import (
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// AnalyzeReport judges a report again by its own counts, as override changes its options: what `analyze` does with a page or
// a JSON document that was sent by mail, without the run's folder. Verdict and goodness of fit are computed anew; times and
// diagnostics need the samples and are carried. Errors say that the report cannot be judged.
func AnalyzeReport(r report.Report, override func(*analyze.Options)) (report.Report, error) {
	if r.Kind != report.Kind {
		return report.Report{}, record.Usagef("analyze: this %s is judged from its samples, which the document does not hold: name its run instead", r.Kind)
	}
	w, c, o, err := r.Judgement()
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
		return r.Rejudged(nil, o, nil), nil // nothing was judged then either
	}
	d, err := analyze.Judge(w, c, o)
	if err != nil {
		return report.Report{}, err
	}
	if r.Sequential != nil {
		d.Outcome = r.SequentialOutcome(o.Tolerance)
		if slices.Contains(r.Verdict.ReasonCodes, analyze.CodeLeak) {
			d.Outcome = analyze.Fail // also where it answered after the look that the counts are of
		}
		if len(r.Verdict.Reasons) > 0 && string(d.Outcome) == r.Verdict.Outcome {
			d.Reasons = nil
			for i, text := range r.Verdict.Reasons {
				code := ""
				if i < len(r.Verdict.ReasonCodes) {
					code = r.Verdict.ReasonCodes[i]
				}
				d.Reasons = append(d.Reasons, analyze.Reason{Code: code, Text: text})
			}
		}
	}
	r.Diagnostics = witnessed(r, w, c, o)
	if d, err = weighed(d, w, c, r.Diagnostics); err != nil {
		return report.Report{}, err
	}
	var invalid []string
	if n := completeOf(r.Unattributed); n > 0 && d.Outcome == analyze.Pass {
		invalid = append(invalid, unknownReason(n))
	}
	return r.Rejudged(&d, o, invalid), nil
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
func weighed(d analyze.Decision, w analyze.Weights, c analyze.Counts, lines []report.Diagnostic) (analyze.Decision, error) {
	for _, line := range lines {
		if line.OK || line.Effect != report.EffectDowngrade || line.Name == nameWitness { // the report weighs that one itself
			continue
		}
		item := analyze.Diagnostic{Name: analyze.DiagnosticTime, Impact: analyze.Downgrade}
		after, err := analyze.Conclude(d, w, c, analyze.Diagnostics{Items: []analyze.Diagnostic{item}, DesignEffect: 1})
		if err != nil {
			return d, err
		}
		// Its sentence stands among the diagnostics.
		after.Reasons = slices.DeleteFunc(slices.Clone(after.Reasons), func(r analyze.Reason) bool { return r.Code == analyze.CodeDiagnostic })
		d = after
	}
	return d, nil
}
