package chart

import (
	"slices"
	"strings"
	"unicode"
)

// Sizes of text, in units: as the style has them.
const (
	small = 12.0
	large = 13.5
)

// Room between texts, in units: beside each other, and from one line to the next.
const gap, lineGap = 6.0, 13.0

// label is a text with its place.
type label struct {
	text   string
	x, y   float64
	anchor anchor
}

// anchor is the part of a text that stands at its place.
type anchor int

const (
	start anchor = iota
	middle
	end
)

func (a anchor) String() string { return [...]string{"start", "middle", "end"}[a] }

// span is how far a small label goes.
func (l label) span() Range {
	w := extent(l.text, small)
	from := l.x - w*float64(l.anchor)/2
	return Range{from, from + w}
}

// within moves a small label so that it stays in the picture.
func (l label) within() label {
	l.text = fit(l.text, small, width)
	s := l.span()
	l.x += max(0, -s.Low) - max(0, s.High-width)
	return l
}

// extent is how wide a text may be, for its size. The reader's font is not known: letters are as wide as those of
// DejaVu Sans Bold, wide as fonts are, rounded up.
func extent(text string, size float64) float64 {
	w := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iljtfrI.,:;'|!()[]-/ ", r):
			w += 0.5
		case strings.ContainsRune("mwMW%@", r) || r > unicode.MaxASCII:
			w += 1.12
		case unicode.IsUpper(r) || strings.ContainsRune("+<=>&#~^", r):
			w += 0.88
		default:
			w += 0.73
		}
	}
	return w * size
}

// fit cuts a text to the room that there is for it; what is left of none is nothing.
func fit(text string, size, room float64) string {
	if extent(text, size) <= room {
		return text
	}
	room -= extent("…", size)
	end := strings.IndexFunc(text, func(r rune) bool {
		room -= extent(string(r), size)
		return room < 0
	})
	if end <= 0 {
		return ""
	}
	return text[:end] + "…"
}

// taken are stretches of a line that texts have taken, along it or down a side.
type taken []Range

// put takes a stretch, if it and the room beside it are free.
func (t *taken) put(r Range, room float64) bool {
	for _, other := range *t {
		if r.Low < other.High+room && other.Low < r.High+room {
			return false
		}
	}
	*t = append(*t, r)
	return true
}

// free writes a small label if its place is free and in the picture.
func (c *canvas) free(t *taken, class string, l label) bool {
	s := l.span()
	ok := s.Low >= 0 && s.High <= width && t.put(s, gap)
	if ok {
		c.text(class, l)
	}
	return ok
}

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
