package render

import (
	"math"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
)

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
