package chart

import (
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/aclements/go-moremath/scale"
)

// Axis is what an axis goes over and how its values are written. Min and Max are its ends where Min < Max; otherwise it
// goes as far as the data, and on to round values.
type Axis struct {
	Log      bool // logarithmic: for values above 0
	Min, Max float64
	Most     float64 // where not 0: an axis that goes by the data ends here at the latest
	Label    string
	Text     func(float64) string
	Ticks    []float64 // where not nil: the only values that are written
}

// Bounds of what is drawn: beyond them a document holds no measurement.
const (
	largest  = 1e18
	smallest = 1e-9 // above 0, of a logarithmic axis; and of a linear one against its values
)

// extremes are the least and the largest of what was seen.
type extremes struct{ low, high float64 }

func nothing() extremes { return extremes{math.Inf(1), math.Inf(-1)} }

// see takes values in. What is not a number is none.
func (e *extremes) see(values ...float64) {
	for _, v := range values {
		if !math.IsNaN(v) {
			e.low, e.high = min(e.low, v), max(e.high, v)
		}
	}
}

// ruler is an axis laid between two places of the picture.
type ruler struct {
	scale.Quantitative
	axis     Axis
	from, to float64
	most     int // values that are written
}

// lay lays the axis, over its own ends or else over the data's.
func (a Axis) lay(data extremes, from, to float64, most int) ruler {
	r := ruler{axis: a, from: from, to: to, most: most}
	given := a.Min < a.Max
	low, high := data.low, data.high
	switch {
	case given:
		low, high = a.Min, a.Max
	case low > high: // nothing is to be drawn
		low, high = 0, 1
	}
	if a.Log {
		r.Quantitative = logarithmic(low, high)
		return r
	}
	low, high = bounded(low, -largest), bounded(high, -largest)
	if size := max(1, math.Abs(low), math.Abs(high)); high-low <= smallest*size { // one value, but for rounding
		low, high = low-size/2, high+size/2
	}
	linear := &scale.Linear{Min: low, Max: high}
	if !given {
		linear.Nice(scale.TickOptions{Max: most})
		if a.Most != 0 {
			linear.Max = min(linear.Max, a.Most)
		}
	}
	r.Quantitative = linear
	return r
}

// logarithmic has room beside the values, and goes over 5 times as much at least: somewhere within is a 1, 2 or 5.
func logarithmic(low, high float64) *scale.Log {
	low, high = bounded(low, smallest)/1.15, bounded(high, smallest)*1.15
	if middle := math.Sqrt(low * high); high < 5*low {
		low, high = middle/math.Sqrt(5), middle*math.Sqrt(5)
	}
	return &scale.Log{Min: low, Max: high, Base: 10}
}

func bounded(v, least float64) float64 { return min(max(v, least), largest) }

// at is where a value stands. What lies beyond the axis stands at its end, what is no number at its beginning.
func (r ruler) at(v float64) float64 {
	part := r.Map(v)
	if !(part > 0) {
		part = 0
	}
	return r.from + (r.to-r.from)*min(part, 1)
}

// holds reports whether the axis goes over a value.
func (r ruler) holds(v float64) bool {
	part := r.Map(v)
	return part > -smallest && part < 1+smallest
}

// ticks are the values that are written. Of a logarithmic axis they are powers of ten, and 2 and 5 times them where
// there is room.
func (r ruler) ticks() []float64 {
	if r.axis.Ticks != nil {
		return slices.DeleteFunc(slices.Clone(r.axis.Ticks), func(v float64) bool { return !r.holds(v) })
	}
	major, minor := r.Ticks(scale.TickOptions{Max: r.most})
	if fine := oneTwoFive(minor); r.axis.Log && len(fine) <= r.most {
		return fine
	}
	return major
}

// oneTwoFive are those of the values that are 1, 2 or 5 times a power of ten.
func oneTwoFive(values []float64) []float64 {
	var out []float64
	for _, v := range values {
		switch math.Round(v / math.Pow(10, math.Floor(math.Log10(v)+1e-9))) {
		case 1, 2, 5:
			out = append(out, v)
		}
	}
	return out
}

// across draws the values of an axis below the picture, and the lines that go up from them.
func (c *canvas) across(x ruler, top, bottom float64) {
	var texts taken
	for _, v := range x.ticks() {
		at := x.at(v)
		c.path("grid", d("M", at, top, "V", bottom))
		c.free(&texts, "tick", label{x.axis.Text(v), at, bottom + 19, middle}.within())
	}
}

// beside draws the values of an axis on its left, and the lines that go out from them.
func (c *canvas) beside(y ruler, texts *taken) {
	for _, v := range y.ticks() {
		at := y.at(v)
		c.path("grid", d("M", left, at, "H", right))
		if texts.put(Range{at, at}, lineGap) {
			c.text("tick", label{fit(y.axis.Text(v), small, left-8), left - 8, at + 4, end})
		}
	}
}

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
