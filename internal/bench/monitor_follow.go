package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
)

// moved says what makes the rest another split, "" where it is the same.
func (w *watchRun) moved(snap mesh.Snapshot) string {
	now := weightsOf(snap)
	if len(now) != len(w.m.Weights) {
		return "the split has other backends now"
	}
	for i, x := range now {
		if x != w.m.Weights[i] {
			return "the weights were changed: " + weightsText(w.m.Weights) + " -> " + weightsText(now)
		}
	}
	return ""
}

// movedError ends a watch whose split was changed.
type movedError struct{ text string }

func (e *movedError) Error() string { return e.text }

// follow watches what the shares rest on until stop is called, which waits. A change of the weights ends the watch; others are
// kept, for the case that a share leaves its tolerance. Pods of the client may come and go.
func (w *watchRun) follow(ctx context.Context, end context.CancelCauseFunc) (stop func()) {
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	q := w.cfg.Query.Pinned(*w.m.Before)
	q.From, q.Selector = "", "" // the pod may go away
	var refs []mesh.Ref
	for _, r := range w.m.Before.Refs() {
		if r.Resource != "pods" {
			refs = append(refs, r)
		}
	}
	watcher := mesh.Watch(following, map[string]mesh.Client{mesh.RoleClient: w.cfg.Local}, refs)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range watcher.Events() {
			if !e.Ref.Law {
				w.changing.Lock()
				w.events = keepLast(append(w.events, e), report.MaxWatchList)
				w.changing.Unlock()
				w.log.keep(e.At.UTC().Format(time.RFC3339) + " " + mesh.Safe(e.String()))
				continue
			}
			if text := w.resolve(following, q, e); text != "" {
				end(&movedError{text})
			}
		}
	}()
	select {
	case <-watcher.Ready():
	case <-time.After(watchStart):
	case <-ctx.Done():
	}
	return func() {
		cancel()
		watcher.Close()
		<-done
		w.m.Warnings = append(w.m.Warnings, unwatched(watcher.Gaps())...)
		w.m.Warnings = append(w.m.Warnings, w.otherChanges()...)
	}
}

// resolve says what a write to an object of the law changed, "" where the weights are what they were. Only all objects together
// say what proxies are told, and one write may follow another.
func (w *watchRun) resolve(ctx context.Context, q mesh.Query, e mesh.Event) string {
	deadline := time.Now().Add(sameWrite)
	for {
		one, cancel := context.WithTimeout(ctx, resolveLimit)
		snap, err := mesh.Discover(one, w.cfg.Local, nil, q)
		cancel()
		if err == nil {
			if text := w.moved(snap); text != "" {
				return text
			}
		}
		if e.Rewritten() && err == nil {
			return ""
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return "the split was changed: " + mesh.Safe(e.String())
		}
		select {
		case <-time.After(confirmPause):
		case <-ctx.Done():
		}
	}
}

// otherChanges are the last changes of something else than the weights: they are no verdict, but a reader wants to know of them.
func (w *watchRun) otherChanges() []string {
	w.changing.Lock()
	defer w.changing.Unlock()
	var out []string
	first := max(0, len(w.events)-unwatchedSaid)
	if first > 0 {
		out = append(out, fmt.Sprintf("what the shares rest on changed meanwhile; exec.log has %d more changes than these", first))
	}
	for _, e := range w.events[first:] {
		out = append(out, e.At.UTC().Format(time.RFC3339)+": "+mesh.Safe(e.String()))
	}
	return out
}

// changedSince is the last change of something else than the weights since then.
func (w *watchRun) changedSince(t time.Time) (mesh.Event, bool) {
	w.changing.Lock()
	defer w.changing.Unlock()
	for i := len(w.events) - 1; i >= 0; i-- {
		if w.events[i].At.After(t) {
			return w.events[i], true
		}
	}
	return mesh.Event{}, false
}
