package report

import (
	"fmt"
	"slices"
)

// sharesSection is what each backend got, beside what was declared.
func sharesSection(r Report) Section {
	return Section{ID: "shares", Title: "Shares", Blocks: []Block{
		backendTable(r), sharesFigure(r), Paragraph(quantileNote(r)),
	}}
}

// backendColumn is one column of the table of backends.
type backendColumn struct {
	Column
	cell func(b Backend) Cell
}

// backendTable is empty where nothing was counted.
func backendTable(r Report) Table {
	t := Table{Caption: "Requests by backend.", Sortable: true}
	if n, _ := requestsOf(r); n == 0 {
		return t
	}
	all := shareColumns()
	if timed(r) {
		all = append(all, timeColumns()...)
	}
	if r.Load != nil {
		all = append(all, backendColumn{Column{Title: "Errors"}, func(b Backend) Cell { return countCell(b.Errors) }})
	}
	for _, c := range all {
		t.Columns = append(t.Columns, c.Column)
	}
	for i, b := range r.Backends {
		cells := []Cell{{Text: b.Name, Key: i + 1}}
		for _, c := range all[1:] {
			cells = append(cells, c.cell(b))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// timed reports whether any answer of a backend was timed.
func timed(r Report) bool {
	return slices.ContainsFunc(r.Backends, func(b Backend) bool { return b.Latency != nil })
}

// shareColumns say what was expected and seen. The first one is the backend.
func shareColumns() []backendColumn {
	return []backendColumn{
		{Column: Column{Title: "Backend", Left: true}},
		{Column{Title: "Weight"}, func(b Backend) Cell { return numberCell(fmt.Sprint(b.Weight), float64(b.Weight)) }},
		{Column{Title: "Expected"}, func(b Backend) Cell { return numberCell(expectedColumn(b.Expected), b.Expected) }},
		{Column{Title: "Observed"}, observedCell},
		{Column{Title: "Likely range"}, func(b Backend) Cell {
			c := Cell{Text: likelyRange(b.Interval)}
			if b.Interval != nil {
				c.Sort = b.Interval.Low
			}
			return c
		}},
		{Column{Title: "Off by (points)", Level: Page}, offCell},
	}
}

// expectedColumn needs a decimal only where the whole number would mislead.
func expectedColumn(n float64) string {
	if n < 10 && n != float64(int64(n)) {
		return fmt.Sprintf("%.1f", n)
	}
	return count(int64(n + 0.5))
}

func observedCell(b Backend) Cell {
	c := countCell(b.Observed)
	if b.ObservedShare != nil {
		c.Text += " (" + shareColumn(*b.ObservedShare) + ")"
	}
	return c
}

func offCell(b Backend) Cell {
	if b.ObservedShare == nil {
		return Cell{Text: dash}
	}
	off := 100 * (*b.ObservedShare - b.ExpectedShare)
	return numberCell(fmt.Sprintf("%+.2f", off), off)
}

// timeColumns are response times, from the planned instant of sending.
func timeColumns() []backendColumn {
	quantile := func(title string, pick func(Quantiles) *float64) backendColumn {
		return backendColumn{Column{Title: title}, func(b Backend) Cell {
			if b.Latency == nil {
				return Cell{Text: dash}
			}
			return knownCell(pick(b.Latency.ResponseTime), ms)
		}}
	}
	return []backendColumn{
		quantile("p50", func(q Quantiles) *float64 { return q.P50Ms }),
		quantile("p99", func(q Quantiles) *float64 { return q.P99Ms }),
	}
}

// quantileNote explains dashes in the latency columns.
func quantileNote(r Report) string {
	for _, b := range r.Backends {
		if b.Latency != nil && (b.Latency.ResponseTime.P50Ms == nil || b.Latency.ResponseTime.P99Ms == nil) {
			return fmt.Sprintf("%s: too few answers for that quantile.", dash)
		}
	}
	return ""
}

// measuredSections are how long answers took, what there is over time, and what went wrong.
func measuredSections(r Report) []Section {
	if _, all := requestsOf(r); all == 0 {
		return nil
	}
	late := ""
	if r.Load != nil && !r.Load.OnTime && timed(r) {
		late = fmt.Sprintf("The generator was late (99 of 100 requests within %s of the plan): these times are not the "+
			"mesh's alone.", micros(r.Load.SendLag.P99Us))
	}
	table, fine := errorTable(r)
	overTime := overTimeSection(r)
	if r.Drill != nil { // its timeline says more
		overTime.Blocks = nil
	}
	return []Section{
		{
			ID: "latency", Title: "Latency", Level: Page,
			Blocks: []Block{latencyFigure(r), latencyTable(r), Paragraph(quantileNote(r)), Paragraph(late)},
		},
		overTime,
		{ID: "errors", Title: "Errors", Level: Page, Folded: fine != "", Blocks: []Block{table, Paragraph(fine)}},
	}
}

// latencyTable is empty where nothing was timed.
func latencyTable(r Report) Table {
	t := Table{
		Caption: "Response times: from the instant at which a request was planned to be sent, " +
			"so that waiting for a slow answer counts.",
		Columns: headings(1, "Backend", "Answers", "p50", "p90", "p99", "p99.9", "Slowest", "Service time p50",
			"Service time p99"),
		Sortable: true,
	}
	add := func(name Cell, l Latency) {
		q, s := l.ResponseTime, l.ServiceTime
		cells := []Cell{name, countCell(l.Requests)}
		for _, v := range []*float64{q.P50Ms, q.P90Ms, q.P99Ms, q.P999Ms, q.MaxMs, s.P50Ms, s.P99Ms} {
			cells = append(cells, knownCell(v, ms))
		}
		t.Rows = append(t.Rows, cells)
	}
	for i, b := range r.Backends {
		if b.Latency != nil {
			add(Cell{Text: b.Name, Key: i + 1}, *b.Latency)
		}
	}
	if r.Latency != nil && len(t.Rows) > 1 {
		add(Cell{Text: "all"}, *r.Latency)
	}
	return t
}

// errorTable is what went wrong, by backend and kind; empty with a sentence where nothing did.
func errorTable(r Report) (Table, string) {
	t := Table{
		Caption:  "Requests that failed, were answered with a status of 400 and above, or are unattributed.",
		Columns:  headings(2, "Backend", "Kind", "Requests", "Of all"),
		Sortable: true,
	}
	_, all := requestsOf(r)
	add := func(name Cell, kind string, n int64) {
		share := numberCell(percentTight(float64(n)/float64(max(all, 1))), float64(n))
		t.Rows = append(t.Rows, []Cell{name, {Text: kind}, countCell(n), share})
	}
	for i, b := range r.Backends {
		for _, status := range sortedKeys(b.Statuses) {
			if status >= "400" {
				add(Cell{Text: b.Name, Key: i + 1}, "status "+status, b.Statuses[status])
			}
		}
	}
	none := Cell{Text: "unattributed"}
	for _, class := range sortedKeys(r.Unattributed.Errors) {
		add(none, class, r.Unattributed.Errors[class])
	}
	for _, status := range sortedKeys(r.Unattributed.Statuses) {
		add(none, "answer of status "+status, r.Unattributed.Statuses[status])
	}
	switch {
	case len(t.Rows) > 0:
		return t, ""
	case r.Unattributed.Requests > 0:
		return t, plural(r.Unattributed.Requests, "unattributed request") + "; of what kind they were is not known."
	case all == 0:
		return t, "No request was counted."
	case r.Load == nil:
		return t, "Only counts were given: what went wrong is not known."
	}
	return t, "None: each of " + plural(all, "request") + " was answered by a known backend, with a status below 400."
}
