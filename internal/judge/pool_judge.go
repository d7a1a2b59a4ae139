package judge

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// judge makes the one decision, and says how the runs compare and what they show together.
func (p *pool) judge(doc *draft) (analyze.Decision, error) {
	d, err := analyze.Judge(p.weights, doc.counts, p.options)
	if err != nil {
		return d, err
	}
	if p.sequential() {
		if err := p.byLooks(doc, &d); err != nil {
			return d, err
		}
		doc.warn(report.SayLookedEarly)
	}
	if d, err = p.compare(doc, d); err != nil {
		return d, err
	}
	combined, err := p.combine()
	if err != nil {
		return d, err
	}
	doc.Diagnostics = append(doc.Diagnostics, combined)
	p.leaked(doc, &d)
	return d, nil
}

// leaked makes a failure of a weight-0 backend's answer in any run, also of one after the look that decided that run,
// which is not among the counts.
func (p *pool) leaked(doc *draft, d *analyze.Decision) {
	for _, r := range p.runs {
		i := slices.Index(r.alone.Verdict.ReasonCodes, analyze.CodeLeak)
		if i < 0 || i >= len(r.alone.Verdict.Reasons) || d.Outcome == analyze.Fail {
			continue
		}
		d.Outcome = analyze.Fail
		doc.onlyBecause(d, analyze.CodeLeak, report.SayOfRun, r.id, r.alone.Verdict.Reasons[i])
	}
}

// byLooks decides as if each run were one look of a sequential run: its intervals do not care when one stops.
func (p *pool) byLooks(doc *draft, d *analyze.Decision) error {
	l, err := NewLooker(p.weights, p.options, 1)
	if err != nil {
		return err
	}
	for _, r := range p.runs {
		copy(l.batch, r.counts.N)
		l.unattributed += r.counts.Unattributed
		l.next += uint64(r.counts.Unattributed)
		for _, n := range r.counts.N {
			l.next += uint64(n)
		}
		if err := l.look(); err != nil {
			return err
		}
	}
	l.apply(doc, d, l.next)
	if l.outcome == analyze.Inconclusive && !d.Unattributed.Decides {
		doc.onlyBecause(d, codeSequential, report.SayRunsUndecided, len(p.runs))
	}
	return nil
}

func (p *pool) sequential() bool {
	return slices.ContainsFunc(p.runs, func(r poolRun) bool { return r.m.Sequential != nil })
}

// unlikeLevel is how small a p must be for runs, or source pods, to be called different: as that of other diagnostics.
const unlikeLevel = 0.001

// compare asks whether the runs are draws from one split. They are parts of time, and judged as such.
func (p *pool) compare(doc *draft, d analyze.Decision) (analyze.Decision, error) {
	table := make([][]int64, len(p.runs))
	for i, r := range p.runs {
		table[i] = r.counts.N
	}
	test, least, err := analyze.Homogeneity(table, p.weights)
	if err != nil || test.DF == 0 {
		return d, err
	}
	pv := test.Asymptotic
	item := analyze.Diagnostic{Name: analyze.DiagnosticRuns, OK: true, P: pv, AdjustedP: pv, Impact: analyze.Keep}
	if pv.P <= unlikeLevel && least >= 1 { // with less expected the p-value means nothing
		item.OK, item.Impact = false, analyze.Downgrade
		item.Backend, item.Least, item.Most = p.furthest()
	}
	after, err := analyze.Conclude(d, p.weights, doc.counts, analyze.Diagnostics{
		Items:        []analyze.Diagnostic{item},
		DesignEffect: 1,
	})
	if err != nil {
		return d, err
	}
	line := diagnostic(item, &after, nil)
	switch {
	case item.OK:
		line.Text = report.RunsAlike(p.ids())
	case after.Outcome == analyze.Inconclusive:
		// Also where the counts alone could not tell: how many requests more would is not the question then.
		line.Effect = report.EffectDowngrade
		if d.Outcome == analyze.Inconclusive {
			line.Text += report.SayNoSingleSplit
		}
		none := analyze.Needed{Why: analyze.NeedAlikeRuns}
		after.NeededIfOnTarget, after.NeededIfAsObserved = none, none
		after.Reasons = slices.DeleteFunc(slices.Clone(after.Reasons), func(r analyze.Reason) bool {
			return r.Code == analyze.CodeTooFew || r.Code == analyze.CodeEdge
		})
	}
	doc.Diagnostics = append(doc.Diagnostics, line)
	return after, nil
}

