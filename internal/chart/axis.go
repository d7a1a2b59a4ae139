package chart

import (
	"math"

	"github.com/aclements/go-moremath/scale"
)

// Axis is what an axis goes over and how its values are written. Min and Max are its ends where Min < Max; otherwise
// it goes as far as the data, with room around them.
type Axis struct {
	Log      bool // logarithmic: for values above 0
	Min, Max float64
	Most     float64 // where not 0: an axis that goes by the data ends here at the latest
	Label    string
	Text     func(float64) string
	Ticks    []float64 // where not nil: the only values that are written
}

// Bounds of what is drawn: beyond them a document holds no measurement, and differences are lost in rounding.
const (
	largest  = 1e18
	smallest = 1e-9 // above 0, of a logarithmic axis; and of the length of a linear one, against its values
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
	min, max float64
	from, to float64
}

// lay lays the axis, over its own ends or else over the data's.
func (a Axis) lay(data extremes, from, to float64, most int) ruler {
	low, high := a.ends(data)
	r := ruler{axis: a, from: from, to: to}
	if a.Log {
		r.min, r.max = low, high
		r.Quantitative = &scale.Log{Min: low, Max: high, Base: 10}
		return r
	}
	linear := &scale.Linear{Min: low, Max: high}
	if !(a.Min < a.Max) {
		linear.Nice(scale.TickOptions{Max: most})
		if a.Most != 0 {
			linear.Max = min(linear.Max, a.Most)
		}
	}
	r.min, r.max = linear.Min, linear.Max
	r.Quantitative = linear
	return r
}

// ends are where the axis begins and ends before it is rounded to nice values.
func (a Axis) ends(data extremes) (low, high float64) {
	low, high = data.low, data.high
	given := a.Min < a.Max
	if given {
		low, high = a.Min, a.Max
	}
	if low > high { // nothing is to be drawn
		low, high = 0, 1
	}
	least := -largest
	if a.Log {
		least = smallest
	}
	low, high = min(max(low, least), largest), min(max(high, least), largest)
	if a.Log {
		if !given {
			low, high = low/1.15, high*1.15
		}
		if high/low < 5 { // within 5 times there is a 1, 2 or 5
			middle := math.Sqrt(low) * math.Sqrt(high)
			low, high = middle/math.Sqrt(5), middle*math.Sqrt(5)
		}
		return low, high
	}
	if shortest := smallest * max(1, math.Abs(low), math.Abs(high)); high-low < shortest {
		low, high = low-shortest/2, high+shortest/2
	}
	if given {
		return low, high
	}
	room := 0.05 * (high - low)
	if low < 0 || low > 2*room { // an axis does not cross 0 for the sake of room
		low -= room
	}
	return low, high + room
}

// at is where a value stands. What lies beyond the axis stands at its end, what is no number at its beginning.
func (r ruler) at(v float64) float64 {
	if math.IsNaN(v) {
		return r.from
	}
	return r.from + (r.to-r.from)*min(max(r.Map(min(max(v, r.min), r.max)), 0), 1)
}

// holds reports whether the axis goes over a value.
func (r ruler) holds(v float64) bool { return v >= r.min && v <= r.max }

// mark is a value of an axis that is written beside it.
type mark struct {
	at   float64
	text string
}

// marks are the values that are written: nice ones, at most so many. Of a logarithmic axis they are powers of ten,
// and 2 and 5 times them where there is room.
func (r ruler) marks(most int) []mark {
	values := r.axis.Ticks
	if values == nil {
		major, minor := r.Ticks(scale.TickOptions{Max: most})
		values = major
		if fine := oneTwoFive(minor); r.axis.Log && len(fine) <= most {
			values = fine
		}
	}
	var out []mark
	for _, v := range values {
		m := mark{at: r.at(v), text: r.axis.Text(v)}
		if r.holds(v) && (len(out) == 0 || out[len(out)-1].text != m.text) {
			out = append(out, m)
		}
	}
	return out
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
