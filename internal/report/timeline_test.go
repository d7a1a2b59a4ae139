package report

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/internal/chart"
)

// longDrill is a drill of ten minutes at so many requests in each 100 ms, all answered by podinfo.
func longDrill(tb testing.TB, each int64) Report {
	const bins = 6000
	r := readDocument(tb, "drill")
	t := Timeline{
		BinMs: 100, Sent: make([]int64, bins), Lost: make([]int64, bins), P50Ms: make([]*float64, bins), MaxMs: make([]*float64, bins),
		Backends: []TimelineShare{{Backend: "podinfo", Answered: make([]int64, bins)}},
	}
	for i := range bins {
		v := 1 + float64(i%13)/10
		t.Sent[i], t.Backends[0].Answered[i], t.P50Ms[i], t.MaxMs[i] = each, each, &v, &v
	}
	r.Drill.Timeline, r.Drill.Failovers, r.Drill.Events = t, nil, nil
	return r
}

// timelineShown is a drill's timeline by what its blocks are.
type timelineShown struct {
	Whole   *Figure
	Near    []*Figure
	Moments Table
	More    string
}

func timelineOf(r Report) timelineShown {
	var v timelineShown
	for _, b := range timelineBlocks(r) {
		switch b := b.(type) {
		case *Figure:
			if v.Whole == nil {
				v.Whole = b
			} else {
				v.Near = append(v.Near, b)
			}
		case Table:
			v.Moments = b
		case Paragraph:
			v.More = string(b)
		}
	}
	return v
}

// drawn is every figure of a report.
func drawn(r Report) string {
	var b strings.Builder
	for _, s := range r.Outline().Sections {
		for _, block := range s.Blocks {
			if f, ok := block.(*Figure); ok {
				b.WriteString(string(f.Chart.SVG(f.Summary)))
			}
		}
	}
	return b.String()
}

func lose(r *Report, kind string, bin int) {
	t := &r.Drill.Timeline
	t.Lost[bin]++
	t.Backends[0].Answered[bin]--
	for i := range t.Losses {
		if t.Losses[i].Kind == kind {
			t.Losses[i].Bins, t.Losses[i].Lost = append(t.Losses[i].Bins, int64(bin)), append(t.Losses[i].Lost, 1)
			return
		}
	}
	t.Losses = append(t.Losses, TimelineLoss{Kind: kind, Bins: []int64{int64(bin)}, Lost: []int64{1}})
}

// plotOf is a figure's panels.
func plotOf(t *testing.T, f *Figure) chart.Plot {
	t.Helper()
	plot, ok := f.Chart.(chart.Plot)
	if !ok {
		t.Fatalf("the figure is a %T", f.Chart)
	}
	return plot
}

// lossesIn are the rows of losses of a chart, by what they are called: how many requests each column has.
func lossesIn(t *testing.T, f *Figure) map[string]chart.Stack {
	t.Helper()
	rows := map[string]chart.Stack{}
	for _, p := range plotOf(t, f).Panels {
		if p.Stack != nil && p.Stack.Seen {
			name, _, _ := strings.Cut(strings.TrimPrefix(p.Title, "Lost, "), ":")
			rows[name] = *p.Stack
		}
	}
	return rows
}

// No bin with losses is hidden, whatever lies beside it: its column is drawn so that it can be seen, in the row of
// its kind, and kinds that are too many for rows of their own share one.
func TestTimelineHidesNoLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	r := longDrill(t, 1000)
	type loss struct {
		kind string
		bin  int
	}
	var all []loss
	for i := range 60 {
		l := loss{fmt.Sprintf("http %d", 500+i%9), rng.IntN(6000)}
		lose(&r, l.kind, l.bin)
		all = append(all, l)
	}
	for range 900 { // one kind that is lost by hundreds at once: bars of others must not vanish beside it
		lose(&r, "timeout", 3000)
	}
	rows := lossesIn(t, timelineOf(r).Whole)
	if len(rows) != maxKindRows+1 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, l := range all {
		row, ok := rows[l.kind]
		if !ok {
			row, ok = rows["4 other kinds"]
		}
		if !ok {
			t.Fatalf("no row of %s: %v", l.kind, rows)
		}
		at := float64(l.bin) / 10
		column, _ := slices.BinarySearch(row.Edges, at+0.05) // the edge after it
		if n := row.Parts[0].Values[column-1]; n < 1 || n > 900 {
			t.Errorf("the loss of %s in bin %d: its column from %v on has %v", l.kind, l.bin, row.Edges[column-1], n)
		}
	}
}

