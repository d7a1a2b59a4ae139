package analyze

import (
	"fmt"
	"math"
	"slices"
)

// CodeDiagnostic is the code of the reasons that Conclude adds.
const CodeDiagnostic = "diagnostic"

// Conclude lets the diagnostics keep, qualify or make inconclusive a decision; they never improve one. A leak stays a
// failure whatever the order of requests. Shares that differ over time or between source pods have no single value to
// judge: inconclusive. Requests that stick together count as fewer: the decision is made once more with the counts
// divided by the design effect, and stands only if the outcome is the same; below 20 connections it does not stand at
// all. Everything flagged is added to the reasons. w and c are those of the decision. Errors wrap ErrInput.
func Conclude(d Decision, w Weights, c Counts, g Diagnostics) (Decision, error) {
	if len(g.Items) == 0 {
		return d, nil
	}
	leak := newTest(w, d.Options)
	hits := int64(0)
	if len(c.N) == len(w) {
		hits = leak.leaked(c.N)
	}
	leaked := leak.leak == 0 && hits > 0
	var added []Reason
	for _, item := range g.Items {
		if item.OK {
			continue
		}
		r := Reason{Code: CodeDiagnostic, Text: item.Text + "."}
		if len(item.Causes) > 0 {
			r.Text = fmt.Sprintf("%s. Likely cause: %s.", item.Text, item.Causes[0])
		}
		if item.Impact == Downgrade && !leaked && d.Outcome != Inconclusive {
			stands, why, err := survives(item, d, w, c, g)
			if err != nil {
				return Decision{}, err
			}
			if !stands {
				d.Outcome = Inconclusive
				r.Text += " " + why
				none := Needed{Why: "the requests of this run are not alike or not independent: remove the cause, then run again"}
				d.NeededIfOnTarget, d.NeededIfAsObserved = none, none
				added = append([]Reason{r}, added...)
				continue
			}
		}
		added = append(added, r)
	}
	if d.Outcome == Inconclusive {
		// The sentences of the outcome that does not stand would contradict it.
		d.Reasons = append(added, slices.DeleteFunc(slices.Clone(d.Reasons), func(r Reason) bool { return decided(r.Code) })...)
	} else {
		d.Reasons = append(slices.Clone(d.Reasons), added...)
	}
	return d, nil
}

// decided reports whether a reason explains a pass or a fail.
func decided(code string) bool {
	switch code {
	case CodeWithin, CodeOutside, CodeByChance, CodeNoDifference, CodeNoticeable:
		return true
	}
	return false
}

// survives reports whether the outcome stands in spite of what was found.
func survives(item Diagnostic, d Decision, w Weights, c Counts, g Diagnostics) (stands bool, why string, err error) {
	switch item.Name {
	case DiagnosticTime, DiagnosticPods:
		return false, fmt.Sprintf("The counts alone would be a %s, but there is no single split to judge.", d.Outcome), nil
	case DiagnosticSticky, DiagnosticPeriodic:
		if g.DesignEffect <= 1 && !g.Drawn {
			return false, fmt.Sprintf(
				"The counts alone would be a %s, but nobody can say how many independent draws are behind them.", d.Outcome), nil
		}
	case DiagnosticConnections:
		if g.FewClusters {
			return false, fmt.Sprintf("The counts alone would be a %s, but fewer than %d connections cannot carry it.",
				d.Outcome, fewClusters), nil
		}
	}
	if g.DesignEffect <= 1 {
		return true, "", nil
	}
	fewer := Counts{N: make([]int64, len(c.N)), Unattributed: int64(math.Ceil(float64(c.Unattributed) / g.DesignEffect))}
	for i, n := range c.N {
		fewer.N[i] = int64(math.Round(float64(n) / g.DesignEffect))
	}
	again, err := Judge(w, fewer, d.Options)
	if err != nil {
		return false, "", err
	}
	if again.Outcome == d.Outcome {
		return true, "", nil
	}
	return false, fmt.Sprintf("The counts alone would be a %s, but they tell only as much as %s independent requests.",
		d.Outcome, grouped(again.Requests)), nil
}
