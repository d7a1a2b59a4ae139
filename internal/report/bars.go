package report

import (
	"math"
	"strings"
)

// Bounds of the bars on a terminal.
const (
	maxBars     = 16 // backends; of more the table says enough
	maxBarCells = 48
	minBarCells = 16
	maxBarName  = 28
)

// bars draws observed shares as bars with a mark where the weight is, one line for each backend and one that says so.
func (p *page) bars(r Report, ascii bool) {
	n, _ := requestsOf(r)
	if n == 0 || len(r.Backends) < 2 || len(r.Backends) > maxBars {
		return
	}
	filled, empty, mark := "\u2588", "\u00b7", "\u2503"
	if ascii {
		filled, empty, mark = "#", ".", "|"
	}
	longest := 0
	for _, b := range r.Backends {
		longest = max(longest, textWidth(b.Name))
	}
	if over := longest - maxBarName; over > 0 {
		r = shortenNames(r, over)
		longest = 0
		for _, b := range r.Backends {
			longest = max(longest, textWidth(b.Name))
		}
	}
	top := shareBars(r).Scale().High
	end := " " + percentTight(top)
	cells := min(maxBarCells, p.width-longest-2-textWidth(end))
	if cells < minBarCells {
		return
	}
	p.line("")
	place := func(share float64) int {
		return min(cells, int(math.Round(math.Min(1, math.Max(0, share/top))*float64(cells))))
	}
	for _, b := range r.Backends {
		bar := make([]string, cells)
		for i := range bar {
			bar[i] = empty
			if b.ObservedShare != nil && i < place(*b.ObservedShare) {
				bar[i] = filled
			}
		}
		bar[max(place(b.ExpectedShare)-1, 0)] = mark
		p.line(b.Name + strings.Repeat(" ", longest-textWidth(b.Name)+2) + strings.Join(bar, ""))
	}
	legend := filled + " observed  " + mark + " weight"
	if gap := cells - textWidth(legend); gap >= 0 {
		legend += strings.Repeat(" ", gap)
	}
	p.line(strings.Repeat(" ", longest+2) + legend + end)
}
