package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// follow watches what the shares rest on until stop is called, which waits. A change of the weights ends the watch;
// others are kept, for the case that a share leaves its tolerance. Pods of the client may come and go.
func (w *watchRun) follow(ctx context.Context, end context.CancelCauseFunc) (stop func()) {
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	q := w.run.cfg.Query.Pinned(*w.m.Before)
	q.From, q.Selector = "", "" // the pod may go away
	refs := slices.DeleteFunc(w.m.Before.Refs(), func(r law.Ref) bool { return r.Resource == "pods" })
	over := follow(ctx, map[string]mesh.Client{law.RoleClient: w.cfg.Local}, refs, func(e mesh.Event) {
		if !e.Ref.Law {
			w.note(e)
		} else if moved := w.resolve(following, q, e); moved != nil {
			end(moved)
		}
	})
	return func() {
		cancel()
		w.m.Warnings = slices.Concat(w.m.Warnings, unwatched(over()), w.otherChanges())
	}
}

// resolve says what a write to an object of the law changed, nil where the weights are what they were. Only all objects
// together say what proxies are told, and one write may follow another. While the API cannot be read nothing is known.
func (w *watchRun) resolve(ctx context.Context, q mesh.Query, e mesh.Event) *movedError {
	began := time.Now()
	var doubt suspicion
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, resolveLimit)
		snap, err := mesh.Discover(one, w.cfg.Local, nil, q)
		cancel()
		if err == nil {
			err = doubt.settled(w.moved(snap))
		}
		var moved *movedError
		switch cameOrWent := e.Gone || e.Came(); {
		case errors.As(err, &moved):
			return moved
		case err == nil && (e.Rewritten() || cameOrWent):
			if cameOrWent && e.At.Sub(e.Since) < time.Second { // told by a stream, not missed in an outage
				w.note(e)
			}
			return nil
		case err == nil && time.Since(began) > sameWrite:
			return &movedError{text: "the split was changed: " + untrusted.Safe(e.String())}
		}
		pause(ctx, confirmPause) //nolint:errcheck // the loop sees it
	}
	return nil
}

// goneLimit is how long a split must be gone, or have other backends, to be believed: an API server that has just
// started serves no custom resources for some seconds, and says so as one does that never had any.
const goneLimit = 20 * time.Second

// moved says what makes the rest another split, nil where it is the same. Other weights of the same backends are sure;
// other backends, or none, are not.
func (w *watchRun) moved(snap law.Snapshot) (why *movedError, sure bool) {
	now, _ := record.DeclaredOf(snap)
	if len(now) != len(w.m.Weights) {
		return &movedError{text: "the split is gone, or has other backends now"}, false
	}
	changed := false
	for i, x := range now {
		if x.Backend != w.m.Weights[i].Backend {
			return &movedError{text: "the split has other backends now"}, false
		}
		changed = changed || x != w.m.Weights[i]
	}
	if changed {
		text := "the weights were changed: " + record.WeightsText(w.m.Weights) + " -> " + record.WeightsText(now)
		return &movedError{text: text}, true
	}
	if text, mend := judge.Drift(*w.m.Before, snap); text != "" {
		return &movedError{text, mend}, true
	}
	return nil, true
}

// suspicion is since when a split was seen to be another one, without being sure; it becomes sure with time.
type suspicion struct{ since time.Time }

// settled turns what moved says into an error: nil where the split is the same, a *movedError where it is sure that it
// is not.
func (d *suspicion) settled(why *movedError, sure bool) error {
	switch {
	case why == nil:
		d.since = time.Time{}
		return nil
	case sure:
		return why
	case d.since.IsZero():
		d.since = time.Now()
	case time.Since(d.since) > goneLimit:
		return why
	}
	return errors.New(why.text)
}

// movedError ends a watch whose split was changed.
type movedError struct {
	text string
	mend string // what to do about it; "": watch the other split
}

func (e *movedError) Error() string { return e.text }

// note keeps a change that does not end the watch.
func (w *watchRun) note(e mesh.Event) {
	w.changing.Lock()
	defer w.changing.Unlock()
	w.events = keepLast(append(w.events, e), report.MaxWatchList)
	w.log.keep(e.At.UTC().Format(time.RFC3339) + " " + untrusted.Safe(e.String()))
}

// otherChanges are the last changes of something else than the weights: they are no verdict, but a reader wants to know
// of them.
func (w *watchRun) otherChanges() []string {
	w.changing.Lock()
	defer w.changing.Unlock()
	var out []string
	first := max(0, len(w.events)-unwatchedSaid)
	if first > 0 {
		out = append(out, fmt.Sprintf("what the shares rest on changed meanwhile; exec.log has %d more changes than these",
			first))
	}
	for _, e := range w.events[first:] {
		out = append(out, e.At.UTC().Format(time.RFC3339)+": "+untrusted.Safe(e.String()))
	}
	return out
}

// changedSince is the last change of something else than the weights since then.
func (w *watchRun) changedSince(t time.Time) (mesh.Event, bool) {
	w.changing.Lock()
	defer w.changing.Unlock()
	for _, e := range slices.Backward(w.events) {
		if e.At.After(t) {
			return e, true
		}
	}
	return mesh.Event{}, false
}
