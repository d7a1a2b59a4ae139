package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// Lags beyond which a request counts as sent late where the two sides of a difference are compared, and the share of
// such requests from which on there is none: what is left would be moments of another kind.
const (
	lateLag      = time.Millisecond
	lateLagShare = 0.1 // of the slower side's median
	mostLate     = 0.5
)

// ownLags are the generator's own lags, by the requests' numbers.
type ownLags struct {
	seqs      []uint64 // ascending
	own, near []int64
}

// of are those of one request; its whole lag where the order of requests was not kept.
func (l ownLags) of(x costTime) (own, near int64) {
	if i, ok := slices.BinarySearch(l.seqs, x.seq); ok {
		return l.own[i], l.near[i]
	}
	return x.lag, x.lag
}

// ownLags splits lags between the generator and the target, for each pod by itself. t must be sorted.
func (t *Tally) ownLags(p attack.Plan) (out ownLags) {
	if !t.ordered() {
		out.own, out.near = t.lags, t.lags
		return out
	}
	n := len(t.observations)
	out = ownLags{seqs: make([]uint64, n), own: make([]int64, n), near: make([]int64, n)}
	byPod := map[int][]int{}
	for i, o := range t.observations {
		out.seqs[i] = o.Seq
		byPod[o.Pod] = append(byPod[o.Pod], i)
	}
	for _, places := range byPod {
		requests := make([]analyze.Sending, len(places))
		for i, at := range places {
			o := t.observations[at]
			requests[i] = analyze.Sending{Planned: o.Planned, Sent: o.Sent, Done: o.Done}
		}
		own, near := analyze.Lags(requests, inFlight(p))
		for i, at := range places {
			out.own[at], out.near[at] = own[i], near[i]
		}
	}
	return out
}

// inFlight is how many requests a pod may have in flight at once.
func inFlight(p attack.Plan) int {
	p = p.WithDefaults()
	return p.Connections * max(p.Streams, 1)
}

// readingOf is what the totals of a burst tell of how late answers were read.
func readingOf(totals wire.Totals) analyze.Reading {
	var answers uint64
	for _, e := range totals.Tally {
		if e.Class == attack.OK.String() {
			answers += e.N
		}
	}
	out := analyze.Reading{Unknown: 1, Frozen: float64(totals.Throttled) / float64(max(totals.Requests, 1))}
	if answers > 0 {
		out.Unknown = math.Max(0, 1-float64(totals.Arrived)/float64(answers))
	}
	return out
}

// boundBlocks are blocks whose intervals hold what times would have been without the lateness.
func boundBlocks(values [][]int64, least []int64, l analyze.Lateness) (*analyze.Blocks, error) {
	b, err := analyze.NewBlocks(values)
	if err != nil {
		return nil, err
	}
	return b, b.Bound(least, l)
}

// sent is one request of a burst of latencies.
type sent struct {
	seq  uint64
	at   analyze.Sending
	good bool // complete, of the target's own
}

// lagsOfBursts are the generator's own lags over whole bursts, and the times of good answers without them.
func lagsOfBursts(bursts []*Burst, p attack.Plan) (own, near, least []int64) {
	for _, b := range bursts {
		slices.SortFunc(b.all, func(x, y sent) int { return cmp.Compare(x.seq, y.seq) })
		requests := make([]analyze.Sending, len(b.all))
		for i, x := range b.all {
			requests[i] = x.at
		}
		o, n := analyze.Lags(requests, inFlight(p))
		for i, x := range b.all {
			if x.good {
				least = append(least, int64(x.at.Done-x.at.Planned)-o[i])
			}
		}
		own, near = append(own, o...), append(near, n...)
	}
	return own, near, least
}
