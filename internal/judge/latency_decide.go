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

// others are the quantiles that are shown beside those that are judged.
func others(judged []float64) []float64 {
	return slices.DeleteFunc(analyze.DefaultQuantiles(), func(q float64) bool { return slices.Contains(judged, q) })
}

// decide judges the times of one side against another's at some quantiles. The other quantiles are shown: theirs have
// the differences that are proven, and no outcome.
func decide(first, second *analyze.Blocks, judged []float64, m analyze.Margin, alpha float64,
	paired bool,
) (analyze.LatencyDecision, error) {
	d, err := analyze.JudgeLatency(first, second, judged, m, alpha, paired)
	if err != nil {
		return analyze.LatencyDecision{}, err
	}
	shown := others(judged)
	if len(shown) == 0 {
		return d, nil
	}
	more, err := analyze.JudgeLatency(first, second, shown, analyze.Margin{}, alpha, paired)
	if err != nil {
		return analyze.LatencyDecision{}, err
	}
	for _, v := range more.Quantiles {
		v.Outcome = ""
		d.Quantiles = append(d.Quantiles, v)
	}
	slices.SortFunc(d.Quantiles, func(a, b analyze.QuantileVerdict) int { return cmp.Compare(a.Q, b.Q) })
	return d, nil
}
