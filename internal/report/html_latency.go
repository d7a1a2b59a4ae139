package report

import (
	"math"
	"strconv"
)

// nines is where a quantile stands on the axis of the chart: each step to the right is a tenth of the requests before it.
func nines(q float64) float64 { return -math.Log10(1 - min(q, 1-1e-9)) }

// latencyChart is nil with a sentence where there is nothing to draw.
func latencyChart(r Report) (*lineChart, string) {
	timed := false
	for _, b := range r.Backends {
		timed = timed || b.Latency != nil
	}
	if r.Series == nil || r.Series.Latency == nil || len(r.Series.Latency.Curves) == 0 {
		if timed {
			return nil, "Too few answers for a chart of latencies."
		}
		return nil, "Nothing was timed."
	}
	l := r.Series.Latency
	f := latencyFrame(l)
	if math.IsInf(f.y0, 0) || math.IsInf(f.y1, 0) || math.IsNaN(f.y0) || math.IsNaN(f.y1) { // a document without times in its curves
		return nil, "Nothing was timed."
	}
	c := f.chart("latency")
	c.Summary, c.Caption, c.XLabel = latencySummary(r), latencyCaption(), "share of the requests that were answered within that time"
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9999} {
		if nines(q) <= f.x1+1e-9 {
			c.XTicks = append(c.XTicks, tick{At: at(f.x(nines(q))), Text: quantileText(q)})
		}
	}
	c.YTicks = timeTicks(f)
	place := map[string]int{}
	for i, b := range r.Backends {
		place[b.Name] = i
	}
	for _, curve := range l.Curves {
		var xs, ys []float64
		for i, v := range curve.Ms {
			if i < len(l.Levels) {
				xs, ys = append(xs, nines(l.Levels[i])), append(ys, logMs(v))
			}
		}
		c.Lines = append(c.Lines, lineView{*keyOf(curve.Backend, place[curve.Backend]), f.path(xs, ys)})
	}
	c.Keys = c.Lines
	return c, ""
}

// logMs is where a time stands on the axis; below a microsecond nothing is told apart.
func logMs(v float64) float64 { return math.Log10(max(v, 0.001)) }

func latencyFrame(l *LatencyCurves) frame {
	f := frame{x0: 0, x1: nines(0.5), y0: math.Inf(1), y1: math.Inf(-1)}
	for _, c := range l.Curves {
		for i, v := range c.Ms {
			if i < len(l.Levels) {
				f.x1 = max(f.x1, nines(l.Levels[i]))
			}
			f.y0, f.y1 = min(f.y0, logMs(v)), max(f.y1, logMs(v))
		}
	}
	f.y0, f.y1 = floorLog(f.y0), ceilLog(f.y1)
	if f.y1 <= f.y0 {
		f.y1 = f.y0 + 1
	}
	return f
}

// floorLog and ceilLog are the next 1, 2 or 5 times a power of ten, as logarithms.
func floorLog(v float64) float64 {
	power := math.Floor(v)
	for _, m := range []float64{5, 2} {
		if x := power + math.Log10(m); x <= v+1e-9 {
			return x
		}
	}
	return power
}

func ceilLog(v float64) float64 {
	power := math.Floor(v)
	for _, m := range []float64{1, 2, 5} {
		if x := power + math.Log10(m); x >= v-1e-9 {
			return x
		}
	}
	return power + 1
}

func quantileText(q float64) string {
	if q == 0 {
		return "fastest"
	}
	return strconv.FormatFloat(q*100, 'g', 6, 64) + "%"
}

func axisMs(v float64) string {
	switch {
	case v >= 1000:
		return strconv.FormatFloat(v/1000, 'g', 3, 64) + "s"
	case v < 0.0995:
		return strconv.FormatFloat(v*1000, 'g', 3, 64) + "µs"
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + "ms"
}
