package chart

import (
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
	return svg(fmt.Sprintf(`class="plot" viewBox="0 0 %s %s" role="img" aria-label="%s"`,
		number(width), number(height), escape(label)), draw)
}

// swatch is a small picture for a legend or a row of a table.
func swatch(draw func(*canvas)) template.HTML {
	return svg(`class="key" viewBox="0 0 30 12" aria-hidden="true"`, draw)
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
		fmt.Fprintf(c, `<path class="%s" d="%s"/>`+"\n", class, d)
	}
}

// line is a path in the colour and the dashes of a series.
func (c *canvas) line(series int, d string) {
	if d != "" {
		fmt.Fprintf(c, `<path class="%s" d="%s" stroke-dasharray="%s"/>`+"\n",
			colour("line", series), d, dashes[series%len(dashes)])
	}
}

func (c *canvas) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(c, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`+"\n",
		class, number(x), number(y), number(width), number(height))
}

func (c *canvas) dot(class string, x, y float64) {
	fmt.Fprintf(c, `<circle class="%s" cx="%s" cy="%s" r="5.5"/>`+"\n", class, number(x), number(y))
}

func (c *canvas) text(class string, l label) {
	if l.text != "" {
		fmt.Fprintf(c, `<text class="%s" x="%s" y="%s" text-anchor="%s">%s</text>`+"\n",
			class, number(l.x), number(l.y), l.anchor, escape(l.text))
	}
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
