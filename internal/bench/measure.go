package bench

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// sessionMargin is how much longer than the planned sending the agent may live: probes, warm-up, stragglers.
const sessionMargin = 2 * time.Minute

// session is the near end of the generator in one pod: the agent's client, or one that drives what the image has.
type session interface {
	fetcher
	// Hello is what the far end said of itself.
	Hello() wire.HelloMessage
	// AttackFrom is as agent.Client's.
	AttackFrom(ctx context.Context, plan attack.Plan, start agent.Start, totals *wire.Totals) iter.Seq2[attack.Result, error]
	Close() error
}

var _ session = (*agent.Client)(nil)

// measure opens a session in every source pod, learns who answers how, and sends the burst.
func (r *run) measure(ctx context.Context) (err error) {
	// Sessions outlive ctx: a run that is interrupted still fetches what the agents have, and says goodbye.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	sources, err := r.sources()
	if err != nil {
		return err
	}
	r.active = sources
	defer func() {
		for _, s := range sources {
			if closeErr := s.close(); err == nil && closeErr != nil {
				r.m.Warnings = append(r.m.Warnings, "the agent's end could not be seen: "+untrusted.Safe(closeErr.Error()))
			}
		}
	}()
	for _, s := range sources {
		r.progress("settle", "starting the agent in pod "+s.pod.Name)
		if err := s.open(ctx, life, 0); err != nil {
			return err
		}
	}
	r.m.Agent = sources[0].facts
	if err := r.settle(ctx, clockedFetcher{sources[0].client, &r.m.Clock}); err != nil || r.m.Refused() {
		return err
	}
	if err := r.awaitDataPlane(ctx, clockedFetcher{sources[0].client, &r.m.Clock}); err != nil {
		return err
	}
	from := "pod " + sources[0].pod.Name
	if len(sources) > 1 {
		from = fmt.Sprintf("%d pods", len(sources))
	}
	r.progress("attack", fmt.Sprintf("sending %d requests at %g/s from %s", r.m.Plan.Requests, r.m.Plan.Rate.PerSecond(), from))
	if err := r.witnessBefore(ctx, sources); err != nil {
		return err
	}
	return errors.Join(r.burst(ctx, life, sources), r.witnessAfter(ctx, sources))
}

func (r *run) checkAgent(h wire.HelloMessage) error {
	if h.UID == law.UserOf(r.m.Law().Provider) && r.m.Before.Through == nil {
		return fmt.Errorf("start agent in container %q: it runs as user %d, whose requests pass the mesh by; "+
			"name another container with -c", r.m.Before.Source.Container, h.UID)
	}
	return nil
}

// burst sends the counted requests, from all source pods at once. Frames are stored before they are counted. A sequential run
// stops the burst at the look that decides.
func (r *run) burst(ctx, life context.Context, sources []*source) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if r.m.Sequential != nil {
		var err error
		if r.looks, err = judge.NewLooker(r.m.Weights, r.m.Options, r.m.Sequential.Every); err != nil {
			return err
		}
	}
	r.tally.Pods = len(sources)
	gate := newBarrier(len(sources)).gate()
	errs := make([]error, len(sources))
	var sending sync.WaitGroup
	for i, s := range sources {
		s.plan = record.PartOf(r.m.Plan, i, len(sources)) // with the rules that were learned since
		sending.Go(func() {
			if errs[i] = s.send(ctx, life, gate, stop); errs[i] != nil {
				stop(errs[i]) // what one pod cannot send nobody else makes up for
			}
		})
	}
	sending.Wait()
	if err := r.gather(); err != nil {
		return err
	}
	return worstOf(errs)
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
