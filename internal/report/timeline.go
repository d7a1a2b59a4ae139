package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of the charts of a timeline.
const (
	mostColumns  = 418              // of a chart: two units of its width each
	maxKindRows  = 6                // kinds of losses with a row of their own
	nearRoom     = 2.0              // seconds around what is shown from near
	nearGap      = 10.0             // seconds within which two moments are shown together
	nearLongest  = mostColumns / 10 // seconds that are shown from near, in bins of 100 ms
	mostNear     = 6                // charts from near
	numbersBound = 120              // rows of the table of numbers
)

// timelineBlocks are all of a drill's timeline, and the moments at which something happened from near.
func timelineBlocks(r Report) []Block {
	d := r.Drill
	bins := len(d.Timeline.Sent)
	if bins == 0 || d.Timeline.BinMs <= 0 {
		return nil
	}
	whole := columnsOf(d.Timeline, 0, bins, mostColumns)
	blocks := []Block{timelineFigure(r, whole, "timeline"), momentsTable(d)}
	near := whereToLook(d)
	if whole.per == 1 {
		near = nil
	}
	for i, w := range near[:min(len(near), mostNear)] {
		c := columnsOf(d.Timeline, w[0], w[1], mostColumns)
		f := timelineFigure(r, c, fmt.Sprintf("timeline-%d", i+1))
		f.Title = fmt.Sprintf("From %s to %s", secondsOf(c.starts(), 0.1), secondsOf(c.lasts(), 0.1))
		blocks = append(blocks, f)
	}
	if more := len(near) - mostNear; more > 0 {
		blocks = append(blocks, Paragraph(fmt.Sprintf("%d more stretches are not shown from near.", more)))
	}
	return append(blocks, chartNumbers(timelineNumbers(d)))
}

// columns are the columns of a chart: per bins each, of bins [from, to).
type columns struct {
	t             Timeline
	from, to, per int
	n             int
}

func columnsOf(t Timeline, from, to, most int) columns {
	return columns{t: t, from: from, to: to}.wide(max(1, (to-from+most-1)/most))
}

// wide are the same bins in columns of so many each.
func (c columns) wide(per int) columns {
	c.per, c.n = per, (c.to-c.from+per-1)/per
	return c
}

// bin is how long a bin is, in seconds.
func (c columns) bin() float64 { return float64(c.t.BinMs) / 1000 }

// starts and ends are the seconds that the columns go over.
func (c columns) starts() float64 { return float64(c.from) * c.bin() }
func (c columns) ends() float64   { return float64(c.from+c.n*c.per) * c.bin() }

// lasts is when the last bin ends, which the last column may go beyond.
func (c columns) lasts() float64 { return min(c.ends(), float64(c.to)*c.bin()) }

// edges are where columns begin, and where the last one ends.
func (c columns) edges() []float64 {
	edges := make([]float64, c.n+1)
	for i := range edges {
		edges[i] = float64(c.from+i*c.per) * c.bin()
	}
	return edges
}

// sums are what a list has for each column.
func (c columns) sums(v []int64) []float64 {
	sums := make([]float64, c.n)
	for i := range sums {
		sums[i] = float64(c.sum(v, i))
	}
	return sums
}

// span is column i as bins.
func (c columns) span(i int) (from, to int) {
	return c.from + i*c.per, min(c.to, c.from+(i+1)*c.per)
}

// sum adds up what a list has for column i. Lists of a document from elsewhere may be of any length and hold anything.
func (c columns) sum(v []int64, i int) int64 {
	from, to := c.span(i)
	var n int64
	for b := from; b < min(to, len(v)); b++ {
		n += max(v[b], 0)
	}
	return n
}

// middle is the middle one of a list's values in column i, most the largest; nil where there are none.
func (c columns) middle(v []*float64, i int) (middle, most *float64) {
	from, to := c.span(i)
	var have []*float64
	for b := from; b < min(to, len(v)); b++ {
		if v[b] != nil && *v[b] >= 0 {
			have = append(have, v[b])
		}
	}
	if len(have) == 0 {
		return nil, nil
	}
	slices.SortFunc(have, func(a, b *float64) int { return cmp.Compare(*a, *b) })
	return have[(len(have)-1)/2], have[len(have)-1]
}

