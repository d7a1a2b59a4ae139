package render

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strconv"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/report"
)

// Pages are made of these files; nothing is loaded from elsewhere.
//
//go:embed html
var htmlFiles embed.FS

// HTML renders an outline as one page that needs nothing else: no network, and no script but one that sorts tables. The
// page holds the document as JSON, from which report.ReadHTML gets a report back. Its errors are those of w.
func HTML(w io.Writer, o report.Outline, document any) error {
	p, err := PageOf(o, document)
	if err != nil {
		return err
	}
	return WritePage(w, p)
}

// PageOf is the page of an outline, for a server to send.
func PageOf(o report.Outline, document any) (Page, error) {
	data, err := embedded(document)
	if err != nil {
		return Page{}, err
	}
	body, err := execute("outline.tmpl", struct {
		report.Outline
		Data template.JS
	}{o, data})
	if err != nil {
		return Page{}, err
	}
	sort, err := SortScript()
	return Page{
		Title: printable(o.Word) + ": " + printable(o.Title) + " - splitbench", Body: body, Scripts: []template.JS{sort},
	}, err
}

// embedded is a document as JSON that cannot end the element it stands in: <, > and & are written as escapes.
func embedded(document any) (template.JS, error) {
	b, err := json.Marshal(document)
	if err != nil {
		return "", fmt.Errorf("write page: %w", err)
	}
	return template.JS(report.EscapeUnprintable(b)), nil //nolint:gosec // JSON, and escaped
}

// execute fills in a template of ours. What it writes is escaped for where it stands, after it was made harmless to
// look at.
func execute(name string, data any) (template.HTML, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"text": printable, "kind": kindOfBlock, "badge": Badge, "key": chart.Key, "number": number, "class": outcomeClass,
		"symbol": func(state string) string { return symbol(state, false) },
		"notes":  func(s []report.Section) []report.Section { return boxed(s, true) },
		"others": func(s []report.Section) []report.Section { return boxed(s, false) },
		"minus1": func(n int) int { return n - 1 },
	}).ParseFS(htmlFiles, "html/"+name)
	if err != nil {
		return "", fmt.Errorf("write page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("write page: %w", err)
	}
	return template.HTML(b.String()), nil //nolint:gosec // by html/template
}

// boxed are the sections that stand in boxes before the others, or the others.
func boxed(sections []report.Section, is bool) []report.Section {
	var out []report.Section
	for _, s := range sections {
		if (s.Note != "") == is {
			out = append(out, s)
		}
	}
	return out
}

func kindOfBlock(b report.Block) string {
	switch b.(type) {
	case report.Paragraph:
		return "paragraph"
	case report.List:
		return "list"
	case report.Table:
		return "table"
	case report.Fields:
		return "fields"
	case *report.Figure:
		return "figure"
	case report.Verbatim:
		return "verbatim"
	}
	return "details"
}

func number(v *float64) string { return strconv.FormatFloat(*v, 'g', -1, 64) }
