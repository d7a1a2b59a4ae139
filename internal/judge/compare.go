package judge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// CompareOptions are the rule of a comparison of runs, fixed before anything is compared.
type CompareOptions struct {
	// How much slower a quantile may be: Relative of the base, or Absolute, whichever is more at the base's median.
	Absolute    time.Duration
	Relative    float64 // 0.1: a tenth
	SharePoints float64 // percentage points that a share may move
	// Quantiles are those that are judged; the others of analyze.DefaultQuantiles are shown. A quantile that the runs are
	// too small for is never a pass, so the far ones are judged only where they were asked for.
	Quantiles []float64
	Alpha     float64
	Tool      string // version, for the record
}

// Validate says what cannot be; the sentence begins with the flag.
func (o CompareOptions) Validate() error {
	switch {
	case o.Absolute < 0 || o.Relative < 0 || o.Relative > 10 || o.Absolute == 0 && o.Relative == 0:
		return fmt.Errorf("--margin: want a duration, a percentage up to 1000%%, or both with a comma")
	case !(o.SharePoints > 0 && o.SharePoints < 100):
		return fmt.Errorf("--share-margin %g: want points above 0 and below 100", o.SharePoints)
	case !(o.Alpha > 0 && o.Alpha < 0.5):
		return fmt.Errorf("--alpha %g: want above 0 and below 0.5", o.Alpha)
	case len(o.Quantiles) == 0:
		return errors.New("--quantiles: name one at least, such as p50")
	}
	for _, q := range o.Quantiles {
		if !(q > 0 && q < 1) {
			return fmt.Errorf("--quantiles p%g: want above p0 and below p100", 100*q)
		}
	}
	return nil
}

// JudgedQuantiles are what is judged unless other quantiles are named.
func JudgedQuantiles() []float64 { return []float64{0.5, 0.9} }

// shown are the quantiles that are not judged.
func (o CompareOptions) shown() []float64 { return others(o.Quantiles) }

func (o CompareOptions) marginText() string {
	var parts []string
	if o.Relative > 0 {
		parts = append(parts, fmt.Sprintf("%.4g%%", 100*o.Relative))
	}
	if o.Absolute > 0 {
		parts = append(parts, o.Absolute.String())
	}
	return strings.Join(parts, " or ")
}

// margin is the one that holds for a latency whose median is base.
func (o CompareOptions) margin(base int64) analyze.Margin {
	if o.Relative > 0 && o.Relative*float64(base) >= float64(o.Absolute) {
		return analyze.Margin{Relative: o.Relative, Set: true}
	}
	return analyze.Margin{Absolute: int64(o.Absolute), Set: true}
}

// Compare compares each of the later runs with the base. Runs of one kind can be compared, of any age. A run that is
// invalid makes the outcome invalid: what was not measured cannot have got better or worse. Errors are *UsageError, and
// of folders that cannot be read.
func Compare(base store.Folder, later []store.Folder, o CompareOptions) (report.RunComparison, error) {
	if err := o.Validate(); err != nil {
		return report.RunComparison{}, &record.UsageError{Err: err}
	}
	b, err := measuredOf(base)
	if err != nil {
		return report.RunComparison{}, err
	}
	sides := make([]sideRun, len(later))
	for i, f := range later {
		if sides[i], err = measuredOf(f); err != nil {
			return report.RunComparison{}, err
		}
		switch {
		case sides[i].run.ID == b.run.ID:
			return report.RunComparison{}, record.Usagef("compare: run %s is compared with itself", b.run.ID)
		case sides[i].run.Kind != b.run.Kind:
			return report.RunComparison{}, record.Usagef("compare: run %s is a %s run and %s a %s run: only runs of one kind "+
				"can be compared",
				b.run.ID, b.run.Kind, sides[i].run.ID, sides[i].run.Kind)
		}
	}
	return compareMeasured(b, sides, o), nil
}

// Baseline is the earlier run that a run's report compares it with.
type Baseline struct {
	Folder  store.Folder
	Options CompareOptions
}

