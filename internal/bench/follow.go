package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Bounds of watching.
const (
	maxMoves      = 100              // kept; a run with more of them is no less invalid
	watchStart    = 10 * time.Second // until all streams are open
	resolveLimit  = 10 * time.Second
	sameWrite     = 5 * time.Second // a write leads to other weights within this, or not at all
	unwatchedSaid = 3               // objects that a warning names
)

// watch follows the objects of the snapshot until stop is called, which waits.
func (r *run) watch(ctx context.Context) (stop func()) {
	f := &moveLog{r: r, weights: r.m.Weights}
	resolving := context.WithoutCancel(ctx)
	end := follow(ctx, map[string]mesh.Client{law.RoleClient: r.cfg.Local}, r.m.Before.Refs(), func(e mesh.Event) {
		f.add(resolving, e)
	})
	return func() {
		gaps := end()
		r.m.Moves = f.moves
		r.m.Warnings = append(r.m.Warnings, unwatched(gaps)...)
	}
}

// follow passes on what happens to objects until the function that it returns is called, which says what was missed. It
// waits until all streams are open, if they ever are.
func follow(
	ctx context.Context, clients map[string]mesh.Client, refs []law.Ref, take func(mesh.Event),
) (end func() []mesh.Gap) {
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := mesh.Watch(following, clients, refs)
	var done sync.WaitGroup
	done.Go(func() {
		for e := range w.Events() {
			take(e)
		}
	})
	select {
	case <-w.Ready():
	case <-time.After(watchStart):
	case <-ctx.Done():
	}
	return func() []mesh.Gap {
		w.Close() // ends the events
		done.Wait()
		cancel()
		return w.Gaps()
	}
}

// moveLog turns events into moves.
type moveLog struct {
	r       *run
	weights analyze.Weights // that proxies are told now
	moves   []record.Move
	pending int // the first move that may have led to other weights, plus 1; 0: none
}

func (f *moveLog) add(ctx context.Context, e mesh.Event) {
	if len(f.moves) < maxMoves {
		f.note(e)
	}
	if e.Ref.Law {
		f.resolve(ctx)
	}
}

func (f *moveLog) note(e mesh.Event) {
	f.moves = append(f.moves, record.Move{
		At: e.At, Since: e.Since, What: untrusted.Safe(e.What), Law: e.Ref.Law,
		Before: untrusted.Safe(e.Before), After: untrusted.Safe(e.After),
	})
	if e.Ref.Law && (f.pending == 0 || e.At.Sub(f.moves[f.pending-1].At) > sameWrite) {
		f.pending = len(f.moves)
	}
}

// resolve asks anew what the weights are: only all objects together say it. Where they cannot be read, the look after
// the burst says what they were in the end.
func (f *moveLog) resolve(ctx context.Context) {
	now := f.r.weightsNow(ctx)
	if now == nil || slices.Equal(now, f.weights) || f.pending == 0 {
		return
	}
	f.moves[f.pending-1].Weights, f.weights, f.pending = now, now, 0
}

// weightsNow reads the weights, in the order of the plan's; nil where they cannot be read or are of other backends.
func (r *run) weightsNow(ctx context.Context) analyze.Weights {
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	snap, err := mesh.Discover(ctx, r.cfg.Local, nil, r.cfg.Query.Pinned(*r.m.Before))
	if err != nil {
		return nil
	}
	if now, ok := record.Aligned(record.WeightsOf(snap), r.m.Weights); ok {
		return now
	}
	return nil
}

// unwatched says which objects were not followed all the time. Before and after the burst they were compared all the
// same.
func unwatched(gaps []mesh.Gap) []string {
	var out []string
	for i, g := range gaps {
		if i == unwatchedSaid {
			out = append(out, fmt.Sprintf("%d more objects could not be watched during the run either", len(gaps)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s was not watched during the run, only compared before and after it: %s",
			untrusted.Safe(g.Ref.What), untrusted.Safe(g.Text)))
	}
	return out
}
