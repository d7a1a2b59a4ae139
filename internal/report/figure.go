package report

import (
	"cmp"
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
	caption := sharesCaption(r)
	if more := len(r.Backends) - maxLines; more > 0 {
		caption += fmt.Sprintf(" Drawn are the %d backends that are furthest off; the table has the other %d too.", maxLines,
			more)
	}
	return barsFigure("shares", "Observed and expected shares.", caption, shareBars(r))
}

// barsFigure is bars, which are heard as they are read.
func barsFigure(id, about, caption string, bars chart.Bars) *Figure {
	said := make([]string, len(bars.Rows))
	for i, row := range bars.Rows {
		said[i] = row.Name + ": " + row.Text
	}
	return &Figure{ID: id, Summary: about + " " + strings.Join(said, "; ") + ".", Caption: caption, Chart: bars}
}

func shareBars(r Report) chart.Bars {
	bars := chart.Bars{
		X: chart.Axis{Most: 1, Text: percentTight}, Values: "observed share", Targets: "weight",
	}
	tolerance := map[string]float64{}
	if r.Verdict.Gate != "chisquare" {
		for _, t := range r.Verdict.Tolerance {
			tolerance[t.Backend] = t.Points / 100
			bars.Tolerances = "allowed by the tolerance"
		}
	}
	for _, i := range furthestOff(r.Backends) {
		b := r.Backends[i]
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

// furthestOff are the places of the backends that are drawn, in their order: all, or as many as can be looked at.
func furthestOff(backends []Backend) []int {
	places := make([]int, len(backends))
	for i := range places {
		places[i] = i
	}
	if len(places) <= maxLines {
		return places
	}
	off := func(i int) float64 {
		if backends[i].ObservedShare == nil {
			return 0
		}
		return math.Abs(*backends[i].ObservedShare - backends[i].ExpectedShare)
	}
	slices.SortStableFunc(places, func(a, b int) int { return cmp.Compare(off(b), off(a)) })
	places = places[:maxLines]
	slices.Sort(places)
	return places
}

// differences are times less others, as rows with their likely ranges.
type differences struct {
	id, about string
	bars      chart.Bars
}

func differenceFigure(id, about string) *differences {
	return &differences{id, about, chart.Bars{
		X:      chart.Axis{Text: func(v float64) string { return signedMs(v) + " ms" }},
		Values: "difference", Ranges: "likely range", Targets: "no difference",
	}}
}

// add takes a row, if its difference has both ends of its range and there is room. margin is the most that is allowed.
func (f *differences) add(name string, series int, d Difference, shown string, margin *float64) {
	if d.Ms == nil || d.LowMs == nil || d.HighMs == nil || len(f.bars.Rows) == maxLines {
		return
	}
	text := fmt.Sprintf("%s ms, likely %s to %s ms", signedMs(*d.Ms), signedMs(*d.LowMs), signedMs(*d.HighMs))
	if shown != "" {
		text += ": " + shown
	}
	bar := chart.Bar{
		Name: name, Text: text, Series: series, Value: d.Ms, Range: &chart.Range{Low: *d.LowMs, High: *d.HighMs},
	}
	if margin != nil {
		bar.Tolerated, f.bars.Tolerances = &chart.Range{Low: math.Inf(-1), High: *margin}, "allowed by the margin"
	}
	f.bars.Rows = append(f.bars.Rows, bar)
}

// figure is nil without rows.
func (f *differences) figure(caption string) *Figure {
	if len(f.bars.Rows) == 0 {
		return nil
	}
	return barsFigure(f.id, f.about, caption, f.bars)
}

// costFigure is what the gateway adds; nil where no difference has both ends of its range.
func costFigure(g *GatewayCost) *Figure {
	f := differenceFigure("cost", "What the gateway adds to the response time.")
	for i, cost := range g.Costs {
		for _, q := range cost.Quantiles {
			f.add(quantileName(q.Quantile)+" of "+cost.Backend, i+1, q.Difference, "", nil)
		}
	}
	return f.figure("What the gateway adds, at the quantiles of the response time. A range that holds the line at 0 " +
		"proves " +
		"no difference.")
}

// timeFigure is shares over time, and below them how long answers took; nil where there is nothing to draw.
func timeFigure(r Report) *Figure {
	if !overTime(r) {
		return nil
	}
	o := r.Series.OverTime
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
		Panels: append([]chart.Panel{panel}, timesOverTime(o)...),
	}
	for i, m := range r.Series.Marks {
		plot.Events = append(plot.Events, chart.Mark{At: m.AtSeconds, Text: strconv.Itoa(i + 1), Shape: chart.Letter})
	}
	return &Figure{ID: "time", Summary: timeSummary(r), Caption: timeCaption(r), Chart: plot}
}

// overTime reports whether there are windows that can be shown beside each other.
func overTime(r Report) bool {
	if r.Series == nil || r.Series.OverTime == nil {
		return false
	}
	o := r.Series.OverTime
	return o.Windows >= 2 && o.Windows <= 10*MaxWindows && o.WindowSeconds > 1e-9
}

// timesOverTime are the response times of each window that has enough of them: the median, and what 9 of 10 kept to.
func timesOverTime(o *OverTime) []chart.Panel {
	panel := func(title string, of func(WindowCount) []*float64) (out []chart.Panel) {
		p := chart.Panel{Title: title, Height: 120, Y: chart.Axis{Log: true, Text: axisMs}}
		for i, b := range o.Backends[:min(len(o.Backends), maxLines)] {
			line := chart.Line{Series: i}
			for k, v := range of(b)[:min(len(of(b)), o.Windows)] {
				line.Points = append(line.Points, timePoint((float64(k)+0.5)*o.WindowSeconds, v))
			}
			if slices.ContainsFunc(line.Points, chart.Point.Known) {
				p.Lines = append(p.Lines, line)
			}
		}
		if len(p.Lines) > 0 {
			out = append(out, p)
		}
		return out
	}
	return append(panel("Median response time", func(b WindowCount) []*float64 { return b.P50Ms }),
		panel("9 of 10 were answered within", func(b WindowCount) []*float64 { return b.P90Ms })...)
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

// latencyFigure is the response times of each backend by quantile, with the ranges that are known of them; nil where
// there is nothing to draw.
func latencyFigure(r Report) *Figure {
	if r.Series == nil || r.Series.Latency == nil {
		return nil
	}
	l := r.Series.Latency
	place := map[string]int{}
	for i, b := range r.Backends {
		place[b.Name] = i
	}
	var lines []chart.Line
	for _, curve := range l.Curves[:min(len(l.Curves), maxLines)] {
		line := chart.Line{Name: curve.Backend, Series: place[curve.Backend]}
		for i, v := range curve.Ms[:min(len(curve.Ms), len(l.Levels))] {
			line.Points = append(line.Points, chart.Point{X: oneIn(l.Levels[i]), Y: onAxis(v)})
		}
		lines = append(lines, line)
	}
	if r.GatewayCost != nil {
		for _, b := range r.GatewayCost.Backends {
			ranges := quantileLine(b.Quantiles, place[b.Backend])
			lines = append(lines, chart.Line{Series: ranges.Series, Points: ranges.Points, Dots: true, Apart: true})
		}
	}
	return quantileFigure("latency", latencySummary(r), lines)
}

// quantileLine is times by quantile, with their ranges.
func quantileLine(quantiles []QuantileTime, series int) chart.Line {
	line := chart.Line{Series: series, Dots: true}
	for _, q := range quantiles {
		line.Points = append(line.Points, quantilePoint(oneIn(q.Quantile), q))
	}
	return line
}

// quantilePoint is a quantile at its place on an axis, with its likely range.
func quantilePoint(x float64, q QuantileTime) chart.Point {
	p := timePoint(x, q.Ms)
	if q.Ms != nil && q.LowMs != nil && q.HighMs != nil {
		p.Range = &chart.Range{Low: onAxis(*q.LowMs), High: onAxis(*q.HighMs)}
	}
	return p
}

// quantileFigure draws times by quantile on an axis that has as much room for each further nine; nil where no line has
// two points.
func quantileFigure(id, summary string, lines []chart.Line) *Figure {
	last, most := oneIn(0.5), 0
	for _, line := range lines {
		known := 0
		for _, p := range line.Points {
			if p.Known() {
				known, last = known+1, max(last, p.X)
			}
		}
		most = max(most, known)
	}
	if most < 2 {
		return nil
	}
	return &Figure{ID: id, Summary: summary, Caption: latencyCaption, Chart: chart.Plot{
		X: chart.Axis{
			Log: true, Min: 1, Max: last, Ticks: []float64{1, 2, 10, 100, 1000, 10000}, Text: answeredOf,
			Label: "share of the requests that were answered within that time",
		},
		Panels: []chart.Panel{{Height: chart.High, Y: chart.Axis{Log: true, Text: axisMs}, Lines: lines}},
	}}
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

// Sentences that go with charts and tables, and what the words of a report mean.

func shareValue(b Backend) string {
	if b.ObservedShare == nil {
		return "nothing observed"
	}
	s := percent(*b.ObservedShare)
	if low, high, ok := b.Interval.Ends(); ok {
		s += fmt.Sprintf(", likely %s to %s", percent(low), percent(high))
	}
	return s + ", weight " + percent(b.ExpectedShare)
}

// Ends are the ends of an interval that has both.
func (i *Interval) Ends() (low, high float64, ok bool) {
	if i == nil || i.Low == nil || i.High == nil {
		return 0, 0, false
	}
	return *i.Low, *i.High, true
}

func sharesCaption(r Report) string {
	for _, b := range r.Backends {
		if b.Interval != nil && b.Interval.Level > 0 {
			return fmt.Sprintf("The likely range is where the true share is, in %s of all such runs (%s). "+
				"A share is right where its likely range lies within what the tolerance allows.", percent(b.Interval.Level),
				b.Interval.Method)
		}
	}
	return "Observed shares beside the declared weights."
}

func timeSummary(r Report) string {
	o := r.Series.OverTime
	totals := windowTotals(o)
	var s []string
	for i, b := range o.Backends {
		if points := sharesOverTime(o, totals, b.Observed); i < maxLines && len(points) > 0 {
			share := func(a, b chart.Point) int { return cmp.Compare(a.Y, b.Y) }
			least, most := slices.MinFunc(points, share), slices.MaxFunc(points, share)
			s = append(s, fmt.Sprintf("%s between %s and %s", b.Backend, percent(least.Y), percent(most.Y)))
		}
	}
	return fmt.Sprintf("Share of each backend over time, in %d windows: %s. The numbers are in the table below.",
		o.Windows, strings.Join(s, ", "))
}

func timeCaption(r Report) string {
	o := r.Series.OverTime
	var n int64
	for _, v := range windowTotals(o) {
		n += v
	}
	s := fmt.Sprintf("Each point is the share in a window of %s, about %s. Dashed lines across: the weights.",
		secondsOf(o.WindowSeconds, o.WindowSeconds), plural(int64(math.Round(float64(n)/float64(o.Windows))), "request"))
	if len(r.Backends) <= maxBands {
		s += " The shaded bands hold about 99 of 100 such windows where the weights are obeyed."
	}
	return s
}

func latencySummary(r Report) string {
	var s []string
	for _, b := range r.Backends {
		if b.Latency != nil {
			q := b.Latency.ResponseTime
			s = append(s, fmt.Sprintf("%s: median %s, 99 of 100 within %s", b.Name, ms(q.P50Ms), ms(q.P99Ms)))
		}
	}
	return "Response time by quantile. " + strings.Join(s, "; ") + "."
}

const latencyCaption = "Each step to the right along the axis leaves a tenth of the requests: at 99% one in a " +
	"hundred took longer. Both axes are logarithmic. Lines end where there are too few answers to know more; a dot with " +
	"a bar is a quantile with its likely range, where that is known."

// overTimeSection is the shares and times over the run, and what happened meanwhile.
func overTimeSection(r Report) Section {
	var marks List
	if r.Series != nil {
		for _, m := range r.Series.Marks {
			text := fmt.Sprintf("%s after the first request: %s", secondsOf(m.AtSeconds, 0.01), m.Text)
			marks.Items = append(marks.Items, Item{Text: text})
		}
	}
	marks.Ordered = true // by the numbers in the chart
	return Section{ID: "time", Title: "Over time", Level: Page, Blocks: []Block{
		timeFigure(r), titled("What happened during the run", marks), chartNumbers(overTimeTable(r)),
	}}
}

func titled(title string, l List) List {
	l.Title = title
	return l
}

// chartNumbers are the numbers of a chart, for readers of whatever kind.
func chartNumbers(t Table) Details {
	return Details{Summary: "The numbers of this chart", Blocks: []Block{t}}
}

func overTimeTable(r Report) Table {
	if !overTime(r) {
		return Table{}
	}
	o := r.Series.OverTime
	t := Table{
		Caption: "Requests by the window in which they were sent, in seconds since the first.",
		Columns: headings(1, "From"),
	}
	for _, b := range o.Backends {
		t.Columns = append(t.Columns, Column{Title: b.Backend})
	}
	t.Columns = append(t.Columns, headings(0, "No backend", "Errors")...)
	at := func(v []int64, i int) Cell {
		if i < len(v) {
			return countCell(v[i])
		}
		return countCell(0)
	}
	for i := range o.Windows {
		cells := row(secondsOf(float64(i)*o.WindowSeconds, o.WindowSeconds))
		for _, b := range o.Backends {
			cells = append(cells, at(b.Observed, i))
		}
		t.Rows = append(t.Rows, append(cells, at(o.Unattributed, i), at(o.Errors, i)))
	}
	return t
}
