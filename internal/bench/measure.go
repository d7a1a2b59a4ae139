package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// sessions opens a session in every source pod and has something done with them. length is how long the sending takes.
func (r *run) sessions(ctx context.Context, length time.Duration, do func(context.Context) error) (err error) {
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
	return do(ctx)
}

// from names the pods that send.
func (r *run) from() string {
	if n := len(r.active); n > 1 {
		return fmt.Sprintf("%d pods", n)
	}
	return "pod " + r.m.Before.Source.Name
}

// measure learns who answers how, and sends the burst.
func (r *run) measure(ctx context.Context) error {
	first := clockedFetcher{r.active[0].session, &r.m.Clock, func(text string) { r.progress("settle", text) }}
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
	err := r.witnessed(ctx, func() error {
		if t := r.m.Before.Told; t != nil && t.Why == "" {
			t.BeforeBurstMs = max(1, time.Since(t.At).Milliseconds())
		}
		return r.burst(ctx)
	})
	r.tellAfter(ctx)
	return err
}

// burst sends the counted requests. Frames are stored before they are counted. A sequential run stops the burst at the
// look that decides.
func (r *run) burst(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if r.m.Sequential != nil {
		var err error
		if r.looks, err = judge.NewLooker(r.m.Weights, r.m.Options, r.m.Sequential.Every); err != nil {
			return err
		}
	}
	r.seen.Tally.Pods = len(r.active)
	held := &r.m.Options
	if r.m.Kind == report.KindDrill { // it breaks the split
		held = nil
	}
	r.live.begin(r.m.Weights, held, r.m.Plan.Requests, r.m.Plan.Duration())
	err := r.send(ctx, burst{plan: r.m.Plan, whole: true, take: func(_ *source, result attack.Result) error {
		return r.take(result, stop)
	}})
	r.gather()
	return err
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

// gather puts the streams' totals together. Where there are several streams the tally is made anew from the stored
// ones: which results are thinned out must not depend on the order in which pods were heard.
func (r *run) gather() {
	if len(r.streams) == 1 {
		r.seen.Totals = r.m.ProxyAnswers().TellAll(r.streams[0].Totals)
		return
	}
	r.keepStreams()
	// What is missing the burst's own error says.
	r.seen, _ = judge.Stored(store.Folder{ID: r.m.ID, Dir: r.folder.Dir}, r.m)
}

// keepStreams notes in the manifest what the sessions contributed.
func (r *run) keepStreams() {
	r.m.Streams = nil
	for _, s := range r.streams {
		r.m.Streams = append(r.m.Streams, s.Stream)
	}
}

// take counts one result, whichever pod it is from, and stops the burst where it decides.
func (r *run) take(result attack.Result, stop context.CancelCauseFunc) error {
	r.taking.Lock()
	defer r.taking.Unlock()
	if r.seen.Tally.Pods < 2 { // of several the stored results are counted, once, after the burst: see gather
		r.seen.Add(result)
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

// errDecided ends a burst whose counts have decided.
var errDecided = errors.New("decided")
