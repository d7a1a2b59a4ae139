// Package telemetry hands the numbers of a report to systems that keep them: an OpenMetrics text file, a Prometheus
// push gateway, an OTLP receiver. Three ways out, one list of metrics. What a watch has seen so far is a list of its
// own, for a page that is read again and again.
//
// It refuses to measure and to judge: it sends what the report says, once, after the run. A number that the report does
// not know is not sent; there is no 0 in its place.
//
// Invariant: a name has one meaning and one unit, whichever way it goes out, and its labels are few: a run's id stands
// in splitbench_run_info alone.
package telemetry

import (
	"io"
	"math"
	"slices"

	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// metric is one number with its labels.
type metric struct {
	name, help, unit string // unit in OTLP's words (UCUM); the name ends in it where it has one
	labels           []label
	value            float64
	counter          bool // it only ever rises; its name ends in _total
}

type label struct{ name, value string }

// list collects metrics; of everything that a report knows.
type list struct {
	of      []label // of each
	metrics []metric
}

func (l *list) add(name, help, unit string, value float64, labels ...label) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return
	}
	l.metrics = append(l.metrics, metric{name, help, unit, slices.Concat(l.of, labels), value, false})
}

// known adds a number without a unit where the report knows it.
func (l *list) known(name, help string, value *float64, labels ...label) {
	if value != nil {
		l.add(name, help, "1", *value, labels...)
	}
}

// metricsOf is every number of a report that is worth a line in a dashboard.
func metricsOf(r report.Report) []metric {
	var l list
	for _, o := range []string{report.Pass, report.Fail, report.Inconclusive, report.Invalid, report.Measured} {
		is := 0.0
		if r.Verdict.Outcome == o {
			is = 1
		}
		l.add("splitbench_outcome", "Outcome of the last run: 1 for the one that it had.", "1", is, label{"outcome", o})
	}
	var attributed int64
	for _, b := range r.Backends {
		attributed += b.Observed
		l.backend(b)
	}
	l.add("splitbench_requests", "Counted requests with a known backend.", "{request}", float64(attributed))
	l.add("splitbench_unattributed_requests", "Counted requests without a known backend.", "{request}",
		float64(r.Unattributed.Requests))
	if g := r.GoodnessOfFit; g != nil {
		l.known("splitbench_pearson_statistic", "Pearson's chi-square statistic against the declared weights.",
			g.Pearson.Statistic)
		if p := g.Pearson.Exact; p != nil {
			l.add("splitbench_pearson_p_ratio", "Probability of a gap as large under the declared weights.", "1", p.P)
		}
		l.add("splitbench_total_variation_ratio", "Half the sum of all gaps between observed and expected shares.", "1",
			g.TotalVariation)
	}
	if v := r.Load; v != nil {
		l.add("splitbench_request_rate_hertz", "Requests per second that were sent.", "Hz", v.RatePerSecond)
		l.add("splitbench_duration_seconds", "From the first to the last sending.", "s", v.DurationSeconds)
		l.add("splitbench_errors", "Requests that failed or were answered with a status of 500 and above.", "{request}",
			float64(v.Errors))
	}
	if v := r.Run; v != nil {
		if !v.Started.IsZero() {
			l.add("splitbench_started_timestamp_seconds", "When the run started, in seconds since 1970.", "s",
				float64(v.Started.UnixMilli())/1000)
		}
		l.add("splitbench_run_info", "Which run the numbers are of.", "1",
			1, label{"run", v.ID}, label{"tool", v.Tool}, label{"gate", r.Verdict.Gate})
	}
	return l.metrics
}

func (l *list) backend(b report.Backend) {
	of := label{"backend", b.Name}
	l.add("splitbench_backend_requests", "Requests that the backend answered.", "{request}", float64(b.Observed), of)
	l.add("splitbench_backend_errors", "Answers of the backend with a status of 500 and above.", "{request}",
		float64(b.Errors), of)
	l.add("splitbench_backend_expected_share_ratio", "Share that the weights declare.", "1", b.ExpectedShare, of)
	l.known("splitbench_backend_observed_share_ratio", "Share that was observed.", b.ObservedShare, of)
	if i := b.Interval; i != nil {
		l.known("splitbench_backend_share_low_ratio", "Low end of the likely range of the share.", i.Low, of)
		l.known("splitbench_backend_share_high_ratio", "High end of the likely range of the share.", i.High, of)
	}
	if b.Latency == nil {
		return
	}
	q := b.Latency.ResponseTime
	for _, x := range []struct {
		level string
		ms    *float64
	}{{"0.5", q.P50Ms}, {"0.9", q.P90Ms}, {"0.99", q.P99Ms}, {"0.999", q.P999Ms}, {"1", q.MaxMs}} {
		if x.ms != nil {
			l.add("splitbench_backend_response_time_seconds", "Response time from the planned instant of sending, by quantile.",
				"s", *x.ms/1000, of, label{"quantile", x.level})
		}
	}
}

// subject are the labels that say which split the numbers are of.
func subject(r report.Report) []label {
	var out []label
	add := func(name, value string) {
		if value != "" {
			out = append(out, label{name, value})
		}
	}
	if r.Source != nil {
		add("context", r.Source.Context)
	}
	if r.Split != nil {
		add("namespace", r.Split.Namespace)
		add("split", r.Split.Name)
	}
	for i := range out {
		out[i].value = safe(out[i].value)
	}
	return out
}

