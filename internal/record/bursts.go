package record

import (
	"errors"
	"io"
	"io/fs"
	"iter"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Bursts reads the stored bursts of a comparison, one after the other, each from all the pods that carried it out.
type Bursts struct {
	m       Manifest
	streams []Stream
	readers []*agent.StoredBursts // nil where a session never opened
	files   []io.Closer
	read    int
}

// OpenBursts opens the streams of a comparison. Who opens them closes them.
func (m Manifest) OpenBursts(f store.Folder) (*Bursts, error) {
	b := &Bursts{m: m, streams: m.Streams}
	if len(b.streams) == 0 {
		b.streams = []Stream{{File: store.SamplesFile}}
	}
	if err := m.checkStreams(); err != nil {
		return nil, err
	}
	b.readers = make([]*agent.StoredBursts, len(b.streams))
	for i, s := range b.streams {
		file, err := f.OpenStream(s.File)
		switch {
		case errors.Is(err, fs.ErrNotExist) && s.Broken != "":
			continue
		case errors.Is(err, fs.ErrNotExist):
			err = agent.ErrNoEnd
		}
		if err != nil {
			return nil, errors.Join(err, b.Close())
		}
		b.files, b.readers[i] = append(b.files, file), agent.NewStoredBursts(file)
	}
	return b, nil
}

// Next yields the results of the next burst, sent at a rate, pod by pod, and fills totals. It must be read to its end.
func (b *Bursts) Next(rate attack.Rate, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		plan := b.m.Plan
		plan.Rate = rate
		var parts []wire.Totals
		for i, s := range b.streams {
			if s.Broken != "" && b.read >= s.Bursts || b.readers[i] == nil {
				continue
			}
			p := Placement{Stream: s, Of: len(b.streams)}
			if p.Offset = 0; len(b.streams) > 1 {
				p.Offset = Stagger(plan, s.Pod)
			}
			for r, err := range b.readers[i].Next(&p.Totals) {
				if err == nil {
					r = p.Take(r)
				}
				if !yield(r, err) || err != nil {
					return
				}
			}
			parts = append(parts, p.Totals)
		}
		*totals = AddUp(parts)
		b.read++
	}
}

// Close closes the streams.
func (b *Bursts) Close() error {
	var errs []error
	for _, f := range b.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
