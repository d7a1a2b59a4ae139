package report

import (
	"fmt"
	"math"
	"slices"
	"time"
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
		r = Limited(r, o.Outcome, o.Text)
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