// furthest are the two runs that are furthest apart, and the backend of which they are.
func (p *pool) furthest() (backend string, least, most analyze.Part) {
	widest := -1.0
	for i, w := range p.weights {
		var parts []analyze.Part
		for _, r := range p.runs {
			if n := attributed(r.counts); n > 0 {
				parts = append(parts, analyze.Part{Name: r.id, Share: float64(r.counts.N[i]) / float64(n)})
			}
		}
		if len(parts) == 0 {
			continue
		}
		byShare := func(a, b analyze.Part) int { return cmp.Compare(a.Share, b.Share) }
		low, high := slices.MinFunc(parts, byShare), slices.MaxFunc(parts, byShare)
		if apart := high.Share - low.Share; apart > widest {
			backend, least, most, widest = w.Backend, low, high, apart
		}
	}
	return backend, least, most
}

// combine multiplies the evidence of the runs against exactly the declared weights. It may be added to for any reason,
// which the poolRun tests do not allow; and it says nothing of tolerances, so it only qualifies.
func (p *pool) combine() (report.Diagnostic, error) {
	lnE := make([]float64, len(p.runs))
	for i, r := range p.runs {
		s, err := analyze.NewSequential(p.weights, p.options)
		if err != nil {
			return report.Diagnostic{}, err
		}
		look, err := s.Update(r.counts.N)
		if err != nil {
			return report.Diagnostic{}, err
		}
		lnE[i] = look.LnE
	}
	sum := analyze.CombineE(lnE...)
	pv := math.Min(1, math.Exp(-sum))
	out := report.Diagnostic{Name: report.NameCombined, P: &pv, OK: pv >= p.options.Alpha, Effect: report.EffectKeep}
	if !out.OK {
		out.Effect = report.EffectQualify
	}
	out.Text = report.CombinedEvidence(len(p.runs), sum, out.OK, p.sequential())
	return out, nil
}

// maxPooled is how many requests' order is kept of all runs together.
const maxPooled = 4 * maxObservations

// inOrder strings the requests of the runs together, one run after the other, so that they can be checked as those of
// one. Connections stay those of their run. Where the order of one run was not kept whole, or there are too many, there
// is none.
func (p *pool) inOrder() *Tally {
	all := &Tally{}
	var seq uint64
	var start time.Duration
	conns := 0
	kept := true
	for _, r := range p.runs {
		t, whole := r.read()
		all.N += t.N
		if kept = kept && whole && len(all.observations)+len(t.observations) <= maxPooled; !kept {
			all.observations = nil
			continue
		}
		nextSeq, end, nextConns := seq, start, conns
		for _, o := range t.observations {
			o.Seq += seq
			o.Planned, o.Sent, o.Done = o.Planned+start, o.Sent+start, o.Done+start
			nextSeq, end = max(nextSeq, o.Seq+1), max(end, o.Done)
			if o.Conn >= 0 {
				o.Conn += conns
				nextConns = max(nextConns, o.Conn+1)
			}
			o.Backend = r.placeOf(o.Backend)
			all.observations = append(all.observations, o)
		}
		seq, start, conns = nextSeq, end, nextConns
	}
	return all
}

func (r *poolRun) placeOf(backend int) int {
	if backend < 0 || backend >= len(r.place) {
		return attack.Unattributed
	}
	return r.place[backend]
}

// read reads the run's samples again, up to its last look. whole says that the order of all of them is known.
func (r *poolRun) read() (t *Tally, whole bool) {
	t = NewTally(len(r.m.Weights))
	limit := uint64(math.MaxUint64)
	if q := r.alone.Sequential; q != nil {
		limit = uint64(q.Requests)
	}
	var totals wire.Totals
	for result, err := range record.Samples(r.folder, &totals) {
		if err != nil {
			return t, false // such a run is invalid by itself
		}
		if result.Seq < limit {
			t.Add(result)
		}
	}
	t.sorted()
	return t, t.ordered() && totals.Dropped == 0
}
