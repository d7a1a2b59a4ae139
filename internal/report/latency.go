package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/chart"
)

// Measured is the outcome of a comparison of latencies that was given no margin: it could be measured, and there was
// nothing to decide.
const Measured = "measured"

// Comparison is what `latency` found: targets measured in interleaved rounds, each against one of them.
type Comparison struct {
	// the target that the others are compared with; empty with one target
	Against   string          `json:"against"`
	Targets   []LatencyTarget `json:"targets"`      // as given, Against last
	Rounds    int             `json:"rounds"`       // of each target: the unit of replication
	RoundTime float64         `json:"roundSeconds"` // of one target
	Rate      float64         `json:"ratePerSecond"`
	WarmUp    int64           `json:"warmUpRequests"` // before each round, not counted
	// of each interval; of several differences, which share the error rate, at least
	Level       float64            `json:"level"`
	Margin      *Margin            `json:"margin"` // null: nothing was to be decided
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
	QuantileDifference         // above 0: slower
	Direction          string  `json:"direction"` // slower, faster, or none: no difference proven
	P                  float64 `json:"p"`         // against no difference, adjusted for the number of quantiles
	Outcome            string  `json:"outcome"`
}

// Baseline is the comparison with an earlier run of the same targets.
type Baseline struct {
	ID          string             `json:"id"`
	Started     time.Time          `json:"started"`
	Labels      map[string]string  `json:"labels,omitempty"`
	Differences []TargetDifference `json:"differences"` // this run less the earlier one
	Costs       []TargetDifference `json:"costs"`       // how the difference between targets changed
}

// latencyReport is a report about response times.
type latencyReport struct{ splitReport }

