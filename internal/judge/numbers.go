package judge

import (
	"math"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
)

func neededOf(d *analyze.Decision) *report.RequestsNeeded {
	if d.Outcome != analyze.Inconclusive {
		return nil
	}
	n := report.RequestsNeeded{
		IfOnTargetWhy: report.NeededWhy(d.NeededIfOnTarget), IfAsObservedWhy: report.NeededWhy(d.NeededIfAsObserved),
	}
	if d.NeededIfOnTarget.Requests > 0 {
		n.IfOnTarget, n.IfOnTargetWhy = &d.NeededIfOnTarget.Requests, ""
	}
	if d.NeededIfAsObserved.Requests > 0 {
		n.IfAsObserved, n.IfAsObservedWhy = &d.NeededIfAsObserved.Requests, ""
	}
	return &n
}

func goodnessOf(g analyze.GoodnessOfFit) *report.GoodnessOfFit {
	return &report.GoodnessOfFit{
		Pearson:            statistic(g.Pearson),
		G:                  statistic(g.G),
		CohensW:            report.Finite(g.CohensW),
		TotalVariation:     number(g.TotalVariation),
		MaxDeviationPoints: number(g.MaxDeviationPoints),
	}
}

func statistic(s analyze.Statistic) report.Statistic {
	out := report.Statistic{
		DF: s.DF, Statistic: report.Finite(s.Value), Asymptotic: probability(s.Asymptotic), Exact: probability(s.Exact),
	}
	switch {
	case math.IsInf(s.Value, 1):
		out.Why = report.SayInfinite
	case s.DF <= 0:
		out.Why = report.SayOneBackend
	case out.Statistic == nil:
		out.Why = report.SayNotComputed
	}
	return out
}

// probability is nil for a p-value that nobody computed.
func probability(p analyze.PValue) *report.Probability {
	if p.Method == "" || math.IsNaN(p.P) {
		return nil
	}
	out := &report.Probability{P: p.P, LnP: report.Finite(p.LnP), Method: string(p.Method)}
	if out.LnP == nil {
		out.Why = report.SayImpossible
	}
	if p.Method == analyze.MonteCarlo {
		out.Low, out.High = report.Finite(p.Lo), report.Finite(p.Hi)
	}
	return out
}

func interval(i analyze.Interval) *report.Interval {
	if i.Method == "" && i.Why == "" {
		return nil
	}
	out := &report.Interval{Level: i.Level, Method: i.Method, Why: i.Why}
	if i.Why == "" {
		out.Low, out.High = report.Finite(i.Low), report.Finite(i.High)
	}
	return out
}

func number(x float64) float64 {
	if p := report.Finite(x); p != nil {
		return *p
	}
	return 0
}

// quantileTimes are the quantiles of one sample with their intervals.
func quantileTimes(b *analyze.Blocks, level float64) []report.QuantileTime {
	var out []report.QuantileTime
	for _, q := range analyze.DefaultQuantiles() {
		t := b.Interval(q, level)
		x := report.QuantileTime{
			Quantile: q, LowMs: report.Ms(t.CI.Low), HighMs: report.Ms(t.CI.High),
			DesignEffect: math.Round(1000*t.DesignEffect) / 1000, Why: t.CI.Why,
		}
		if t.Samples > 0 && b.Late(q) == "" {
			x.Ms = report.Ms(float64(t.Value))
		}
		out = append(out, x)
	}
	return out
}

func quantileDifference(q float64, ns int64, ci analyze.Interval) report.QuantileDifference {
	return report.QuantileDifference{Quantile: q, Difference: report.DifferenceOf(ns, ci)}
}

// differenceOf is a decision about two targets as reports have it.
func differenceOf(target, than string, d analyze.LatencyDecision) report.TargetDifference {
	out := report.TargetDifference{Target: target, Than: than, Outcome: report.Measured}
	if d.Judged {
		out.Outcome = string(d.Outcome)
	}
	for _, v := range d.Quantiles {
		q := report.QuantileVerdict{
			QuantileDifference: quantileDifference(v.Q, v.Difference, v.DifferenceCI),
			Direction:          v.Direction, P: v.Different.P, Outcome: report.Measured,
		}
		if d.Judged && v.Outcome != "" { // "": shown, not judged
			q.Outcome = string(v.Outcome)
		}
		out.Quantiles = append(out.Quantiles, q)
	}
	out.Say("slower", "faster")
	return out
}
