package report

import (
	"io"
	"strings"
)

// WriteRunComparisonJSON writes the document as WriteJSON writes a report.
func WriteRunComparisonJSON(w io.Writer, c RunComparison) error { return writeJSON(w, c) }

// WriteRunComparisonText renders a comparison of runs for a terminal. Its errors are those of w.
func WriteRunComparisonText(w io.Writer, c RunComparison, o TextOptions) error {
	p := newPage(o)
	if err := p.comparison(mapStrings(c, forTerminal)); err != nil {
		return err
	}
	_, err := w.Write(p.b.Bytes())
	return err
}

func (p *page) comparison(c RunComparison) error {
	p.painted(strings.ToUpper(c.Verdict.Outcome)+"  ", runsHeadline(c), outcomeColor(c.Verdict.Outcome))
	p.line("")
	p.para("Base  ", comparedRunText(c.Base))
	for _, x := range c.Changes {
		p.line("")
		p.para("New   ", comparedRunText(x.Run)+": "+x.Outcome)
		if err := p.change(x); err != nil {
			return err
		}
	}
	p.list([]string{tildeNote, runsRule(c.Verdict)})
	return nil
}

// baseline is the comparison inside a run's own report: one change, which needs no name.
func (p *page) baseline(c *RunComparison) error {
	if c == nil {
		return nil
	}
	p.line("")
	p.para("Against  ", comparedRunText(c.Base)+": "+c.Verdict.Outcome)
	for _, x := range c.Changes {
		if err := p.change(x); err != nil {
			return err
		}
	}
	p.list([]string{tildeNote, runsRule(c.Verdict)})
	return nil
}

func baselineMarkdown(c *RunComparison) string {
	if c == nil {
		return ""
	}
	var m block
	m.add("**" + capital(runsHeadline(*c)) + ".**")
	comparisonMarkdown(&m, *c)
	return m.b.String()
}

func (p *page) change(x RunChange) error {
	for _, t := range changeTables(x) {
		left := make([]bool, len(t.titles))
		for i := range left {
			left[i] = i < 2 || i == len(left)-1
		}
		text, err := drawTable(t.titles, left, t.rows, "  ")
		if err == nil && widest(text) > p.width {
			text, err = drawTable(t.titles, left, t.rows, " ")
		}
		if err != nil {
			return err
		}
		p.line("")
		p.b.WriteString(text)
	}
	p.bullets("Why:", x.Reasons)
	p.bullets("Warnings:", x.Warnings)
	return nil
}

// changeTable is one table of a change, for every renderer.
type changeTable struct {
	caption string
	titles  []string
	rows    [][]string
}

// changeTables are the tables of a change that have rows: shares, latency, cost.
func changeTables(x RunChange) []changeTable {
	var out []changeTable
	shares := changeTable{caption: "Shares.", titles: shareChangeTitles()}
	for _, s := range x.Shares {
		shares.rows = append(shares.rows, shareChangeRow(s))
	}
	latency := changeTable{caption: "Response times.", titles: timeChangeTitles("Latency of")}
	for _, t := range x.Latency {
		latency.rows = append(latency.rows, timeChangeRows(t)...)
	}
	cost := changeTable{caption: "How much longer answers through the gateway take than those of the client's own cluster.", titles: timeChangeTitles("Gateway cost of")}
	for _, t := range x.GatewayCost {
		cost.rows = append(cost.rows, timeChangeRows(t)...)
	}
	for _, t := range []changeTable{shares, latency, cost} {
		if len(t.rows) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// WriteRunComparisonMarkdown renders a comparison of runs for a pull request. Its errors are those of w.
func WriteRunComparisonMarkdown(w io.Writer, c RunComparison) error {
	marker := "<!-- splitbench:compare:" + forHTMLComment(c.Base.Subject) + " -->"
	c = mapStrings(c, forMarkdown)
	var m block
	m.add(marker)
	m.add("## " + strings.ToUpper(c.Verdict.Outcome) + ": comparison of runs")
	m.add("**" + capital(runsHeadline(c)) + ".**")
	comparisonMarkdown(&m, c)
	doc := strings.TrimRight(m.b.String(), "\n") + "\n"
	if len(doc) > MaxMarkdown {
		doc = marker + "\n\n## " + strings.ToUpper(c.Verdict.Outcome) + ": comparison of runs\n\n**" + capital(runsHeadline(c)) +
			".**\n\nThe tables were left out: they would not fit in a comment.\n"
	}
	_, err := io.WriteString(w, doc)
	return err
}

// comparisonMarkdown is what follows the headline; it expects escaped text.
func comparisonMarkdown(m *block, c RunComparison) {
	m.add("- base: " + comparedRunText(c.Base))
	for _, x := range c.Changes {
		m.add("- new: " + comparedRunText(x.Run) + ": **" + x.Outcome + "**")
		for _, t := range changeTables(x) {
			m.add(markdownRows(t))
		}
		m.list("**Why**", x.Reasons)
		m.list("**Warnings**", x.Warnings)
	}
	m.add(tildeNote)
	m.add(runsRule(c.Verdict))
}

// markdownRows draws a table of escaped cells, of which the first two and the last are text.
func markdownRows(t changeTable) string {
	rule := make([]string, len(t.titles))
	for i := range rule {
		rule[i] = "--:"
		if i < 2 || i == len(rule)-1 {
			rule[i] = ":--"
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{t.titles, rule}, t.rows...) {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return strings.TrimRight(b.String(), "\n")
}