// widthText is how much time a column is.
func (c columns) widthText() string {
	return (time.Duration(c.per) * time.Duration(c.t.BinMs) * time.Millisecond).String()
}

// lossesOf are the losses of each kind by bins, most first, those of few in one row. A document of an older version has
// them without their kinds.
func lossesOf(t Timeline) (kinds []string, lost [][]int64) {
	losses := slices.Clone(t.Losses)
	if len(losses) == 0 {
		whole := TimelineLoss{Kind: "any kind", Lost: t.Lost}
		for i := range t.Lost {
			whole.Bins = append(whole.Bins, int64(i))
		}
		losses = append(losses, whole)
	}
	// Nothing is believed of bins and numbers: a document may come from elsewhere.
	each := func(l TimelineLoss, take func(bin int, n int64)) {
		for i, bin := range l.Bins {
			if bin >= 0 && bin < int64(len(t.Sent)) && i < len(l.Lost) && l.Lost[i] > 0 {
				take(int(bin), l.Lost[i])
			}
		}
	}
	sums := make(map[string]int64, len(losses))
	for _, l := range losses {
		each(l, func(_ int, n int64) { sums[l.Kind] += n })
	}
	losses = slices.DeleteFunc(losses, func(l TimelineLoss) bool { return sums[l.Kind] == 0 })
	slices.SortStableFunc(losses, func(a, b TimelineLoss) int { return cmp.Compare(sums[b.Kind], sums[a.Kind]) })
	for i, l := range losses {
		row := min(i, maxKindRows)
		if i <= maxKindRows {
			name := l.Kind
			if more := len(losses) - i; i == maxKindRows && more > 1 {
				name = fmt.Sprintf("%d other kinds", more)
			}
			kinds, lost = append(kinds, name), append(lost, make([]int64, len(t.Sent)))
		}
		each(l, func(bin int, n int64) { lost[row][bin] += n })
	}
	return kinds, lost
}

// whereToLook are the stretches of a drill, as bins, that are worth a look at full resolution: around its moments and
// losses.
func whereToLook(d *Drill) [][2]int {
	bin := float64(d.Timeline.BinMs) / 1000
	var moments, all []float64
	for _, m := range momentsOf(d) {
		moments = append(moments, m.at.AtSeconds)
	}
	all = slices.Clone(moments)
	for i, n := range d.Timeline.Lost {
		if n > 0 {
			all = append(all, float64(i)*bin)
		}
	}
	var out [][2]int
	for _, s := range together(all) {
		within := slices.DeleteFunc(slices.Clone(moments), func(m float64) bool { return m < s[0] || m > s[1] })
		parts := [][2]float64{s}
		if s[1]-s[0] > nearLongest-2*nearRoom && len(within) > 0 { // a long outage: how it began and how it ended
			parts = together(within)
		}
		for _, p := range parts {
			last := float64(len(d.Timeline.Sent)) // as numbers first: a document may have any
			from := int(min(max(0, (p[0]-nearRoom)/bin), last))
			to := int(min(max(0, (min(p[1], p[0]+nearLongest-2*nearRoom)+nearRoom)/bin+1), last))
			if from < to {
				out = append(out, [2]int{from, to})
			}
		}
	}
	return out
}

// together joins instants that are near to each other.
func together(at []float64) [][2]float64 {
	slices.Sort(at)
	var out [][2]float64
	for _, v := range at {
		if n := len(out); n > 0 && v-out[n-1][1] <= nearGap {
			out[n-1][1] = v
			continue
		}
		out = append(out, [2]float64{v, v})
	}
	return out
}

// moment is an instant that the analysis found.
type moment struct {
	Letter  string
	backend string
	what    string
	at      Instant
}

