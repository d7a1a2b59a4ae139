package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// stopLimit is how long a stopped burst may take to send what it has and END.
const stopLimit = 3 * time.Second

// Start is how a burst starts; the zero value is at once.
type Start struct {
	// Gate is called when the agent has warmed up; the burst starts when it returns nil, and is given up otherwise. With
	// it several agents start together. It may be nil.
	Gate func(ctx context.Context) error
	// Delay is from there to the burst's instant 0.
	Delay time.Duration
}

// Attack is AttackFrom with a start at once.
func (c *Client) Attack(ctx context.Context, plan attack.Plan, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return c.AttackFrom(ctx, plan, Start{}, totals)
}

// AttackFrom has the agent carry out the plan and yields its results as they arrive. It ends without an error only
// after an END whose totals agree with what arrived, and whose reason is that all was done; Totals is then what END
// said, and also after a burst that the agent itself ended early, with a *CutShortError. When ctx is cancelled the
// agent is told to stop, what it still sends is yielded, and the context's error ends the iteration.
func (c *Client) AttackFrom(
	ctx context.Context, plan attack.Plan, start Start, totals *wire.Totals,
) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		if c.broken != nil {
			yield(attack.Result{}, c.broken)
			return
		}
		b := &clientBurst{c: c, plan: plan, totals: totals, gate: start.Gate}
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
		c.signs -= signsPerOrder
		request := wire.PlanRequest{Plan: plan, Hold: start.Gate != nil, DelayNs: int64(start.Delay)}
		if err := c.sendJSON(wire.Plan, request); err != nil {
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
		err := b.read(ctx, yield, halt)
		b.gates.Wait()
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
	plan   attack.Plan
	totals *wire.Totals
	seen   arrived
	broke  bool // the consumer broke off
	gate   func(context.Context) error
	gates  sync.WaitGroup
}

// read passes results on until END. After a consumer that breaks off it reads on to END all the same, so that the
// session stays usable and the frames are stored.
func (b *clientBurst) read(ctx context.Context, yield func(attack.Result, error) bool, halt func()) error {
	var results []attack.Result
	for {
		f, p, err := b.c.nextOrTick("run burst")
		if err != nil {
			return err
		}
		if f.Type == wire.Samples { // nothing is stored of more than was ordered
			if results, err = b.seen.samples(f.Payload); err == nil {
				err = b.ordered(results)
			}
			if err != nil {
				return b.c.protocol("run burst", err.Error())
			}
		}
		ofBurst := f.Type == wire.Samples || f.Type == wire.End || f.Type == wire.Tick && p.Burst != nil
		if ofBurst && b.c.o.Verified != nil {
			if err := b.c.o.Verified(f.Type, f.Raw); err != nil {
				halt()
				b.c.o.Verified = nil // the store failed: it is told no more, and the burst ends
				b.drain()
				return err
			}
		}
		switch f.Type {
		case wire.Tick:
			b.seen.tick(p.Burst)
		case wire.Ready:
			if b.gate == nil {
				return b.c.protocol("run burst", "READY for a burst that was not held")
			}
			b.open(ctx, halt)
		case wire.Samples:
			for _, r := range results {
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

// ordered refuses samples that the plan does not have.
func (b *clientBurst) ordered(results []attack.Result) error {
	if n := b.seen.tally.Len(); n > b.plan.Requests {
		return fmt.Errorf("%d samples of a plan of %d requests", n, b.plan.Requests)
	}
	for _, r := range results {
		ruled := func(x attack.Rule) bool { return x.Backend == int(r.Backend) }
		if r.Seq >= b.plan.Requests || r.Backend >= 0 && !slices.ContainsFunc(b.plan.Rules, ruled) {
			return fmt.Errorf("a sample of request %d and backend %d, which the plan does not have", r.Seq, r.Backend)
		}
	}
	return nil
}

// open asks the gate while signs of life go on being read, and sends GO.
func (b *clientBurst) open(ctx context.Context, halt func()) {
	gate := b.gate
	b.gate = nil
	b.gates.Go(func() {
		if gate(ctx) != nil || b.c.send(wire.Go, nil) != nil {
			halt()
		}
	})
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
	b.totals.Times = b.seen.times
	if err := cmp.Or(b.seen.check(*b.totals), b.totals.Check(b.plan.Requests, b.plan.WarmUp)); err != nil {
		return err
	}
	if b.totals.Reason != wire.ReasonDone && b.totals.Reason != wire.ReasonStopped {
		return &CutShortError{Reason: b.totals.Reason, Text: b.totals.Error}
	}
	return nil
}

// ErrNoEnd says that a stored run stops without an END frame: it was cut short.
var ErrNoEnd = errors.New("the stored run has no END: it was cut short")
