package chart

import (
	"html/template"
	"math"
)

// Plot is panels below each other over one axis, and what happened, drawn across all of them.
type Plot struct {
	X       Axis
	Panels  []Panel
	Events  []Mark // called by name in a row above the panels
	Moments []Mark // the same, in a row of their own
}

// Panel is one picture of a Plot.
type Panel struct {
	Title  string  // above the panel
	Name   string  // inside of it
	Height float64 // DefaultHeight where it is 0
	Y      Axis    // no value is written where it has no Text
	Stack  *Stack
	Bands  [][]Point // areas between the ranges of points
	Rules  []Rule
	Lines  []Line
}

// DefaultHeight is how high a panel is.
const DefaultHeight = 254.0

// Point is a place in a panel. A Y that is no number breaks a line.
type Point struct {
	X, Y  float64
	Range *Range // of Y
}

func (p Point) known() bool { return !math.IsNaN(p.X) && !math.IsNaN(p.Y) }

// Line joins points.
type Line struct {
	Name   string // in the legend
	Series int
	Points []Point
	Dots   bool // the points are drawn too, with their ranges
}

// Rule is a line across the panel that others are compared to, from one place to another where From < To.
type Rule struct {
	Y, From, To float64
	Text        string
}

// Places, in units.
const (
	left, right = 56.0, width - 8
	titleRoom   = 25.0 // above a panel with a title
	panelGap    = 5.0  // above one without
	topRoom     = 10.0 // above the first, if it has none
	nameAt      = 11.0 // from the top of the panel to its name
	lineGap     = 13.0 // between two lines of text
)

// Bounds of what is written along the axes.
const (
	mostAcross = 11
	perTick    = 22.0 // units of height
)

// SVG draws the panels.
func (p Plot) SVG(label string) template.HTML {
	x := p.X.lay(p.xs(), left, right, mostAcross)
	events, moments := flagsOf(p.Events, x), flagsOf(p.Moments, x)
	top := float64(rows(events)+rows(moments)) * flagRow
	bottom := top
	places := make([]Range, len(p.Panels)) // of the panels: top and bottom
	for i, panel := range p.Panels {
		places[i] = panel.place(bottom)
		bottom = places[i].High
	}
	first := bottom
	if len(places) > 0 {
		first = places[0].Low
	}
	return picture(bottom+46, label, func(c *canvas) {
		var beside lines
		for i, panel := range p.Panels {
			c.rect("panel", left, places[i].Low, right-left, places[i].High-places[i].Low)
			panel.back(c, places[i], &beside)
		}
		c.across(x, first, bottom)
		c.text("", within(caption(p.X.Label, bottom+38), small))
		for i, panel := range p.Panels {
			panel.front(c, x, places[i])
		}
		c.happened("mark", events, x, 0, bottom)
		c.happened("moment", moments, x, float64(rows(events))*flagRow, bottom)
		for i, panel := range p.Panels {
			c.text("heading", heading(panel.Title, left, places[i].Low-8))
			c.text("over", heading(panel.Name, left+4, places[i].Low+nameAt))
		}
	})
}

// heading is a text that begins at a place and goes no further than the panel.
func heading(text string, x, y float64) label {
	return label{text: fit(text, small, right-x), x: x, y: y, anchor: start}
}

// caption stands below the middle of the panels.
func caption(text string, y float64) label {
	return label{text: fit(text, small, right-left), x: (left + right) / 2, y: y, anchor: middle}
}

// place is the top and the bottom of a panel below something.
func (p Panel) place(above float64) Range {
	room := panelGap
	switch {
	case p.Title != "":
		room = titleRoom
	case above == 0:
		room = topRoom
	}
	height := p.Height
	if height == 0 {
		height = DefaultHeight
	}
	return Range{above + room, above + room + height}
}

// xs are the values along the axis.
func (p Plot) xs() extremes {
	seen := nothing()
	for _, panel := range p.Panels {
		if panel.Stack != nil {
			seen.see(panel.Stack.Edges...)
		}
		for _, l := range panel.Lines {
			for _, at := range l.Points {
				seen.see(at.X)
			}
		}
	}
	return seen
}

// ys are the values of a panel.
func (p Panel) ys() extremes {
	seen := nothing()
	for _, r := range p.Rules {
		seen.see(r.Y)
	}
	if p.Stack != nil {
		seen.see(0)
		seen.see(p.Stack.heights()...)
	}
	for _, l := range p.Lines {
		for _, at := range l.Points {
			seen.see(at.Y)
			if at.Range != nil {
				seen.see(at.Range.Low, at.Range.High)
			}
		}
	}
	return seen
}

