package report

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"

	"github.com/splitbench/splitbench/internal/chart"
	"github.com/splitbench/splitbench/internal/preflight"
)

// tableView is a table of a page.
type tableView struct {
	Caption  string
	Head     []headView
	Rows     [][]cellView
	Sortable bool
}

type headView struct {
	Text string
	Left bool
}

type cellView struct {
	Text, Sort    string // Sort: what the column is sorted by, where that is not the text
	State         string // of a check
	Left, Heading bool
	Key           template.HTML // how the row's backend is drawn in charts
}

func plain(s string) cellView { return cellView{Text: s, Left: true} }

func figure(s string, by float64) cellView {
	return cellView{Text: s, Sort: strconv.FormatFloat(by, 'g', -1, 64)}
}

func optionalNumber(v *float64, show func(*float64) string) cellView {
	if v == nil {
		return cellView{Text: dash}
	}
	return figure(show(v), *v)
}

func heads(left int, titles ...string) []headView {
	h := make([]headView, len(titles))
	for i, t := range titles {
		h[i] = headView{Text: t, Left: i < left}
	}
	return h
}

// shareTable is nil where nothing was counted.
func shareTable(r Report) *tableView {
	if n, _ := requestsOf(r); n == 0 {
		return nil
	}
	t := &tableView{
		Caption: "Requests by backend.", Sortable: true,
		Head: heads(1, "Backend", "Weight", "Expected", "Observed", "Likely range", "Off by (points)"),
	}
	if r.Load != nil {
		t.Head = append(t.Head, headView{Text: "Errors"})
	}
	for i, b := range r.Backends {
		row := []cellView{
			{Text: b.Name, Heading: true, Key: chart.Key(i)},
			figure(fmt.Sprint(b.Weight), float64(b.Weight)),
			figure(fmt.Sprintf("%s (%s)", expectedColumn(b.Expected), shareColumn(b.ExpectedShare)), b.Expected),
			figure(observedColumn(b), float64(b.Observed)),
			{Text: likelyRange(b.Interval)},
			{Text: dash},
		}
		if b.ObservedShare != nil {
			off := 100 * (*b.ObservedShare - b.ExpectedShare)
			row[5] = figure(fmt.Sprintf("%+.2f", off), off)
		}
		if b.Interval != nil && b.Interval.Low != nil {
			row[4].Sort = strconv.FormatFloat(*b.Interval.Low, 'g', -1, 64)
		}
		if r.Load != nil {
			row = append(row, figure(count(b.Errors), float64(b.Errors)))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// latencyTable is nil where nothing was timed.
func latencyTable(r Report) *tableView {
	t := &tableView{
		Caption: "Response times: from the instant at which a request was planned to be sent, so that waiting for a slow answer counts.",
		Head:    heads(1, "Backend", "Answers", "p50", "p90", "p99", "p99.9", "Slowest", "Service time p50", "Service time p99"), Sortable: true,
	}
	for i, b := range r.Backends {
		if b.Latency != nil {
			t.Rows = append(t.Rows, latencyRow(cellView{Text: b.Name, Heading: true, Key: chart.Key(i)}, *b.Latency))
		}
	}
	if r.Latency != nil && len(t.Rows) > 1 {
		t.Rows = append(t.Rows, latencyRow(cellView{Text: "all", Heading: true}, *r.Latency))
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return t
}

func latencyRow(name cellView, l Latency) []cellView {
	q, s := l.ResponseTime, l.ServiceTime
	return []cellView{
		name, figure(count(l.Requests), float64(l.Requests)), optionalNumber(q.P50Ms, ms), optionalNumber(q.P90Ms, ms),
		optionalNumber(q.P99Ms, ms), optionalNumber(q.P999Ms, ms), optionalNumber(q.MaxMs, ms), optionalNumber(s.P50Ms, ms), optionalNumber(s.P99Ms, ms),
	}
}

// errorTable is what went wrong, by backend and kind; nil with a sentence where nothing did.
func errorTable(r Report) (*tableView, string) {
	t := &tableView{
		Caption: "Requests that failed, were answered with a status of 400 and above, or named no backend.", Sortable: true,
		Head: heads(2, "Backend", "Kind", "Requests", "Of all"),
	}
	_, all := requestsOf(r)
	add := func(name cellView, kind string, n int64) {
		name.Heading = true
		t.Rows = append(t.Rows, []cellView{name, plain(kind), figure(count(n), float64(n)), figure(percentTight(float64(n)/float64(max(all, 1))), float64(n))})
	}
	for i, b := range r.Backends {
		for _, status := range slices.Sorted(maps.Keys(b.Statuses)) {
			if status >= "400" {
				add(cellView{Text: b.Name, Key: chart.Key(i)}, "status "+status, b.Statuses[status])
			}
		}
	}
	none := cellView{Text: "none named"}
	for _, class := range slices.Sorted(maps.Keys(r.Unattributed.Errors)) {
		add(none, class, r.Unattributed.Errors[class])
	}
	for _, status := range slices.Sorted(maps.Keys(r.Unattributed.Statuses)) {
		add(none, "answer of status "+status+" that names no backend", r.Unattributed.Statuses[status])
	}
	switch {
	case len(t.Rows) > 0:
		return t, ""
	case r.Unattributed.Requests > 0:
		return nil, plural(r.Unattributed.Requests, "request") + " named no backend; of what kind they were is not known."
	case all == 0:
		return nil, "No request was counted."
	case r.Load == nil:
		return nil, "Only counts were given: what went wrong is not known."
	}
	return nil, "None: each of " + plural(all, "request") + " was answered by a known backend, with a status below 400."
}

// checkTable is nil where nothing was checked.
func checkTable(checks []preflight.Result) *tableView {
	if len(checks) == 0 {
		return nil
	}
	t := &tableView{Caption: checksSummary(checks) + ".", Head: heads(5, "State", "Check", "What was seen", "What to do", "Id"), Sortable: true}
	for _, c := range checks {
		state := cellView{Text: symbol(c.Status, false) + " " + string(c.Status), State: string(c.Status), Left: true}
		todo := ""
		if c.Status != preflight.OK {
			todo = c.Hint
		}
		t.Rows = append(t.Rows, []cellView{state, plain(c.Name), plain(c.Seen), plain(todo), plain(c.ID)})
	}
	return t
}

// timeTable is the chart over time in numbers, for readers of whatever kind.
func timeTable(r Report) *tableView {
	if r.Series == nil || r.Series.OverTime == nil || r.Series.OverTime.Windows < 2 || r.Series.OverTime.Windows > 10*MaxWindows {
		return nil
	}
	o := r.Series.OverTime
	t := &tableView{Caption: "Requests by the window in which they were sent, in seconds since the first.", Head: heads(1, "From")}
	for _, b := range o.Backends {
		t.Head = append(t.Head, headView{Text: b.Backend})
	}
	t.Head = append(t.Head, headView{Text: "No backend"}, headView{Text: "Errors"})
	at := func(v []int64, i int) int64 {
		if i < len(v) {
			return v[i]
		}
		return 0
	}
	for i := range o.Windows {
		row := []cellView{{Text: secondsOf(float64(i)*o.WindowSeconds, o.WindowSeconds), Heading: true}}
		for _, b := range o.Backends {
			row = append(row, cellView{Text: count(at(b.Observed, i))})
		}
		t.Rows = append(t.Rows, append(row, cellView{Text: count(at(o.Unattributed, i))}, cellView{Text: count(at(o.Errors, i))}))
	}
	return t
}
