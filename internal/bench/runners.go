package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/agentbin"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/runner"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// Runners asks for pods of our own in place of the workload's; its zero value is for the workload's.
type Runners struct {
	Pods             int
	Image            string
	Requests, Limits runner.Resources
}

// runnerIdle is how long runner pods last without a session: until somebody who was cut off is back, and no longer.
const runnerIdle = 30 * time.Second

func (r *run) lasts() time.Duration {
	most := r.m.Plan.Duration() + r.m.Plan.Timeout
	if r.cfg.Expect != nil {
		most += r.cfg.Expect.Wait
	}
	return most
}

func (r *latencyRun) lasts() time.Duration { return r.sending() }

// lasts is how long a session may: each has a Job of its own, so that none outlives its watch for long.
func (w *watchRun) lasts() time.Duration { return w.cfg.Session + w.cfg.Every + w.m.Plan.Timeout }

// lifetime is after how long a Job is ended, whatever happens: its pods must start, and be learned from, before.
func lifetime(kind steps) time.Duration { return (kind.lasts() + 3*sessionMargin).Round(time.Second) }

// foretell is the Job that is going to be made for what the snapshot says, and has the snapshot say what the API server
// would make of its pods.
func foretell(ctx context.Context, cfg Config, snap *law.Snapshot) (runner.Spec, error) {
	var s runner.Spec
	template, err := mesh.Template(ctx, cfg.Local, cfg.Query, snap.Source)
	if err != nil {
		return s, err
	}
	s = runner.Spec{
		Namespace: snap.Source.Namespace, Workload: template, Pods: cfg.Runners.Pods, Image: cfg.Runners.Image,
		Requests: cfg.Runners.Requests, Limits: cfg.Runners.Limits, Idle: runnerIdle,
	}
	if s.Name, err = runner.NewName(); err != nil {
		return s, err
	}
	facts := runner.Ask(ctx, cfg.Local.Kube(), s)
	facts.Workload = snap.Source.Workload
	snap.Runners = &facts
	return s, nil
}

// askForRunners foretells, and adds what checks say of it.
func (r *run) askForRunners(ctx context.Context, kind steps) (s runner.Spec, err error) {
	if s, err = foretell(ctx, r.cfg, r.m.Before); err != nil {
		return s, err
	}
	s.Lifetime = lifetime(kind)
	r.m.Checks = append(r.m.Checks, r.cfg.checks(preflight.View{Snapshot: *r.m.Before}, preflight.CategoryRunners)...)
	return s, nil
}

// standIn makes the runner pods and prepares the run anew, with them as its source. What was made is taken away by
// dismiss.
func (r *run) standIn(ctx context.Context, kind steps) error {
	s, err := r.askForRunners(ctx, kind)
	if err != nil || r.m.Refused() {
		return err
	}
	facts := *r.m.Before.Runners
	checks := r.cfg.checks(preflight.View{Snapshot: *r.m.Before}, preflight.CategoryRunners)
	facts.Job = s.Name
	r.m.Before.Runners = &facts
	if err := r.startRunners(ctx, s); err != nil {
		return err
	}
	r.cfg.Query = atRunners(r.cfg.Query, s)
	if err := kind.prepare(ctx); err != nil {
		return err
	}
	r.m.Before.Runners, r.m.Checks = &facts, append(r.m.Checks, checks...)
	r.m.Before.Source.Workload = facts.Workload // which is what a reader can name
	return nil
}

// startRunners makes the Job, and waits for its pods.
func (r *run) startRunners(ctx context.Context, s runner.Spec) error {
	r.progress("check", fmt.Sprintf("making Job %s of %d runner pods", s.Name, s.Pods))
	r.job = &s
	return runner.Start(ctx, r.cfg.Local.Kube(), s, func(say string) { r.progress("check", say) })
}

// atRunners is a query with runner pods for its source.
func atRunners(q mesh.Query, s runner.Spec) mesh.Query {
	q.From, q.Selector, q.FromNamespace, q.Container = "", s.Selector(), s.Namespace, runner.Container
	if s.Pods > 1 {
		q.Pods = s.Pods
	}
	return q
}

// standAnew makes the runner pods of the next session, for what the workload is by now, in place of the last one's.
func (w *watchRun) standAnew(ctx context.Context) error {
	w.dismiss(ctx)
	w.m.Warnings = keepLast(w.m.Warnings, report.MaxWatchList)
	theirs := w.cfg.Config
	theirs.Runners = Runners{}
	snap, err := Discover(ctx, theirs)
	if err != nil {
		return err
	}
	s, err := foretell(ctx, w.cfg.Config, &snap)
	if err != nil {
		return err
	}
	if why := w.cfg.refusal(snap); why != "" {
		return errors.New(why)
	}
	s.Lifetime = lifetime(w)
	w.stand = *snap.Runners
	w.stand.Job = s.Name
	return w.startRunners(ctx, s)
}

// dismiss takes the runner pods away. Where that fails they end by themselves, and the report says so.
func (r *run) dismiss(ctx context.Context) {
	if r.job == nil {
		return
	}
	s := *r.job
	r.job = nil
	if err := runner.End(ctx, r.cfg.Local.Kube(), s); err != nil {
		r.m.Warnings = append(r.m.Warnings, fmt.Sprintf("the runner pods are still there and end by themselves: %s; "+
			"to end them now: %s", untrusted.Error(err),
			untrusted.Shell("kubectl", "--context", r.cfg.Local.Context, "-n", s.Namespace, "delete", "job", s.Name)))
	}
}

// ofThisVersion refuses an agent of another version than this program, which the image of a runner pod may hold: by its
// digest where this program has the agent of that platform inside, else by its version.
func (r *run) ofThisVersion(h wire.HelloMessage) error {
	if r.m.Before.Runners == nil || r.m.Simulated != "" {
		return nil
	}
	digests, err := agentbin.Digests()
	if err != nil {
		return err
	}
	platform := h.OS + "/" + h.Arch
	if want, ok := digests[platform]; ok && want == h.SHA256 || !ok && h.Version == agent.Version() {
		return nil
	}
	return fmt.Errorf("--runner-image %s: its agent for %s is of version %s (SHA-256 %.12s), this program is of "+
		"version %s: name the image of this program's own version", untrusted.Safe(r.cfg.Runners.Image),
		untrusted.Safe(platform), untrusted.Safe(h.Version), untrusted.Safe(h.SHA256), agent.Version())
}

// withRunners is for Discover: it has the snapshot say also what the API server would make of runner pods.
func withRunners(ctx context.Context, cfg Config, snap *law.Snapshot) error {
	if cfg.Runners.Pods == 0 {
		return nil
	}
	if snap.Source.Name == "" {
		return &record.UsageError{Err: errors.New("--runners: name with --from whose place they take, such as " +
			"deploy/frontend")}
	}
	_, err := foretell(ctx, cfg, snap)
	return err
}
