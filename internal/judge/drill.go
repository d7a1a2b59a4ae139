package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// outageJoin is how near to each other losses belong together.
const outageJoin = time.Second

// concludeDrill is where a live drill and a stored one become the same.
func concludeDrill(m record.Manifest, totals wire.Totals, t *Tally, shots []Shot) report.Report {
	doc := newDraft(m, m.Complete(totals))
	doc.Unattributed.Specimens, doc.Verdict.Outcome = specimensOf(totals.Specimens), report.Measured
	facts := cmp.Or(m.Drill, &record.DrillFacts{})
	doc.Drill = &report.Drill{
		LostByKind: map[string]int64{}, Failovers: []report.Failover{}, Events: []report.DrillEvent{},
		Unwatched: append([]string{}, facts.Unwatched...),
		Timeline:  report.Timeline{BinMs: timelineBin.Milliseconds(), Backends: []report.TimelineShare{}},
	}
	if len(doc.invalid) == 0 && m.Interrupted == "" && len(shots) == 0 && !m.Refused() {
		doc.refuse(report.SayNoRequest)
	}
	if t != nil && t.N > 0 {
		t.sorted()
		doc.counts = t.counts
		doc.take(m.Plan, totals, t)
		doc.pods(m, t)
	}
	if m.Witness != nil && m.Before != nil && len(shots) > 0 {
		sent := int64(totals.Requests + totals.WarmUp)
		p := proxiesOf(m.Witness, m, sent)
		doc.hear(m, p, sent)
		if p.Drawn() != nil {
			doc.Witness.Draws = drawsOf(p.Delta, witness.TargetOf(*m.Before), doc.counts.N)
		}
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
		j.doc.refuse(report.SayNotAccounted, totals.Dropped, totals.Requests)
	}
	if d.Limits.MaxLost = j.facts.MaxLost; j.facts.MaxOutage != nil {
		d.Limits.MaxOutageSeconds = new(j.facts.MaxOutage.Seconds())
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
		j.doc.refuse(report.SayNoTimeline, untrusted.Error(err))
		return
	}
	outage := analyze.Outage(shots, outageJoin)
	j.d.Outage = report.Span{
		Seconds: Rounded(outage.At.Seconds()), LowSeconds: Rounded(outage.Low.Seconds()),
		HighSeconds: Rounded(outage.High.Seconds()),
	}
	silences = j.broken(silences)
	for _, s := range silences {
		j.d.Failovers = append(j.d.Failovers, j.failover(s))
	}
	if j.d.Lost == 0 && len(silences) == 0 {
		j.doc.Verdict.Outcome = report.Inconclusive
		j.doc.because(analyze.CodeNoRequests, report.SayNothingFailed)
		j.doc.remedy("%s", remedyBreak(j.m.Before))
		return
	}
	j.limits(outage)
	if len(silences) == 0 && j.doc.Verdict.Outcome == report.Pass { // a stray loss is no failover that was survived
		j.doc.Verdict.Outcome = report.Inconclusive
		j.doc.because(analyze.CodeNoRequests, report.SayNoneSilent)
		j.doc.remedy("%s", remedyBreak(j.m.Before))
	}
}

// remedyBreak says what to break: what stands behind a backend with weight, rather one of the client's own cluster than
// a mirror, and the command that finds it.
func remedyBreak(s *law.Snapshot) string {
	text := report.RemedyBreak
	if s == nil {
		return text
	}
	for _, b := range s.Backends {
		context, namespace := s.Context(""), cmp.Or(b.Service.Namespace, s.Split.Namespace)
		if b.Mirror != nil {
			context = b.Mirror.Context
			namespace, _, _ = strings.Cut(b.Mirror.Remote, "/")
		}
		unknown := namespace == "" || b.Mirror != nil && context == ""
		if b.Weight == 0 || b.IsProxy() || unknown || b.Mirror != nil && text != report.RemedyBreak {
			continue
		}
		words := []string{"kubectl"}
		if context != "" {
			words = append(words, "--context", untrusted.Safe(context))
		}
		words = append(words, "-n", untrusted.Safe(namespace), "get", "deployments")
		text = fmt.Sprintf(report.RemedyBreakOf, untrusted.Safe(b.Name), untrusted.Shell(words...))
		if b.Mirror == nil {
			break
		}
	}
	return text
}

// broken are the silences of backends that had answered: one that never did has not failed, it was never there. A
// drill in which a backend with weight gave no answer before the first of them is none: whether the split was in force
// is not known.
func (j *drillJudge) broken(silences []analyze.Silence) []analyze.Silence {
	never := time.Duration(math.MaxInt64)
	first := slices.Repeat([]time.Duration{never}, len(j.m.Weights)) // answer of each backend
	for _, s := range j.shots {
		if b := s.Backend; !s.Lost && b >= 0 && b < len(first) {
			first[b] = min(first[b], s.Sent)
		}
	}
	began := never
	silences = slices.DeleteFunc(silences, func(s analyze.Silence) bool { return first[s.Backend] > s.Began.Low })
	for _, s := range silences {
		at := s.Began.High
		if s.FirstLost != nil {
			at = s.FirstLost.High
		}
		began = min(began, at)
	}
	declared := j.m.Weights
	if j.m.Before != nil {
		if w, _ := record.DeclaredOf(*j.m.Before); len(w) == len(declared) {
			declared = w
		}
	}
	for i, w := range declared {
		if w.W > 0 && first[i] >= began {
			when := report.SayNeverAtAll
			if began != never {
				when = fmt.Sprintf(report.SayNeverBefore, began.Seconds())
			}
			j.doc.refuse(report.SayNeverAnswered, w.Backend, when)
			j.doc.remedy(report.RemedyEveryBackend)
		}
	}
	return silences
}

func (j *drillJudge) limits(outage analyze.Bounded) {
	outcome := report.Pass
	add := func(o, code, format string, args ...any) {
		outcome = report.WorseOutcome(outcome, o)
		j.doc.because(code, format, args...)
	}
	if l := j.facts.MaxLost; l != nil && j.d.Lost > *l {
		add(report.Fail, analyze.CodeOutside, report.SayManyLost, j.d.Lost, *l)
	}
	if l := j.facts.MaxOutage; l != nil {
		switch {
		case outage.Low > *l:
			add(report.Fail, analyze.CodeOutside, report.SayLongOutage, outage.Low.Round(time.Millisecond), *l)
		case outage.High > *l:
			add(report.Inconclusive, analyze.CodeEdge, report.SayOutageUnsure, outage.Low.Round(time.Millisecond),
				outage.High.Round(time.Millisecond), *l)
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
	f.Say(j.d.Events, record.BackendNames(j.m.Weights))
	return f
}
