package report

import (
	"fmt"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/chart"
)

// specialView is what a report says that is not about the shares of one run: of a comparison of latencies, a drill, a watch.
type specialView struct {
	Sentences []string
	Sweep     *Figure // nil but for a sweep of rates
	Tables    []tableView
	ListTitle string
	List      []string
}

// specialOf is nil for a report about shares.
func specialOf(r Report) *specialView {
	if !special(r) {
		return nil
	}
	v := &specialView{Sentences: specialSentences(r)}
	if r.Comparison != nil {
		v.Sweep = sweepFigure(r.Comparison.Sweep)
	}
	for _, t := range specialTables(r) {
		if len(t) > 0 {
			v.Tables = append(v.Tables, plainTable("Response times in ms, with their likely ranges.", t[0], t[1:]))
		}
	}
	if !hasTimeline(r) { // whose own list is numbered
		v.ListTitle, v.List = specialList(r)
	}
	return v
}

// plainTable is a table of finished text, whose first column names the rows.
func plainTable(caption string, titles []string, rows [][]string) tableView {
	t := tableView{Caption: caption, Head: heads(1, titles...)}
	for _, row := range rows {
		cells := make([]cellView, len(row))
		for i, c := range row {
			cells[i] = cellView{Text: c, Heading: i == 0}
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// costView is what the gateway costs.
type costView struct {
	Sentences []string
	Chart     *Figure
	Table     *tableView
	Note      string
}

// costOf is nil where no backend is of another cluster.
func costOf(g *GatewayCost) *costView {
	if g == nil {
		return nil
	}
	v := &costView{Sentences: costSentences(g), Note: costNote(g)}
	if titles, rows := costRows(g); len(rows) > 0 {
		titles[0] = "Quantile"
		t := plainTable("Response times of each side and what the gateway adds, in ms, with likely ranges.", titles, rows)
		v.Table = &t
	}
	v.Chart = costFigure(g)
	return v
}

// podsTable is what each source pod sent; nil where there was one pod, or none is named.
func podsTable(r Report) *tableView {
	if r.Source == nil || len(r.Source.Pods) == 0 {
		return nil
	}
	t := &tableView{Caption: "Requests by the pod that sent them.", Sortable: true, Head: heads(1, "Source pod", "Requests")}
	for _, b := range r.Source.Pods[0].Backends {
		t.Head = append(t.Head, headView{Text: b.Name})
	}
	for _, title := range []string{"No backend", "Segments", "Lost"} {
		t.Head = append(t.Head, headView{Text: title})
	}
	for _, p := range r.Source.Pods {
		row := []cellView{{Text: p.Pod, Heading: true}, figure(count(p.Requests), float64(p.Requests))}
		for _, b := range p.Backends {
			share := figure(count(b.Observed), float64(b.Observed))
			if b.ObservedShare != nil {
				share = figure(fmt.Sprintf("%s (%s)", count(b.Observed), shareColumn(*b.ObservedShare)), *b.ObservedShare)
			}
			row = append(row, share)
		}
		t.Rows = append(t.Rows, append(row, figure(count(p.Unattributed), float64(p.Unattributed)),
			figure(count(int64(p.Segments)), float64(p.Segments)), figure(count(p.Lost), float64(p.Lost))))
	}
	return t
}

// podSentences say what the checks of the requests' order found about pods.
func podSentences(r Report) []string {
	var s []string
	for _, d := range r.Diagnostics {
		if d.Name == analyze.DiagnosticPods {
			text := d.Text
			if d.OK {
				text = "the pods agree: the shares that each of them saw differ by no more than chance"
			}
			s = append(s, capital(strings.TrimSuffix(text, "."))+".")
		}
	}
	return s
}

// witnessView is what the client's own proxy counted.
type witnessView struct {
	Sentence string
	Table    *tableView
	Findings []string
	Facts    []pair
}

// witnessOf is nil where nobody asked the proxy.
func witnessOf(w *Witness) *witnessView {
	if w == nil {
		return nil
	}
	v := &witnessView{Sentence: capital(witnessSentence(w)) + ".", Findings: w.Findings}
	if len(w.Draws) > 0 {
		t := tableView{Caption: "Draws that the client's proxy counted, the warm-up included, beside the answers that came.", Sortable: true, Head: heads(1, "Backend", "Drawn", "Share", "Answered")}
		for i, d := range w.Draws {
			share := cellView{Text: dash}
			if d.DrawnShare != nil {
				share = figure(shareColumn(*d.DrawnShare), *d.DrawnShare)
			}
			t.Rows = append(t.Rows, []cellView{
				{Text: d.Backend, Heading: true, Key: chart.Key(i)}, figure(count(d.Drawn), float64(d.Drawn)), share, figure(count(d.Answered), float64(d.Answered)),
			})
		}
		v.Table = &t
	}
	for _, f := range []pair{{"Proxy", w.Proxy}, {"Counter", w.Counter}, {"Read from", w.URL}, {"Cannot tell apart", w.Blurred}, {"What is counted", w.UnitWhy}} {
		if f.Text != "" {
			v.Facts = append(v.Facts, f)
		}
	}
	return v
}
