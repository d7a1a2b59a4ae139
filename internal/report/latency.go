package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// Measured is the outcome of a comparison of latencies that was given no margin: it could be measured, and there was nothing
// to decide.
const Measured = "measured"

// Comparison is what `latency` found: targets measured in interleaved rounds, each against one of them.
type Comparison struct {
	Against     string             `json:"against"`      // the target that the others are compared with; empty with one target
	Targets     []LatencyTarget    `json:"targets"`      // as given, Against last
	Rounds      int                `json:"rounds"`       // of each target: the unit of replication
	RoundTime   float64            `json:"roundSeconds"` // of one target
	Rate        float64            `json:"ratePerSecond"`
	WarmUp      int64              `json:"warmUpRequests"` // before each round, not counted
	Level       float64            `json:"level"`          // of each interval; of several differences, which share the error rate, at least
	Margin      *Margin            `json:"margin"`         // null: nothing was to be decided
	Differences []TargetDifference `json:"differences"`
	Sweep       *Sweep             `json:"sweep"`    // null where one rate was measured
	Baseline    *Baseline          `json:"baseline"` // null where no earlier run was given
}

// Margin is how much slower a quantile may be: one of the two is null.
type Margin struct {
	Ms       *float64 `json:"valueMs"`
	Fraction *float64 `json:"fraction"`
	Text     string   `json:"text"` // as given
}

// LatencyTarget is one target and its response times over all rounds.
type LatencyTarget struct {
	Name      string           `json:"name"`
	URL       string           `json:"url"`
	Root      string           `json:"root,omitempty"` // split whose root it is: only answers of its own pods count
	Sent      int64            `json:"sent"`           // counted rounds, warm-up apart
	Counted   int64            `json:"counted"`        // complete answers of the target itself
	Elsewhere int64            `json:"elsewhere"`      // answers that the split drew for another backend
	Errors    int64            `json:"errors"`         // no answer, or one of status 500 and above
	Failures  map[string]int64 `json:"failures,omitempty"`
	Quantiles []QuantileTime   `json:"quantiles"`
}

// TargetDifference is one target less another, or one run less an earlier one, quantile by quantile.
type TargetDifference struct {
	Target    string            `json:"target"`
	Than      string            `json:"than"`
	Outcome   string            `json:"outcome"` // pass, fail or inconclusive; measured without a margin
	Sentence  string            `json:"sentence"`
	Quantiles []QuantileVerdict `json:"quantiles"`
}

// QuantileVerdict is a difference at one quantile and what is shown of it.
type QuantileVerdict struct {
	Quantile  float64  `json:"quantile"`
	Ms        *float64 `json:"differenceMs"` // above 0: slower
	LowMs     *float64 `json:"lowMs"`
	HighMs    *float64 `json:"highMs"`
	Direction string   `json:"direction"` // slower, faster, or none: no difference proven
	P         float64  `json:"p"`         // against no difference, adjusted for the number of quantiles
	Outcome   string   `json:"outcome"`
	Why       string   `json:"why,omitempty"` // why there is no interval
}

// Sweep is one target at several rates.
type Sweep struct {
	Target string      `json:"target"`
	Limit  *SweepLimit `json:"limit"` // null: none was given
	Steps  []SweepStep `json:"steps"` // by rate
	// HoldsAt and BreaksAt are the highest rate at which the limit held and the lowest at which it broke, null where there is
	// none.
	HoldsAt  *float64 `json:"holdsAtPerSecond"`
	BreaksAt *float64 `json:"breaksAtPerSecond"`
	Sentence string   `json:"sentence"`
}

// SweepLimit is the most that a quantile may be.
type SweepLimit struct {
	Quantile float64 `json:"quantile"`
	Ms       float64 `json:"valueMs"`
}

// SweepStep is one rate.
type SweepStep struct {
	Rate      float64        `json:"ratePerSecond"`
	Sent      int64          `json:"sent"`
	Achieved  float64        `json:"achievedPerSecond"` // answers
	Errors    int64          `json:"errors"`
	Quantiles []QuantileTime `json:"quantiles"`
	State     string         `json:"state"` // holds, breaks or unclear against the limit; measured without one
	Why       string         `json:"why,omitempty"`
}

// Baseline is the comparison with an earlier run of the same targets.
type Baseline struct {
	ID          string             `json:"id"`
	Started     time.Time          `json:"started"`
	Labels      map[string]string  `json:"labels,omitempty"`
	Differences []TargetDifference `json:"differences"` // this run less the earlier one
	Costs       []TargetDifference `json:"costs"`       // how the difference between targets changed
}

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
		v.Reasons, v.ReasonCodes = append(v.Reasons, reason.Text), append(v.ReasonCodes, reason.Code)
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

// comparisonSubject names the targets.
func comparisonSubject(c *Comparison) string {
	if len(c.Targets) == 0 {
		return ""
	}
	var names []string
	for _, t := range c.Targets {
		if t.Name != c.Against {
			names = append(names, t.Name)
		}
	}
	if c.Against == "" {
		return strings.Join(names, ", ")
	}
	return strings.Join(names, ", ") + " against " + c.Against
}

