package judge

import (
	"maps"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// timelineBin is the resolution of a drill's timeline.
const timelineBin = 100 * time.Millisecond

// maxTimeline bounds the timeline: a stored drill may say any instants.
const maxTimeline = 24 * time.Hour

// Shot is one request of a drill.
type Shot struct {
	analyze.Shot
	took time.Duration
	kind string // of loss: error class or http status, "" for an answer
}

// shotOf is a result as a drill sees it.
func shotOf(r attack.Result) Shot {
	kind := record.Failure(r)
	return Shot{
		Shot: analyze.Shot{Sent: r.Sent, Done: r.Done, Backend: int(r.Backend), Lost: kind != ""}, took: r.ResponseTime(),
		kind: kind,
	}
}

// timeline sorts the requests into bins by their sending.
func (j *drillJudge) timeline() {
	if len(j.shots) == 0 {
		return
	}
	last := j.shots[len(j.shots)-1].Sent
	if last > maxTimeline {
		j.doc.warn(report.SayLongDrill, maxTimeline)
		return
	}
	bins := int(last/timelineBin) + 1
	t := &j.d.Timeline
	t.Sent, t.Lost = make([]int64, bins), make([]int64, bins)
	t.P50Ms, t.MaxMs = make([]*float64, bins), make([]*float64, bins)
	for _, w := range j.m.Weights {
		t.Backends = append(t.Backends, report.TimelineShare{Backend: w.Backend, Answered: make([]int64, bins)})
	}
	losses := map[string]*report.TimelineLoss{}
	times := make([][]int64, bins)
	for _, s := range j.shots {
		bin := int(max(s.Sent, 0) / timelineBin)
		t.Sent[bin]++
		if s.Lost {
			t.Lost[bin]++
			lose(losses, s.kind, int64(bin))
			continue
		}
		if b := s.Backend; b >= 0 && b < len(t.Backends) {
			t.Backends[b].Answered[bin]++
		}
		times[bin] = append(times[bin], int64(s.took))
	}
	for i, v := range times {
		if len(v) > 0 {
			slices.Sort(v)
			t.P50Ms[i], t.MaxMs[i] = report.Ms(float64(analyze.Quantile(v, 0.5))), report.Ms(float64(v[len(v)-1]))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(losses)) {
		t.Losses = append(t.Losses, *losses[kind])
	}
}

// lose counts a loss in its bin. Only bins with losses are named: of a drill of hours in which little is lost little is
// kept.
func lose(losses map[string]*report.TimelineLoss, kind string, bin int64) {
	l := losses[kind]
	if l == nil {
		l = &report.TimelineLoss{Kind: kind}
		losses[kind] = l
	}
	if n := len(l.Bins); n > 0 && l.Bins[n-1] == bin {
		l.Lost[n-1]++
		return
	}
	l.Bins, l.Lost = append(l.Bins, bin), append(l.Lost, 1)
}
