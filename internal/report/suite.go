package report

import (
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/preflight"
)

// Suite is a document as a suite of tests: what a system for continuous integration shows.
type Suite struct {
	Name, Host string
	Seconds    float64
	Started    time.Time
	Properties Fields // numbers that a dashboard could plot
	Cases      []Case
	Sentences  []string
	Warnings   []string
}

// Case is one test of a Suite.
type Case struct {
	Name, Class string
	Seconds     float64
	Result      CaseResult
	Message     string
	State       string // what it is called: an outcome, or the state of a check
	Lines       []string
}

// CaseResult is how a case came out.
type CaseResult int

// The results. What could not be decided or measured is broken: a skipped case would look green.
const (
	CasePassed CaseResult = iota
	CaseFailed
	CaseBroken
	CaseSkipped
)

// Suite is the report as a suite: the verdict and the checks are its cases.
func (r Report) Suite() Suite {
	d := r.document()
	name := d.subject()
	if name == "" {
		name = weightsLabel(r) + " weights"
	}
	s := Suite{
		Name: "splitbench " + name, Properties: properties(r), Warnings: warnings(r),
		Sentences: append([]string{capital(d.headline()) + "."}, d.sentences()...),
	}
	if r.Load != nil {
		s.Seconds = r.Load.DurationSeconds
	}
	if r.Run != nil {
		s.Started = r.Run.Started
	}
	if r.Source != nil {
		s.Host = r.Source.Pod
	}
	class := "splitbench." + strings.ReplaceAll(name, "/", ".")
	s.Cases = []Case{verdictCase(r, class, s.Seconds)}
	for _, c := range r.Checks {
		s.Cases = append(s.Cases, checkCase(c, class))
	}
	return s
}

// Suite is the checks of a split as a suite, root causes before what follows from them.
func (s SplitChecks) Suite() Suite {
	out := Suite{Name: strings.TrimSpace("splitbench check " + s.name())}
	class := strings.NewReplacer(" ", ".", "/", ".").Replace(out.Name)
	for _, c := range byCause(s.Checks) {
		out.Cases = append(out.Cases, checkCase(c, class))
	}
	return out
}

func verdictCase(r Report, class string, seconds float64) Case {
	d := r.document()
	c := Case{Name: d.question(), Class: class, Seconds: seconds}
	switch r.Verdict.Outcome {
	case Pass, Measured: // nothing was asked that could fail
		return c
	case Fail:
		c.Result = CaseFailed
	default:
		c.Result = CaseBroken
	}
	c.Message, c.State = strings.ToUpper(r.Verdict.Outcome)+": "+d.headline(), r.Verdict.Outcome
	c.Lines = append([]string{capital(d.headline()) + "."}, whyNot(r)...)
	c.Lines = append(c.Lines, d.sentences()...)
	for _, todo := range r.Verdict.Remedies {
		c.Lines = append(c.Lines, "To do: "+todo)
	}
	return c
}

// checkCase is a skipped case for what is neither green nor red: it stands out among green ones and breaks nothing.
func checkCase(check preflight.Result, class string) Case {
	c := Case{Name: strings.TrimSpace(check.ID + " " + check.Name), Class: class + ".check"}
	if check.Status == preflight.OK {
		return c
	}
	c.Message, c.State, c.Lines = string(check.Status)+": "+check.Seen, string(check.Status), []string{check.Hint}
	if check.CausedBy != "" {
		c.Lines = []string{"follows from " + check.CausedBy}
	}
	c.Result = CaseSkipped
	if check.Failure() {
		c.Result = CaseBroken
	}
	return c
}

// properties are the numbers of a report.
func properties(r Report) Fields {
	var f Fields
	text := func(label, s string) { f = append(f, Field{Label: label, Text: s}) }
	whole := func(label string, n int64) { text(label, strconv.FormatInt(n, 10)) }
	float := func(label string, v *float64) {
		if v != nil {
			text(label, strconv.FormatFloat(*v, 'g', -1, 64))
		}
	}
	text("outcome", r.Verdict.Outcome)
	text("gate", r.Verdict.Gate)
	n, all := requestsOf(r)
	whole("requests", all)
	whole("requestsAttributed", n)
	if r.Run != nil {
		text("run", r.Run.ID)
		text("tool", r.Run.Tool)
		for _, k := range sortedKeys(r.Run.Labels) {
			text("label."+k, r.Run.Labels[k])
		}
	}
	for _, b := range r.Backends {
		of := "backend." + b.Name + "."
		whole(of+"weight", b.Weight)
		whole(of+"observed", b.Observed)
		float(of+"expectedShare", &b.ExpectedShare)
		float(of+"observedShare", b.ObservedShare)
		if b.Interval != nil {
			float(of+"interval.low", b.Interval.Low)
			float(of+"interval.high", b.Interval.High)
		}
		whole(of+"errors", b.Errors)
		if b.Latency != nil {
			float(of+"responseTime.p50Ms", b.Latency.ResponseTime.P50Ms)
			float(of+"responseTime.p99Ms", b.Latency.ResponseTime.P99Ms)
		}
	}
	if g := r.GoodnessOfFit; g != nil {
		float("pearson.statistic", g.Pearson.Statistic)
		if g.Pearson.Exact != nil {
			float("pearson.p", &g.Pearson.Exact.P)
		}
	}
	return f
}

// Suites are the suites of reports, or of the checks of splits.
func Suites[T interface{ Suite() Suite }](all []T) []Suite {
	var out []Suite
	for _, x := range all {
		out = append(out, x.Suite())
	}
	return out
}
