package report

import (
	"fmt"
	"math"
	"strings"
)

// timelineChart is three panels over one axis of time: whose answers came, what was lost, and how long answers took; and what
// happened, across all of them.
type timelineChart struct {
	ID, Title, Summary, Caption                        string
	Height, Left, Right, Top, Bottom, XText, XTitle, X string
	Tall                                               string // from top to bottom

	XTicks, YTicks []tick
	Panels         []panelView
	Shares         []areaView
	Declared       string // where the weights put the borders between shares
	Losses         []areaView
	P50, Longest   string
	Bands          []bandView
	Moments        []flagView
	Events         []flagView
	Keys           []areaView
}

// panelView is the frame of one panel.
type panelView struct{ Title, TitleAt, Top, Height string }

// areaView is something filled: the share of a backend, or the losses of a kind.
type areaView struct {
	Name, TextAt string
	Class        string // of the style
	Path         string
}

// bandView is where a moment may have been.
type bandView struct{ At, Width string }

// flagView is a line across the panels with what it is called by, and a head whose shape says its kind.
type flagView struct{ At, Text, TextAt, Head string }

// Places of the panels, in units.
const (
	flagEvents, flagMoments = 14.0, 31.0
	shareTop, shareBottom   = 62.0, 202.0
	lossesTop               = 236.0 // of the rows of losses
	lossRow, lossBar        = 34.0, 20.0
	timesHeight             = 90.0
	panelGap                = 34.0
)

// pen draws a chart of columns: it knows where time is.
type pen struct {
	columns
	f frame
}

func (p pen) x(seconds float64) float64 { return p.f.x(seconds) }
func (p pen) edge(i int) float64        { return p.x(p.starts() + float64(i*p.per)*p.bin()) }

func timelineChartOf(r Report, c columns, id string) *timelineChart {
	d := r.Drill
	p := pen{columns: c, f: frame{x0: c.starts(), x1: c.ends()}}
	kinds, lost := lossesOf(d.Timeline)
	v := &timelineChart{
		ID: id, Summary: timelineSummary(d, c), Caption: timelineCaption(d, c), Left: at(lineLeft), Right: at(lineRight), X: "seconds since the first request",
		Title: fmt.Sprintf("From %s to %s", secondsOf(c.starts(), 0.1), secondsOf(min(c.ends(), float64(c.to)*c.bin()), 0.1)), Top: at(flagMoments + 6),
	}
	shown := p
	if c.per > 1 {
		shown = p.coarser()
	}
	shown.shares(v, r)
	top := p.losses(v, kinds, lost)
	bottom := p.times(v, top)
	v.Tall = at(bottom - flagMoments - 6)
	v.Bottom, v.XText, v.XTitle, v.Height = at(bottom), at(bottom+19), at(bottom+38), at(bottom+46)
	step := niceStep(c.ends()-c.starts(), 10)
	for s := math.Ceil(c.starts()/step-1e-9) * step; s <= c.ends()+1e-9; s += step {
		v.XTicks = append(v.XTicks, tick{At: at(p.x(s)), Text: numberOf(s, step)})
	}
	p.moments(v, d)
	p.events(v, d)
	return v
}

// A share of few requests says little: there are leastShares in a column on average, where leastColumns remain.
const leastShares, leastColumns = 25, 100

// coarser has columns for shares.
func (p pen) coarser() pen {
	var sent int64
	for i := range p.n {
		sent += p.sum(p.t.Sent, i)
	}
	times := 1
	for sent*int64(times) < leastShares*int64(p.n) && p.n/(times+1) >= leastColumns {
		times++
	}
	p.per *= times
	p.n = (p.to - p.from + p.per - 1) / p.per
	return p
}

// panel adds a frame with its title and returns nothing else: what is inside is the caller's.
func (v *timelineChart) panel(title string, top, bottom float64) {
	v.Panels = append(v.Panels, panelView{Title: title, TitleAt: at(top - 8), Top: at(top), Height: at(bottom - top)})
}