func (p Panel) ruler(place Range) (ruler, int) {
	most := max(2, int((place.High-place.Low)/perTick))
	return p.Y.lay(p.ys(), place.High, place.Low, most), most
}

// back draws the values along the side, and the lines that go out from them.
func (p Panel) back(c *canvas, place Range, beside *lines) {
	if p.Y.Text == nil {
		return
	}
	y, most := p.ruler(place)
	for _, m := range y.marks(most) {
		var o outline
		o.to("M", left, m.at)
		o.to("H", right)
		c.path("grid", o.String(), "")
		if beside.put(m.at + 4) {
			c.text("", label{text: fit(m.text, small, left-8), x: left - 8, y: m.at + 4, anchor: end})
		}
	}
}

// front draws what the panel shows.
func (p Panel) front(c *canvas, x ruler, place Range) {
	y, _ := p.ruler(place)
	if p.Stack != nil {
		p.Stack.draw(c, x, y)
	}
	for _, points := range p.Bands {
		c.path("band", band(points, x, y), "")
	}
	for _, l := range p.Lines {
		l.draw(c, x, y)
	}
	var texts lines
	if p.Name != "" {
		texts.put(place.Low + nameAt)
	}
	for _, r := range p.Rules {
		from, to := left, right
		if r.From < r.To {
			from, to = x.at(r.From), x.at(r.To)
		}
		var o outline
		o.to("M", from, y.at(r.Y))
		o.to("H", to)
		c.path("weight", o.String(), "")
		for _, at := range []float64{y.at(r.Y) - 5, y.at(r.Y) + lineGap} {
			if at > place.Low+nameAt-2 && at < place.High && texts.put(at) {
				c.text("over", heading(r.Text, from+6, at))
				break
			}
		}
	}
}

// lines are the heights of texts below each other.
type lines []float64

// put takes a height, if none is near to it.
func (l *lines) put(at float64) bool {
	for _, taken := range *l {
		if math.Abs(taken-at) < lineGap {
			return false
		}
	}
	*l = append(*l, at)
	return true
}

// across draws the values along the axis, and the lines that go up from them.
func (c *canvas) across(x ruler, top, bottom float64) {
	var texts row
	for _, m := range x.marks(mostAcross) {
		var o outline
		o.to("M", m.at, top)
		o.to("V", bottom)
		c.path("grid", o.String(), "")
		if l := within(label{text: m.text, x: m.at, y: bottom + 19, anchor: middle}, small); texts.put(l, small) {
			c.text("", l)
		}
	}
}

// band is the area between the ranges of points.
func band(points []Point, x, y ruler) string {
	var up, down outline
	letter := "M"
	for i := range points {
		there, back := points[i], points[len(points)-1-i]
		if there.Range == nil || back.Range == nil {
			return ""
		}
		up.to(letter, x.at(there.X), y.at(there.Range.High))
		down.to("L", x.at(back.X), y.at(back.Range.Low))
		letter = "L"
	}
	if up.Len() == 0 {
		return ""
	}
	return up.String() + down.String() + "Z"
}

// draw draws a line. A point by itself is a dot, which the ends of lines make of a length of 0.
func (l Line) draw(c *canvas, x, y ruler) {
	var o, dots, ranges outline
	drawn := 0 // points since the last break
	for i, p := range l.Points {
		if !p.known() {
			drawn = 0
			continue
		}
		at, height := x.at(p.X), y.at(p.Y)
		letter := "L"
		if drawn++; drawn == 1 {
			letter = "M"
		}
		o.to(letter, at, height)
		if drawn == 1 && (i+1 == len(l.Points) || !l.Points[i+1].known()) {
			o.WriteString("h0")
		}
		dots.to("M", at, height)
		dots.WriteString("h0")
		if r := p.Range; r != nil {
			ranges.WriteString(upright(y.at(r.Low), y.at(r.High), at))
		}
	}
	c.path(colour("line", l.Series), o.String(), dash(l.Series))
	if l.Dots {
		c.path(colour("range", l.Series), ranges.String(), "")
		c.path(colour("dots", l.Series), dots.String(), "")
	}
}

// upright is a range along the side, with caps.
func upright(low, high, x float64) string {
	var o outline
	o.to("M", x, low)
	o.to("V", high)
	for _, y := range []float64{low, high} {
		o.to("M", x-4, y)
		o.to("H", x+4)
	}
	return o.String()
}

// Legend says which line and which area is what.
func (p Plot) Legend() []Entry {
	var out []Entry
	for _, panel := range p.Panels {
		if panel.Stack != nil {
			out = append(out, panel.Stack.legend()...)
		}
		for _, l := range panel.Lines {
			if l.Name != "" {
				out = append(out, Entry{Key(l.Series), l.Name})
			}
		}
	}
	return out
}