// maxLabel bounds the value of a label, in bytes.
const maxLabel = 200

// safe makes foreign text harmless in a file that somebody looks at.
func safe(s string) string { return untrusted.Cut(untrusted.Printable(s), maxLabel) }

// total adds a number that only ever rises.
func (l *list) total(name, help, unit string, value float64, labels ...label) {
	l.metrics = append(l.metrics, metric{name, help, unit, slices.Concat(l.of, labels), value, true})
}

// Watches is what a process that watches splits has seen so far.
type Watches struct {
	Splits    []WatchedSplit
	Unwatched int    // splits that are there, beyond how many are watched at a time
	Role      string // RoleLeader, RoleStandby; "": nobody elects
	Memory    int64  // that this process has
}

// Roles of a process where one of several is elected.
const (
	RoleLeader  = "leader"
	RoleStandby = "standby"
)

// WatchedSplit is one split of them.
type WatchedSplit struct {
	Namespace, Split string // Split as a command line names it: kind/name
	Watch            report.Watch
	Outcome          string           // what it would be if it ended now
	Up               bool             // requests are being sent; in a gap they are not
	Failing          bool             // it failed, and no later watch has shown its shares to be within their tolerances
	Ends             map[string]int64 // watches of the split that ended, by outcome
}

// maxToldBackends bounds the lines of a split: those of its further backends are left out, and counted.
const maxToldBackends = 32

// WriteWatches writes what was seen as OpenMetrics text, for a page that Prometheus reads again and again. Its errors
// are those of w.
func WriteWatches(w io.Writer, x Watches) error {
	registry, err := registryOf(x.metrics(), nil)
	if err != nil {
		return err
	}
	return write(w, registry)
}

func (x Watches) metrics() []metric {
	var l list
	l.add("splitbench_watch_memory_bytes", "Memory that splitbench itself has.", "By", float64(x.Memory))
	l.add("splitbench_watch_splits", "Splits that are watched.", "{split}", float64(len(x.Splits)))
	l.add("splitbench_watch_unwatched_splits", "Splits that are there, beyond how many are watched at a time.", "{split}",
		float64(x.Unwatched))
	if x.Role != "" {
		l.add("splitbench_watch_leader", "1 where this process holds the lease and watches, 0 where it stands by.", "1",
			truth(x.Role == RoleLeader))
	}
	untold := 0
	for _, s := range x.Splits {
		s.addTo(&l)
		untold += max(0, len(s.Watch.Backends)-maxToldBackends)
	}
	l.add("splitbench_watch_untold_backends", "Backends that have no lines here: a split has those of its first 32.",
		"{backend}", float64(untold))
	return l.metrics
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func (s WatchedSplit) addTo(all *list) {
	l, x := list{of: []label{{"namespace", s.Namespace}, {"split", s.Split}}}, s.Watch
	l.add("splitbench_watch_up", "1 where requests are being sent, 0 in a gap.", "1", truth(s.Up))
	l.add("splitbench_watch_failed",
		"1 where a share was shown to be outside its tolerance, until all are shown to be within theirs.", "1",
		truth(s.Failing || s.Outcome == report.Fail))
	l.add("splitbench_watch_passed", "1 where every likely range lies within its tolerance.", "1",
		truth(s.Outcome == report.Pass))
	l.known("splitbench_watch_log_evidence", "Natural logarithm of the e-value against the weights.", x.LnE)
	for _, o := range []string{report.Pass, report.Fail, report.Inconclusive, report.Invalid} {
		l.total("splitbench_watch_ends_total", "Watches of the split that ended, by outcome; a new one follows.", "{watch}",
			float64(s.Ends[o]), label{"outcome", o})
	}
	l.total("splitbench_watch_looks_total", "Looks so far.", "{look}", float64(x.Looks))
	l.total("splitbench_watch_lost_total", "Requests without a known backend.", "{request}", float64(x.Lost))
	l.total("splitbench_watch_set_aside_total", "Results of looks that broke off, counted nowhere.", "{request}",
		float64(x.SetAside))
	l.total("splitbench_watch_gaps_total", "Times in which nothing was measured, one that is not over too.", "{gap}",
		float64(x.GapCount))
	l.total("splitbench_watch_gap_seconds_total", "Length together of the gaps that are over.", "s", x.GapTime)
	for _, b := range x.Backends[:min(len(x.Backends), maxToldBackends)] {
		l.watched(b, x.Backends)
	}
	all.metrics = append(all.metrics, l.metrics...)
}

func (l *list) watched(b report.WatchedPart, all []report.WatchedPart) {
	of := label{"backend", b.Backend}
	l.total("splitbench_watch_requests_total", "Answers of the backend.", "{request}", float64(b.Observed), of)
	var weights int64
	for _, other := range all {
		weights += other.Weight
	}
	l.add("splitbench_watch_expected_share_ratio", "Share that the weights declare.", "1",
		float64(b.Weight)/float64(weights), of) // left out where there are no weights
	low, high, ok := b.Interval.Ends()
	if !ok {
		low, high = math.NaN(), math.NaN() // which add leaves out
	}
	l.add("splitbench_watch_share_low_ratio", "Low end of the likely range of the share, at all looks together.", "1",
		low, of)
	l.add("splitbench_watch_share_high_ratio", "High end of the likely range of the share, at all looks together.", "1",
		high, of)
}
