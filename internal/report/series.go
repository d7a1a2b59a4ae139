package report

import (
	"math"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// Series is what charts are drawn from. Its size is bounded whatever the number of requests, and it is data like the
// rest: a chart is drawn from the stored report alone.
type Series struct {
	OverTime *OverTime      `json:"overTime"` // null where nothing was sent, or only counts are known
	Marks    []Mark         `json:"marks"`    // what happened during the run, in order
	Latency  *LatencyCurves `json:"latency"`  // null where nothing was timed
}

// OverTime counts the requests of each window of the run, by the instant at which they were sent. The windows follow
// each other without a gap from the first counted request on; the last one may be shorter.
type OverTime struct {
	WindowSeconds float64       `json:"windowSeconds"`
	Windows       int           `json:"windows"`
	Backends      []WindowCount `json:"backends"`
	Unattributed  []int64       `json:"unattributed"` // requests of each window without a known backend
	Errors        []int64       `json:"errors"`       // requests of each window that failed or were answered with a status of 500 and above
}

// WindowCount is what one backend answered in each window.
type WindowCount struct {
	Backend  string  `json:"backend"`
	Observed []int64 `json:"observed"` // requests
}

// Mark is something that happened at one instant of the run.
type Mark struct {
	AtSeconds float64 `json:"atSeconds"` // since the first counted request
	Text      string  `json:"text"`
}

// LatencyCurves are response times by quantile, from the planned instant of sending.
type LatencyCurves struct {
	Levels []float64      `json:"levels"` // quantiles, 0 to below 1
	Curves []LatencyCurve `json:"curves"`
}

// LatencyCurve is the curve of one backend. It is shorter than the levels where the sample is too small for the rest.
type LatencyCurve struct {
	Backend string    `json:"backend"`
	Ms      []float64 `json:"valuesMs"`
}

// MaxWindows is how many windows a report holds at most; MinPerWindow how many requests they hold on average at least,
// where there are that many: below it a share says nothing.
const (
	MaxWindows   = 100
	MinPerWindow = 50
)

// Bounds of the curves: nines of the highest level, steps between two nines, and backends that are drawn.
const (
	curveNines = 4
	curveSteps = 8
	maxCurves  = 32
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
