package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// Compared takes what a comparison says of a run from its report.
func Compared(r Report) ComparedRun {
	s := Summarize(r)
	return ComparedRun{
		ID: s.ID, Kind: s.Kind, Outcome: s.Outcome, Subject: s.Subject, Weights: s.Weights, Started: s.Started, Requests: s.Requests,
		Labels: s.Labels, Tool: s.Tool,
	}
}

// ShareChangeOf puts a comparison of shares into the document. judged is false where the weights were changed.
func ShareChangeOf(backend string, base, latest *int64, c analyze.ShareChange, judged bool) ShareChange {
	out := ShareChange{Backend: backend, BaseWeight: base, NewWeight: latest}
	if c.Base.Why == "" {
		out.Base = interval(c.Base)
	}
	if c.New.Why == "" {
		out.New = interval(c.New)
	}
	if c.CI.Why == "" {
		out.BaseShare, out.NewShare = &c.BaseShare, &c.NewShare
		out.Points, out.LowPoints, out.HighPoints = new(100*c.Difference), new(100*c.CI.Low), new(100*c.CI.High)
	}
	if judged {
		out.Outcome = string(c.Outcome)
	}
	out.Sentence = shareSentence(out)
	return out
}

// LatencyChangeOf puts a comparison of latencies into the document: what was judged, and what is only shown.
func LatencyChangeOf(name string, outcome analyze.Outcome, judged, shown analyze.LatencyDecision) TimeChange {
	out := TimeChange{Name: name, Outcome: string(outcome), Quantiles: []QuantileChange{}}
	add := func(d analyze.LatencyDecision) {
		for _, v := range d.Quantiles {
			q := QuantileChange{
				Quantile: v.Q, BaseMs: finiteMs(float64(v.Second.Value)), NewMs: finiteMs(float64(v.First.Value)),
				Ms: finiteMs(float64(v.Difference)), LowMs: finiteMs(v.DifferenceCI.Low), HighMs: finiteMs(v.DifferenceCI.High),
				Different: v.Direction != analyze.DirectionNone, Why: v.Why,
			}
			if d.Judged {
				q.Outcome = string(v.Outcome)
			}
			out.Quantiles = append(out.Quantiles, q)
		}
	}
	add(judged)
	add(shown)
	out.finish("slower", "faster")
	return out
}

// CostChangeOf puts a comparison of the gateway's cost into the document, one change for each quantile.
func CostChangeOf(name string, judgedAt []float64, judged []analyze.CostChange, shownAt []float64, shown []analyze.CostChange) TimeChange {
	out := TimeChange{Name: name, Outcome: Pass, Quantiles: []QuantileChange{}}
	add := func(at []float64, changes []analyze.CostChange, judged bool) {
		for i, c := range changes {
			q := QuantileChange{
				Quantile: at[i], BaseMs: finiteMs(float64(c.Base.Difference)), NewMs: finiteMs(float64(c.New.Difference)),
				Ms: finiteMs(float64(c.Change)), LowMs: finiteMs(c.CI.Low), HighMs: finiteMs(c.CI.High), Different: c.Different, Why: c.CI.Why,
			}
			if judged {
				q.Outcome = string(c.Outcome)
				out.Outcome = WorseOutcome(out.Outcome, q.Outcome)
			}
			out.Quantiles = append(out.Quantiles, q)
		}
	}
	add(judgedAt, judged, true)
	add(shownAt, shown, false)
	out.finish("dearer", "cheaper")
	return out
}

// finish puts the quantiles in order and says them.
func (t *TimeChange) finish(more, less string) {
	slices.SortFunc(t.Quantiles, func(a, b QuantileChange) int { return cmp.Compare(a.Quantile, b.Quantile) })
	t.Sentence = timeSentence(*t, more, less)
}

// WorseOutcome is the outcome of two together: one that could not be measured, else one that failed, else one that cannot tell.
func WorseOutcome(a, b string) string {
	for _, o := range []string{Invalid, Fail, Inconclusive} {
		if a == o || b == o {
			return o
		}
	}
	return Pass
}

// ConcludeChange fills in the outcome and reasons of one later run: of all that was judged, the worst. invalid are reasons
// why there is nothing to judge.
func ConcludeChange(c RunChange, invalid []string) RunChange {
	c.Outcome, c.Reasons, c.Warnings = Pass, []string{}, list(c.Warnings)
	judged := 0
	take := func(outcome, sentence string) {
		if outcome == "" {
			return
		}
		judged++
		if outcome != Pass {
			c.Reasons = append(c.Reasons, sentence)
		}
		c.Outcome = WorseOutcome(c.Outcome, outcome)
	}
	for _, s := range c.Shares {
		take(s.Outcome, s.Sentence)
	}
	for _, t := range c.Latency {
		take(t.Outcome, t.Sentence)
	}
	for _, t := range c.GatewayCost {
		take(t.Outcome, t.Sentence)
	}
	if judged == 0 {
		c.Outcome, c.Reasons = Inconclusive, []string{"nothing of these runs can be compared against a margin"}
	}
	if len(invalid) > 0 {
		c.Outcome, c.Reasons = Invalid, invalid
	}
	return c
}

func shareSentence(s ShareChange) string {
	switch {
	case s.BaseWeight == nil:
		return fmt.Sprintf("%s is new in the split", s.Backend)
	case s.NewWeight == nil:
		return fmt.Sprintf("%s is no longer in the split", s.Backend)
	case s.Points == nil:
		return fmt.Sprintf("%s: the shares are not known in both runs", s.Backend)
	}
	moved := fmt.Sprintf("%s: no difference proven (likely %s to %s points)", s.Backend, signed(*s.LowPoints), signed(*s.HighPoints))
	if *s.LowPoints > 0 || *s.HighPoints < 0 {
		moved = fmt.Sprintf("%s: %s points (likely %s to %s)", s.Backend, signed(*s.Points), signed(*s.LowPoints), signed(*s.HighPoints))
	}
	if s.Outcome == "" {
		moved += "; its weight was changed, so this is not judged"
	}
	return moved
}

func timeSentence(t TimeChange, more, less string) string {
	var parts []string
	for _, q := range t.Quantiles {
		name := quantileName(q.Quantile)
		switch {
		case q.Outcome == "" && (q.LowMs == nil || q.HighMs == nil): // shown only, and not known
		case q.Ms == nil || q.LowMs == nil || q.HighMs == nil:
			parts = append(parts, fmt.Sprintf("%s not known (%s)", name, q.Why))
		case !q.Different:
			parts = append(parts, fmt.Sprintf("%s no difference proven (likely %s to %s ms)", name, signedMs(*q.LowMs), signedMs(*q.HighMs)))
		case *q.Ms < 0:
			parts = append(parts, fmt.Sprintf("%s %s by %s (likely %s to %s)", name, less, msText(-*q.Ms), msNumber(-*q.HighMs), msNumber(-*q.LowMs)))
		default:
			parts = append(parts, fmt.Sprintf("%s %s by %s (likely %s to %s)", name, more, msText(*q.Ms), msNumber(*q.LowMs), msNumber(*q.HighMs)))
		}
	}
	if len(parts) == 0 {
		return t.Name + ": " + t.Why
	}
	return t.Name + ": " + strings.Join(parts, "; ")
}
