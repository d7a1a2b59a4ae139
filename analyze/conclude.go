package analyze

import (
	"math"
	"slices"
)

// Codes of why an outcome does not stand in spite of what a diagnostic found.
const (
	WhyMixed = "mixed" // there is no single split to judge
	WhyDraws = "draws" // nobody can say how many independent draws are behind the counts
	WhyFew   = "few"   // too few connections
	WhyFewer = "fewer" // the counts tell only as much as fewer independent requests
)

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
	var order *Reason // of all that the cause explains
	var added []Reason
	outcome := d.Outcome
	for i, item := range g.Items {
		if item.OK {
			continue
		}
		r := Reason{Code: CodeDiagnostic, Finding: &g.Items[i]}
		if item.Impact == Downgrade && !leaked && d.Outcome != Inconclusive {
			var err error
			if r.Why, r.Requests, err = undone(item, d, w, c, g); err != nil {
				return Decision{}, err
			}
		}
		if r.Why != "" {
			r.Complete, outcome = d.Outcome, Inconclusive
		}
		switch {
		case !ofOrder(item):
			added = append(added, r)
		case order == nil || r.Why != "" && (order.Why == "" || g.Cause.why(r.Why) && !g.Cause.why(order.Why)):
			r.Finding, r.Cause = nil, g.Cause
			order = &r
		}
	}
	if order != nil {
		added = append([]Reason{*order}, added...)
	}
	if d.Outcome != outcome {
		d.Outcome = outcome
		d.need(Needed{Why: NeedLikeness})
	}
	if d.Outcome == Inconclusive {
		// The reasons of the outcome that does not stand would contradict it.
		kept := slices.DeleteFunc(slices.Clone(d.Reasons), func(r Reason) bool { return decided(r.Code) })
		d.Reasons = append(added, kept...)
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

// undone says why the outcome does not stand: a code, empty where it does, and how many independent requests there are
// of WhyFewer.
func undone(item Diagnostic, d Decision, w Weights, c Counts, g Diagnostics) (why string, requests int64, err error) {
	switch item.Name {
	case DiagnosticTime, DiagnosticPods, DiagnosticRuns:
		return WhyMixed, 0, nil
	case DiagnosticSticky, DiagnosticPeriodic:
		if g.DesignEffect <= 1 && !g.Drawn {
			return WhyDraws, 0, nil
		}
	case DiagnosticConnections:
		if g.FewClusters {
			return WhyFew, 0, nil
		}
	}
	if g.DesignEffect <= 1 {
		return "", 0, nil
	}
	fewer := Counts{N: make([]int64, len(c.N)), Unattributed: int64(math.Ceil(float64(c.Unattributed) / g.DesignEffect))}
	for i, n := range c.N {
		fewer.N[i] = int64(math.Round(float64(n) / g.DesignEffect))
	}
	again, err := Judge(w, fewer, d.Options)
	if err != nil || again.Outcome == d.Outcome {
		return "", 0, err
	}
	return WhyFewer, again.Requests, nil
}
