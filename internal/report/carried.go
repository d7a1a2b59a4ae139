package report

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/splitbench/splitbench/analyze"
)

// ToleranceRule is the tolerance as it was asked for, before it was worked out for each backend.
type ToleranceRule struct {
	Points        float64 `json:"points"`        // percentage points; 0: not set
	RelativeShare float64 `json:"relativeShare"` // fraction of the backend's own expected share; 0: not set
	LeakShare     float64 `json:"leakShare"`     // that all weight-0 backends together may receive
}

func toleranceRule(t analyze.Tolerance) *ToleranceRule {
	return &ToleranceRule{Points: number(t.Points), RelativeShare: number(t.Relative), LeakShare: number(t.Leak)}
}

// Judgement is what a report says of what was judged and how: enough to judge it again.
func (r Report) Judgement() (analyze.Weights, analyze.Counts, analyze.Options, error) {
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
		o.Tolerance = analyze.Tolerance{Points: v.ToleranceRule.Points, Relative: v.ToleranceRule.RelativeShare, Leak: v.ToleranceRule.LeakShare}
	case len(v.Tolerance) > 0 && !slices.ContainsFunc(v.Tolerance, func(t BackendTolerance) bool { return t.Points != v.Tolerance[0].Points }):
		o.Tolerance = analyze.Tolerance{Points: v.Tolerance[0].Points} // written before the rule was
	case len(v.Tolerance) > 0:
		return w, c, o, errors.New("the report does not say which tolerance was asked for, and it was not the same for every backend")
	}
	if err := w.Validate(); err != nil {
		return w, c, o, fmt.Errorf("read report: %w: %w", ErrNotReport, err)
	}
	return w, c, o, nil
}

// Rejudged is the report with another decision over its counts. What only the samples could say is carried: times, errors,
// diagnostics, which weigh as they did, and whatever made the run invalid; invalid is what makes it so now.
func (r Report) Rejudged(d *analyze.Decision, o analyze.Options, invalid []string) Report {
	w, c, _, err := r.Judgement()
	in := Input{
		Weights: w, Counts: c, Options: o, Decision: d, Checks: r.Checks, Diagnostics: r.Diagnostics, Warnings: r.Warnings,
		Invalid: slices.Clone(invalid), Interrupted: "", Run: r.Run,
	}
	if r.Run != nil {
		in.Interrupted = r.Run.CutShort
	}
	if err != nil {
		in.Invalid = append(in.Invalid, err.Error())
	}
	if r.Verdict.Outcome == Invalid {
		in.Invalid, in.Remedies = r.Verdict.Reasons, r.Verdict.Remedies
	}
	judged := Build(in)
	out := r // whatever else the report says stays, also what is added to reports after this was written
	out.Verdict, out.GoodnessOfFit = judged.Verdict, judged.GoodnessOfFit
	out.Unattributed.Bounds, out.Unattributed.Harmless = judged.Unattributed.Bounds, judged.Unattributed.Harmless
	out.Backends = slices.Clone(r.Backends)
	for i := range out.Backends {
		b, now := &out.Backends[i], judged.Backends[i]
		b.ExpectedShare, b.Expected, b.ObservedShare = now.ExpectedShare, now.Expected, now.ObservedShare
		b.StandardizedResidual, b.AdjustedP = now.StandardizedResidual, now.AdjustedP
		b.NoticeablePoints, b.LeakUpperShare = now.NoticeablePoints, now.LeakUpperShare
		if r.Sequential == nil { // else of the looks, which only the samples have
			b.Interval = now.Interval
		}
	}
	if out.Split != nil && out.Verdict.Outcome == r.Verdict.Outcome {
		out.Verdict.Remedies = r.Verdict.Remedies // they name the split
	}
	return out
}

// SequentialOutcome is what the likely ranges of a run that looked early say under a tolerance: the rule of such runs. A
// weight-0 backend that answered is a fail.
func (r Report) SequentialOutcome(t analyze.Tolerance) analyze.Outcome {
	inside := true
	for _, b := range r.Backends {
		if b.Weight == 0 {
			if b.Observed > 0 {
				return analyze.Fail
			}
			continue
		}
		low, high, ok := b.Interval.ends()
		if !ok {
			return analyze.Inconclusive
		}
		allowed := t.Share(b.ExpectedShare)
		const exact = 1e-12
		if low > b.ExpectedShare+allowed+exact || high < b.ExpectedShare-allowed-exact {
			return analyze.Fail
		}
		inside = inside && low >= b.ExpectedShare-allowed-exact && high <= b.ExpectedShare+allowed+exact && !math.IsNaN(low+high)
	}
	if inside {
		return analyze.Pass
	}
	return analyze.Inconclusive
}
