package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// burstTimes are the response times of one burst.
type burstTimes struct {
	own                     int
	took, lags              []int64
	served                  []int64 // since the sending, where took counts since it was due
	sent, elsewhere, errors int64
	first, last             time.Duration // sending of the first and the last
	done                    time.Duration // of the last answer
	failures                map[string]int64
}

func newBurstTimes(own int) *burstTimes { return &burstTimes{own: own, failures: map[string]int64{}} }

func (b *burstTimes) add(r attack.Result) {
	b.sent++
	b.lags = append(b.lags, int64(r.SendLag()))
	if b.sent == 1 || r.Sent < b.first {
		b.first = r.Sent
	}
	b.last, b.done = max(b.last, r.Sent), max(b.done, r.Done)
	switch kind := failure(r); {
	case kind != "":
		b.errors++
		b.failures[kind]++
	case b.own >= 0 && int(r.Backend) != b.own:
		b.elsewhere++
	default:
		b.took = append(b.took, int64(r.ResponseTime()))
		b.served = append(b.served, int64(r.Done-r.Sent))
	}
}

// failure names what a request failed by, "" where it was answered.
func failure(r attack.Result) string {
	switch {
	case r.Err != attack.OK:
		return r.Err.String()
	case r.Status >= 500:
		return fmt.Sprintf("http %d", r.Status)
	}
	return ""
}

// latencyTimes are those of one target: a block for each round.
type latencyTimes struct {
	blocks                  [][]int64
	sent, elsewhere, errors int64
	rounds                  int // that were carried out whole
	lags                    []int64
	dropped                 uint64 // results whose times were lost
	failures                map[string]int64
	steps                   []*burstTimes // in the order of the bursts
}

func (t *latencyTimes) take(b *burstTimes, totals wire.Totals, whole bool) {
	t.sent, t.elsewhere, t.errors = t.sent+b.sent, t.elsewhere+b.elsewhere, t.errors+b.errors
	if t.failures == nil {
		t.failures = map[string]int64{}
	}
	for kind, n := range b.failures {
		t.failures[kind] += n
	}
	t.steps = append(t.steps, b)
	if !whole {
		return
	}
	t.rounds++
	t.blocks = append(t.blocks, b.took)
	t.lags = append(t.lags, b.lags...)
	t.dropped += totals.Dropped
}

// onTime reports whether the generator kept its schedule over all rounds, as of a run.
func (t *latencyTimes) onTime(median int64) bool {
	if len(t.lags) == 0 {
		return true
	}
	lags := slices.Clone(t.lags)
	slices.Sort(lags)
	var late uint64
	for _, lag := range lags {
		if time.Duration(lag) > attack.LateAfter {
			late++
		}
	}
	limits := attack.ClientLimits(uint64(len(lags)), late, time.Duration(analyze.Quantile(lags, lateQuantile)), time.Duration(median), 0)
	return len(limits) == 0 && t.dropped == 0
}

// storedTimes reads the bursts of a stored comparison again.
func storedTimes(f store.Folder, plan *LatencyPlan) ([]latencyTimes, error) {
	times := make([]latencyTimes, len(plan.Targets))
	file, err := f.OpenSamples()
	if errors.Is(err, fs.ErrNotExist) {
		return times, agent.ErrNoEnd
	}
	if err != nil {
		return times, err
	}
	defer file.Close()
	bursts := agent.NewStoredBursts(file)
	for _, b := range plan.Bursts {
		if b.Target < 0 || b.Target >= len(plan.Targets) {
			return times, fmt.Errorf("read %s of run %s: a burst of target %d of %d", ManifestFile, f.ID, b.Target, len(plan.Targets))
		}
		one := newBurstTimes(plan.Targets[b.Target].Own)
		var totals wire.Totals
		for r, err := range bursts.Next(&totals) {
			if err != nil {
				times[b.Target].take(one, totals, false)
				return times, err
			}
			one.add(r)
		}
		times[b.Target].take(one, totals, true)
	}
	return times, nil
}
