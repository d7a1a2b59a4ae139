package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
)

// Bounds of charts over backends.
const (
	maxLines = 24 // backends that are drawn; the table has all
	maxBands = 3  // backends whose band of chance is drawn: more would cover each other
	// bandNormal is the two-sided 99 % point of the normal distribution, for the band of chance: a guide for the eye, no
	// test.
	bandNormal = 2.5758
)

// sharesFigure is expected and observed shares; nil where nothing was counted.
func sharesFigure(r Report) *Figure {
	if n, _ := requestsOf(r); n == 0 {
		return nil
	}
	return &Figure{ID: "shares", Summary: sharesSummary(r), Caption: sharesCaption(r), Chart: shareBars(r)}
}

func shareBars(r Report) chart.Bars {
	bars := chart.Bars{
		X:      chart.Axis{Most: 1, Text: percentTight},
		Values: "observed share", Targets: "weight",
	}
	tolerance := map[string]float64{}
	if r.Verdict.Gate != "chisquare" {
		for _, t := range r.Verdict.Tolerance {
			tolerance[t.Backend] = t.Points / 100
			bars.Tolerances = "allowed by the tolerance"
		}
	}
	for i, b := range r.Backends {
		bar := chart.Bar{Name: b.Name, Text: shareValue(b), Series: i, Value: b.ObservedShare, Target: b.ExpectedShare}
		if low, high, ok := b.Interval.Ends(); ok {
			bar.Range, bars.Ranges = &chart.Range{Low: low, High: high}, "likely range"
		}
		if t, ok := tolerance[b.Name]; ok {
			bar.Tolerated = &chart.Range{Low: b.ExpectedShare - t, High: b.ExpectedShare + t}
		}
		bars.Rows = append(bars.Rows, bar)
	}
	return bars
}

// costFigure is what the gateway adds; nil where no difference has both ends of its range.
func costFigure(g *GatewayCost) *Figure {
	bars := chart.Bars{X: chart.Axis{Text: func(v float64) string { return signedMs(v) + " ms" }}}
	var said []string
	for i, cost := range g.Costs {
		for _, q := range cost.Quantiles {
			if q.Ms == nil || q.LowMs == nil || q.HighMs == nil {
				continue
			}
			bar := chart.Bar{
				Name:   quantileName(q.Quantile) + " of " + cost.Backend,
				Text:   fmt.Sprintf("%s ms, likely %s to %s ms", signedMs(*q.Ms), signedMs(*q.LowMs), signedMs(*q.HighMs)),
				Series: i + 1, Value: q.Ms, Range: &chart.Range{Low: *q.LowMs, High: *q.HighMs},
			}
			bars.Rows, said = append(bars.Rows, bar), append(said, bar.Name+": "+bar.Text)
		}
	}
	if len(said) == 0 {
		return nil
	}
	return &Figure{
		ID:      "cost",
		Summary: "What the gateway adds to the response time. " + strings.Join(said, "; ") + ".",
		Caption: "What the gateway adds, at the quantiles of the response time. " +
			"A range that holds the line at 0 proves no difference.",
		Chart: bars,
	}
}

// timeFigure is shares over time; nil with a sentence where there is nothing to draw.
func timeFigure(r Report) (*Figure, string) {
	if r.Series == nil || r.Series.OverTime == nil {
		return nil, "Not known: no times of sending were kept."
	}
	o := r.Series.OverTime
	if o.Windows < 2 || o.Windows > 10*MaxWindows || !(o.WindowSeconds > 1e-9) {
		return nil, "Too few requests for a chart over time."
	}
	totals := windowTotals(o)
	panel := chart.Panel{Height: chart.High, Y: chart.Axis{Most: 1, Text: percentTight}}
	for i, b := range r.Backends[:min(len(r.Backends), maxLines)] {
		same := func(other Backend) bool { return other.ExpectedShare == b.ExpectedShare }
		if slices.ContainsFunc(r.Backends[:i], same) {
			continue
		}
		panel.Rules = append(panel.Rules, chart.Rule{Y: b.ExpectedShare, Text: "weight " + percentTight(b.ExpectedShare)})
		if len(r.Backends) <= maxBands {
			panel.Bands = append(panel.Bands, chanceBand(o, totals, b.ExpectedShare))
		}
	}
	for i, b := range o.Backends[:min(len(o.Backends), maxLines)] {
		points := sharesOverTime(o, totals, b.Observed)
		panel.Lines = append(panel.Lines, chart.Line{Name: b.Backend, Series: i, Points: points})
	}
	plot := chart.Plot{
		X:      chart.Axis{Max: float64(o.Windows) * o.WindowSeconds, Label: sinceFirst, Text: plainNumber},
		Panels: []chart.Panel{panel},
	}
	for i, m := range r.Series.Marks {
		plot.Events = append(plot.Events, chart.Mark{At: m.AtSeconds, Text: strconv.Itoa(i + 1), Shape: chart.Letter})
	}
	return &Figure{ID: "time", Summary: timeSummary(r), Caption: timeCaption(r), Chart: plot}, ""
}

const sinceFirst = "seconds since the first request"

// plainNumber writes a value of an axis.
func plainNumber(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// windowTotals are the requests of each window with a known backend.
func windowTotals(o *OverTime) []int64 {
	totals := make([]int64, o.Windows)
	for _, b := range o.Backends {
		for i, n := range b.Observed {
			if i < len(totals) {
				totals[i] += n
			}
		}
	}
	return totals
}

// sharesOverTime leaves out windows without a known answer: a share of nothing is no share.
func sharesOverTime(o *OverTime, totals, observed []int64) []chart.Point {
	var points []chart.Point
	for i, n := range observed {
		if i < len(totals) && totals[i] > 0 {
			points = append(points, chart.Point{X: (float64(i) + 0.5) * o.WindowSeconds, Y: float64(n) / float64(totals[i])})
		}
	}
	return points
}

// chanceBand is where about 99 of 100 windows lie when the share is right.
func chanceBand(o *OverTime, totals []int64, share float64) []chart.Point {
	var points []chart.Point
	for i, n := range totals {
		if n > 0 {
			half := bandNormal * math.Sqrt(share*(1-share)/float64(n))
			points = append(points, chart.Point{
				X: (float64(i) + 0.5) * o.WindowSeconds, Range: &chart.Range{Low: share - half, High: share + half},
			})
		}
	}
	return points
}

// secondsOf writes an instant with as many decimals as the windows need.
func secondsOf(v, window float64) string {
	decimals := 0
	for w := window; decimals < 3 && math.Abs(w-math.Round(w)) > 1e-9; w *= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + "s"
}
