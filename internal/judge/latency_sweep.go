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
			step.Why = "nothing but errors: " + failuresText(b.failures)
		}
		s.Steps = append(s.Steps, step)
	}
	slices.SortFunc(s.Steps, func(a, b report.SweepStep) int { return cmp.Compare(a.Rate, b.Rate) })
	for _, step := range s.Steps {
		switch {
		case s.BreaksAt != nil:
		case step.State == stepBreaks:
			s.BreaksAt = &step.Rate
		case step.State == stepHolds:
			s.HoldsAt = &step.Rate
		}
	}
	j.decideSweep(s)
}

// What a step shows of the limit.
const (
	stepHolds, stepBreaks, stepUnclear = "holds", "breaks", "unclear"
)

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
		return stepUnclear, "no answer came"
	}
	served, _ := judge(b.served)
	name := fmt.Sprintf("p%g", 100*l.Quantile)
	need := analyze.MinSamples(l.Quantile, 1-2*alpha)
	switch {
	case took.Breaks <= alpha && served.Breaks > alpha:
		return stepUnclear, name + " breaks the limit only because requests were sent late; raise --connections, or the " +
			"generator is at its end"
	case took.Breaks <= alpha:
		return stepBreaks, ""
	case took.Holds <= alpha:
		return stepHolds, ""
	case took.Values < int64(need) && took.Above == 0:
		return stepUnclear, fmt.Sprintf("%s needs %d answers to be shown below a limit, %d came", name, need, took.Values)
	}
	why = fmt.Sprintf("%d of %d requests took longer, %.4g may: too near to tell on which side of the limit %s lies",
		took.Above, took.Values, took.Allowed, name)
	if took.DesignEffect > 1 {
		why += fmt.Sprintf("; they came close together, so %d requests tell as much as %.0f would", took.Values,
			math.Max(1, float64(took.Values)/took.DesignEffect))
	}
	return stepUnclear, why
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
		j.invalid("%s at %g requests per second: %s", s.Target, s.Steps[0].Rate, s.Steps[0].Why)
		return
	}
	if t := j.times[0]; t.Sent > 0 && t.elsewhere+t.errors == t.Sent {
		j.invalid("%s gave no answer of its own", s.Target)
		return
	}
	if s.Limit == nil || len(s.Steps) == 0 {
		s.Sentence = fmt.Sprintf("%s at %d rates.", s.Target, len(s.Steps))
		return
	}
	limit := fmt.Sprintf("p%g of at most %g ms", 100*s.Limit.Quantile, s.Limit.Ms)
	last := s.Steps[len(s.Steps)-1]
	switch {
	case s.BreaksAt == nil && last.State != stepHolds:
		j.doc.Verdict.Outcome = report.Inconclusive
		s.Sentence = fmt.Sprintf("Whether %s keeps to a %s at %g requests per second cannot be told: %s.", s.Target, limit,
			last.Rate, last.Why)
		j.doc.because(analyze.Reason{Code: analyze.CodeTooFew, Text: s.Sentence})
		j.doc.remedies = append(j.doc.remedies, "measure each rate for longer with --round-duration, or give a --limit of "+
			"a lower quantile")
	case s.BreaksAt == nil:
		j.doc.Verdict.Outcome = report.Pass
		s.Sentence = fmt.Sprintf("%s keeps to a %s at every rate up to %g per second.", s.Target, limit, *s.HoldsAt)
		if n := unclearSteps(s.Steps); n > 0 {
			s.Sentence = fmt.Sprintf("%s keeps to a %s at %g requests per second; at %d of %d rates below it, that cannot be "+
				"told.", s.Target, limit,
				*s.HoldsAt, n, len(s.Steps)-1)
		}
	case s.HoldsAt == nil:
		j.doc.Verdict.Outcome = report.Fail
		s.Sentence = fmt.Sprintf("%s does not keep to a %s even at %g requests per second.", s.Target, limit, *s.BreaksAt)
		if s.Steps[0].State == stepUnclear {
			s.Sentence = fmt.Sprintf("%s breaks a %s at %g requests per second; at lower rates that cannot be told.", s.Target,
				limit, *s.BreaksAt)
		}
	default:
		j.doc.Verdict.Outcome = report.Fail
		s.Sentence = fmt.Sprintf("%s keeps to a %s up to %g requests per second and breaks it at %g.", s.Target, limit,
			*s.HoldsAt, *s.BreaksAt)
	}
	if j.doc.Verdict.Outcome == report.Fail {
		j.doc.because(analyze.Reason{Code: analyze.CodeOutside, Text: s.Sentence})
	}
}

// unclearSteps is how many rates say nothing of the limit.
func unclearSteps(steps []report.SweepStep) int {
	n := 0
	for _, s := range steps {
		if s.State == stepUnclear {
			n++
		}
	}
	return n
}