// shares draws the requests of each column: from below the answers of each backend, of none that is known, and the losses.
func (p pen) shares(v *timelineChart, r Report) {
	v.panel("Of the requests sent in "+p.widthText()+": answered by each backend, and lost", shareTop, shareBottom)
	y := func(share float64) float64 { return shareBottom - (shareBottom-shareTop)*min(max(share, 0), 1) }
	for _, s := range []float64{0, 0.5, 1} {
		v.YTicks = append(v.YTicks, tick{At: at(y(s)), TextAt: at(y(s) + 4), Text: percentTight(s)})
	}
	below, above := make([]float64, p.n), make([]float64, p.n)
	has := make([]bool, p.n)
	total := make([]float64, p.n)
	for i := range p.n {
		total[i] = float64(p.sum(p.t.Sent, i))
		has[i] = total[i] > 0
	}
	put := func(name, class string, part func(i int) float64) {
		drawn := false
		for i := range p.n {
			if has[i] {
				above[i] = below[i] + part(i)/total[i]
				drawn = drawn || part(i) > 0
			}
		}
		if drawn {
			a := areaView{Name: name, Class: class, Path: p.area(y, below, above, has)}
			v.Shares, v.Keys = append(v.Shares, a), append(v.Keys, a)
		}
		copy(below, above)
	}
	for i, b := range p.t.Backends {
		put(b.Backend, fmt.Sprintf("area s%d", i%palette), func(c int) float64 { return float64(p.sum(b.Answered, c)) })
	}
	put("answered by nobody known", "area none", func(c int) float64 {
		n := total[c]*(1-below[c]) - float64(p.sum(p.t.Lost, c))
		return max(0, math.Round(n))
	})
	put("lost", "lost", func(c int) float64 { return float64(p.sum(p.t.Lost, c)) })
	v.Declared = p.declared(y, r)
}

// area is the path between two heights of each column. Neighbours are one shape, so that no seams show.
func (p pen) area(y func(float64) float64, below, above []float64, has []bool) string {
	var b pathBuilder
	drawn := func(i int) bool { return has[i] && above[i] > below[i] }
	for i := 0; i < p.n; i++ {
		if !drawn(i) {
			continue
		}
		end := i
		for end < p.n && drawn(end) {
			end++
		}
		b.to("M", p.edge(i), y(below[i]))
		for c := i; c < end; c++ {
			if c == i || at(y(above[c])) != at(y(above[c-1])) {
				b.to("V", y(above[c]))
			}
			if c+1 == end || at(y(above[c+1])) != at(y(above[c])) {
				b.to("H", p.edge(c+1))
			}
		}
		for c := end - 1; c >= i; c-- {
			if c == end-1 || at(y(below[c])) != at(y(below[c+1])) {
				b.to("V", y(below[c]))
			}
			if c > i && at(y(below[c-1])) != at(y(below[c])) {
				b.to("H", p.edge(c))
			}
		}
		b.WriteByte('Z')
		i = end
	}
	return b.String()
}

// declared are the borders between the shares as the weights have them, from one change of the weights to the next.
func (p pen) declared(y func(float64) float64, r Report) string {
	type since struct {
		at float64
		w  map[string]int64
	}
	first := since{at: math.Inf(-1), w: map[string]int64{}}
	for _, b := range r.Backends {
		first.w[b.Name] = b.Weight
	}
	all := []since{first}
	for _, e := range r.Drill.Events {
		if e.Weights != nil {
			all = append(all, since{e.AtSeconds, e.Weights})
		}
	}
	var b pathBuilder
	for i, s := range all {
		from, to := max(s.at, p.starts()), p.ends()
		if i+1 < len(all) {
			to = min(to, all[i+1].at)
		}
		total, sum := 0.0, 0.0
		for _, x := range p.t.Backends {
			total += float64(max(s.w[x.Backend], 0))
		}
		for n, x := range p.t.Backends {
			sum += float64(max(s.w[x.Backend], 0))
			if n+1 == len(p.t.Backends) || total == 0 || from >= to {
				break
			}
			b.to("M", p.x(from), y(sum/total))
			b.to("H", p.x(to))
		}
	}
	return b.String()
}

