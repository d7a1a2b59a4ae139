package record

import (
	"cmp"
	"errors"
	"io"
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
		b, err := m.OpenBursts(f)
		if err != nil {
			yield(attack.Result{}, err)
			return
		}
		defer b.Close()
		b.single = true
		b.Next(m.Plan.Rate, totals)(yield)
	}
}

// Bursts reads what a run has stored, one burst after the other, each from all the pods that carried it out. A run of a
// split is one burst.
type Bursts struct {
	m       Manifest
	folder  store.Folder
	streams []Stream
	own     ProxyAnswers
	readers map[string]*agent.StoredBursts // by file
	files   []io.Closer
	read    int
	single  bool // no burst follows: a stream is closed when it was read
}

// OpenBursts is for reading the bursts of a run. Who opens them closes them.
func (m Manifest) OpenBursts(f store.Folder) (*Bursts, error) {
	if err := m.checkStreams(); err != nil {
		return nil, err
	}
	b := &Bursts{m: m, folder: f, streams: m.Streams, own: m.ProxyAnswers(), readers: map[string]*agent.StoredBursts{}}
	if len(b.streams) == 0 {
		b.streams = []Stream{{File: store.SamplesFile}}
	}
	return b, nil
}

// Close closes the streams.
func (b *Bursts) Close() error {
	var errs []error
	for _, f := range b.files {
		errs = append(errs, f.Close())
	}
	b.files = nil
	return errors.Join(errs...)
}

// Next yields the results of the next burst, sent at a rate, stream by stream, and fills totals. It must be read to its
// end.
func (b *Bursts) Next(rate attack.Rate, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		plan, pods := b.m.Plan, b.m.Pods()
		plan.Rate = rate
		conns := make([]int32, pods)
		var parts []wire.Totals
		var failed error
		for _, s := range b.streams {
			if s.Broken != "" && s.Next == 0 && b.read >= s.Bursts {
				continue // its pod was lost before
			}
			if rate != b.m.Plan.Rate {
				s.Offset = Stagger(plan, s.Pod)
			}
			p := Placement{Stream: s, Of: pods, Plan: plan, FirstConn: conns[s.Pod], Own: b.own, MayLose: s.Next > 0}
			more, err := b.stream(&p, yield)
			if !more {
				return
			}
			conns[s.Pod] = max(conns[s.Pod], p.NextConn)
			parts = append(parts, p.Sum())
			failed = cmp.Or(failed, err)
		}
		b.read++
		*totals = b.own.TellAll(AddUp(parts))
		if failed == nil {
			return
		}
		if len(b.streams) > 1 {
			totals.Reason, totals.Error = "", "" // what one stream says of its end does not hold for all
		}
		yield(attack.Result{}, failed)
	}
}

// stream yields the results of a stream's next burst. That a stream broke which another one follows, or whose pod was
// lost, is no error: what was lost is yielded too.
func (b *Bursts) stream(p *Placement, yield func(attack.Result, error) bool) (more bool, err error) {
	reader, err := b.reader(p.File)
	if err == nil {
		for result, broke := range reader.Next(&p.Totals) {
			if err = broke; err != nil {
				break
			}
			if !yield(p.Take(result), nil) {
				return false, nil
			}
		}
	}
	if b.single {
		b.Close() //nolint:errcheck // it was read as far as it goes
	}
	if p.Next == 0 {
		return true, err
	}
	p.Totals = wire.Totals{} // no END says anything of what was lost
	for r := range p.Lost() {
		if !yield(r, nil) {
			return false, nil
		}
	}
	return true, nil
}

// reader reads a stream. One that is not there was cut short before anything came.
func (b *Bursts) reader(file string) (*agent.StoredBursts, error) {
	if r := b.readers[file]; r != nil {
		return r, nil
	}
	f, err := b.folder.OpenStream(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = agent.ErrNoEnd
	}
	if err != nil {
		return nil, err
	}
	r := agent.NewStoredBursts(f)
	b.files, b.readers[file] = append(b.files, f), r
	return r, nil
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
		sum.Engine = cmp.Or(t.Engine, sum.Engine)
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
