package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// stopLimit is how long a stopped burst may take to send what it has and END.
const stopLimit = 3 * time.Second

// Attack has the agent carry out the plan and yields its results as they arrive. It ends without an error only after an
// END whose totals agree with what arrived, and whose reason is that all was done; Totals is then what END said, and also
// after a burst that the agent itself ended early, with a *CutShortError. When ctx is cancelled the agent is told to stop, what it
// still sends is yielded, and the context's error ends the iteration.
func (c *Client) Attack(ctx context.Context, plan attack.Plan, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		if c.broken != nil {
			yield(attack.Result{}, c.broken)
			return
		}
		b := &clientBurst{c: c, totals: totals}
		// Stop is asked for at most once, from whichever goroutine; the reader is cut off if nothing comes of it.
		var once sync.Once
		var limit *time.Timer
		halt := func() {
			once.Do(func() {
				limit = time.AfterFunc(stopLimit, func() { c.cut(errSilent) })
				c.send(wire.Stop, nil) //nolint:errcheck // a broken stream shows in the reader
			})
		}
		if ctx.Err() != nil {
			yield(attack.Result{}, context.Cause(ctx)) // nothing is sent for a burst that nobody wants any more
			return
		}
		if err := c.sendJSON(wire.Plan, plan); err != nil {
			yield(attack.Result{}, c.failed("run burst", err))
			return
		}
		stopWatch := context.AfterFunc(ctx, halt) // not before PLAN is on its way: a STOP that comes first stops nothing
		defer func() {
			stopWatch()
			once.Do(func() {})
			if limit != nil {
				limit.Stop()
			}
		}()
		err := b.read(yield, halt)
		switch {
		case b.broke:
		case err == nil && ctx.Err() != nil:
			yield(attack.Result{}, context.Cause(ctx))
		case ctx.Err() != nil && !errors.Is(err, errMismatch):
			yield(attack.Result{}, errors.Join(context.Cause(ctx), err))
		case err != nil:
			yield(attack.Result{}, err)
		}
	}
}

// CutShortError says that the agent ended a burst before all was sent. What arrived is whole: the totals agree.
type CutShortError struct {
	Reason string // as wire names the reasons
	Text   string
}

func (e *CutShortError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("burst cut short: %s", e.Reason)
	}
	return fmt.Sprintf("burst cut short: %s: %s", e.Reason, e.Text)
}

var errMismatch = errors.New("totals do not agree")

// clientBurst is the state of one burst as it arrives.
type clientBurst struct {
	c      *Client
	totals *wire.Totals
	tally  wire.Tally
	blocks uint64
	crc    uint32
	broke  bool // the consumer broke off
}

// read passes results on until END. After a consumer that breaks off it reads on to END all the same, so that the session
// stays usable and the frames are stored.
func (b *clientBurst) read(yield func(attack.Result, error) bool, halt func()) error {
	var results []attack.Result
	for {
		f, err := b.c.next("run burst")
		if err != nil {
			return err
		}
		if f.Type == wire.Samples || f.Type == wire.End {
			if b.c.o.Verified != nil {
				if err := b.c.o.Verified(f.Type, f.Raw); err != nil {
					halt()
					b.c.o.Verified = nil // the store failed: it is told no more, and the burst ends
					b.drain()
					return err
				}
			}
		}
		switch f.Type {
		case wire.Samples:
			if results, err = wire.DecodeSamples(results[:0], f.Payload); err != nil {
				return b.c.protocol("run burst", err.Error())
			}
			b.blocks++
			b.crc = wire.Checksum(b.crc, f.Payload)
			for _, r := range results {
				b.tally.Add(r)
				if !b.broke && !yield(r, nil) {
					b.broke = true
					halt()
				}
			}
		case wire.End:
			return b.end(f.Payload)
		default:
			return b.c.protocol("run burst", f.Type.String()+" frame")
		}
	}
}

// drain reads to END without looking, so that the agent can end in order.
func (b *clientBurst) drain() {
	for {
		f, err := b.c.next("run burst")
		if err != nil || f.Type == wire.End {
			return
		}
	}
}

// end holds what END says against what arrived.
func (b *clientBurst) end(payload []byte) error {
	if err := json.Unmarshal(payload, b.totals); err != nil {
		return b.c.protocol("run burst", err.Error())
	}
	b.c.send(wire.Ack, nil) //nolint:errcheck // a broken stream shows in the next call
	if err := CheckTotals(*b.totals, &b.tally, b.blocks, b.crc); err != nil {
		return err
	}
	if b.totals.Reason != wire.ReasonDone && b.totals.Reason != wire.ReasonStopped {
		return &CutShortError{Reason: b.totals.Reason, Text: b.totals.Error}
	}
	return nil
}

// CheckTotals says where the totals of an END frame and the blocks that arrived disagree.
func CheckTotals(t wire.Totals, arrived *wire.Tally, blocks uint64, crc uint32) error {
	switch {
	case t.Samples != arrived.Len():
		return fmt.Errorf("%w: the agent sent %d samples, %d arrived", errMismatch, t.Samples, arrived.Len())
	case t.Blocks != blocks:
		return fmt.Errorf("%w: the agent sent %d blocks, %d arrived", errMismatch, t.Blocks, blocks)
	case t.SamplesCRC != crc:
		return fmt.Errorf("%w: the samples' checksum differs", errMismatch)
	case t.Requests != t.Samples+t.Dropped:
		return fmt.Errorf("%w: %d requests are not %d samples and %d dropped", errMismatch, t.Requests, t.Samples, t.Dropped)
	case t.Dropped == 0 && !slices.Equal(t.Tally, arrived.Entries()):
		return fmt.Errorf("%w: the agent's counts differ from those that arrived", errMismatch)
	}
	return nil
}

// ReadStored yields the results of a stored stream and fills totals from its END frame. A stream without END, or cut in
// the middle, yields what is whole and then the reason.
func ReadStored(r io.Reader, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		reader := wire.NewStoredReader(r)
		var tally wire.Tally
		var blocks uint64
		var crc uint32
		var results []attack.Result
		for {
			f, err := reader.Next()
			if errors.Is(err, io.EOF) {
				err = ErrNoEnd
			}
			if err != nil {
				yield(attack.Result{}, err)
				return
			}
			switch f.Type {
			case wire.Samples:
				if results, err = wire.DecodeSamples(results[:0], f.Payload); err != nil {
					yield(attack.Result{}, err)
					return
				}
				blocks++
				crc = wire.Checksum(crc, f.Payload)
				for _, x := range results {
					tally.Add(x)
					if !yield(x, nil) {
						return
					}
				}
			case wire.End:
				if err := json.Unmarshal(f.Payload, totals); err != nil {
					yield(attack.Result{}, fmt.Errorf("read END: %w", err))
				} else if err := CheckTotals(*totals, &tally, blocks, crc); err != nil {
					yield(attack.Result{}, err)
				}
				return
			case wire.Hello:
			default:
				yield(attack.Result{}, fmt.Errorf("read stored run: unexpected %s frame", f.Type))
				return
			}
		}
	}
}

// ErrNoEnd says that a stored run stops without an END frame: it was cut short.
var ErrNoEnd = errors.New("the stored run has no END: it was cut short")
