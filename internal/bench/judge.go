package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/curl"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// looks is how often the cluster is asked after the burst whether anything moved, before that is given up.
const (
	looks     = 3
	lookPause = time.Second
	lookLimit = 20 * time.Second
)

// lookAgain reads the cluster after the burst. That nothing moved must be seen, not assumed.
func (r *run) lookAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookLimit)
	defer cancel()
	q := r.cfg.Query.Pinned(*r.m.Before)
	var err error
	for range looks {
		var snap law.Snapshot
		if snap, err = mesh.Discover(ctx, r.cfg.Local, r.cfg.Remotes, q); err == nil {
			r.m.After = &snap
			return
		}
		var e *mesh.Error
		if errors.As(err, &e) && e.Kind != mesh.KindUnreachable && e.Kind != mesh.KindServer {
			break
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
		}
	}
	r.m.Failures = append(r.m.Failures, "whether the split stayed the same during the run could not be seen: "+untrusted.Safe(err.Error()))
}

// finish looks at the cluster again, judges, and writes everything. The report's outcome is right also where the folder
// cannot be finished; that is then a warning in it.
func (r *run) finish(ctx context.Context) (report.Report, error) {
	r.progress("judge", "judging")
	measured := r.tally != nil && r.tally.n > 0
	if measured {
		r.lookAgain(ctx)
	}
	rep := r.conclude()
	rep.Baseline = r.baseline(&rep)
	status := store.Complete
	switch {
	case !measured:
		status = store.Aborted
	case !rep.Run.Complete:
		status = store.Partial
	}
	if err := r.write(rep); err != nil {
		rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the run's folder is not whole: %v", err)))
		status = store.Partial
	}
	if err := r.folder.Close(status); err != nil {
		rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the run's folder could not be closed: %v", err)))
	}
	return rep, nil
}

func (r *run) write(rep report.Report) error {
	var verdict, markdown, text, page bytes.Buffer
	err := errors.Join(report.WriteJSON(&verdict, rep), report.WriteMarkdown(&markdown, rep),
		report.WriteText(&text, rep, report.TextOptions{}), report.WriteHTML(&page, rep))
	if err != nil {
		return err
	}
	summary, err := report.WriteSummary(report.Summarize(rep))
	if err != nil {
		return err
	}
	if r.m.After != nil {
		err = r.keep("split.after.yaml", r.m.After.Split.YAML, r.folder)
	}
	return errors.Join(err, r.writeManifest(r.folder), r.keep(LogFile, r.log.bytes(), r.folder),
		r.folder.WriteFile(VerdictFile, verdict.Bytes()), r.folder.WriteFile(SummaryFile, summary),
		r.folder.WriteFile(MarkdownFile, markdown.Bytes()), r.folder.WriteFile(TextFile, text.Bytes()),
		r.folder.WriteFile(HTMLFile, page.Bytes()))
}

// conclude computes the report of the live run.
func (r *run) conclude() report.Report {
	r.m.Ended = time.Now().UTC()
	return conclude(r.m, r.totals, r.tally)
}

// conclude is where a live run and a stored one become the same: manifest, totals and tally in, report out.
func conclude(m Manifest, totals wire.Totals, t *tally) report.Report {
	in := report.Input{
		Weights: m.Weights, Options: m.Options, Checks: m.Checks, Before: m.Before, After: m.After,
		Transport: m.Agent.Transport, Agent: m.Agent.How, Signatures: m.Signatures,
		Interrupted: m.Interrupted, Invalid: append([]string(nil), m.Failures...), Warnings: append([]string(nil), m.Warnings...),
		Remedies: append([]string(nil), m.Remedies...),
		Run: &report.Run{
			ID: m.ID, Dir: m.Dir, Started: m.Started, Ended: m.Ended, URL: m.Plan.URL, Command: m.Command, Seed: m.Options.Seed,
			Tool: m.Tool, Simulated: m.Simulated, Labels: m.Labels, Complete: m.complete(totals),
		},
		Specimens: totals.Specimens,
	}
	in.Steps = stepsOf(m)
	if m.Before != nil {
		in.Warnings = append(in.Warnings, m.Before.Notes...)
	}
	in.Counts = analyze.Counts{N: make([]int64, len(m.Weights))}
	if t != nil && t.n > 0 {
		t.sorted()
		in.Counts = t.counts
		if totals.Reason != "" {
			in.Counts = exact(totals, len(m.Weights))
		}
		t.useTotals(totals)
		in.Load = loadFacts(m.Plan, totals, t)
		in.Load.Marks = marksOf(m, totals, in.Load.Duration)
		in.GatewayCost = gatewayCost(m, t, totals)
		in.Pods = podsOf(m, t)
		if curl.Drives(totals.Engine) {
			in.Load.OnTime = false
			in.Warnings = append(in.Warnings, "the requests were sent by "+totals.Engine+" of the image, one after the other, because no agent "+
				"could be put there or --via says so: counts are right, times are no facts about the mesh")
		}
		in.Warnings = append(in.Warnings, segmentsText(m, t)...)
		judge(&in, m, t, totals)
	}
	return report.Build(in)
}

