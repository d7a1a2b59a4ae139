package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// measure opens a session in every source pod, learns who answers how, and sends the burst.
func (r *run) measure(ctx context.Context) (err error) {
	sources, err := r.sources()
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range sources {
			r.endSession(err, s.close)
		}
	}()
	from := "pod " + sources[0].pod.Name
	if len(sources) > 1 {
		from = fmt.Sprintf("%d pods", len(sources))
	}
	r.progress("settle", "starting the agent in "+from)
	if err := openAll(ctx, sources); err != nil {
		return err
	}
	r.m.Agent = sources[0].facts
	first := clockedFetcher{sources[0].session, &r.m.Clock, func(text string) { r.progress("settle", text) }}
	if err := r.heard(ctx, first); err != nil || r.m.Refused() {
		return err
	}
	if err := r.settle(ctx, first); err != nil || r.m.Refused() {
		return err
	}
	if err := r.awaitDataPlane(ctx, first); err != nil {
		return err
	}
	r.progress("attack", fmt.Sprintf("sending %d requests at %g/s from %s",
		r.m.Plan.Requests, r.m.Plan.Rate.PerSecond(), from))
	if err := r.tellAgain(ctx); err != nil {
		return err
	}
	err = r.witnessed(ctx, sources, func() error {
		if t := r.m.Before.Told; t != nil && t.Why == "" {
			t.BeforeBurstMs = max(1, time.Since(t.At).Milliseconds())
		}
		return r.burst(ctx, sources)
	})
	r.tellAfter(ctx)
	return err
}

// withSession opens one session in the source pod, keeps what it verifies, and has it do something for so long.
func (r *run) withSession(
	ctx context.Context, length time.Duration, do func(context.Context, session) error,
) (err error) {
	r.progress("settle", "starting the agent in pod "+r.m.Before.Source.Name)
	client, facts, err := r.openSession(ctx, ladder{
		pod: r.m.Before.Source, plan: r.m.Plan, length: length,
		options: agent.ClientOptions{
			Verified: r.storeFrames(store.SamplesFile), Progress: func(wire.Progress) { r.showLive() },
		},
	})
	r.m.Agent = facts
	if err != nil {
		return err
	}
	defer func() { r.endSession(err, client.Close) }()
	return do(ctx, client)
}

// endSession closes a session. That its end was not seen is a warning, where nothing worse is known.
func (r *run) endSession(err error, close func() error) {
	if closeErr := close(); err == nil && closeErr != nil {
		r.m.Warnings = append(r.m.Warnings, "the agent's end could not be seen: "+untrusted.Error(closeErr))
	}
}

// burst sends the counted requests, from all source pods at once. Frames are stored before they are counted. A
// sequential run stops the burst at the look that decides.
func (r *run) burst(ctx context.Context, sources []*source) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if r.m.Sequential != nil {
		var err error
		if r.looks, err = judge.NewLooker(r.m.Weights, r.m.Options, r.m.Sequential.Every); err != nil {
			return err
		}
	}
	r.tally.Pods = len(sources)
	r.live.begin(r.m.Weights, &r.m.Options, r.m.Plan.Requests, r.m.Plan.Duration())
	start := newBarrier(len(sources))
	errs := make([]error, len(sources))
	var sending sync.WaitGroup
	for i, s := range sources {
		s.plan = record.PartOf(r.m.Plan, i, len(sources)) // with the rules that were learned since
		sending.Go(func() {
			if errs[i] = s.send(ctx, start.gate(), stop); errs[i] != nil {
				stop(errs[i]) // what one pod cannot send nobody else makes up for
			}
		})
	}
	sending.Wait()
	r.m.StartSkew = start.skew(sources)
	r.gather()
	return worstOf(errs)
}

// openAtOnce is how many sessions are opened at a time.
const openAtOnce = 16

// openAll opens a session in each pod. The first that cannot be opened ends the opening of the others.
func openAll(ctx context.Context, sources []*source) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	turns := make(chan struct{}, openAtOnce)
	var opening sync.WaitGroup
	for _, s := range sources {
		s.stream = s.r.newStream(s) // numbered as the pods are
		opening.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if ctx.Err() != nil {
				return
			}
			if err := s.open(ctx, 0); err != nil {
				stop(err)
			}
		})
	}
	opening.Wait()
	return context.Cause(ctx)
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

// gate is what each burst calls once before it starts; nil where there is nobody to wait for.
func (b *barrier) gate() func(context.Context) error {
	if b.all == 1 {
		return nil
	}
	return b.arrive
}

// skew bounds how far apart the bursts started: none began before the barrier opened, and none later than its signs of
// life allow, each by the way that it had to here.
func (b *barrier) skew(sources []*source) (most time.Duration) {
	for _, s := range sources {
		if at := s.zero.Add(-record.Stagger(s.r.m.Plan, s.n)); b.all > 1 && !s.zero.IsZero() {
			most = max(most, at.Sub(b.opened))
		}
	}
	return most
}

func (b *barrier) arrive(ctx context.Context) error {
	b.mu.Lock()
	if b.left--; b.left == 0 {
		b.opened = time.Now()
		close(b.open)
	}
	b.mu.Unlock()
	select {
	case <-b.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// gather puts the streams' totals together. Where there are several streams the tally is made anew from the stored
// ones: which results are thinned out must not depend on the order in which pods were heard.
func (r *run) gather() {
	if len(r.streams) == 1 {
		r.totals = r.m.ProxyAnswers().TellAll(r.streams[0].Totals)
		return
	}
	r.m.Streams = nil
	for _, s := range r.streams {
		r.m.Streams = append(r.m.Streams, s.Stream)
	}
	again := judge.NewTally(len(r.m.Weights))
	again.Pods = r.tally.Pods
	totals := wire.Totals{}
	for result, err := range r.m.Samples(store.Folder{ID: r.m.ID, Dir: r.folder.Dir}, &totals) {
		if err != nil {
			break // the burst's own error says it
		}
		again.Add(result)
	}
	r.tally, r.totals = again, totals
}

// worstOf is the error that ended a burst. That the looks decided is none.
func worstOf(errs []error) error {
	var first error
	for _, err := range errs {
		switch {
		case err == nil, err == errDecided: //nolint:errorlint // joined with another error it is not the end that was wanted
		case first == nil:
			first = err
		case !errors.Is(first, err) && !errors.Is(err, first):
			first = errors.Join(first, err)
		}
	}
	return first
}

// take counts one result, whichever pod it is from, and stops the burst where it decides.
func (r *run) take(result attack.Result, stop context.CancelCauseFunc) error {
	r.taking.Lock()
	defer r.taking.Unlock()
	r.tally.Add(result)
	r.live.add(result)
	if r.looks == nil {
		return nil
	}
	decided, err := r.looks.Add(result.Seq, int(result.Backend))
	if decided {
		stop(errDecided)
	}
	return err
}

// errDecided ends a burst whose counts have decided.
var errDecided = errors.New("decided")
