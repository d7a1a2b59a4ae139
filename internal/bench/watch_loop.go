package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/podexec"
)

// Pauses before a watch looks for another pod again, after nothing could be sent.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// openLimit bounds finding a pod, opening a session in it and learning who answers how: an API server may hang.
const openLimit = 2 * time.Minute

// A session is renewed now and then: rules are learned anew, and nothing in the pod lives on without end.
const (
	watchSession = 25 * time.Minute
	strangeAfter = time.Minute // a session is renewed early where most answers name no backend any more
)

var (
	errTimeOver    = errors.New("the time of the watch is over")
	errSessionOver = errors.New("the session was renewed")
)

// loop opens one session after the other until the time is over, the watch fails, the split is changed or it is
// interrupted.
func (w *watchRun) loop(ctx context.Context) {
	going, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := w.follow(going, end)
	defer stop()
	if w.cfg.For > 0 {
		var cancel context.CancelFunc
		going, cancel = context.WithTimeoutCause(going, w.cfg.For, errTimeOver)
		defer cancel()
	}
	retry := firstRetry
	for going.Err() == nil && !w.over() {
		looks := w.w.Looks
		err := w.session(going)
		var moved *movedError
		switch {
		case errors.As(err, &moved):
			end(moved)
		case err == nil || going.Err() != nil:
		case errors.Is(err, errSessionOver):
			retry = firstRetry
			continue
		case len(w.w.Pods) == 0: // what never worked is not waited for
			w.fail(going, err)
			return
		default:
			if w.w.Looks > looks {
				retry = firstRetry
			}
			w.gap(going, err)
			pause(going, retry) //nolint:errcheck // the loop sees it
			retry = min(2*retry, lastRetry)
		}
	}
	w.up("")
	if moved, ok := errors.AsType[*movedError](context.Cause(going)); ok && !w.over() {
		w.m.Failures = append(w.m.Failures, moved.text)
		w.m.Remedies = append(w.m.Remedies, cmp.Or(moved.mend, "start another watch of the split as it is now"))
	}
}

// over reports whether the watch has come to its end by itself.
func (w *watchRun) over() bool { return w.w.Failed || w.w.Stale != nil || w.m.Refused() }

// session finds a ready pod, opens a session in it and sends batches until something breaks. nil: the watch is over.
func (w *watchRun) session(ctx context.Context) error {
	limit := openLimit
	if w.cfg.Runners.Pods > 0 {
		limit *= 2 // they may take as long to start
	}
	opening, cancelOpening := context.WithTimeout(ctx, limit)
	defer cancelOpening()
	snap := *w.m.Before
	first := len(w.w.Pods) == 0
	if !first {
		var err error
		if w.cfg.Runners.Pods > 0 {
			err = w.standAnew(opening)
		}
		if err == nil {
			snap, err = w.declared(opening)
		}
		if err != nil {
			return err
		}
		if why := w.cfg.refusal(snap); why != "" {
			return errors.New(why)
		}
	}
	defer func() { each(w.active, (*source).close) }() // what broke was reported; the agents end by themselves
	if err := w.openPods(opening, snap); err != nil {
		return err
	}
	if err := w.learn(opening, snap); err != nil || w.m.Refused() {
		return err
	}
	pod, last, since := snap.Source.Name, w.pod(), ""
	if last != pod && !first {
		since = ", after pod " + last
	}
	if !w.down.IsZero() {
		since += fmt.Sprintf(", after a gap of %.1fs", time.Since(w.down).Seconds())
	}
	w.up(pod)
	if last != pod {
		w.w.Pods = keepLast(append(w.w.Pods, pod), report.MaxWatchList)
	}
	w.progress("watch", fmt.Sprintf("sending %g requests per second from %s%s", w.m.Plan.Rate.PerSecond(), w.from(),
		since))
	return w.send(ctx)
}

// openPods opens a session in each pod of a snapshot that is to send.
func (w *watchRun) openPods(ctx context.Context, snap law.Snapshot) (err error) {
	if w.active, err = w.sources(snap, w.lasts()); err != nil {
		return err
	}
	for _, s := range w.active {
		s.heard = w.alive
	}
	return w.openAll(ctx, w.active)
}

