package chart

import "slices"

// Mark is something that happened, drawn as a line from above the panels to the bottom.
type Mark struct {
	At    float64
	Range *Range // where it may have been
	Text  string
	Shape Shape
}

// Shape is what stands over the line of a mark: what a colour would say to some.
type Shape int

// Shapes of marks. A Letter stands over its line, other texts beside it. Texts that would cover each other are one,
// from the first to the last.
const (
	Words Shape = iota
	Letter
	Pin
	Diamond
	Circle
	Square
)

// shapes are paths from the foot of a shape.
//
//nolint:gochecknoglobals // a table that never changes
var shapes = map[Shape]string{
	Pin: "l5 -9h-10Z", Diamond: "l5 -5l-5 -5l-5 5Z", Circle: "a4.5 4.5 0 1 0 -0.1 0Z", Square: "h4v-8h-8v8Z",
}

// Places, in units.
const (
	flagRow  = 17.0 // high
	flagText = 13.0 // from the row's top to the line that its text stands on
	headRoom = 16.0 // that a head needs, with its text beside it
)

// marks draws those that are on the axis: their heads in a row from a height on, and their lines from there to the
// bottom.
func (c *canvas) marks(class string, marks []Mark, x ruler, top, bottom float64) {
	marks = slices.DeleteFunc(slices.Clone(marks), func(m Mark) bool { return !x.holds(m.At) })
	for _, m := range marks {
		if r := m.Range; r != nil {
			c.rect("band", x.at(r.Low), top+flagRow, x.at(r.High)-x.at(r.Low), bottom-top-flagRow)
		}
		c.path(class, d("M", x.at(m.At), top+flagRow, "V", bottom))
	}
	var row taken
	for i := 0; i < len(marks); {
		first, line := marks[i], x.at(marks[i].At)
		next := i + 1
		for ; next < len(marks); next++ {
			if at := x.at(marks[next].At); at <= line-headRoom || at >= line+headRoom+extent(first.Text, small) {
				break
			}
			first.Text = marks[i].Text + " – " + marks[next].Text
		}
		c.head(&row, first, line, top+flagText)
		i = next
	}
}

// head draws what stands over a line: the text on it, or a shape and the text on one side, where there is room.
func (c *canvas) head(row *taken, m Mark, line, y float64) {
	text, distance := fit(m.Text, small, (right-left)/2), 8.0
	if m.Shape == Words {
		distance = 4
	}
	places := []label{{text, line + distance, y, start}, {text, line - distance, y, end}}
	if m.Shape == Letter {
		places = []label{label{text, line, y, middle}.within()}
	}
	for _, l := range places {
		if c.free(row, "flag", l) {
			if shape := shapes[m.Shape]; shape != "" {
				c.path("head", d("M", line, y, shape))
			}
			return
		}
	}
}

// rowOf is how high the row of heads is.
func rowOf(marks []Mark) float64 { return flagRow * float64(min(1, len(marks))) }
