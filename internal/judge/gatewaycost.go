package judge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/curl"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// Windows of the gateway cost: of a second each, or longer ones where there would be more than enough, or shorter ones
// where there would be too few. Below the shortest, neighbours are one moment.
const (
	costWindow    = time.Second
	mostWindows   = 40
	leastDuration = 2 * time.Second
)

// maxCostTimes bounds the answers whose times are kept in their order; of more, one in 2, 4, 8 ... by their numbers.
const maxCostTimes = 1 << 18

// costTimes keeps when the answers of each backend were due and how long they took.
type costTimes struct {
	stride uint64
	kept   []costTime
}

type costTime struct {
	seq       uint64
	due       time.Duration
	took, lag int64
	who       int16
}

func (c *costTimes) add(r attack.Result) {
	if r.Err != attack.OK || r.Status >= 500 || r.Backend < 0 {
		return
	}
	c.stride = max(c.stride, 1)
	if r.Seq%c.stride != 0 {
		return
	}
	if len(c.kept) >= maxCostTimes {
		c.stride *= 2
		c.kept = slices.DeleteFunc(c.kept, func(x costTime) bool { return x.seq%c.stride != 0 })
		if r.Seq%c.stride != 0 {
			return
		}
	}
	c.kept = append(c.kept, costTime{r.Seq, r.Planned, int64(r.ResponseTime()), int64(r.SendLag()), r.Backend})
}

// costSample are the times of each backend by windows of the run.
type costSample struct {
	all    []*analyze.Blocks // response times
	onTime []*analyze.Blocks // of requests that were not sent late, without their lag
	late   float64           // share of the requests that were
}

// costSample sorts the times of each backend into n windows of the run. What a request's lag is was settled before its
// backend was drawn: those that remain when the late ones are left out are drawn at random still, on each side.
func (t *Tally) costSample(m record.Manifest, totals wire.Totals, n int, length time.Duration) (costSample, error) {
	lags := t.ownLags(m.Plan)
	_, slowest := t.medians()
	limit := int64(max(lateLag, time.Duration(lateLagShare*float64(slowest))))
	backends := len(m.Weights)
	all, onTime, least := make([][][]int64, backends), make([][][]int64, backends), make([][]int64, backends)
	for b := range all {
		all[b], onTime[b] = make([][]int64, n), make([][]int64, n)
	}
	kept, known := 0, 0
	for _, x := range t.cost.kept {
		if int(x.who) >= backends {
			continue
		}
		known++
		w := min(int(x.due/length), n-1)
		own, near := lags.of(x)
		all[x.who][w] = append(all[x.who][w], x.took)
		least[x.who] = append(least[x.who], x.took-own)
		if near <= limit {
			kept++
			onTime[x.who][w] = append(onTime[x.who][w], x.took-own)
		}
	}
	out := costSample{all: make([]*analyze.Blocks, backends), onTime: make([]*analyze.Blocks, backends)}
	share := float64(kept) / float64(max(known, 1))
	out.late = 1 - share
	reading := readingOf(totals)
	late, rest := analyze.NewLateness(lags.own, lags.near, reading), analyze.LatenessOnTime(lags.own, reading, share)
	for b := range all {
		var errAll, errOn error
		out.all[b], errAll = boundBlocks(all[b], least[b], late)
		out.onTime[b], errOn = boundBlocks(onTime[b], nil, rest)
		if err := cmp.Or(errAll, errOn); err != nil {
			return out, err
		}
	}
	return out, nil
}

// windowsOf is how many windows a burst of that length has, and how long each is.
func windowsOf(length time.Duration) (n int, window time.Duration) {
	n = max(analyze.MinBlocks, min(mostWindows, int(length/costWindow)))
	return n, length/time.Duration(n) + 1
}

