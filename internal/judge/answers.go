package judge

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/export"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/wire"
)

// AnalyzeAnswers judges the results of another load test after the fact: the rules say which backend gave each answer,
// and from there on it is as in a run of our own. What a file of results cannot say, the report does not claim: that
// the split stayed the same, that the client was in the mesh, that the generator was on time.
//
// Nothing is judged where the answers do not end well: their error is returned as it is, as one that names the rules or
// the weights is.
func AnalyzeAnswers(answers iter.Seq2[export.Answer, error], w analyze.Weights, rules []ClassifyRule,
	o analyze.Options,
) (report.Report, error) {
	if len(rules) == 0 {
		return report.Report{}, errors.New("--classify: a file of results does not say which backend answered; say how " +
			"the answers of each look, for example --classify 'BACKEND=json:/FIELD=VALUE'")
	}
	numbered, err := UserRules(rules, w, nil)
	if err != nil {
		return report.Report{}, err
	}
	classifier, err := attack.NewClassifier(numbered)
	if err != nil {
		return report.Report{}, err
	}
	f := foreign{tally: NewTally(len(w)), classifier: classifier}
	f.tally.windows = windows{} // see overTime
	for a, err := range answers {
		if err != nil {
			return report.Report{}, err
		}
		f.add(a)
	}
	return f.report(w, rules, o), nil
}

// foreign counts the answers of another load test.
type foreign struct {
	tally      *Tally
	classifier *attack.Classifier
	specimens  []report.Specimen
	readable   bool // some answer has a header or a body
	answered   bool // some request has an answer
	run        report.Run
	urls       int // different ones in a row
	twice      int // results that are those before them again
}

func (f *foreign) add(a export.Answer) {
	r := a.Result
	if r.Err == attack.OK {
		r.Backend = f.classifier.Classify(a.Header, a.Body)
		f.answered = true
		f.readable = f.readable || len(a.Header) > 0 || len(a.Body) > 0
		if r.Backend == attack.Unattributed && len(f.specimens) < attack.MaxSpecimens {
			f.specimens = append(f.specimens, report.Specimen{
				Seq: r.Seq, Status: r.Status, Body: string(a.Body[:min(len(a.Body), attack.MaxSpecimenBody)]),
			})
		}
	}
	if f.tally.N == 0 || a.At.Before(f.run.Started) {
		f.run.Started = a.At
	}
	if end := a.At.Add(r.ServiceTime()); end.After(f.run.Ended) {
		f.run.Ended = end
	}
	if f.run.URL != a.URL {
		f.run.URL = a.URL
		f.urls++
	}
	f.tally.Add(r)
}

// inOrder numbers the requests by the instants at which they were sent. The numbers in a file begin again with each
// attack in it.
func (f *foreign) inOrder() {
	t := f.tally
	t.sorted()
	slices.SortStableFunc(t.observations, func(a, b analyze.Observation) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), cmp.Compare(a.Seq, b.Seq))
	})
	var before analyze.Observation
	for i := range t.observations {
		o := &t.observations[i]
		if i > 0 && *o == before {
			f.twice++
		}
		before = *o
		o.Seq, o.Planned, o.Sent, o.Done = uint64(i), o.Planned-t.first, o.Sent-t.first, o.Done-t.first
	}
}

// overTime counts windows once the first sending is known: instants in a file count from whenever the other tool liked.
// Nil where the order of all requests was not kept.
func (f *foreign) overTime(weights analyze.Weights) *report.OverTime {
	if !f.tally.ordered() {
		return nil
	}
	w := newWindows(len(f.tally.counts.N))
	for _, o := range f.tally.observations {
		w.add(attack.Result{Sent: o.Sent, Backend: int16(o.Backend), Status: statusOf(o)})
	}
	return w.overTime(f.tally.N, weights)
}

