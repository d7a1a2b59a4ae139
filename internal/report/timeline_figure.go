package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/splitbench/splitbench/internal/chart"
)

// timelineFigure is three panels over one axis of time: whose answers came, what was lost, and how long answers took;
// and what happened, across all of them.
func timelineFigure(r Report, c columns, id string) *Figure {
	d := r.Drill
	plot := chart.Plot{
		X:      chart.Axis{Min: c.starts(), Max: c.ends(), Label: sinceFirst, Text: plainNumber},
		Panels: []chart.Panel{answersPanel(r, c.forShares())},
	}
	plot.Panels = append(plot.Panels, lossPanels(c)...)
	plot.Panels = append(plot.Panels, timesPanel(c))
	for _, m := range momentsOf(d) {
		plot.Moments = append(plot.Moments, chart.Mark{
			At: m.at.AtSeconds, Range: &chart.Range{Low: m.at.LowSeconds, High: m.at.HighSeconds},
			Text: m.Letter, Shape: chart.Letter,
		})
	}
	for i, e := range d.Events {
		shape := cmp.Or(eventShapes[e.Kind], chart.Square)
		plot.Events = append(plot.Events, chart.Mark{At: e.AtSeconds, Text: strconv.Itoa(i + 1), Shape: shape})
	}
	return &Figure{ID: id, Summary: timelineSummary(d, c), Caption: timelineCaption(d, c), Chart: plot}
}

// A share of few requests says little: there are leastShares in a column on average, where leastColumns remain.
const leastShares, leastColumns = 25, 100

// forShares are columns that hold enough requests for a share to say something.
func (c columns) forShares() columns {
	if c.per == 1 {
		return c
	}
	var sent int64
	for i := range c.n {
		sent += c.sum(c.t.Sent, i)
	}
	times := 1
	for sent*int64(times) < leastShares*int64(c.n) && c.n/(times+1) >= leastColumns {
		times++
	}
	return c.wide(c.per * times)
}

// answersPanel is the requests of each column: from below the answers of each backend, of none that is known, and the
// losses.
func answersPanel(r Report, c columns) chart.Panel {
	sent, lost := c.sums(c.t.Sent), c.sums(c.t.Lost)
	rest := make([]float64, c.n) // of the requests: who answered them is not known
	for i := range rest {
		rest[i] = sent[i] - lost[i]
	}
	share := func(name string, series int, of []float64) chart.Part {
		p := chart.Part{Name: name, Series: series, Values: make([]float64, c.n)}
		for i := range p.Values {
			p.Values[i] = max(of[i], 0) / sent[i] // of nothing sent there is no share
		}
		return p
	}
	stack := &chart.Stack{Edges: c.edges()}
	for i, b := range c.t.Backends {
		answered := c.sums(b.Answered)
		for k := range rest {
			rest[k] -= answered[k]
		}
		stack.Parts = append(stack.Parts, share(b.Backend, i, answered))
	}
	stack.Parts = append(stack.Parts, share("answered by nobody known", chart.Unknown, rest),
		share("lost", chart.Lost, lost))
	return chart.Panel{
		Title:  "Of the requests sent in " + c.widthText() + ", from below: answered by each backend, and lost",
		Height: 140, Stack: stack, Rules: declaredBorders(r, c),
		Y: chart.Axis{Min: 0, Max: 1, Ticks: []float64{0, 0.5, 1}, Text: percentTight},
	}
}

// declaredBorders are those between the shares as the weights have them, from one change of the weights to the next.
func declaredBorders(r Report, c columns) []chart.Rule {
	weights := map[string]int64{}
	for _, b := range r.Backends {
		weights[b.Name] = b.Weight
	}
	var rules []chart.Rule
	since := math.Inf(-1)
	until := func(to float64) {
		total, sum := 0.0, 0.0
		for _, b := range c.t.Backends {
			total += float64(max(weights[b.Backend], 0))
		}
		from, to := max(since, c.starts()), min(to, c.ends())
		for i := 0; i+1 < len(c.t.Backends) && total > 0 && from < to; i++ {
			sum += float64(max(weights[c.t.Backends[i].Backend], 0))
			rules = append(rules, chart.Rule{Y: sum / total, From: from, To: to})
		}
	}
	for _, e := range r.Drill.Events {
		if e.Weights != nil {
			until(e.AtSeconds)
			since, weights = e.AtSeconds, e.Weights
		}
	}
	until(math.Inf(1))
	return rules
}

