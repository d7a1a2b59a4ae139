package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// outageJoin is how near to each other losses belong together.
const outageJoin = time.Second

// concludeDrill is where a live drill and a stored one become the same.
func concludeDrill(m record.Manifest, totals wire.Totals, t *Tally, shots []Shot) report.Report {
	doc := newDraft(m, m.Complete(totals))
	doc.Unattributed.Specimens, doc.Verdict.Outcome = specimensOf(totals.Specimens), report.Measured
	facts := m.Drill
	if facts == nil {
		facts = &record.DrillFacts{}
	}
	doc.Drill = &report.Drill{
		LostByKind: map[string]int64{}, Failovers: []report.Failover{}, Events: []report.DrillEvent{},
		Unwatched: append([]string{}, facts.Unwatched...),
		Timeline:  report.Timeline{BinMs: timelineBin.Milliseconds(), Backends: []report.TimelineShare{}},
	}
	if len(doc.invalid) == 0 && m.Interrupted == "" && len(shots) == 0 && !m.Refused() {
		doc.invalid = append(doc.invalid, "no request was sent")
	}
	if t != nil && t.N > 0 {
		t.sorted()
		doc.counts = t.counts
		doc.take(m.Plan, totals, t)
	}
	j := drillJudge{doc: &doc, d: doc.Drill, m: m, facts: facts, shots: slices.Clone(shots)}
	slices.SortStableFunc(j.shots, func(a, b Shot) int { return cmp.Compare(a.Sent, b.Sent) })
	j.count(totals)
	j.events()
	j.timeline()
	if len(shots) > 0 {
		j.judge()
	}
	return doc.finish()
}

type drillJudge struct {
	doc   *draft
	d     *report.Drill
	m     record.Manifest
	facts *record.DrillFacts
	shots []Shot // in the order of sending
}

func (j *drillJudge) count(totals wire.Totals) {
	d := j.d
	for _, s := range j.shots {
		d.Sent++
		if !s.Lost {
			d.Answered++
			continue
		}
		d.Lost++
		d.LostByKind[s.kind]++
	}
	d.Accounted = totals.Dropped == 0 && uint64(d.Sent) == j.m.Plan.Requests && d.Sent == d.Answered+d.Lost
	if totals.Dropped > 0 {
		j.doc.invalid = append(j.doc.invalid, fmt.Sprintf("the results of %d of %d requests were lost on the way: not "+
			"every request is accounted for", totals.Dropped, totals.Requests))
	}
	if j.facts.MaxLost != nil {
		n := *j.facts.MaxLost
		d.Limits.MaxLost = &n
	}
	if j.facts.MaxOutage != nil {
		s := j.facts.MaxOutage.Seconds()
		d.Limits.MaxOutageSeconds = &s
	}
}

func (j *drillJudge) events() {
	for _, f := range j.facts.Events {
		e := report.DrillEvent{AtSeconds: Rounded(f.At.Sub(j.facts.Began).Seconds()), Kind: f.Kind, Text: f.Text}
		for _, w := range f.Weights {
			if e.Weights == nil {
				e.Weights = map[string]int64{}
			}
			e.Weights[w.Backend] = w.W
		}
		j.d.Events = append(j.d.Events, e)
		if j.doc.Series != nil {
			j.doc.Series.Marks = append(j.doc.Series.Marks, report.Mark{AtSeconds: e.AtSeconds, Text: f.Kind + ": " + f.Text})
		}
	}
}

// Rounded is a time in seconds, to the millisecond.
func Rounded(s float64) float64 { return math.Round(s*1000) / 1000 }

