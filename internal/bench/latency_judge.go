package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
)

// concludeLatency is where a live comparison and a stored one become the same.
func concludeLatency(m Manifest, times []latencyTimes, baseline *store.Folder) report.Report {
	in := report.Input{
		Options: m.Options, Checks: m.Checks, Before: m.Before, Transport: m.Agent.Transport, Agent: m.Agent.How,
		Signatures: m.Signatures, Interrupted: m.Interrupted, Invalid: slices.Clone(m.Failures), Warnings: slices.Clone(m.Warnings),
		Remedies: slices.Clone(m.Remedies), Judged: &report.Judged{Outcome: report.Measured},
		Run: &report.Run{
			ID: m.ID, Dir: m.Dir, Started: m.Started, Ended: m.Ended, URL: m.Plan.URL, Command: m.Command, Seed: m.Options.Seed,
			Tool: m.Tool, Simulated: m.Simulated, Labels: m.Labels, Complete: m.Interrupted == "" && len(m.Failures) == 0,
		},
	}
	c := &report.Comparison{Level: 1 - m.Options.Alpha, Targets: []report.LatencyTarget{}, Differences: []report.TargetDifference{}}
	in.Comparison = c
	p := m.Latency
	if p == nil {
		in.Invalid = append(in.Invalid, "it is not known what was to be compared")
		return report.Build(in)
	}
	c.Rounds, c.RoundTime, c.Rate, c.WarmUp = p.Rounds, p.Round.Seconds(), m.Plan.Rate.PerSecond(), int64(m.Plan.WarmUp)
	c.Margin = marginOf(p)
	if p.Against && len(p.Targets) > 0 {
		c.Against = p.Targets[len(p.Targets)-1].Name
	}
	j := &latencyJudge{in: &in, m: m, p: p, c: c, times: times}
	j.targets()
	switch {
	case p.Sweep:
		j.sweep()
	case len(in.Invalid) == 0 && in.Interrupted == "":
		j.compare()
		if baseline != nil {
			j.baseline(*baseline)
		}
	default:
		j.compare() // for information
	}
	return report.Build(in)
}

func marginOf(p *LatencyPlan) *report.Margin {
	if !p.Margin.Set {
		return nil
	}
	out := &report.Margin{Text: p.MarginText}
	if p.Margin.Relative > 0 {
		v := p.Margin.Relative
		out.Fraction = &v
		return out
	}
	v := float64(p.Margin.Absolute) / float64(time.Millisecond)
	out.Ms = &v
	return out
}

// latencyJudge fills in a comparison.
type latencyJudge struct {
	in     *report.Input
	m      Manifest
	p      *LatencyPlan
	c      *report.Comparison
	times  []latencyTimes
	blocks []*analyze.Blocks // by target; nil where there are no answers
}

func (j *latencyJudge) invalid(format string, args ...any) {
	j.in.Invalid = append(j.in.Invalid, fmt.Sprintf(format, args...))
}

// errorShare is the share of failed requests from which on the answers that did come are no fair sample of the target's.
const errorShare = 0.01

// targets reports each target, and what makes its times no measurement.
func (j *latencyJudge) targets() {
	j.blocks = make([]*analyze.Blocks, len(j.p.Targets))
	for i, t := range j.p.Targets {
		row := report.LatencyTarget{Name: t.Name, URL: t.URL, Root: t.Root, Quantiles: []report.QuantileTime{}}
		if i >= len(j.times) {
			j.c.Targets = append(j.c.Targets, row)
			continue
		}
		times := j.times[i]
		row.Sent, row.Elsewhere, row.Errors, row.Failures = times.sent, times.elsewhere, times.errors, times.failures
		b, err := analyze.NewBlocks(times.blocks)
		if err != nil {
			j.invalid("%s: %s", t.Name, mesh.Safe(err.Error()))
			continue
		}
		j.blocks[i] = b
		row.Counted = int64(b.Samples())
		row.Quantiles = report.TimesOfBlocks(b, analyze.DefaultQuantiles(), j.c.Level)
		j.c.Targets = append(j.c.Targets, row)
		switch {
		case j.p.Sweep || times.sent == 0:
		case b.Samples() == 0 && times.errors == times.sent:
			j.invalid("%s answered nothing but errors: %s", t.Name, failuresText(times.failures))
		case b.Samples() == 0:
			j.invalid("%s gave no answer of its own", t.Name)
		case float64(times.errors) > errorShare*float64(times.sent):
			j.invalid("%s failed %d of %d requests (%s): the answers that came are no fair sample", t.Name, times.errors, times.sent, failuresText(times.failures))
		case b.Quantile(0.5) < int64(time.Microsecond):
			j.invalid("%s: half of the answers took less than a microsecond, less than the timer can tell", t.Name)
		case !times.onTime(b.Quantile(medianOfTimes)):
			j.invalid("the generator was late: the times are its own as much as those of %s", t.Name)
			const remedy = "lower --rate, or raise --connections if answers are slow"
			if !slices.Contains(j.in.Remedies, remedy) {
				j.in.Remedies = append(j.in.Remedies, remedy)
			}
		}
		if times.sent > 0 && times.rounds < j.p.Rounds && !j.p.Sweep && j.in.Interrupted == "" && len(j.m.Failures) == 0 {
			j.invalid("%d of %d rounds of %s were carried out", times.rounds, j.p.Rounds, t.Name)
		}
	}
}

