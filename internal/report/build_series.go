package report

import (
	"math"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// seriesOf is nil where there is nothing to draw.
func seriesOf(in Input) *Series {
	if in.Load == nil {
		return nil
	}
	s := &Series{OverTime: in.Load.OverTime, Marks: list(in.Load.Marks), Latency: curvesOf(in)}
	if o := s.OverTime; o != nil {
		named := *o
		named.Backends = nil
		for i, w := range in.Weights {
			if i < len(o.Backends) {
				named.Backends = append(named.Backends, WindowCount{Backend: w.Backend, Observed: o.Backends[i].Observed})
			}
		}
		s.OverTime = &named
	}
	return s
}

func curvesOf(in Input) *LatencyCurves {
	out := &LatencyCurves{Levels: []float64{}, Curves: []LatencyCurve{}}
	for i := range curveNines*curveSteps + 1 {
		// To five digits: 0.9 and 0.99 are levels that people know.
		q := 1 - math.Pow(10, -float64(i)/curveSteps)
		out.Levels = append(out.Levels, math.Round(q*1e5)/1e5)
	}
	longest := 0
	for i, w := range in.Weights {
		if i >= len(in.Load.Backends) || len(out.Curves) == maxCurves {
			break
		}
		times := ascending(in.Load.Backends[i].Response)
		if len(times) == 0 {
			continue
		}
		c := LatencyCurve{Backend: w.Backend}
		for _, q := range out.Levels {
			if len(times) < analyze.MinSamples(q, quantileLevel) {
				break
			}
			c.Ms = append(c.Ms, curveMs(times, q))
		}
		if len(c.Ms) > 1 { // one point is no curve
			out.Curves = append(out.Curves, c)
			longest = max(longest, len(c.Ms))
		}
	}
	if len(out.Curves) == 0 {
		return nil
	}
	out.Levels = out.Levels[:longest]
	return out
}

// curveMs is in milliseconds to the microsecond: what a chart cannot show need not be stored.
func curveMs(times []int64, q float64) float64 {
	us := float64(analyze.Quantile(times, q)) / float64(time.Microsecond)
	return math.Round(us) / 1000
}

// Bounds of the curves: nines of the highest level, steps between two nines, and backends that are drawn.
const (
	curveNines = 4
	curveSteps = 8
	maxCurves  = 32
)
