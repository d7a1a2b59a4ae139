package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// WatchConfig is what a watch is told.
type WatchConfig struct {
	Config
	For   time.Duration // 0: until it fails or is interrupted
	Every time.Duration // between two looks; 0: DefaultEvery
	// Session is how long one lasts before it is renewed, on top of a look and a request's timeout; 0: 25 minutes.
	Session time.Duration
	State   func(WatchState) // called after every look and when a gap begins, from one goroutine; may be nil
}

// WatchState is a watch as a whole at one look.
type WatchState struct {
	Watch   report.Watch
	Outcome string
	Pod     string
	Up      bool // false: in a gap
}

// DefaultEvery is how often a watch looks.
const DefaultEvery = 5 * time.Second

// watchRun is a watch on its way. What it holds does not grow with time, but for the tests of its monitor, whose number is about
// twice the logarithm of the number of looks.
type watchRun struct {
	*run
	cfg      WatchConfig
	seq      *analyze.Sequential // the whole watch: what is shown, and whether it passed
	monitor  *analyze.Monitor    // whether it failed, whenever that began
	look     analyze.Look
	w        report.Watch
	total    analyze.Counts
	expected []float64 // shares
	delta    []float64 // tolerance of each share
	warmUp   uint64    // of each session
	began    time.Time
	heard    time.Time   // when the agent last gave a sign of life
	ends     []time.Time // of the looks, of the last keptLooks
	suspect  *analyze.Departure
	doubt    doubted       // that the split is the same
	patience time.Duration // how long a failure waits for the API to confirm it
	failed   bool
	decided  bool
	down     time.Time // since when nothing is measured; zero: it is
	why      string    // what began the gap

	changing sync.Mutex
	events   []mesh.Event // what changed of other things than weights, the last report.MaxWatchList
}

// keptLooks is how many looks' instants are kept, to say since when a failure was seen.
const keptLooks = 4096

// Watch monitors a split at a low rate with looks whose errors hold for all of them together. It moves on to the next ready pod
// where the one it is in goes away. Errors are *UsageError only, as of Run.
func Watch(ctx context.Context, cfg WatchConfig) (report.Report, error) {
	w := &watchRun{cfg: cfg, patience: confirmLimit, run: newRun(cfg.Config, report.KindWatch)}
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
	switch ready, err := w.begin(ctx, w.prepare); {
	case err != nil:
		return report.Report{}, err
	case !ready:
		return w.conclude(), nil
	}
	w.loop(ctx)
	if ctx.Err() != nil {
		w.m.Interrupted = context.Cause(ctx).Error()
	}
	rep := w.conclude()
	w.close(&rep, w.w.Looks > 0)
	return rep, nil
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

// ready is the rule.
func (w *watchRun) ready() (err error) {
	if r := w.m.Plan.Reuse; w.m.Law().NullModel == law.RandomPerConnection && (r == nil || r.MaxRequests != 1) {
		return errors.New("this split is drawn for each connection; leave --requests-per-connection out")
	}
	if w.seq, err = analyze.NewSequential(w.m.Weights, w.m.Options); err != nil {
		return err
	}
	if w.monitor, err = analyze.NewMonitor(w.m.Weights, w.m.Options); err != nil {
		return err
	}
	w.expected = w.m.Weights.Shares()
	for _, share := range w.expected {
		delta := w.m.Options.Tolerance.Share(share)
		w.delta = append(w.delta, delta)
		w.w.Tolerance = math.Max(w.w.Tolerance, 100*delta)
	}
	w.total.N = make([]int64, len(w.m.Weights))
	w.m.Plan.GiveUpAfter = w.m.Plan.Requests + 1
	w.warmUp = w.m.Plan.WarmUp
	return nil
}

// keepLast bounds a list that has no end.
func keepLast[T any](s []T, most int) []T {
	if over := len(s) - most; over > 0 {
		s = slices.Delete(s, 0, over)
	}
	return s
}

// snapshotOf is the watch as it is now.
func (w *watchRun) snapshotOf() report.Watch {
	out := w.w
	out.Decided = w.decided
	out.LnE, out.Anytime = nil, report.ProbabilityOf(w.look.Anytime)
	if w.w.Looks > 0 && !math.IsInf(w.look.LnE, 0) {
		lnE := w.look.LnE
		out.LnE = &lnE
	}
	out.Backends, out.Gaps, out.Pods = []report.WatchedPart{}, append([]report.WatchGap{}, w.w.Gaps...), append([]string{}, w.w.Pods...)
	for i, x := range w.m.Weights {
		part := report.WatchedPart{Backend: x.Backend, Weight: x.W}
		if i < len(w.total.N) {
			part.Observed = w.total.N[i]
		}
		if i < len(w.look.Intervals) && w.look.Intervals[i].Low <= w.look.Intervals[i].High {
			part.Interval = report.IntervalOf(w.look.Intervals[i])
		}
		out.Backends = append(out.Backends, part)
	}
	out.Memory = memory()
	return out
}

// memory is how much this process has from the system, as the runtime counts it.
func memory() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}

