// Package judge turns a record into a report: what the samples say is counted, tested once by the rule that was fixed
// before the first request, and held against everything else that the run saw.
//
// A live run and a stored one pass through the same Conclude, so that what the terminal said and what the folder proves
// cannot differ. It reaches no cluster and no pod, and no finding of it makes a verdict better.
package judge

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/curl"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// Evidence is what the samples of a run say, counted as they came: live, or from a stored run.
type Evidence struct {
	Totals wire.Totals
	Tally  *Tally        // of a split or a drill
	Shots  []Shot        // of a drill
	Times  []Times       // of latencies, by target
	Watch  *Watch        // of a watch
	Then   *store.Folder // an earlier run of latencies to compare with; nil: none
	drill  bool
}

// NewEvidence is that of a run of a split or a drill before its first result.
func NewEvidence(m record.Manifest) Evidence {
	e := Evidence{Tally: NewTally(len(m.Weights)), drill: m.Kind == report.KindDrill}
	e.Tally.Pods = m.Pods()
	return e
}

// Add counts one result. What splitbench lost is no loss of the mesh's.
func (e *Evidence) Add(r attack.Result) {
	e.Tally.Add(r)
	if e.drill && r.Err != attack.ErrLost {
		e.Shots = append(e.Shots, shotOf(r))
	}
}

// Stored is what the samples of a stored run say, as far as they go; the error is why some are missing.
func Stored(f store.Folder, m record.Manifest) (e Evidence, err error) {
	if m.Kind == report.KindLatency {
		if m.Latency != nil {
			e.Times, err = StoredTimes(f, m)
		}
		return e, err
	}
	e = NewEvidence(m)
	for result, err := range m.Samples(f, &e.Totals) {
		if err != nil {
			return e, err
		}
		e.Add(result)
	}
	return e, nil
}

// Conclude is where a live run and a stored one become the same: manifest and evidence in, report out.
func Conclude(m record.Manifest, e Evidence) report.Report {
	switch m.Kind {
	case report.KindLatency:
		return concludeLatency(m, e.Times, e.Then)
	case report.KindDrill:
		return concludeDrill(m, e.Totals, e.Tally, e.Shots)
	case report.KindWatch:
		return concludeWatch(m, e.Watch)
	}
	return conclude(m, e.Totals, e.Tally)
}

// conclude judges a run of a split.
func conclude(m record.Manifest, totals wire.Totals, t *Tally) report.Report {
	doc := newDraft(m, m.Complete(totals))
	doc.Unattributed.Specimens = specimensOf(totals.Specimens)
	if m.Before != nil {
		doc.Warnings = append(doc.Warnings, m.Before.Notes...)
		doc.Source.Steps = m.Agent.Steps
	}
	if t != nil && t.N > 0 {
		t.sorted()
		doc.counts = t.counts
		if totals.Reason != "" {
			doc.counts = exact(totals, len(m.Weights))
		}
		t.useTotals(totals)
		doc.take(m.Plan, totals, t)
		doc.Series.Marks = marksOf(m, totals, t.last-t.first)
		doc.GatewayCost = gatewayCost(m, t, totals)
		doc.pods(m, t)
		if curl.Drives(totals.Engine) {
			doc.Load.OnTime = false
			doc.warn(report.SayImageSent, totals.Engine)
		}
		doc.sayKept(m, totals, t.last-t.first, !doc.Load.OnTime)
		judge(&doc, m, t, totals)
		doc.heldAgainstForce(m)
	}
	return doc.finish()
}

// judge makes the one decision and adds what forbids it.
func judge(doc *draft, m record.Manifest, t *Tally, totals wire.Totals) {
	var d analyze.Decision
	var err error
	seen := crossChecked(doc, m, t, totals)
	counted := seen.ordered
	switch {
	case m.Sequential != nil:
		d, counted, err = sequential(doc, m, t)
	case seen.unit != witness.UnitRequest:
		d, err = analyze.Judge(m.Weights, doc.counts, m.Options)
	default:
		d, counted, err = judgeLaw(doc, m, t)
	}
	if err != nil {
		doc.refuse(report.SayNotJudged, untrusted.Error(err))
		return
	}
	seen.say(&d)
	d = diagnose(doc, d, m.Weights, counted, totals.Dropped)
	doc.comparePods(counted, totals.Dropped)
	doc.decision = &d
	if m.After == nil && m.Before != nil && len(m.Failures) == 0 && m.Interrupted == "" {
		doc.refuse(report.SayNotSeenAfter)
	}
	if m.After != nil {
		changes := law.Changes(*m.Before, *m.After)
		if byMoves := segments(m, t, totals); byMoves != nil {
			doc.Segments = byMoves
		}
		if text := propagation(m, t); text != "" && len(changes) > 0 && len(doc.Segments) == 0 {
			doc.Warnings = append(doc.Warnings, text)
		}
		if why, remedy := Drift(*m.Before, *m.After); why != "" {
			doc.refuse("%s", why)
			doc.remedy("%s", remedy)
		}
		for _, c := range changes {
			say := report.SayChanged
			if beforeBurst(c, m, totals) {
				say = report.SayChangedBefore
			}
			doc.refuse(say, untrusted.Safe(c.String()))
		}
		doc.invalid = append(doc.invalid, moved(m, changes, totals)...)
	}
	if why := doc.answeredByProxy(); why != "" && d.Outcome != analyze.Pass { // which it takes away, see invalidReasons
		doc.Warnings = append(doc.Warnings, why)
	}
	if n := unknown(m, totals, t); n > 0 && m.CountedBy == "" && d.Outcome == analyze.Pass {
		doc.refuse(report.SayUnknownAnswers, n)
	}
	if why := overloaded(doc.Load, totals); why != "" {
		doc.invalid = append(doc.invalid, why)
		doc.remedy(report.RemedyRate)
	}
}

