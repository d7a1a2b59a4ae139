package render

import (
	"html"
	"io"
	"strings"

	"github.com/splitbench/splitbench/internal/report"
)

// MaxMarkdown bounds what Markdown writes, in bytes. It keeps a comment below GitHub's limit of 65,536 characters, with
// room for what a bot adds.
const MaxMarkdown = 60_000

// Markdown renders an outline for a pull request: a marker by which a bot finds its own comment again, the headline,
// and what is not needed at once folded away, or left out where the whole would be too long. Its errors are those of w.
func Markdown(w io.Writer, o report.Outline) error {
	doc := markdown(o, everything)
	if len(doc) > MaxMarkdown {
		doc = markdown(o, unfolded)
	}
	if len(doc) > MaxMarkdown {
		doc = markdown(o, headOnly)
	}
	_, err := io.WriteString(w, doc)
	return err
}

// amount is how much of an outline a comment has room for.
type amount int

const (
	headOnly amount = iota
	unfolded
	everything
)

func markdown(o report.Outline, room amount) string {
	var m comment
	m.add("<!-- splitbench:" + forHTMLComment(o.Marker) + " -->")
	m.add("## " + forMarkdown(o.Word) + ": " + forMarkdown(o.Title))
	if o.Simulated != "" {
		m.add("**Simulated:** " + forMarkdown(o.Simulated))
	}
	m.add("**" + forMarkdown(o.Sentence()) + "**")
	for _, s := range o.Sections {
		if s.Level <= report.Comment && !s.Folded && room > headOnly {
			m.section(s)
		}
	}
	for _, s := range o.Sections {
		if s.Level <= report.Comment && s.Folded && room == everything {
			m.folded(s)
		}
	}
	if room < everything {
		m.add("The details were left out: they would not fit in a comment. They are in the run's folder.")
	}
	if o.Footer != "" {
		m.add("<sub>" + forMarkdown(o.Footer) + "</sub>")
	}
	return strings.TrimRight(m.String(), "\n") + "\n"
}

// comment is a growing Markdown document: blocks apart by an empty line.
type comment struct{ strings.Builder }

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
