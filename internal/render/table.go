package render

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/report"
)

// textWidth is the number of terminal columns, which is not the number of runes.
func textWidth(s string) int { return twwidth.Width(s) }

func widest(s string) int {
	most := 0
	for line := range strings.Lines(s) {
		most = max(most, textWidth(strings.TrimRight(line, "\n")))
	}
	return most
}

// grid is a table of harmless text.
type grid struct {
	titles []string
	left   []bool
	rows   [][]string
}

// gridOf are the columns of a table that a format of this level shows, made harmless by show.
func gridOf(t report.Table, level report.Level, show func(string) string) grid {
	var g grid
	keep := func(i int) bool { return t.Columns[i].Level <= level }
	for i, c := range t.Columns {
		if keep(i) {
			g.titles, g.left = append(g.titles, show(c.Title)), append(g.left, c.Left)
		}
	}
	for _, row := range t.Rows {
		var cells []string
		for i, c := range row {
			if keep(i) {
				cells = append(cells, show(c.Text))
			}
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// take are the named columns of a grid.
func (g grid) take(columns ...int) grid {
	var out grid
	for _, i := range columns {
		out.titles, out.left = append(out.titles, g.titles[i]), append(out.left, g.left[i])
	}
	for _, row := range g.rows {
		var cells []string
		for _, i := range columns {
			cells = append(cells, row[i])
		}
		out.rows = append(out.rows, cells)
	}
	return out
}

// within lays a table out within a width: with narrow gaps if it must, else in several tables that name the rows again,
// whose names are shortened in the middle where they would take more than half of the width.
func (g grid) within(width int) (string, error) {
	for _, gap := range []string{"  ", " "} {
		s, err := g.draw(gap)
		if err != nil || widest(s) <= width {
			return s, err
		}
	}
	widths := g.widths()
	g = g.shortNames(max(minName, min(width/2, width-2-slices.Max(widths[1:]))))
	widths = g.widths()
	var parts []string
	for next := 1; next < len(widths); {
		taken, used := []int{0}, widths[0]
		for ; next < len(widths) && (len(taken) == 1 || used+2+widths[next] <= width); next++ {
			taken, used = append(taken, next), used+2+widths[next]
		}
		s, err := g.take(taken...).draw("  ")
		if err != nil {
			return "", err
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "\n"), nil
}

func (g grid) widths() []int {
	out := make([]int, len(g.titles))
	for i, title := range g.titles {
		out[i] = textWidth(title)
		for _, row := range g.rows {
			out[i] = max(out[i], textWidth(row[i]))
		}
	}
	return out
}

// minName is how many columns a name has at least: two letters, two dots, three letters.
const minName = 7

// shortNames takes the excess out of the middle of long names: the ends tell them apart.
func (g grid) shortNames(limit int) grid {
	rows := slices.Clone(g.rows)
	for i, row := range rows {
		rows[i] = append([]string{middle(row[0], limit)}, row[1:]...)
	}
	g.rows = rows
	return g
}

// middle shortens a text in its middle.
func middle(s string, limit int) string {
	runes := []rune(s)
	if textWidth(s) <= limit || len(runes) <= limit-2 {
		return s
	}
	head := (limit - 2) / 2
	return string(runes[:head]) + ".." + string(runes[len(runes)-(limit-2-head):])
}

// draw draws a borderless table as kubectl does, numbers right-aligned.
func (g grid) draw(gap string) (string, error) {
	align, head := make([]tw.Align, len(g.titles)), make([]string, len(g.titles))
	for i, title := range g.titles {
		head[i] = strings.ToUpper(title)
		align[i] = tw.AlignRight
		if g.left[i] {
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
	if err := t.Bulk(g.rows); err != nil {
		return "", fmt.Errorf("draw table: %w", err)
	}
	if err := t.Render(); err != nil {
		return "", fmt.Errorf("draw table: %w", err)
	}
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String(), nil
}

// Table draws a table of text for a terminal, as wide as it is. Its errors are those of w.
func Table(w io.Writer, titles []string, rows [][]string) error {
	t := report.Table{Columns: make([]report.Column, len(titles))}
	for i, title := range titles {
		t.Columns[i] = report.Column{Title: title, Left: true}
	}
	for _, row := range rows {
		cells := make([]report.Cell, len(row))
		for i, s := range row {
			cells[i].Text = s
		}
		t.Rows = append(t.Rows, cells)
	}
	s, err := gridOf(t, report.Brief, printable).draw("  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, s)
	return err
}

// Bounds of the bars on a terminal.
const (
	maxBars     = 16 // rows; of more the table says enough
	maxBarCells = 48
	minBarCells = 16
	maxBarName  = 28
)

// barLines are shares as bars with a mark where each should end, one line for each and one that says so. There are none
// where there is but one, too many, or no room.
func barLines(b chart.Bars, width int, ascii bool) []string {
	scale := b.Scale()
	if b.X.Most == 0 || b.Targets != "weight" || len(b.Rows) < 2 || len(b.Rows) > maxBars {
		return nil
	}
	filled, empty, mark := "\u2588", "\u00b7", "\u2503"
	if ascii {
		filled, empty, mark = "#", ".", "|"
	}
	longest := 0
	names := make([]string, len(b.Rows))
	for i, row := range b.Rows {
		names[i] = middle(printable(row.Name), maxBarName)
		longest = max(longest, textWidth(names[i]))
	}
	end := " " + b.X.Text(scale.High)
	cells := min(maxBarCells, width-longest-2-textWidth(end))
	if cells < minBarCells {
		return nil
	}
	place := func(v float64) int {
		return min(cells, int(math.Round(min(1, max(0, v/scale.High))*float64(cells))))
	}
	var lines []string
	for i, row := range b.Rows {
		bar := strings.Split(strings.Repeat(empty, cells), "")
		for j := range bar {
			if row.Value != nil && j < place(*row.Value) {
				bar[j] = filled
			}
		}
		bar[max(place(row.Target)-1, 0)] = mark
		lines = append(lines, names[i]+strings.Repeat(" ", longest-textWidth(names[i])+2)+strings.Join(bar, ""))
	}
	legend := filled + " " + b.Values + "  " + mark + " " + b.Targets
	legend += strings.Repeat(" ", max(0, cells-textWidth(legend)))
	return append(lines, strings.Repeat(" ", longest+2)+legend+end)
}
