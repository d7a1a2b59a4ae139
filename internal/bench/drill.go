package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// DrillConfig is what a drill is told. It breaks nothing itself.
type DrillConfig struct {
	Config
	MaxLost   *int64         // requests
	MaxOutage *time.Duration // all the time with losses
}

// maxShots bounds the requests of a drill: the report needs each of them in its order.
const maxShots = 1 << 20

// drillRun is a drill on its way.
type drillRun struct {
	*run
	cfg DrillConfig

	mu     sync.Mutex
	facts  record.DrillFacts
	marked int // bytes of marks that were read
}

// Drill sends steady traffic and says what happens to it. Errors are *UsageError only, as of Run.
func Drill(ctx context.Context, cfg DrillConfig) (report.Report, error) {
	d := &drillRun{cfg: cfg, run: newRun(cfg.Config, report.KindDrill)}
	d.facts = record.DrillFacts{MaxLost: cfg.MaxLost, MaxOutage: cfg.MaxOutage, Events: []record.DrillFact{}}
	if cfg.Load.Requests == 0 || cfg.Load.Requests > maxShots {
		return report.Report{}, record.Usagef("--duration: at this rate these are %d requests, want 1 to %d",
			cfg.Load.Requests, maxShots)
	}
	if cfg.Load.Connections == 0 { // enough for requests that wait for their timeout while others go on
		waiting := cfg.Load.Rate.PerSecond() * max(cfg.Load.Timeout, attack.DefaultTimeout).Seconds()
		d.run.cfg.Load.Connections = attack.DefaultConnections + int(min(8192, waiting))
	}
	return d.carryOut(ctx, d)
}

// prepare plans as a run does, but for one thing: losing everything for a while is what a drill is about.
func (d *drillRun) prepare(ctx context.Context) error {
	err := d.run.prepare(ctx)
	d.m.Plan.GiveUpAfter = d.m.Plan.Requests + 1
	return err
}

func (d *drillRun) attempt(ctx context.Context) (measured bool) {
	d.fail(ctx, d.sessions(ctx, d.m.Plan.Duration()+d.m.Plan.Timeout, d.measure))
	measured = len(d.seen.Shots) > 0
	d.look(ctx, measured)
	return measured
}

func (d *drillRun) measure(ctx context.Context) error {
	if err := d.settle(ctx, d.active[0].session); err != nil {
		return err
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var observers sync.WaitGroup
	end := d.watch(ctx, func(e mesh.Event) { d.collect(watching, e) })
	observers.Go(func() { d.readMarks(watching) })
	d.progress("attack", fmt.Sprintf("run %s: %d requests at %g/s from %s for %s", d.m.ID, d.m.Plan.Requests,
		d.m.Plan.Rate.PerSecond(), d.from(), d.m.Plan.Duration().Round(time.Second)))
	err := d.witnessed(ctx, func() error { return d.burst(ctx) })
	for _, s := range d.active { // on our clock, as early as any result allows
		if !s.began.IsZero() {
			d.facts.Began = earlier(d.facts.Began, s.began)
		}
	}
	stop()
	gaps := end()
	observers.Wait()
	for _, g := range gaps {
		d.facts.Unwatched = append(d.facts.Unwatched, untrusted.Safe(g.Ref.What+": "+g.Text))
	}
	_, keepErr := d.ownMarks()
	slices.SortStableFunc(d.facts.Events, func(a, b record.DrillFact) int { return a.At.Compare(b.At) })
	d.m.Drill = &d.facts
	return errors.Join(err, keepErr)
}

// watch follows what the API says of the split and of the gateways.
func (d *drillRun) watch(ctx context.Context, take func(mesh.Event)) (end func() []mesh.Gap) {
	clients := map[string]mesh.Client{law.RoleClient: d.cfg.Local}
	refs := d.m.Before.Refs()
	for _, g := range d.m.Before.Gateways {
		for _, remote := range d.cfg.Remotes {
			if g.Context == "" || remote.Client.Context != g.Context {
				continue
			}
			clients[g.Cluster] = remote.Client
			refs = append(refs, law.Ref{
				Cluster: g.Cluster, Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices",
				Namespace: g.Namespace, Name: g.Name, What: "endpoints of the gateway of cluster " + g.Cluster,
			})
		}
	}
	return follow(ctx, clients, refs, take)
}

// collect notes an event. Weights are read anew where an object that says them changed.
func (d *drillRun) collect(ctx context.Context, e mesh.Event) {
	f := record.DrillFact{At: e.At.UTC(), Kind: record.FactObject, Text: untrusted.Safe(e.String())}
	switch {
	case e.Ref.Law:
		f.Kind, f.Weights = record.FactWeights, d.weightsNow(ctx)
	case strings.HasPrefix(e.Ref.Resource, "endpoint"):
		f.Kind = record.FactEndpoints
	}
	d.note(f)
}

// maxFacts bounds what is kept of a run's marks and changes.
const maxFacts = 1000

func (d *drillRun) note(f record.DrillFact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.facts.Events) < maxFacts {
		d.facts.Events = append(d.facts.Events, f)
	}
	d.log.say(fmt.Sprintf("%s %s: %s", f.At.Format("15:04:05.0"), f.Kind, f.Text))
}

const markPause = 200 * time.Millisecond

// readMarks takes over the marks of other processes until ctx ends.
func (d *drillRun) readMarks(ctx context.Context) {
	t := time.NewTicker(markPause)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			d.takeMarks()
		case <-ctx.Done():
			d.takeMarks()
			return
		}
	}
}

// takeMarks notes the marks that are new.
func (d *drillRun) takeMarks() {
	b, err := d.folder.Marks()
	if err != nil || len(b) <= d.marked {
		return
	}
	marks, read := marksIn(b[d.marked:])
	d.marked += read
	for _, m := range marks {
		d.note(record.DrillFact{At: m.At, Kind: record.FactMark, Text: m.Text})
	}
}