// CompareWith compares a run that has just been judged with an earlier one. It never changes the verdict.
func CompareWith(b Baseline, rep report.Report, m record.Manifest, totals wire.Totals,
	t *Tally,
) (*report.RunComparison, error) {
	base, err := measuredOf(b.Folder)
	if err != nil {
		return nil, err
	}
	if base.run.Kind != m.Kind {
		return nil, fmt.Errorf("it is a %s run", base.run.Kind)
	}
	own, err := sideOf(rep, m, t, totals)
	if err != nil {
		return nil, err
	}
	return new(compareMeasured(base, []sideRun{own}, b.Options)), nil
}

func compareMeasured(base sideRun, later []sideRun, o CompareOptions) report.RunComparison {
	// What is asked together is counted before anything is answered.
	questions := 0
	for _, l := range later {
		questions += questionsOf(base, l, len(o.Quantiles))
	}
	out := report.RunComparison{
		APIVersion: report.APIVersion, Kind: report.KindRunComparison, Base: base.run, Changes: []report.RunChange{},
		Tool: o.Tool,
		Verdict: report.ComparisonVerdict{
			Outcome: report.Pass, Alpha: o.Alpha, Margin: o.marginText(), SharePoints: o.SharePoints, Questions: questions,
			Reasons: []string{},
		},
	}
	for _, l := range later {
		c := change(base, l, o, max(questions, 1))
		out.Changes = append(out.Changes, c)
		out.Verdict.Outcome = report.WorseOutcome(out.Verdict.Outcome, c.Outcome)
		for _, why := range c.Reasons {
			if len(later) > 1 {
				why = fmt.Sprintf(report.SayOfRun, c.Run.ID, why)
			}
			out.Verdict.Reasons = append(out.Verdict.Reasons, why)
		}
	}
	return out
}

// questionsOf is how many families of tests a comparison asks: one for the shares of each backend, for each target's
// latency (Holm shares alpha among its quantiles), and for each quantile of each cost.
func questionsOf(base, l sideRun, quantiles int) int {
	n := 0
	if sameShares(base, l) {
		n += len(l.counts)
	}
	for _, s := range l.series {
		if _, ok := base.times(s.name); ok {
			n++
		}
	}
	for _, c := range l.costs {
		if _, ok := base.cost(c.name); ok {
			n += quantiles
		}
	}
	return n
}

// find is the first that is meant, and whether there is one.
func find[T any](all []T, meant func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(all, meant); i >= 0 {
		return all[i], true
	}
	return found, false
}

func (m sideRun) times(name string) (sideTimes, bool) {
	return find(m.series, func(s sideTimes) bool { return s.name == name })
}

func (m sideRun) cost(name string) (sideCost, bool) {
	return find(m.costs, func(c sideCost) bool { return c.name == name })
}

func (m sideRun) count(backend string) (sideCount, bool) {
	return find(m.counts, func(c sideCount) bool { return c.backend == backend })
}

func (m sideRun) answers() (n, weights int64) {
	for _, c := range m.counts {
		n, weights = n+c.observed, weights+c.weight
	}
	return n, weights
}

// sameShares reports whether both splits declare the same shares: 1/1 and 50/50 are the same.
func sameShares(a, b sideRun) bool {
	_, x := a.answers()
	_, y := b.answers()
	if len(a.counts) != len(b.counts) || x == 0 || y == 0 {
		return false
	}
	for _, c := range a.counts {
		d, ok := b.count(c.backend)
		if !ok || float64(c.weight)/float64(x) != float64(d.weight)/float64(y) {
			return false
		}
	}
	return true
}