// gatewayCost computes what the gateway costs from a run's own answers; nil where no backend is of another cluster.
func gatewayCost(m record.Manifest, t *Tally, totals wire.Totals) *report.GatewayCost {
	reference, others := costSides(m)
	if len(others) == 0 {
		return nil
	}
	if why := costRefusal(m, t, totals, reference); why != "" {
		return &report.GatewayCost{Why: why}
	}
	n, window := windowsOf(t.last + time.Nanosecond)
	out := &report.GatewayCost{
		Reference: m.Weights[reference].Backend, Level: 1 - m.Options.Alpha, Windows: n, WindowSeconds: window.Seconds(),
	}
	sample, err := t.costSample(m, totals, n, window)
	switch {
	case err != nil:
		return &report.GatewayCost{Why: untrusted.Error(err)}
	case sample.late > mostLate:
		return &report.GatewayCost{Why: fmt.Sprintf(report.SayCostLate, 100*sample.late, rough(t.lagP99()))}
	case sample.late > 0:
		out.LateShare = &sample.late
	}
	for _, i := range append([]int{reference}, others...) {
		name := m.Weights[i].Backend
		if sample.onTime[i].Samples() == 0 {
			return &report.GatewayCost{Why: fmt.Sprintf(report.SayCostSilent, name)}
		}
		out.Backends = append(out.Backends, report.BackendTimes{
			Backend: name, Requests: int64(sample.all[i].Samples()),
			Quantiles: quantileTimes(sample.all[i], out.Level),
		})
		if i == reference {
			continue
		}
		c := report.BackendCost{Backend: name, Path: pathOf(m, i)}
		deciles := []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
		var errAt, errShift error
		far, near := sample.onTime[i], sample.onTime[reference]
		c.Quantiles, errAt = quantileDifferences(far, near, analyze.DefaultQuantiles(), out.Level)
		c.Shift, errShift = quantileDifferences(far, near, deciles, out.Level)
		if err := cmp.Or(errAt, errShift); err != nil {
			return &report.GatewayCost{Why: untrusted.Error(err)}
		}
		c.Say(out.Reference)
		out.Costs = append(out.Costs, c)
	}
	return out
}

// quantileDifferences are those of one backend's times less another's.
func quantileDifferences(far, near *analyze.Blocks, quantiles []float64,
	level float64,
) (out []report.QuantileDifference, err error) {
	for _, q := range quantiles {
		d, err := analyze.Difference(far, near, q, level, true)
		if err != nil {
			return nil, err
		}
		x := quantileDifference(q, d.Difference, d.DifferenceCI)
		if far.Late(q) != "" || near.Late(q) != "" {
			x.Ms = nil
		}
		out = append(out, x)
	}
	return out, nil
}

// costSides are the backend of the client's own cluster that the others are compared with, the one of most weight, and
// those of other clusters.
func costSides(m record.Manifest) (reference int, others []int) {
	reference = -1
	if m.Before == nil || len(m.Before.Backends) != len(m.Weights) {
		return -1, nil
	}
	for i, b := range m.Before.Backends {
		switch {
		case m.Weights[i].W == 0:
		case b.Mirror != nil && b.Mirror.Mode != law.MirrorFederated:
			others = append(others, i)
		case b.Mirror == nil && (reference < 0 || m.Weights[i].W > m.Weights[reference].W):
			reference = i
		}
	}
	if reference < 0 {
		return -1, nil
	}
	return reference, others
}

// pathOf is how a backend of another cluster is reached.
func pathOf(m record.Manifest, i int) string {
	switch mirror := m.Before.Backends[i].Mirror; {
	case mirror == nil:
		return ""
	case mirror.Mode == law.MirrorGateway:
		return report.PathGateway
	default:
		return untrusted.Safe(mirror.Mode)
	}
}

// costRefusal says why a run's latencies are not the backends', "" where they are.
func costRefusal(m record.Manifest, t *Tally, totals wire.Totals, reference int) string {
	length := t.last
	switch {
	case m.Plan.Shape != nil && m.Plan.Shape.Kind == attack.ShapeClosed:
		return report.SayCostClosed
	case curl.Drives(totals.Engine):
		return report.SayCostImage
	case length < leastDuration:
		return fmt.Sprintf(report.SayCostShort, leastDuration)
	case totals.Dropped > 0:
		return fmt.Sprintf(report.SayCostLost, totals.Dropped)
	case reference < 0:
		return report.SayCostNoReference
	}
	return ""
}

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
