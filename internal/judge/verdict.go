package judge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Codes of reasons that are not from a decision.
const (
	codeInvalid    = "invalid"
	codeDiagnostic = "diagnostic"
	codeSequential = "sequential"
)

// because adds a reason of the verdict, after those of the decision.
func (doc *draft) because(code, format string, args ...any) {
	v := &doc.Verdict
	v.Reasons, v.ReasonCodes = append(v.Reasons, fmt.Sprintf(format, args...)), append(v.ReasonCodes, code)
}

// onlyBecause makes it the only reason, in the place of the decision's.
func (doc *draft) onlyBecause(d *analyze.Decision, code, format string, args ...any) {
	d.Reasons, doc.Verdict.Reasons, doc.Verdict.ReasonCodes = nil, nil, nil
	doc.because(code, format, args...)
}

// refuse adds a reason why there is no verdict.
func (doc *draft) refuse(format string, args ...any) {
	doc.invalid = append(doc.invalid, fmt.Sprintf(format, args...))
}

// warn adds what weakens the verdict.
func (doc *draft) warn(format string, args ...any) {
	doc.Warnings = append(doc.Warnings, fmt.Sprintf(format, args...))
}

// remedy adds what to do, once.
func (doc *draft) remedy(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(doc.remedies, text) {
		doc.remedies = append(doc.remedies, text)
	}
}

// worsen makes the verdict's outcome worse, where o is.
func (doc *draft) worsen(o string) { doc.Verdict.Outcome = report.WorseOutcome(doc.Verdict.Outcome, o) }

// invalidate takes the verdict away.
func (doc *draft) invalidate(why []string) {
	v := &doc.Verdict
	v.Outcome, v.Reasons, v.ReasonCodes = report.Invalid, why, slices.Repeat([]string{codeInvalid}, len(why))
}

// NotKept makes the verdict of a run invalid whose folder could not be finished: whoever is shown its path would find
// no evidence there.
func NotKept(r *report.Report, err error) {
	v := &r.Verdict
	if v.Outcome != report.Invalid {
		if v.StatisticalOutcome == "" && v.Outcome != report.Measured {
			v.StatisticalOutcome = v.Outcome
		}
		v.Outcome, v.Reasons, v.ReasonCodes = report.Invalid, nil, nil
	}
	v.Reasons = append(v.Reasons, fmt.Sprintf(report.SayNotKept, untrusted.Error(err)))
	v.ReasonCodes = append(v.ReasonCodes, codeInvalid)
	v.Remedies = append(v.Remedies, report.RemedyKeep)
}

// concludeShares makes the verdict about the shares of one run.
func (doc *draft) concludeShares() {
	o := doc.options
	d := doc.decision
	if d != nil {
		o = d.Options
		o.Gate = d.Gate
	}
	o.Gate = cmp.Or(o.Gate, analyze.GateTolerance)
	said := doc.Verdict
	doc.Verdict = report.Verdict{
		Gate: string(o.Gate), Alpha: o.Alpha, Power: o.Power,
		Tolerance: []report.BackendTolerance{}, Reasons: []string{}, ReasonCodes: []string{},
	}
	v := &doc.Verdict
	statistical := ""
	for _, line := range doc.Diagnostics {
		if downgrades(line) {
			v.Reasons, v.ReasonCodes = append([]string{line.Text}, v.Reasons...), append(v.ReasonCodes, codeDiagnostic)
		}
	}
	downgraded := len(v.Reasons) > 0
	if d != nil {
		statistical = string(d.Outcome)
		t := d.Options.Tolerance
		v.ToleranceRule = &report.ToleranceRule{
			Points: number(t.Points), RelativeShare: number(t.Relative), LeakShare: number(t.Leak),
		}
		for _, b := range d.Backends {
			v.Tolerance = append(v.Tolerance, report.BackendTolerance{Backend: b.Backend, Points: b.TolerancePoints})
		}
		v.Match, v.Differs = probability(d.Match), probability(d.Differs)
		v.RequestsNeeded = neededOf(d)
		for _, r := range d.Reasons {
			doc.because(r.Code, "%s", report.Sentence(r))
		}
	}
	v.Reasons, v.ReasonCodes = append(v.Reasons, said.Reasons...), append(v.ReasonCodes, said.ReasonCodes...)
	v.Outcome = statistical
	if downgraded && (v.Outcome == report.Pass || v.Outcome == report.Fail) {
		v.Outcome = report.Inconclusive
	}
	if why := doc.invalidReasons(); len(why) > 0 {
		doc.invalidate(why)
	}
	if v.Outcome != statistical {
		v.StatisticalOutcome = statistical
	}
	v.Remedies = doc.remediesOf(v.Outcome)
}

// concludeOther completes a verdict that is not about shares: its outcome, which is there, may only be made worse.
func (doc *draft) concludeOther() {
	v := &doc.Verdict
	v.Gate, v.Alpha, v.Power = report.GateMargin, doc.options.Alpha, doc.options.Power
	switch {
	case doc.Drill != nil:
		v.Gate = report.GateOutage
	case doc.Watch != nil:
		v.Gate = report.GateAlways
	}
	v.Tolerance = []report.BackendTolerance{}
	v.Reasons, v.ReasonCodes = append([]string{}, v.Reasons...), append([]string{}, v.ReasonCodes...)
	if why := doc.refusals(); len(why) > 0 {
		if v.Outcome != report.Measured {
			v.StatisticalOutcome = v.Outcome
		}
		doc.invalidate(why)
	}
	for _, c := range report.FailedChecks(doc.Checks) {
		if c.Hint != "" {
			doc.remedy("%s", c.Hint)
		}
	}
	if v.Outcome == report.Fail {
		doc.remedyFailure()
	}
	v.Remedies = append([]string{}, doc.remedies...)
}

