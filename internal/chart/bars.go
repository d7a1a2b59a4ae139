package chart

import "html/template"

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
	Value     *float64
	Range     *Range
	Target    *float64
	Tolerated *Range
}

const (
	barRow, barTop, barHeight = 58.0, 22.0, 18.0
	mostBarTicks              = 11
)

// Scale is what the axis goes over, for those who draw it by other means.
func (b Bars) Scale() Range {
	r := b.ruler()
	return Range{r.min, r.max}
}

func (b Bars) ruler() ruler {
	seen := nothing()
	seen.see(0)
	for _, row := range b.Rows {
		for _, v := range []*float64{row.Value, row.Target} {
			if v != nil {
				seen.see(*v)
			}
		}
		if r := row.Range; r != nil {
			seen.see(r.Low, r.High)
		}
		if t := row.Tolerated; t != nil {
			seen.see(t.High) // a tolerance may go below what is possible
		}
	}
	return b.X.lay(seen, 0, width, mostBarTicks)
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
	c.text("name", label{text: fit(b.Name, large, width-extent(text, large)-2*gap), y: y - 8})
	c.text("value", label{text: text, x: width, y: y - 8, anchor: end})
	c.rect("track", 0, y, width, barHeight)
	if t := b.Tolerated; t != nil {
		c.rect("allowed", x.at(t.Low), y, x.at(t.High)-x.at(t.Low), barHeight)
	}
	if b.Value != nil {
		from, to := min(x.at(0), x.at(*b.Value)), max(x.at(0), x.at(*b.Value))
		c.rect(colour("bar", b.Series), from, y, to-from, barHeight)
	}
	if b.Target != nil {
		var o outline
		o.to("M", x.at(*b.Target), y-3)
		o.to("V", y+barHeight+4)
		c.path("want", o.String(), "")
	}
	if r := b.Range; r != nil {
		c.path(colour("range", b.Series), whiskers(x.at(r.Low), x.at(r.High), y+barHeight/2, barHeight/2-3), "")
	}
	if b.Value != nil {
		c.dot(colour("dot", b.Series), x.at(*b.Value), y+barHeight/2)
	}
}

// Legend says what bars, ranges and marks are.
func (b Bars) Legend() []Entry {
	var out []Entry
	add := func(name string, draw func(*canvas)) {
		if name != "" {
			out = append(out, Entry{swatch(draw), name})
		}
	}
	add(b.Values, func(c *canvas) {
		c.rect("bar s0", 0, 0, 24, 12)
		c.dot("dot s0", 24, 6)
	})
	add(b.Ranges, func(c *canvas) { c.path("range s0", whiskers(2, 28, 6, 5), "") })
	add(b.Targets, func(c *canvas) { c.path("want", "M15 0V12", "") })
	add(b.Tolerances, func(c *canvas) { c.rect("allowed", 1, 0, 28, 12) })
	return out
}
