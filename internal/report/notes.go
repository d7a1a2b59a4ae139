package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/preflight"
)

// unattributedSentence says what could not be counted, and whether that matters.
func unattributedSentence(r Report) string {
	u, matter := r.Unattributed, r.document().matter()
	if u.Requests == 0 || matter == "" {
		return ""
	}
	_, all := requestsOf(r)
	what := ""
	if unitOf(r) == unitRequest { // errors and statuses are of requests
		statuses := make(map[string]int64, len(u.Statuses))
		for status, n := range u.Statuses {
			statuses["with status "+status] = n
		}
		if kinds := append(countsText(u.Errors), countsText(statuses)...); len(kinds) > 0 {
			what = " (" + strings.Join(kinds, ", ") + ")"
		}
	}
	return fmt.Sprintf("%s of %s are unattributed%s: %s.",
		count(u.Requests), plural(all, unitOf(r)), what, matter)
}

// warnings are all that weakens the conclusion, in order.
func warnings(r Report) []string {
	var w []string
	if s := unattributedSentence(r); s != "" {
		w = append(w, s)
	}
	for _, d := range r.Diagnostics {
		if !d.OK && d.Effect == EffectQualify { // downgrades are among the reasons, and what a cause explains is said there
			w = append(w, d.Text)
		}
	}
	// A lag of 0: there was no schedule.
	if r.Load != nil && !r.Load.OnTime && !(r.Load.SendLag.P99Us != nil && *r.Load.SendLag.P99Us == 0) {
		w = append(w, fmt.Sprintf(
			"The generator was late (99 of 100 requests within %s of the plan): the times are not the mesh's alone.",
			micros(r.Load.SendLag.P99Us)))
	}
	if r.Load != nil && r.Load.Dropped > 0 {
		w = append(w, fmt.Sprintf("The samples of %s were dropped because the stream was slow; they are counted all the "+
			"same.", plural(r.Load.Dropped, "request")))
	}
	for _, c := range r.Checks {
		if c.Status == preflight.Warning || c.Status == preflight.Failed && !c.Failure() {
			w = append(w, checkSentence(c))
		}
	}
	if s := unseenSentence(r.Checks); s != "" {
		w = append(w, s)
	}
	return append(w, r.Warnings...)
}

func checkSentence(c preflight.Result) string {
	s := fmt.Sprintf("%s %s: %s", c.ID, c.Status, c.Name)
	if c.Seen != "" {
		s += " (" + c.Seen + ")"
	}
	if c.Waived != "" {
		s += "; the run went on all the same: " + c.Waived
	}
	return s
}

// unseenSentence names what could not be checked, in one sentence for all. A single one is told in full.
func unseenSentence(checks []preflight.Result) string {
	var unseen []preflight.Result
	var names []string
	for _, c := range checks {
		if c.Status == preflight.Unknown {
			unseen = append(unseen, c)
			names = append(names, c.Name+" ["+c.ID+"]")
		}
	}
	switch len(unseen) {
	case 0:
		return ""
	case 1:
		return checkSentence(unseen[0])
	}
	return fmt.Sprintf("%d things could not be seen, and are not known to hold: %s. What was lacking is in the list of "+
		"checks.", len(unseen), strings.Join(names, "; "))
}

// whyNot are the reasons that the headline has not said already.
func whyNot(r Report) []string {
	switch {
	case r.Verdict.Outcome == Pass:
		return nil
	case r.Verdict.Outcome == Invalid && len(r.Verdict.Reasons) > 0:
		return r.Verdict.Reasons[1:]
	}
	if shares, limits := sharesOnly(r); limits != "" { // in the headline
		return whyNot(shares)
	}
	var why []string
	for i, reason := range r.Verdict.Reasons {
		if c := CodeOf(r, i); c != analyze.CodeChance && c != analyze.CodeNoticeable { // said below the table
			why = append(why, reason)
		}
	}
	return why
}

// CodeOf is the code of a reason, "" in documents that have none.
func CodeOf(r Report, reason int) string {
	if reason < len(r.Verdict.ReasonCodes) {
		return r.Verdict.ReasonCodes[reason]
	}
	return ""
}

func hasCode(r Report, code string) bool { return slices.Contains(r.Verdict.ReasonCodes, code) }

// rules are what the verdict rests on, each with whether it held.
func rules(r Report) []string {
	var s []string
	if b, ok := worst(r); ok && r.Verdict.Alpha > 0 && testSentence(r) != "" {
		s = append(s, fmt.Sprintf("%s: furthest off is %s, %s from its share", testSentence(r), b.Name,
			points(100*math.Abs(*b.ObservedShare-b.ExpectedShare))))
	}
	if r.Split != nil {
		held := "yes"
		if !r.Split.Unchanged {
			held = "no, " + r.Split.Why
		}
		s = append(s, "the split stayed the same during the run: "+held)
	}
	if _, all := requestsOf(r); all > 0 {
		s = append(s, fmt.Sprintf("requests with a known backend: %s of %s", count(all-r.Unattributed.Requests), count(all)))
	}
	if r.Load != nil {
		s = append(s, "requests were sent on time: "+yesNo(r.Load.OnTime))
	}
	if len(r.Checks) > 0 {
		s = append(s, "checks before the run: "+checksSummary(r.Checks))
	}
	return s
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
