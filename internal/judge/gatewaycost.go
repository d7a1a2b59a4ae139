package judge

import (
	"cmp"
	"fmt"
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
	seq  uint64
	due  time.Duration
	took int64
	who  int16
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
	c.kept = append(c.kept, costTime{r.Seq, r.Planned, int64(r.ResponseTime()), r.Backend})
}

// windows sorts the times of each backend into windows of the run.
func (c *costTimes) windows(backends, n int, length time.Duration) ([]*analyze.Blocks, error) {
	table := make([][][]int64, backends)
	for b := range table {
		table[b] = make([][]int64, n)
	}
	for _, x := range c.kept {
		if int(x.who) < backends {
			w := min(int(x.due/length), n-1)
			table[x.who][w] = append(table[x.who][w], x.took)
		}
	}
	out := make([]*analyze.Blocks, backends)
	for b := range table {
		var err error
		if out[b], err = analyze.NewBlocks(table[b]); err != nil {
			return nil, err
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
	if lag := t.lagP99(); !t.onTime(totals) && lag > 0 {
		out.SharedLagMs = report.Ms(float64(lag))
	}
	blocks, err := t.cost.windows(len(m.Weights), n, window)
	if err != nil {
		return &report.GatewayCost{Why: untrusted.Error(err)}
	}
	for _, i := range append([]int{reference}, others...) {
		name := m.Weights[i].Backend
		if blocks[i].Samples() == 0 {
			return &report.GatewayCost{Why: fmt.Sprintf(report.SayCostSilent, name)}
		}
		out.Backends = append(out.Backends, report.BackendTimes{
			Backend: name, Requests: int64(blocks[i].Samples()), Quantiles: quantileTimes(blocks[i], out.Level),
		})
		if i == reference {
			continue
		}
		c := report.BackendCost{Backend: name, Path: pathOf(m, i)}
		deciles := []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}
		var errAt, errShift error
		c.Quantiles, errAt = quantileDifferences(blocks[i], blocks[reference], analyze.DefaultQuantiles(), out.Level)
		c.Shift, errShift = quantileDifferences(blocks[i], blocks[reference], deciles, out.Level)
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
		out = append(out, quantileDifference(q, d.Difference, d.DifferenceCI))
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
	case !t.onTimeForCost(totals):
		return fmt.Sprintf(report.SayCostLate, rough(t.lagP99()))
	case length < leastDuration:
		return fmt.Sprintf(report.SayCostShort, leastDuration)
	case totals.Dropped > 0:
		return fmt.Sprintf(report.SayCostLost, totals.Dropped)
	case reference < 0:
		return report.SayCostNoReference
	}
	return ""
}
