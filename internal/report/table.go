package report

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// column is one column of the table of backends.
type column struct {
	title string
	left  bool // text; numbers are right-aligned
	cell  func(Backend) string
}

// shareColumns say what was expected and seen.
func shareColumns() []column {
	return []column{
		{"Backend", true, func(b Backend) string { return b.Name }},
		{"Weight", false, func(b Backend) string { return fmt.Sprint(b.Weight) }},
		{"Expected", false, func(b Backend) string { return expectedColumn(b.Expected) }},
		{"Observed", false, observedColumn},
		{"Likely range", false, func(b Backend) string { return likelyRange(b.Interval) }},
	}
}

// expectedColumn needs a decimal only where the whole number would mislead.
func expectedColumn(n float64) string {
	if n < 10 && n != float64(int64(n)) {
		return fmt.Sprintf("%.1f", n)
	}
	return count(int64(n + 0.5))
}

func observedColumn(b Backend) string {
	if b.ObservedShare == nil {
		return count(b.Observed)
	}
	return fmt.Sprintf("%s (%s)", count(b.Observed), shareColumn(*b.ObservedShare))
}

// timeColumns are the response times, from the planned instant of sending, where anything was timed.
func timeColumns(r Report) []column {
	timed := false
	for _, b := range r.Backends {
		timed = timed || b.Latency != nil
	}
	if !timed {
		return nil
	}
	quantile := func(pick func(Quantiles) *float64) func(Backend) string {
		return func(b Backend) string {
			if b.Latency == nil {
				return dash
			}
			return ms(pick(b.Latency.ResponseTime))
		}
	}
	return []column{
		{"p50", false, quantile(func(q Quantiles) *float64 { return q.P50Ms })},
		{"p99", false, quantile(func(q Quantiles) *float64 { return q.P99Ms })},
	}
}

// errorColumns are the answers of status 500 and above, where answers were seen and not only counts given.
func errorColumns(r Report) []column {
	if r.Load == nil {
		return nil
	}
	return []column{{"Errors", false, func(b Backend) string { return count(b.Errors) }}}
}

// cells makes the table: titles, then one row for each backend.
func cells(r Report, columns []column) (titles []string, rows [][]string) {
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	for _, b := range r.Backends {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = c.cell(b)
		}
		rows = append(rows, row)
	}
	return titles, rows
}

// textTables lays the backends out within the width: in one table if it fits, with narrow gaps if it must, else
// shares and times in two, and names shortened in the middle only when even that does not fit.
func textTables(r Report, width int) (string, error) {
	shares, times, errs := shareColumns(), timeColumns(r), errorColumns(r)
	all := append(append(append([]column{}, shares...), times...), errs...)
	for _, gap := range []string{"  ", " "} {
		s, err := textTable(r, all, gap)
		if err != nil || widest(s) <= width {
			return s, err
		}
	}
	first := append(append([]column{}, shares...), errs...)
	groups := [][]column{first}
	if len(times) > 0 {
		groups = append(groups, append([]column{shares[0]}, times...))
	}
	s, err := textTable(r, first, "  ")
	if err != nil {
		return "", err
	}
	if over := widest(s) - width; over > 0 {
		r = shortenNames(r, over)
	}
	var out []string
	for _, g := range groups {
		s, err := textTable(r, g, "  ")
		if err != nil {
			return "", err
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n"), nil
}

// minName is the shortest that a name is cut to.
const minName = 12

// shortenNames takes the excess out of the middle of long names: the ends tell backends apart.
func shortenNames(r Report, excess int) Report {
	longest := 0
	for _, b := range r.Backends {
		longest = max(longest, textWidth(b.Name))
	}
	limit := max(longest-excess, minName)
	short := make([]Backend, len(r.Backends))
	for i, b := range r.Backends {
		if runes := []rune(b.Name); textWidth(b.Name) > limit && len(runes) > limit-2 {
			head := (limit - 2) / 2
			b.Name = string(runes[:head]) + ".." + string(runes[len(runes)-(limit-2-head):])
		}
		short[i] = b
	}
	r.Backends = short
	return r
}

// textTable draws the table of backends.
func textTable(r Report, columns []column, gap string) (string, error) {
	titles, rows := cells(r, columns)
	left := make([]bool, len(columns))
	for i, c := range columns {
		left[i] = c.left
	}
	return drawTable(titles, left, rows, gap)
}

// drawTable draws one borderless table as kubectl does. left says which columns are text; numbers are right-aligned.
func drawTable(titles []string, left []bool, rows [][]string, gap string) (string, error) {
	align := make([]tw.Align, len(titles))
	head := make([]string, len(titles))
	for i, title := range titles {
		head[i] = strings.ToUpper(title)
		align[i] = tw.AlignRight
		if left[i] {
			align[i] = tw.AlignLeft
		}
	}
	// The gap is right padding, cut off at the line's end below: tablewriter 1.1.5 cuts cells short where left
	// padding is wider than one character.
	cell := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off},
		Padding:    tw.CellPadding{Global: tw.Padding{Right: gap, Overwrite: true}},
		Alignment:  tw.CellAlignment{PerColumn: align},
	}
	var b bytes.Buffer
	t := tablewriter.NewTable(&b,
		tablewriter.WithConfig(tablewriter.Config{Header: cell, Row: cell, Behavior: tw.Behavior{TrimSpace: tw.Off}}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone, Settings: tw.Settings{Lines: tw.LinesNone, Separators: tw.SeparatorsNone},
		})))
	t.Header(head)
	if err := t.Bulk(rows); err != nil {
		return "", fmt.Errorf("table of backends: %w", err)
	}
	if err := t.Render(); err != nil {
		return "", fmt.Errorf("table of backends: %w", err)
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n", nil
}
