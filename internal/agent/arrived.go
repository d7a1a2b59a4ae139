package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// arrived is what has been read of a burst, live or stored: what END must agree with.
type arrived struct {
	tally   wire.Tally
	blocks  uint64
	crc     uint32
	ticks   int
	times   wire.Times // of the ticks
	results []attack.Result
}

// samples decodes one block; its results are valid until the next call.
func (a *arrived) samples(block []byte) ([]attack.Result, error) {
	var err error
	if a.results, err = wire.DecodeSamples(a.results[:0], block); err != nil {
		return nil, err
	}
	if len(a.results) == 0 {
		return nil, errors.New("a block without samples")
	}
	a.blocks++
	a.crc = wire.Checksum(a.crc, block)
	for _, r := range a.results {
		a.tally.Add(r)
	}
	return a.results, nil
}

func (a *arrived) tick(p *wire.BurstProgress) {
	if p != nil {
		a.ticks++
		a.times.Add(*p)
	}
}

// check says where the totals of an END frame and what arrived disagree.
func (a *arrived) check(t wire.Totals) error {
	switch {
	case t.Samples != a.tally.Len():
		return fmt.Errorf("%w: the agent sent %d samples, %d arrived", errMismatch, t.Samples, a.tally.Len())
	case t.Blocks != a.blocks:
		return fmt.Errorf("%w: the agent sent %d blocks, %d arrived", errMismatch, t.Blocks, a.blocks)
	case t.SamplesCRC != a.crc:
		return fmt.Errorf("%w: the samples' checksum differs", errMismatch)
	case t.Requests != t.Samples+t.Dropped:
		return fmt.Errorf("%w: %d requests are not %d samples and %d dropped", errMismatch, t.Requests, t.Samples, t.Dropped)
	case t.Dropped == 0 && !slices.Equal(t.Tally, a.tally.Entries()):
		return fmt.Errorf("%w: the agent's counts differ from those that arrived", errMismatch)
	case a.ticks > 0 && a.times.SendLag.Len() != t.Requests:
		return fmt.Errorf("%w: the histograms hold %d of %d requests", errMismatch, a.times.SendLag.Len(), t.Requests)
	}
	return nil
}

// StoredBursts reads a stored stream of several bursts, which one session sent one after the other.
type StoredBursts struct{ reader *wire.Reader }

// NewStoredBursts begins at the opening of a stored stream.
func NewStoredBursts(r io.Reader) *StoredBursts { return &StoredBursts{wire.NewStoredReader(r)} }

// Next yields the results of the next burst and fills totals from its END frame. A stream without END, or cut in the
// middle, yields what is whole and then the reason. It must be read to its end before the one after it.
func (s *StoredBursts) Next(totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		var seen arrived
		for {
			f, err := s.reader.Next()
			if errors.Is(err, io.EOF) {
				err = ErrNoEnd
			}
			if err != nil {
				yield(attack.Result{}, err)
				return
			}
			var results []attack.Result
			switch f.Type {
			case wire.Hello:
			case wire.Tick:
				var p wire.Progress
				if err = json.Unmarshal(f.Payload, &p); err != nil {
					err = fmt.Errorf("read TICK: %w", err)
				}
				seen.tick(p.Burst)
			case wire.Samples:
				results, err = seen.samples(f.Payload)
			case wire.End:
				if err := seen.end(f.Payload, totals); err != nil {
					yield(attack.Result{}, err)
				}
				return
			default:
				err = fmt.Errorf("read stored run: unexpected %s frame", f.Type)
			}
			if err != nil {
				yield(attack.Result{}, err)
				return
			}
			for _, x := range results {
				if !yield(x, nil) {
					return
				}
			}
		}
	}
}

func (a *arrived) end(payload []byte, totals *wire.Totals) error {
	if err := json.Unmarshal(payload, totals); err != nil {
		return fmt.Errorf("read END: %w", err)
	}
	totals.Times = a.times
	return cmp.Or(a.check(*totals), totals.Check(0, 0))
}
