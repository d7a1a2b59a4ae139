package calibrate

import (
	"fmt"
	"strconv"
	"strings"
)

// renderLatency is the calibration table of latencies.
func renderLatency(rows []row) string {
	return renderGroups(rows, (*row).latencyLine, (*row).latencyHead)
}

func (r *row) latencyHead() string {
	titles := []string{"scenario", "blocks", "answers in each", "truth", "repetitions"}
	for _, e := range r.shown {
		titles = append(titles, string(e)+" %")
	}
	titles = append(titles, "claimed", "holds")
	for _, a := range r.asides {
		titles = append(titles, a.title)
	}
	return fmt.Sprintf("| %s |\n|---|--:|--:|---|--:|%s---|---|%s\n", strings.Join(titles, " | "),
		strings.Repeat("--:|", len(r.shown)), strings.Repeat("--:|", len(r.asides)))
}

// latencyLine is one row. A quantile that is not claimed is shown.
func (r *row) latencyLine() string {
	cells := []string{r.name, strconv.Itoa(r.blocks), strconv.Itoa(r.size), r.says, grouped(r.counted.reps)}
	for _, e := range r.shown {
		cells = append(cells, r.rate(e))
	}
	claimed, holds := r.claimed()
	cells = append(cells, claimed, holds)
	for _, a := range r.asides {
		var rates []string
		for _, e := range a.events {
			rates = append(rates, strconv.FormatFloat(100*r.share(e), 'f', 1, 64))
		}
		cells = append(cells, strings.Join(rates, ", "))
	}
	return "| " + strings.Join(cells, " | ") + " |"
}
