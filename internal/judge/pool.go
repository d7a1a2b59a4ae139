package judge

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// AnalyzeRuns judges independent runs of one split together: one decision over the sum of their counts, by the options
// of the first run as override changes them. The runs must be of the same split with the same weights, and each only
// once. One that is invalid by itself makes the whole invalid. Where the runs differ from one another there is no
// single split to judge. Times are not pooled: they belong to their runs.
func AnalyzeRuns(folders []store.Folder, override func(*analyze.Options)) (report.Report, error) {
	if len(folders) == 1 {
		return Analyze(folders[0], override)
	}
	var p pool
	for _, f := range folders {
		if err := p.add(f, override); err != nil {
			return report.Report{}, err
		}
	}
	if len(p.runs) == 0 {
		return report.Report{}, errors.New("analyze: no run given")
	}
	return p.report(), nil
}

// pool is what several runs say together.
type pool struct {
	options analyze.Options
	weights analyze.Weights
	runs    []poolRun // as given
}

// poolRun is one run of a pool.
type poolRun struct {
	id     string
	folder store.Folder
	m      record.Manifest
	alone  report.Report // judged by itself
	place  []int         // of the run's backends in the pool
	counts analyze.Counts
}

func (p *pool) add(f store.Folder, override func(*analyze.Options)) error {
	m, err := record.Read(f)
	if err != nil {
		return err
	}
	if err := m.Weights.Validate(); err != nil {
		return fmt.Errorf("read %s of run %s: %w", record.ManifestFile, f.ID, err)
	}
	run := poolRun{id: cmp.Or(m.ID, f.ID), folder: f, m: m}
	if m.Before == nil {
		return fmt.Errorf("read %s of run %s: it does not say which split was measured", record.ManifestFile, f.ID)
	}
	if len(p.runs) == 0 {
		p.options, p.weights = m.Options, m.Weights
		if override != nil {
			override(&p.options)
		}
	}
	for _, have := range p.runs {
		if have.id == run.id {
			return fmt.Errorf("run %s is given twice: only independent runs can be judged together", run.id)
		}
	}
	if len(p.runs) > 0 {
		if err := sameSplit(p.runs[0], run); err != nil {
			return err
		}
	}
	if run.alone, err = Analyze(f, func(o *analyze.Options) { *o = p.options }); err != nil {
		return err
	}
	run.count(p.weights)
	p.runs = append(p.runs, run)
	return nil
}

// count takes the counts from the run's own report: of a run that may stop early they are those of its last look.
func (r *poolRun) count(w analyze.Weights) {
	r.counts = analyze.Counts{N: make([]int64, len(w)), Unattributed: r.alone.Unattributed.Requests}
	for i, b := range r.alone.Backends {
		at := slices.IndexFunc(w, func(x analyze.Weight) bool { return x.Backend == r.m.Weights[i].Backend })
		r.place = append(r.place, at)
		r.counts.N[at] = b.Observed
	}
}

// sameSplit refuses runs whose requests do not belong together.
func sameSplit(a, b poolRun) error {
	const alone = "; only runs of one split with the same weights can be judged together: analyze each by itself"
	if x, y := splitText(a.m), splitText(b.m); x != y {
		return fmt.Errorf("run %s is of %s and run %s of %s"+alone, a.id, x, b.id, y)
	}
	if !record.SameShares(a.m.Weights, b.m.Weights) {
		return fmt.Errorf("run %s has the weights %s and run %s %s"+alone, a.id, record.WeightsText(a.m.Weights), b.id,
			record.WeightsText(b.m.Weights))
	}
	return nil
}

// splitText names the split of a run. Its uid does not count: a split that was deleted and made again says the same.
func splitText(m record.Manifest) string {
	text := m.Before.Split.String()
	if m.Simulated != "" {
		text += " (simulated)"
	}
	return text
}

