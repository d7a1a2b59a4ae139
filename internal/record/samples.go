package record

import (
	"errors"
	"io/fs"
	"iter"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Samples yields the stored results of a run in the order in which they arrived, and fills totals from its END. A run
// that was cut short yields what is whole and then agent.ErrNoEnd or the reason.
func Samples(f store.Folder, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	m, err := Read(f)
	if errors.Is(err, fs.ErrNotExist) {
		err = agent.ErrNoEnd
	}
	if err != nil {
		return func(yield func(attack.Result, error) bool) { yield(attack.Result{}, err) }
	}
	return m.Samples(f, totals)
}

// Samples yields the results of all streams of a run, as results of the run, and adds up their totals. What is whole
// comes first, then the first reason why something is not.
func (m Manifest) Samples(f store.Folder, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		streams := m.Streams
		if len(streams) == 0 {
			streams = []Stream{{File: store.SamplesFile}}
		}
		if err := m.checkStreams(); err != nil {
			yield(attack.Result{}, err)
			return
		}
		pods, own := m.Pods(), m.ProxyAnswers()
		conns := make([]int32, pods)
		var parts []wire.Totals
		var failed error
		for _, s := range streams {
			p := Placement{Stream: s, Of: pods, Plan: m.Plan, FirstConn: conns[s.Pod], Own: own, MayLose: s.Next > 0}
			more, err := p.read(f, yield)
			if !more {
				return
			}
			conns[s.Pod] = max(conns[s.Pod], p.NextConn)
			parts = append(parts, p.sum())
			if err != nil && failed == nil {
				failed = err
			}
		}
		*totals = own.TellAll(AddUp(parts))
		if failed != nil && len(streams) > 1 {
			totals.Reason, totals.Error = "", "" // what one stream says of its end does not hold for all
		}
		if failed != nil {
			yield(attack.Result{}, failed)
		}
	}
}

// read yields the stream's results. That a stream broke which another one follows, or whose pod was lost, is no error:
// what was lost is yielded too.
func (p *Placement) read(f store.Folder, yield func(attack.Result, error) bool) (more bool, err error) {
	file, err := f.OpenStream(p.File)
	if errors.Is(err, fs.ErrNotExist) && p.Next > 0 { // its session never opened
		return p.yieldLost(yield), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return true, agent.ErrNoEnd
	}
	if err != nil {
		return true, err
	}
	defer file.Close()
	for result, err := range agent.ReadStored(file, &p.Totals) {
		if err != nil && p.Next > 0 {
			break
		}
		if err != nil {
			return true, err
		}
		if !yield(p.Take(result), nil) {
			return false, nil
		}
	}
	if p.Next > 0 {
		return p.yieldLost(yield), nil
	}
	return true, nil
}

// yieldLost yields what was lost of a stream, of which no END says anything.
func (p *Placement) yieldLost(yield func(attack.Result, error) bool) (more bool) {
	p.Totals = wire.Totals{}
	for r := range p.Lost() {
		if !yield(r, nil) {
			return false
		}
	}
	return true
}

// AddUp is the totals of a run of several streams.
func AddUp(parts []wire.Totals) wire.Totals {
	if len(parts) == 1 {
		return parts[0]
	}
	var sum wire.Totals
	var tally wire.Tally
	for _, t := range parts {
		sum.Requests += t.Requests
		sum.Samples += t.Samples
		sum.Dropped += t.Dropped
		sum.Blocks += t.Blocks
		sum.WarmUp += t.WarmUp
		sum.WarmUpAnswered += t.WarmUpAnswered
		sum.Connections += t.Connections
		sum.CPUUs += t.CPUUs
		sum.ThrottledUs += t.ThrottledUs
		sum.Kept.Add(t.Kept)
		sum.Arrived += t.Arrived
		sum.MaxRSSBytes = max(sum.MaxRSSBytes, t.MaxRSSBytes)
		if t.StartedUnixNs != 0 && (sum.StartedUnixNs == 0 || t.StartedUnixNs < sum.StartedUnixNs) {
			sum.StartedUnixNs = t.StartedUnixNs
		}
		if t.Engine != "" {
			sum.Engine = t.Engine
		}
		if t.Reason != "" && (sum.Reason == "" || sum.Reason == wire.ReasonDone) {
			sum.Reason, sum.Error = t.Reason, t.Error
		}
		sum.Times.Merge(t.Times)
		sum.Specimens = append(sum.Specimens, t.Specimens...)
		for _, e := range t.Tally {
			tally.AddEntry(e)
		}
	}
	sum.Specimens = sum.Specimens[:min(len(sum.Specimens), attack.MaxSpecimens)]
	sum.Tally = tally.Entries()
	return sum
}
