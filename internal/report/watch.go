package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// Watch is what anytime-valid monitoring has seen: looks without end, with one error rate for all of them together.
type Watch struct {
	Requests  int64         `json:"requests"` // with a known backend
	Lost      int64         `json:"lost"`     // without
	Looks     int64         `json:"looks"`
	Seconds   float64       `json:"seconds"` // since the first request
	LnE       *float64      `json:"lnE"`     // ln of the e-value against the weights; null after an answer of a weight-0 backend
	Anytime   *Probability  `json:"anytime"`
	Backends  []WatchedPart `json:"backends"`
	Pods      []string      `json:"pods"` // that sent, in order; the last 100
	Gaps      []WatchGap    `json:"gaps"` // in which nothing was measured; the last 100
	GapCount  int64         `json:"gapCount"`
	GapTime   float64       `json:"gapSeconds"` // together
	MaxRSS    int64         `json:"memoryBytes,omitempty"`
	FailedAt  *float64      `json:"failedAtSeconds"` // null: it did not
	Decided   bool          `json:"decided"`         // every likely range lay within its tolerance
	Tolerance float64       `json:"tolerancePoints"`
}

// WatchedPart is one backend.
type WatchedPart struct {
	Backend  string    `json:"backend"`
	Weight   int64     `json:"weight"`
	Observed int64     `json:"observed"`
	Interval *Interval `json:"interval"` // of its share; holds at all looks together
}

// WatchGap is a time in which nothing was measured, and why.
type WatchGap struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	Why     string    `json:"why"`
}

// MaxWatchList bounds the lists of a Watch: it has no end.
const MaxWatchList = 100

// IntervalOf puts an interval into a report.
func IntervalOf(i analyze.Interval) *Interval { return interval(i) }

// ProbabilityOf puts a p-value into a report.
func ProbabilityOf(p analyze.PValue) *Probability { return probability(p) }

func watchHeadline(r Report) string {
	w := r.Watch
	size := fmt.Sprintf("%s in %s, %s", plural(w.Requests, "request"), seconds(w.Seconds), plural(w.GapCount, "gap"))
	switch r.Verdict.Outcome {
	case Pass:
		return "traffic followed the weights all the time (" + size + ")"
	case Fail:
		at := 0.0
		if w.FailedAt != nil {
			at = *w.FailedAt
		}
		return fmt.Sprintf("traffic does NOT follow the weights, seen after %s (%s)", seconds(at), size)
	case Inconclusive:
		return "not decided (" + size + ")"
	}
	if len(r.Verdict.Reasons) == 0 {
		return "could not be measured"
	}
	return "could not be measured: " + strings.TrimSuffix(r.Verdict.Reasons[0], ".")
}

// watchSentences are what is said of a watch in prose.
func watchSentences(w *Watch) []string {
	var s []string
	for _, b := range w.Backends {
		s = append(s, fmt.Sprintf("%s: weight %d, %s answers, likely range %s at all looks together.", b.Backend, b.Weight, count(b.Observed), likelyRange(b.Interval)))
	}
	if w.LnE != nil {
		s = append(s, fmt.Sprintf("Evidence against the weights: e = %.3g after %s; it would have to reach 1/alpha.", exp(*w.LnE), plural(w.Looks, "look")))
	}
	if w.GapCount > 0 {
		s = append(s, fmt.Sprintf("%s of together %s, in which nothing was measured; %s without a known backend.", plural(w.GapCount, "gap"), seconds(w.GapTime), plural(w.Lost, "request")))
	}
	return s
}

func watchGaps(w *Watch) []string {
	var s []string
	for _, g := range w.Gaps {
		s = append(s, fmt.Sprintf("%s, %s: %s", g.At.Format(time.RFC3339), seconds(g.Seconds), g.Why))
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
