package report

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// Sentence says a reason in words. What stands here is in stored documents: tools compare it.
func Sentence(r analyze.Reason) string {
	unit := cmp.Or(r.Unit, unitRequest)
	switch {
	case r.Quantile > 0:
		return latencyReason(r)
	}
	switch r.Code {
	case analyze.CodeNoRequests:
		return fmt.Sprintf("No %s was attributed to a backend (%s unattributed): nothing was measured.%s",
			unit, count(r.Requests), advice(r, unit))
	case analyze.CodeUnattributed:
		return unattributedReason(r, unit)
	case analyze.CodeWithin:
		return fmt.Sprintf("Traffic follows the %s: %s, tolerance %s; were any share outside its tolerance, "+
			"counts like these would turn up in %s.", weightsWords(r.Weights), gotReason(r), points(r.Points), inRuns(r.P))
	case analyze.CodeOutside:
		return fmt.Sprintf("Traffic does NOT follow the %s: %s within %s; were it inside, "+
			"counts like these would turn up in %s.", weightsWords(r.Weights), gotReason(r), points(r.Points), inRuns(r.P))
	case analyze.CodeByChance:
		return fmt.Sprintf("Traffic does NOT follow the %s: %s, more than chance explains.",
			weightsWords(r.Weights), gotReason(r))
	case analyze.CodeNoDifference:
		return fmt.Sprintf("Traffic follows the %s: the counts show no difference, and a run of this size would have "+
			"noticed a shift beyond the tolerance.", weightsWords(r.Weights))
	case analyze.CodeLeak:
		rule := "it must get none"
		if r.Points > 0 {
			rule = "at most " + digits(r.Points) + " % is tolerated"
		}
		return fmt.Sprintf("%s has weight 0 but answered %s (%s): %s.",
			r.Backend, plural(r.Requests, unit), exactPercent(r.Share), rule)
	case analyze.CodeLeakUnsure:
		return fmt.Sprintf("Backends of weight 0 answered %s: too few %ss to tell whether their share is above the "+
			"tolerated %s %%.", plural(r.Requests, unit), unit, digits(r.Points))
	case analyze.CodeApproximate:
		return "The probability of counts like these could only be simulated or bounded, " +
			"and lies too close to alpha to decide."
	case analyze.CodeTooFew, analyze.CodeEdge:
		return fmt.Sprintf("%s cannot tell the %s from a wrong split: the true share of %s could be anywhere "+
			"from %s to %s, and the tolerance is %s to %s.%s", plural(r.Requests, unit), weightsWords(r.Weights), r.Backend,
			exactPercent(r.Low), exactPercent(r.High), exactPercent(math.Max(0, r.Expected-r.Points/100)),
			exactPercent(math.Min(1, r.Expected+r.Points/100)), advice(r, unit))
	case analyze.CodeChance:
		return fmt.Sprintf("If the mesh really used the %s, a gap this large or larger would turn up in %s by chance.",
			weightsWords(r.Weights), inRuns(r.P))
	case analyze.CodeNoticeable:
		return fmt.Sprintf("This run would have noticed a shift of about %s or more (%s times in 100).",
			points(r.Points), digits(100*r.Power))
	case analyze.CodeNoHits:
		return fmt.Sprintf("%s has weight 0 and answered none of %s; its true share is at most %s.",
			r.Backend, plural(r.Requests, unit), exactPercent(r.High))
	case analyze.CodeTurns, analyze.CodeTurnsFew, analyze.CodeTurnsBroken:
		return turnsReason(r, unit)
	case analyze.CodeDiagnostic:
		return findingReason(r)
	}
	return r.Code
}

// gotReason is what the backend of a reason got.
func gotReason(r analyze.Reason) string {
	return fmt.Sprintf("%s got %s, expected %s", r.Backend, exactPercent(r.Share), exactPercent(r.Expected))
}

