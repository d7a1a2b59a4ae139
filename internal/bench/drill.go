package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// DrillConfig is what a drill is told. It breaks nothing itself.
type DrillConfig struct {
	Config
	MaxLost   *int64         // requests
	MaxOutage *time.Duration // all the time with losses
}

// MarkRun marks a run that is under way.
func MarkRun(f store.Folder, text string) error {
	text = untrusted.Safe(strings.TrimSpace(text))
	if text == "" {
		return record.Usagef("mark: the text is empty; say what happened")
	}
	if err := markable(f); err != nil {
		return err
	}
	if r := []rune(text); len(r) > maxMarkText {
		text = string(r[:maxMarkText])
	}
	b, err := json.Marshal(record.Mark{At: time.Now().UTC(), Text: text})
	if err != nil {
		return fmt.Errorf("mark run %s: %w", f.ID, err)
	}
	if err := store.Mark(f, b); err != nil {
		return &record.UsageError{Err: err}
	}
	return nil
}

const maxMarkText = 300 // runes

// maxShots bounds the requests of a drill: the report needs each of them in its order.
const maxShots = 1 << 20

// drillRun is a drill on its way.
type drillRun struct {
	*run
	cfg   DrillConfig
	shots []judge.Shot

	mu     sync.Mutex
	facts  record.DrillFacts
	marked int // bytes of marks that were read
}

// Drill sends steady traffic and says what happens to it. Errors are *UsageError only, as of Run.
func Drill(ctx context.Context, cfg DrillConfig) (report.Report, error) {
	d := &drillRun{cfg: cfg, run: newRun(cfg.Config, report.KindDrill)}
	d.facts = record.DrillFacts{MaxLost: cfg.MaxLost, MaxOutage: cfg.MaxOutage, Events: []record.DrillFact{}}
	if cfg.Load.Requests == 0 || cfg.Load.Requests > maxShots {
		return report.Report{}, record.Usagef("--duration: at this rate these are %d requests, want 1 to %d", cfg.Load.Requests, maxShots)
	}
	if cfg.Load.Connections == 0 { // enough for requests that wait for their timeout while others go on
		d.run.cfg.Load.Connections = attack.DefaultConnections + int(min(8192, cfg.Load.Rate.PerSecond()*max(cfg.Load.Timeout, attack.DefaultTimeout).Seconds()))
	}
	switch ready, err := d.begin(ctx, d.prepare); {
	case err != nil:
		return report.Report{}, err
	case !ready:
		return d.conclude(), nil
	}
	if err := d.withAgent(ctx, d.m.Plan.Duration()+d.m.Plan.Timeout, d.measure); err != nil {
		d.fail(ctx, err)
	}
	d.progress("judge", "judging")
	if len(d.shots) > 0 {
		d.reread(ctx)
	}
	rep := d.conclude()
	d.close(&rep, len(d.shots) > 0)
	return rep, nil
}

// prepare plans as a run does, but for one thing: losing everything for a while is what a drill is about.
func (d *drillRun) prepare(ctx context.Context) error {
	err := d.run.prepare(ctx)
	d.m.Plan.GiveUpAfter = d.m.Plan.Requests + 1
	return err
}

