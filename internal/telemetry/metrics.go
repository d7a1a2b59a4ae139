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
