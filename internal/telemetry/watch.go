package telemetry

import (
	"io"
	"math"

	"github.com/splitbench/splitbench/internal/report"
)

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

// MaxToldBackends bounds the lines of a split: those of its further backends are left out, and counted.
const MaxToldBackends = 32

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
		untold += max(0, len(s.Watch.Backends)-MaxToldBackends)
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
	for _, b := range x.Backends[:min(len(x.Backends), MaxToldBackends)] {
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
