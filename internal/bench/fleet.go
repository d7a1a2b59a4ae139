package bench

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// fleet sends one burst after the other from several pods at once, as if they were one. A pod that is lost in a burst
// has no part in it, nor in those that follow: what arrived of its part are more answers of the faster backend.
type fleet struct {
	r       *run
	sources []*source
	bursts  int // so far
}

var _ session = (*fleet)(nil)

// newFleet begins with sources whose sessions are open, but for those that failed.
func newFleet(r *run, sources []*source) *fleet {
	f := &fleet{r: r, sources: sources}
	for _, s := range sources {
		if s.failed != nil {
			f.lose(s, s.failed)
		}
	}
	return f
}

// Fetch implements fetcher, from the first pod that is left.
func (f *fleet) Fetch(ctx context.Context, q wire.FetchRequest) (wire.FetchResult, []byte, error) {
	return f.first().session.Fetch(ctx, q)
}

// Hello is what the first pod that is left said of itself.
func (f *fleet) Hello() wire.HelloMessage { return f.first().session.Hello() }

// first is the first pod that is left, or, where none is, the first.
func (f *fleet) first() *source {
	for _, s := range f.sources {
		if s.failed == nil {
			return s
		}
	}
	return f.sources[0]
}

// Close closes all sessions.
func (f *fleet) Close() error { return worstOf(each(f.sources, (*source).close)) }

// share is what one pod sent of a burst.
type share struct {
	results []attack.Result
	totals  wire.Totals
	err     error
}

// AttackFrom has the pods that are left start together, each with its part of the plan, and yields the results pod by
// pod, as they are stored. It fails where no pod carried out its part.
func (f *fleet) AttackFrom(
	ctx context.Context, plan attack.Plan, start agent.Start, totals *wire.Totals,
) iter.Seq2[attack.Result, error] {
	if len(f.sources) == 1 {
		return f.sources[0].session.AttackFrom(ctx, plan, start, totals)
	}
	return func(yield func(attack.Result, error) bool) {
		shares := f.send(ctx, plan)
		defer func() { f.bursts++ }()
		var whole []wire.Totals
		var failed error
		for n, x := range shares {
			s := f.sources[n]
			switch {
			case s.failed != nil:
				continue
			case x.err != nil && ctx.Err() == nil:
				failed = x.err
				f.lose(s, x.err)
				continue
			case x.err != nil:
				failed = x.err
			}
			whole = append(whole, x.totals)
			for _, result := range x.results {
				if !yield(result, nil) {
					return
				}
			}
		}
		*totals = record.AddUp(whole)
		if len(whole) == 0 || ctx.Err() != nil {
			yield(attack.Result{}, failed)
		}
	}
}

// send carries out the parts of a plan, and returns what came of each.
func (f *fleet) send(ctx context.Context, plan attack.Plan) []share {
	shares, barrier := make([]share, len(f.sources)), newBarrier(len(f.sources))
	var sending sync.WaitGroup
	for n, s := range f.sources {
		x := &shares[n]
		sending.Go(func() {
			gate, leave := barrier.place()
			defer leave()
			part := record.PartOf(plan, n, len(f.sources))
			if s.failed != nil || part.Requests == 0 {
				return
			}
			at := record.Placement{Stream: record.Stream{Pod: n, Offset: record.Stagger(plan, n)}, Of: len(f.sources)}
			for result, err := range s.session.AttackFrom(ctx, part, agent.Start{Gate: gate, Delay: at.Offset}, &x.totals) {
				if err != nil {
					x.err = err
					return
				}
				x.results = append(x.results, at.Take(result))
			}
		})
	}
	sending.Wait()
	return shares
}

// lose leaves a pod out from this burst on.
func (f *fleet) lose(s *source, err error) {
	s.failed = err
	why := untrusted.Safe(brief(err.Error()))
	if s.stream != nil {
		s.stream.Broken, s.stream.Bursts = why, f.bursts
	}
	f.r.progress("attack", fmt.Sprintf("pod %s is lost, the others go on: %s", s.pod.Name, why))
}
