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
	var c canvas
	fmt.Fprintf(&c, `<svg class="plot" viewBox="0 0 %s %s" role="img" aria-label="%s">`+"\n",
		number(width), number(height), escape(label))
	draw(&c)
	c.WriteString("</svg>")
	return c.html()
}

func (c *canvas) html() template.HTML {
	return template.HTML(c.String()) //nolint:gosec // every text in it was escaped
}

func (c *canvas) path(class, d, dashes string) {
	if d == "" {
		return
	}
	fmt.Fprintf(c, `<path class="%s" d="%s"`, class, d)
	if dashes != "" {
		fmt.Fprintf(c, ` stroke-dasharray="%s"`, dashes)
	}
	c.WriteString("/>\n")
}

func (c *canvas) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(c, `<rect class="%s" x="%s" y="%s" width="%s" height="%s"/>`+"\n",
		class, number(x), number(y), number(width), number(height))
}

func (c *canvas) dot(class string, x, y float64) {
	fmt.Fprintf(c, `<circle class="%s" cx="%s" cy="%s" r="5.5"/>`+"\n", class, number(x), number(y))
}

// text writes a label at its place.
func (c *canvas) text(class string, l label) {
	if l.text == "" {
		return
	}
	c.WriteString("<text")
	if class != "" {
		fmt.Fprintf(c, ` class="%s"`, class)
	}
	fmt.Fprintf(c, ` x="%s" y="%s"`, number(l.x), number(l.y))
	if l.anchor != start {
		fmt.Fprintf(c, ` text-anchor="%s"`, l.anchor)
	}
	c.WriteString(">" + escape(l.text) + "</text>\n")
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
func colour(class string, series int) string {
	if series < 0 {
		return class
	}
	return class + " s" + strconv.Itoa(series%palette)
}

// number writes a coordinate to a tenth.
func number(x float64) string {
	x = math.Round(x*10) / 10
	if x == 0 {
		x = 0 // there is a -0 too
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// outline is the d of a path.
type outline struct{ strings.Builder }

func (o *outline) to(letter string, coordinates ...float64) {
	o.WriteString(letter)
	for i, x := range coordinates {
		if i > 0 {
			o.WriteByte(' ')
		}
		o.WriteString(number(x))
	}
}

// whiskers is a range along the x axis, with caps.
func whiskers(low, high, y, cap float64) string {
	var o outline
	o.to("M", low, y)
	o.to("H", high)
	for _, x := range []float64{low, high} {
		o.to("M", x, y-cap)
		o.to("V", y+cap)
	}
	return o.String()
}
