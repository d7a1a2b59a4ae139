package render

import (
	"html"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Size is how many characters a Markdown document has at most, and with it what it is of.
type Size int

// The sizes. Long is below GitHub's limit of 65,536, with room for what a bot adds; Medium is without what is folded
// away; Short is the answer, why, what to do and the shares: a message of Slack's takes it.
const (
	Short  Size = 3_000
	Medium Size = 12_000
	Long   Size = 60_000
)

// Markdown renders an outline for a pull request: a marker by which a bot finds its own comment again, the headline,
// and what is not needed at once folded away. What would make it too long is left out, which it says. Its errors are
// those of w.
func Markdown(w io.Writer, o report.Outline, size Size) error {
	m := comment{left: int(size) - leastRoom}
	m.add("<!-- splitbench:" + forHTMLComment(o.Marker) + " -->")
	m.add("## " + forMarkdown(o.Word) + ": " + within(o.Title, maxTitle))
	if o.Simulated != "" {
		m.add("**Simulated:** " + within(o.Simulated, maxTitle))
	}
	m.add("**" + within(o.Sentence(), maxHeadline) + "**")
	m.sections(o.Sections, size, (*comment).section, inBox, inFlow)
	if size == Long {
		m.sections(o.Sections, size, (*comment).folded, inAppendix)
	}
	if m.cut {
		m.add("The details were left out: they would not fit in a comment. They are in the run's folder.")
	}
	if o.Footer != "" {
		m.add("<sub>" + within(o.Footer, maxTitle) + "</sub>")
	}
	_, err := io.WriteString(w, strings.TrimRight(m.String(), "\n")+"\n")
	return err
}

// Bounds of what every document begins and ends with, and the room that is kept for the end, in characters.
const maxTitle, maxHeadline, leastRoom = 300, 800, 600

// within is text with at most so many characters of Markdown, which references to characters make longer than it.
func within(s string, most int) string {
	for n := most; ; n = n * 3 / 4 {
		if text := forMarkdown(untrusted.Cut(s, n)); utf8.RuneCountInString(text) <= most {
			return text
		}
	}
}

// sections writes those of some places that fit, in their order.
func (m *comment) sections(all []report.Section, size Size, write func(*comment, report.Section), places ...place) {
	most := report.Comment
	if size == Short {
		most = report.Brief
	}
	for _, at := range places {
		for _, s := range sorted(all, at) {
			if s.Level > most {
				continue
			}
			var one comment
			write(&one, s)
			if n := utf8.RuneCountInString(m.String()) + utf8.RuneCountInString(one.String()); n > m.left {
				m.cut = true
				continue
			}
			m.WriteString(one.String())
		}
	}
}

// comment is a growing Markdown document: blocks apart by an empty line.
type comment struct {
	strings.Builder
	left int  // characters that it may have before its end
	cut  bool // something was left out
}

func (m *comment) add(text string) {
	if text != "" {
		m.WriteString(text + "\n\n")
	}
}

// section writes the heading of a section of lists; what else there is speaks for itself.
func (m *comment) section(s report.Section) {
	switch s.Blocks[0].(type) {
	case report.List, report.Verbatim:
		m.add("**" + forMarkdown(s.Title) + "**")
	}
	m.blocks(s.Blocks)
}

func (m *comment) folded(s report.Section) {
	m.details(s.Title, s.Blocks)
}

func (m *comment) details(summary string, blocks []report.Block) {
	m.add("<details>\n<summary>" + forMarkdown(summary) + "</summary>")
	m.blocks(blocks)
	m.add("</details>")
}

func (m *comment) blocks(blocks []report.Block) {
	for _, b := range blocks {
		switch b := b.(type) {
		case report.Paragraph:
			m.add(forMarkdown(string(b)))
		case report.List:
			if b.Title != "" {
				m.add("**" + forMarkdown(b.Title) + "**")
			}
			m.items(b.Items)
		case report.Fields:
			var items []report.Item
			for _, f := range b {
				items = append(items, report.Item{Text: f.Label + ": " + f.Text, Command: f.Command})
			}
			m.items(items)
		case report.Table:
			m.table(gridOf(b, report.Comment, forMarkdown))
		case report.Verbatim:
			m.add(pre(b))
		case *report.Figure:
			if bars, ok := b.Chart.(chart.Bars); ok {
				if lines := barLines(bars, defaultWidth, false); len(lines) > 0 {
					m.add(pre(lines))
				}
			}
		case report.Details:
			m.details(b.Summary, b.Blocks)
		}
	}
}

func (m *comment) items(items []report.Item) {
	lines := make([]string, len(items))
	for i, it := range items {
		lines[i] = "- " + forMarkdown(it.Text)
		if it.Command != "" {
			// Not with backticks: character references are not read between them.
			lines[i] += " <code>" + forMarkdown(it.Command) + "</code>"
		}
	}
	m.add(strings.Join(lines, "\n"))
}

func (m *comment) table(g grid) {
	rule := make([]string, len(g.left))
	for i, left := range g.left {
		rule[i] = "--:"
		if left {
			rule[i] = ":--"
		}
	}
	var lines []string
	for _, row := range append([][]string{g.titles, rule}, g.rows...) {
		lines = append(lines, "| "+strings.Join(row, " | ")+" |")
	}
	m.add(strings.Join(lines, "\n"))
}

// pre shows lines between <pre> tags, where Markdown and a host's own links are not read, so that what is copied from
// there is the text itself.
func pre(lines []string) string {
	var b strings.Builder
	b.WriteString("<pre>\n")
	for _, line := range lines {
		b.WriteString(html.EscapeString(printable(line)) + "\n")
	}
	b.WriteString("</pre>")
	return b.String()
}