func failuresText(f map[string]int64) string {
	var parts []string
	for kind, n := range f {
		parts = append(parts, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(parts)
	return mesh.Safe(strings.Join(parts, ", "))
}

// compare judges each target against the last. Alpha is shared between targets.
func (j *latencyJudge) compare() {
	last := len(j.p.Targets) - 1
	if !j.p.Against || last < 1 || len(j.times) <= last || j.blocks[last] == nil {
		return
	}
	outcome := analyze.Pass
	alpha := j.m.Options.Alpha / float64(last)
	for i := range last {
		if j.blocks[i] == nil {
			return
		}
		// Rounds cut short: what both sides have.
		first, second := equalRounds(j.times[i].blocks, j.times[last].blocks)
		a, errA := analyze.NewBlocks(first)
		b, errB := analyze.NewBlocks(second)
		if errA != nil || errB != nil || a.Samples() == 0 || b.Samples() == 0 {
			return
		}
		d, err := j.p.decide(a, b, alpha, true)
		if err != nil {
			j.invalid("%s", mesh.Safe(err.Error()))
			return
		}
		j.c.Differences = append(j.c.Differences, report.DifferenceOf(j.p.Targets[i].Name, j.p.Targets[last].Name, d))
		outcome = worse(outcome, d.Outcome)
		if d.Judged && d.Outcome != analyze.Pass {
			d.Reason.Text = j.p.Targets[i].Name + ": " + d.Reason.Text
			j.in.Judged.Reasons = append(j.in.Judged.Reasons, d.Reason)
		}
		if d.Judged && d.Outcome == analyze.Inconclusive && d.Needed > 0 {
			j.in.Remedies = append(j.in.Remedies, fmt.Sprintf("run it again with --rounds %d", min(maxRounds, d.Needed)))
		}
	}
	if j.p.Margin.Set {
		j.in.Judged.Outcome = string(outcome)
	}
}

func equalRounds(a, b [][]int64) (first, second [][]int64) {
	n := min(len(a), len(b))
	return a[:n], b[:n]
}

func worse(a, b analyze.Outcome) analyze.Outcome {
	rank := map[analyze.Outcome]int{analyze.Pass: 0, analyze.Inconclusive: 1, analyze.Fail: 2}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// sweep carries out a sweep in the agent's pod.
func (r *latencyRun) sweep(ctx context.Context, client session) error {
	return sweepRates(r.cfg.Rates, r.plan.Limit, func(rate attack.Rate) (*burstTimes, error) {
		r.progress("attack", fmt.Sprintf("%g requests per second for %s", rate.PerSecond(), r.plan.Round))
		n := len(r.plan.Bursts)
		err := r.burst(ctx, client, LatencyBurst{Round: n, Rate: rate, Requests: max(1, rate.Requests(r.plan.Round))})
		if err != nil {
			return nil, err
		}
		return r.times[0].steps[n], nil
	})
}

// sweepRates takes the given rates in rising order until the limit breaks, then rates between the last that held and the first
// that broke, until they are near. Without a limit it takes all of them.
func sweepRates(given []attack.Rate, limit *report.SweepLimit, step func(attack.Rate) (*burstTimes, error)) error {
	rates := slices.Clone(given)
	slices.SortFunc(rates, func(a, b attack.Rate) int { return compareFloat(a.PerSecond(), b.PerSecond()) })
	held, broke, steps := 0.0, math.Inf(1), 0
	take := func(rate attack.Rate) error {
		steps++
		b, err := step(rate)
		if err != nil {
			return err
		}
		if limit != nil && breaks(b, limit) {
			broke = math.Min(broke, rate.PerSecond())
		} else {
			held = math.Max(held, rate.PerSecond())
		}
		return nil
	}
	for _, rate := range rates {
		if limit != nil && !math.IsInf(broke, 1) {
			break
		}
		if err := take(rate); err != nil {
			return err
		}
	}
	for limit != nil && held > 0 && !math.IsInf(broke, 1) && broke/held > sweepFine && steps < mostSteps {
		if err := take(perSecond(math.Sqrt(held * broke))); err != nil {
			return err
		}
	}
	return nil
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// perSecond is a rate to three digits.
func perSecond(x float64) attack.Rate {
	digits := math.Pow(10, math.Max(0, 2-math.Floor(math.Log10(x))))
	return attack.Rate{Hits: uint64(math.Round(x * digits)), Per: time.Duration(digits) * time.Second}
}

// breaks reports whether the limit's quantile lies above it. Errors count as answers that never came.
func breaks(b *burstTimes, limit *report.SweepLimit) bool { return above(b.took, b.errors, limit) }

// sentLate reports whether the limit breaks only because requests were sent late, by the generator or for want of connections:
// once sent, they were answered within it.
func sentLate(b *burstTimes, limit *report.SweepLimit) bool {
	return breaks(b, limit) && !above(b.served, b.errors, limit)
}

func above(times []int64, errors int64, limit *report.SweepLimit) bool {
	all := append(slices.Clone(times), slices.Repeat([]int64{math.MaxInt64}, int(errors))...)
	slices.Sort(all)
	return len(all) > 0 && analyze.Quantile(all, limit.Quantile) > int64(limit.Ms*float64(time.Millisecond))
}

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
		step := report.SweepStep{Rate: burst.Rate.PerSecond(), Sent: b.sent, Errors: b.errors, State: report.Measured}
		if length := (b.done - b.first).Seconds(); length > 0 {
			step.Achieved = float64(len(b.took)) / length
		}
		blocks, err := analyze.NewBlocks(cutInto(b.took, sweepWindows))
		if err == nil {
			step.Quantiles = report.TimesOfBlocks(blocks, analyze.DefaultQuantiles(), j.c.Level)
		}
		if l := j.p.Limit; l != nil {
			rate := step.Rate
			// So few answers can all be below the limit though more than the quantile allows are above it.
			need := analyze.MinSamples(l.Quantile, 1-2*j.m.Options.Alpha)
			switch {
			case sentLate(b, l):
				step.State, step.Why = "unclear", fmt.Sprintf("p%g breaks the limit only because requests were sent late; raise --connections, or the generator is at its end", 100*l.Quantile)
			case breaks(b, l):
				step.State = "breaks"
				if s.BreaksAt == nil || rate < *s.BreaksAt {
					s.BreaksAt = &rate
				}
			case len(b.took) < need:
				step.State, step.Why = "unclear", fmt.Sprintf("p%g needs %d answers to be shown below a limit, %d came", 100*l.Quantile, need, len(b.took))
			default:
				step.State = "holds"
				if s.HoldsAt == nil || rate > *s.HoldsAt {
					s.HoldsAt = &rate
				}
			}
		}
		if b.sent > 0 && b.errors == b.sent {
			step.Why = "nothing but errors: " + failuresText(b.failures)
		}
		s.Steps = append(s.Steps, step)
	}
	slices.SortFunc(s.Steps, func(a, b report.SweepStep) int { return compareFloat(a.Rate, b.Rate) })
	j.decideSweep(s)
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
	if t := j.times[0]; t.sent > 0 && t.elsewhere+t.errors == t.sent {
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
	case s.BreaksAt == nil && last.State != "holds":
		j.in.Judged.Outcome = report.Inconclusive
		s.Sentence = fmt.Sprintf("Whether %s keeps to a %s at %g requests per second cannot be told: %s.", s.Target, limit, last.Rate, last.Why)
		j.in.Judged.Reasons = append(j.in.Judged.Reasons, analyze.Reason{Code: analyze.CodeTooFew, Text: s.Sentence})
		j.in.Remedies = append(j.in.Remedies, "measure each rate for longer with --round-duration, or give a --limit of a lower quantile")
	case s.BreaksAt == nil:
		j.in.Judged.Outcome = report.Pass
		s.Sentence = fmt.Sprintf("%s keeps to a %s at every rate up to %g per second.", s.Target, limit, *s.HoldsAt)
		if n := unclearSteps(s.Steps); n > 0 {
			s.Sentence = fmt.Sprintf("%s keeps to a %s at %g requests per second; at %d of %d rates below it, that cannot be told.", s.Target, limit,
				*s.HoldsAt, n, len(s.Steps)-1)
		}
	case s.HoldsAt == nil:
		j.in.Judged.Outcome = report.Fail
		s.Sentence = fmt.Sprintf("%s does not keep to a %s even at %g requests per second.", s.Target, limit, *s.BreaksAt)
		if s.Steps[0].State == "unclear" {
			s.Sentence = fmt.Sprintf("%s breaks a %s at %g requests per second; at lower rates too few answers came to tell.", s.Target, limit, *s.BreaksAt)
		}
	default:
		j.in.Judged.Outcome = report.Fail
		s.Sentence = fmt.Sprintf("%s keeps to a %s up to %g requests per second and breaks it at %g.", s.Target, limit, *s.HoldsAt, *s.BreaksAt)
	}
	if j.in.Judged.Outcome == report.Fail {
		j.in.Judged.Reasons = append(j.in.Judged.Reasons, analyze.Reason{Code: analyze.CodeOutside, Text: s.Sentence})
	}
}

// unclearSteps is how many rates say nothing of the limit.
func unclearSteps(steps []report.SweepStep) int {
	n := 0
	for _, s := range steps {
		if s.State == "unclear" {
			n++
		}
	}
	return n
}

// analyzeLatency computes the report of a stored comparison again.
func analyzeLatency(f store.Folder, m Manifest) report.Report {
	if m.Latency == nil {
		return concludeLatency(m, nil, nil)
	}
	times, err := storedTimes(f, m.Latency)
	if err != nil {
		m.Failures = append(m.Failures, missingEnd(m, err)...)
	}
	return concludeLatency(m, times, nil)
}