// change compares one later run with the base.
func change(base, l sideRun, o CompareOptions, family int) report.RunChange {
	c := report.RunChange{
		Run: l.run, SameWeights: sameShares(base, l), Shares: []report.ShareChange{}, Latency: []report.TimeChange{},
		GatewayCost: []report.TimeChange{},
		Warnings:    slices.Concat(base.warnings, l.warnings),
	}
	var invalid []string
	for _, m := range []sideRun{base, l} {
		for _, why := range m.why {
			invalid = append(invalid, fmt.Sprintf(report.SayRunInvalid, m.run.ID, why))
		}
		if m.noTime != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf(report.SayNoLatencies, m.run.ID, m.noTime))
		}
	}
	if len(invalid) > 0 {
		return report.ConcludeChange(c, invalid)
	}
	if base.run.Subject != l.run.Subject {
		c.Warnings = append(c.Warnings, fmt.Sprintf(report.SayOtherSplits, base.run.Subject, l.run.Subject))
	}
	err := errors.Join(shareChanges(&c, base, l, o, family), latencyChanges(&c, base, l, o, family),
		costChanges(&c, base, l, o, family))
	if err != nil {
		invalid = append(invalid, fmt.Sprintf(report.SayRunsIncomparable, untrusted.Error(err)))
	}
	if (base.noTime != "" || l.noTime != "") && err == nil {
		c.Latency = append(c.Latency, report.TimeChange{
			Name: "latency", Outcome: report.Inconclusive, Quantiles: []report.QuantileChange{},
			Why: report.SayNotInBoth, Sentence: report.SayNoneInBoth,
		})
	}
	return report.ConcludeChange(c, invalid)
}

func shareChanges(c *report.RunChange, base, l sideRun, o CompareOptions, family int) error {
	baseN, _ := base.answers()
	newN, _ := l.answers()
	names := make([]string, 0, len(base.counts))
	for _, x := range base.counts {
		names = append(names, x.backend)
	}
	for _, x := range l.counts {
		if !slices.Contains(names, x.backend) {
			names = append(names, x.backend)
		}
	}
	for _, name := range names {
		b, hadIt := base.count(name)
		n, hasIt := l.count(name)
		s, err := analyze.CompareShares(b.observed, baseN, n.observed, newN, o.SharePoints/100, o.Alpha, family)
		if err != nil {
			return err
		}
		var before, after *int64
		if hadIt {
			before = &b.weight
		}
		if hasIt {
			after = &n.weight
		}
		c.Shares = append(c.Shares, shareChange(name, before, after, s, c.SameWeights))
	}
	return nil
}

func latencyChanges(c *report.RunChange, base, l sideRun, o CompareOptions, family int) error {
	for _, s := range l.series {
		before, ok := base.times(s.name)
		if !ok {
			continue
		}
		d, err := decide(s.blocks, before.blocks, o.Quantiles, o.margin(before.blocks.Quantile(0.5)), o.Alpha, false)
		if err != nil {
			return err
		}
		outcome := priced(&d, o.Alpha, family)
		c.Latency = append(c.Latency, latencyChange(s.name, outcome, d))
	}
	return nil
}

// priced takes back a fail that does not hold for as many questions as were asked.
func priced(d *analyze.LatencyDecision, alpha float64, family int) string {
	outcome := report.Pass
	for i := range d.Quantiles {
		v := &d.Quantiles[i]
		if v.Outcome == analyze.Fail && v.Beyond.P > alpha/float64(family) {
			v.Outcome = analyze.Inconclusive
		}
		if v.Outcome != "" { // "": shown, not judged
			outcome = report.WorseOutcome(outcome, string(v.Outcome))
		}
	}
	return outcome
}

func costChanges(c *report.RunChange, base, l sideRun, o CompareOptions, family int) error {
	for _, x := range l.costs {
		before, ok := base.cost(x.name)
		if !ok {
			continue
		}
		judged, err := costsAt(before, x, o.Quantiles, o, family)
		if err != nil {
			return err
		}
		shown, err := costsAt(before, x, o.shown(), o, family)
		if err != nil {
			return err
		}
		c.GatewayCost = append(c.GatewayCost, costChange(x.name, judged, shown))
	}
	return nil
}

// costAt is the change of a cost at one quantile.
type costAt struct {
	quantile float64
	analyze.CostChange
}

func costsAt(base, l sideCost, quantiles []float64, o CompareOptions, family int) ([]costAt, error) {
	var out []costAt
	for _, q := range quantiles {
		far := base.far.Quantile(q)
		m := o.margin(far)
		ch, err := analyze.CompareCosts([2]*analyze.Blocks{base.far, base.near}, [2]*analyze.Blocks{l.far, l.near},
			q, m.Absolute+int64(m.Relative*float64(far)), o.Alpha, family)
		if err != nil {
			return nil, err
		}
		out = append(out, costAt{q, ch})
	}
	return out, nil
}
