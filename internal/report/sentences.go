package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/preflight"
)

// This file and sentences_build.go hold every sentence that a reader sees, so that text and Markdown say the same.
// Functions that take a Report expect one whose strings are escaped for where the sentence goes.

// verdictWord is the first word of a report.
func verdictWord(r Report) string { return strings.ToUpper(r.Verdict.Outcome) }

// subject is what was tested: namespace/name of the split; empty where only counts were given.
func subject(r Report) string {
	if r.Comparison != nil {
		return comparisonSubject(r.Comparison)
	}
	if r.Split == nil || r.Split.Name == "" {
		return ""
	}
	return r.Split.Namespace + "/" + r.Split.Name
}

// maxWeightsShown is how many weights a sentence can hold.
const maxWeightsShown = 4

// weightsLabel is the declared split in a word: "90/10", or "declared" where that would be a list.
func weightsLabel(r Report) string {
	if len(r.Backends) == 0 || len(r.Backends) > maxWeightsShown {
		return "declared"
	}
	var w []string
	for _, b := range r.Backends {
		w = append(w, fmt.Sprint(b.Weight))
	}
	return strings.Join(w, "/")
}

// requestsOf are the counted requests: with a known backend, and in all.
func requestsOf(r Report) (attributed, all int64) {
	for _, b := range r.Backends {
		attributed += b.Observed
	}
	return attributed, attributed + r.Unattributed.Requests
}

