package judge

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/report"
)

// answers is what came back from one backend.
type answers struct {
	statuses map[uint16]int64            // complete answers by HTTP status
	errors   map[attack.ErrorClass]int64 // requests that failed below HTTP
	service  []int64                     // service times of complete answers, nanoseconds
	response []int64                     // response times of the same
}

// failed counts requests without a complete answer.
func (a answers) failed() (n int64) {
	for _, v := range a.errors {
		n += v
	}
	return n
}

// serverErrors counts answers of status 500 and above.
func (a answers) serverErrors() (n int64) {
	for status, v := range a.statuses {
		if status >= 500 {
			n += v
		}
	}
	return n
}

// clientErrors counts answers of status 400 to 499. Of a backend they may be what it is asked for; where they name
// nobody they are no answers of the application that the split is about.
func (a answers) clientErrors() (n int64) {
	for status, v := range a.statuses {
		if status >= 400 && status < 500 {
			n += v
		}
	}
	return n
}

// sent adds up what was sent and what came of it.
func (doc *draft) sent() {
	if doc.answers == nil {
		return
	}
	l := doc.Load
	l.Requests, l.Errors = 0, 0
	var service, response [][]int64
	statuses := map[uint16]int64{}
	for _, a := range append(slices.Clone(doc.answers), doc.rest) {
		l.Requests += a.failed()
		l.Errors += a.failed() + a.serverErrors()
		for status, n := range a.statuses {
			l.Requests += n
			statuses[status] += n
		}
		service, response = append(service, a.service), append(response, a.response)
	}
	l.TargetRatePerSecond = number(l.TargetRatePerSecond)
	if l.DurationSeconds > 0 {
		l.RatePerSecond = float64(l.Requests) / l.DurationSeconds
	}
	if doc.cpu > 0 && l.Requests > 0 {
		l.CPUUsPerRequest = report.Finite(doc.cpu.Seconds() * 1e6 / float64(l.Requests))
	}
	l.Errors += doc.rest.clientErrors()
	known := len(doc.answers)
	doc.Latency = latencyOf(slices.Concat(service[:known]...), slices.Concat(response[:known]...))
	l.Why = report.SayNotTimed
	if all := latencyOf(slices.Concat(service...), slices.Concat(response...)); all != nil {
		l.ServiceTime, l.ResponseTime, l.Why = all.ServiceTime, all.ResponseTime, all.Why
	}
	lags := quantilesOf(doc.lags)
	lag := func(q float64) *float64 { return report.QuantileOf(int64(len(doc.lags)), q, lags, time.Microsecond) }
	l.SendLag = report.SendLag{P50Us: lag(0.5), P99Us: lag(0.99)}
	if l.StatusCodes = statusNames(statuses); l.StatusCodes == nil {
		l.StatusCodes = map[string]int64{}
	}
	doc.Series.Marks = append([]report.Mark{}, doc.Series.Marks...)
	doc.Series.Latency = curvesOf(doc.weights, doc.answers)
}

// latencyOf is nil where nothing was timed.
func latencyOf(service, response []int64) *report.Latency {
	few, many := int64(min(len(service), len(response))), int64(max(len(service), len(response)))
	if many == 0 {
		return nil
	}
	return &report.Latency{
		Requests: many, Why: report.TooFew(few), ServiceTime: report.QuantilesOf(int64(len(service)), quantilesOf(service)),
		ResponseTime: report.QuantilesOf(int64(len(response)), quantilesOf(response)),
	}
}

// quantilesOf gives quantiles of times in whatever order: an unsorted sample would make every one wrong and none of
// them look so.
func quantilesOf(times []int64) func(float64) time.Duration {
	times = ascending(times)
	return func(q float64) time.Duration { return time.Duration(analyze.Quantile(times, q)) }
}

func ascending(s []int64) []int64 {
	if slices.IsSorted(s) {
		return s
	}
	return slices.Sorted(slices.Values(s))
}

// statusNames are JSON keys; nil where there is none.
func statusNames(statuses map[uint16]int64) map[string]int64 {
	var out map[string]int64
	for status, n := range statuses {
		if n == 0 {
			continue
		}
		if out == nil {
			out = map[string]int64{}
		}
		out[strconv.Itoa(int(status))] += n
	}
	return out
}

// Bounds of the curves: nines of the highest level, steps between two nines, and backends that are drawn.
const (
	curveNines = 4
	curveSteps = 8
	maxCurves  = 32
)

// curvesOf are the response times of each backend by quantile, nil where there is nothing to draw.
func curvesOf(w analyze.Weights, backends []answers) *report.LatencyCurves {
	out := &report.LatencyCurves{Curves: []report.LatencyCurve{}}
	for i := range curveNines*curveSteps + 1 {
		// To five digits: 0.9 and 0.99 are levels that people know.
		q := 1 - math.Pow(10, -float64(i)/curveSteps)
		out.Levels = append(out.Levels, math.Round(q*1e5)/1e5)
	}
	longest := 0
	for i, a := range backends {
		if i == len(w) || len(out.Curves) == maxCurves {
			break
		}
		c := report.LatencyCurve{Backend: w[i].Backend}
		at := quantilesOf(a.response)
		for _, q := range out.Levels {
			if !report.Enough(int64(len(a.response)), q) {
				break
			}
			// To the microsecond: what a chart cannot show need not be stored.
			c.Ms = append(c.Ms, math.Round(float64(at(q))/1e3)/1e3)
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
