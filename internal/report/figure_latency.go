package report

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
)

// latencyFigure is the response times of each backend by quantile; nil with a sentence where there is nothing to draw.
func latencyFigure(r Report) (*Figure, string) {
	timed := slices.ContainsFunc(r.Backends, func(b Backend) bool { return b.Latency != nil })
	if r.Series == nil || r.Series.Latency == nil || len(r.Series.Latency.Curves) == 0 {
		if timed {
			return nil, "Too few answers for a chart of latencies."
		}
		return nil, "Nothing was timed."
	}
	l := r.Series.Latency
	place := map[string]int{}
	for i, b := range r.Backends {
		place[b.Name] = i
	}
	panel := chart.Panel{Height: chart.High, Y: chart.Axis{Log: true, Text: axisMs}}
	last, points := oneIn(0.5), 0
	for _, curve := range l.Curves {
		line := chart.Line{Name: curve.Backend, Series: place[curve.Backend]}
		for i, v := range curve.Ms[:min(len(curve.Ms), len(l.Levels))] {
			x := oneIn(l.Levels[i])
			last = max(last, x)
			line.Points = append(line.Points, chart.Point{X: x, Y: onAxis(v)})
		}
		points += len(line.Points)
		panel.Lines = append(panel.Lines, line)
	}
	if points == 0 { // a document without times in its curves
		return nil, "Nothing was timed."
	}
	plot := chart.Plot{
		X: chart.Axis{
			Log: true, Min: 1, Max: last, Ticks: []float64{1, 2, 10, 100, 1000, 10000}, Text: answeredOf,
			Label: "share of the requests that were answered within that time",
		},
		Panels: []chart.Panel{panel},
	}
	return &Figure{ID: "latency", Summary: latencySummary(r), Caption: latencyCaption(), Chart: plot}, ""
}

// oneIn is of how many requests one takes longer than a quantile: on a logarithmic axis each step to the right is a
// tenth of the requests before it.
func oneIn(q float64) float64 { return 1 / (1 - min(q, 1-1e-9)) }

// answeredOf is the share of requests that is answered before one of so many.
func answeredOf(oneIn float64) string {
	if oneIn == 1 {
		return "fastest"
	}
	return strconv.FormatFloat((1-1/oneIn)*100, 'g', 6, 64) + "%"
}

// onAxis is a time as charts have it: below a microsecond nothing is told apart.
func onAxis(ms float64) float64 { return max(ms, 0.001) }

// axisMs writes milliseconds beside an axis.
func axisMs(v float64) string {
	switch {
	case v >= 1000:
		return strconv.FormatFloat(v/1000, 'g', 3, 64) + "s"
	case v < 0.0995:
		return strconv.FormatFloat(v*1000, 'g', 3, 64) + "µs"
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + "ms"
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
		p := unknownPoint(s.Rate)
		for _, q := range s.Quantiles {
			if q.Quantile != level || q.Ms == nil {
				continue
			}
			p.Y = onAxis(*q.Ms)
			if q.LowMs != nil && q.HighMs != nil {
				p.Range = &chart.Range{Low: onAxis(*q.LowMs), High: onAxis(*q.HighMs)}
			}
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
