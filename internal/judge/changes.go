package judge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
)

// shareChange is a comparison of shares as documents have it. judged is false where the weights were changed.
func shareChange(backend string, base, latest *int64, c analyze.ShareChange, judged bool) report.ShareChange {
	out := report.ShareChange{Backend: backend, BaseWeight: base, NewWeight: latest}
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
	out.Say()
	return out
}

// latencyChange is a comparison of latencies as documents have it: what was judged, and what is only shown.
func latencyChange(name string, outcome string, d analyze.LatencyDecision) report.TimeChange {
	out := report.TimeChange{Name: name, Outcome: outcome, Quantiles: []report.QuantileChange{}}
	for _, v := range d.Quantiles {
		out.Quantiles = append(out.Quantiles, report.QuantileChange{
			Quantile: v.Q, BaseMs: report.Ms(float64(v.Second.Value)), NewMs: report.Ms(float64(v.First.Value)),
			Difference: report.DifferenceOf(v.Difference, v.DifferenceCI), Different: v.Direction != analyze.DirectionNone,
			Outcome: string(v.Outcome),
		})
	}
	out.Say("slower", "faster")
	return out
}

// costChange is a comparison of the gateway's cost as documents have it: quantiles that were judged, and others.
func costChange(name string, judged, shown []costAt) report.TimeChange {
	out := report.TimeChange{Name: name, Outcome: report.Pass, Quantiles: []report.QuantileChange{}}
	for i, c := range slices.Concat(judged, shown) {
		q := report.QuantileChange{
			Quantile: c.quantile, BaseMs: report.Ms(float64(c.Base.Difference)), NewMs: report.Ms(float64(c.New.Difference)),
			Difference: report.DifferenceOf(c.Change, c.CI), Different: c.Different,
		}
		if i < len(judged) {
			q.Outcome = string(c.Outcome)
			out.Outcome = report.WorseOutcome(out.Outcome, q.Outcome)
		}
		out.Quantiles = append(out.Quantiles, q)
	}
	slices.SortFunc(out.Quantiles, func(a, b report.QuantileChange) int { return cmp.Compare(a.Quantile, b.Quantile) })
	out.Say("costs more", "costs less")
	return out
}

// costDifference is the change of what a target costs as latency reports have it, with p-values against no change that
// are adjusted for their number. A direction is shown at alpha; judged says that there was a margin.
func costDifference(cost, than string, changes []costAt, p []float64, alpha float64,
	judged bool,
) report.TargetDifference {
	out := report.TargetDifference{Target: cost, Than: than, Outcome: report.Measured}
	if judged {
		out.Outcome = report.Pass
	}
	for i, c := range changes {
		q := report.QuantileVerdict{
			QuantileDifference: quantileDifference(c.quantile, c.Change, c.CI),
			Direction:          analyze.DirectionNone, P: p[i], Outcome: report.Measured,
		}
		switch {
		case p[i] > alpha:
		case c.Change > 0:
			q.Direction = analyze.DirectionSlower
		case c.Change < 0:
			q.Direction = analyze.DirectionFaster
		}
		if judged {
			q.Outcome = string(c.Outcome)
			out.Outcome = report.WorseOutcome(out.Outcome, q.Outcome)
		}
		out.Quantiles = append(out.Quantiles, q)
	}
	out.Say("costs more", "costs less")
	out.Sentence = fmt.Sprintf(report.SayWhatItCosts, out.Sentence)
	return out
}
