package bench

import (
	"context"
	"errors"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// batch sends what one look is about, and looks. A batch whose stream broke is set aside as a whole: what arrived of it
// are more answers of the faster backend. That a backend of weight 0 answered needs no statistics, and counts all the
// same. strange: most answers are unattributed, as after a roll-out of pods that are told apart by their names.
func (w *watchRun) batch(ctx context.Context) (strange bool, err error) {
	if w.began.IsZero() {
		w.began = time.Now()
		w.live.begin(w.m.Weights, &w.m.Options, 0, w.cfg.For)
	}
	broke := w.run.send(ctx, burst{plan: w.m.Plan, take: func(_ *source, r attack.Result) error {
		w.alive()
		w.live.add(r)
		return nil
	}})
	totals := w.sum()
	c := analyze.Counts{N: make([]int64, len(w.m.Weights))}
	var all, unnamed int64
	for _, e := range totals.Tally {
		n := int64(e.N)
		c.Add(int(e.Backend), n)
		all += n
		if e.Backend < 0 && e.Status > 0 && e.Status < 500 {
			unnamed += n
		}
	}
	if ctx.Err() != nil && broke == context.Cause(ctx) { //nolint:errorlint // joined with another error it is not whole
		broke = nil // stopped in order
	}
	if broke != nil && !w.w.Discard(&c) {
		return false, broke
	}
	if err := w.update(c); err != nil {
		return false, err
	}
	if broke == nil {
		broke = w.askAgain(ctx, c.N, int64(totals.Requests+totals.WarmUp))
	}
	if w.suspect != nil {
		w.confirm(ctx)
	}
	return 2*unnamed > all, broke
}

// update looks at what one batch counted.
func (w *watchRun) update(c analyze.Counts) (err error) {
	w.w.Seconds = time.Since(w.began).Seconds()
	if w.suspect, err = w.w.Update(c); err != nil {
		return err
	}
	w.ends = keepLast(append(w.ends, time.Now()), keptLooks)
	w.show(true)
	return nil
}

// Bounds of asking whether a failure is one.
const (
	confirmLimit = 30 * time.Second
	confirmPause = time.Second
	slack        = 5 * time.Second // between a change and its effect, either way
)

// confirm asks the API, before a failure is called one, whether what shares rest on is still what was declared: weights
// that were changed, or a backend that died and whose share went to the others, are no failure of the split. A failure
// that nobody can confirm is invalid, which is no pass.
func (w *watchRun) confirm(ctx context.Context) {
	d := w.suspect
	w.suspect = nil
	since := w.began
	if i := len(w.ends) - 1 - int(min(d.Looks, keptLooks)); i >= 0 {
		since = w.ends[i]
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.patience)
	defer cancel()
	w.progress("watch", "a share seems to be outside its tolerance: asking what is declared now")
	if why := w.unconfirmed(limit, since); why != "" {
		w.m.Failures = append(w.m.Failures, why)
		return
	}
	w.w.Failed, w.w.FailedAt = true, new(w.w.Seconds)
	w.w.Failure = &report.WatchFailure{
		Backend: w.m.Weights[d.Backend].Backend, Side: directionOf(d), Edge: d.Edge,
		Requests: d.Requests, Observed: d.Observed, Unattributed: d.Unattributed,
		Since: since.UTC(), Seconds: judge.Rounded(time.Since(since).Seconds()),
	}
	w.show(true)
}

// unconfirmed says why a failure since then cannot be called one, "" where it can.
func (w *watchRun) unconfirmed(ctx context.Context, since time.Time) string {
	snap, err := w.declared(ctx)
	var moved *movedError
	for err != nil && !errors.As(err, &moved) && pause(ctx, confirmPause) == nil {
		snap, err = w.declared(ctx)
	}
	switch {
	case moved != nil:
		if moved.mend != "" {
			w.m.Remedies = append(w.m.Remedies, moved.mend)
		}
		return moved.text
	case err != nil:
		return "a share left its tolerance, and whether its weight was changed before could not be read: " +
			brief(err.Error())
	}
	if e, ok := w.changedSince(since.Add(-slack)); ok {
		return "a share left its tolerance, but what it rests on changed meanwhile: " + untrusted.Safe(e.String())
	}
	if failed := w.cfg.refusal(snap, "backends", "split", "mirror", "mesh"); failed != "" {
		return "a share left its tolerance, but it could not be measured any more: " + failed
	}
	return w.heardSince(since.Add(-slack))
}

func directionOf(d *analyze.Departure) string {
	switch {
	case d.Leak:
		return report.SideLeak
	case d.Above:
		return report.SideAbove
	}
	return report.SideBelow
}

// declared reads everything anew; an error is that it cannot be read, or that the split is another one.
func (w *watchRun) declared(ctx context.Context) (law.Snapshot, error) {
	cfg := w.cfg.Config
	if w.job != nil { // else the workload is asked about, and what runner pods of it would be
		cfg.Query, cfg.Runners = atRunners(cfg.Query, *w.job), Runners{}
	}
	snap, err := Discover(ctx, cfg)
	if err == nil {
		err = w.doubt.settled(w.moved(snap))
	}
	if w.stand.Job != "" {
		snap.Runners, snap.Source.Workload = new(w.stand), w.stand.Workload
	}
	return snap, err
}

// Refusal says why a watch could not begin now, "" where it could. It keeps nothing, so it can be asked again and
// again.
func Refusal(ctx context.Context, cfg Config) (string, error) {
	snap, err := Discover(ctx, cfg.asking())
	if err != nil {
		return "", err
	}
	return cfg.refusal(snap), nil
}

// refusal is what a failed fatal check of some categories says of a snapshot, "" where there is none.
func (c Config) refusal(snap law.Snapshot, categories ...string) string {
	return failedCheck(c.checks(preflight.View{Snapshot: snap}, categories...))
}
