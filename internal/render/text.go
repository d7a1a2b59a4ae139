// Package render writes the outline of a document in one format: text for a terminal, Markdown for a pull request, a
// page of HTML, JUnit's XML. Each block of an outline is rendered in one place of each format.
//
// It refuses to decide: it chooses no words and knows no kind of document. It refuses to trust: whatever text an
// outline holds is escaped where it is written.
package render

import (
	"bytes"
	"cmp"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/report"
)

// TextOptions say what the terminal can show.
type TextOptions struct {
	Width int  // columns; 0: 80
	Color bool // ANSI colours; meaning is never by colour alone
	ASCII bool // nothing but ASCII
	Wide  bool // what a comment shows too, with tables as wide as they are
}

const (
	defaultWidth = 80
	minWidth     = 20
	// longText is how many lines may follow the headline before it is said again at the end.
	longText = 20
)

// Text renders an outline for a terminal: the headline first, and again at the end of a long text. Its errors are those
// of w.
func Text(w io.Writer, o report.Outline, opts TextOptions) error {
	t := &terminal{TextOptions: opts, underlined: o.Headline == ""}
	t.Width = max(cmp.Or(opts.Width, defaultWidth), minWidth)
	t.headline(o)
	if o.Simulated != "" {
		t.para("Simulated: ", o.Simulated)
	}
	for _, s := range o.Sections {
		if s.Level <= t.level() {
			t.section(s)
		}
	}
	if bytes.Count(t.b.Bytes(), []byte("\n")) > longText && o.Word != "" {
		t.gap()
		t.headline(o)
	}
	if t.err != nil {
		return t.err
	}
	out := t.b.Bytes()
	if opts.ASCII {
		out = bytes.Map(ascii, out)
	}
	_, err := w.Write(out)
	return err
}

// ascii is a character, or a question mark for one that the terminal may not have.
func ascii(r rune) rune {
	if r > unicode.MaxASCII {
		return '?'
	}
	return r
}

// terminal is a growing text of a limited width.
type terminal struct {
	TextOptions
	b          bytes.Buffer
	underlined bool // headings are: there is nothing above them
	err        error
}

func (t *terminal) line(s string) {
	t.b.WriteString(strings.TrimRight(s, " ") + "\n")
}

// level is that of what is shown.
func (t *terminal) level() report.Level {
	if t.Wide {
		return report.Comment
	}
	return report.Brief
}

// gap is an empty line between two things.
func (t *terminal) gap() {
	if t.b.Len() > 0 {
		t.line("")
	}
}

func (t *terminal) headline(o report.Outline) {
	said := o.Headline
	if o.Subject != "" {
		said = o.Subject + ": " + said
	}
	if o.Simulated != "" {
		said = "(simulated) " + said
	}
	switch {
	case o.Word != "":
		t.painted(printable(o.Word)+"  ", said, colorOf(o.Outcome))
	case said != "":
		t.para("", said)
	}
}

// section writes a section after an empty line. Lists have a heading; what else there is speaks for itself.
func (t *terminal) section(s report.Section) {
	t.gap()
	switch s.Blocks[0].(type) {
	case report.List, report.Verbatim:
		t.heading(s.Title)
	case report.Fields:
		if t.underlined {
			t.heading(s.Title)
		}
	default:
		if s.Level > report.Brief {
			t.heading(s.Title)
		}
	}
	for i, b := range s.Blocks {
		if f, ok := b.(*report.Figure); ok && len(t.bars(f)) == 0 {
			continue
		}
		_, prose := b.(report.Paragraph)
		if i > 0 && prose {
			_, prose = s.Blocks[i-1].(report.Paragraph)
		}
		if i > 0 && !prose {
			t.gap()
		}
		t.block(b)
	}
}

func (t *terminal) heading(title string) {
	title = printable(title)
	switch {
	case title == "":
	case t.underlined:
		t.line(title)
		t.line(strings.Repeat("-", min(textWidth(title), t.Width)))
	default:
		t.line(title + ":")
	}
}

