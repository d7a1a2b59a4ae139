// Package chart draws numbers as SVG: rows of bars, and panels of lines and stacked columns over one axis. It knows no
// report and decides nothing: what is drawn and every word of it is the caller's.
//
// Whatever the numbers and texts are, texts neither leave the picture nor cover each other, foreign text stays text,
// and the same input gives the same bytes.
package chart

import (
	_ "embed"
	"html/template"
)

// Style is the CSS of the pictures. It expects the page to define --fg, --muted, --line, --faint, --bg, --fail, --shade
// and the colours of series, --s0 to --s7.
//
//go:embed style.css
var Style string

// Chart is something that can be drawn.
type Chart interface {
	// SVG draws it, with a label for those who hear it.
	SVG(label string) template.HTML
	// Legend says what is drawn how. Its names are as they came.
	Legend() []Entry
}

var (
	_ Chart = Bars{}
	_ Chart = Plot{}
)

// Entry is one line of a legend.
type Entry struct {
	Swatch template.HTML
	Name   string
}

// Range goes from Low to High.
type Range struct{ Low, High float64 }

// Pictures are so many units wide; a unit is about a pixel.
const width = 900.0

// palette is how many colours the style has. Dashes tell lines apart without them: 24 series differ in one or both.
const palette = 8

//nolint:gochecknoglobals // a table that never changes
var dashes = []string{"none", "9 4", "2.5 3.5", "12 4 2.5 4", "16 5", "6 3 2 3 2 3"}

// Key is how the lines of a series are drawn, for a legend or the row of a table.
func Key(series int) template.HTML {
	return swatch(func(c *canvas) { c.line(series, "M1 6H29") })
}
