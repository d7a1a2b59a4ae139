package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
)

// Judged is a verdict that is not about shares: its outcome may only be made worse.
type Judged struct {
	Outcome string
	Reasons []analyze.Reason
}

// judgedVerdict is the verdict of a report that is not about shares.
func judgedVerdict(in Input, r *Report) Verdict {
	v := Verdict{
		Outcome: in.Judged.Outcome, Gate: gateOf(r), Alpha: in.Options.Alpha, Power: in.Options.Power,
		Tolerance: []BackendTolerance{}, Reasons: []string{}, ReasonCodes: []string{}, Remedies: list(in.Remedies),
	}
	for _, reason := range in.Judged.Reasons {
		v.Reasons, v.ReasonCodes = append(v.Reasons, Sentence(reason)), append(v.ReasonCodes, reason.Code)
	}
	if why := refusals(in, r); len(why) > 0 {
		if v.Outcome != Measured {
			v.StatisticalOutcome = v.Outcome
		}
		v.Outcome, v.Reasons, v.ReasonCodes = Invalid, why, slices.Repeat([]string{codeInvalid}, len(why))
	}
	for _, c := range failedChecks(in.Checks) {
		if c.Hint != "" && !slices.Contains(v.Remedies, c.Hint) {
			v.Remedies = append(v.Remedies, c.Hint)
		}
	}
	return v
}

// Gates of verdicts that are not about shares.
const (
	GateMargin = "margin" // how much slower a quantile may be
	GateOutage = "outage" // how much a failover may lose, and for how long
	GateAlways = "anytime"
)

func gateOf(r *Report) string {
	switch {
	case r.Drill != nil:
		return GateOutage
	case r.Watch != nil:
		return GateAlways
	}
	return GateMargin
}

// TimesOfBlocks are the quantiles of one sample with their intervals.
func TimesOfBlocks(b *analyze.Blocks, quantiles []float64, level float64) []QuantileTime {
	out := make([]QuantileTime, len(quantiles))
	for i, q := range quantiles {
		out[i] = quantileTime(q, b.Interval(q, level))
	}
	return out
}

// DifferenceOf puts a decision about two targets into a report.
func DifferenceOf(target, than string, d analyze.LatencyDecision) TargetDifference {
	out := TargetDifference{Target: target, Than: than, Outcome: Measured}
	if d.Judged {
		out.Outcome = string(d.Outcome)
	}
	for _, v := range d.Quantiles {
		q := QuantileVerdict{
			Quantile: v.Q, Ms: finiteMs(float64(v.Difference)), LowMs: finiteMs(v.DifferenceCI.Low), HighMs: finiteMs(v.DifferenceCI.High),
			Direction: v.Direction, P: v.Different.P, Outcome: Measured, Why: v.Why,
		}
		if d.Judged && v.Outcome != "" { // "": shown, not judged
			q.Outcome = string(v.Outcome)
		}
		out.Quantiles = append(out.Quantiles, q)
	}
	out.Sentence = differenceSentence(out)
	return out
}

// CostDifferenceOf puts the change of what a target costs into a report, one change for each quantile, with p-values against no
// change that are adjusted for their number. A direction is shown at alpha; judged says that there was a margin.
func CostDifferenceOf(cost, than string, quantiles []float64, changes []analyze.CostChange, p []float64, alpha float64, judged bool) TargetDifference {
	out := TargetDifference{Target: cost, Than: than, Outcome: Measured}
	if judged {
		out.Outcome = Pass
	}
	for i, c := range changes {
		q := QuantileVerdict{
			Quantile: quantiles[i], Ms: finiteMs(float64(c.Change)), LowMs: finiteMs(c.CI.Low), HighMs: finiteMs(c.CI.High),
			Direction: analyze.DirectionNone, P: p[i], Outcome: Measured, Why: c.CI.Why,
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
			out.Outcome = WorseOutcome(out.Outcome, q.Outcome)
		}
		out.Quantiles = append(out.Quantiles, q)
	}
	out.Sentence = "What it costs: " + inDirections(out, "dearer", "cheaper")
	return out
}

// differenceSentence says each quantile's difference in words: "p50 slower by 1.2 ms (range 0.4 to 2.0)".
func differenceSentence(d TargetDifference) string { return inDirections(d, "slower", "faster") }

func inDirections(d TargetDifference, more, less string) string {
	var parts []string
	for _, q := range d.Quantiles {
		name := quantileName(q.Quantile)
		switch {
		case q.Ms == nil || q.LowMs == nil || q.HighMs == nil:
			parts = append(parts, fmt.Sprintf("%s not known (%s)", name, q.Why))
		case q.Direction == analyze.DirectionNone:
			parts = append(parts, fmt.Sprintf("%s no difference proven (range %s to %s ms)", name, msNumber(*q.LowMs), msNumber(*q.HighMs)))
		case *q.Ms < 0:
			parts = append(parts, fmt.Sprintf("%s %s by %s (range %s to %s)", name, less, msText(-*q.Ms), msNumber(-*q.HighMs), msNumber(-*q.LowMs)))
		default:
			parts = append(parts, fmt.Sprintf("%s %s by %s (range %s to %s)", name, more, msText(*q.Ms), msNumber(*q.LowMs), msNumber(*q.HighMs)))
		}
	}
	return fmt.Sprintf("%s against %s: %s.", d.Target, d.Than, strings.Join(parts, "; "))
}

// IntervalOf puts an interval into a report.
func IntervalOf(i analyze.Interval) *Interval { return interval(i) }

// ProbabilityOf puts a p-value into a report.
func ProbabilityOf(p analyze.PValue) *Probability { return probability(p) }
