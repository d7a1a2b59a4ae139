package judge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
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

// throttledShare is how much of a burst the container's processor limit may keep the generator from running before its
// times are its own as much as the mesh's.
const throttledShare = 0.1

// throttled reports whether the generator was kept from running for too long.
func throttled(totals wire.Totals, sending time.Duration) bool {
	return float64(totals.ThrottledUs) > throttledShare*float64(sending.Microseconds())
}

// Shares from which on it is said that the generator was kept from running, even where its times are right.
const (
	saidPeriods = 0.01 // of the processor limit's periods
	saidDelay   = 0.01 // of the burst, where the generator was late
)

// sayKept has the report say what kept the generator from running. sending is how long it sent, 0: not known. What
// could not be read matters only where it was late.
func (doc *draft) sayKept(m record.Manifest, totals wire.Totals, sending time.Duration, late bool) {
	k := totals.Kept
	if doc.Load != nil && k != (wire.Kept{}) {
		doc.Load.Kept = &report.Kept{
			Periods: k.Periods, Throttled: k.Throttled, ThrottledMs: float64(totals.ThrottledUs) / 1e3,
			RunDelayMs: float64(k.WaitUs) / 1e3, Why: untrusted.Safe(k.Unread),
		}
	}
	stolen, delay := time.Duration(totals.ThrottledUs)*time.Microsecond, time.Duration(k.WaitUs)*time.Microsecond
	switch {
	case k.Throttled > 0 && (late || float64(k.Throttled) >= saidPeriods*float64(k.Periods)):
		doc.warn(report.SayThrottled, cpus(m.Agent.Hello.CPUQuota), 100*float64(k.Throttled)/float64(k.Periods), k.Throttled,
			k.Periods, rough(stolen))
	case late && delay > 0 && float64(delay) >= saidDelay*float64(sending):
		doc.warn(report.SayRunDelay, rough(delay))
	}
	if late && k.Unread != "" {
		doc.warn(report.SayKeptUnread, untrusted.Safe(k.Unread))
	}
}

// cpus writes processors as Kubernetes does.
func cpus(n float64) string {
	switch {
	case n <= 0:
		return "unknown size"
	case n < 1:
		return fmt.Sprintf("%.0fm", 1000*n)
	}
	return fmt.Sprintf("%g", n)
}

// timed reports whether the agent's histograms hold the times of every request.
func timed(totals wire.Totals) bool {
	return totals.Requests > 0 && totals.Times.SendLag.Len() == totals.Requests
}

// useTotals takes, where samples were dropped, the counts by status from the agent's totals, and the times of every
// request from its histograms, to two digits: what was dropped was dropped while stdout was slow, so that the samples
// which arrived are no random choice. It comes after sorted.
func (t *Tally) useTotals(totals wire.Totals) {
	if totals.Dropped == 0 {
		return
	}
	t.outcomes = wire.Tally{}
	for _, e := range totals.Tally {
		t.outcomes.AddEntry(e)
	}
	t.statuses()
	if !timed(totals) {
		return
	}
	every := 1 + totals.Requests/maxTimes
	t.lags = expand(totals.Times.SendLag, every)
	for _, x := range totals.Times.Latency {
		a := t.answersOf(x.Backend)
		a.service, a.response = expand(x.Service, every), expand(x.Response, every)
	}
}

// expand lists a histogram's times in ascending order, one of so many.
func expand(h wire.Histogram, every uint64) []int64 {
	var out []int64
	var passed uint64
	h.Each(func(d time.Duration, n uint64) {
		for passed += n; passed >= every; passed -= every {
			out = append(out, int64(d))
		}
	})
	return out
}
