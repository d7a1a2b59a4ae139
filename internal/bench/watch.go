package bench

import (
	"context"
	"errors"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// WatchConfig is what a watch is told.
type WatchConfig struct {
	Config
	For   time.Duration // 0: until it fails or is interrupted
	Every time.Duration // between two looks; 0: DefaultEvery
	// Session is how long one lasts before it is renewed, on top of a look and a request's timeout; 0: 25 minutes.
	Session time.Duration
	State   func(WatchState) // called after every look and when a gap begins, from one goroutine; may be nil
	// Rate is asked before each look how fast it may send, and waits until it may; nil: Load.Rate, always.
	Rate func(context.Context) (attack.Rate, error)
}

// WatchState is a watch as a whole at one look.
type WatchState struct {
	Namespace, Split string // as a command line names it: kind/name
	Watch            report.Watch
	Outcome          string
	Pod              string
	Up               bool // false: in a gap
}

// DefaultEvery is how often a watch looks.
const DefaultEvery = 5 * time.Second

// watchRun is a watch on its way.
type watchRun struct {
	*run
	cfg      WatchConfig
	w        judge.Watch
	warmUp   uint64 // of each session
	began    time.Time
	heard    time.Time   // when the agent last gave a sign of life
	ends     []time.Time // of the looks, of the last keptLooks
	suspect  *analyze.Departure
	doubt    suspicion     // that the split is the same
	patience time.Duration // how long a failure waits for the API to confirm it
	down     time.Time     // since when nothing is measured; zero: it is
	due      time.Time     // when the next look may send
	page     []byte        // of the proxy's counters, as last read in this session
	asked    time.Time     // when that was
	heardOf  map[string]heard
	stand    law.Runners // of the session; its zero value: of the first, which Before says

	changing sync.Mutex
	events   []mesh.Event // what changed of other things than weights, the last report.MaxWatchList
}

// keptLooks is how many looks' instants are kept, to say since when a failure was seen.
const keptLooks = 4096

// Watch monitors a split at a low rate with looks whose errors hold for all of them together. It moves on to the next
// ready pod where the one it is in goes away. Errors are *UsageError only, as of Run.
func Watch(ctx context.Context, cfg WatchConfig) (report.Report, error) {
	w := &watchRun{
		cfg: cfg, patience: confirmLimit, run: newRun(cfg.Config, report.KindWatch), heardOf: map[string]heard{},
	}
	if cfg.Options.Gate != analyze.GateTolerance {
		return report.Report{}, record.Usagef("--gate %s: a watch is judged by its tolerance", cfg.Options.Gate)
	}
	if w.cfg.Every <= 0 {
		w.cfg.Every = DefaultEvery
	}
	if w.cfg.Session <= 0 {
		w.cfg.Session = watchSession
	}
	w.run.cfg.Load.Requests = max(1, cfg.Load.Rate.Requests(w.cfg.Every))
	return w.carryOut(ctx, w)
}

// prepare plans as a run does, and fixes the rule before the first request.
func (w *watchRun) prepare(ctx context.Context) error {
	if err := w.run.prepare(ctx); err != nil || w.m.Refused() {
		return err
	}
	if err := w.ready(); err != nil {
		return &record.UsageError{Err: err}
	}
	return nil
}

func (w *watchRun) attempt(ctx context.Context) (measured bool) {
	w.loop(ctx)
	if ctx.Err() != nil {
		w.m.Interrupted = context.Cause(ctx).Error()
	}
	return w.w.Looks > 0
}

func (w *watchRun) evidence() judge.Evidence {
	w.w.Memory = Memory()
	return judge.Evidence{Watch: &w.w}
}

// ready is the rule.
func (w *watchRun) ready() (err error) {
	if r := w.m.Plan.Reuse; w.m.Law().NullModel == law.RandomPerConnection && (r == nil || r.MaxRequests != 1) {
		return errors.New("this split is drawn for each connection; leave --requests-per-connection out")
	}
	if w.w, err = judge.NewWatch(w.m.Weights, w.m.Options); err != nil {
		return err
	}
	w.m.Plan.GiveUpAfter = w.m.Plan.Requests + 1
	w.warmUp = w.m.Plan.WarmUp
	return nil
}

// pod is the pod that sends, or sent last; "": none yet did.
func (w *watchRun) pod() string {
	if n := len(w.w.Pods); n > 0 {
		return w.w.Pods[n-1]
	}
	return ""
}

// show tells whoever listens.
func (w *watchRun) show(up bool) {
	w.w.Memory = Memory()
	s := w.w.Now()
	if w.cfg.State != nil {
		state := WatchState{Watch: s, Outcome: w.w.Outcome(), Pod: w.pod(), Up: up}
		if b := w.m.Before; b != nil {
			state.Namespace, state.Split = b.Split.Namespace, b.Split.Short()
		}
		w.cfg.State(state)
	}
}

// keepLast bounds a list that has no end.
func keepLast[T any](s []T, most int) []T {
	if over := len(s) - most; over > 0 {
		s = slices.Delete(s, 0, over)
	}
	return s
}

// Memory is how much this process has from the system, as the runtime counts it.
func Memory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}
