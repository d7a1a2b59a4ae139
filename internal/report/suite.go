package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/preflight"
)

// SuiteReport is what several splits came to together. Its schema is docs/schema/suitereport.v1alpha1.json.
type SuiteReport struct {
	APIVersion    string        `json:"apiVersion"`
	Kind          string        `json:"kind"`          // SuiteReport
	Outcome       string        `json:"outcome"`       // the worst of all
	Alpha         float64       `json:"alpha"`         // over all splits together
	AlphaPerSplit float64       `json:"alphaPerSplit"` // what each verdict was made at
	Splits        []SuiteResult `json:"splits"`
}

// SuiteResult is one split of a suite.
type SuiteResult struct {
	Name     string         `json:"name"`     // its own in the suite
	Split    string         `json:"split"`    // as on the command line
	Outcome  string         `json:"outcome"`  // with its limits
	Run      string         `json:"run"`      // id; empty where nothing was stored
	Requests int64          `json:"requests"` // that were counted
	Reasons  []string       `json:"reasons"`  // of the outcome
	Limits   []LimitOutcome `json:"limits"`   // each of them
	Report   Report         `json:"-"`        // its limits have made the verdict worse already, where they did
}

// Limit is the most that a quantile of a backend's response times may be.
type Limit struct {
	Backend  string        // "*": each
	Quantile float64       // above 0 and below 1
	Most     time.Duration // above 0
}

// LimitOutcome is a limit and whether it held.
type LimitOutcome struct {
	Backend  string  `json:"backend"`  // it was held against
	Quantile float64 `json:"quantile"` // above 0 and below 1
	LimitMs  float64 `json:"limitMs"`  // the most that it may be
	Outcome  string  `json:"outcome"`  // pass, fail or inconclusive
	Text     string  `json:"text"`     // why
}

// NewSuiteReport begins the report of a number of splits whose verdicts are made at alpha together.
func NewSuiteReport(alpha float64, splits int) SuiteReport {
	return SuiteReport{
		APIVersion: APIVersion, Kind: "SuiteReport", Outcome: Pass, Alpha: alpha, AlphaPerSplit: alpha / float64(splits),
	}
}

// Add adds one split's report with its limits: a limit that is broken fails a split, one that cannot be told makes it
// inconclusive, and neither makes anything better.
func (s *SuiteReport) Add(name, split string, r Report, limits []Limit) {
	sum := Summarize(r)
	out := SuiteResult{Name: name, Split: split, Run: sum.ID, Requests: sum.Requests, Limits: []LimitOutcome{}}
	if r.Verdict.Outcome != Invalid {
		for _, l := range limits {
			out.Limits = append(out.Limits, l.check(r)...)
		}
	}
	for _, o := range out.Limits {
		r = limited(r, o.Outcome, o.Text)
	}
	out.Report, out.Outcome, out.Reasons = r, r.Verdict.Outcome, slices.Clone(r.Verdict.Reasons)
	s.Splits, s.Outcome = append(s.Splits, out), WorseOutcome(s.Outcome, out.Outcome)
}

// check holds the limit against the likely ranges of the report's response times, which windows of time made.
func (l Limit) check(r Report) []LimitOutcome {
	switch {
	case r.GatewayCost == nil:
		return []LimitOutcome{l.unknown(l.Backend, "its response times have no likely ranges")}
	case r.GatewayCost.Why != "":
		return []LimitOutcome{l.unknown(l.Backend, r.GatewayCost.Why)}
	}
	var out []LimitOutcome
	for _, b := range r.GatewayCost.Backends {
		if l.Backend != "*" && l.Backend != b.Backend {
			continue
		}
		i := slices.IndexFunc(b.Quantiles, func(q QuantileTime) bool { return math.Abs(q.Quantile-l.Quantile) < 1e-9 })
		if i < 0 {
			return []LimitOutcome{l.unknown(l.Backend, "only p50, p90 and p99 have likely ranges")}
		}
		out = append(out, l.against(b.Backend, b.Quantiles[i]))
	}
	if len(out) == 0 {
		return []LimitOutcome{l.unknown(l.Backend, "it is no backend of the split that answered")}
	}
	return out
}

// against holds the limit against the times of one backend.
func (l Limit) against(backend string, q QuantileTime) LimitOutcome {
	o := l.unknown(backend, "it "+q.Why)
	switch {
	case q.HighMs != nil && *q.HighMs <= o.LimitMs:
		o.Outcome = Pass
		o.Text = fmt.Sprintf("p%g of %s is at most %.4g ms, below %s", 100*l.Quantile, backend, *q.HighMs, l.Most)
	case q.LowMs != nil && *q.LowMs > o.LimitMs:
		o.Outcome = Fail
		o.Text = fmt.Sprintf("p%g of %s is at least %.4g ms, above %s", 100*l.Quantile, backend, *q.LowMs, l.Most)
	case q.LowMs != nil && q.HighMs != nil:
		return l.unknown(backend, fmt.Sprintf("it is likely %.4g to %.4g ms", *q.LowMs, *q.HighMs))
	}
	return o
}

func (l Limit) unknown(backend, why string) LimitOutcome {
	return LimitOutcome{
		Backend: backend, Quantile: l.Quantile, LimitMs: float64(l.Most.Microseconds()) / 1000, Outcome: Inconclusive,
		Text: fmt.Sprintf("whether p%g of %s is below %s cannot be told: %s", 100*l.Quantile, backend, l.Most, why),
	}
}

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
	name := cmp.Or(d.subject(), weightsLabel(r)+" weights")
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