func (p *pool) report() report.Report {
	first := p.runs[0]
	doc := newDraft(record.Manifest{
		Weights: p.weights, Options: p.options, Before: first.m.Before, After: first.m.After, Agent: first.m.Agent,
		Signatures: first.m.Signatures,
	}, true)
	doc.Run = p.run()
	// From here on in the order in which they ran, so that what is said of time is true.
	slices.SortStableFunc(p.runs, func(a, b poolRun) int { return a.m.Started.Compare(b.m.Started) })
	unknown := int64(0)
	for _, r := range p.runs {
		for i, n := range r.counts.N {
			doc.counts.N[i] += n
		}
		doc.counts.Unattributed += r.counts.Unattributed
		unknown += completeOf(r.alone.Unattributed)
		r.qualify(&doc)
	}
	doc.Warnings = append(doc.Warnings, p.warnings()...)
	d, err := p.judge(&doc)
	if err != nil {
		doc.refuse(report.SayNotJudged, untrusted.Error(err))
		return doc.finish()
	}
	order := p.inOrder()
	d = diagnose(&doc, d, p.weights, order, 0)
	for _, r := range p.runs {
		doc.Diagnostics = append(doc.Diagnostics, r.downgrades(order.ordered())...)
	}
	doc.decision = &d
	if unknown > 0 && d.Outcome == analyze.Pass {
		doc.refuse(report.SayUnknownAnswers, unknown)
	}
	return doc.finish()
}

// run is when and of what the runs were, without a name: none of theirs is that of the whole.
func (p *pool) run() *report.Run {
	first := p.runs[0].m
	out := &report.Run{
		Started: first.Started, Ended: first.Ended, URL: first.Plan.URL, Seed: p.options.Seed, Tool: first.Tool,
		Simulated: first.Simulated, Complete: true,
	}
	for _, r := range p.runs {
		if r.m.Started.Before(out.Started) {
			out.Started = r.m.Started
		}
		if r.m.Ended.After(out.Ended) {
			out.Ended = r.m.Ended
		}
		if r.m.Plan.URL != out.URL {
			out.URL = ""
		}
		out.Complete = out.Complete && r.alone.Run != nil && r.alone.Run.Complete
	}
	return out
}

// qualify takes over what one run by itself has against a verdict.
func (r *poolRun) qualify(doc *draft) {
	if r.alone.Verdict.Outcome == report.Invalid {
		for _, why := range r.alone.Verdict.Reasons {
			doc.refuse(report.SayRunInvalid, r.id, why)
		}
	}
	for _, c := range r.m.Checks {
		seen := func(x preflight.Result) bool { return x.ID == c.ID && x.Status == c.Status && x.Seen == c.Seen }
		if !slices.ContainsFunc(doc.Checks, seen) {
			doc.Checks = append(doc.Checks, c)
		}
	}
	for _, s := range r.alone.Unattributed.Specimens {
		if have := &doc.Unattributed.Specimens; len(*have) < attack.MaxSpecimens {
			*have = append(*have, s)
		}
	}
}

// downgrades are the checks that took the run's own verdict away and are not made anew of all runs together: what its
// proxy drew, and all where the order of requests is not known.
func (r *poolRun) downgrades(checkedInOrder bool) (out []report.Diagnostic) {
	for _, line := range r.alone.Diagnostics {
		if downgrades(line) && (line.Name == nameWitness || !checkedInOrder) {
			line.Text = fmt.Sprintf(report.SayOfRun, r.id, line.Text)
			out = append(out, line)
		}
	}
	return out
}

// warnings are those of the runs, once each, and what is not the same in all of them.
func (p *pool) warnings() []string {
	first := p.runs[0]
	var out []string
	said := map[string]int{}
	for _, r := range p.runs {
		for _, w := range r.alone.Warnings {
			said[w]++
		}
	}
	otherPod, otherObject := false, false
	for _, r := range p.runs {
		for _, w := range r.alone.Warnings {
			switch {
			case said[w] < len(p.runs):
				out = append(out, fmt.Sprintf(report.SayOfRun, r.id, w))
			case r.id == first.id:
				out = append(out, w)
			}
		}
		otherPod = otherPod || r.m.Before.Source.Name != first.m.Before.Source.Name
		otherObject = otherObject || r.m.Before.Split.UID != first.m.Before.Split.UID
	}
	if otherPod {
		out = append(out, report.SayOtherPods)
	}
	if otherObject {
		out = append(out, report.SayOtherObject)
	}
	return out
}

func (p *pool) ids() (ids []string) {
	for _, r := range p.runs {
		ids = append(ids, r.id)
	}
	return ids
}
