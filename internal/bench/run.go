package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/runner"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/podexec"
)

// run is one run on its way.
type run struct {
	cfg    Config
	m      record.Manifest
	folder *store.Run
	log    *runLog
	seen   judge.Evidence

	taking  sync.Mutex    // results come from several pods at once
	looks   *judge.Looker // nil where the run does not stop early
	streams []*record.Placement
	files   int // streams so far, the forgotten ones too
	active  []*source
	tell    func(context.Context) (law.Law, error) // what is told anew; nil: nobody is asked
	telling sync.Mutex                             // Progress is called by one at a time
	live    liveFacts
	agents  *agents
	job     *runner.Spec // of runner pods that were made and not taken away yet; nil: none
}

// newRun is a run of a kind that has just been asked for.
func newRun(cfg Config, kind string) *run {
	own := &agents{by: map[string]agentbin.Agent{}}
	return &run{cfg: cfg.asking(), log: newRunLog(cfg.Log), agents: own, m: record.Manifest{
		Schema: record.ManifestSchema, Kind: kind, Started: time.Now().UTC(), Command: cfg.Command, Flags: cfg.Flags,
		Labels: cfg.Labels, Tool: cfg.Tool, Simulated: cfg.Simulated, Options: cfg.Options,
	}}
}

// Run carries a run from discovery to the report. The report is complete whatever happened; the error is only ever a
// *UsageError, for what is wrong on this side before the first request. When ctx is cancelled, what was measured so far
// is kept and the outcome is invalid; the text of the context's cause goes into the report.
func Run(ctx context.Context, cfg Config) (report.Report, error) {
	r := newRun(cfg, report.KindSplit)
	r.m.Sequential = cfg.Sequential
	return r.carryOut(ctx, r)
}

// steps are what a kind of run does in its own way.
type steps interface {
	// prepare discovers, checks and plans: it sends nothing.
	prepare(context.Context) error
	// attempt measures, and reports whether there is anything to judge.
	attempt(context.Context) bool
	// evidence is what was measured, besides what the manifest says.
	evidence() judge.Evidence
	// lasts is how long the sending takes at most.
	lasts() time.Duration
}

// carryOut carries a run of any kind from discovery to the report. The error is a *UsageError.
func (r *run) carryOut(ctx context.Context, kind steps) (report.Report, error) {
	err := kind.prepare(ctx)
	if err == nil && r.cfg.Runners.Pods > 0 && !r.m.Refused() {
		defer r.dismiss(ctx)
		err = r.standIn(ctx, kind)
	}
	if err != nil {
		if _, usage := errors.AsType[*record.UsageError](err); usage {
			return report.Report{}, err
		}
		r.fail(ctx, err)
	}
	if r.m.Refused() {
		r.dismiss(ctx)
		return r.refused(kind), nil
	}
	if err := r.open(); err != nil {
		return report.Report{}, &record.UsageError{Err: err}
	}
	measured := kind.attempt(ctx)
	r.dismiss(ctx)
	rep := r.conclude(kind)
	r.close(&rep, r.status(rep, measured))
	return rep, nil
}

// refused is a run that ends before anything is sent. Its report says why, and is kept, so that the record of a change
// has it: but for one that nothing is known of, not even the name.
func (r *run) refused(kind steps) report.Report {
	if r.m.Before == nil {
		return r.conclude(kind)
	}
	err := r.open()
	rep := r.conclude(kind)
	if err != nil {
		judge.NotKept(&rep, err)
		return rep
	}
	r.close(&rep, store.Refused)
	return rep
}

// prepare discovers, checks and plans.
func (r *run) prepare(ctx context.Context) error {
	r.progress("discover", "reading the split, its Services and the source pod")
	snap, err := r.discover(ctx)
	if err != nil {
		return asUsage(err)
	}
	if t := snap.Told; t != nil && t.Own && t.Why != "" && r.m.Kind == report.KindSplit {
		snap.Told = nil // it is asked through the session that is going to be opened
	}
	r.m.Before = &snap
	r.noteSimulated()
	r.cfg.Load.speak(snap.Law.Probe)
	r.progress("check", "checking that the split can be measured")
	r.m.Checks = preflight.Run(preflight.View{Snapshot: snap})
	if unknown := preflight.Waive(r.m.Checks, r.cfg.IgnoreChecks, ignoreFlag); len(unknown) > 0 {
		return record.Usagef("--ignore-check %s: there is no such check; splitbench explain lists them",
			strings.Join(unknown, ", "))
	}
	r.m.Weights, _ = record.DeclaredOf(snap)
	if r.m.Kind == report.KindDrill { // it is about what proxies do
		r.m.Weights = record.WeightsOf(snap)
	}
	if failedCheck(r.m.Checks) != "" {
		return nil // refused; the report says why
	}
	r.m.Plan, err = r.plan(snap)
	return err
}

