package chart

import (
	"math"
	"slices"

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