// lossPanels are the losses of each kind, all on one scale.
func lossPanels(c columns) []chart.Panel {
	kinds, lost := lossesOf(c.t)
	highest := 1.0
	var panels []chart.Panel
	for k, l := range lost {
		values := c.sums(l)
		total, most := 0.0, slices.Max(values)
		for _, n := range values {
			total += n
		}
		if total == 0 {
			continue
		}
		highest = max(highest, most)
		panels = append(panels, chart.Panel{
			Title: fmt.Sprintf("Lost, %s: %s, at most %s in %s",
				kinds[k], count(int64(total)), count(int64(most)), c.widthText()),
			Stack: &chart.Stack{Edges: c.edges(), Seen: true, Parts: []chart.Part{{Series: chart.Lost, Values: values}}},
		})
	}
	if len(panels) == 0 {
		return []chart.Panel{{Title: "No request was lost", Height: 4}}
	}
	for i := range panels {
		panels[i].Height, panels[i].Y = 20, chart.Axis{Max: highest}
	}
	return panels
}

// timesPanel is how long answers took. Lines go on over columns in which nothing was sent, and break where nothing
// was answered.
func timesPanel(c columns) chart.Panel {
	median, longest := chart.Line{Name: "median", Series: 0}, chart.Line{Name: "longest", Series: 1}
	answered := false
	for i, from := range c.edges()[:c.n] {
		middle, slowest := c.middle(c.t.P50Ms, i)
		_, most := c.middle(c.t.MaxMs, i)
		if middle == nil && c.sum(c.t.Sent, i) == 0 {
			continue
		}
		answered = answered || middle != nil
		at := from + float64(c.per)*c.bin()/2
		median.Points = append(median.Points, timePoint(at, middle))
		longest.Points = append(longest.Points, timePoint(at, cmp.Or(most, slowest)))
	}
	if !answered {
		return chart.Panel{Title: "No answer was timed", Height: 4}
	}
	return chart.Panel{
		Title: "Response time: the median, and the longest", Height: 90, Y: chart.Axis{Log: true, Text: axisMs},
		Lines: []chart.Line{longest, median},
	}
}

// timePoint is a time on its axis; it breaks the line where it is not known.
func timePoint(x float64, ms *float64) chart.Point {
	if ms == nil {
		return chart.Point{X: x, Y: math.NaN()}
	}
	return chart.Point{X: x, Y: onAxis(*ms)}
}

// eventShapes tell kinds of events apart; the others are squares.
//
//nolint:gochecknoglobals // a table that never changes
var eventShapes = map[string]chart.Shape{"mark": chart.Pin, "weights": chart.Diamond, "endpoints": chart.Circle}

func timelineCaption(d *Drill, c columns) string {
	s := fmt.Sprintf("Each column is %s of sending.", c.widthText())
	if c.from > 0 || c.to < len(d.Timeline.Sent) {
		return s // the rest stands below the chart of the whole
	}
	if c.per > 1 {
		s += " Every loss of a column and its longest answer are drawn, and of its medians the middle one."
	}
	s += " Dashed across: the borders that the weights declare."
	if len(d.Events) > 0 {
		s += " Numbers above are what happened, in the list below " +
			"(pin: mark, diamond: weights, circle: endpoints, square: another object)."
	}
	if len(momentsOf(d)) > 0 {
		s += " Letters are the moments that were found; a shaded band is where a moment may have been."
	}
	return s
}
