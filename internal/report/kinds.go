package report

import (
	"strings"
)

// Kinds of documents: one envelope, whose verdict is about shares, latencies, a failover, or shares without end.
const (
	KindLatencyReport = "LatencyReport"
	KindDrillReport   = "DrillReport"
	KindWatchReport   = "WatchReport"
)

// KindWatch is the kind of a stored watch.
const KindWatch = "watch"

// KindOf is the kind of document that a report is by what it holds.
func KindOf(r Report) string {
	switch {
	case r.Comparison != nil:
		return KindLatencyReport
	case r.Drill != nil:
		return KindDrillReport
	case r.Watch != nil:
		return KindWatchReport
	}
	return Kind
}

// runKind is the kind of a stored run that a report is of.
func runKind(r Report) string {
	switch r.Kind {
	case KindLatencyReport:
		return KindLatency
	case KindDrillReport:
		return KindDrill
	case KindWatchReport:
		return KindWatch
	}
	return KindSplit
}

// document is what a kind of report says that the others do not: each kind is one file.
type document interface {
	subject() string     // what was measured
	title() string       // of a comment or a page
	headline() string    // the sentence after the outcome
	lead() string        // what that means for users
	question() string    // that the outcome answers
	requests() int64     // that were sent and counted
	matter() string      // whether requests without a known backend matter; empty where they are what it is about
	sentences() []string // what is said of the result in prose
	sections() []Section // the result
}

// document is the report as what it is about.
func (r Report) document() document {
	split := splitReport{r}
	switch KindOf(r) {
	case KindLatencyReport:
		return latencyReport{split}
	case KindDrillReport:
		return drillReport{split}
	case KindWatchReport:
		return watchReport{split}
	}
	return split
}

// notMeasured is the headline of what is not valid.
func notMeasured(reasons []string) string {
	return because("could not be measured", reasons)
}

// because gives the first reason of what could not be done.
func because(what string, reasons []string) string {
	if len(reasons) == 0 {
		return what
	}
	return what + ": " + strings.TrimSuffix(reasons[0], ".")
}
