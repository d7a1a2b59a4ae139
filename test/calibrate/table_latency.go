package main

import (
	"fmt"
	"strconv"
	"strings"
)

// renderLatency is the calibration table of latencies, a part per group.
func renderLatency(rows []row) string {
	var b strings.Builder
	group := ""
	for i := range rows {
		r := &rows[i]
		if r.group != group {
			group = r.group
			titles := []string{"scenario", "blocks", "answers in each", "truth", "repetitions"}
			for _, e := range r.shown {
				titles = append(titles, string(e)+" %")
			}
			titles = append(titles, "claimed", "holds")
			for _, a := range r.asides {
				titles = append(titles, a.title)
			}
			fmt.Fprintf(&b, "\n### %s\n\n| %s |\n|---|--:|--:|---|--:|%s---|---|%s\n", group, strings.Join(titles, " | "),
				strings.Repeat("--:|", len(r.shown)), strings.Repeat("--:|", len(r.asides)))
		}
		fmt.Fprintln(&b, r.latencyLine())
	}
	b.WriteString(summary(rows))
	return b.String()
}

// latencyLine is one row. A quantile that is not claimed is shown.
func (r *row) latencyLine() string {
	cells := []string{r.name, strconv.Itoa(r.blocks), strconv.Itoa(r.size), r.says, grouped(r.counted.reps)}
	for _, e := range r.shown {
		cells = append(cells, r.rate(r.counted.count(e)))
	}
	claimed, holds := r.claimed()
	cells = append(cells, claimed, holds)
	for _, a := range r.asides {
		var rates []string
		for _, e := range a.events {
			rates = append(rates, strconv.FormatFloat(100*float64(r.counted.count(e))/float64(r.counted.reps), 'f', 1, 64))
		}
		cells = append(cells, strings.Join(rates, ", "))
	}
	return "| " + strings.Join(cells, " | ") + " |"
}
