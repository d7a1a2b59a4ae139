package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// sweepSpread is how many times the lowest rate the highest may be on a linear axis; beyond it the low ones would be one point.
const sweepSpread = 8

// sweepChart draws response times against the rate; nil where there are no two rates with a time. Axes of rates are linear or
// logarithmic, as their spread asks for; times are on a logarithmic one.
func sweepChart(s *Sweep) *lineChart {
	if s == nil {
		return nil
	}
	steps := slices.DeleteFunc(slices.Clone(s.Steps), func(x SweepStep) bool { return !(x.Rate > 0) })
	slices.SortFunc(steps, func(a, b SweepStep) int { return cmp.Compare(a.Rate, b.Rate) })
	f := frame{x0: math.Inf(1), x1: math.Inf(-1), y0: math.Inf(1), y1: math.Inf(-1)}
	see := func(v *float64) {
		if v != nil && *v > 0 {
			f.y0, f.y1 = min(f.y0, logMs(*v)), max(f.y1, logMs(*v))
		}
	}
	var levels []float64
	for _, x := range steps {
		f.x0, f.x1 = min(f.x0, x.Rate), max(f.x1, x.Rate)
		for _, q := range x.Quantiles {
			if !slices.Contains(levels, q.Quantile) {
				levels = append(levels, q.Quantile)
			}
			see(q.Ms)
			see(q.LowMs)
			see(q.HighMs)
		}
	}
	if !(f.x1 > f.x0) || math.IsInf(f.y0, 1) {
		return nil
	}
	if s.Limit != nil {
		see(&s.Limit.Ms)
	}
	f.y0, f.y1 = floorLog(f.y0), ceilLog(f.y1)
	if f.y1 <= f.y0 {
		f.y1 = f.y0 + 1
	}
	scale, how := rateAxis(&f)
	slices.Sort(levels)
	c := f.chart("sweep")
	c.Summary, c.Caption, c.XLabel = sweepSummary(s, steps), sweepCaption(s, how), "requests per second"
	c.XTicks, c.YTicks = rateTicks(f, scale), timeTicks(f)
	for i, level := range levels[:min(len(levels), maxLines)] {
		drawQuantile(c, f, scale, i, level, steps)
	}
	c.Keys = c.Lines
	if s.Limit != nil {
		w := f.yTick(logMs(s.Limit.Ms), "limit of "+quantileName(s.Limit.Quantile)+": "+axisMs(s.Limit.Ms))
		w.TextAt = at(f.y(logMs(s.Limit.Ms)) - 5)
		c.Weights, c.LimitLeft = append(c.Weights, w), true
	}
	c.Marks = limitMarks(f, scale, s)
	return c
}

// rateAxis turns the frame's rates into places on the axis, with some room beside the first and the last.
func rateAxis(f *frame) (scale func(float64) float64, how string) {
	scale, how = func(v float64) float64 { return v }, "linear"
	if f.x1/f.x0 > sweepSpread {
		scale, how = math.Log10, "logarithmic"
	}
	f.x0, f.x1 = scale(f.x0), scale(f.x1)
	room := 0.04 * (f.x1 - f.x0)
	f.x0, f.x1 = f.x0-room, f.x1+room
	return scale, how
}

func rateTicks(f frame, scale func(float64) float64) []tick {
	var out []tick
	if scale(10) == 10 { // linear
		step := niceStep(f.x1-f.x0, 10)
		first := math.Ceil(f.x0/step-1e-9) * step
		for i := range 12 { // counted: two neighbouring floats can be all there is between the ends
			if v := first + float64(i)*step; v <= f.x1+1e-9*step {
				out = append(out, tick{At: at(f.x(v)), Text: numberOf(v, step)})
			}
		}
		return out
	}
	for power := math.Floor(f.x0); power <= math.Ceil(f.x1); power++ {
		for _, m := range []float64{1, 2, 5} {
			if v := math.Log10(m) + power; v >= f.x0-1e-9 && v <= f.x1+1e-9 && (m == 1 || f.x1-f.x0 < 4) {
				out = append(out, tick{At: at(f.x(v)), Text: strings.TrimSuffix(rate(m*math.Pow(10, power)), "/s")})
			}
		}
	}
	return out
}

