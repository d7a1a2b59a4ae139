package judge

import (
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

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