// A single lost request of 30,000 is shown from near in its own bin of 100 ms, with its kind.
func TestTimelineLooksFromNear(t *testing.T) {
	r := longDrill(t, 5)
	lose(&r, "timeout", 4321)
	v := timelineOf(r)
	if len(v.Near) != 1 || v.Near[0].Title != "From 430.1s to 434.2s" {
		t.Fatalf("%d charts from near: %+v", len(v.Near), v.Near)
	}
	near := v.Near[0]
	row := lossesIn(t, near)["timeout"]
	lost := 0.0
	for _, part := range row.Parts {
		lost += part.Values[4321-4301]
	}
	if lost != 1 {
		t.Errorf("losses %+v", row)
	}
	if !strings.Contains(near.Caption, "100ms") || !strings.Contains(v.Whole.Caption, "1.5s") {
		t.Errorf("captions %q and %q", near.Caption, v.Whole.Caption)
	}
	// Losses everywhere are no reason for hundreds of charts.
	for i := 0; i < 6000; i += 250 {
		lose(&r, "timeout", i)
	}
	if v := timelineOf(r); len(v.Near) != mostNear || v.More == "" {
		t.Errorf("%d charts from near, %q", len(v.Near), v.More)
	}
	// A long outage is shown from near where it began and where it ended.
	long := longDrill(t, 5)
	at := func(s float64) *Instant { return &Instant{AtSeconds: s, LowSeconds: s, HighSeconds: s} }
	for i := 1000; i < 3000; i++ {
		lose(&long, "timeout", i)
	}
	long.Drill.Failovers = []Failover{{Backend: "podinfo", Silent: *at(99.9), FirstError: at(100), Recovered: at(300), BackToSplit: at(301)}}
	var titles []string
	for _, c := range timelineOf(long).Near {
		titles = append(titles, c.Title)
	}
	if got := strings.Join(titles, ", "); got != "From 98.0s to 102.1s, From 298.0s to 303.1s" {
		t.Errorf("from near: %s", got)
	}
}

// Figures of ten minutes stay small: drawings grow with their width, not with the drill.
func TestTimelineIsSmall(t *testing.T) {
	r := longDrill(t, 5)
	for i := 600; i < 1200; i++ {
		lose(&r, []string{"timeout", "http 502", "dial"}[i%3], i)
	}
	if n := len(drawn(r)); n > 120_000 {
		t.Errorf("the figures have %d bytes", n)
	}
}

// The borders that the weights declare follow the changes of the weights.
func TestTimelineDrawsTheWeights(t *testing.T) {
	v := timelineOf(readDocument(t, "drill"))
	plot := plotOf(t, v.Whole)
	want := []chart.Rule{{Y: 0.5, To: 14.1}, {Y: 0, From: 14.1, To: 48}} // at 14.1 s podinfo-east was to get all
	if diff := cmp.Diff(want, plot.Panels[0].Rules); diff != "" {
		t.Errorf("declared (-want +got):\n%s", diff)
	}
	if len(plot.Events) != 2 || len(plot.Moments) != 4 || plot.Moments[0].Text != "A" || len(v.Moments.Rows) != 4 {
		t.Errorf("events %+v, moments %+v", plot.Events, plot.Moments)
	}
}

var notDrawable = regexp.MustCompile(`="[^"]*(NaN|Inf)[^"]*"`)

// A document from elsewhere may hold anything: it is drawn as far as it goes.
func TestTimelineBearsAnything(t *testing.T) {
	huge, negative := 1e300, -1.0
	for name, change := range map[string]func(*Drill){
		"no bins":           func(d *Drill) { d.Timeline.BinMs = 0 },
		"bins of years":     func(d *Drill) { d.Timeline.BinMs = 1 << 60 },
		"one bin":           func(d *Drill) { d.Timeline.Sent = d.Timeline.Sent[:1] },
		"nothing sent":      func(d *Drill) { d.Timeline.Sent = make([]int64, 480) },
		"lists cut short":   func(d *Drill) { d.Timeline.Lost, d.Timeline.P50Ms, d.Timeline.Backends[0].Answered = nil, nil, nil },
		"lists too long":    func(d *Drill) { d.Timeline.Sent = d.Timeline.Sent[:3] },
		"negative":          func(d *Drill) { d.Timeline.Sent[4], d.Timeline.Lost[5], d.Timeline.P50Ms[6] = -5, -5, &negative },
		"times without end": func(d *Drill) { d.Timeline.P50Ms[6], d.Timeline.MaxMs[7] = &huge, &huge },
		"bins of losses": func(d *Drill) {
			d.Timeline.Losses = []TimelineLoss{{Kind: hostile, Bins: []int64{-1, 1 << 60, 3, 4}, Lost: []int64{1, 1, 1}}}
		},
		"instants": func(d *Drill) {
			d.Failovers[0].FirstError, d.Failovers[0].Recovered = &Instant{AtSeconds: huge}, &Instant{AtSeconds: -huge, HighSeconds: huge}
		},
		"events": func(d *Drill) {
			d.Events = []DrillEvent{{AtSeconds: huge, Kind: hostile, Text: hostile}, {AtSeconds: 3, Kind: hostile, Weights: map[string]int64{"x": -1}}}
		},
	} {
		r := readDocument(t, "drill")
		change(r.Drill)
		if odd := notDrawable.FindString(drawn(r)); odd != "" {
			t.Errorf("%s: a number that is none is drawn: %s", name, odd)
		}
	}
}
