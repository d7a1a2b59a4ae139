package judge

import (
	"cmp"
	"slices"

	"github.com/splitbench/splitbench/analyze"
)

// judgedQuantiles are the quantiles that a margin is about.
func (j *latencyJudge) judgedQuantiles() []float64 {
	if len(j.p.Quantiles) == 0 {
		return analyze.DefaultQuantiles()
	}
	return j.p.Quantiles
}

// decide judges one target against another at the quantiles that were asked for. The other quantiles are shown: theirs have
// the differences that are proven, and no outcome.
func (j *latencyJudge) decide(first, second *analyze.Blocks, alpha float64, paired bool) (analyze.LatencyDecision, error) {
	judged := j.judgedQuantiles()
	d, err := analyze.JudgeLatency(first, second, judged, j.p.Margin, alpha, paired)
	if err != nil {
		return analyze.LatencyDecision{}, err
	}
	others := slices.DeleteFunc(analyze.DefaultQuantiles(), func(q float64) bool { return slices.Contains(judged, q) })
	if len(others) == 0 {
		return d, nil
	}
	shown, err := analyze.JudgeLatency(first, second, others, analyze.Margin{}, alpha, paired)
	if err != nil {
		return analyze.LatencyDecision{}, err
	}
	for _, v := range shown.Quantiles {
		v.Outcome = ""
		d.Quantiles = append(d.Quantiles, v)
	}
	slices.SortFunc(d.Quantiles, func(a, b analyze.QuantileVerdict) int { return cmp.Compare(a.Q, b.Q) })
	return d, nil
}
