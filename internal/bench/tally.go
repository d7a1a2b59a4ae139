package bench

import (
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// tally counts results as they come, live or from a stored run.
type tally struct {
	counts      analyze.Counts
	unknown     int64            // of Unattributed: complete answers that no rule matched
	backends    []report.Answers // by backend
	rest        report.Answers   // unattributed
	lags        []int64          // nanoseconds
	first, last time.Duration    // instants of the first and the last sending
	n           uint64
}

func newTally(backends int) *tally {
	return &tally{counts: analyze.Counts{N: make([]int64, backends)}, backends: make([]report.Answers, backends)}
}

func (t *tally) add(r attack.Result) {
	a := &t.rest
	if b := int(r.Backend); b >= 0 && b < len(t.backends) {
		a = &t.backends[b]
		t.counts.N[b]++
	} else {
		t.counts.Unattributed++
		if r.Status != 0 && r.Status < 500 {
			t.unknown++
		}
	}
	if r.Err == attack.OK {
		if a.Statuses == nil {
			a.Statuses = make(map[uint16]int64)
		}
		a.Statuses[r.Status]++
		a.Service = append(a.Service, int64(r.ServiceTime()))
		a.Response = append(a.Response, int64(r.ResponseTime()))
	} else {
		if a.Errors == nil {
			a.Errors = make(map[attack.ErrorClass]int64)
		}
		a.Errors[r.Err]++
	}
	t.lags = append(t.lags, int64(r.SendLag()))
	if t.n == 0 || r.Sent < t.first {
		t.first = r.Sent
	}
	t.last = max(t.last, r.Sent)
	t.n++
}

// sorted puts all times in ascending order, once, after the last result.
func (t *tally) sorted() {
	for i := range t.backends {
		slices.Sort(t.backends[i].Service)
		slices.Sort(t.backends[i].Response)
	}
	slices.Sort(t.rest.Service)
	slices.Sort(t.rest.Response)
	slices.Sort(t.lags)
}

// exact is the counts by the agent's own totals, which also hold what it had to drop from the samples.
func exact(totals wire.Totals, backends int) analyze.Counts {
	c := analyze.Counts{N: make([]int64, backends)}
	for _, e := range totals.Tally {
		if b := int(e.Backend); b >= 0 && b < backends {
			c.N[b] += int64(e.N)
		} else {
			c.Unattributed += int64(e.N)
		}
	}
	return c
}

// Bounds of a generator that is on time: what is late by more is the generator's latency, not the backends'.
const (
	lateLag       = time.Millisecond
	lateShare     = 0.1  // of the median response time
	droppedShare  = 0.01 // of all requests
	lateQuantile  = 0.99
	medianOfTimes = 0.5
)

func (t *tally) onTime(totals wire.Totals) bool {
	if t.n == 0 {
		return true
	}
	var response []int64
	for i := range t.backends {
		response = append(response, t.backends[i].Response...)
	}
	slices.Sort(response)
	limit := int64(lateLag)
	if len(response) > 0 {
		limit = max(limit, int64(lateShare*float64(analyze.Quantile(response, medianOfTimes))))
	}
	return analyze.Quantile(t.lags, lateQuantile) <= limit && float64(totals.Dropped) <= droppedShare*float64(totals.Requests)
}
