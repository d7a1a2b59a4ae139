package report

import (
	"slices"
	"time"
)

// KindRunComparison identifies the document of `results compare -o json`.
const KindRunComparison = "RunComparison"

// RunComparison is what stored runs say of one another: each later one against the first. Its schema is
// docs/schema/runcomparison.v1alpha1.json; the rules of Report hold here too.
type RunComparison struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Verdict    ComparisonVerdict `json:"verdict"`
	Base       ComparedRun       `json:"base"`
	Changes    []RunChange       `json:"changes"` // one for each later run
	Tool       string            `json:"tool,omitempty"`
}

// ComparisonVerdict is the conclusion over all runs and the rule it was made by.
type ComparisonVerdict struct {
	Outcome     string   `json:"outcome"` // pass | fail | inconclusive | invalid
	Reasons     []string `json:"reasons"`
	Alpha       float64  `json:"alpha"`
	Margin      string   `json:"margin"`            // as given: how much slower a quantile, or dearer the gateway, may be
	SharePoints float64  `json:"shareMarginPoints"` // how far a share may move
	Questions   int      `json:"questions"`         // asked together; a fail pays for their number
}

// ComparedRun is one run of a comparison.
type ComparedRun struct {
	ID       string            `json:"id"`
	Kind     string            `json:"runKind"`
	Outcome  string            `json:"outcome"`
	Subject  string            `json:"subject"`
	Weights  string            `json:"weights,omitempty"`
	Started  time.Time         `json:"started"`
	Requests int64             `json:"requests"`
	Labels   map[string]string `json:"labels,omitempty"`
	Tool     string            `json:"tool"`
}

// RunChange is one later run against the base.
type RunChange struct {
	Run         ComparedRun   `json:"run"`
	Outcome     string        `json:"outcome"`
	Reasons     []string      `json:"reasons"`
	SameWeights bool          `json:"sameWeights"` // false: the shares were meant to change and are not judged
	Shares      []ShareChange `json:"shares"`
	Latency     []TimeChange  `json:"latency"`
	GatewayCost []TimeChange  `json:"gatewayCost"`
	Warnings    []string      `json:"warnings"`
}

// ShareChange is one backend's share in both runs.
type ShareChange struct {
	Backend    string    `json:"backend"`
	BaseWeight *int64    `json:"baseWeight"` // null: the split had no such backend
	NewWeight  *int64    `json:"newWeight"`
	Base       *Interval `json:"base"`
	BaseShare  *float64  `json:"baseShare"`
	New        *Interval `json:"new"`
	NewShare   *float64  `json:"newShare"`
	Points     *float64  `json:"differencePoints"` // new - base
	LowPoints  *float64  `json:"lowPoints"`
	HighPoints *float64  `json:"highPoints"`
	Outcome    string    `json:"outcome"` // "" where it is not judged
	Sentence   string    `json:"sentence"`
}

// TimeChange is how latencies of one target, or the gateway's cost of one backend, changed.
type TimeChange struct {
	Name      string           `json:"name"`
	Outcome   string           `json:"outcome"`
	Quantiles []QuantileChange `json:"quantiles"`
	Sentence  string           `json:"sentence"`
	Why       string           `json:"why,omitempty"` // why nothing can be said
}

// QuantileChange is one quantile in both runs, in milliseconds. What the samples do not give is null.
type QuantileChange struct {
	Quantile  float64  `json:"quantile"`
	BaseMs    *float64 `json:"baseMs"`
	NewMs     *float64 `json:"newMs"`
	Ms        *float64 `json:"differenceMs"` // new - base: above 0 is slower, or dearer
	LowMs     *float64 `json:"lowMs"`
	HighMs    *float64 `json:"highMs"`
	Different bool     `json:"different"` // true: a difference is proven
	Outcome   string   `json:"outcome"`   // "" where it is shown and not judged
	Why       string   `json:"why,omitempty"`
}

// Compared takes what a comparison says of a run from its report.
func Compared(r Report) ComparedRun {
	s := Summarize(r)
	return ComparedRun{
		ID: s.ID, Kind: s.Kind, Outcome: s.Outcome, Subject: s.Subject, Weights: s.Weights, Started: s.Started, Requests: s.Requests,
		Labels: s.Labels, Tool: s.Tool,
	}
}

// ConcludeChange fills in the outcome and reasons of one later run: of all that was judged, the worst. invalid are reasons
// why there is nothing to judge.
func ConcludeChange(c RunChange, invalid []string) RunChange {
	c.Outcome, c.Reasons, c.Warnings = Pass, []string{}, list(c.Warnings)
	judged := 0
	take := func(outcome, sentence string) {
		if outcome == "" {
			return
		}
		judged++
		if outcome != Pass {
			c.Reasons = append(c.Reasons, sentence)
		}
		c.Outcome = WorseOutcome(c.Outcome, outcome)
	}
	for _, s := range c.Shares {
		take(s.Outcome, s.Sentence)
	}
	for _, t := range slices.Concat(c.Latency, c.GatewayCost) {
		take(t.Outcome, t.Sentence)
	}
	if judged == 0 {
		c.Outcome, c.Reasons = Inconclusive, []string{"nothing of these runs can be compared against a margin"}
	}
	if len(invalid) > 0 {
		c.Outcome, c.Reasons = Invalid, invalid
	}
	return c
}
