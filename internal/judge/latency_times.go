package judge

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Burst are the response times of one burst.
type Burst struct {
	own                     int
	all                     []sent
	took, lags              []int64
	served                  []int64 // since the sending, where took counts since it was due
	Sent, elsewhere, errors int64
	first, last             time.Duration // sending of the first and the last
	done                    time.Duration // of the last answer
	failures                map[string]int64
}

// NewBurst is an empty burst to a target whose own backend has that index.
func NewBurst(own int) *Burst { return &Burst{own: own, failures: map[string]int64{}} }

// Add counts one result.
func (b *Burst) Add(r attack.Result) {
	b.Sent++
	b.lags = append(b.lags, int64(r.SendLag()))
	if b.Sent == 1 || r.Sent < b.first {
		b.first = r.Sent
	}
	b.last, b.done = max(b.last, r.Sent), max(b.done, r.Done)
	one := sent{seq: r.Seq, at: analyze.Sending{Planned: r.Planned, Sent: r.Sent, Done: r.Done}}
	defer func() { b.all = append(b.all, one) }()
	switch kind := record.Failure(r); {
	case kind != "":
		b.errors++
		b.failures[kind]++
	case b.own >= 0 && int(r.Backend) != b.own:
		b.elsewhere++
	default:
		one.good = true
		b.took = append(b.took, int64(r.ResponseTime()))
		b.served = append(b.served, int64(r.Done-r.Sent))
	}
}

// Join adds what another pod sent of the same burst.
func (b *Burst) Join(o *Burst) {
	if b.Sent == 0 || o.Sent > 0 && o.first < b.first {
		b.first = o.first
	}
	b.last, b.done = max(b.last, o.last), max(b.done, o.done)
	b.Sent, b.elsewhere, b.errors = b.Sent+o.Sent, b.elsewhere+o.elsewhere, b.errors+o.errors
	b.all, b.took = append(b.all, o.all...), append(b.took, o.took...)
	b.lags, b.served = append(b.lags, o.lags...), append(b.served, o.served...)
	addAll(b.failures, o.failures)
}

// addAll adds counts by kind.
func addAll(sum, more map[string]int64) {
	for kind, n := range more {
		sum[kind] += n
	}
}

// Times are those of one target: a block for each round.
type Times struct {
	blocks                  [][]int64
	Sent, elsewhere, errors int64
	whole                   []*Burst    // rounds that were carried out whole
	totals                  wire.Totals // over these; only what times need
	failures                map[string]int64
	steps                   []*Burst // in the order of the bursts
}

// Add counts one burst with the totals that the agent gave for it; whole says that it ran to its end.
func (t *Times) Add(b *Burst, totals wire.Totals, whole bool) {
	t.Sent, t.elsewhere, t.errors = t.Sent+b.Sent, t.elsewhere+b.elsewhere, t.errors+b.errors
	if t.failures == nil {
		t.failures = map[string]int64{}
	}
	addAll(t.failures, b.failures)
	t.steps = append(t.steps, b)
	if !whole {
		return
	}
	t.blocks = append(t.blocks, b.took)
	t.whole = append(t.whole, b)
	t.totals.Requests, t.totals.Dropped = t.totals.Requests+totals.Requests, t.totals.Dropped+totals.Dropped
	t.totals.ThrottledUs += totals.ThrottledUs
	t.totals.Kept.Add(totals.Kept)
	t.totals.Arrived += totals.Arrived
	t.totals.Tally = append(t.totals.Tally, totals.Tally...)
}

// sample are the times of the first rounds, by rounds, of bursts that were sent as p says.
func (t *Times) sample(rounds int, p attack.Plan) (*analyze.Blocks, error) {
	own, near, least := lagsOfBursts(t.whole[:rounds], p)
	return boundBlocks(t.blocks[:rounds], least, analyze.NewLateness(own, near, readingOf(t.totals)))
}

// StoredTimes reads the bursts of a stored comparison again.
func StoredTimes(f store.Folder, m record.Manifest) ([]Times, error) {
	plan := m.Latency
	times := make([]Times, len(plan.Targets))
	cut, err := eachRound(f, m, func(i int, samples iter.Seq2[attack.Result, error], totals *wire.Totals) error {
		target := plan.Bursts[i].Target
		one := NewBurst(plan.Targets[target].Own)
		for r, err := range samples {
			if err != nil {
				times[target].Add(one, *totals, false)
				return err
			}
			one.Add(r)
		}
		times[target].Add(one, *totals, true)
		return nil
	})
	return times, cmp.Or(err, cut)
}

// Breaks reports whether the limit's quantile of the sample lies above it, which says where to look next and no more.
// Errors count as answers that never came.
func (b *Burst) Breaks(limit *report.SweepLimit) bool {
	all := append(slices.Clone(b.took), slices.Repeat([]int64{math.MaxInt64}, int(b.errors))...)
	slices.Sort(all)
	return len(all) > 0 && analyze.Quantile(all, limit.Quantile) > limitNs(limit)
}