// momentsOf are the moments of all failovers, in order of time, with letters.
func momentsOf(d *Drill) []moment {
	var out []moment
	for _, f := range d.Failovers {
		add := func(at *Instant, what string) {
			if at != nil {
				out = append(out, moment{backend: f.Backend, what: what, at: *at})
			}
		}
		if f.FirstError == nil {
			add(&f.Silent, "last answer")
		}
		add(f.FirstError, "first request lost")
		add(f.TakenOver, "the others carried all, by the "+f.By)
		add(f.Recovered, "answers again")
		add(f.BackToSplit, "back to the declared split")
	}
	slices.SortStableFunc(out, func(a, b moment) int { return cmp.Compare(a.at.AtSeconds, b.at.AtSeconds) })
	for i := range out {
		out[i].Letter = letters(i)
	}
	return out
}

// letters counts A to Z, AA, AB and so on.
func letters(i int) string {
	s := ""
	for i++; i > 0; i = (i - 1) / 26 {
		s = string(rune('A'+(i-1)%26)) + s
	}
	return s
}

func momentsTable(d *Drill) Table {
	t := Table{
		Caption: "The moments that were found, by their letters in the chart, in seconds since the first request.",
		Columns: headings(3, "Moment", "Backend", "What", "At", "Likely range"),
	}
	for _, m := range momentsOf(d) {
		likely := fmt.Sprintf("%s to %s", secondsOf(m.at.LowSeconds, 0.01), secondsOf(m.at.HighSeconds, 0.01))
		t.Rows = append(t.Rows, row(m.Letter, m.backend, m.what, secondsOf(m.at.AtSeconds, 0.1), likely))
	}
	return t
}

// timelineNumbers is the chart in numbers, for readers of whatever kind. No bin with losses is left out: each row
// counts them.
func timelineNumbers(d *Drill) Table {
	c := columnsOf(d.Timeline, 0, len(d.Timeline.Sent), numbersBound)
	t := Table{
		Caption: fmt.Sprintf("Requests by the %s in which they were sent, in seconds since the first. Times of answers in "+
			"ms: the middle one of the medians of 100 ms, and the longest.", c.widthText()),
		Columns: headings(1, "From", "Sent"),
	}
	for _, b := range d.Timeline.Backends {
		t.Columns = append(t.Columns, Column{Title: b.Backend})
	}
	kinds, lost := lossesOf(d.Timeline)
	for _, k := range kinds {
		t.Columns = append(t.Columns, Column{Title: "Lost: " + k})
	}
	t.Columns = append(t.Columns, headings(0, "p50", "Longest")...)
	for i := range c.n {
		from, _ := c.span(i)
		cells := row(secondsOf(float64(from)*c.bin(), c.bin()), count(c.sum(d.Timeline.Sent, i)))
		for _, b := range d.Timeline.Backends {
			cells = append(cells, countCell(c.sum(b.Answered, i)))
		}
		for _, l := range lost {
			cells = append(cells, countCell(c.sum(l, i)))
		}
		p50, _ := c.middle(d.Timeline.P50Ms, i)
		_, most := c.middle(d.Timeline.MaxMs, i)
		t.Rows = append(t.Rows, append(cells, row(known(p50, msNumber), known(most, msNumber))...))
	}
	return t
}

// timelineSummary is the chart in words.
func timelineSummary(d *Drill, c columns) string {
	s := []string{fmt.Sprintf("Timeline from %s to %s, in columns of %s", secondsOf(c.starts(), 0.1),
		secondsOf(c.lasts(), 0.1), c.widthText())}
	var sent, lost int64
	for i := range c.n {
		sent, lost = sent+c.sum(c.t.Sent, i), lost+c.sum(c.t.Lost, i)
	}
	s = append(s, fmt.Sprintf("%s sent, %s lost", plural(sent, "request"), count(lost)))
	for _, m := range momentsOf(d) {
		if at := m.at.AtSeconds; at >= c.starts() && at <= c.ends() {
			s = append(s, fmt.Sprintf("%s: %s of %s at %s", m.Letter, m.what, m.backend, secondsOf(at, 0.1)))
		}
	}
	return strings.Join(s, "; ") + ". The numbers are in the tables below."
}