// subject names the targets.
func (d latencyReport) subject() string {
	c := d.Comparison
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

func (d latencyReport) title() string { return d.subject() }

func (d latencyReport) lead() string { return "" }

func (d latencyReport) question() string {
	if d.Comparison.Sweep != nil {
		return "response times keep to their limit"
	}
	return "response times are within their margin"
}

func (d latencyReport) requests() int64 {
	n := d.splitReport.requests()
	for _, t := range d.Comparison.Targets {
		n += t.Sent
	}
	return n
}

func (d latencyReport) headline() string {
	c := d.Comparison
	margin := ""
	if c.Margin != nil {
		margin = c.Margin.Text
	}
	swept := c.Sweep != nil
	switch d.Verdict.Outcome {
	case Pass, Fail, Inconclusive:
		if swept {
			return strings.TrimSuffix(c.Sweep.Sentence, ".")
		}
	}
	names, than := targetNames(c), shortTarget(c.Against)
	switch d.Verdict.Outcome {
	case Pass:
		return fmt.Sprintf("at %s %s slower than %s by less than the %s allowed", judgedNames(c), names, than, margin)
	case Fail:
		for _, x := range c.Differences {
			for _, q := range x.Quantiles {
				if q.Outcome == Fail && q.Ms != nil {
					return fmt.Sprintf("%s %s is %s slower than %s, more than the %s allowed", atQuantile(q.Quantile),
						shortTarget(x.Target), msText(*q.Ms), shortTarget(x.Than), margin)
				}
			}
		}
		return fmt.Sprintf("more than the %s allowed: %s slower than %s", margin, names, than)
	case Inconclusive:
		return fmt.Sprintf("%d rounds cannot tell whether %s slower than %s by more than %s, at %s", c.Rounds, names, than,
			margin, judgedNames(c))
	case Measured:
		if swept {
			return "response times by rate"
		}
		return cmp.Or(firstDifference(c), fmt.Sprintf("%d rounds of each target", c.Rounds))
	}
	return notMeasured(d.Verdict.Reasons)
}

// targetNames are the targets that are compared, with their verb: "podinfo-east is".
func targetNames(c *Comparison) string {
	var names []string
	for _, x := range c.Differences {
		names = append(names, shortTarget(x.Target))
	}
	if len(names) == 1 {
		return names[0] + " is"
	}
	return cmp.Or(listed(names), "response times") + " are"
}

// firstDifference is the first quantile of the first difference that has a range; empty where none has.
func firstDifference(c *Comparison) string {
	for _, x := range c.Differences {
		for _, q := range x.Quantiles {
			if q.Ms != nil && q.LowMs != nil && q.HighMs != nil {
				return atQuantile(q.Quantile) + " " + shortTarget(x.Target) + " is " + slowerText(q.Difference, shortTarget(x.Than))
			}
		}
	}
	return ""
}

// atQuantile is where in the distribution of times something holds.
func atQuantile(q float64) string {
	if q == 0.5 {
		return "at the median"
	}
	return "at " + quantileName(q)
}

func (d latencyReport) sections() []Section {
	c := d.Comparison
	blocks := append([]Block{forestFigure(c)}, paragraphs(d.sentences()...)...)
	if c.Sweep != nil {
		blocks = append(blocks, sweepFigure(c.Sweep), sweepTable(c.Sweep.Steps))
	} else {
		blocks = append(blocks, differenceTable(c), targetFigure(c.Targets), targetTable(c.Targets))
	}
	return []Section{{ID: "result", Title: "Result", Blocks: blocks}}
}

// targetFigure is the quantiles of each target with their ranges.
func targetFigure(targets []LatencyTarget) *Figure {
	var lines []chart.Line
	var said []string
	for i, t := range targets[:min(len(targets), maxLines)] {
		line := quantileLine(t.Quantiles, i)
		line.Name = t.Name
		lines = append(lines, line)
		for _, q := range t.Quantiles {
			if q.Ms != nil {
				said = append(said, fmt.Sprintf("%s: %s %s", t.Name, quantileName(q.Quantile), msText(*q.Ms)))
			}
		}
	}
	return quantileFigure("latency", "Response times of each target by quantile. "+strings.Join(said, "; ")+".", lines)
}

// differenceRow is one quantile of a difference, named by what it is a difference of.
type differenceRow struct {
	name   string
	series int
	words  map[string]string // for directions, in place of their own
	QuantileVerdict
}

// differenceRows are the differences between targets, from an earlier run, and of what the gateway costs.
func differenceRows(c *Comparison) (rows []differenceRow) {
	add := func(all []TargetDifference, name func(TargetDifference) string, words map[string]string) {
		for _, x := range all {
			series := slices.IndexFunc(c.Targets, func(t LatencyTarget) bool { return t.Name == x.Target })
			for _, q := range x.Quantiles {
				rows = append(rows, differenceRow{name(x), max(series, 0), words, q})
			}
		}
	}
	between := func(x TargetDifference) string { return shortTarget(x.Target) + " - " + shortTarget(x.Than) }
	add(c.Differences, between, nil)
	if b := c.Baseline; b != nil {
		since := func(x TargetDifference) string { return shortTarget(x.Target) + ", now - then" }
		cost := func(x TargetDifference) string {
			name, _, _ := strings.Cut(shortTarget(x.Target), " over ")
			return "cost of " + name + ", now - then"
		}
		add(b.Differences, since, nil)
		add(b.Costs, cost, map[string]string{analyze.DirectionSlower: "costs more", analyze.DirectionFaster: "costs less"})
	}
	return rows
}

// shown is what the row proves.
func (r differenceRow) shown() string {
	text := cmp.Or(r.words[r.Direction], r.Direction)
	if r.Outcome != Measured {
		text += ", " + r.Outcome
	}
	return text
}

// forestFigure is the differences with their ranges, beside what the margin allows; nil where none has a range.
func forestFigure(c *Comparison) *Figure {
	f := differenceFigure("differences", "Differences of response times.")
	for _, r := range differenceRows(c) {
		f.add(quantileName(r.Quantile)+" of "+r.name, r.series, r.Difference, r.shown(), c.Margin.of(c, r.Quantile))
	}
	return f.figure("Above 0 is slower. A range that holds the line at 0 proves no difference; a pass needs all of its " +
		"range within what the margin allows.")
}

// of is the margin in milliseconds at a quantile of what is compared with; nil where there is none, or that is unknown.
func (m *Margin) of(c *Comparison, quantile float64) *float64 {
	if m == nil || m.Fraction == nil {
		if m == nil {
			return nil
		}
		return m.Ms
	}
	for _, t := range c.Targets {
		for _, q := range t.Quantiles {
			if t.Name == c.Against && q.Quantile == quantile && q.Ms != nil {
				return new(*q.Ms * *m.Fraction)
			}
		}
	}
	return nil
}

func (d latencyReport) sentences() []string { return d.Comparison.sentences() }

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
	return cmp.Or(listed(names), "response times")
}

// sentences are the differences in prose.
func (c *Comparison) sentences() []string {
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
			s = append(s, fmt.Sprintf("%s is the root of split %s: of %s answers %s were its own and are counted, "+
				"%s were drawn for other backends and are not.",
				t.Name, t.Root, count(t.Counted+t.Elsewhere), count(t.Counted), count(t.Elsewhere)))
		}
	}
	return s
}

const timesCaption = "Response times in ms, with their likely ranges."

func targetTable(targets []LatencyTarget) Table {
	t := Table{Caption: timesCaption, Columns: headings(1, "target", "counted", "errors")}
	for i, x := range targets {
		cells := []Cell{{Text: middle(x.Name, maxDifference)}, countCell(x.Counted), countCell(x.Errors)}
		for _, q := range x.Quantiles {
			if i == 0 {
				t.Columns = append(t.Columns, Column{Title: quantileName(q.Quantile) + " ms"})
			}
			cells = append(cells, timeCell(q.Ms, q.LowMs, q.HighMs, false))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

func differenceTable(c *Comparison) Table {
	t := Table{
		Caption: "Differences of response times in ms, with their likely ranges: above 0 is slower.",
		Columns: headings(2, "difference", "at", "ms", "p", "shown"),
	}
	for _, r := range differenceRows(c) {
		t.Rows = append(t.Rows, []Cell{
			{Text: r.name},
			{Text: quantileName(r.Quantile)},
			timeCell(r.Ms, r.LowMs, r.HighMs, true),
			{Text: fmt.Sprintf("%.2g", r.P)},
			{Text: r.shown()},
		})
	}
	return t
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
