package judge

import (
	"fmt"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// sideRun is a stored run as comparisons see it, whatever its kind.
type sideRun struct {
	run    report.ComparedRun
	why    []string // why its verdict is none; then nothing of it is compared
	counts []sideCount
	series []sideTimes
	costs  []sideCost // pairs of series whose blocks are the same windows
	noTime string     // why there are no series

	warnings []string
}

type sideCount struct {
	backend  string
	weight   int64
	observed int64
}

// sideTimes are the response times of one target, by blocks.
type sideTimes struct {
	name   string
	blocks *analyze.Blocks
}

// sideCost is the cost of one target over another of the same run.
type sideCost struct {
	name      string
	far, near *analyze.Blocks
}

func measuredOf(f store.Folder) (sideRun, error) {
	m, err := record.Read(f)
	if err != nil {
		return sideRun{}, err
	}
	if f.Status == store.Running {
		return sideRun{}, record.Usagef("compare: run %s is still being written", f.ID)
	}
	switch m.Kind {
	case report.KindSplit:
		rep, e := again(f, m)
		rep.Run.ID = f.ID
		return sideOf(rep, m, e.Tally, e.Totals)
	case report.KindLatency:
		return measuredLatency(f, m)
	}
	return sideRun{}, record.Usagef("compare: run %s is a %s run, which cannot be compared", f.ID, m.Kind)
}

// measuredLatency reads a comparison of targets again: each target's times by rounds, and what each costs more than the
// one that it was compared with, whose rounds lie beside its own.
func measuredLatency(f store.Folder, m record.Manifest) (sideRun, error) {
	rep, e := again(f, m)
	out := sideRun{run: report.Compared(rep)}
	out.run.ID = f.ID
	switch {
	case rep.Verdict.Outcome == report.Invalid:
		out.why = rep.Verdict.Reasons
		return out, nil
	case m.Latency == nil || m.Latency.Sweep:
		return sideRun{}, record.Usagef("compare: run %s is a sweep of rates, which cannot be compared", f.ID)
	}
	times := e.Times
	blocks := make([]*analyze.Blocks, len(times))
	for i, t := range times {
		var err error
		if blocks[i], err = t.sample(len(t.whole), m.Plan); err != nil {
			return sideRun{}, fmt.Errorf("compare run %s: %w", f.ID, err)
		}
		if blocks[i].Samples() > 0 {
			out.series = append(out.series, sideTimes{m.Latency.Targets[i].Name, blocks[i]})
		}
	}
	near := len(blocks) - 1 // the one that the others are compared with is last
	for i := range near {
		if m.Latency.Against && blocks[i].Samples() > 0 && blocks[near].Samples() > 0 &&
			len(times[i].blocks) == len(times[near].blocks) {
			out.costs = append(out.costs, sideCost{m.Latency.Targets[i].Name, blocks[i], blocks[near]})
		}
	}
	return out, nil
}

// sideOf is what comparisons take from a run of a split; its tally must be sorted.
func sideOf(rep report.Report, m record.Manifest, t *Tally, totals wire.Totals) (sideRun, error) {
	out := sideRun{run: report.Compared(rep)}
	if rep.Verdict.Outcome == report.Invalid {
		out.why = rep.Verdict.Reasons
		return out, nil
	}
	if s := rep.Verdict.StatisticalOutcome; s != "" {
		out.warnings = append(out.warnings, fmt.Sprintf(report.SayNotIndependent, out.run.ID, s, rep.Verdict.Outcome))
	}
	for _, b := range rep.Backends {
		out.counts = append(out.counts, sideCount{b.Name, b.Weight, b.Observed})
	}
	reference, others := costSides(m)
	if out.noTime = costRefusal(m, t, totals, max(reference, 0)); out.noTime != "" {
		return out, nil
	}
	n, window := windowsOf(t.last + time.Nanosecond)
	sample, err := t.costSample(m, totals, n, window)
	if err != nil {
		return out, fmt.Errorf("compare run %s: %w", out.run.ID, err)
	}
	for i, b := range sample.all {
		if b.Samples() > 0 {
			out.series = append(out.series, sideTimes{m.Weights[i].Backend, b})
		}
	}
	for _, i := range others {
		far := sample.onTime[i]
		if reference >= 0 && sample.late <= mostLate && far.Samples() > 0 && sample.onTime[reference].Samples() > 0 {
			out.costs = append(out.costs, sideCost{m.Weights[i].Backend, far, sample.onTime[reference]})
		}
	}
	return out, nil
}
