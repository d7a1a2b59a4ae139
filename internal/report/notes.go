package report

import (
	"cmp"
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
	if r.Source != nil && r.Source.Agreement != nil && !r.Source.Agreement.Alike {
		w = append(w, agreementSentence(r))
	}
	// A lag of 0: there was no schedule. None: too few requests to tell, and what else is known is said below.
	if r.Load != nil && !r.Load.OnTime && r.Load.SendLag.P99Us != nil && *r.Load.SendLag.P99Us != 0 {
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

// ruleTable is what the verdict rests on, each with whether it held.
func ruleTable(r Report) Table {
	t := Table{Caption: "Each with whether it held.", Columns: headings(3, "Held", "What the verdict rests on", "Seen")}
	add := func(state, what, seen string) {
		cells := row(map[string]string{StateOK: "yes", StateFailed: "no"}[state], what, seen)
		cells[0].State, cells[0].Text = state, cmp.Or(cells[0].Text, "in doubt")
		t.Rows = append(t.Rows, cells)
	}
	held := func(ok bool, otherwise string) string {
		if ok {
			return StateOK
		}
		return otherwise
	}
	outcome := cmp.Or(r.Verdict.StatisticalOutcome, r.Verdict.Outcome)
	answer := cmp.Or(map[string]string{Pass: StateOK, Fail: StateFailed}[outcome], StateWarning)
	if b, ok := worst(r); ok && r.Verdict.Alpha > 0 && testSentence(r) != "" {
		add(answer, testSentence(r), fmt.Sprintf("furthest off is %s, %s from its share", b.Name,
			points(100*math.Abs(*b.ObservedShare-b.ExpectedShare))))
	} else if d := r.document(); outcome != Measured && outcome != Invalid {
		add(answer, d.question(), d.headline())
	}
	if r.Split != nil {
		seen := cmp.Or(r.Split.Why, "it was the same after the run")
		add(held(r.Split.Unchanged, StateFailed), "the split stayed the same during the run", seen)
	}
	if _, all := requestsOf(r); all > 0 {
		u := r.Unattributed.Requests
		add(held(u == 0 || r.Unattributed.Harmless, StateWarning), "it is known which backend answered",
			fmt.Sprintf("of %s of %s", count(all-u), plural(all, unitOf(r))))
	}
	if r.Load != nil {
		add(held(r.Load.OnTime, StateWarning), "requests were sent on time",
			fmt.Sprintf("99 of 100 within %s of the plan", micros(r.Load.SendLag.P99Us)))
	}
	if w := r.Witness; w != nil && w.Available && len(w.Draws) > 0 {
		add(held(w.Agrees, StateFailed), "the client's proxy counted the same", witnessSentence(w))
	}
	if len(r.Diagnostics) > 0 {
		bad := slices.DeleteFunc(slices.Clone(r.Diagnostics), func(d Diagnostic) bool { return d.OK })
		seen := fmt.Sprintf("%d ways of going wrong were looked for", len(r.Diagnostics))
		if len(bad) > 0 {
			seen = bad[0].Text
		}
		add(held(len(bad) == 0, StateWarning), "nothing odd in the order of the answers", seen)
	}
	if len(r.Checks) > 0 {
		worst := preflight.OK
		for _, c := range r.Checks {
			worst = preflight.Worst(worst, c.Status)
		}
		add(string(worst), "it was fit to be measured", checksSummary(r.Checks))
	}
	return t
}