// remedyFailure says what to do where something else than the shares of one run failed.
func (doc *draft) remedyFailure() {
	switch {
	case doc.Drill != nil:
		doc.remedy(report.RemedyOutage)
	case doc.Watch != nil:
		doc.remedy(report.RemedyObject, report.CheckCommand(doc.Split, doc.before))
	case doc.Comparison != nil && doc.Comparison.Sweep != nil:
		doc.remedy(report.RemedyLimit)
	case doc.Comparison != nil:
		doc.remedy(report.RemedySlower)
	}
}

// cutShort is by what the run was cut short, "" where it was not.
func (doc *draft) cutShort() string {
	if doc.Run == nil {
		return ""
	}
	return doc.Run.CutShort
}

// refusals are why there is no verdict whatever was measured.
func (doc *draft) refusals() []string {
	why := slices.Clone(doc.invalid)
	said := strings.Join(why, "\n")
	for _, c := range report.FailedChecks(doc.Checks) {
		if c.Seen == "" || !strings.Contains(said, c.Seen) {
			why = append(why, report.FailedCheck(c))
		}
	}
	if by := doc.cutShort(); by != "" {
		end := ""
		if doc.Load != nil {
			end = doc.Load.EndReason
		}
		why = append(why, report.CutShort(by, doc.total(), end))
	}
	return why
}

// splitChanged reports whether the split is known not to have stayed the same.
func (doc *draft) splitChanged() bool {
	return doc.Split != nil && doc.after != nil && !doc.Split.Unchanged
}

// answeredByProxy says which of the requests reached no backend because the law has the client's proxy answer them, ""
// where it has not. Counts that follow such a law show no split to be right: what was declared is not what clients get.
func (doc *draft) answeredByProxy() string {
	var text []string
	for i, w := range doc.weights {
		if doc.before == nil || w.W == 0 {
			continue
		}
		if b := doc.before.Law.Leaf(w.Backend); b.ProxyStatus != 0 {
			text = append(text, report.AnsweredByProxy(b, doc.counts.N[i], doc.total()))
		}
	}
	return strings.Join(text, "; ")
}

// invalidReasons says why there is no verdict. It does not rely on the caller having seen what the data show.
func (doc *draft) invalidReasons() []string {
	why := doc.refusals()
	if len(why) == 0 && doc.splitChanged() {
		why = append(why, fmt.Sprintf(report.SayNotOneSplit, doc.Split.Why))
	}
	if len(why) > 0 {
		return why
	}
	switch d := doc.decision; {
	case attributed(doc.counts) == 0:
		why = append(why, report.NoAnswers(doc.total()))
	case d == nil:
		why = append(why, report.SayNothingJudged)
	case d.Outcome != analyze.Pass && d.Outcome != analyze.Fail && d.Outcome != analyze.Inconclusive:
		why = append(why, fmt.Sprintf(report.SayNoOutcome, d.Outcome))
	case d.Outcome == analyze.Pass && doc.answeredByProxy() != "":
		why = append(why, doc.answeredByProxy())
	}
	return why
}

// remediesOf say what to do, in order. Every outcome but a pass has at least one.
func (doc *draft) remediesOf(outcome string) []string {
	if outcome != report.Pass {
		doc.addRemedies(outcome)
	}
	return append([]string{}, doc.remedies...)
}

func (doc *draft) addRemedies(outcome string) {
	for _, c := range report.FailedChecks(doc.Checks) {
		if c.CausedBy == "" && c.Hint != "" {
			doc.remedy("%s", c.Hint)
		}
	}
	switch {
	case outcome == report.Fail && doc.Split == nil:
		doc.remedy(report.RemedyCompare)
	case outcome == report.Fail:
		doc.remedy(report.RemedyObject, report.CheckCommand(doc.Split, doc.before))
	case outcome == report.Inconclusive:
		doc.remedyForMore()
	case len(doc.remedies) > 0:
	case doc.cutShort() != "":
		doc.remedy(report.RemedyAgain)
	case doc.splitChanged():
		doc.remedy(report.RemedyWait)
	case doc.Split != nil:
		doc.remedy(report.RemedyFind, report.CheckCommand(doc.Split, doc.before))
	case len(doc.invalid) > 0:
		doc.remedy(report.RemedyMend)
	default:
		doc.remedy(report.RemedyGive)
	}
}

// remedyForMore says what would decide.
func (doc *draft) remedyForMore() {
	d := doc.decision
	switch have := doc.total(); {
	case slices.ContainsFunc(doc.Diagnostics, downgrades):
		doc.remedy(report.RemedyCause)
	case d == nil:
	case d.Unattributed.Decides:
		doc.remedy(report.RemedyTolerance)
	case d.NeededIfOnTarget.Requests > have:
		doc.remedy(report.RemedyRequests, d.NeededIfOnTarget.Requests)
	case d.NeededIfOnTarget.Requests > 0 && d.NeededIfAsObserved.Requests > have:
		doc.remedy(report.RemedyDecideOr, d.NeededIfAsObserved.Requests)
	case d.NeededIfOnTarget.Requests > 0:
		doc.remedy(report.RemedyDecide)
	case d.NeededIfAsObserved.Requests > have:
		doc.remedy(report.RemedyRequests, d.NeededIfAsObserved.Requests)
	default:
		doc.remedy(report.RemedyTolerance)
	}
}

// downgrades reports whether a diagnostic took the verdict away.
func downgrades(d report.Diagnostic) bool { return !d.OK && d.Effect == report.EffectDowngrade }
