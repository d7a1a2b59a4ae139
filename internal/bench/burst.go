package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/wire"
)

// burst is a plan that several pods carry out as if they were one.
type burst struct {
	plan attack.Plan
	take func(s *source, result attack.Result) error // is called for several pods at once
	// whole: it is all that the run sends. What a lost pod did not send of it, or what did not arrive, is taken as lost.
	// Of one burst of many such a pod has no part: what arrived of it are more answers of the faster backend.
	whole  bool
	before int // bursts of a comparison that were sent before it
}

// send has the pods that are left start together, each with its part of the plan. A pod that is lost has no part in the
// bursts that follow; it is an error where no other is left.
func (r *run) send(ctx context.Context, b burst) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	start := newBarrier(len(r.active))
	errs := make([]error, len(r.active))
	var sending sync.WaitGroup
	for i, s := range r.active {
		sending.Go(func() {
			gate, leave := start.place()
			err := s.send(ctx, b, gate)
			leave()
			if s.loses(ctx, err) {
				err = s.lose(ctx, b, err)
			}
			if errs[i] = err; err != nil {
				stop(err)
			}
		})
	}
	sending.Wait()
	if b.whole {
		start.tell(r)
	}
	if !slices.ContainsFunc(r.active, (*source).left) {
		return fmt.Errorf("all %d pods were lost, the first by: %w", len(r.active), r.active[0].failed)
	}
	return worstOf(errs)
}

// sum is what the last burst's totals are, of the pods that are left.
func (r *run) sum() wire.Totals {
	var parts []wire.Totals
	for _, s := range r.active {
		if s.left() {
			parts = append(parts, s.stream.Sum())
		}
	}
	return r.m.ProxyAnswers().TellAll(record.AddUp(parts))
}

// barrier lets several bursts start together.
type barrier struct {
	mu     sync.Mutex
	all    int
	left   int
	open   chan struct{}
	opened time.Time
}

func newBarrier(n int) *barrier { return &barrier{all: n, left: n, open: make(chan struct{})} }

// place is one burst's place at the barrier: gate is what it calls once before it starts, nil where there is nobody to
// wait for, and leave is called when it is over, so that nobody waits for a burst that never came to its start.
func (b *barrier) place() (gate func(context.Context) error, leave func()) {
	leave = sync.OnceFunc(b.arrive)
	if b.all == 1 {
		return nil, leave
	}
	return func(ctx context.Context) error {
		leave()
		select {
		case <-b.open:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}, leave
}

func (b *barrier) arrive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left--; b.left == 0 {
		b.opened = time.Now()
		close(b.open)
	}
}

// tell notes of each pod when it started and how its clock goes: none began before the barrier opened, and none later
// than its signs of life allow, each by the way that it had to here.
func (b *barrier) tell(r *run) {
	for _, s := range r.active {
		first := r.streams[s.n] // sessions open in the order of the pods
		earliest := b.opened.Add(record.Stagger(r.m.Plan, s.n))
		if b.all == 1 || s.zero.Before(earliest) {
			continue
		}
		first.Started = s.zero.Sub(earliest)
		if at := first.Totals.StartedUnixNs; at > 0 {
			first.Clock.See(earliest, s.zero, at)
		}
		r.m.StartSkew = max(r.m.StartSkew, first.Started)
	}
}

// worstOf is the error that ended a burst. That the looks decided is none.
func worstOf(errs []error) error {
	var first error
	for _, err := range errs {
		switch {
		case err == nil, err == errDecided: //nolint:errorlint // joined with another error it is not the end that was wanted
		case first == nil:
			first = err
		case isStore(first) && isStore(err): // a disk that is full is so for every pod
		case !errors.Is(first, err) && !errors.Is(err, first):
			first = errors.Join(first, err)
		}
	}
	return first
}

func isStore(err error) bool {
	_, ok := errors.AsType[*StoreError](err)
	return ok
}