func (w *watchRun) outcome() string {
	switch {
	case w.failed:
		return report.Fail
	case w.decided:
		return report.Pass
	}
	return report.Inconclusive
}

// show tells whoever listens.
func (w *watchRun) show(up bool) {
	s := w.snapshotOf()
	if w.cfg.State != nil {
		pod := ""
		if n := len(s.Pods); n > 0 {
			pod = s.Pods[n-1]
		}
		w.cfg.State(WatchState{Watch: s, Outcome: w.outcome(), Pod: pod, Up: up})
	}
	if !up {
		return
	}
	line := fmt.Sprintf("%s %d requests", time.Duration(s.Seconds*float64(time.Second)).Round(time.Second), s.Requests)
	for _, b := range s.Backends {
		if b.Interval != nil && b.Interval.Low != nil && b.Interval.High != nil {
			line += fmt.Sprintf("  %s %.1f-%.1f%%", untrusted.Safe(b.Backend), 100**b.Interval.Low, 100**b.Interval.High)
		}
	}
	if s.LnE != nil {
		line += fmt.Sprintf("  e %.3g", math.Exp(*s.LnE))
	}
	w.tick(Progress{Phase: "watch", Live: line + "  " + w.outcome() + " so far"})
}

func (w *watchRun) conclude() report.Report {
	w.m.Ended = time.Now().UTC()
	s := w.snapshotOf()
	m := w.m
	in := report.Input{
		Weights: m.Weights, Options: m.Options, Checks: m.Checks, Before: m.Before, Transport: m.Agent.Transport, Agent: m.Agent.How,
		Signatures: m.Signatures, Interrupted: m.Interrupted, Invalid: append([]string(nil), m.Failures...), Remedies: append([]string(nil), m.Remedies...),
		Warnings: append([]string(nil), m.Warnings...), Counts: analyze.Counts{N: make([]int64, len(m.Weights))}, Watch: &s,
		Judged: &report.Judged{Outcome: w.outcome()},
		Run: &report.Run{
			ID: m.ID, Dir: m.Dir, Started: m.Started, Ended: m.Ended, URL: m.Plan.URL, Command: m.Command, Seed: m.Options.Seed,
			Tool: m.Tool, Simulated: m.Simulated, Labels: m.Labels, Complete: m.Interrupted == "" && len(m.Failures) == 0,
		},
	}
	if w.total.N != nil {
		in.Counts = w.total
	}
	switch {
	case w.failed:
		code := analyze.CodeOutside
		if s.Failure.Side == report.SideLeak {
			code = analyze.CodeLeak
		}
		in.Judged.Reasons = []analyze.Reason{{Code: code, Text: s.Failure.String()}}
	case w.w.Looks == 0 && len(m.Failures) == 0 && m.Interrupted == "" && !m.Refused():
		in.Invalid = append(in.Invalid, strings.TrimSuffix("nothing was measured: "+w.why, ": "))
	case !w.decided && len(m.Failures) == 0:
		in.Judged.Reasons = []analyze.Reason{{Code: analyze.CodeTooFew, Text: fmt.Sprintf("%d requests do not decide yet", s.Requests)}}
		in.Remedies = append(in.Remedies, "watch it longer, or at a higher --rate")
	}
	return report.Build(in)
}