// checks are what the checks of some categories say, of all where none are named, less those that the user waives.
func (c Config) checks(v preflight.View, categories ...string) []preflight.Result {
	all := preflight.Run(v)
	preflight.Waive(all, c.IgnoreChecks, ignoreFlag)
	return slices.DeleteFunc(all, func(r preflight.Result) bool {
		return len(categories) > 0 && !slices.Contains(categories, r.Category)
	})
}

// failedCheck is what the first failed fatal check says; "" where there is none.
func failedCheck(checks []preflight.Result) string {
	for _, c := range checks {
		if c.Failure() {
			return fmt.Sprintf("check %s, %s: %s", c.ID, c.Name, brief(c.Seen))
		}
	}
	return ""
}

// ignoreFlag is how the user waives a check.
const ignoreFlag = "--ignore-check"

// noteSimulated marks a run on clusters of `demo --serve`, which this process knows by the version that they tell
// alone.
func (r *run) noteSimulated() {
	demo := func(c law.Cluster) bool { return strings.HasSuffix(c.Version, "+splitbench.demo") }
	if r.m.Simulated == "" && slices.ContainsFunc(r.m.Before.Clusters, demo) {
		r.m.Simulated = "by splitbench demo --serve: API servers, pods and a mesh that draws a backend at random for each " +
			"request"
	}
}

// asUsage makes a usage error of what discovery has against the command line.
func asUsage(err error) error {
	if e, ok := errors.AsType[*mesh.Error](err); ok && (e.Kind == mesh.KindUsage || e.Kind == mesh.KindAmbiguous) {
		return &record.UsageError{Err: err}
	}
	return err
}

// open creates the run's folder, before the first request: a run that cannot be kept is not started.
func (r *run) open() error {
	split := r.m.Before.Split
	id, err := store.NewID(r.m.Started, split.Namespace, split.Name, rand.Reader)
	if err != nil {
		return err
	}
	if r.folder, err = store.Create(r.cfg.ResultsDir, id); err != nil {
		return err
	}
	r.m.ID, r.m.Dir = id, r.folder.Dir
	r.identify(id)
	if err = errors.Join(r.keep("split.before.yaml", split.YAML), r.m.Write(r.folder)); err != nil {
		return errors.Join(err, r.folder.Close(store.Aborted))
	}
	return nil
}

// keep writes a file of the run's folder, if it says anything.
func (r *run) keep(name string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return r.folder.WriteFile(name, data)
}

// attempt measures while what the shares rest on is followed.
func (r *run) attempt(ctx context.Context) (measured bool) {
	unwatch := r.watch(ctx)
	err := r.sessions(ctx, r.m.Plan.Duration()+r.m.Plan.Timeout, r.measure)
	unwatch()
	r.fail(ctx, errors.Join(err, r.keepMarks()))
	measured = r.seen.Tally != nil && r.seen.Tally.N > 0
	r.look(ctx, measured)
	return measured
}

func (r *run) evidence() judge.Evidence { return r.seen }

// fail notes why there is no verdict. An interruption is the user's, everything else the run's.
func (r *run) fail(ctx context.Context, err error) {
	switch {
	case err == nil:
		return
	case ctx.Err() != nil:
		r.m.Interrupted = context.Cause(ctx).Error()
		return
	}
	text := strings.ReplaceAll(r.textOf(ctx, err, r.source()), "\n", "; ")
	if e, ok := errors.AsType[*mesh.Error](err); ok && e.Hint != "" {
		text = strings.TrimSuffix(text, "; "+e.Hint) // said once, under what to do
		r.m.Remedies = append(r.m.Remedies, untrusted.Safe(e.Hint))
	}
	r.m.Failures = append(r.m.Failures, untrusted.Printable(text))
}

// source is the first pod that sends, its zero value where none is known.
func (r *run) source() law.Pod {
	if r.m.Before == nil {
		return law.Pod{}
	}
	return r.m.Before.Source
}

// textOf is what an error of a pod's session says. An exit code that says no more than that something was killed says
// what the API server knows of the pod, also within errors that wrap it, whose texts are made already.
func (r *run) textOf(ctx context.Context, err error, pod law.Pod) string {
	var exit *podexec.ExitError
	if !errors.As(err, &exit) || exit.Code != podexec.Killed || r.m.Before == nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveLimit)
	defer cancel()
	unexplained := exit.Error()
	exit.Why = mesh.HowItEnded(ctx, r.cfg.Local, pod)
	return strings.Replace(err.Error(), unexplained, exit.Error(), 1)
}

// StoreError says that the run could not be kept any more.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "store results: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

func (r *run) progress(phase, text string) { r.tick(Progress{Phase: phase, Text: text}) }

// showLive tells what was found so far, if that is due.
func (r *run) showLive() {
	if f := r.live.facts(time.Now()); f != nil {
		r.tick(Progress{Phase: "attack", Live: f})
	}
}

func (r *run) tick(p Progress) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.cfg.Progress != nil {
		r.cfg.Progress(p)
	}
}