// losses draws a row of bars for each kind. A bar has a height and a width that can be seen, however few requests it is.
func (p pen) losses(v *timelineChart, kinds []string, lost [][]int64) (bottom float64) {
	most := int64(0)
	sums := make([]int64, len(lost))
	for k, l := range lost {
		for i := range p.n {
			n := p.sum(l, i)
			sums[k], most = sums[k]+n, max(most, n)
		}
	}
	if most == 0 {
		v.panel("No request was lost", lossesTop, lossesTop+4)
		return lossesTop + 4
	}
	top := lossesTop
	rows := 0
	for k, l := range lost {
		if sums[k] == 0 {
			continue
		}
		rows++
		base := top + lossRow*float64(rows) - 4
		var b pathBuilder
		for i := range p.n {
			if n := p.sum(l, i); n > 0 {
				left := p.edge(i)
				b.to("M", left, base)
				b.to("V", base-max(leastOfLoss, lossBar*float64(n)/float64(most)))
				b.to("H", max(p.edge(i+1), left+2))
				b.to("V", base)
				b.WriteByte('Z')
			}
		}
		v.Losses = append(v.Losses, areaView{Name: kinds[k] + ": " + count(sums[k]), TextAt: at(base - lossBar - 1), Class: "lost", Path: b.String()})
	}
	bottom = top + lossRow*float64(rows)
	v.panel(fmt.Sprintf("Lost requests by kind, at most %s in %s", count(most), p.widthText()), top, bottom)
	return bottom
}

// times draws how long answers took, on a logarithmic axis.
func (p pen) times(v *timelineChart, above float64) (bottom float64) {
	top := above + panelGap
	bottom = top + timesHeight
	middle, most := make([]float64, p.n), make([]float64, p.n)
	state := make([]int, p.n) // 0: nothing was sent, 1: nothing was answered, 2: known
	low, high := math.Inf(1), math.Inf(-1)
	for i := range p.n {
		m, x, ok := p.middle(p.t.P50Ms, i)
		if _, longest, known := p.columns.middle(p.t.MaxMs, i); known {
			x = longest
		}
		switch {
		case ok:
			middle[i], most[i], state[i] = logMs(m), logMs(x), 2
			low, high = min(low, middle[i]), max(high, most[i])
		case p.sum(p.t.Sent, i) > 0:
			state[i] = 1
		}
	}
	if math.IsInf(low, 1) {
		v.panel("No answer was timed", top, top+4)
		return top + 4
	}
	v.panel("Response time: the median, and the longest", top, bottom)
	low, high = floorLog(low), ceilLog(high)
	if high <= low {
		high = low + 1
	}
	y := func(value float64) float64 { return bottom - timesHeight*(value-low)/(high-low) }
	for power := math.Floor(low); power <= math.Ceil(high); power++ {
		for _, m := range []float64{1, 2, 5} {
			if t := math.Log10(m) + power; t >= low-1e-9 && t <= high+1e-9 && (m == 1 || high-low < 1.2) {
				v.YTicks = append(v.YTicks, tick{At: at(y(t)), TextAt: at(y(t) + 4), Text: axisMs(math.Pow(10, t))})
			}
		}
	}
	v.P50, v.Longest = p.line(y, middle, state), p.line(y, most, state)
	return bottom
}

// line goes on over columns in which nothing was sent, and breaks where nothing was answered. A point by itself is a dot.
func (p pen) line(y func(float64) float64, values []float64, state []int) string {
	var b pathBuilder
	open, alone := false, false
	dot := func() {
		if alone {
			b.WriteString("h0")
		}
		open, alone = false, false
	}
	for i := range p.n {
		switch state[i] {
		case 1:
			dot()
		case 2:
			letter := "L"
			if !open {
				letter = "M"
			}
			alone = !open
			open = true
			b.to(letter, (p.edge(i)+p.edge(i+1))/2, y(values[i]))
		}
	}
	dot()
	return b.String()
}

