package judge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
)

// Codes of reasons that are not from a decision.
const (
	codeInvalid    = "invalid"
	codeDiagnostic = "diagnostic"
)

// because adds a reason of the verdict.
func (doc *draft) because(r analyze.Reason) {
	v := &doc.Verdict
	v.Reasons, v.ReasonCodes = append(v.Reasons, report.Sentence(r)), append(v.ReasonCodes, r.Code)
}

// worsen makes the verdict's outcome worse, where o is.
func (doc *draft) worsen(o string) { doc.Verdict.Outcome = report.WorseOutcome(doc.Verdict.Outcome, o) }

// invalidate takes the verdict away.
func (doc *draft) invalidate(why []string) {
	v := &doc.Verdict
	v.Outcome, v.Reasons, v.ReasonCodes = report.Invalid, why, slices.Repeat([]string{codeInvalid}, len(why))
}

// concludeShares makes the verdict about the shares of one run.
func (doc *draft) concludeShares() {
	o := doc.options
	d := doc.decision
	if d != nil {
		o = d.Options
		o.Gate = d.Gate
	}
	if o.Gate == "" {
		o.Gate = analyze.GateTolerance
	}
	doc.Verdict = report.Verdict{
		Gate: string(o.Gate), Alpha: o.Alpha, Power: o.Power,
		Tolerance: []report.BackendTolerance{}, Reasons: []string{}, ReasonCodes: []string{},
	}
	v := &doc.Verdict
	statistical := ""
	for _, line := range doc.Diagnostics {
		if !line.OK && line.Effect == report.EffectDowngrade {
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
		for _, reason := range d.Reasons {
			doc.because(reason)
		}
	}
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
	v.Tolerance, v.Remedies = []report.BackendTolerance{}, append([]string{}, doc.remedies...)
	v.Reasons, v.ReasonCodes = append([]string{}, v.Reasons...), append([]string{}, v.ReasonCodes...)
	if why := doc.refusals(); len(why) > 0 {
		if v.Outcome != report.Measured {
			v.StatisticalOutcome = v.Outcome
		}
		doc.invalidate(why)
	}
	for _, c := range report.FailedChecks(doc.Checks) {
		if c.Hint != "" && !slices.Contains(v.Remedies, c.Hint) {
			v.Remedies = append(v.Remedies, c.Hint)
		}
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

// invalidReasons says why there is no verdict. It does not rely on the caller having seen what the data show.
func (doc *draft) invalidReasons() []string {
	why := doc.refusals()
	if len(why) == 0 && doc.splitChanged() {
		why = append(why, "what was measured is not one split: "+doc.Split.Why)
	}
	if len(why) > 0 {
		return why
	}
	switch d := doc.decision; {
	case attributed(doc.counts) == 0:
		why = append(why, report.NoAnswers(doc.total()))
	case d == nil:
		why = append(why, "nothing was judged")
	case d.Outcome != analyze.Pass && d.Outcome != analyze.Fail && d.Outcome != analyze.Inconclusive:
		why = append(why, fmt.Sprintf("the statistics gave no outcome but %q", d.Outcome))
	}
	return why
}

// remediesOf say what to do, in order. Every outcome but a pass has at least one.
func (doc *draft) remediesOf(outcome string) []string {
	remedies := append([]string{}, doc.remedies...)
	if outcome == report.Pass {
		return remedies
	}
	add := func(s string) {
		if s != "" && !slices.Contains(remedies, s) {
			remedies = append(remedies, s)
		}
	}
	for _, c := range report.FailedChecks(doc.Checks) {
		if c.CausedBy == "" {
			add(c.Hint)
		}
	}
	switch {
	case outcome == report.Fail && doc.Split == nil:
		add("compare what was sent with what proxies obey")
	case outcome == report.Fail:
		add("see which object the proxies obey and what is wrong with it: " + report.CheckCommand(doc.Split))
	case outcome == report.Inconclusive:
		add(doc.inconclusiveRemedy())
	case len(remedies) > 0:
	case doc.cutShort() != "":
		add("run it again; what was measured so far is kept and is not a verdict")
	case doc.splitChanged():
		add("wait until the split is no longer being changed, then run it again")
	case doc.Split != nil:
		add("find the cause: " + report.CheckCommand(doc.Split))
	case len(doc.invalid) > 0:
		add("mend what the reason names, then run it again")
	default:
		add("give at least one request with a known backend")
	}
	return remedies
}

func (doc *draft) inconclusiveRemedy() string {
	for _, d := range doc.Diagnostics {
		if !d.OK && d.Effect == report.EffectDowngrade {
			return "remove that cause, then run it again"
		}
	}
	d := doc.decision
	if d == nil {
		return ""
	}
	have := doc.total()
	switch onTarget, asObserved := d.NeededIfOnTarget.Requests, d.NeededIfAsObserved.Requests; {
	case d.Unattributed.Decides:
	case onTarget > have:
		return fmt.Sprintf("run it again with --requests %d", onTarget)
	case onTarget > 0 && asObserved > have:
		return fmt.Sprintf("decide whether a share like this is right: set --tolerance wider or narrower, "+
			"or run it again with --requests %d", asObserved)
	case onTarget > 0:
		return "decide whether a share like this is right, and set --tolerance wider or narrower"
	case asObserved > have:
		return fmt.Sprintf("run it again with --requests %d", asObserved)
	}
	return "find out why requests have no known backend, or allow a wider --tolerance"
}
