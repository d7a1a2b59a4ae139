// Package bench is the live part of a run's story: discover, check, plan, settle, attack, record. Package judge tells the
// rest of it, and this is the only place where the two meet a cluster.
//
// It holds that a verdict is computed once, from a plan that was fixed before the first counted request. It refuses to
// call a run measured when it was not: a refusal of the cluster, a stream that was cut, weights that moved or answers of
// unknown origin make the outcome invalid, never a pass.
package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// Config is everything a run is told. It is complete before the run starts.
type Config struct {
	Query   mesh.Query
	Local   mesh.Client
	Remotes []mesh.Remote
	REST    *rest.Config // of Local, for exec

	URL        string // "": the root Service and its port
	Options    analyze.Options
	Load       Load
	Rules      []judge.ClassifyRule // of the user; none: backends are told apart by what they answer
	Sequential *record.Sequential   // stop at the first look that decides; nil: send all
	// IgnoreChecks are ids of checks whose failure does not keep the run from being made. The report says so.
	IgnoreChecks []string
	Protocol     podexec.Protocol
	Expect       *Expect // what the weights must be; nil: whatever they are
	Witness      string  // the second witness, see witness.CheckWord; "": auto
	Via          Via     // how the generator comes to the pod; "": ViaAuto
	Image        string  // of an ephemeral container, with ViaEphemeral
	Resume       bool    // take a run up again whose stream broke
	ResultsDir   string
	Baseline     *judge.Baseline // an earlier run to compare with; nil: none

	Command   []string          // the command line, for the record
	Flags     map[string]string // every flag as it was resolved, secrets masked, for the record
	Labels    map[string]string
	Tool      string // version and commit
	Self      string // path of this program, which may have to be uploaded
	Simulated string // what is simulated; "" on a real cluster

	Progress func(Progress) // may be nil; called from one goroutine at a time
	Log      io.Writer      // warnings and the agent's stderr; nil: dropped
}

// Load is what is to be sent.
type Load struct {
	Requests    uint64 // 0: planned from the options, see analyze.RequiredRequests
	Rate        attack.Rate
	Connections int
	Timeout     time.Duration
	WarmUp      uint64
	Header      map[string]string
	MaxRate     float64
	MaxRequests uint64
	// Template is how requests are sent: engine, protocol, connections, saturation, TLS, and headers of the user's. What it
	// says of the target and of the amount is not looked at. Without Reuse a connection carries a 128th of all requests.
	Template attack.Plan
}

// Progress is where a run is.
type Progress struct {
	Phase    string // "discover", "check", "settle", "attack", "judge"
	Text     string // what is going on, one line
	Live     string // what the last second was like, of a drill or a watch; only for a terminal
	Requests uint64 // sent so far, warm-up included
	Planned  uint64 // to be sent in all; 0 outside the attack
}

// run is one run on its way.
type run struct {
	cfg    Config
	m      record.Manifest
	folder *store.Run
	log    *runLog
	totals wire.Totals
	tally  *judge.Tally

	taking  sync.Mutex    // results come from several pods at once
	looks   *judge.Looker // nil where the run does not stop early
	streams []*liveStream
	files   int // streams so far, the forgotten ones too
	active  []*source
	telling sync.Mutex // Progress is called by one at a time
}

// Run carries a run from discovery to the report. The report is complete whatever happened; the error is only ever a
// *UsageError, for what is wrong on this side before the first request. When ctx is cancelled, what was measured so far is
// kept and the outcome is invalid; the text of the context's cause goes into the report.
func Run(ctx context.Context, cfg Config) (report.Report, error) {
	r := newRun(cfg, report.KindSplit)
	r.m.Sequential = cfg.Sequential
	switch ready, err := r.begin(ctx, r.prepare); {
	case err != nil:
		return report.Report{}, err
	case !ready:
		return r.conclude(), nil
	}
	unwatch := r.watch(ctx)
	err := r.measure(ctx)
	unwatch()
	if err = errors.Join(err, r.keepMarks()); err != nil {
		r.fail(ctx, err)
	}
	return r.finish(ctx)
}

// prepare discovers, checks and plans: it sends nothing.
func (r *run) prepare(ctx context.Context) error {
	r.progress("discover", "reading the split, its Services and the source pod")
	r.cfg.Query.Probe = probeOf(r.cfg)
	snap, err := r.discover(ctx)
	if err != nil {
		var e *mesh.Error
		if errors.As(err, &e) && (e.Kind == mesh.KindUsage || e.Kind == mesh.KindAmbiguous) {
			return &record.UsageError{Err: err}
		}
		return err
	}
	r.m.Before = &snap
	r.progress("check", "checking that the split can be measured")
	r.m.Checks = preflight.Run(preflight.View{Snapshot: snap})
	if unknown := preflight.Waive(r.m.Checks, r.cfg.IgnoreChecks, ignoreFlag); len(unknown) > 0 {
		return record.Usagef("--ignore-check %s: there is no such check; splitbench explain lists them", strings.Join(unknown, ", "))
	}
	r.m.Weights = record.WeightsOf(snap)
	for _, c := range r.m.Checks {
		if c.Failure() {
			return nil // refused; the report says why
		}
	}
	plan, err := r.plan(snap)
	if err != nil {
		return err
	}
	r.m.Plan = plan
	return nil
}

// open creates the run's folder, before the first request: a run that cannot be kept is not started.
func (r *run) open() (*store.Run, error) {
	id, err := store.NewID(r.m.Started, r.m.Before.Split.Namespace, r.m.Before.Split.Name, rand.Reader)
	if err != nil {
		return nil, err
	}
	folder, err := store.Create(r.cfg.ResultsDir, id)
	if err != nil {
		return nil, err
	}
	r.m.ID, r.m.Dir = id, folder.Dir
	r.identify(id)
	err = r.keep("split.before.yaml", r.m.Before.Split.YAML, folder)
	if err == nil {
		err = r.m.Write(folder)
	}
	if err != nil {
		return nil, errors.Join(err, folder.Close(store.Aborted))
	}
	return folder, nil
}

func (r *run) keep(name string, data []byte, folder *store.Run) error {
	if len(data) == 0 {
		return nil
	}
	return folder.WriteFile(name, data)
}

// StoreError says that the run could not be kept any more.
type StoreError struct{ Err error }

func (e *StoreError) Error() string { return "store results: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// fail notes why there is no verdict. An interruption is the user's, everything else the run's.
func (r *run) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		r.m.Interrupted = context.Cause(ctx).Error()
		return
	}
	text := err.Error()
	var cluster *mesh.Error
	if errors.As(err, &cluster) && cluster.Hint != "" {
		text = strings.TrimSuffix(text, "; "+cluster.Hint) // said once, under what to do
		r.m.Remedies = append(r.m.Remedies, untrusted.Safe(cluster.Hint))
	}
	r.m.Failures = append(r.m.Failures, untrusted.Printable(text))
}

func (r *run) progress(phase, text string) { r.tick(Progress{Phase: phase, Text: text}) }

func (r *run) tick(p Progress) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if r.cfg.Progress != nil {
		r.cfg.Progress(p)
	}
}
