package judge

import (
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// baseline compares with an earlier run: each target with itself, and what each costs more than the one it was compared
// with, then and now. What cannot be compared is no pass.
func (j *latencyJudge) baseline(f store.Folder) {
	old, err := record.Read(f)
	var times []Times
	if err == nil {
		times, err = StoredTimes(f, old)
	}
	if err != nil {
		j.notCompared(report.SayBaselineCut, f.ID, untrusted.Error(err))
		return
	}
	if v := concludeLatency(old, times, nil).Verdict; v.Outcome == report.Invalid {
		j.notCompared(report.SayBaselineInvalid, f.ID, v.Reasons[0])
		return
	}
	j.against(old, times)
}

// notCompared says why there is nothing to compare, which no margin makes a pass.
func (j *latencyJudge) notCompared(format string, args ...any) {
	j.doc.warn(format, args...)
	j.judged(analyze.Inconclusive, format, args...)
}

// judged makes the outcome worse, where there is one.
func (j *latencyJudge) judged(o analyze.Outcome, format string, args ...any) {
	if !j.p.Margin.Set || o == analyze.Pass {
		return
	}
	code := analyze.CodeOutside
	if o == analyze.Inconclusive {
		code = analyze.CodeTooFew
	}
	j.doc.worsen(string(o))
	j.doc.because(code, format, args...)
}

// against judges what an earlier run measured against this one's. A fail pays for the number of questions: each
// target's own times are one, and what each costs is one, so that a wrong one comes up at most at alpha over all of
// them.
func (j *latencyJudge) against(old record.Manifest, times []Times) {
	b := &report.Baseline{
		ID: old.ID, Started: old.Started, Labels: old.Labels, Differences: []report.TargetDifference{},
		Costs: []report.TargetDifference{},
	}
	j.c.Baseline = b
	last := len(j.p.Targets) - 1
	questions := len(j.p.Targets) + max(last, 0)
	for i, t := range j.p.Targets {
		at := slices.IndexFunc(old.Latency.Targets, func(x record.LatencyTarget) bool { return x.Name == t.Name })
		if at < 0 {
			j.notCompared(report.SayBaselineTarget, old.ID, t.Name)
			continue
		}
		before, err := times[at].sample(len(times[at].whole), old.Plan)
		if err != nil || before.Samples() == 0 || j.blocks[i] == nil || j.blocks[i].Samples() == 0 {
			j.notCompared(report.SayBaselineOne, old.ID, t.Name)
			continue
		}
		d, err := decide(j.blocks[i], before, j.judgedQuantiles(), j.p.Margin, j.m.Options.Alpha/float64(questions), false)
		if err != nil {
			j.notCompared(report.SayBaselineFailed, old.ID, t.Name, untrusted.Error(err))
			continue
		}
		x := differenceOf(t.Name, t.Name+" of "+old.ID, d)
		b.Differences = append(b.Differences, x)
		j.judged(d.Outcome, report.SayAgainstBaseline, x.Sentence)
	}
	if !j.p.Against || !old.Latency.Against || last < 1 || len(old.Latency.Targets) == 0 ||
		old.Latency.Targets[len(old.Latency.Targets)-1].Name != j.p.Targets[last].Name {
		return // what was compared with something else cost something else
	}
	for i, t := range j.p.Targets[:last] {
		at := slices.IndexFunc(old.Latency.Targets[:len(old.Latency.Targets)-1],
			func(x record.LatencyTarget) bool { return x.Name == t.Name })
		if at < 0 {
			continue // said above
		}
		before, okBefore := costOf(t.Name, times[at], times[len(old.Latency.Targets)-1], old.Plan)
		now, okNow := costOf(t.Name, j.times[i], j.times[last], j.m.Plan)
		if !okBefore || !okNow {
			j.notCompared(report.SayBaselineCost, old.ID, t.Name)
			continue
		}
		j.cost(b, old.ID, before, now, questions)
	}
}

// costOf are the rounds that both have, which may have been cut short; false where one has no answers.
func costOf(name string, far, near Times, p attack.Plan) (sideCost, bool) {
	rounds := min(len(far.blocks), len(near.blocks))
	a, errA := far.sample(rounds, p)
	b, errB := near.sample(rounds, p)
	ok := errA == nil && errB == nil && a.Samples() > 0 && b.Samples() > 0
	return sideCost{name, a, b}, ok
}

// cost compares what one target costs more than the one it is compared with, then and now.
func (j *latencyJudge) cost(b *report.Baseline, id string, before, now sideCost, questions int) {
	quantiles := j.judgedQuantiles()
	o := CompareOptions{
		Absolute: time.Duration(j.p.Margin.Absolute), Relative: j.p.Margin.Relative,
		Alpha: j.m.Options.Alpha,
	}
	changes, err := costsAt(before, now, quantiles, o, questions*len(quantiles))
	if err != nil {
		j.notCompared(report.SayBaselineCostless, id, now.name, untrusted.Error(err))
		return
	}
	p := make([]float64, len(quantiles))
	for i, q := range quantiles {
		p[i] = pOfCost(before, now, q)
	}
	x := costDifference(now.name+" over "+j.c.Against, id, changes, analyze.Holm(p), j.m.Options.Alpha/float64(questions),
		j.p.Margin.Set)
	b.Costs = append(b.Costs, x)
	j.judged(analyze.Outcome(x.Outcome), report.SayAgainstBaseline, x.Sentence)
}

// leastP bounds p-values from below: the laws behind smaller ones are not known so far out.
const leastP = 1e-9

// pOfCost is the p-value against no change of the cost: the smallest alpha whose interval does not hold zero, 1 where
// none is.
func pOfCost(before, now sideCost, q float64) float64 {
	different := func(alpha float64) bool {
		c, err := analyze.CompareCosts([2]*analyze.Blocks{before.far, before.near}, [2]*analyze.Blocks{now.far, now.near}, q,
			0, alpha, 1)
		return err == nil && c.CI.Why == "" && c.Different
	}
	low, high := math.Log(leastP), math.Log(0.499)
	if !different(math.Exp(high)) {
		return 1
	}
	if different(leastP) {
		return leastP
	}
	for range 30 { // intervals grow as alpha falls
		if mid := (low + high) / 2; different(math.Exp(mid)) {
			high = mid
		} else {
			low = mid
		}
	}
	return math.Exp(high)
}
