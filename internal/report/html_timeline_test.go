package report

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// longDrill is a drill of ten minutes at so many requests in each 100 ms, all answered by podinfo.
func longDrill(each int64) Report {
	const bins = 6000
	in := drillInput()
	t := Timeline{
		BinMs: 100, Sent: make([]int64, bins), Lost: make([]int64, bins), P50Ms: make([]*float64, bins), MaxMs: make([]*float64, bins),
		Backends: []TimelineShare{{Backend: "podinfo", Answered: make([]int64, bins)}},
	}
	for i := range bins {
		v := 1 + float64(i%13)/10
		t.Sent[i], t.Backends[0].Answered[i], t.P50Ms[i], t.MaxMs[i] = each, each, &v, &v
	}
	in.Drill.Timeline, in.Drill.Failovers, in.Drill.Events = t, nil, nil
	return Build(in)
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

var bar = regexp.MustCompile(`M([\d.]+) ([\d.]+)V([\d.]+)H([\d.]+)V`)

// bars are the bars of a row as left, right and height.
func barsOf(t *testing.T, path string) (out [][3]float64) {
	t.Helper()
	for _, m := range bar.FindAllStringSubmatch(path, -1) {
		var v [4]float64
		for i := range v {
			var err error
			if v[i], err = strconv.ParseFloat(m[i+1], 64); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, [3]float64{v[0], v[3], v[1] - v[2]})
	}
	return out
}

// No bin with losses is hidden, whatever lies beside it: each has a bar above it that can be seen, in the row of its kind, and
// kinds that are too many for rows of their own share one.
func TestTimelineHidesNoLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	r := longDrill(1000)
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
	whole := timelineOf(r).Whole
	if len(whole.Losses) != maxKindRows+1 {
		t.Fatalf("%d rows", len(whole.Losses))
	}
	rows := map[string][][3]float64{}
	for _, l := range whole.Losses {
		name, _, _ := strings.Cut(l.Name, ":")
		rows[name] = barsOf(t, l.Path)
	}
	f := frame{x0: 0, x1: 600}
	for _, l := range all {
		bars, ok := rows[l.kind]
		if !ok {
			bars, ok = rows["4 other kinds"]
		}
		if !ok {
			t.Fatalf("no row of %s: %v", l.kind, whole.Losses)
		}
		x := f.x(float64(l.bin) / 10)
		found := false
		for _, b := range bars {
			found = found || b[0]-0.1 <= x && x <= b[1]+0.1 && b[2] >= leastOfLoss-0.1 && b[1]-b[0] >= 1.9
		}
		if !found {
			t.Errorf("the loss of %s in bin %d has no bar at %.1f: %v", l.kind, l.bin, x, bars)
		}
	}
}

// A single lost request of 30,000 is shown from near in its own bin of 100 ms, with its kind.
func TestTimelineLooksFromNear(t *testing.T) {
	r := longDrill(5)
	lose(&r, "timeout", 4321)
	v := timelineOf(r)
	if len(v.Near) != 1 || v.Near[0].Title != "From 430.1s to 434.2s" {
		t.Fatalf("%d charts from near: %+v", len(v.Near), v.Near)
	}
	near := v.Near[0]
	if len(near.Losses) != 1 || near.Losses[0].Name != "timeout: 1" || len(barsOf(t, near.Losses[0].Path)) != 1 {
		t.Errorf("losses %+v", near.Losses)
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
	long := longDrill(5)
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

// The page of ten minutes stays small: drawings grow with their width, not with the drill.
func TestTimelineIsSmall(t *testing.T) {
	r := longDrill(5)
	for i := 600; i < 1200; i++ {
		lose(&r, []string{"timeout", "http 502", "dial"}[i%3], i)
	}
	page := asHTML(t, r)
	drawn := len(withoutConstants(t, page))
	if drawn > 120_000 || len(page) > 400_000 {
		t.Errorf("the page has %d bytes, %d of them without scripts and data", len(page), drawn)
	}
	t.Logf("%d bytes, %d of them without scripts and data", len(page), drawn)
}

// The borders that the weights declare follow the changes of the weights.
func TestTimelineDrawsTheWeights(t *testing.T) {
	v := timelineOf(Build(drillInput()))
	// 48 s in 480 bins, two to a column: at 14.1 s podinfo-east was to get all.
	x := at(frame{x0: 0, x1: 48}.x(14.1))
	if want := "M56 132H" + x + "M" + x + " 202H892"; v.Whole.Declared != want {
		t.Errorf("declared %q, want %q", v.Whole.Declared, want)
	}
	if len(v.Whole.Events) != 2 || len(v.Whole.Moments) != 4 || v.Whole.Moments[0].Text != "A" || len(v.Moments.Rows) != 4 {
		t.Errorf("events %+v, moments %+v", v.Whole.Events, v.Whole.Moments)
	}
}

// However many things happen at once, each has its line, and the heads do not cover each other.
func TestFlagsKeepEveryLine(t *testing.T) {
	var heads []flagHead
	for i := range 300 {
		heads = append(heads, flagHead{x: 56 + float64(i*i%836), text: strconv.Itoa(i + 1), kind: "mark"})
	}
	out := flags(heads, flagEvents)
	if len(out) != len(heads) {
		t.Errorf("%d lines of %d", len(out), len(heads))
	}
	for i, h := range heads {
		if out[i].At != at(h.x) {
			t.Fatalf("line %d is at %s, want %s", i, out[i].At, at(h.x))
		}
	}
	if out[0].Text == "" {
		t.Errorf("the first head says %q", out[0].Text)
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
		in := drillInput()
		change(in.Drill)
		if odd := notDrawable.Find(withoutConstants(t, asHTML(t, Build(in)))); odd != nil {
			t.Errorf("%s: a number that is none is drawn: %s", name, odd)
		}
	}
}
