package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
)

// Sweep is one target at several rates.
type Sweep struct {
	Target string      `json:"target"`
	Limit  *SweepLimit `json:"limit"` // null: none was given
	Steps  []SweepStep `json:"steps"` // by rate
	// HoldsAt and BreaksAt are the highest rate at which the limit held and the lowest at which it broke, null where there
	// is none.
	HoldsAt  *float64 `json:"holdsAtPerSecond"`
	BreaksAt *float64 `json:"breaksAtPerSecond"`
	Sentence string   `json:"sentence"`
}

// SweepLimit is the most that a quantile may be.
type SweepLimit struct {
	Quantile float64 `json:"quantile"`
	Ms       float64 `json:"valueMs"`
}

// Say fills in the sentence.
func (s *Sweep) Say() {
	if s.Limit == nil || len(s.Steps) == 0 {
		s.Sentence = fmt.Sprintf("%s at %d rates.", s.Target, len(s.Steps))
		return
	}
	limit := fmt.Sprintf("p%g of at most %g ms", 100*s.Limit.Quantile, s.Limit.Ms)
	unclear := 0
	for _, x := range s.Steps {
		if x.State == StepUnclear {
			unclear++
		}
	}
	switch last := s.Steps[len(s.Steps)-1]; {
	case s.BreaksAt == nil && last.State != StepHolds:
		s.Sentence = fmt.Sprintf("Whether %s keeps to a %s at %g requests per second cannot be told: %s.", s.Target, limit,
			last.Rate, last.Why)
	case s.BreaksAt == nil && unclear > 0:
		s.Sentence = fmt.Sprintf("%s keeps to a %s at %g requests per second; at %d of %d rates below it, that cannot be "+
			"told.", s.Target, limit, *s.HoldsAt, unclear, len(s.Steps)-1)
	case s.BreaksAt == nil:
		s.Sentence = fmt.Sprintf("%s keeps to a %s at every rate up to %g per second.", s.Target, limit, *s.HoldsAt)
	case s.HoldsAt != nil:
		s.Sentence = fmt.Sprintf("%s keeps to a %s up to %g requests per second and breaks it at %g.", s.Target, limit,
			*s.HoldsAt, *s.BreaksAt)
	case s.Steps[0].State == StepUnclear:
		s.Sentence = fmt.Sprintf("%s breaks a %s at %g requests per second; at lower rates that cannot be told.", s.Target,
			limit, *s.BreaksAt)
	default:
		s.Sentence = fmt.Sprintf("%s does not keep to a %s even at %g requests per second.", s.Target, limit, *s.BreaksAt)
	}
}

// What a step shows of the limit.
const (
	StepHolds   = "holds"
	StepBreaks  = "breaks"
	StepUnclear = "unclear"
)

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

func sweepTable(steps []SweepStep) Table {
	t := Table{Caption: timesCaption, Columns: headings(1, "rate", "sent", "answered", "errors")}
	for i, x := range steps {
		cells := []Cell{
			{Text: rate(x.Rate)},
			countCell(x.Sent), numberCell(rate(x.Achieved), x.Achieved),
			countCell(x.Errors),
		}
		for _, q := range x.Quantiles {
			if i == 0 {
				t.Columns = append(t.Columns, Column{Title: quantileName(q.Quantile) + " ms"})
			}
			cells = append(cells, timeCell(q.Ms, nil, nil, false))
		}
		t.Rows = append(t.Rows, append(cells, Cell{Text: x.State}))
	}
	t.Columns = append(t.Columns, Column{Title: "limit"})
	return t
}

// sweepSpread is how many times the lowest rate the highest may be on a linear axis; beyond it the low ones would be
// one point.
const sweepSpread = 8

// sweepFigure is response times against the rate; nil where there are no two rates with a time.
func sweepFigure(s *Sweep) *Figure {
	if s == nil {
		return nil
	}
	steps := slices.DeleteFunc(slices.Clone(s.Steps), func(x SweepStep) bool { return !(x.Rate > 0) })
	slices.SortFunc(steps, func(a, b SweepStep) int { return cmp.Compare(a.Rate, b.Rate) })
	panel := chart.Panel{Height: chart.High, Y: chart.Axis{Log: true, Text: axisMs}}
	for i, level := range quantilesOf(steps) {
		if i < maxLines {
			panel.Lines = append(panel.Lines, sweepLine(steps, level, i))
		}
	}
	timed := func(p chart.Point) bool { return p.Y > 0 }
	drawn := slices.ContainsFunc(panel.Lines, func(l chart.Line) bool { return slices.ContainsFunc(l.Points, timed) })
	if !drawn || steps[0].Rate == steps[len(steps)-1].Rate {
		return nil
	}
	if l := s.Limit; l != nil {
		text := "limit of " + quantileName(l.Quantile) + ": " + axisMs(l.Ms)
		panel.Rules = append(panel.Rules, chart.Rule{Y: onAxis(l.Ms), Text: text})
	}
	plot := chart.Plot{
		X: chart.Axis{
			Log: steps[len(steps)-1].Rate/steps[0].Rate > sweepSpread, Label: "requests per second",
			Text: func(v float64) string { return strings.TrimSuffix(rate(v), "/s") },
		},
		Panels: []chart.Panel{panel},
	}
	mark := func(at *float64, what string) {
		if at != nil {
			plot.Events = append(plot.Events, chart.Mark{At: *at, Text: what + " at " + rate(*at)})
		}
	}
	mark(s.HoldsAt, "holds")
	mark(s.BreaksAt, "breaks")
	return &Figure{ID: "sweep", Summary: sweepSummary(s, steps), Caption: sweepCaption(s, plot.X.Log), Chart: plot}
}

// quantilesOf are the quantiles that were measured at any rate.
func quantilesOf(steps []SweepStep) []float64 {
	var levels []float64
	for _, s := range steps {
		for _, q := range s.Quantiles {
			levels = append(levels, q.Quantile)
		}
	}
	slices.Sort(levels)
	return slices.Compact(levels)
}

// sweepLine is one quantile over the rates. It breaks where it is not known.
func sweepLine(steps []SweepStep, level float64, series int) chart.Line {
	line := chart.Line{Name: quantileName(level), Series: series, Dots: true}
	for _, s := range steps {
		p := timePoint(s.Rate, nil)
		for _, q := range s.Quantiles {
			if q.Quantile != level || q.Ms == nil {
				continue
			}
			p = quantilePoint(s.Rate, q)
		}
		line.Points = append(line.Points, p)
	}
	return line
}

func sweepSummary(s *Sweep, steps []SweepStep) string {
	var parts []string
	for _, x := range steps {
		said := rate(x.Rate) + ":"
		for _, q := range x.Quantiles {
			if q.Ms != nil {
				said += " " + quantileName(q.Quantile) + " " + msNumber(*q.Ms) + " ms"
			}
		}
		if x.State != Measured {
			said += ", limit " + x.State
		}
		parts = append(parts, said)
	}
	return "Response times of " + s.Target + " against the rate. " + strings.Join(parts, "; ") + "."
}

func sweepCaption(s *Sweep, log bool) string {
	how := "linear"
	if log {
		how = "logarithmic"
	}
	text := "Response times against the rate of sending, on a " + how + " axis of rates and a logarithmic one of times. " +
		"Bars are likely ranges; where there is none, too little was measured for one."
	if s.Limit != nil {
		text += " Dashed across: the limit. Dotted down: the highest rate at which it held and the lowest at which it broke."
	}
	return text
}
