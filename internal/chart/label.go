package chart

import (
	"strings"
	"unicode"
)

// Sizes of text, in units: as the style has them.
const (
	small = 12.0
	large = 13.5
)

// Anchors of a text, as SVG calls them.
const (
	start  = "" // as a rule
	middle = "middle"
	end    = "end"
)

// label is a text with its place.
type label struct {
	text   string
	x, y   float64
	anchor string
}

// span is how far the label goes.
func (l label) span(size float64) Range {
	w := extent(l.text, size)
	switch l.anchor {
	case end:
		return Range{l.x - w, l.x}
	case middle:
		return Range{l.x - w/2, l.x + w/2}
	}
	return Range{l.x, l.x + w}
}

// extent is how wide a text may be. The reader's font is not known: the widths are those of DejaVu Sans Bold, wide as
// fonts are, rounded up.
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
	runes := []rune(text)
	for n := len(runes) - 1; n > 0; n-- {
		if cut := string(runes[:n]) + "…"; extent(cut, size) <= room {
			return cut
		}
	}
	return ""
}

// within moves a label so that it stays in the picture.
func within(l label, size float64) label {
	l.text = fit(l.text, size, width)
	s := l.span(size)
	switch {
	case s.Low < 0:
		l.x -= s.Low
	case s.High > width:
		l.x -= s.High - width
	}
	return l
}

// row is labels beside each other.
type row struct{ taken []Range }

// gap is the least room between two labels.
const gap = 6.0

// put takes the label's place, if it is free and within the picture.
func (r *row) put(l label, size float64) bool {
	s := l.span(size)
	if s.Low < 0 || s.High > width {
		return false
	}
	for _, t := range r.taken {
		if s.Low < t.High+gap && t.Low < s.High+gap {
			return false
		}
	}
	r.taken = append(r.taken, s)
	return true
}
