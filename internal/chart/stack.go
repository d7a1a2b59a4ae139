package chart

import (
	"math"
)

// Stack is columns, in each of them the values of its parts upon each other.
type Stack struct {
	Edges []float64 // of the columns, from left to right: one more than there are columns
	Parts []Part    // from below
	Seen  bool      // what is above 0 is drawn so high and wide that it can be seen
}

// Part is what one thing has in each column. Where it is no number, or missing, the column stays empty.
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

func (p Part) any() bool {
	for _, v := range p.Values {
		if v > 0 {
			return true
		}
	}
	return false
}

func (s *Stack) columns() int { return max(0, len(s.Edges)-1) }

// top is the sum of the first parts in a column; not a number where one of all has none.
func (s *Stack) top(parts, column int) float64 {
	sum := 0.0
	for i, p := range s.Parts {
		switch {
		case column >= len(p.Values):
			return math.NaN()
		case i < parts:
			sum += max(p.Values[column], 0)
		default:
			sum += 0 * p.Values[column] // keeps what is no number
		}
	}
	return sum
}

// heights are the sums of all columns.
func (s *Stack) heights() []float64 {
	out := make([]float64, s.columns())
	for i := range out {
		out[i] = s.top(len(s.Parts), i)
	}
	return out
}

func (s *Stack) draw(c *canvas, x, y ruler) {
	for i, p := range s.Parts {
		shape := steps{}
		for column := range s.columns() {
			st := step{
				from: x.at(s.Edges[column]), to: x.at(s.Edges[column+1]),
				low: s.top(i, column), high: s.top(i+1, column),
			}
			if !(st.high > st.low) {
				continue
			}
			st.low, st.high = y.at(st.low), y.at(st.high)
			if s.Seen {
				st.high = min(st.high, st.low-leastHigh)
				st.to = min(max(st.to, st.from+leastWide), right)
				st.from = min(st.from, st.to-leastWide)
			}
			shape = append(shape, st)
		}
		c.path(p.class(), shape.path(), "")
	}
}

// step is what is drawn of one column.
type step struct{ from, to, low, high float64 }

// steps are columns from left to right.
type steps []step

// path goes around the columns. Neighbours are one shape, so that no seams show.
func (s steps) path() string {
	var o outline
	for first := 0; first < len(s); {
		last := first
		for last+1 < len(s) && s[last+1].from == s[last].to {
			last++
		}
		o.to("M", s[first].from, s[first].low)
		for i := first; i <= last; i++ {
			if i == first || number(s[i].high) != number(s[i-1].high) {
				o.to("V", s[i].high)
			}
			if i == last || number(s[i].high) != number(s[i+1].high) {
				o.to("H", s[i].to)
			}
		}
		for i := last; i >= first; i-- {
			if i == last || number(s[i].low) != number(s[i+1].low) {
				o.to("V", s[i].low)
			}
			if i > first && number(s[i].low) != number(s[i-1].low) {
				o.to("H", s[i].from)
			}
		}
		o.WriteByte('Z')
		first = last + 1
	}
	return o.String()
}

// legend has the parts that are drawn, from below.
func (s *Stack) legend() []Entry {
	var out []Entry
	for _, p := range s.Parts {
		if p.Name != "" && p.any() {
			out = append(out, Entry{swatch(func(c *canvas) { c.rect(p.class(), 1, 0, 28, 12) }), p.Name})
		}
	}
	return out
}
