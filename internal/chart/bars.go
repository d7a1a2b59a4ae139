package chart

import (
	"html/template"
	"slices"
	"strings"
)

// Bars are values as rows of bars, each with the range it is likely in, and with what it is compared to. Where a word
// is empty, the legend is silent about it.
type Bars struct {
	X    Axis // its label is not drawn
	Rows []Bar

	Values, Ranges, Targets, Tolerances string // what they are called in the legend
}

// Bar is one row.
type Bar struct {
	Name      string
	Text      string // the numbers in words
	Series    int
	Value     *float64 // nil: not known
	Target    float64
	Range     *Range // of the value
	Tolerated *Range
}

// Places in a row, in units.
const barRow, barTop, barHeight = 58.0, 22.0, 18.0

// Scale is what the axis goes over, for those who draw it by other means.
func (b Bars) Scale() Range {
	r := b.ruler()
	return Range{r.Unmap(0), r.Unmap(1)}
}

func (b Bars) ruler() ruler {
	seen := nothing()
	seen.see(0)
	for _, row := range b.Rows {
		seen.see(row.Target)
		if row.Value != nil {
			seen.see(*row.Value)
		}
		if row.Range != nil {
			seen.see(row.Range.Low, row.Range.High)
		}
		if row.Tolerated != nil { // which may go below what is drawn, or possible
			seen.see(row.Tolerated.High)
		}
	}
	return b.X.lay(seen, 0, width, mostAcross)
}

// SVG draws the bars below each other.
func (b Bars) SVG(label string) template.HTML {
	x := b.ruler()
	bottom := max(barRow*float64(len(b.Rows))-8, 1)
	return picture(bottom+26, label, func(c *canvas) {
		c.across(x, 0, bottom)
		for i, row := range b.Rows {
			row.draw(c, x, barRow*float64(i)+barTop)
		}
	})
}

func (b Bar) draw(c *canvas, x ruler, y float64) {
	text := fit(b.Text, large, width)
	c.text("name", label{fit(b.Name, large, width-extent(text, large)-2*gap), 0, y - 8, start})
	c.text("value", label{text, width, y - 8, end})
	c.rect("track", 0, y, width, barHeight)
	if t := b.Tolerated; t != nil {
		c.rect("allowed", x.at(t.Low), y, x.at(t.High)-x.at(t.Low), barHeight)
	}
	if b.Value != nil {
		from, to := min(x.at(0), x.at(*b.Value)), max(x.at(0), x.at(*b.Value))
		c.rect(colour("bar", b.Series), from, y, to-from, barHeight)
	}
	c.path("want", d("M", x.at(b.Target), y-3, "V", y+barHeight+4))
	if r := b.Range; r != nil {
		c.path(colour("range", b.Series), whiskers(x.at(r.Low), x.at(r.High), y+barHeight/2))
	}
	if b.Value != nil {
		c.dot(colour("dot", b.Series), x.at(*b.Value), y+barHeight/2)
	}
}

// whiskers are a range along the axis, with caps.
func whiskers(low, high, y float64) string {
	return d("M", low, y, "H", high, "M", low, y-5, "v", 10.0, "M", high, y-5, "v", 10.0)
}

// Legend says what bars, ranges and marks are.
func (b Bars) Legend() []Entry {
	var out []Entry
	add := func(name string, draw func(*canvas)) {
		if name != "" {
			out = append(out, Entry{swatch(draw), name})
		}
	}
	if len(b.Rows) == 0 {
		return nil
	}
	add(b.Values, func(c *canvas) {
		c.rect("bar s0", 0, 0, 24, 12)
		c.dot("dot s0", 24, 6)
	})
	add(b.Ranges, func(c *canvas) { c.path("range s0", whiskers(2, 28, 6)) })
	add(b.Targets, func(c *canvas) { c.path("want", "M15 0V12") })
	add(b.Tolerances, func(c *canvas) { c.rect("allowed", 1, 0, 28, 12) })
	return out
}

// Stack is columns, in each of them the values of its parts upon each other.
type Stack struct {
	Edges []float64 // of the columns, from left to right: one more than there are columns
	Parts []Part    // from below
	Seen  bool      // what is above 0 is drawn so high and wide that it can be seen
}

// Part is what one thing has in each column: nothing where that is no number, or missing.
type Part struct {
	Name   string // in the legend
	Series int    // or one of the two below
	Values []float64
}

// Series that are drawn in a way of their own.
const (
	Lost    = -1
	Unknown = -2
)

// What can be seen, in units.
const leastHigh, leastWide = 3.0, 2.0

func (p Part) class() string {
	switch p.Series {
	case Lost:
		return "lost"
	case Unknown:
		return "area none"
	}
	return colour("area", p.Series)
}

// levels are where each part begins and ends in each column.
func (s *Stack) levels() [][]Range {
	tops := make([]float64, max(0, len(s.Edges)-1))
	out := make([][]Range, len(s.Parts))
	for i, p := range s.Parts {
		for column, v := range p.Values[:min(len(p.Values), len(tops))] {
			below := tops[column]
			if v > 0 {
				tops[column] += v
			}
			out[i] = append(out[i], Range{below, tops[column]})
		}
	}
	return out
}

// draw draws each part as boxes.
func (s *Stack) draw(c *canvas, x, y ruler) {
	for i, levels := range s.levels() {
		var path strings.Builder
		var last box
		for column, level := range levels {
			if level.High == level.Low {
				continue
			}
			b := box{x.at(s.Edges[column]), x.at(s.Edges[column+1]), y.at(level.Low), y.at(level.High)}
			if s.Seen {
				b = b.seen()
			}
			if last.to == b.from && last.low == b.low && last.high == b.high { // they are one
				last.to = b.to
				continue
			}
			path.WriteString(last.path())
			last = b
		}
		c.path(s.Parts[i].class(), path.String()+last.path())
	}
}

// box is what is drawn of columns.
type box struct{ from, to, low, high float64 }

func (b box) path() string {
	if b.from == b.to {
		return ""
	}
	return d("M", b.from, b.low, "V", b.high, "H", b.to, "V", b.low, "Z")
}

// seen is the box made so large that it can be seen, within the panel.
func (b box) seen() box {
	b.high = min(b.high, b.low-leastHigh)
	b.to = min(max(b.to, b.from+leastWide), right)
	b.from = min(b.from, b.to-leastWide)
	return b
}

// legend has the parts that are drawn, from below.
func (s *Stack) legend() []Entry {
	var out []Entry
	for i, levels := range s.levels() {
		p := s.Parts[i]
		if p.Name != "" && slices.ContainsFunc(levels, func(l Range) bool { return l.High > l.Low }) {
			out = append(out, Entry{swatch(func(c *canvas) { c.rect(p.class(), 1, 0, 28, 12) }), p.Name})
		}
	}
	return out
}
