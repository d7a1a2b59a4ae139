package analyze

import (
	"fmt"
	"math"
	"strings"
)

// Codes of a Reason.
const (
	CodeWithin       = "within-tolerance"    // pass
	CodeOutside      = "outside-tolerance"   // fail
	CodeByChance     = "unlikely-by-chance"  // fail of the chi-square gate
	CodeNoDifference = "no-difference-seen"  // pass of the chi-square gate
	CodeLeak         = "leak"                // fail: a weight-0 backend answered
	CodeLeakUnsure   = "leak-undecided"      // some leak is tolerated, and the counts cannot tell whether it is more
	CodeTooFew       = "too-few-requests"    // inconclusive
	CodeNoRequests   = "no-requests"         // inconclusive: nothing was attributed
	CodeEdge         = "on-the-edge"         // inconclusive, and no number of requests helps
	CodeUnattributed = "unattributed-decide" // inconclusive: another allocation changes the outcome
	CodeChance       = "chance"              // how often chance alone does this
	CodeNoticeable   = "noticeable"          // what a run of this size would have noticed
	CodeNoHits       = "leak-bound"          // a weight-0 backend did not answer; how much it could still get
	CodeApproximate  = "simulated-undecided" // a simulated or bounded p straddles alpha
)

// reasons explains the decision, the most important sentence first. complete is the outcome without the unattributed.
func (j *judgement) reasons(d *Decision, complete Outcome) []Reason {
	if j.total == 0 {
		return []Reason{{CodeNoRequests, fmt.Sprintf(
			"No request was attributed to a backend (%s unattributed): nothing was measured.%s", grouped(j.c.Unattributed), j.advice(d))}}
	}
	var out []Reason
	switch {
	case d.Unattributed.Decides:
		out = append(out, j.unattributedReason(complete))
	case d.Outcome == Pass:
		out = append(out, j.passReason(d))
	case d.Outcome == Fail:
		out = append(out, j.failReasons(d)...)
	default:
		out = append(out, j.inconclusiveReason(d))
	}
	if len(j.cells.n) > 1 && j.cells.total > 0 && (j.hits == 0 || j.test.leak > 0) {
		out = append(out, Reason{CodeChance, fmt.Sprintf(
			"If the mesh really used the %s, a gap this large or larger would turn up in %s%s by chance.",
			j.w.label(), about(d.GoodnessOfFit.Pearson.Exact), d.GoodnessOfFit.Pearson.Exact.InWords())})
	}
	if d.Outcome == Pass && len(j.w) > 1 {
		out = append(out, j.sensitivity(d))
	}
	for _, i := range j.test.zero {
		if d.Backends[i].Observed == 0 {
			out = append(out, Reason{CodeNoHits, fmt.Sprintf(
				"%s has weight 0 and answered none of %s; its true share is at most %s.", j.w[i].Backend,
				plural(j.total, "request", "requests"), percent(d.Backends[i].LeakUpper))})
		}
	}
	return out
}

func about(p PValue) string {
	switch {
	case p.Method == Bound && p.P >= 1e-9:
		return "at most "
	case p.P >= 0.995 || p.P < 1e-9:
		return ""
	}
	return "about "
}

func (j *judgement) passReason(d *Decision) Reason {
	worst := 0
	for r := range j.cells.index {
		if d.Backends[j.cells.index[r]].Match.LnP > d.Backends[j.cells.index[worst]].Match.LnP {
			worst = r
		}
	}
	b := d.Backends[j.cells.index[worst]]
	if j.o.Gate == GateChiSquare {
		return Reason{CodeNoDifference, fmt.Sprintf(
			"Traffic follows the %s: the counts show no difference, and a run of this size would have noticed a shift "+
				"beyond the tolerance.", j.w.label())}
	}
	return Reason{CodeWithin, fmt.Sprintf(
		"Traffic follows the %s: %s got %s, expected %s, tolerance %s; were any share outside its tolerance, "+
			"counts like these would turn up in %s%s.",
		j.w.label(), b.Backend, percent(b.ObservedShare), percent(b.ExpectedShare), points(b.TolerancePoints),
		about(d.Match), d.Match.InWords())}
}

func (j *judgement) failReasons(d *Decision) []Reason {
	var out []Reason
	if j.test.leakOutcome(j.hits, j.total) == Fail {
		for _, i := range j.test.zero {
			if b := d.Backends[i]; b.Observed > 0 {
				rule := "it must get none"
				if j.test.leak > 0 {
					rule = "at most " + percent(j.test.leak) + " is tolerated"
				}
				out = append(out, Reason{CodeLeak, fmt.Sprintf("%s has weight 0 but answered %s (%s): %s.",
					b.Backend, plural(b.Observed, "request", "requests"), percent(b.ObservedShare), rule)})
			}
		}
	}
	if j.o.Gate == GateChiSquare {
		if p := d.GoodnessOfFit.Pearson.Exact; p.LnP < math.Log(j.o.Alpha) && (len(out) == 0 || j.test.leak > 0) {
			worst := j.worstResidual(d)
			out = append(out, Reason{CodeByChance, fmt.Sprintf(
				"Traffic does NOT follow the %s: %s got %s, expected %s, more than chance explains.",
				j.w.label(), worst.Backend, percent(worst.ObservedShare), percent(worst.ExpectedShare))})
		}
		return out
	}
	for _, i := range j.outside(d) {
		b := d.Backends[i]
		out = append(out, Reason{CodeOutside, fmt.Sprintf(
			"Traffic does NOT follow the %s: %s got %s, expected %s within %s; were it inside, "+
				"counts like these would turn up in %s%s.",
			j.w.label(), b.Backend, percent(b.ObservedShare), percent(b.ExpectedShare), points(b.TolerancePoints),
			about(b.Differs), b.Differs.InWords())})
	}
	return out
}

