package judge

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
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