// timeTicks are those of an axis of logarithms of milliseconds.
func timeTicks(f frame) []tick {
	var out []tick
	for power := math.Floor(f.y0); power <= math.Ceil(f.y1); power++ {
		for _, m := range []float64{1, 2, 5} {
			v := math.Log10(m) + power
			if v >= f.y0-1e-9 && v <= f.y1+1e-9 && (m == 1 || f.y1-f.y0 < 2.5) {
				out = append(out, f.yTick(v, axisMs(math.Pow(10, v))))
			}
		}
	}
	return out
}

// drawQuantile draws one quantile's line over the rates, with a bar where it has a likely range. It breaks where it is not known.
func drawQuantile(c *lineChart, f frame, scale func(float64) float64, i int, level float64, steps []SweepStep) {
	var line, bars strings.Builder
	letter := "M"
	for _, s := range steps {
		place := slices.IndexFunc(s.Quantiles, func(q QuantileTime) bool { return q.Quantile == level })
		if place < 0 || s.Quantiles[place].Ms == nil {
			letter = "M"
			continue
		}
		q, x := s.Quantiles[place], f.x(scale(s.Rate))
		line.WriteString(letter + at(x) + " " + at(f.y(logMs(*q.Ms))))
		letter = "L"
		// A dot for each rate, and the range's ends, beside those of the other quantiles.
		fmt.Fprintf(&bars, "M%s %sh0", at(x), at(f.y(logMs(*q.Ms))))
		if q.LowMs != nil && q.HighMs != nil {
			low, high := at(f.y(logMs(*q.LowMs))), at(f.y(logMs(*q.HighMs)))
			fmt.Fprintf(&bars, "M%s %sV%sM%s %sh8M%[4]s %[3]sh8", at(x), low, high, at(x-4), low)
		}
	}
	if line.Len() > 0 {
		key := *keyOf(quantileName(level), i)
		c.Lines = append(c.Lines, lineView{key, line.String()})
		c.Ranges = append(c.Ranges, lineView{key, bars.String()})
	}
}

// limitMarks are the rates between which the limit breaks.
func limitMarks(f frame, scale func(float64) float64, s *Sweep) []markView {
	var out []markView
	mark := func(v *float64, text, anchor string, off float64) {
		if v != nil && *v > 0 && scale(*v) >= f.x0 && scale(*v) <= f.x1 {
			x := f.x(scale(*v))
			out = append(out, markView{At: at(x), TextAt: at(x + off), Anchor: anchor, Text: text + " at " + rate(*v)})
		}
	}
	mark(s.HoldsAt, "holds", "end", -4)
	mark(s.BreaksAt, "breaks", "start", 4)
	if len(out) == 2 && f.x(scale(*s.BreaksAt)) > lineRight-80 { // no room on its right: both on the left
		out[0].Text, out[1].Text = out[0].Text+", "+out[1].Text, ""
	} else if len(out) > 0 && s.BreaksAt == nil && f.x(scale(*s.HoldsAt)) < lineLeft+80 {
		out[0].Anchor, out[0].TextAt = "start", at(f.x(scale(*s.HoldsAt))+4)
	}
	return out
}

func sweepSummary(s *Sweep, steps []SweepStep) string {
	var parts []string
	for _, x := range steps {
		said := rate(x.Rate) + ":"
		for _, q := range x.Quantiles {
			if q.Ms != nil {
				said += " " + quantileName(q.Quantile) + " " + msNumber(*q.Ms) + " ms"
			}
		}
		if x.State != Measured {
			said += ", limit " + x.State
		}
		parts = append(parts, said)
	}
	return "Response times of " + s.Target + " against the rate. " + strings.Join(parts, "; ") + "."
}

func sweepCaption(s *Sweep, how string) string {
	text := "Response times against the rate of sending, on a " + how + " axis of rates and a logarithmic one of times. Bars are likely ranges; where there is none, too little was measured for one."
	if s.Limit != nil {
		text += " Dashed across: the limit. Dotted down: the highest rate at which it held and the lowest at which it broke."
	}
	return text
}
