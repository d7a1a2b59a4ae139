package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/report"
)

func limitNs(limit *report.SweepLimit) int64 { return int64(limit.Ms * float64(time.Millisecond)) }

// sweepWindows are the windows of a step, as unit of replication within it.
const sweepWindows = analyze.MinBlocks

// sweep reports the steps of a sweep by rate.
func (j *latencyJudge) sweep() {
	if len(j.times) == 0 {
		return
	}
	s := &report.Sweep{Target: j.p.Targets[0].Name, Limit: j.p.Limit, Steps: []report.SweepStep{}}
	j.c.Sweep = s
	for i, b := range j.times[0].steps {
		burst := j.p.Bursts[i]
		step := report.SweepStep{Rate: burst.Rate.PerSecond(), Sent: b.Sent, Errors: b.errors, State: report.Measured}
		if length := (b.done - b.first).Seconds(); length > 0 {
			step.Achieved = float64(len(b.took)) / length
		}
		blocks, err := analyze.NewBlocks(cutInto(b.took, sweepWindows))
		if err == nil {
			step.Quantiles = quantileTimes(blocks, j.c.Level)
		}
		if l := j.p.Limit; l != nil {
			step.State, step.Why = judgeStep(b, l, j.m.Options.Alpha/float64(len(j.times[0].steps)))
		}
		if b.Sent > 0 && b.errors == b.Sent {
			step.Why = fmt.Sprintf(report.SayStepFailed, failuresText(b.failures))
		}
		s.Steps = append(s.Steps, step)
	}
	slices.SortFunc(s.Steps, func(a, b report.SweepStep) int { return cmp.Compare(a.Rate, b.Rate) })
	for _, step := range s.Steps {
		switch {
		case s.BreaksAt != nil:
		case step.State == report.StepBreaks:
			s.BreaksAt = &step.Rate
		case step.State == report.StepHolds:
			s.HoldsAt = &step.Rate
		}
	}
	j.decideSweep(s)
}

// judgeStep says what a step shows of the limit, with alpha for being wrong either way.
func judgeStep(b *Burst, l *report.SweepLimit, alpha float64) (state, why string) {
	judge := func(times []int64) (analyze.QuantileLimit, bool) {
		windows := cutInto(times, sweepWindows)
		// errors are answers that never came; when they would have come nobody knows: all at once, at worst
		last := len(windows) - 1
		windows[last] = append(slices.Clone(windows[last]), slices.Repeat([]int64{math.MaxInt64}, int(b.errors))...)
		x, err := analyze.JudgeQuantileLimit(windows, l.Quantile, limitNs(l))
		return x, err == nil
	}
	took, ok := judge(b.took)
	if !ok {
		return report.StepUnclear, report.SayStepSilent
	}
	served, _ := judge(b.served)
	name := fmt.Sprintf("p%g", 100*l.Quantile)
	need := analyze.MinSamples(l.Quantile, 1-2*alpha)
	switch {
	case took.Breaks <= alpha && served.Breaks > alpha:
		return report.StepUnclear, fmt.Sprintf(report.SayStepLate, name, lateBy(b.lags))
	case took.Breaks <= alpha:
		return report.StepBreaks, ""
	case took.Holds <= alpha:
		return report.StepHolds, ""
	case took.Values < int64(need) && took.Above == 0:
		return report.StepUnclear, fmt.Sprintf(report.SayStepFew, name, need, took.Values)
	}
	why = fmt.Sprintf(report.SayStepNear, took.Above, took.Values, took.Allowed, name)
	if took.DesignEffect > 1 {
		why += fmt.Sprintf(report.SayStepClose, took.Values,
			math.Max(1, float64(took.Values)/took.DesignEffect))
	}
	return report.StepUnclear, why
}

// cutInto puts times, which are in the order of the answers, into n blocks.
func cutInto(times []int64, n int) [][]int64 {
	out := make([][]int64, n)
	for i := range out {
		out[i] = times[len(times)*i/n : len(times)*(i+1)/n]
	}
	return out
}

func (j *latencyJudge) decideSweep(s *report.Sweep) {
	if len(s.Steps) > 0 && s.Steps[0].Sent > 0 && s.Steps[0].Errors == s.Steps[0].Sent {
		j.doc.refuse(report.SayStepErrors, s.Target, s.Steps[0].Rate, s.Steps[0].Why)
		return
	}
	if t := j.times[0]; t.Sent > 0 && t.elsewhere+t.errors == t.Sent {
		j.doc.refuse(report.SayNoOwnAnswer, s.Target)
		return
	}
	s.Say()
	switch {
	case s.Limit == nil || len(s.Steps) == 0:
	case s.BreaksAt != nil:
		j.doc.Verdict.Outcome = report.Fail
		j.doc.because(analyze.CodeOutside, "%s", s.Sentence)
	case s.Steps[len(s.Steps)-1].State == report.StepHolds:
		j.doc.Verdict.Outcome = report.Pass
	default:
		j.doc.Verdict.Outcome = report.Inconclusive
		j.doc.because(analyze.CodeTooFew, "%s", s.Sentence)
		j.doc.remedy(report.RemedyLonger)
	}
}

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