func (d *drillRun) measure(ctx context.Context, client session) error {
	if err := d.settle(ctx, client); err != nil {
		return err
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var observers sync.WaitGroup
	w := d.watch(watching)
	observers.Go(func() { d.collect(watching, w) })
	observers.Go(func() { d.readMarks(watching) })
	select {
	case <-w.Ready():
	case <-ctx.Done():
	case <-time.After(rereadLimit):
	}
	d.progress("attack", fmt.Sprintf("run %s: %d requests at %g/s from pod %s for %s", d.m.ID, d.m.Plan.Requests, d.m.Plan.Rate.PerSecond(),
		d.m.Before.Source.Name, d.m.Plan.Duration().Round(time.Second)))
	err := d.attack(ctx, client)
	w.Close()
	stop()
	observers.Wait()
	d.takeMarks()
	for _, g := range w.Gaps() {
		d.facts.Unwatched = append(d.facts.Unwatched, untrusted.Safe(g.Ref.What+": "+g.Text))
	}
	slices.SortStableFunc(d.facts.Events, func(a, b record.DrillFact) int { return a.At.Compare(b.At) })
	d.m.Drill = &d.facts
	if b, readErr := d.folder.Marks(); readErr == nil && len(b) > 0 {
		err = errors.Join(err, d.folder.WriteFile(store.MarksFile, b))
	}
	return err
}

// attack sends the burst. The burst's instant 0 on our clock is the earliest that any result allows.
func (d *drillRun) attack(ctx context.Context, client session) error {
	live := newLiveView(d.m.Weights)
	for r, err := range client.AttackFrom(ctx, d.m.Plan, agent.Start{}, &d.totals) {
		if err != nil {
			return err
		}
		if at := time.Now().Add(-r.Done); d.facts.Began.IsZero() || at.Before(d.facts.Began) {
			d.facts.Began = at
		}
		d.tally.Add(r)
		d.shots = append(d.shots, judge.ShotOf(r))
		if line := live.add(r); line != "" {
			d.tick(Progress{Phase: "attack", Requests: d.tally.N, Planned: d.m.Plan.Requests, Live: line})
		}
	}
	return nil
}

// watch follows what the API says of the split and of the gateways.
func (d *drillRun) watch(ctx context.Context) *mesh.Watcher {
	clients := map[string]mesh.Client{law.RoleClient: d.cfg.Local}
	refs := d.m.Before.Refs()
	for _, g := range d.m.Before.Gateways {
		for _, remote := range d.cfg.Remotes {
			if g.Context != "" && remote.Client.Context == g.Context {
				clients[g.Cluster] = remote.Client
				refs = append(refs, law.Ref{
					Cluster: g.Cluster, Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices", Namespace: g.Namespace, Name: g.Name,
					What: "endpoints of the gateway of cluster " + g.Cluster,
				})
			}
		}
	}
	return mesh.Watch(ctx, clients, refs)
}

// collect takes the watcher's events until it is closed. Weights are read anew where an object that says them changed.
func (d *drillRun) collect(ctx context.Context, w *mesh.Watcher) {
	for e := range w.Events() {
		f := record.DrillFact{At: e.At.UTC(), Kind: record.FactObject, Text: untrusted.Safe(e.String())}
		switch {
		case e.Ref.Law:
			f.Kind = record.FactWeights
			f.Weights = d.weightsNow(ctx)
		case strings.HasPrefix(e.Ref.Resource, "endpoint"):
			f.Kind = record.FactEndpoints
		}
		d.note(f)
	}
}

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
			return
		}
	}
}

// takeMarks reads the marks that are new. A line that is not whole yet is read next time.
func (d *drillRun) takeMarks() {
	b, err := d.folder.Marks()
	if err != nil || len(b) <= d.marked {
		return
	}
	for line := range bytes.Lines(b[d.marked:]) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return
		}
		d.marked += len(line)
		var m record.Mark
		if json.Unmarshal(line, &m) == nil && m.Text != "" {
			d.note(record.DrillFact{At: m.At, Kind: record.FactMark, Text: untrusted.Safe(m.Text)})
		}
	}
}

func (d *drillRun) conclude() report.Report {
	d.m.Ended = time.Now().UTC()
	return judge.Conclude(d.m, judge.Evidence{Totals: d.totals, Tally: d.tally, Shots: d.shots})
}

// liveView says once a second what the last one was like.
type liveView struct {
	names  []string
	second int
	counts []int64
	sent   int64
	lost   int64
	all    int64
}

func newLiveView(w analyze.Weights) *liveView {
	return &liveView{names: record.BackendNames(w), counts: make([]int64, len(w))}
}

// add takes a result and gives a line when a second is over.
func (l *liveView) add(r attack.Result) string {
	line := ""
	if s := int(r.Sent / time.Second); s > l.second {
		line = l.String()
		l.second, l.sent, l.lost = s, 0, 0
		clear(l.counts)
	}
	l.sent++
	if record.Failure(r) != "" {
		l.lost++
		l.all++
	} else if b := int(r.Backend); b >= 0 && b < len(l.counts) {
		l.counts[b]++
	}
	return line
}

func (l *liveView) String() string {
	text := fmt.Sprintf("%4ds %3d sent %3d lost (%d in all)", l.second, l.sent, l.lost, l.all)
	for i, n := range l.counts {
		text += fmt.Sprintf("  %s %d", untrusted.Safe(l.names[i]), n)
	}
	return text
}
