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