func (f *foreign) report(w analyze.Weights, rules []ClassifyRule, o analyze.Options) report.Report {
	f.inOrder()
	t := f.tally
	if f.urls > 1 {
		f.run.URL = ""
	}
	f.run.Seed, f.run.Complete = o.Seed, true
	m := record.Manifest{Weights: w, Options: o, Signatures: RuleTexts(rules)}
	doc := newDraft(m, true)
	doc.counts, doc.Run, doc.Unattributed.Specimens = t.counts, &f.run, f.specimens
	// SendLags stay unknown, and OnTime would be said to be false only if it were known to be.
	doc.answers, doc.rest = t.backends, t.rest
	doc.Load = &report.Load{
		DurationSeconds: (t.last - t.first).Seconds(), Engine: "vegeta", EndReason: "done", OnTime: true,
	}
	doc.Series = &report.Series{OverTime: f.overTime(w)}
	doc.warn(report.SayFileTimes)
	switch {
	case f.answered && !f.readable:
		doc.Unattributed.Specimens = nil // they would all be empty
		doc.refuse(report.SayNoTraces, t.N)
		doc.remedy(report.RemedyBodies)
	case f.twice > 0:
		doc.refuse(report.SayTwice, f.twice, t.N)
		doc.remedy(report.RemedyTwice)
	case t.unknown > 0:
		doc.remedy(report.RemedyRules)
	}
	judge(&doc, m, t, wire.Totals{})
	return doc.finish()
}

// ClassifyRule is one --classify of the user: answers that match are the backend's.
type ClassifyRule struct {
	Backend string
	Rule    attack.Rule // its Backend index is set when the backends are known
	Text    string      // as given
}

// RuleTexts are the rules of each backend as reports show them.
func RuleTexts(rules []ClassifyRule) map[string]string {
	out := map[string]string{}
	for _, r := range rules {
		text := strings.TrimPrefix(r.Text, r.Backend+"=") + " (--classify)"
		if have := out[r.Backend]; have != "" {
			text = have + ", or " + text
		}
		out[r.Backend] = text
	}
	return out
}

// ParseClassify reads BACKEND=KIND:KEY=VALUE, or BACKEND=KIND:KEY where the kind has no values.
func ParseClassify(s string) (ClassifyRule, error) {
	const form = "want BACKEND=json:POINTER=VALUE, BACKEND=proto:/NUMBER=VALUE, BACKEND=header:NAME=VALUE, " +
		"BACKEND=regexp:EXPRESSION or BACKEND=literal:TEXT"
	backend, rest, ok := strings.Cut(s, "=")
	kind, key, ok2 := strings.Cut(rest, ":")
	if !ok || !ok2 || backend == "" || key == "" {
		return ClassifyRule{}, fmt.Errorf("--classify %q: %s", s, form)
	}
	rule := attack.Rule{Kind: attack.RuleKind(kind), Key: key}
	if rule.Kind != attack.RuleRegexp && rule.Kind != attack.RuleLiteral {
		k, v, ok := strings.Cut(key, "=")
		if !ok || k == "" || v == "" {
			return ClassifyRule{}, fmt.Errorf("--classify %q: %s", s, form)
		}
		rule.Key, rule.Values = k, []string{v}
	}
	if _, err := attack.NewClassifier([]attack.Rule{rule}); err != nil {
		return ClassifyRule{}, fmt.Errorf("--classify %q: %w", s, err)
	}
	return ClassifyRule{Backend: backend, Rule: rule, Text: s}, nil
}

// UserRules numbers the user's rules. Every backend must have one, but for those that are told by their status: an
// answer that no rule names is unattributed.
func UserRules(rules []ClassifyRule, w analyze.Weights, told record.ProxyAnswers) ([]attack.Rule, error) {
	var out []attack.Rule
	covered := make([]bool, len(w))
	for _, i := range told {
		if i >= 0 {
			covered[i] = true
		}
	}
	for _, r := range rules {
		i := slices.IndexFunc(w, func(x analyze.Weight) bool { return x.Backend == r.Backend })
		if i < 0 {
			return nil, fmt.Errorf("--classify %q: the split has no backend %q; it has %s", r.Text, r.Backend,
				strings.Join(record.BackendNames(w), ", "))
		}
		covered[i] = true
		rule := r.Rule
		rule.Backend = i
		out = append(out, rule)
	}
	for i, ok := range covered {
		if !ok && len(rules) > 0 && w[i].W > 0 {
			return nil, fmt.Errorf("--classify: no rule for backend %q: name how its answers look too", w[i].Backend)
		}
	}
	return out, nil
}

