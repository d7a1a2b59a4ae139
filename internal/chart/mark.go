package chart

// Mark is something that happened, drawn as a line from above the panels to the bottom.
type Mark struct {
	At    float64
	Range *Range // where it may have been
	Text  string
	Shape Shape
}

// Shape is what stands over the line of a mark: what a colour would say to some.
type Shape int

// Shapes of marks. The text of Words stands beside its line, a Letter over it. Letters, and texts beside shapes, that
// would cover each other are one, from the first to the last.
const (
	Words Shape = iota
	Letter
	Pin
	Diamond
	Circle
	Square
)

// Places, in units.
const (
	flagRow  = 17.0 // high
	flagText = 13.0 // from the row's top to the line that its text stands on
	flagRows = 2
	headRoom = 16.0 // that a head needs, with its text beside it
)

// placed is a mark with its place. One that shares the head of the mark before it has no text.
type placed struct {
	Mark
	x     float64
	label label // its y is from the row's top
	row   int
}

// flagsOf gives each mark that is on the axis its line, and a head where there is room for one.
func flagsOf(marks []Mark, x ruler) []placed {
	var out []placed
	for _, m := range marks {
		if x.holds(m.At) {
			out = append(out, placed{Mark: m, x: x.at(m.At)})
		}
	}
	var taken [flagRows]row
	for i := 0; i < len(out); {
		end, text := i+1, out[i].Text
		for ; end < len(out) && out[i].Shape != Words && out[end].near(out[i], text); end++ {
			text = out[i].Text + "-" + out[end].Text
		}
		out[i].put(&taken, text, end < len(out))
		i = end
	}
	return out
}

// near reports whether a flag's head would cover that of another with a text.
func (f placed) near(other placed, text string) bool {
	return f.x > other.x-headRoom && f.x < other.x+headRoom+extent(text, small)
}

// put looks for a place for the text: over the line, or on one side of it. Words that others follow stand left, to
// leave the right to those.
func (f *placed) put(taken *[flagRows]row, text string, followed bool) {
	distance := 8.0
	if f.Shape == Words {
		distance = 4
		text = fit(text, small, (right-left)/2)
	}
	before, after := label{text, f.x - distance, flagText, end}, label{text, f.x + distance, flagText, start}
	places := []label{after, before}
	switch {
	case f.Shape == Letter:
		places = []label{within(label{text, f.x, flagText, middle}, small)}
	case f.Shape == Words && followed:
		places = []label{before, after}
	}
	for i := range taken {
		for _, l := range places {
			if taken[i].put(l, small) {
				f.label, f.row = l, i
				return
			}
		}
	}
}

// rows is how many rows the flags take.
func rows(flags []placed) int {
	n := 0
	for _, f := range flags {
		n = max(n, f.row+1)
	}
	return n
}

// happened draws flags whose rows begin at a height.
func (c *canvas) happened(class string, flags []placed, x ruler, top, bottom float64) {
	under := top + float64(rows(flags))*flagRow
	for _, f := range flags {
		if f.Range != nil {
			low, high := x.at(f.Range.Low), x.at(f.Range.High)
			if high-low > 1.5 { // else the line says it
				c.rect("band", low, under, high-low, bottom-under)
			}
		}
		var o outline
		o.to("M", f.x, under)
		o.to("V", bottom)
		c.path(class, o.String(), "")
		if f.label.text == "" {
			continue
		}
		f.label.y += top + float64(f.row)*flagRow
		c.path("head", f.Shape.path(f.x, f.label.y), "")
		c.text("flag", f.label)
	}
}

// path draws the shape beside a line of text.
func (s Shape) path(x, y float64) string {
	var o outline
	switch s {
	case Pin:
		o.to("M", x, y)
		o.WriteString("l5 -9h-10Z")
	case Diamond:
		o.to("M", x, y)
		o.WriteString("l5 -5l-5 -5l-5 5Z")
	case Circle:
		o.to("M", x, y)
		o.WriteString("a4.5 4.5 0 1 0 -0.1 0Z")
	case Square:
		o.to("M", x-4, y)
		o.WriteString("h8v-8h-8Z")
	}
	return o.String()
}