// moments draws what the analysis found, with where it may have been.
func (p pen) moments(v *timelineChart, d *Drill) {
	var heads []flagHead
	for _, m := range momentsOf(d) {
		if m.at.AtSeconds < p.starts() || m.at.AtSeconds > p.ends() {
			continue
		}
		low, high := p.x(m.at.LowSeconds), p.x(m.at.HighSeconds)
		if high-low > 1.5 {
			v.Bands = append(v.Bands, bandView{At: at(low), Width: at(high - low)})
		}
		heads = append(heads, flagHead{p.x(m.at.AtSeconds), m.Letter, "moment"})
	}
	v.Moments = flags(heads, flagMoments)
}

// events draws what was marked and what the API told, by the numbers of the list below.
func (p pen) events(v *timelineChart, d *Drill) {
	var heads []flagHead
	for i, e := range d.Events {
		if e.AtSeconds >= p.starts() && e.AtSeconds <= p.ends() {
			heads = append(heads, flagHead{p.x(e.AtSeconds), fmt.Sprint(i + 1), e.Kind})
		}
	}
	v.Events = flags(heads, flagEvents)
}

// flagHead is a flag before it is known whether there is room for its text.
type flagHead struct {
	x          float64
	text, kind string
}

// Room that a flag needs, in units.
const flagHeadRoom, flagLetter = 16.0, 7.5

// flags gives each line its head. Heads that would cover each other are one, named by the first and the last.
func flags(heads []flagHead, y float64) []flagView {
	var out []flagView
	for i := 0; i < len(heads); {
		end, text := i+1, heads[i].text
		for end < len(heads) && heads[end].x < heads[i].x+flagHeadRoom+flagLetter*float64(len(text)) {
			text = heads[i].text + "-" + heads[end].text
			end++
		}
		for k := i; k < end; k++ {
			out = append(out, flagView{At: at(heads[k].x)})
		}
		first := &out[len(out)-(end-i)]
		first.Text, first.TextAt, first.Head = text, at(heads[i].x), headPath(heads[i].kind, heads[i].x, y)
		if first.Head != "" {
			first.TextAt = at(heads[i].x + 8)
		}
		i = end
	}
	return out
}

// headPath is a shape for each kind, above the line: what a colour would say to some.
func headPath(kind string, x, y float64) string {
	switch kind {
	case "mark":
		return fmt.Sprintf("M%s %sl5 -8h-10Z", at(x), at(y+4)) // a pin
	case "weights":
		return fmt.Sprintf("M%s %sl5 -5l-5 -5l-5 5Z", at(x), at(y+4)) // a diamond
	case "endpoints":
		return fmt.Sprintf("M%s %sa4.5 4.5 0 1 0 0.1 0Z", at(x), at(y+4)) // a circle
	case "moment", "": // the text alone
		return ""
	}
	return fmt.Sprintf("M%s %sh8v-8h-8Z", at(x-4), at(y+4)) // a square
}

func timelineCaption(d *Drill, c columns) string {
	s := fmt.Sprintf("Each column is %s of sending.", c.widthText())
	if c.from > 0 || c.to < len(d.Timeline.Sent) {
		return s // the rest stands below the chart of the whole
	}
	if c.per > 1 {
		s += " Every loss of a column and its longest answer are drawn, and of its medians the middle one."
	}
	s += " Dashed across: the borders that the weights declare."
	if len(d.Events) > 0 {
		s += " Numbers above are what happened, in the list below (pin: mark, diamond: weights, circle: endpoints, square: another object)."
	}
	if len(momentsOf(d)) > 0 {
		s += " Letters are the moments that were found; a shaded band is where a moment may have been."
	}
	return s
}

// numberOf writes a multiple of a step with as many digits as it needs.
func numberOf(v, step float64) string {
	if v = math.Round(v/step) * step; v == 0 {
		v = 0 // there is a -0 too
	}
	return strings.TrimSuffix(secondsOf(v, step), "s")
}
