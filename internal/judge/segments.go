package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// sureOfChange is how probable "the answers never followed" may be for a change to count as seen.
const sureOfChange = 0.05

// stretch is a part of the run that one set of weights held for: requests from low to before high, in the order of
// sending.
type stretch struct {
	weights   analyze.Weights
	low, high int
	change    *report.Propagation // how it began; nil: with the run
}

// segments judges the parts of a run whose weights were changed each by its own weights, for information: which part a
// request belongs to is told by the answers themselves, which no test of a single split allows.
func segments(m record.Manifest, t *Tally, totals wire.Totals) []report.Segment {
	moves := slices.DeleteFunc(slices.Clone(m.Moves), func(x record.Move) bool { return x.Weights == nil })
	if len(moves) == 0 || !t.ordered() || !m.Clock.Known || totals.StartedUnixNs <= 0 {
		return nil
	}
	began, off := m.Clock.Local(totals.StartedUnixNs)
	used, backends := attributedOf(t)
	parts := []stretch{{weights: m.Weights, high: len(used)}}
	for i, move := range moves {
		until := len(used)
		if i+1 < len(moves) {
			until = sentBy(used, moves[i+1].At.Sub(began)+off)
		}
		parts = cut(parts, move, used[:until], backends[:until], move.At.Sub(began), off)
	}
	parts[len(parts)-1].high = len(used)
	out := make([]report.Segment, 0, len(parts))
	for _, p := range parts {
		out = append(out, segment(p, used, m.Options))
	}
	return out
}

// attributedOf are the requests whose backends are known, in the order of sending, and these.
func attributedOf(t *Tally) (used []analyze.Observation, backends []int) {
	for _, o := range t.observations {
		if o.Backend >= 0 {
			used, backends = append(used, o), append(backends, o.Backend)
		}
	}
	return used, backends
}

// sentBy is how many of the requests were sent before the instant.
func sentBy(used []analyze.Observation, at time.Duration) int {
	n, _ := slices.BinarySearchFunc(used, at, func(o analyze.Observation, at time.Duration) int {
		if o.Sent < at {
			return -1
		}
		return 1
	})
	return n
}

// cut ends the last part where the answers change from its weights to the move's, and begins the next. Requests that
// may belong to either are in neither. No answer can follow a write before it was made, as closely as the clocks tell.
func cut(
	parts []stretch, move record.Move, used []analyze.Observation, backends []int, at, off time.Duration,
) []stretch {
	last := &parts[len(parts)-1]
	from := max(last.low, sentBy(used, at-off))
	next := stretch{weights: move.Weights, low: from, change: &report.Propagation{
		What: move.What, WriteAtSeconds: at.Seconds(), ClockErrorMs: float64(off) / float64(time.Millisecond),
	}}
	last.high = from
	seq := backends[min(from, len(backends)):]
	c, err := analyze.KnownChange(seq, last.weights, move.Weights)
	if err != nil || c.NoChange > sureOfChange || c.At >= len(seq) {
		next.change.Why = report.SayNotFollowed
		return append(parts, next)
	}
	last.high, next.low = from+c.Low, from+min(c.High, len(seq)-1)
	since := func(i int) *float64 {
		return new(max(0, (used[from+min(i, len(seq)-1)].Sent - at).Seconds()))
	}
	next.change.Seconds, next.change.LowSeconds, next.change.HighSeconds = since(c.At), since(c.Low), since(c.High)
	return append(parts, next)
}

// segment is one part as the report has it.
func segment(p stretch, used []analyze.Observation, o analyze.Options) report.Segment {
	s := report.Segment{Propagation: p.change}
	counts := analyze.Counts{N: make([]int64, len(p.weights))}
	part := used[min(p.low, len(used)):max(min(p.low, len(used)), min(p.high, len(used)))]
	for _, x := range part {
		counts.N[x.Backend]++
	}
	if len(part) > 0 {
		s.FromSeconds, s.ToSeconds = part[0].Sent.Seconds(), part[len(part)-1].Sent.Seconds()
	}
	return judged(s, p.weights, counts, o)
}

// judged fills in what the counts of a part say of its weights.
func judged(s report.Segment, w analyze.Weights, c analyze.Counts, o analyze.Options) report.Segment {
	s.Requests, s.Backends = attributed(c), partOf(w, c)
	d, err := analyze.Judge(w, c, o)
	if err != nil {
		s.Why = untrusted.Error(err)
		return s
	}
	s.Outcome = string(d.Outcome)
	s.Pearson = new(statistic(d.GoodnessOfFit.Pearson))
	return s
}

// partOf are counts beside the weights that they are held against.
func partOf(weights analyze.Weights, c analyze.Counts) []report.SegmentBackend {
	out := []report.SegmentBackend{}
	shares, n := weights.Shares(), attributed(c)
	for i, w := range weights {
		b := report.SegmentBackend{Name: w.Backend, Weight: w.W, ExpectedShare: shares[i], Observed: c.N[i]}
		if n > 0 {
			b.ObservedShare = new(float64(c.N[i]) / float64(n))
		}
		out = append(out, b)
	}
	return out
}

// moved says which of the moves the comparison of before and after does not: those that were taken back.
func moved(m record.Manifest, changes []law.Change, totals wire.Totals) []string {
	var out []string
	known := func(x record.Move) bool {
		return slices.ContainsFunc(changes, func(c law.Change) bool {
			name := x.What[strings.LastIndexAny(x.What, "/ ")+1:]
			return c.What == x.What || x.Law || name != "" && strings.Contains(c.What+" "+c.Before+" "+c.After, name)
		})
	}
	for _, x := range m.Moves {
		if known(x) {
			continue
		}
		text := fmt.Sprintf(report.SayMovedBack, x.What, x.Before, x.After)
		if m.Clock.Known && totals.StartedUnixNs > 0 {
			began, _ := m.Clock.Local(totals.StartedUnixNs)
			after := x.At.Sub(began).Round(10 * time.Millisecond)
			if when := report.SayMovedBackWhen; after >= 0 {
				text += fmt.Sprintf(when, after)
			} else {
				text += fmt.Sprintf(report.SayMovedBefore, -after)
			}
		}
		out = append(out, text)
	}
	return out
}
