package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// LatencyConfig is what a comparison of latencies is told.
type LatencyConfig struct {
	Config
	Targets    []string // svc/NAME or svc/NAME:PORT, in the namespace of the query
	Against    string   // the target that the others are compared with; "" with a sweep of one
	Path       string   // of the requests, "" is /
	Rounds     int      // of each target
	Round      time.Duration
	Margin     analyze.Margin
	MarginText string
	Quantiles  []float64     // that are judged; nil: JudgedQuantiles. The others of analyze.DefaultQuantiles are shown
	Rates      []attack.Rate // a sweep of the first target; nil: one rate
	Limit      *report.SweepLimit
}

// Bounds of a comparison.
const (
	maxLatencyTargets = 8
	mostSteps         = 24   // of a sweep
	sweepFine         = 1.08 // ratio of neighbouring rates at which a sweep has found its limit
)

// latencyRun is a comparison on its way.
type latencyRun struct {
	*run
	cfg   LatencyConfig
	plan  *record.LatencyPlan
	rng   *rand.Rand
	times []judge.Times // by target
}

// Latency measures targets in interleaved rounds and compares them. Errors are *UsageError only, as of Run.
func Latency(ctx context.Context, cfg LatencyConfig) (report.Report, error) {
	r := &latencyRun{cfg: cfg, run: newRun(cfg.Config, report.KindLatency)}
	r.rng = rand.New(rand.NewPCG(cfg.Options.Seed, 0x6c6174656e6379))
	if err := cfg.validate(); err != nil {
		return report.Report{}, &record.UsageError{Err: err}
	}
	return r.carryOut(ctx, r)
}

func (r *latencyRun) attempt(ctx context.Context) (measured bool) {
	r.fail(ctx, r.sessions(ctx, r.sending(), r.measure))
	return r.sent() > 0
}

func (r *latencyRun) evidence() judge.Evidence {
	e := judge.Evidence{Times: r.times}
	if b := r.cfg.Baseline; b != nil {
		e.Then = &b.Folder
	}
	return e
}

func (c LatencyConfig) validate() error {
	switch {
	case len(c.Targets) == 0:
		return errors.New("TARGET: name what to measure, such as svc/podinfo-east")
	case len(c.Targets) > maxLatencyTargets:
		return fmt.Errorf("TARGET: %d are given, at most %d can be compared", len(c.Targets), maxLatencyTargets)
	case c.Against == "" && len(c.Rates) == 0:
		return errors.New("--against: name what to compare with, such as svc/podinfo; or sweep one target with --rates")
	case len(c.Rates) > 0 && len(c.Targets) > 1:
		return errors.New("--rates: sweeps one target; leave the others out")
	case len(c.Rates) > 0 && c.Against != "":
		return errors.New("--rates and --against: a sweep measures one target by itself; leave one of them out")
	case len(c.Rates) > 0 && c.Margin.Set:
		return errors.New("--rates and --margin: a sweep is held against --limit, such as p99=100ms; leave one of them out")
	case len(c.Rates) > 0 && c.Baseline != nil:
		return errors.New("--rates and --baseline: sweeps are not compared; leave one of them out")
	case len(c.Rates) > mostSteps/2:
		return fmt.Errorf("--rates: %d are given, at most %d can be swept", len(c.Rates), mostSteps/2)
	case c.Limit != nil && len(c.Rates) == 0:
		return errors.New("--limit: is for a sweep; give --rates, or --margin for a comparison")
	case len(c.Rates) == 0 && (c.Rounds < analyze.MinBlocks || c.Rounds > record.MaxRounds):
		return fmt.Errorf("--rounds %d: want %d to %d: fewer rounds have no interval", c.Rounds, analyze.MinBlocks,
			record.MaxRounds)
	case c.Round < 100*time.Millisecond || c.Round > 10*time.Minute:
		return fmt.Errorf("--round-duration %s: want 100ms to 10m", c.Round)
	}
	return c.Margin.Validate()
}

