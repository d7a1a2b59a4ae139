package bench

import (
	"sync"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/report"
)

// liveEvery is the least time between two tellings of what was found so far.
const liveEvery = 900 * time.Millisecond

// liveFacts gathers what a measurement has found so far. The zero value tells nothing.
type liveFacts struct {
	mu      sync.Mutex
	all     attack.Summary
	parts   []livePart
	ranges  *analyze.Sequential // of the backends; nil: none are known
	planned uint64
	length  time.Duration // 0: what is left is told by what is planned
	began   time.Time
	before  time.Time // when it was told last; until then it began
	failed  uint64    // when it was told
}

// livePart is a backend, or a target or step of a comparison.
type livePart struct {
	report.LivePart
	times *attack.Summary // nil of a backend
	told  int64           // of Observed
}

// begin is called before the first request. Backends have ranges where the split is to be held against its weights.
func (l *liveFacts) begin(w analyze.Weights, held *analyze.Options, planned uint64, length time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began, l.planned, l.length = time.Now(), planned, length
	l.before = l.began
	for i, share := range w.Shares() {
		l.parts = append(l.parts, livePart{LivePart: report.LivePart{Name: w[i].Backend, Weight: &share}})
	}
	if held != nil {
		l.ranges, _ = analyze.NewSequential(w, *held) // the rest is told without them
	}
}

// add counts one result of a split, for the backend that a report counts it for.
func (l *liveFacts) add(r attack.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Add(r)
	if b := int(r.Backend); b >= 0 && b < len(l.parts) && r.Err != attack.ErrDropped {
		l.parts[b].Observed++
	}
}

// addTo counts one result of a target or step.
func (l *liveFacts) addTo(name string, r attack.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Add(r)
	i := 0
	for i < len(l.parts) && l.parts[i].Name != name {
		i++
	}
	if i == len(l.parts) {
		l.parts = append(l.parts, livePart{LivePart: report.LivePart{Name: name}, times: &attack.Summary{}})
	}
	l.parts[i].times.Add(r)
	l.parts[i].Observed++
}

// facts are what is to be told now; nil where nothing is, or was just now.
func (l *liveFacts) facts(now time.Time) *report.Live {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := max(now.Sub(l.before), liveEvery) // the first facts come at once
	if l.began.IsZero() || l.before != l.began && now.Sub(l.before) < liveEvery {
		return nil
	}
	f := report.LiveOf(&l.all)
	f.Elapsed, f.Planned = now.Sub(l.began), l.planned
	f.Left = max(0, l.length-f.Elapsed)
	if left := float64(l.planned) - float64(l.all.Requests); l.length == 0 && left > 0 && l.all.Requests > 0 {
		f.Left = time.Duration(left / float64(l.all.Requests) * float64(f.Elapsed))
	}
	f.FailedNow = float64(l.all.Failed()-l.failed) / since.Seconds()
	l.before, l.failed = now, l.all.Failed()
	f.Parts = l.tell(since)
	return &f
}

// tell gives the parts, each with how many requests a second it had since they were told last.
func (l *liveFacts) tell(since time.Duration) []report.LivePart {
	out := make([]report.LivePart, len(l.parts))
	batch, sum := make([]int64, len(l.parts)), int64(0)
	for i := range l.parts {
		p := &l.parts[i]
		batch[i], p.told, sum = p.Observed-p.told, p.Observed, sum+p.Observed
		p.Now = float64(batch[i]) / since.Seconds()
		if p.times != nil {
			p.Times = new(report.LiveOf(p.times).Times)
		}
	}
	var look analyze.Look
	if l.ranges != nil {
		look, _ = l.ranges.Update(batch) // which are as many as the weights, and none below 0
	}
	for i, p := range l.parts {
		if p.Weight != nil && sum > 0 {
			p.Share = report.Finite(float64(p.Observed) / float64(sum))
		}
		if i < len(look.Intervals) && look.Intervals[i].Why == "" && look.Intervals[i].Low <= look.Intervals[i].High {
			p.Range = &report.Interval{Low: &look.Intervals[i].Low, High: &look.Intervals[i].High}
		}
		out[i] = p.LivePart
	}
	return out
}