// comparisonHeadline is the sentence after the verdict's word.
func comparisonHeadline(r Report) string {
	c := r.Comparison
	margin := ""
	if c.Margin != nil {
		margin = c.Margin.Text
	}
	switch r.Verdict.Outcome {
	case Pass:
		if c.Sweep != nil {
			return strings.TrimSuffix(c.Sweep.Sentence, ".")
		}
		return fmt.Sprintf("%s slower by less than %s (%d rounds)", judgedNames(c), margin, c.Rounds)
	case Fail:
		if c.Sweep != nil {
			return strings.TrimSuffix(c.Sweep.Sentence, ".")
		}
		return fmt.Sprintf("slower by more than %s (%d rounds)", margin, c.Rounds)
	case Inconclusive:
		if c.Sweep != nil {
			return strings.TrimSuffix(c.Sweep.Sentence, ".")
		}
		return fmt.Sprintf("%d rounds cannot tell whether %s are slower by more than %s", c.Rounds, judgedNames(c), margin)
	case Measured:
		if c.Sweep != nil {
			return "response times by rate"
		}
		return fmt.Sprintf("%d rounds of each target", c.Rounds)
	}
	if len(r.Verdict.Reasons) == 0 {
		return "could not be measured"
	}
	return "could not be measured: " + strings.TrimSuffix(r.Verdict.Reasons[0], ".")
}

// judgedNames are the quantiles that the outcome is about: "p50 and p90".
func judgedNames(c *Comparison) string {
	var names []string
	for _, d := range c.Differences[:min(1, len(c.Differences))] {
		for _, q := range d.Quantiles {
			if q.Outcome != Measured {
				names = append(names, quantileName(q.Quantile))
			}
		}
	}
	switch n := len(names); n {
	case 0:
		return "response times"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// comparisonSentences are the differences in prose.
func comparisonSentences(c *Comparison) []string {
	var s []string
	for _, d := range c.Differences {
		s = append(s, d.Sentence)
	}
	if len(c.Differences) > 0 {
		sure := percent(c.Level) + " sure"
		if len(c.Differences) > 1 {
			sure = "at least " + sure // differences share the error rate, so each has a range that is surer
		}
		s = append(s, fmt.Sprintf("Ranges are %s, from %d rounds. %s", sure, c.Rounds, rareMoments))
	}
	if c.Sweep != nil {
		s = append(s, c.Sweep.Sentence)
	}
	if b := c.Baseline; b != nil {
		for _, d := range slices.Concat(b.Differences, b.Costs) {
			s = append(s, d.Sentence)
		}
	}
	for _, t := range c.Targets {
		if t.Root != "" {
			s = append(s, fmt.Sprintf("%s is the root of split %s: of %s answers %s were its own and are counted, %s were drawn for other backends and are not.",
				t.Name, t.Root, count(t.Counted+t.Elsewhere), count(t.Counted), count(t.Elsewhere)))
		}
	}
	return s
}

// comparisonTables are the tables, each with its titles first.
func comparisonTables(c *Comparison) [][][]string {
	var out [][][]string
	if len(c.Targets) > 0 && c.Sweep == nil {
		table := [][]string{{"target", "counted", "errors"}}
		for _, q := range c.Targets[0].Quantiles {
			table[0] = append(table[0], quantileName(q.Quantile)+" ms")
		}
		for _, t := range c.Targets {
			row := []string{middle(t.Name, maxDifference), count(t.Counted), count(t.Errors)}
			for _, q := range t.Quantiles {
				row = append(row, timeCell(q.Ms, q.LowMs, q.HighMs, false))
			}
			table = append(table, row)
		}
		out = append(out, table)
	}
	differences := slices.Clone(c.Differences)
	costs := 0 // how many of the last are changes of costs
	if c.Baseline != nil {
		differences = slices.Concat(differences, c.Baseline.Differences, c.Baseline.Costs)
		costs = len(c.Baseline.Costs)
	}
	for i, d := range differences {
		title, words := shortTarget(d.Target)+" - "+shortTarget(d.Than), map[string]string{}
		if i >= len(differences)-costs {
			title = "cost of " + shortTarget(d.Target)
			words = map[string]string{analyze.DirectionSlower: "dearer", analyze.DirectionFaster: "cheaper"}
		}
		table := [][]string{{middle(title, maxDifference), "ms", "p", "shown"}}
		for _, q := range d.Quantiles {
			shown := cmp.Or(words[q.Direction], q.Direction)
			if q.Outcome != Measured {
				shown += ", " + q.Outcome
			}
			table = append(table, []string{quantileName(q.Quantile), timeCell(q.Ms, q.LowMs, q.HighMs, true), fmt.Sprintf("%.2g", q.P), shown})
		}
		out = append(out, table)
	}
	if s := c.Sweep; s != nil {
		table := [][]string{{"rate", "sent", "answered", "errors"}}
		for i := range s.Steps {
			if i == 0 {
				for _, q := range s.Steps[0].Quantiles {
					table[0] = append(table[0], quantileName(q.Quantile)+" ms")
				}
			}
		}
		table[0] = append(table[0], "limit")
		for _, x := range s.Steps {
			row := []string{rate(x.Rate), count(x.Sent), rate(x.Achieved), count(x.Errors)}
			for _, q := range x.Quantiles {
				row = append(row, timeCell(q.Ms, nil, nil, false))
			}
			table = append(table, append(row, x.State))
		}
		out = append(out, table)
	}
	return out
}

// shortTarget is a target's name without the word that all of them begin with.
func shortTarget(name string) string { return strings.TrimPrefix(name, "svc/") }

// maxDifference bounds the name of a difference in a table, in runes.
const maxDifference = 24

// middle shortens a text in its middle: the ends tell names apart.
func middle(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	head := (limit - 2) / 2
	return string(runes[:head]) + ".." + string(runes[len(runes)-(limit-2-head):])
}
