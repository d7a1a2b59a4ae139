package chart

import (
	"slices"
	"strings"
)

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