// prepare finds the targets and the source pod. The snapshot of the first target that is the root of a split, else of
// the first, is kept as the run's.
func (r *latencyRun) prepare(ctx context.Context) error {
	r.progress("discover", "reading the targets and the source pod")
	r.m.Before = nil // of a look before, at the pods that runner pods stand in for
	r.plan = &record.LatencyPlan{
		Rounds: r.cfg.Rounds, Round: r.cfg.Round, Margin: r.cfg.Margin, MarginText: r.cfg.MarginText,
		Against: r.cfg.Against != "", Sweep: len(r.cfg.Rates) > 0, Limit: r.cfg.Limit, Quantiles: r.cfg.Quantiles,
	}
	if len(r.plan.Quantiles) == 0 {
		r.plan.Quantiles = judge.JudgedQuantiles()
	}
	r.m.Latency = r.plan
	names := slices.Clone(r.cfg.Targets)
	if r.cfg.Against != "" {
		names = append(names, r.cfg.Against)
	}
	for _, name := range names {
		if err := r.target(ctx, name); err != nil {
			return err
		}
	}
	r.run.cfg.Load.speak(r.m.Before.Law.Probe)
	// What is said of the split's weights does not matter to a comparison.
	r.m.Checks = r.run.cfg.checks(preflight.View{Snapshot: *r.m.Before}, "clusters", "access", "client")
	p := r.run.cfg.Load.Plan(r.plan.Targets[0].URL, r.cfg.Load.Rate.Requests(r.cfg.Round))
	pods := 1 + len(r.m.Before.Others)
	p.Connections = max(p.Connections, pods)
	r.m.Plan = p
	for _, rate := range append(slices.Clone(r.cfg.Rates), p.Rate) {
		burst := p
		burst.Rate, burst.Requests = rate, max(1, rate.Requests(r.cfg.Round))
		if err := burst.Validate(); err != nil {
			return &record.UsageError{Err: err}
		}
		if err := checkPods(burst, pods, false); err != nil {
			return err
		}
	}
	if total := p.Requests * uint64(len(r.plan.Targets)*r.plan.Rounds); !r.plan.Sweep && total > p.MaxRequests {
		return record.Usagef("%d rounds of %d requests for %d targets are %d in all: above the ceiling of %d; "+
			"allow it with --max-requests",
			r.plan.Rounds, p.Requests, len(r.plan.Targets), total, p.MaxRequests)
	}
	return nil
}

// target finds one target and adds it to the plan.
func (r *latencyRun) target(ctx context.Context, name string) error {
	service, port, err := parseTarget(name)
	if err != nil {
		return &record.UsageError{Err: err}
	}
	q := r.run.cfg.Query
	q.Split, q.Port = "svc/"+service, port
	if !q.Probe.IsCall() {
		q.Probe.Path = path(r.cfg.Path)
	}
	snap, err := mesh.Discover(ctx, r.cfg.Local, r.cfg.Remotes, q)
	if err != nil {
		return asUsage(err)
	}
	if !snap.Root.Found {
		return &mesh.Error{
			Kind: mesh.KindNotFound, Op: "find target", Object: name,
			Cause: fmt.Errorf("there is no Service %s in namespace %s", service, q.Namespace),
			Hint:  "name one of: kubectl get services -n " + q.Namespace,
		}
	}
	url := rootURL(snap, path(r.cfg.Path))
	t := record.LatencyTarget{Name: name, UID: snap.Root.UID, URL: url, Own: -1}
	for _, have := range r.plan.Targets {
		if have.UID == t.UID {
			return record.Usagef("%s and %s: both are Service %s: there is no difference to measure", have.Name, name,
				snap.Root.Name)
		}
	}
	if snap.Split.Found && splits(snap) {
		t.Root = snap.Split.Kind + " " + snap.Split.Name
		t.Own = slices.IndexFunc(snap.Backends, func(b law.Backend) bool { return b.IsRoot })
		if t.Own < 0 {
			return record.Usagef("%s: is the root of %s and none of its backends: measure its backends", name, t.Root)
		}
	}
	rooted := slices.ContainsFunc(r.plan.Targets, func(have record.LatencyTarget) bool { return have.Root != "" })
	if r.m.Before == nil || t.Root != "" && !rooted {
		r.m.Before = &snap
		r.noteSimulated()
	}
	r.plan.Targets = append(r.plan.Targets, t)
	return nil
}

// path is what the user says is requested, as URLs have it.
func path(given string) string { return "/" + strings.TrimPrefix(given, "/") }

// parseTarget reads svc/NAME or svc/NAME:PORT.
func parseTarget(s string) (service string, port int32, err error) {
	kind, rest, ok := strings.Cut(s, "/")
	if !ok || (kind != "svc" && kind != "service" && kind != "services") || rest == "" {
		return "", 0, fmt.Errorf("target %q: want svc/NAME or svc/NAME:PORT", s)
	}
	service, text, given := strings.Cut(rest, ":")
	if !given {
		return service, 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("target %q: port %q is out of range", s, text)
	}
	return service, int32(n), nil
}

// splits reports whether some of the requests to the root go elsewhere.
func splits(s law.Snapshot) bool {
	return slices.ContainsFunc(s.Backends, func(b law.Backend) bool { return !b.IsRoot && b.Weight > 0 })
}

