package report

import (
	"bytes"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// page is text of a limited width. It expects escaped text.
type page struct {
	b     bytes.Buffer
	width int
	color bool
}

func newPage(o TextOptions) *page {
	if o.Width == 0 {
		o.Width = defaultWidth
	}
	return &page{width: max(o.Width, minWidth), color: o.Color}
}

// textWidth is the number of terminal columns, which is not the number of runes.
func textWidth(s string) int { return twwidth.Width(s) }

func widest(s string) int {
	most := 0
	for line := range strings.Lines(s) {
		most = max(most, textWidth(strings.TrimRight(line, "\n")))
	}
	return most
}

func (p *page) line(s string) {
	p.b.WriteString(strings.TrimRight(s, " "))
	p.b.WriteByte('\n')
}

// para wraps text after a first word or mark; the lines that follow are indented below the text.
func (p *page) para(mark, text string) {
	indent := strings.Repeat(" ", textWidth(mark))
	for i, line := range wrap(text, p.width-len(indent)) {
		if i == 0 {
			p.line(mark + line)
		} else {
			p.line(indent + line)
		}
	}
}

// painted is para with a coloured mark.
func (p *page) painted(mark, text string, c color) {
	start := p.b.Len()
	p.para(mark, text)
	if word := strings.TrimSpace(mark); p.color {
		written := strings.Replace(string(p.b.Bytes()[start:]), word, paint(word, c), 1)
		p.b.Truncate(start)
		p.b.WriteString(written)
	}
}

// whole is painted without wrapping: one finding, one line, for grep.
func (p *page) whole(mark, text string, c color) {
	if word := strings.TrimSpace(mark); p.color {
		mark = strings.Replace(mark, word, paint(word, c), 1)
	}
	p.line(mark + text)
}

// paint needs text without escape sequences of its own.
func paint(s string, c color) string {
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// list writes paragraphs after an empty line.
func (p *page) list(paragraphs []string) {
	if len(paragraphs) == 0 {
		return
	}
	p.line("")
	for _, s := range paragraphs {
		p.para("", s)
	}
}

func (p *page) bullets(title string, items []string) {
	if len(items) == 0 {
		return
	}
	p.line("")
	p.line(title)
	for _, s := range items {
		p.hint("  - ", s)
	}
}

// hint is para with a command on a line of its own, whole however long it is.
func (p *page) hint(mark, text string) {
	prose, command := splitCommand(text)
	p.para(mark, prose)
	if command != "" {
		p.line(strings.Repeat(" ", textWidth(mark)) + command)
	}
}

// fields writes labels and texts below each other.
func (p *page) fields(fields []field) {
	if len(fields) == 0 {
		return
	}
	p.line("")
	longest := 0
	for _, f := range fields {
		longest = max(longest, len(f.label))
	}
	for _, f := range fields {
		p.para(f.label+strings.Repeat(" ", longest-len(f.label)+2), f.text)
	}
}

// wrap breaks text at spaces, but not before a percent sign. A word that is too long stays whole: a path that is broken
// cannot be copied.
func wrap(text string, width int) []string {
	var lines []string
	line, used := "", 0
	words := strings.Fields(text)
	for i, word := range words {
		if strings.HasPrefix(word, "%") && i > 0 {
			continue
		}
		if i+1 < len(words) && strings.HasPrefix(words[i+1], "%") {
			word += " " + words[i+1]
		}
		w := textWidth(word)
		if used > 0 && used+1+w > width {
			lines, line, used = append(lines, line), "", 0
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+w
	}
	return append(lines, line)
}
