package judge

import (
	"time"

	"github.com/splitbench/splitbench/internal/wire"
)

// throttledShare is how much of a burst the container's processor limit may keep the generator from running before its
// times are its own as much as the mesh's.
const throttledShare = 0.1

// throttled reports whether the generator was kept from running for too long.
func throttled(totals wire.Totals, sending time.Duration) bool {
	return float64(totals.ThrottledUs) > throttledShare*float64(sending.Microseconds())
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
