package chart

import (
	"html/template"
	"math"
	"slices"
	"strings"
)

// Plot is panels below each other over one axis, and what happened, drawn across all of them.
type Plot struct {
	X       Axis
	Panels  []Panel
	Events  []Mark // called by name above the panels
	Moments []Mark // the same, below the names of the events
}

// Panel is one picture of a Plot.
type Panel struct {
	Title  string  // above the panel
	Height float64 // in units; see High
	Y      Axis    // no value is written where it has no Text
	Stack  *Stack
	Bands  [][]Point // areas between the ranges of points
	Rules  []Rule
	Lines  []Line
}

// High is the height of a panel by itself, for a picture 900 units wide.
const High = 254.0

// Point is a place in a panel. A Y that is no number breaks a line.
type Point struct {
	X, Y  float64
	Range *Range // of Y
}

// Known reports whether the point has a place.
func (p Point) Known() bool { return !math.IsNaN(p.X) && !math.IsNaN(p.Y) }

// Line joins points.
type Line struct {
	Name   string // in the legend
	Series int
	Points []Point
	Dots   bool // the points are drawn too, with their ranges
	Apart  bool // and nothing between them
}

// Rule is a line across the panel that others are compared to, from one place to another where From < To.
type Rule struct {
	Y, From, To float64
	Text        string
}

// Places, in units.
const (
	left, right = 64.0, width - 8
	titleRoom   = 25.0 // above a panel with a title
	panelGap    = 10.0 // above one without
)

// mostAcross is how many values are written along an axis; on the left there is one for so many units of height.
const mostAcross, perTick = 11, 22.0

// SVG draws the panels.
func (p Plot) SVG(said string) template.HTML {
	across, up := nothing(), make([]extremes, len(p.Panels))
	for i, panel := range p.Panels {
		up[i] = nothing()
		panel.see(&across, &up[i])
	}
	x := p.X.lay(across, left, right, mostAcross)
	places, bottom := p.places(rowOf(p.Events) + rowOf(p.Moments))
	return picture(bottom+46, said, func(c *canvas) {
		var beside taken
		rulers := make([]ruler, len(p.Panels))
		for i, at := range places {
			c.rect("panel", left, at.Low, right-left, at.High-at.Low)
			y := p.Panels[i].Y
			rulers[i] = y.lay(up[i], at.High, at.Low, max(2, int((at.High-at.Low)/perTick)))
			if y.Text != nil {
				c.beside(rulers[i], &beside)
			}
		}
		if len(places) > 0 {
			c.across(x, places[0].Low, bottom)
		}
		for i, panel := range p.Panels {
			panel.draw(c, x, rulers[i])
		}
		c.marks("mark", p.Events, x, 0, bottom)
		c.marks("moment", p.Moments, x, rowOf(p.Events), bottom)
		for i, panel := range p.Panels {
			c.text("heading", inside(panel.Title, left, places[i].Low-8))
		}
		c.text("tick", label{fit(p.X.Label, small, right-left), (left + right) / 2, bottom + 38, middle})
	})
}

// places are the tops and bottoms of the panels below what stands above them.
func (p Plot) places(above float64) (places []Range, bottom float64) {
	bottom = above
	for _, panel := range p.Panels {
		top := bottom + panelGap
		if panel.Title != "" {
			top = bottom + titleRoom
		}
		bottom = top + panel.Height
		places = append(places, Range{top, bottom})
	}
	return places, bottom
}

// inside is a text that begins at a place and goes no further than the panel.
func inside(text string, x, y float64) label { return label{fit(text, small, right-x), x, y, start} }

// see takes in how far the panel's values go.
func (p Panel) see(x, y *extremes) {
	for _, r := range p.Rules {
		y.see(r.Y)
	}
	if p.Stack != nil {
		x.see(p.Stack.Edges...)
		y.see(0)
		for _, levels := range p.Stack.levels() {
			for _, level := range levels {
				y.see(level.High)
			}
		}
	}
	for _, l := range p.Lines {
		for _, at := range l.Points {
			x.see(at.X)
			y.see(at.Y)
			if at.Range != nil {
				y.see(at.Range.Low, at.Range.High)
			}
		}
	}
}

// draw draws what the panel shows.
func (p Panel) draw(c *canvas, x, y ruler) {
	if p.Stack != nil {
		p.Stack.draw(c, x, y)
	}
	for _, points := range p.Bands {
		c.path("band", band(points, x, y))
	}
	for _, l := range p.Lines {
		l.draw(c, x, y)
	}
	var texts taken
	for _, r := range p.Rules {
		from, to := left, right
		if r.From < r.To {
			from, to = x.at(r.From), x.at(r.To)
		}
		c.path("weight", d("M", from, y.at(r.Y), "H", to))
		for _, at := range []float64{y.at(r.Y) - 5, y.at(r.Y) + lineGap} { // above it, or else below
			if at > y.to+small && at < y.from && texts.put(Range{at, at}, lineGap) {
				c.text("over", inside(r.Text, from+6, at))
				break
			}
		}
	}
}

// band is the area between the ranges of points.
func band(points []Point, x, y ruler) string {
	there, back := "", ""
	for _, p := range points {
		if p.Range != nil {
			there += d("L", x.at(p.X), y.at(p.Range.High))
			back = d("L", x.at(p.X), y.at(p.Range.Low)) + back
		}
	}
	return strings.Replace(there+back, "L", "M", 1)
}

// draw draws a line. Each stretch begins with a length of 0: its end makes a dot of a point by itself.
func (l Line) draw(c *canvas, x, y ruler) {
	var path, dots, ranges strings.Builder
	joined := false
	for _, p := range l.Points {
		if !p.Known() {
			joined = false
			continue
		}
		dot := d("M", x.at(p.X), y.at(p.Y), "h0")
		if joined {
			path.WriteString(d("L", x.at(p.X), y.at(p.Y)))
		} else {
			path.WriteString(dot)
		}
		joined = true
		dots.WriteString(dot)
		if r := p.Range; r != nil {
			low, high := y.at(r.Low), y.at(r.High)
			ranges.WriteString(d("M", x.at(p.X), low, "V", high, "m-4 0h8M", x.at(p.X)-4, low, "h8"))
		}
	}
	if !l.Apart {
		c.line(l.Series, path.String())
	}
	if l.Dots {
		c.path(colour("range", l.Series), ranges.String())
		c.path(colour("dots", l.Series), dots.String())
	}
}

// Legend says which line and which area is what.
func (p Plot) Legend() []Entry {
	var out []Entry
	for _, panel := range p.Panels {
		if panel.Stack != nil {
			out = append(out, panel.Stack.legend()...)
		}
		for _, l := range panel.Lines {
			if l.Name != "" && slices.ContainsFunc(l.Points, Point.Known) {
				out = append(out, Entry{Key(l.Series), l.Name})
			}
		}
	}
	return out
}