func (t *terminal) block(b report.Block) {
	switch b := b.(type) {
	case report.Paragraph:
		t.para("", string(b))
	case report.List:
		t.list(b)
	case report.Table:
		width := t.Width
		if t.Wide {
			width = math.MaxInt
		}
		s, err := gridOf(b, t.level(), printable).within(width)
		t.b.WriteString(s)
		if t.err == nil {
			t.err = err
		}
	case report.Fields:
		t.fields(b)
	case report.Verbatim:
		for _, line := range b {
			t.line("  " + printable(line))
		}
	case *report.Figure:
		for _, line := range t.bars(b) {
			t.line(line)
		}
	case report.Details:
		for _, b := range b.Blocks {
			t.block(b)
		}
	}
}

func (t *terminal) bars(f *report.Figure) []string {
	if bars, ok := f.Chart.(chart.Bars); ok {
		return barLines(bars, t.Width, t.ASCII)
	}
	return nil
}

func (t *terminal) list(l report.List) {
	t.heading(l.Title)
	for _, it := range l.Items {
		mark, c := "  - ", colorOf(it.State)
		if it.State != "" {
			mark = symbol(it.State, t.ASCII) + " "
		}
		if l.OneLine {
			t.line(t.paint(mark, c) + printable(it.Text))
			continue
		}
		t.painted(mark, it.Text, c)
		t.command(mark, it.Command)
		for _, f := range it.Fields {
			label := "    " + f.Label + ": "
			t.para(label, f.Text)
			t.command(label, f.Command)
		}
		if it.Apply != "" {
			t.line("    apply:")
			for line := range strings.Lines(it.Apply) {
				t.line("      " + printable(strings.TrimRight(line, "\n")))
			}
		}
	}
}

// command is on a line of its own, whole however long it is.
func (t *terminal) command(mark, command string) {
	if command != "" {
		t.line(strings.Repeat(" ", textWidth(mark)) + printable(command))
	}
}

// fields writes labels and texts below each other.
func (t *terminal) fields(fields report.Fields) {
	longest := 0
	for _, f := range fields {
		longest = max(longest, textWidth(printable(f.Label)))
	}
	for _, f := range fields {
		label := printable(f.Label)
		label += strings.Repeat(" ", longest-textWidth(label)+2)
		t.para(label, f.Text)
		t.command(label, f.Command)
	}
}

// para wraps a text after a first word or mark; the lines that follow are indented below the text.
func (t *terminal) para(mark, s string) { t.painted(mark, s, "") }

// painted is para with a coloured mark.
func (t *terminal) painted(mark, s string, c color) {
	indent := strings.Repeat(" ", textWidth(mark))
	for i, line := range wrap(printable(s), t.Width-len(indent)) {
		if i == 0 {
			t.line(t.paint(mark, c) + line)
		} else {
			t.line(indent + line)
		}
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

// color is an ANSI select-graphic-rendition parameter.
type color string

const (
	green  color = "32"
	red    color = "31"
	yellow color = "33"
	purple color = "35"
)

// paint colours a mark but for the spaces around it.
func (t *terminal) paint(mark string, c color) string {
	word := strings.TrimSpace(mark)
	if !t.Color || c == "" || word == "" {
		return mark
	}
	return strings.Replace(mark, word, "\x1b["+string(c)+"m"+word+"\x1b[0m", 1)
}

// colorOf is the colour of an outcome or a state.
func colorOf(s string) color {
	switch s {
	case "":
		return ""
	case report.Pass, report.StateOK:
		return green
	case report.Fail, report.StateFailed:
		return red
	case report.Inconclusive, report.StateWarning:
		return yellow
	}
	return purple
}

// symbol is a state in one sign.
func symbol(state string, ascii bool) string {
	signs := map[string][2]string{
		report.StateOK: {"\u221a", "[ok]"}, report.StateWarning: {"\u203c", "[!!]"}, report.StateFailed: {"\u00d7", "[XX]"},
	}
	sign, ok := signs[state]
	if !ok {
		sign = [2]string{"?", "[??]"}
	}
	if ascii {
		return sign[1]
	}
	return sign[0]
}

// Fit is the lines of a text as far as a terminal has room for them: cut at their ends, and without gaps where it is
// low.
func Fit(text string, width, height int) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > height {
		lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" })
	}
	lines = lines[:min(len(lines), max(height, 1))]
	for i, line := range lines {
		for textWidth(line) > width && line != "" {
			_, last := utf8.DecodeLastRuneInString(line)
			line = line[:len(line)-last]
		}
		lines[i] = line
	}
	return lines
}

// Lines writes text of several lines, each made harmless to look at.
func Lines(w io.Writer, s string) error {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(printable(strings.TrimSuffix(line, "\n")) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