// size is "2,000 requests, 40s".
func size(r Report) string {
	n, _ := requestsOf(r)
	s := plural(n, unitOf(r))
	if r.Load != nil && r.Load.DurationSeconds > 0 {
		s += ", " + seconds(r.Load.DurationSeconds)
	}
	return s
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// headline is the sentence after the verdict's word, without the subject.
func headline(r Report) string {
	if special(r) {
		return specialHeadline(r)
	}
	if shares, limits := sharesOnly(r); limits != "" {
		return headline(shares) + "; but " + limits
	}
	switch r.Verdict.Outcome {
	case Pass:
		return fmt.Sprintf("traffic follows the %s weights (%s)", weightsLabel(r), size(r))
	case Fail:
		return fmt.Sprintf("traffic does NOT follow the %s weights: %s (%s)", weightsLabel(r), worstSentence(r), size(r))
	case Inconclusive:
		n, _ := requestsOf(r)
		return fmt.Sprintf("%s cannot tell whether traffic follows the %s weights", plural(n, unitOf(r)), weightsLabel(r))
	}
	if len(r.Verdict.Reasons) == 0 {
		return "could not be measured"
	}
	return "could not be measured: " + strings.TrimSuffix(r.Verdict.Reasons[0], ".")
}

// worst is the backend that a failure is about: one of weight 0 that answered, else the one furthest from its share
// in tolerances.
func worst(r Report) (Backend, bool) {
	tolerance := map[string]float64{}
	for _, t := range r.Verdict.Tolerance {
		tolerance[t.Backend] = t.Points
	}
	var found Backend
	most := -1.0
	for _, b := range r.Backends {
		if b.ObservedShare == nil {
			continue
		}
		if b.Weight == 0 && b.Observed > 0 {
			return b, true
		}
		off := math.Abs(*b.ObservedShare-b.ExpectedShare) * 100
		if t := tolerance[b.Name]; t > 0 {
			off /= t
		}
		// Of two backends, which are one another's mirror image, the smaller: as package analyze says it.
		const same = 1e-9
		if off > most+same || off > most-same && b.ExpectedShare <= found.ExpectedShare {
			found, most = b, off
		}
	}
	return found, most >= 0
}

func worstSentence(r Report) string {
	b, ok := worst(r)
	if !ok {
		return "no backend answered"
	}
	if b.Weight == 0 {
		return fmt.Sprintf("%s has weight 0 and answered %s", b.Name, plural(b.Observed, "time"))
	}
	return fmt.Sprintf("%s got %s, expected %s", b.Name, percent(*b.ObservedShare), percent(b.ExpectedShare))
}

// numbersSentences say what chance could do, what the run would have noticed, and what is still possible: after the
// table.
func numbersSentences(r Report) []string {
	if special(r) {
		return specialSentences(r)
	}
	r, _ = sharesOnly(r)
	var s []string
	add := func(sentence string) {
		if sentence != "" {
			s = append(s, sentence)
		}
	}
	add(informationSentence(r))
	add(sequentialSentence(r))
	if r.Verdict.Outcome != Invalid {
		add(chanceSentence(r))
	}
	for _, d := range r.Diagnostics {
		if d.OK && d.Name == NameCombined {
			add(d.Text)
		}
	}
	switch r.Verdict.Outcome {
	case Pass:
		if r.Sequential == nil { // its likely ranges say it; the number is of a run of fixed size
			add(noticedSentence(r))
		}
		for i, reason := range r.Verdict.Reasons {
			if codeOf(r, i) == analyze.CodeNoHits {
				add(reason)
			}
		}
	case Inconclusive:
		if !hasCode(r, analyze.CodeTooFew) && !hasCode(r, analyze.CodeEdge) { // whose text says it
			add(rangeSentence(r))
		}
		add(neededSentence(r))
	}
	return s
}

// sequentialSentence says how many requests it took, and that tests of a fixed size do not know of the looks.
func sequentialSentence(r Report) string {
	q := r.Sequential
	if q == nil {
		return ""
	}
	text := fmt.Sprintf("Looked every %s, %s of at most %s: likely ranges hold at all looks together; what else is said of chance ignores that.",
		plural(q.Every, "request"), count(q.Requests), count(q.Maximum))
	if r.Verdict.Outcome == Pass || r.Verdict.Outcome == Fail {
		return "Decided after " + plural(q.Requests, "request") + ". " + text
	}
	return text
}

// informationSentence says what the counts would have meant where the run was not valid or a diagnostic took the
// verdict away.
func informationSentence(r Report) string {
	if r.Verdict.StatisticalOutcome == "" {
		return ""
	}
	if r.Verdict.Outcome == Inconclusive {
		return fmt.Sprintf("The counts alone would be a %s, but what they rest on does not hold.", r.Verdict.StatisticalOutcome)
	}
	return fmt.Sprintf("For information only: the counts alone would be %s.", article(r.Verdict.StatisticalOutcome))
}

func article(outcome string) string {
	if outcome == Inconclusive {
		return outcome
	}
	return "a " + outcome
}

// chanceSentence turns the exact p-value of the classical test into runs out of many.
func chanceSentence(r Report) string {
	if b, ok := worst(r); ok && b.Weight == 0 && b.Observed > 0 {
		return fmt.Sprintf("Chance has no part in it: %s has weight 0 and must not answer at all.", b.Name)
	}
	if r.GoodnessOfFit == nil || r.GoodnessOfFit.Pearson.DF <= 0 {
		return ""
	}
	p := r.GoodnessOfFit.Pearson.Exact
	if p == nil {
		p = r.GoodnessOfFit.Pearson.Asymptotic
	}
	if p == nil {
		return ""
	}
	return fmt.Sprintf("If the mesh really used the %s weights, a gap this large or larger would turn up by chance in %s.",
		weightsLabel(r), runsOf(*p))
}

// runsOf says a probability in runs; it never says 0, and never more than a billion.
func runsOf(p Probability) string {
	about := "about"
	if p.Method == "bound" {
		about = "at most"
	}
	switch {
	case p.P >= 0.995:
		return "nearly every run"
	case p.P >= 0.0095:
		return fmt.Sprintf("%s %d of 100 runs", about, int(math.Round(p.P*100)))
	case p.P >= 1e-9:
		n := 1 / p.P
		scale := math.Pow10(int(math.Floor(math.Log10(n))) - 1)
		return fmt.Sprintf("%s 1 of %s runs", about, count(int64(math.Round(n/scale)*scale)))
	}
	return "less than 1 of a billion runs"
}

// noticedSentence is the sensitivity of a pass: without it a pass of 30 requests would look like one of a million.
func noticedSentence(r Report) string {
	var least *Backend
	for i, b := range r.Backends {
		if b.NoticeablePoints != nil && (least == nil || *b.NoticeablePoints > *least.NoticeablePoints) {
			least = &r.Backends[i]
		}
	}
	if least == nil {
		return "How small a shift this run would have noticed could not be computed."
	}
	return fmt.Sprintf("This run would have noticed a shift of about %s or more (%s).",
		points(*least.NoticeablePoints), times(r.Verdict.Power))
}

// times says a power: 0.9 is 9 times in 10.
func times(power float64) string {
	for _, of := range []float64{10, 100, 1000} {
		if n := math.Round(power * of); math.Abs(n-power*of) < 1e-6 && n < of {
			return fmt.Sprintf("%d times in %d", int(n), int(of))
		}
	}
	return "nearly always"
}

// rangeSentence says where the true share still can be, for the backend that is known least.
func rangeSentence(r Report) string {
	var widest *Backend
	for i, b := range r.Backends {
		if b.Interval == nil || b.Interval.Low == nil || b.Interval.High == nil {
			continue
		}
		if widest == nil || *b.Interval.High-*b.Interval.Low > *widest.Interval.High-*widest.Interval.Low {
			widest = &r.Backends[i]
		}
	}
	if widest == nil {
		return ""
	}
	return fmt.Sprintf("The true share of %s could be anywhere from %s to %s.", widest.Name,
		percent(*widest.Interval.Low), percent(*widest.Interval.High))
}

// neededSentence says how many requests more would decide.
func neededSentence(r Report) string {
	_, have := requestsOf(r)
	need := r.Verdict.RequestsNeeded
	if r.Verdict.StatisticalOutcome != "" || need == nil {
		return "More requests of the same kind would not decide it."
	}
	more := func(n int64) string {
		return fmt.Sprintf("%s in all (%s more)", plural(n, unitOf(r)), count(max(n-have, 0)))
	}
	if need.IfOnTarget != nil && *need.IfOnTarget <= have {
		return enoughSentence(need, plural(have, unitOf(r)), more)
	}
	switch {
	case need.IfOnTarget != nil && need.IfAsObserved != nil && *need.IfOnTarget != *need.IfAsObserved:
		return fmt.Sprintf("To decide, send %s if the split is right, or %s if it is as far off as it looks.",
			more(*need.IfOnTarget), more(*need.IfAsObserved))
	case need.IfOnTarget != nil:
		return fmt.Sprintf("To decide, send %s.", more(*need.IfOnTarget))
	case need.IfAsObserved != nil:
		return fmt.Sprintf("To decide, send %s if the split is as far off as it looks.", more(*need.IfAsObserved))
	case need.IfOnTargetWhy != "":
		return "No number of requests would decide it: " + strings.TrimSuffix(need.IfOnTargetWhy, ".") + "."
	case need.IfAsObservedWhy != "":
		return "No number of requests would decide it: " + strings.TrimSuffix(need.IfAsObservedWhy, ".") + "."
	}
	return "How many requests would decide it could not be computed."
}

// enoughSentence is for counts close to the edge of the tolerance: enough were sent for a split that is on target.
func enoughSentence(need *RequestsNeeded, have string, more func(int64) string) string {
	s := have + " are enough for a split that is on target, but this one looks as if it were at the edge " +
		"of its tolerance"
	if need.IfAsObserved == nil {
		return s + ", where no number decides."
	}
	return s + ": there it takes " + more(*need.IfAsObserved) + "."
}

// unattributedSentence says what could not be counted, and whether that matters.
func unattributedSentence(r Report) string {
	u := r.Unattributed
	if u.Requests == 0 || r.Drill != nil { // what a drill lost is what it is about
		return ""
	}
	_, all := requestsOf(r)
	var kinds []string
	for _, class := range slices.Sorted(maps.Keys(u.Errors)) {
		if unitOf(r) != unitRequest {
			break // they are of requests
		}
		kinds = append(kinds, count(u.Errors[class])+" "+class)
	}
	for _, status := range slices.Sorted(maps.Keys(u.Statuses)) {
		if unitOf(r) != unitRequest {
			break
		}
		kinds = append(kinds, count(u.Statuses[status])+" with status "+status)
	}
	what := ""
	if len(kinds) > 0 {
		what = " (" + strings.Join(kinds, ", ") + ")"
	}
	matter := "wherever they went, the outcome is the same"
	switch {
	case r.Watch != nil: // its bounds are widened by them, and nobody asked what they would be without
		matter = "the ranges of the shares count them on either side"
	case !u.Harmless:
		matter = "where they went could change the outcome"
	}
	return fmt.Sprintf("%s of %s had no answer that names a backend%s: %s.",
		count(u.Requests), plural(all, unitOf(r)), what, matter)
}

// warnings are all that weakens the conclusion, in order.
func warnings(r Report) []string {
	var w []string
	if s := unattributedSentence(r); s != "" {
		w = append(w, s)
	}
	for _, d := range r.Diagnostics {
		if !d.OK && d.Effect != EffectDowngrade { // those are among the reasons
			w = append(w, d.Text)
		}
	}
	if r.Load != nil && !r.Load.OnTime && !(r.Load.SendLag.P99Us != nil && *r.Load.SendLag.P99Us == 0) { // 0: there was no schedule
		w = append(w, fmt.Sprintf(
			"The generator was late (99 of 100 requests within %s of the plan): the times are not the mesh's alone.",
			us(r.Load.SendLag.P99Us)))
	}
	if r.Load != nil && r.Load.Dropped > 0 {
		w = append(w, fmt.Sprintf("The samples of %s were dropped because the stream was slow; they are counted all the same.",
			plural(r.Load.Dropped, "request")))
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

func us(v *float64) string {
	if v == nil {
		return "an unknown time"
	}
	inMs := *v / 1000
	return ms(&inMs)
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
	return fmt.Sprintf("%d things could not be seen, and are not known to hold: %s. What was lacking is in the list of checks.", len(unseen), strings.Join(names, "; "))
}

// quantileNote explains dashes in the latency columns.
func quantileNote(r Report) string {
	for _, b := range r.Backends {
		if b.Latency != nil && (b.Latency.ResponseTime.P50Ms == nil || b.Latency.ResponseTime.P99Ms == nil) {
			return fmt.Sprintf("%s: too few answers for that quantile.", dash)
		}
	}
	return ""
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
		if c := codeOf(r, i); c != analyze.CodeChance && c != analyze.CodeNoticeable { // said below the table
			why = append(why, reason)
		}
	}
	return why
}

func codeOf(r Report, reason int) string {
	if reason < len(r.Verdict.ReasonCodes) {
		return r.Verdict.ReasonCodes[reason]
	}
	return ""
}

func hasCode(r Report, code string) bool { return slices.Contains(r.Verdict.ReasonCodes, code) }

// splitCommand takes the command off the end of a hint: it is shown on a line of its own, or it cannot be copied.
func splitCommand(hint string) (prose, command string) {
	for _, program := range []string{"splitbench", "kubectl", "linkerd"} {
		if i := strings.LastIndex(hint, ": "+program+" "); i >= 0 {
			return hint[:i+1], hint[i+2:]
		}
	}
	return hint, ""
}
