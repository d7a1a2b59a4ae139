package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Bounds of the chart over time.
const (
	maxLines = 24 // backends that are drawn; the table has all
	maxBands = 3  // backends whose band of chance is drawn: more would cover each other
	// bandNormal is the two-sided 99 % point of the normal distribution, for the band of chance: a guide for the eye, no test.
	bandNormal = 2.5758
)

// timeChart is nil with a sentence where there is nothing to draw.
func timeChart(r Report) (*lineChart, string) {
	if r.Series == nil || r.Series.OverTime == nil {
		return nil, "Not known: no times of sending were kept."
	}
	o := r.Series.OverTime
	if o.Windows < 2 || o.Windows > 10*MaxWindows || !(o.WindowSeconds > 1e-9) {
		return nil, "Too few requests for a chart over time."
	}
	totals := windowTotals(o)
	f := timeFrame(r, o, totals)
	c := f.chart("time")
	c.Summary, c.Caption, c.XLabel = timeSummary(r), timeCaption(r), "seconds since the first request"
	step := niceStep(f.y1-f.y0, 6)
	for v := math.Ceil(f.y0/step-1e-9) * step; v <= f.y1+1e-9; v += step {
		c.YTicks = append(c.YTicks, f.yTick(v, percentTight(max(v, 0))))
	}
	step = niceStep(f.x1, 10)
	for v := 0.0; v <= f.x1+1e-9; v += step {
		c.XTicks = append(c.XTicks, tick{At: at(f.x(v)), Text: strconv.FormatFloat(math.Round(v/step)*step, 'g', 6, 64)})
	}
	said := map[string]bool{}
	for i, b := range r.Backends {
		if w := f.yTick(b.ExpectedShare, "weight "+percentTight(b.ExpectedShare)); i < maxLines && !said[w.At] {
			said[w.At] = true
			w.TextAt = at(f.y(b.ExpectedShare) - 5)
			c.Weights = append(c.Weights, w)
			if len(said) <= maxBands && len(r.Backends) <= maxBands {
				c.Bands = append(c.Bands, f.band(o, totals, b.ExpectedShare))
			}
		}
	}
	for i, b := range o.Backends {
		if i == maxLines {
			break
		}
		xs, ys := sharesOverTime(o, totals, b.Observed)
		c.Lines = append(c.Lines, lineView{*keyOf(b.Backend, i), f.path(xs, ys)})
	}
	c.Keys = c.Lines
	c.Marks = marksOf(f, r.Series.Marks)
	return c, ""
}

// marksOf draws one mark with its text, and several by their numbers in the list below. What lies outside is in the list alone.
func marksOf(f frame, marks []Mark) []markView {
	var heads []flagHead
	for i, m := range marks {
		if m.AtSeconds >= f.x0 && m.AtSeconds <= f.x1 {
			heads = append(heads, flagHead{x: f.x(m.AtSeconds), text: strconv.Itoa(i + 1)})
		}
	}
	var out []markView
	for _, h := range flags(heads, 0) {
		v := markView{At: h.At, TextAt: h.TextAt, Anchor: "middle", Text: h.Text}
		if len(marks) == 1 {
			x := heads[0].x
			v.TextAt, v.Anchor, v.Text = at(x+4), "start", cut(marks[0].Text, 60)
			if x > (lineLeft+lineRight)/2 {
				v.TextAt, v.Anchor = at(x-4), "end"
			}
		}
		out = append(out, v)
	}
	return out
}

// windowTotals are the requests of each window with a known backend.
func windowTotals(o *OverTime) []int64 {
	totals := make([]int64, o.Windows)
	for _, b := range o.Backends {
		for i, n := range b.Observed {
			if i < len(totals) {
				totals[i] += n
			}
		}
	}
	return totals
}

// sharesOverTime leaves out windows without a known answer: a share of nothing is no share.
func sharesOverTime(o *OverTime, totals, observed []int64) (seconds, shares []float64) {
	for i, n := range observed {
		if i < len(totals) && totals[i] > 0 {
			seconds = append(seconds, (float64(i)+0.5)*o.WindowSeconds)
			shares = append(shares, float64(n)/float64(totals[i]))
		}
	}
	return seconds, shares
}

// timeFrame goes as far as shares, weights and bands do, with room around them.
func timeFrame(r Report, o *OverTime, totals []int64) frame {
	low, high := 1.0, 0.0
	see := func(v float64) { low, high = min(low, v), max(high, v) }
	for i, b := range r.Backends {
		if i < maxLines {
			see(b.ExpectedShare)
		}
	}
	for i, b := range o.Backends {
		if i < maxLines {
			_, shares := sharesOverTime(o, totals, b.Observed)
			for _, s := range shares {
				see(s)
			}
		}
	}
	room := max(0.05, 0.1*(high-low))
	step := niceStep(high-low+2*room, 6)
	f := frame{
		x0: 0, x1: float64(o.Windows) * o.WindowSeconds,
		y0: max(0, step*math.Floor((low-room)/step)), y1: min(1, step*math.Ceil((high+room)/step)),
	}
	if f.y1 <= f.y0 {
		f.y0, f.y1 = 0, 1
	}
	return f
}

// band is where about 99 of 100 windows lie when the share is right.
func (f frame) band(o *OverTime, totals []int64, share float64) string {
	var xs, top, low []float64
	for i, n := range totals {
		if n == 0 {
			continue
		}
		half := bandNormal * math.Sqrt(share*(1-share)/float64(n))
		xs = append(xs, (float64(i)+0.5)*o.WindowSeconds)
		top, low = append(top, share+half), append(low, share-half)
	}
	back := slices.Clone(xs)
	slices.Reverse(back)
	slices.Reverse(low)
	return f.path(append(xs, back...), append(top, low...)) + "Z"
}

// secondsOf writes an instant with as many decimals as the windows need.
func secondsOf(v, window float64) string {
	decimals := 0
	for w := window; decimals < 3 && math.Abs(w-math.Round(w)) > 1e-9; w *= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + "s"
}

func markSentences(r Report) []string {
	if r.Series == nil {
		return nil
	}
	var s []string
	for _, m := range r.Series.Marks {
		s = append(s, fmt.Sprintf("%s after the first request: %s", secondsOf(m.AtSeconds, 0.01), m.Text))
	}
	return s
}