// outside are the backends shown to be outside their tolerance; of two, which are one another's mirror image, the
// smaller.
func (j *judgement) outside(d *Decision) []int {
	limit := math.Log(j.o.Alpha) - math.Log(j.test.factor)
	var out []int
	for _, i := range j.test.index {
		if d.Backends[i].Differs.LnP <= limit {
			out = append(out, i)
		}
	}
	if len(j.test.index) == 2 && len(out) == 2 {
		if d.Backends[out[0]].ExpectedShare < d.Backends[out[1]].ExpectedShare {
			return out[:1]
		}
		return out[1:]
	}
	return out
}

func (j *judgement) worstResidual(d *Decision) BackendResult {
	worst := d.Backends[j.cells.index[0]]
	for _, i := range j.cells.index {
		if math.Abs(d.Backends[i].StandardizedResidual) > math.Abs(worst.StandardizedResidual) {
			worst = d.Backends[i]
		}
	}
	return worst
}

func (j *judgement) unattributedReason(complete Outcome) Reason {
	m := plural(j.c.Unattributed, "unattributed request decides", "unattributed requests decide")
	text := fmt.Sprintf("%s it: the attributed requests alone would be a %s, but not if the others all belonged to the wrong "+
		"backend.", m, complete)
	if complete == Fail {
		text = m + " it: the attributed requests alone would be a fail, but not if the others belonged where they are missing."
	}
	if complete == Pass && len(j.test.zero) > 0 && j.test.leakOutcome(j.hits+j.c.Unattributed, j.total+j.c.Unattributed) != Pass {
		text = fmt.Sprintf("%s it: any of them may have reached %s, which has weight 0.", m, j.w[j.test.zero[0]].Backend)
	}
	return Reason{CodeUnattributed, text + " Find out where they went, then run again."}
}

func (j *judgement) inconclusiveReason(d *Decision) Reason {
	if j.test.leakOutcome(j.hits, j.total) == Inconclusive {
		return Reason{CodeLeakUnsure, fmt.Sprintf(
			"Backends of weight 0 answered %s: too few requests to tell whether their share is above the tolerated %s.",
			plural(j.hits, "request", "requests"), percent(j.test.leak))}
	}
	worst := d.Backends[j.cells.index[0]]
	for _, i := range j.cells.index {
		if d.Backends[i].Match.LnP > worst.Match.LnP {
			worst = d.Backends[i]
		}
	}
	if j.o.Gate == GateChiSquare && d.GoodnessOfFit.Pearson.Exact.Method != Exact && j.test.chiSquarePower(j.total) >= j.o.Power {
		return Reason{CodeApproximate, "The probability of counts like these could only be simulated or bounded, " +
			"and lies too close to alpha to decide."}
	}
	code := CodeTooFew
	if d.NeededIfAsObserved.Requests == 0 {
		code = CodeEdge
	}
	text := fmt.Sprintf("%s cannot tell the %s from a wrong split: the true share of %s could be anywhere from %s to %s, "+
		"and the tolerance is %s to %s.",
		plural(j.total, "request", "requests"), j.w.label(), worst.Backend,
		percent(worst.Interval.Low), percent(worst.Interval.High),
		percent(math.Max(0, worst.ExpectedShare-worst.TolerancePoints/100)),
		percent(math.Min(1, worst.ExpectedShare+worst.TolerancePoints/100)))
	return Reason{code, text + j.advice(d)}
}

// advice says how many requests would decide, both ways.
func (j *judgement) advice(d *Decision) string {
	var parts []string
	odds := fmt.Sprintf("%s times in 100", digits(100*j.o.Power))
	if n := d.NeededIfOnTarget.Requests; n > 0 {
		parts = append(parts, fmt.Sprintf(" %s in all would decide %s if the split is on target", grouped(n), odds))
	}
	switch n := d.NeededIfAsObserved; {
	case n.Requests > 0 && len(parts) > 0:
		parts = append(parts, fmt.Sprintf(", %s if it is as observed", grouped(n.Requests)))
	case n.Requests > 0:
		parts = append(parts, fmt.Sprintf(" %s in all would decide %s if the split is as observed", grouped(n.Requests), odds))
	case j.total > 0 && n.Why != "":
		parts = append(parts, "; "+n.Why)
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.TrimPrefix(strings.Join(parts, ""), ";") + "."
}

// sensitivity is the sentence that keeps a pass from meaning more than the run could see.
func (j *judgement) sensitivity(d *Decision) Reason {
	most := 0.0
	for _, x := range d.NoticeablePoints {
		most = math.Max(most, x)
	}
	return Reason{CodeNoticeable, fmt.Sprintf("This run would have noticed a shift of about %s or more (%s times in 100).",
		points(most), digits(100*j.o.Power))}
}