func unattributedReason(r analyze.Reason, unit string) string {
	if r.Bound > 0 {
		return turnsReason(r, unit)
	}
	decide := "s decide"
	if r.Requests == 1 {
		decide = " decides"
	}
	text := fmt.Sprintf("%s unattributed %s%s it: ", count(r.Requests), unit, decide)
	switch {
	case r.Backend != "":
		text += fmt.Sprintf("any of them may have reached %s, which has weight 0.", r.Backend)
	case r.Complete == analyze.Fail:
		text += fmt.Sprintf("the attributed %ss alone would be a fail, "+
			"but not if the others belonged where they are missing.", unit)
	default:
		text += fmt.Sprintf("the attributed %ss alone would be a %s, "+
			"but not if the others all belonged to the wrong backend.", unit, r.Complete)
	}
	return text + " Find out where they went, then run again."
}

// advice says how many requests would decide, both ways.
func advice(r analyze.Reason, unit string) string {
	odds := digits(100*r.Power) + " times in 100"
	text := ""
	if n := r.OnTarget.Requests; n > 0 {
		text = fmt.Sprintf(" %s in all would decide %s if the split is on target", count(n), odds)
	}
	switch n := r.AsObserved; {
	case n.Requests > 0 && text != "":
		text += fmt.Sprintf(", %s if it is as observed", count(n.Requests))
	case n.Requests > 0:
		text = fmt.Sprintf(" %s in all would decide %s if the split is as observed", count(n.Requests), odds)
	case n.Why != "" && text != "":
		text += "; " + neededWhy(n, unit)
	case n.Why != "":
		text = " " + neededWhy(n, unit)
	}
	if text == "" {
		return ""
	}
	return text + "."
}

// NeededWhy says why no number of requests decides.
func NeededWhy(n analyze.Needed) string { return neededWhy(n, unitRequest) }

func neededWhy(n analyze.Needed, unit string) string {
	switch n.Why {
	case analyze.NeedNothing:
		return "this run is decided"
	case analyze.NeedUnattributed:
		return fmt.Sprintf("the unattributed %ss decide, not the number of %ss", unit, unit)
	case analyze.NeedObservations:
		return "nothing was observed"
	case analyze.NeedEdge:
		return fmt.Sprintf("the observed share of %s lies on the edge of the tolerance: no number of %ss helps, "+
			"widen or narrow the tolerance", n.Backend, unit)
	case analyze.NeedNarrow:
		return fmt.Sprintf("it is too narrow: more than 1,000,000,000 %ss would be needed", unit)
	case analyze.NeedLikeness:
		return fmt.Sprintf("the %ss of this run are not alike or not independent: remove the cause, then run again", unit)
	case analyze.NeedAlikeRuns:
		return "the runs are not alike: remove the cause, then run again"
	case analyze.NeedAnotherPlan:
		return "the looks have used up the error rate of this run; plan another with more --requests"
	}
	return n.Why
}

// turnsReason is a reason about a split that takes turns.
func turnsReason(r analyze.Reason, unit string) string {
	off := digits(r.Deviation)
	fact := fmt.Sprintf("%s got %s, %s %ss off its weight, and turns by weight keep within %s",
		r.Backend, exactPercent(r.Share), off, unit, digits(r.Bound))
	switch r.Code {
	case analyze.CodeTurnsBroken:
		return fmt.Sprintf("%s is %s %ss off its weight, and turns by weight would be off by %s at most: other clients "+
			"share the schedule, or a backend was left out for a while. The counts were judged as random draws, which is "+
			"strict enough for turns.", r.Backend, off, unit, digits(r.Bound))
	case analyze.CodeUnattributed:
		return fmt.Sprintf("%s without a known backend may have reached one of weight 0, which must get nothing; else: %s.",
			plural(r.Requests, unit), fact)
	case analyze.CodeTurns:
		return fmt.Sprintf("Traffic follows the %s by turns: %s; no weights outside the tolerance give such counts.",
			weightsWords(r.Weights), fact)
	}
	return fmt.Sprintf("%s cannot tell the %s from others: %s; about %s %ss would.",
		plural(r.Requests, unit), weightsWords(r.Weights), fact, count(r.OnTarget.Requests), unit)
}