// judge finds the failovers and holds them against the limits. A drill in which nothing failed is no pass.
func (j *drillJudge) judge() {
	shots := make([]analyze.Shot, len(j.shots))
	for i, s := range j.shots {
		shots[i] = s.Shot
	}
	weights := []analyze.Weighted{{W: j.m.Weights}}
	for _, f := range j.facts.Events {
		if f.Weights != nil {
			weights = append(weights, analyze.Weighted{At: f.At.Sub(j.facts.Began), W: f.Weights})
		}
	}
	silences, err := analyze.Silences(shots, weights)
	if err != nil {
		j.doc.invalid = append(j.doc.invalid, "the timeline cannot be read: "+untrusted.Safe(err.Error()))
		return
	}
	outage := analyze.Outage(shots, outageJoin)
	j.d.Outage = report.Span{
		Seconds: Rounded(outage.At.Seconds()), LowSeconds: Rounded(outage.Low.Seconds()),
		HighSeconds: Rounded(outage.High.Seconds()),
	}
	for _, s := range silences {
		j.d.Failovers = append(j.d.Failovers, j.failover(s))
	}
	if j.d.Lost == 0 && len(silences) == 0 {
		j.doc.Verdict.Outcome = report.Inconclusive
		j.doc.because(analyze.Reason{Code: analyze.CodeNoRequests, Text: "nothing failed while it ran: no failover was " +
			"drilled"})
		j.doc.remedies = append(j.doc.remedies, breakSomething)
		return
	}
	j.limits(outage)
	if len(silences) == 0 && j.doc.Verdict.Outcome == report.Pass { // a stray loss is no failover that was survived
		j.doc.Verdict.Outcome = report.Inconclusive
		j.doc.because(analyze.Reason{Code: analyze.CodeNoRequests, Text: "requests were lost, but no backend fell silent: " +
			"no failover was drilled"})
		j.doc.remedies = append(j.doc.remedies, breakSomething)
	}
}

const breakSomething = "break something while it runs, such as: kubectl scale deploy/podinfo --replicas=0"

func (j *drillJudge) limits(outage analyze.Bounded) {
	outcome := report.Pass
	add := func(o, code, format string, args ...any) {
		outcome = report.WorseOutcome(outcome, o)
		j.doc.because(analyze.Reason{Code: code, Text: fmt.Sprintf(format, args...)})
	}
	if l := j.facts.MaxLost; l != nil && j.d.Lost > *l {
		add(report.Fail, analyze.CodeOutside, "%d requests were lost, %d are allowed", j.d.Lost, *l)
	}
	if l := j.facts.MaxOutage; l != nil {
		switch {
		case outage.Low > *l:
			add(report.Fail, analyze.CodeOutside, "the outage lasted at least %s, %s are allowed",
				outage.Low.Round(time.Millisecond), *l)
		case outage.High > *l:
			add(report.Inconclusive, analyze.CodeEdge, "the outage lasted between %s and %s, %s are allowed; a higher --rate "+
				"tells better",
				outage.Low.Round(time.Millisecond), outage.High.Round(time.Millisecond), *l)
		}
	}
	if j.facts.MaxLost != nil || j.facts.MaxOutage != nil {
		j.doc.Verdict.Outcome = outcome
	}
}

func instant(b *analyze.Bounded) *report.Instant {
	if b == nil {
		return nil
	}
	return &report.Instant{
		AtSeconds: Rounded(b.At.Seconds()), LowSeconds: Rounded(b.Low.Seconds()),
		HighSeconds: Rounded(b.High.Seconds()),
	}
}

func (j *drillJudge) failover(s analyze.Silence) report.Failover {
	f := report.Failover{
		Backend: j.m.Weights[s.Backend].Backend, Silent: *instant(&s.Began), FirstError: instant(s.FirstLost), Lost: s.Lost,
		Waited: s.Waited, LongestWait: Rounded(s.LongestWait.Seconds()),
		TakenOver: instant(s.TakenOver), Recovered: instant(s.Recovered), BackToSplit: instant(s.BackToSplit),
		By: report.ByNobody,
	}
	switch {
	case s.TakenOver != nil && s.ByWeights:
		f.By = report.ByWeights
	case s.TakenOver != nil:
		f.By = report.ByProxy
	}
	f.Sentences = j.sentences(f)
	return f
}

// causeWindow is how long before a loss an event can be what it is measured from.
const causeWindow = 60.0

