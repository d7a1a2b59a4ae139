package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// WriteRunComparisonHTML renders a comparison of runs as a page of its own. Its errors are those of w.
func WriteRunComparisonHTML(w io.Writer, c RunComparison) error {
	p, err := RunComparisonPage(c)
	if err != nil {
		return err
	}
	return WritePage(w, p)
}

// RunComparisonPage is the page of a comparison, for a server to send.
func RunComparisonPage(c RunComparison) (Page, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return Page{}, fmt.Errorf("write comparison: %w", err)
	}
	v := changesViewOf(c)
	v.JSON = template.JS(escapeUnprintable(raw)) //nolint:gosec // JSON, and escaped
	t, err := template.ParseFS(htmlFiles, "html/report.tmpl", "html/comparison.tmpl")
	if err != nil {
		return Page{}, fmt.Errorf("write comparison: %w", err)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "comparison", v); err != nil {
		return Page{}, fmt.Errorf("write comparison: %w", err)
	}
	sort, err := SortScript()
	return Page{
		Title: strings.ToUpper(v.Outcome) + ": comparison of runs - splitbench", Body: template.HTML(b.String()), //nolint:gosec // by html/template
		Scripts: []template.JS{sort},
	}, err
}

// changesView is what the templates show of a comparison.
type changesView struct {
	Outcome, Headline, Base, Note, Rule string

	Badge   template.HTML
	Changes []changeView
	JSON    template.JS
}

type changeView struct {
	ID, Text      string
	Badge         template.HTML
	Why, Warnings []string
	Tables        []tableView
}

func changesViewOf(raw RunComparison) changesView {
	c := mapStrings(raw, forTerminal)
	v := changesView{
		Outcome: outcomeClass(Report{Verdict: Verdict{Outcome: c.Verdict.Outcome}}), Badge: Badge(c.Verdict.Outcome),
		Headline: capital(runsHeadline(c)), Base: comparedRunText(c.Base), Note: tildeNote, Rule: runsRule(c.Verdict),
	}
	for _, x := range c.Changes {
		view := changeView{ID: x.Run.ID, Text: comparedRunText(x.Run), Badge: Badge(x.Outcome), Why: x.Reasons, Warnings: x.Warnings}
		for _, t := range changeTables(x) {
			view.Tables = append(view.Tables, changeTableView(t))
		}
		v.Changes = append(v.Changes, view)
	}
	return v
}

func changeTableView(t changeTable) tableView {
	out := tableView{Caption: t.caption, Sortable: true}
	for i, title := range t.titles {
		out.Head = append(out.Head, headView{Text: title, Left: i < 2 || i == len(t.titles)-1})
	}
	for _, row := range t.rows {
		cells := make([]cellView, len(row))
		for i, text := range row {
			cells[i] = cellView{Text: text, Left: out.Head[i].Left, Heading: i == 0}
		}
		out.Rows = append(out.Rows, cells)
	}
	return out
}