// sending is how long the sending takes at most, for the agent's own deadline.
func (r *latencyRun) sending() time.Duration {
	warm := time.Duration(float64(r.m.Plan.WarmUp)/r.m.Plan.Rate.PerSecond()*float64(time.Second)) + r.m.Plan.Timeout
	n := len(r.plan.Targets) * r.plan.Rounds
	if r.plan.Sweep {
		n = mostSteps
	}
	return time.Duration(n) * (r.plan.Round + warm)
}

// measure carries out the rounds: each a random order of the targets, and then the same order backwards.
func (r *latencyRun) measure(ctx context.Context) error {
	if len(r.active) > 1 {
		defer r.keepStreams()
	}
	r.times = make([]judge.Times, len(r.plan.Targets))
	for i := range r.plan.Targets {
		if err := r.recognise(ctx, i); err != nil {
			return err
		}
	}
	if err := r.m.Write(r.folder); err != nil {
		return err
	}
	return r.witnessed(ctx, func() error {
		if r.plan.Sweep {
			return r.sweep(ctx)
		}
		return r.rounds(ctx)
	})
}

// rounds sends them.
func (r *latencyRun) rounds(ctx context.Context) error {
	r.progress("attack", fmt.Sprintf("%d rounds of %s for each of %d targets at %g/s from %s",
		r.plan.Rounds, r.plan.Round, len(r.plan.Targets), r.m.Plan.Rate.PerSecond(), r.from()))
	planned := r.m.Plan.Requests * uint64(len(r.plan.Targets)*r.plan.Rounds)
	r.live.begin(nil, nil, planned, 0)
	var order []int
	for round := range r.plan.Rounds {
		if round%2 == 0 {
			order = r.rng.Perm(len(r.plan.Targets))
		} else {
			slices.Reverse(order)
		}
		for _, target := range order {
			b := record.LatencyBurst{Target: target, Round: round, Rate: r.m.Plan.Rate, Requests: r.m.Plan.Requests}
			if _, err := r.burst(ctx, b); err != nil {
				return err
			}
		}
		early := round == 0 || round+1 == max(judge.EnoughRounds, r.plan.Rounds/8)
		if early && round+1 < r.plan.Rounds && !r.cfg.KeepGoing && judge.Hopeless(r.m, r.times) {
			return fmt.Errorf("stopped after %d of %d rounds, as the others would not make it a measurement; "+
				"--keep-going measures them", round+1, r.plan.Rounds)
		}
	}
	return nil
}

// recognise learns which answers of a split's root are its own.
func (r *latencyRun) recognise(ctx context.Context, i int) error {
	t := &r.plan.Targets[i]
	if t.Root == "" {
		return nil
	}
	l := learner{snap: *r.m.Before, plan: r.m.Plan}
	l.plan.URL = t.URL
	if err := l.probe(ctx, r.active[0].session); err != nil {
		return err
	}
	var err error
	t.Rules, r.m.Signatures, err = l.rules()
	return err
}

// burst sends one burst and counts it. A target that does not answer ends the comparison: without it there is none.
func (r *latencyRun) burst(ctx context.Context, b record.LatencyBurst) (*judge.Burst, error) {
	t := r.plan.Targets[b.Target]
	p := r.m.Plan
	p.URL, p.Rules, p.Rate, p.Requests = t.URL, t.Rules, b.Rate, b.Requests
	before := len(r.plan.Bursts)
	r.plan.Bursts = append(r.plan.Bursts, b)
	parts := make([]*judge.Burst, len(r.active))
	for i := range parts {
		parts[i] = judge.NewBurst(t.Own)
	}
	err := r.send(ctx, burst{plan: p, before: before, take: func(s *source, result attack.Result) error {
		parts[s.n].Add(result)
		r.live.addTo(r.step(b), result)
		return nil
	}})
	times := judge.NewBurst(t.Own)
	for i, s := range r.active {
		if s.left() {
			times.Join(parts[i])
		}
	}
	r.times[b.Target].Add(times, r.sum(), err == nil)
	if err != nil {
		return nil, fmt.Errorf("%s, round %d: %w", t.Name, b.Round+1, err)
	}
	return times, nil
}

// step is what a burst's times are shown under while they are measured.
func (r *latencyRun) step(b record.LatencyBurst) string {
	if r.plan.Sweep {
		return fmt.Sprintf("%g/s", b.Rate.PerSecond())
	}
	return r.plan.Targets[b.Target].Name
}

func (r *latencyRun) sent() (n uint64) {
	for _, t := range r.times {
		n += uint64(t.Sent)
	}
	return n
}
