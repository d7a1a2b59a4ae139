package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// WatchConfig is what a watch is told.
type WatchConfig struct {
	Config
	For   time.Duration    // 0: until it fails or is interrupted
	Every time.Duration    // between two looks; 0: DefaultEvery
	State func(WatchState) // called after every look, from one goroutine; may be nil
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

// Pauses before a watch looks for another pod again, after nothing could be sent.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = 10 * time.Second
	rejoin     = 2 * time.Minute // a session that lasted so long has shown that the pod is good
)

// watchRun is a watch on its way. What it holds does not grow with time.
type watchRun struct {
	*run
	cfg      WatchConfig
	seq      *analyze.Sequential
	look     analyze.Look
	w        report.Watch
	total    analyze.Counts
	expected []float64 // shares
	delta    []float64 // tolerance of each share
	began    time.Time
	failed   bool
	decided  bool
	down     time.Time // since when nothing is measured; zero: it is
	why      string
}

// Watch monitors a split at a low rate with looks whose errors hold for all of them together. It moves on to the next ready pod
// where the one it is in goes away. Errors are *UsageError only, as of Run.
func Watch(ctx context.Context, cfg WatchConfig) (report.Report, error) {
	w := &watchRun{cfg: cfg, run: &run{cfg: cfg.Config, log: newRunLog(cfg.Log), m: Manifest{
		Schema: ManifestSchema, Kind: report.KindWatch, Started: time.Now().UTC(), Command: cfg.Command, Flags: cfg.Flags,
		Labels: cfg.Labels, Tool: cfg.Tool, Simulated: cfg.Simulated, Options: cfg.Options,
	}}}
	if cfg.Options.Gate != analyze.GateTolerance {
		return report.Report{}, usagef("--gate %s: a watch is judged by its tolerance", cfg.Options.Gate)
	}
	if w.cfg.Every <= 0 {
		w.cfg.Every = DefaultEvery
	}
	w.run.cfg.Load.Requests = max(1, cfg.Load.Rate.Requests(w.cfg.Every))
	if err := w.prepare(ctx); err != nil {
		var u *UsageError
		if errors.As(err, &u) {
			return report.Report{}, err
		}
		w.fail(ctx, err)
		return w.conclude(), nil
	}
	if w.m.refused() {
		return w.conclude(), nil
	}
	if err := w.ready(); err != nil {
		return report.Report{}, &UsageError{err}
	}
	folder, err := w.open()
	if err != nil {
		return report.Report{}, &UsageError{err}
	}
	w.folder = folder
	w.loop(ctx)
	if ctx.Err() != nil {
		w.m.Interrupted = context.Cause(ctx).Error()
	}
	rep := w.conclude()
	w.close(&rep, w.w.Looks > 0)
	return rep, nil
}

// ready fixes the rule before the first request.
func (w *watchRun) ready() (err error) {
	if w.seq, err = analyze.NewSequential(w.m.Weights, w.m.Options); err != nil {
		return err
	}
	f, err := analyze.Foresee(w.m.Weights, 1, w.m.Options)
	if err != nil {
		return err
	}
	sum := 0.0
	for _, x := range w.m.Weights {
		sum += float64(x.W)
	}
	for i, x := range w.m.Weights {
		w.expected = append(w.expected, float64(x.W)/sum)
		w.delta = append(w.delta, f.TolerancePoints[i]/100)
		w.w.Tolerance = math.Max(w.w.Tolerance, f.TolerancePoints[i])
	}
	w.total.N = make([]int64, len(w.m.Weights))
	w.m.Plan.GiveUpAfter = w.m.Plan.Requests + 1
	return nil
}

// loop opens one session after the other until the time is over, the watch fails or is interrupted.
func (w *watchRun) loop(ctx context.Context) {
	if w.cfg.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.cfg.For, errTimeOver)
		defer cancel()
	}
	pause := firstRetry
	for ctx.Err() == nil && !w.failed {
		opened := time.Now()
		err := w.session(ctx)
		if ctx.Err() != nil || w.failed || err == nil {
			break
		}
		var u *SignatureError
		if errors.As(err, &u) && w.w.Looks == 0 {
			w.fail(ctx, err) // it could never be measured
			break
		}
		w.gap(err)
		if time.Since(opened) > rejoin {
			pause = firstRetry
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, lastRetry)
	}
	if w.down.IsZero() || w.w.GapCount == 0 {
		return
	}
	w.up()
}

// errTimeOver ends a watch whose time is over.
var errTimeOver = errors.New("the time of the watch is over")

// gap notes that nothing is measured from now on.
func (w *watchRun) gap(err error) {
	if w.down.IsZero() {
		w.down = time.Now()
		w.w.GapCount++
	}
	w.why = brief(err.Error())
	w.progress("watch", "nothing is measured: "+w.why)
	w.show(false)
}

// up ends a gap.
func (w *watchRun) up() {
	if w.down.IsZero() {
		return
	}
	length := time.Since(w.down)
	w.w.GapTime += length.Seconds()
	w.w.Gaps = keepLast(append(w.w.Gaps, report.WatchGap{At: w.down.UTC(), Seconds: tenth(length.Seconds()), Why: w.why}))
	w.down = time.Time{}
}

func keepLast[T any](s []T) []T {
	if over := len(s) - report.MaxWatchList; over > 0 {
		s = append(s[:0], s[over:]...)
	}
	return s
}