// since says how long after the last event before it something was, if there was one.
func (j *drillJudge) since(at float64) string {
	for i := len(j.d.Events) - 1; i >= 0; i-- {
		if e := j.d.Events[i]; e.AtSeconds <= at && at-e.AtSeconds <= causeWindow {
			if len(e.Weights) > 0 {
				return fmt.Sprintf(", %.1fs after the API told of weights %s", at-e.AtSeconds, j.weightsText(e.Weights))
			}
			return fmt.Sprintf(", %.1fs after %s %q", at-e.AtSeconds, e.Kind, e.Text)
		}
	}
	return ""
}

// weightsText is 0/100 in the order of the split's backends.
func (j *drillJudge) weightsText(w map[string]int64) string {
	var parts []string
	for _, x := range j.m.Weights {
		parts = append(parts, strconv.FormatInt(w[x.Backend], 10))
	}
	return strings.Join(parts, "/")
}

func (j *drillJudge) sentences(f report.Failover) []string {
	var s []string
	say := func(format string, args ...any) { s = append(s, fmt.Sprintf(format, args...)) }
	began, since := f.Silent.AtSeconds, "its last answer"
	if f.FirstError == nil && f.Waited > 0 {
		say("%s gave its last answer at %.1fs; no request was lost, and %d waited until it answered again, for up to %.1fs.",
			f.Backend, began, f.Waited, f.LongestWait)
	} else if f.FirstError == nil {
		say("%s gave its last answer at %.1fs, and no request was lost: the others carried all.", f.Backend, began)
	} else {
		began, since = f.FirstError.AtSeconds, "the first loss"
		say("%s gave its last answer at %.1fs; the first request was lost at %.1fs (between %.1f and %.1f)%s.", f.Backend,
			f.Silent.AtSeconds,
			began, f.FirstError.LowSeconds, f.FirstError.HighSeconds, j.since(began))
		say("%d requests were lost while it was silent.", f.Lost)
	}
	switch t := f.TakenOver; {
	case t == nil && f.Waited > 0:
		say("Nothing took over: requests were lost or waited until it answered again; %d waited for their answer, for up "+
			"to %.1fs.", f.Waited, f.LongestWait)
	case t == nil:
		say("Nothing took over: requests were lost until it answered again, or until the end.")
	case f.By == report.ByWeights:
		say("The others carried all from %.1fs on, %.1fs after %s (%.1f to %.1f): the weights did it%s.", t.AtSeconds,
			t.AtSeconds-began, since,
			math.Max(0, t.LowSeconds-began), t.HighSeconds-began, j.since(t.HighSeconds))
	default:
		say("The others carried all from %.1fs on, %.1fs after %s (%.1f to %.1f): the proxy did it, the weights stayed as "+
			"they were.",
			t.AtSeconds, t.AtSeconds-began, since, math.Max(0, t.LowSeconds-began), t.HighSeconds-began)
	}
	switch {
	case f.Recovered == nil:
		say("It did not answer again before the end.")
	default:
		say("Its first answer again was at %.1fs%s.", f.Recovered.AtSeconds, j.since(f.Recovered.AtSeconds))
		if b := f.BackToSplit; b != nil {
			say("The answers follow the weights again from %.1fs on (between %.1f and %.1f), %.1fs after %s.", b.AtSeconds,
				b.LowSeconds, b.HighSeconds, b.AtSeconds-began, since)
		} else {
			say("That the answers follow the weights again was not seen before the end.")
		}
	}
	return s
}

// analyzeDrill computes the report of a stored drill again.
func analyzeDrill(f store.Folder, m record.Manifest) report.Report {
	var totals wire.Totals
	var shots []Shot
	t := NewTally(len(m.Weights))
	for r, err := range m.Samples(f, &totals) {
		if err != nil {
			m.Failures = append(m.Failures, missingEnd(m, err)...)
			break
		}
		t.Add(r)
		shots = append(shots, ShotOf(r))
	}
	return concludeDrill(m, totals, t, shots)
}