// completeOf counts the complete answers among those of no known backend; a server's errors often are a proxy's.
func completeOf(u report.Unattributed) (n int64) {
	for status, k := range u.Statuses {
		if len(status) == 3 && status < "500" {
			n += k
		}
	}
	return n
}

// AnalyzeReport judges a report again by its own counts, as override changes its options: what `analyze` does with a
// page or a JSON document that was sent by mail, without the run's folder. Verdict and goodness of fit are computed
// anew; times and diagnostics need the samples and are carried. Errors say that the report cannot be judged.
func AnalyzeReport(r report.Report, override func(*analyze.Options)) (report.Report, error) {
	if r.Kind != report.Kind {
		return report.Report{}, record.Usagef("analyze: this %s is judged from its samples, which the document does not "+
			"hold: name its run instead", r.Kind)
	}
	w, c, o, err := judgement(r)
	if override != nil {
		before := o
		override(&o)
		if o.Tolerance != before.Tolerance && len(w) > 0 {
			err = w.Validate() // another tolerance was given than the one that could not be read
		}
	}
	if err != nil {
		return report.Report{}, err
	}
	if r.Sequential != nil && o.Gate != analyze.GateTolerance {
		return report.Report{}, record.Usagef("--gate %s: the run looked early, its rule is the tolerance", o.Gate)
	}
	if r.GoodnessOfFit == nil {
		return rejudged(r, nil, o, nil), nil // nothing was judged then either
	}
	d, err := analyze.Judge(w, c, o)
	if err != nil {
		return report.Report{}, err
	}
	if r.Sequential != nil {
		d.Outcome = sequentialOutcome(r, o.Tolerance)
		if slices.Contains(r.Verdict.ReasonCodes, analyze.CodeLeak) {
			d.Outcome = analyze.Fail // also where it answered after the look that the counts are of
		}
		if len(r.Verdict.Reasons) > 0 && string(d.Outcome) == r.Verdict.Outcome {
			d.Reasons = nil // those of the report hold
		}
	}
	r.Diagnostics = witnessed(r, w, c, o)
	if d, err = weighed(d, w, c, r.Diagnostics); err != nil {
		return report.Report{}, err
	}
	var invalid []string
	if n := completeOf(r.Unattributed); n > 0 && d.Outcome == analyze.Pass {
		invalid = append(invalid, fmt.Sprintf(report.SayUnknownAnswers, n))
	}
	return rejudged(r, &d, o, invalid), nil
}

// witnessed are a report's diagnostics, with what the second witness says judged by the options that hold now.
func witnessed(r report.Report, w analyze.Weights, c analyze.Counts, o analyze.Options) []report.Diagnostic {
	lines := slices.Clone(r.Diagnostics)
	i := slices.IndexFunc(lines, func(d report.Diagnostic) bool { return d.Name == nameWitness })
	if i < 0 || r.Witness == nil || len(r.Witness.Draws) != len(w) {
		return lines
	}
	draws := analyze.Counts{N: make([]int64, len(w))}
	for j, x := range r.Witness.Draws {
		draws.N[j] = x.Drawn
	}
	if alone, err := analyze.Judge(w, draws, o); err == nil {
		lines[i] = witnessLine(alone, w, c, o, draws.N, r.Witness.Background)
	}
	return lines
}

// weighed lets diagnostics that took the verdict away do so again.
func weighed(d analyze.Decision, w analyze.Weights, c analyze.Counts,
	lines []report.Diagnostic,
) (analyze.Decision, error) {
	for _, line := range lines {
		if !downgrades(line) || line.Name == nameWitness { // the report weighs that one itself
			continue
		}
		item := analyze.Diagnostic{Name: analyze.DiagnosticTime, Impact: analyze.Downgrade}
		after, err := analyze.Conclude(d, w, c, analyze.Diagnostics{Items: []analyze.Diagnostic{item}, DesignEffect: 1})
		if err != nil {
			return d, err
		}
		// Its sentence stands among the diagnostics.
		after.Reasons = slices.DeleteFunc(slices.Clone(after.Reasons),
			func(r analyze.Reason) bool { return r.Code == analyze.CodeDiagnostic })
		d = after
	}
	return d, nil
}