// alive notes a sign of life, from the reader of any session.
func (w *watchRun) alive() {
	w.taking.Lock()
	defer w.taking.Unlock()
	w.heard = time.Now()
}

// learn settles with what the pod sees. A watch goes on where it could not begin: what a later pod is refused for is a
// gap.
func (w *watchRun) learn(ctx context.Context, snap law.Snapshot) error {
	before, checks := w.m.Before, w.m.Checks
	w.m.Agent = w.active[0].facts
	w.m.Before = &snap // rules are learned of the pods that are there now
	err := w.settle(ctx, w.active[0].session)
	if len(w.w.Pods) == 0 {
		return err
	}
	if err == nil && w.m.Refused() {
		err = errors.New(cmp.Or(failedCheck(w.m.Checks), "the checks refuse this pod"))
	}
	if err != nil {
		w.m.Before, w.m.Checks = before, checks
	}
	return err
}

// send sends batches until the session is old, or something breaks.
func (w *watchRun) send(ctx context.Context) error {
	opened := time.Now()
	w.heard = opened
	w.m.Plan.WarmUp = w.warmUp
	if err := w.askFirst(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil && !w.over() {
		if time.Since(opened) > w.cfg.Session {
			return errSessionOver
		}
		if err := w.pace(ctx); err != nil {
			return nil //nolint:nilerr // it was told to stop while it waited, which its context says
		}
		strange, err := w.batch(ctx)
		if err != nil {
			return err
		}
		w.m.Plan.WarmUp = 0 // the connections are there
		if strange && time.Since(opened) > strangeAfter {
			return errSessionOver
		}
	}
	return nil
}

// pace waits until the next look may send, and has it send as fast as it may: a look ends with its last request, and
// the next one is due a request later.
func (w *watchRun) pace(ctx context.Context) error {
	if err := pause(ctx, time.Until(w.due)); err != nil {
		return err
	}
	p := &w.m.Plan
	if w.cfg.Rate != nil {
		rate, err := w.cfg.Rate(ctx)
		if err != nil {
			return err
		}
		p.Rate, p.Requests = rate, max(1, rate.Requests(w.cfg.Every))
		p.GiveUpAfter = p.Requests + 1
	}
	w.due = time.Now().Add(attack.Constant{Rate: p.Rate}.At(p.WarmUp + p.Requests))
	return nil
}

// gap notes that nothing is measured, since when the agent was last heard of. What began it is kept; what keeps it from
// ending is told.
func (w *watchRun) gap(ctx context.Context, err error) {
	w.textOf(ctx, err, w.source()) // explains what was killed
	text := whyOf(err)
	if w.down.IsZero() {
		w.down = time.Now()
		if !w.heard.IsZero() {
			w.down = w.heard
		}
		w.w.GapCount++
		w.w.Why = text
		w.progress("watch", fmt.Sprintf("nothing is measured since %s: %s", w.down.UTC().Format(time.TimeOnly), text))
	} else {
		w.progress("watch", "still nothing is measured: "+text)
	}
	w.show(false)
}

// whyOf says what broke as far as a reader of gaps cares: which session it was says the pod.
func whyOf(err error) string {
	var exit *podexec.ExitError
	var gone *podexec.NotFoundError
	var lost *podexec.LostError
	switch {
	case errors.As(err, &exit):
		_, code, _ := strings.Cut(exit.Error(), ": ") // less the path of the upload
		return "the agent's " + brief(code)
	case errors.As(err, &gone):
		return brief(gone.Error())
	case errors.As(err, &lost):
		return brief(lost.Error())
	}
	return brief(err.Error())
}

// up ends a gap: from now on requests are sent from a pod, or the watch is over.
func (w *watchRun) up(pod string) {
	if w.down.IsZero() {
		return
	}
	length := time.Since(w.down).Seconds()
	w.w.GapTime += length
	g := report.WatchGap{
		At: w.down.UTC(), AtSeconds: new(judge.Rounded(w.down.Sub(w.began).Seconds())), Seconds: judge.Rounded(length),
		From: w.pod(), To: pod, Why: w.w.Why,
	}
	w.w.Gaps = keepLast(append(w.w.Gaps, g), report.MaxWatchList)
	w.down = time.Time{}
	w.log.keep("gap: " + g.String())
}