// latencyReason is why the latencies of two targets did not pass.
func latencyReason(r analyze.Reason) string {
	text := fmt.Sprintf("p%g ", 100*r.Quantile)
	if r.Target != "" {
		text = r.Target + ": " + text
	}
	switch {
	case r.Code == analyze.CodeOutside:
		return text + "is slower by more than the margin"
	case r.Code == analyze.CodeEdge && r.Why == analyze.WhyLate:
		return text + "is so near the margin that nothing sent by so late a generator would tell"
	case r.Code == analyze.CodeEdge:
		return text + "is so near the margin that no number of blocks would tell"
	case r.Why != "":
		return text + "has no interval: it " + r.Why
	}
	return text + fmt.Sprintf("may or may not be slower by more than the margin: "+
		"about %d blocks on each side would tell", r.Blocks)
}

// findingReason is what diagnostics found, its likely cause, and what it did to the outcome.
func findingReason(r analyze.Reason) string {
	var what, cause string
	if r.Cause != nil {
		what, cause = causeWords(r.Cause)
	} else {
		what, cause = foundBy(*r.Finding)
	}
	text := what + "."
	if cause != "" {
		text = fmt.Sprintf("%s. Likely cause: %s.", what, cause)
	}
	alone := fmt.Sprintf(" The counts alone would be a %s, but ", r.Complete)
	switch r.Why {
	case analyze.WhyMixed:
		text += alone + "there is no single split to judge."
	case analyze.WhyDraws:
		text += alone + "nobody can say how many independent draws are behind them."
	case analyze.WhyFew:
		text += alone + fmt.Sprintf("fewer than %d connections cannot carry it.", analyze.FewClusters)
	case analyze.WhyFewer:
		text += alone + fmt.Sprintf("they tell only as much as %s independent requests.", count(r.Requests))
	}
	return text
}

// foundBy says what a diagnostic found, and its likeliest cause.
func foundBy(d analyze.Diagnostic) (what, cause string) {
	switch d.Name {
	case analyze.DiagnosticErrors:
		return fmt.Sprintf("%s fails more often than the others: %s of its answers are errors; a proxy that retries draws "+
			"again, so its share may look too small", d.Backend, exactPercent(d.Share)), "the backend itself fails"
	case analyze.DiagnosticRuns:
		return fmt.Sprintf("the runs differ by more than chance: %s got %.1f %% in run %s and %.1f %% in run %s", d.Backend,
				100*d.Least.Share, d.Least.Name, 100*d.Most.Share, d.Most.Name),
			"the weights that proxies obey, or the pods behind them, changed between the runs"
	}
	return d.Name, ""
}

// weightsWords names the weights: "50/50 weights", or their number where there are many.
func weightsWords(w analyze.Weights) string {
	switch {
	case len(w) == 1:
		return "weight of the only backend"
	case len(w) > maxWeightsShown:
		return fmt.Sprintf("declared weights of %d backends", len(w))
	}
	return w.Ratio() + " weights"
}

// inRuns says a probability as a frequency that needs no statistics to read: "about 37 of 100 runs", and below one in a
// billion "fewer than 1 in a billion runs". It never says 0.
func inRuns(p analyze.PValue) string {
	switch {
	case p.LnP == math.Inf(-1):
		return "no run at all"
	case p.P >= 0.995 && p.Method == analyze.Bound:
		return "at most nearly every run"
	case p.P >= 0.995:
		return "nearly every run"
	case p.P < 1e-9:
		return "fewer than 1 in a billion runs"
	}
	about := "about"
	if p.Method == analyze.Bound {
		about = "at most"
	}
	for of := int64(100); ; of *= 10 {
		if hits := math.Round(p.P * float64(of)); hits >= 1 {
			return fmt.Sprintf("%s %s of %s runs", about, count(int64(hits)), count(of))
		}
	}
}

// exactPercent writes a share as "49.4 %", with more digits below 1 %.
func exactPercent(share float64) string { return digits(100*share) + " %" }

// digits writes a number with one decimal, or two significant ones where it is small, without trailing zeros.
func digits(x float64) string {
	decimals := 1
	for a := math.Abs(x); a > 0 && a < 1 && decimals < 12; a *= 10 {
		decimals++
	}
	s := strconv.FormatFloat(x, 'f', decimals, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