// judgement is what a report says of what was judged and how: enough to judge it again.
func judgement(r report.Report) (analyze.Weights, analyze.Counts, analyze.Options, error) {
	var w analyze.Weights
	c := analyze.Counts{Unattributed: r.Unattributed.Requests}
	for _, b := range r.Backends {
		w = append(w, analyze.Weight{Backend: b.Name, W: b.Weight})
		c.N = append(c.N, b.Observed)
	}
	o := analyze.DefaultOptions()
	v := r.Verdict
	if v.Gate != "" {
		o.Gate = analyze.Gate(v.Gate)
	}
	if v.Alpha > 0 {
		o.Alpha, o.Power = v.Alpha, v.Power
	}
	if r.Run != nil {
		o.Seed = r.Run.Seed
	}
	switch {
	case v.ToleranceRule != nil:
		o.Tolerance = analyze.Tolerance{
			Points: v.ToleranceRule.Points, Relative: v.ToleranceRule.RelativeShare, Leak: v.ToleranceRule.LeakShare,
		}
	case len(v.Tolerance) > 0 && !slices.ContainsFunc(v.Tolerance,
		func(t report.BackendTolerance) bool { return t.Points != v.Tolerance[0].Points }):
		o.Tolerance = analyze.Tolerance{Points: v.Tolerance[0].Points} // written before the rule was
	case len(v.Tolerance) > 0:
		return w, c, o, errors.New("the report does not say which tolerance was asked for, and it was not the same for " +
			"every backend")
	}
	if err := w.Validate(); err != nil {
		return w, c, o, fmt.Errorf("read report: %w: %w", report.ErrNotReport, err)
	}
	return w, c, o, nil
}

// rejudged is the report with another decision over its counts. What only the samples could say is carried: times,
// errors, diagnostics, which weigh as they did, and whatever made the run invalid; invalid is what makes it so now.
func rejudged(r report.Report, d *analyze.Decision, o analyze.Options, invalid []string) report.Report {
	w, c, _, err := judgement(r)
	doc := draft{Report: r, weights: w, counts: c, options: o, decision: d, invalid: slices.Clone(invalid)}
	doc.Backends, doc.Split, doc.Verdict = slices.Clone(r.Backends), nil, report.Verdict{}
	for i, text := range r.Verdict.Reasons {
		if code := report.CodeOf(r, i); d != nil && len(d.Reasons) == 0 && code != codeDiagnostic {
			doc.because(code, "%s", text)
		}
	}
	if err != nil {
		doc.invalid = append(doc.invalid, err.Error())
	}
	if r.Verdict.Outcome == report.Invalid {
		doc.invalid, doc.remedies = r.Verdict.Reasons, r.Verdict.Remedies
	}
	out := doc.finish()
	if r.Sequential != nil { // the likely ranges are of the looks, which only the samples have
		for i := range out.Backends {
			out.Backends[i].Interval = r.Backends[i].Interval
		}
	}
	if out.Split = r.Split; out.Split != nil && out.Verdict.Outcome == r.Verdict.Outcome {
		out.Verdict.Remedies = r.Verdict.Remedies // they name the split
	}
	return out
}

// sequentialOutcome is what the likely ranges of a run that looked early say under a tolerance: the rule of such runs.
// A weight-0 backend that answered is a fail.
func sequentialOutcome(r report.Report, t analyze.Tolerance) analyze.Outcome {
	inside := true
	for _, b := range r.Backends {
		if b.Weight == 0 {
			if b.Observed > 0 {
				return analyze.Fail
			}
			continue
		}
		low, high, ok := b.Interval.Ends()
		if !ok {
			return analyze.Inconclusive
		}
		allowed := t.Share(b.ExpectedShare)
		const exact = 1e-12
		if low > b.ExpectedShare+allowed+exact || high < b.ExpectedShare-allowed-exact {
			return analyze.Fail
		}
		inside = inside && low >= b.ExpectedShare-allowed-exact && high <= b.ExpectedShare+allowed+exact &&
			!math.IsNaN(low+high)
	}
	if inside {
		return analyze.Pass
	}
	return analyze.Inconclusive
}
