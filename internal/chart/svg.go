// Package chart draws numbers as SVG: rows of bars, and panels of lines and stacked columns over one axis. It knows no
// report and decides nothing: what is drawn and every word of it is the caller's.
//
// Whatever the numbers and texts are, texts neither leave the picture nor cover each other, foreign text stays text,
// and the same input gives the same bytes.
package chart

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// canvas writes SVG. All text of others passes through it and is escaped here.
type canvas struct{ strings.Builder }

// picture is a whole SVG of a height.
func picture(height float64, label string, draw func(*canvas)) template.HTML {
	w, h := number(width), number(height)
	return svg(fmt.Sprintf(`class="plot" width="%s" height="%s" viewBox="0 0 %s %s" role="img" aria-label="%s" `+
		`font-family="sans-serif" font-size="12"`, w, h, w, h, escape(label)), draw)
}

// swatch is a small picture for a legend or a row of a table.
func swatch(draw func(*canvas)) template.HTML {
	return svg(`class="key" width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"`, draw)
}

func svg(head string, draw func(*canvas)) template.HTML {
	var c canvas
	c.WriteString("<svg " + head + ">\n")
	draw(&c)
	c.WriteString("</svg>")
	return template.HTML(c.String()) //nolint:gosec // every text in it was escaped
}

func (c *canvas) path(class, d string) {
	if d != "" {
		fmt.Fprintf(c, `<path class="%s" d="%s"%s/>`+"\n", class, d, paint(class))
	}
}

// line is a path in the colour and the dashes of a series.
func (c *canvas) line(series int, d string) {
	if d != "" {
		class := colour("line", series)
		fmt.Fprintf(c, `<path class="%s" d="%s" stroke-dasharray="%s"%s/>`+"\n", class, d, dashes[series%len(dashes)],
			paint(class))
	}
}

func (c *canvas) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(c, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"%s/>`+"\n",
		class, number(x), number(y), number(width), number(height), paint(class))
}

func (c *canvas) dot(class string, x, y float64) {
	fmt.Fprintf(c, `<circle class="%s" cx="%s" cy="%s" r="5.5"%s/>`+"\n", class, number(x), number(y), paint(class))
}

func (c *canvas) text(class string, l label) {
	if l.text != "" {
		fmt.Fprintf(c, `<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`+"\n",
			class, number(l.x), number(l.y), l.anchor, escape(l.text))
	}
}

// paints are how things look where the style is not let in, by the first word of their class.
//
//nolint:gochecknoglobals // a table that never changes
var paints = map[string]string{
	"grid": stroke("#d5dbe2"), "panel": stroke("#d5dbe2"), "want": stroke("#1b222b"), "weight": stroke("#1b222b"),
	"mark": stroke("#1b222b"), "moment": stroke("#1b222b"), "line": stroke("@"), "range": stroke("@"),
	"dots": stroke("@") + ` stroke-width="6" stroke-linecap="round"`, "dot": fill("@", 1), "bar": fill("@", 0.3),
	"area": fill("@", 0.5), "track": fill("#e9edf1", 1), "allowed": fill("#5a697d", 0.14), "band": fill("#5a697d", 0.14),
	"lost": fill("#b3202a", 1), "head": fill("#1b222b", 1),
}

// hues are the colours of series there, as the light style has them.
//
//nolint:gochecknoglobals // a table that never changes
var hues = [palette]string{
	"#0b62c4", "#c0460a", "#0b7a5c", "#a3318c", "#7d6000", "#1f7fa8", "#5a4fd1", "#68717d",
}

func stroke(colour string) string { return fmt.Sprintf(` fill="none" stroke="%s"`, colour) }

func fill(colour string, opacity float64) string {
	return fmt.Sprintf(` fill="%s" fill-opacity="%g"`, colour, opacity)
}

// paint are the attributes for a class. The style goes before them.
func paint(class string) string {
	what, series, _ := strings.Cut(class, " s")
	hue := "#68717d"
	if n, err := strconv.Atoi(series); err == nil && n < palette {
		hue = hues[n]
	}
	word, _, _ := strings.Cut(what, " ")
	return strings.ReplaceAll(paints[word], "@", hue)
}

// escape makes text of anything: what does not print, or turns the direction of text, is replaced.
func escape(s string) string {
	return template.HTMLEscapeString(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s))
}

// colour is a class in the colour of a series.
func colour(class string, series int) string { return class + " s" + strconv.Itoa(series%palette) }

// number writes a coordinate to a tenth.
func number(x float64) string {
	return strconv.FormatFloat(math.Round(x*10)/10+0, 'f', -1, 64) // + 0: there is a -0 too
}

// d is the data of a path, of letters and coordinates.
func d(parts ...any) string {
	var b strings.Builder
	for _, part := range parts {
		if x, ok := part.(float64); ok {
			part = " " + number(x)
		}
		fmt.Fprint(&b, part)
	}
	return b.String()
}

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