// beforeBurst reports that a change is of the source pod's proxy and was over when the first request was sent.
func beforeBurst(c law.Change, m record.Manifest, totals wire.Totals) bool {
	p, began := m.After.Source, time.Unix(0, totals.StartedUnixNs)
	return c.What == law.ProxyOf(p) && totals.StartedUnixNs > 0 && !p.ProxyStartedAt.IsZero() &&
		p.ProxyStartedAt.Add(time.Second).Before(began) // it is told to the second, by the same node's clock
}

// unknown counts complete answers that no rule named. Where samples were dropped only the agent's totals have them all.
func unknown(m record.Manifest, totals wire.Totals, t *Tally) int64 {
	if totals.Dropped == 0 {
		return t.unknown
	}
	var n int64
	for _, e := range totals.Tally {
		if (e.Backend < 0 || int(e.Backend) >= len(m.Weights)) && e.Status != 0 && e.Status < 500 {
			n += int64(e.N)
		}
	}
	return n
}

// leastRate is the share of the planned rate below which a run did not send what its plan says.
const leastRate = 0.5

// leastDelay is how many seconds a run must have lasted longer than planned besides: a short one is not overloaded by
// one pause.
const leastDelay = 0.25

// overloaded says why the generator did not carry out the plan, "" where it did.
func overloaded(l *report.Load, totals wire.Totals) string {
	if curl.Drives(totals.Engine) { // as fast as it goes
		return ""
	}
	if l.TargetRatePerSecond <= 0 || l.DurationSeconds <= 0 || totals.Requests < 2 || totals.Reason != wire.ReasonDone {
		return ""
	}
	if l.DurationSeconds > LongestBurst(totals.Requests, l.TargetRatePerSecond) {
		return report.Overloaded(float64(totals.Requests-1)/l.DurationSeconds, l.TargetRatePerSecond)
	}
	return ""
}

// LongestBurst is how many seconds n requests may take that were planned at so many per second.
func LongestBurst(n uint64, rate float64) float64 {
	planned := float64(n-1) / rate
	return max(planned/leastRate, planned+leastDelay)
}

// take has the report say what the tally holds of a burst.
func (doc *draft) take(p attack.Plan, totals wire.Totals, t *Tally) {
	doc.answers, doc.rest, doc.lags = t.backends, t.rest, t.lags
	doc.cpu = time.Duration(totals.CPUUs) * time.Microsecond
	doc.Load = &report.Load{
		WarmUpRequests: int64(totals.WarmUp), Dropped: int64(totals.Dropped), TargetRatePerSecond: p.Rate.PerSecond(),
		DurationSeconds: (t.last - t.first).Seconds(), Connections: totals.Connections, Engine: totals.Engine,
		EndReason: cmp.Or(totals.Reason, "cut"), OnTime: t.onTime(totals),
	}
	doc.Series = &report.Series{OverTime: t.windows.overTime(t.N, doc.weights)}
	t.cost.overTime(doc.Series.OverTime)
}

func specimensOf(s []attack.Specimen) (out []report.Specimen) {
	for _, x := range s {
		out = append(out, report.Specimen(x))
	}
	return out
}

// Analyze computes the report of a stored run again, from its manifest and its samples. override, when not nil, changes
// the options of the judgement (tolerance, gate, alpha, power); the samples stay as they are.
func Analyze(f store.Folder, override func(*analyze.Options)) (report.Report, error) {
	m, err := record.Read(f)
	if err != nil {
		return report.Report{}, err
	}
	if !slices.Contains([]string{report.KindSplit, report.KindLatency, report.KindDrill}, m.Kind) {
		return report.Report{}, record.Usagef("analyze run %s: it is a %s run, which has no split to judge; see its report",
			f.ID, m.Kind)
	}
	if override != nil {
		override(&m.Options)
	}
	if m.Sequential != nil && m.Options.Gate != analyze.GateTolerance {
		return report.Report{}, record.Usagef("--gate %s: run %s looked early, its rule is the tolerance", m.Options.Gate,
			f.ID)
	}
	rep, _ := again(f, m)
	return rep, nil
}

// again judges a stored run by its samples, which it gives too.
func again(f store.Folder, m record.Manifest) (report.Report, Evidence) {
	e, err := Stored(f, m)
	if err != nil {
		m.Failures = append(m.Failures, missingEnd(m, err)...)
	}
	return Conclude(m, e), e
}

// missingEnd is why a stored run that breaks off is no verdict, where the manifest does not say so itself.
func missingEnd(m record.Manifest, err error) []string {
	if m.Refused() {
		return nil
	}
	if errors.Is(err, agent.ErrNoEnd) {
		return []string{report.SayNoEnd}
	}
	return []string{fmt.Sprintf(report.SayDamaged, untrusted.Error(err))}
}
