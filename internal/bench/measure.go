package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// sessions opens a session in every source pod and has something done with them. length is how long the sending takes.
func (r *run) sessions(
	ctx context.Context, length time.Duration, do func(context.Context, []*source) error,
) (err error) {
	if r.active, err = r.sources(*r.m.Before, length); err != nil {
		return err
	}
	defer func() {
		for _, ended := range each(r.active, (*source).close) {
			if err == nil && ended != nil { // a warning, where nothing worse is known
				r.m.Warnings = append(r.m.Warnings, "the agent's end could not be seen: "+untrusted.Error(ended))
			}
		}
	}()
	r.progress("settle", "starting the agent in "+r.from())
	for _, s := range r.active {
		s.stream = r.newStream(s) // numbered as the pods are
	}
	err = r.openAll(ctx, r.active)
	r.m.Agent = r.active[0].facts
	if err != nil {
		return err
	}
	return do(ctx, r.active)
}

// from names the pods that send.
func (r *run) from() string {
	if n := len(r.active); n > 1 {
		return fmt.Sprintf("%d pods", n)
	}
	return "pod " + r.m.Before.Source.Name
}

// measure learns who answers how, and sends the burst.
func (r *run) measure(ctx context.Context, sources []*source) error {
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
		r.m.Plan.Requests, r.m.Plan.Rate.PerSecond(), r.from()))
	if err := r.tellAgain(ctx); err != nil {
		return err
	}
	err := r.witnessed(ctx, sources, func() error {
		if t := r.m.Before.Told; t != nil && t.Why == "" {
			t.BeforeBurstMs = max(1, time.Since(t.At).Milliseconds())
		}
		return r.burst(ctx, sources)
	})
	r.tellAfter(ctx)
	return err
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
	held := &r.m.Options
	if r.m.Kind == report.KindDrill { // it breaks the split
		held = nil
	}
	r.live.begin(r.m.Weights, held, r.m.Plan.Requests, r.m.Plan.Duration())
	start := newBarrier(len(sources))
	errs, lost := make([]error, len(sources)), make([]bool, len(sources))
	var sending sync.WaitGroup
	for i, s := range sources {
		s.plan = record.PartOf(r.m.Plan, i, len(sources)) // with the rules that were learned since
		sending.Go(func() {
			gate, leave := start.place()
			errs[i] = s.send(ctx, gate, stop)
			leave()
			if lost[i] = s.loses(ctx, errs[i]); lost[i] {
				lost[i] = s.lose(ctx, errs[i], stop) == nil
			} else if errs[i] != nil {
				stop(errs[i])
			}
		})
	}
	sending.Wait()
	start.tell(r, sources)
	r.gather()
	if !slices.Contains(lost, false) {
		return fmt.Errorf("all %d pods were lost, the first by: %w", len(sources), errs[0])
	}
	for i := range errs {
		if lost[i] {
			errs[i] = nil
		}
	}
	return worstOf(errs)
}

// atOnce is how many sessions are opened, closed or asked at a time.
const atOnce = 32

// each does something with every source, several at a time, and returns what came of each.
func each(sources []*source, do func(*source) error) []error {
	errs := make([]error, len(sources))
	turns := make(chan struct{}, atOnce)
	var doing sync.WaitGroup
	for i, s := range sources {
		turns <- struct{}{}
		doing.Go(func() {
			defer func() { <-turns }()
			errs[i] = do(s)
		})
	}
	doing.Wait()
	return errs
}

// mostUnopened is the part of the pods whose sessions may fail to open: nothing was sent yet, so a run that would miss
// more of its plan than this is better not begun.
const mostUnopened = 0.1

// openAll opens a session in each pod. The first pod must have one, since the rules are learned there; of the others
// one in ten may be missing.
func (r *run) openAll(ctx context.Context, sources []*source) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var failed atomic.Int64
	each(sources, func(s *source) error {
		if s.failed = s.open(ctx, 0); s.failed != nil && ctx.Err() == nil {
			s.session = nil
			if n := failed.Add(1); s.n == 0 || float64(n) > mostUnopened*float64(len(sources)) {
				stop(s.failed)
			} else {
				r.progress("settle", fmt.Sprintf("pod %s is left out, no session can be opened: %s", s.pod.Name,
					untrusted.Safe(brief(s.failed.Error()))))
			}
		}
		return nil
	})
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
func (b *barrier) tell(r *run, sources []*source) {
	for _, s := range sources {
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

// gather puts the streams' totals together. Where there are several streams the tally is made anew from the stored
// ones: which results are thinned out must not depend on the order in which pods were heard.
func (r *run) gather() {
	if len(r.streams) == 1 {
		r.totals = r.m.ProxyAnswers().TellAll(r.streams[0].Totals)
		return
	}
	r.keepStreams()
	again := judge.NewTally(len(r.m.Weights))
	again.Pods, r.shots = r.tally.Pods, r.shots[:0]
	totals := wire.Totals{}
	for result, err := range r.m.Samples(store.Folder{ID: r.m.ID, Dir: r.folder.Dir}, &totals) {
		if err != nil {
			break // the burst's own error says it
		}
		again.Add(result)
		r.shoot(result)
	}
	r.tally, r.totals = again, totals
}

// keepStreams notes in the manifest what the sessions contributed.
func (r *run) keepStreams() {
	r.m.Streams = nil
	for _, s := range r.streams {
		r.m.Streams = append(r.m.Streams, s.Stream)
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
	if r.tally.Pods < 2 { // of several the stored results are counted, once, after the burst: see gather
		r.tally.Add(result)
		r.shoot(result)
	}
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

// shoot keeps a request of a drill.
func (r *run) shoot(result attack.Result) {
	if r.m.Kind == report.KindDrill && result.Err != attack.ErrLost {
		r.shots = append(r.shots, judge.ShotOf(result))
	}
}

// errDecided ends a burst whose counts have decided.
var errDecided = errors.New("decided")
