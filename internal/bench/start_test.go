package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
)

// Starts and clocks of pods that are known: the barrier opens at noon, and each pod begins a known time after it was due,
// says so by a clock that is a known time ahead of ours, and is heard of a known time later. What is told of a start is
// when it was heard of, at most; what is told of a clock holds the truth, within what start and way leave open.
func TestStartsAndClocksOfPodsAreTold(t *testing.T) {
	const ms = time.Millisecond
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, pod := range map[string]struct {
		began, way, ahead time.Duration
		silent            bool         // it never said when it began
		before            record.Clock // what is known of its clock from earlier answers
		started           time.Duration
		clock             record.Clock
	}{
		"at once, clocks alike":        {clock: record.Clock{Known: true}},
		"2 ms late, heard 5 ms later":  {began: 2 * ms, way: 5 * ms, ahead: 250 * ms, started: 7 * ms, clock: record.Clock{LowNs: int64(245 * ms), HighNs: int64(252 * ms), Known: true}},
		"its clock is behind":          {began: ms, way: ms, ahead: -40 * ms, started: 2 * ms, clock: record.Clock{LowNs: int64(-41 * ms), HighNs: int64(-39 * ms), Known: true}},
		"it is known better already":   {way: 9 * ms, ahead: 3 * ms, started: 9 * ms, before: record.Clock{LowNs: int64(2 * ms), HighNs: int64(20 * ms), Known: true}, clock: record.Clock{LowNs: int64(2 * ms), HighNs: int64(3 * ms), Known: true}},
		"it was set since":             {began: ms, way: ms, ahead: time.Hour, started: 2 * ms, before: record.Clock{HighNs: int64(ms), Known: true}, clock: record.Clock{LowNs: int64(time.Hour - ms), HighNs: int64(time.Hour + ms), Known: true}},
		"it did not say when it began": {way: 4 * ms, silent: true, started: 4 * ms},
	} {
		r := &run{}
		r.m.Plan = attack.Plan{Rate: attack.Rate{Hits: 100, Per: time.Second}, Requests: 400}
		b := &barrier{all: 2, opened: noon}
		for n, p := range []time.Duration{0, pod.began} { // the first pod is as good as can be
			due := noon.Add(record.Stagger(r.m.Plan, n))
			s := &source{r: r, n: n, zero: due.Add(p), stream: &record.Placement{}}
			said := due.Add(p)
			if n == 1 {
				s.zero, said = s.zero.Add(pod.way), said.Add(pod.ahead)
				s.stream.Clock = pod.before
			}
			if n == 0 || !pod.silent {
				s.stream.Totals.StartedUnixNs = said.UnixNano()
			}
			r.active, r.streams = append(r.active, s), append(r.streams, s.stream)
		}
		b.tell(r)
		first, got := r.streams[0], r.streams[1]
		if first.Started != 0 || first.Clock != (record.Clock{Known: true}) || r.m.StartSkew != pod.started || got.Started != pod.started {
			t.Errorf("%s: started %s and %s, skew %s, want 0 and %s", name, first.Started, got.Started, r.m.StartSkew, pod.started)
		}
		if d := cmp.Diff(pod.clock, got.Clock); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if c := got.Clock; c.Known && (int64(pod.ahead) < c.LowNs || int64(pod.ahead) > c.HighNs) {
			t.Errorf("%s: %s is not within %+v", name, pod.ahead, c)
		}
	}
}

// Of one pod there is nothing to tell, and of one that was never heard nothing is.
func TestNoStartIsToldThatIsNotKnown(t *testing.T) {
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		pods int
		zero time.Time
	}{"one pod": {1, noon.Add(time.Second)}, "never heard": {2, time.Time{}}} {
		r := &run{}
		s := &source{r: r, zero: c.zero, stream: &record.Placement{}}
		s.stream.Totals.StartedUnixNs = noon.UnixNano()
		r.active, r.streams = []*source{s}, []*record.Placement{s.stream}
		(&barrier{all: c.pods, opened: noon}).tell(r)
		if s.stream.Started != 0 || s.stream.Clock.Known || r.m.StartSkew != 0 {
			t.Errorf("%s: %+v, skew %s", name, s.stream, r.m.StartSkew)
		}
	}
}