// judge makes the one decision and adds what forbids it.
func judge(in *report.Input, m Manifest, t *tally, totals wire.Totals) {
	var d analyze.Decision
	var err error
	seen := testify(in, m, t, totals)
	counted := seen.ordered
	switch {
	case m.Sequential != nil:
		d, counted, err = sequential(in, m, t)
	case seen.unit != witness.UnitRequest:
		d, err = analyze.Judge(m.Weights, in.Counts, m.Options)
	default:
		d, counted, err = judgeLaw(in, m, t)
	}
	if err != nil {
		in.Invalid = append(in.Invalid, "the counts cannot be judged: "+untrusted.Safe(err.Error()))
		return
	}
	seen.say(&d)
	d = diagnose(in, d, m.Weights, counted, totals.Dropped)
	in.Decision = &d
	if m.After == nil && m.Before != nil && len(m.Failures) == 0 && m.Interrupted == "" {
		in.Invalid = append(in.Invalid, "whether the split stayed the same during the run was not seen: splitbench was killed before it could look again")
	}
	if m.After != nil {
		changes := law.Changes(*m.Before, *m.After)
		in.Segments = segments(m, t, totals)
		if text := propagation(m, t); text != "" && len(changes) > 0 && len(in.Segments) == 0 {
			in.Warnings = append(in.Warnings, text)
		}
		for _, c := range changes {
			in.Invalid = append(in.Invalid, "changed during the run: "+untrusted.Safe(c.String()))
		}
		in.Invalid = append(in.Invalid, moved(m, changes, totals)...)
	}
	if n := unknown(m, totals, t); n > 0 && d.Outcome == analyze.Pass {
		in.Invalid = append(in.Invalid, unknownReason(n))
	}
	if why := overloaded(in.Load, totals); why != "" {
		in.Invalid = append(in.Invalid, why)
		in.Remedies = append(in.Remedies, "lower --rate, or raise --connections if answers are slow")
	}
}

// unknown counts complete answers that no rule named. Where samples were dropped only the agent's totals have them all.
func unknown(m Manifest, totals wire.Totals, t *tally) int64 {
	if totals.Dropped == 0 {
		return t.unknown
	}
	var n int64
	for _, e := range totals.Tally {
		if (e.Backend < 0 || int(e.Backend) >= len(m.Weights)) && e.Status != 0 && e.Status < 500 {
			n += int64(e.N)
		}
	}
	return n
}

// unknownReason says why there is no pass with so many complete answers that no rule named.
func unknownReason(n int64) string {
	return fmt.Sprintf("%d complete answers came from no known backend", n)
}

// leastRate is the share of the planned rate below which a run did not send what its plan says.
const leastRate = 0.5

// leastDelay is how many seconds a run must have lasted longer than planned besides: a short one is not overloaded by one pause.
const leastDelay = 0.25

// overloaded says why the generator did not carry out the plan, "" where it did.
func overloaded(l *report.LoadFacts, totals wire.Totals) string {
	if curl.Drives(totals.Engine) { // as fast as it goes
		return ""
	}
	if l.TargetRate <= 0 || l.Duration <= 0 || totals.Requests < 2 || totals.Reason != wire.ReasonDone {
		return ""
	}
	planned := float64(totals.Requests-1) / l.TargetRate
	if rate := float64(totals.Requests-1) / l.Duration.Seconds(); rate < leastRate*l.TargetRate && l.Duration.Seconds() > planned+leastDelay {
		return fmt.Sprintf("the generator was overloaded: it sent %.3g requests per second, %.3g were planned", rate, l.TargetRate)
	}
	return ""
}

func loadFacts(p attack.Plan, totals wire.Totals, t *tally) *report.LoadFacts {
	reason := totals.Reason
	if reason == "" {
		reason = "cut"
	}
	return &report.LoadFacts{
		Backends: t.backends, Unattributed: t.rest,
		WarmUp: int64(totals.WarmUp), Dropped: int64(totals.Dropped), TargetRate: p.Rate.PerSecond(),
		Duration: t.last - t.first, SendLags: t.lags, CPU: time.Duration(totals.CPUUs) * time.Microsecond,
		Connections: totals.Connections, Engine: totals.Engine, EndReason: reason, OnTime: t.onTime(totals),
		OverTime: t.windows.overTime(t.n),
	}
}

// Analyze computes the report of a stored run again, from its manifest and its samples. override, when not nil, changes
// the options of the judgement (tolerance, gate, alpha, power); the samples stay as they are.
func Analyze(f store.Folder, override func(*analyze.Options)) (report.Report, error) {
	m, err := readManifest(f)
	if err != nil {
		return report.Report{}, err
	}
	if override != nil && m.Kind != report.KindSplit {
		override(&m.Options)
	}
	switch m.Kind {
	case report.KindSplit:
	case report.KindLatency:
		return analyzeLatency(f, m), nil
	case report.KindDrill:
		return analyzeDrill(f, m), nil
	default:
		return report.Report{}, usagef("analyze run %s: it is a %s run, which has no split to judge; see its report", f.ID, m.Kind)
	}
	if override != nil {
		override(&m.Options)
	}
	if m.Sequential != nil && m.Options.Gate != analyze.GateTolerance {
		return report.Report{}, usagef("--gate %s: run %s looked early, its rule is the tolerance", m.Options.Gate, f.ID)
	}
	var totals wire.Totals
	t := newTally(len(m.Weights))
	t.pods = m.pods()
	for result, err := range samples(f, m, &totals) {
		if err != nil {
			m.Failures = append(m.Failures, missingEnd(m, err)...)
			break
		}
		t.add(result)
	}
	return conclude(m, totals, t), nil
}

// missingEnd is why a stored run that breaks off is no verdict, where the manifest does not say so itself.
func missingEnd(m Manifest, err error) []string {
	if len(m.Failures) > 0 || m.Interrupted != "" {
		return nil
	}
	if errors.Is(err, agent.ErrNoEnd) {
		return []string{"the stored run has no end: splitbench was killed or its disk was full"}
	}
	return []string{"the stored samples are damaged: " + untrusted.Safe(err.Error())}
}