// session finds a ready pod, opens a session in it and sends batches until something breaks. nil: the watch is over.
func (w *watchRun) session(ctx context.Context) error {
	snap := *w.m.Before
	if w.w.Looks > 0 || w.w.GapCount > 0 {
		again, err := mesh.Discover(ctx, w.cfg.Local, w.cfg.Remotes, w.cfg.Query)
		if err != nil {
			return err
		}
		snap = again
	}
	if changed := w.moved(snap); changed != "" {
		w.m.Failures = append(w.m.Failures, changed)
		w.failed = true
		return nil
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	client, facts, err := w.openAgent(ctx, life, snap.Source, watchSession, agent.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	w.m.Agent = facts
	if len(w.w.Pods) == 0 || w.w.Pods[len(w.w.Pods)-1] != snap.Source.Name {
		w.w.Pods = keepLast(append(w.w.Pods, snap.Source.Name))
	}
	current := w.m.Before
	w.m.Before = &snap // rules are learned of the pods that are there now
	if err := w.settle(ctx, client); err != nil {
		w.m.Before = current
		return err
	}
	w.up()
	w.progress("watch", fmt.Sprintf("sending %g requests per second from pod %s", w.m.Plan.Rate.PerSecond(), snap.Source.Name))
	until := time.Now().Add(watchSession - w.cfg.Every - w.m.Plan.Timeout)
	for ctx.Err() == nil && !w.failed && time.Now().Before(until) {
		if err := w.batch(ctx, client); err != nil {
			return err
		}
		w.m.Plan.WarmUp = 0 // the connections are there
	}
	if ctx.Err() == nil && !w.failed {
		return errSessionOver
	}
	return nil
}

// A session is renewed now and then: rules are learned anew, and nothing in the pod lives on without end.
const watchSession = 25 * time.Minute

var errSessionOver = errors.New("the session was renewed")

// moved says what makes the rest another split, "" where it is the same.
func (w *watchRun) moved(snap mesh.Snapshot) string {
	now := weightsOf(snap)
	if len(now) != len(w.m.Weights) {
		return "the split has other backends now"
	}
	for i, x := range now {
		if x != w.m.Weights[i] {
			return "the weights changed: " + weightsText(w.m.Weights) + " -> " + weightsText(now)
		}
	}
	return ""
}

// batch sends what one look is about, and looks. What came of a batch that broke is counted too.
func (w *watchRun) batch(ctx context.Context, client session) error {
	counts := make([]int64, len(w.m.Weights))
	var totals wire.Totals
	var broke error
	for r, err := range client.AttackFrom(ctx, w.m.Plan, agent.Start{}, &totals) {
		if err != nil {
			broke = err
			break
		}
		w.count(r, counts)
	}
	if w.began.IsZero() {
		w.began = time.Now().Add(-w.cfg.Every)
	}
	if err := w.update(counts); err != nil {
		return err
	}
	if ctx.Err() != nil {
		broke = nil // that it was broken off is not the pod's fault
	}
	return broke
}

func (w *watchRun) count(r attack.Result, counts []int64) {
	if b := int(r.Backend); b >= 0 && b < len(counts) {
		counts[b]++
		w.total.N[b]++
		return
	}
	w.w.Lost++
	w.total.Unattributed++
}

// update looks. It fails where the likely range of a share lies outside its tolerance, whatever the requests without a known
// backend were, or where no share fits all looks together.
func (w *watchRun) update(counts []int64) error {
	look, err := w.seq.Update(counts)
	if err != nil {
		return err
	}
	w.look = look
	w.w.Looks++
	w.w.Requests, w.w.Seconds = look.Requests, time.Since(w.began).Seconds()
	n, u := float64(look.Requests), float64(w.w.Lost)
	inside := look.Requests > 0
	for i, c := range look.Intervals {
		if c.Why != "" { // weight 0
			if w.total.N[i] > 0 {
				w.failed = true
			}
			continue
		}
		low, high := c.Low*n/(n+u), (c.High*n+u)/(n+u)
		outside := low > w.expected[i]+w.delta[i] || high < w.expected[i]-w.delta[i]
		empty := c.Low > c.High && u == 0 // no one share fits all looks: it changed
		w.failed = w.failed || outside || empty
		inside = inside && low >= w.expected[i]-w.delta[i] && high <= w.expected[i]+w.delta[i]
	}
	w.decided = inside && !w.failed
	if w.failed {
		at := w.w.Seconds
		w.w.FailedAt = &at
	}
	w.show(true)
	return nil
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
	return out
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
			line += fmt.Sprintf("  %s %.1f-%.1f%%", mesh.Safe(b.Backend), 100**b.Interval.Low, 100**b.Interval.High)
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
	case w.failed && len(m.Failures) == 0:
		in.Judged.Reasons = []analyze.Reason{{Code: analyze.CodeOutside, Text: "the likely range of a share lies outside its tolerance, or no one share fits all looks"}}
	case !w.decided && w.w.Looks == 0 && len(m.Failures) == 0 && m.Interrupted == "" && !m.refused():
		in.Invalid = append(in.Invalid, "nothing was measured: "+w.why)
	case !w.decided && !w.failed:
		in.Judged.Reasons = []analyze.Reason{{Code: analyze.CodeTooFew, Text: fmt.Sprintf("%d requests do not decide yet", s.Requests)}}
		in.Remedies = append(in.Remedies, "watch it longer, or at a higher --rate")
	}
	return report.Build(in)
}
