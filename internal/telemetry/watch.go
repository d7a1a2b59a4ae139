package telemetry

import (
	"io"
	"math"

	"github.com/splitbench/splitbench/internal/report"
)

// WriteWatch writes what a watch has seen so far as OpenMetrics text, for a page that Prometheus reads again and again.
// outcome is what it would be if it ended now, up whether requests are being sent; in a gap they are not. Its errors
// are those of w.
func WriteWatch(w io.Writer, x report.Watch, outcome string, up bool) error {
	registry, err := registryOf(watchMetrics(x, outcome, up), nil)
	if err != nil {
		return err
	}
	return write(w, registry)
}

func watchMetrics(x report.Watch, outcome string, up bool) []metric {
	var l list
	truth := map[bool]float64{true: 1}
	l.add("splitbench_watch_up", "1 where requests are being sent, 0 in a gap.", "1", truth[up])
	l.add("splitbench_watch_failed", "1 where a share was shown to be outside its tolerance.", "1",
		truth[outcome == report.Fail])
	l.add("splitbench_watch_passed", "1 where every likely range lies within its tolerance.", "1",
		truth[outcome == report.Pass])
	l.known("splitbench_watch_log_evidence", "Natural logarithm of the e-value against the weights.", x.LnE)
	l.add("splitbench_watch_memory_bytes", "Memory that splitbench itself has.", "By", float64(x.Memory))
	l.total("splitbench_watch_looks_total", "Looks so far.", "{look}", float64(x.Looks))
	l.total("splitbench_watch_lost_total", "Requests without a known backend.", "{request}", float64(x.Lost))
	l.total("splitbench_watch_set_aside_total", "Results of looks that broke off, counted nowhere.", "{request}",
		float64(x.SetAside))
	l.total("splitbench_watch_gaps_total", "Times in which nothing was measured, one that is not over too.", "{gap}",
		float64(x.GapCount))
	l.total("splitbench_watch_gap_seconds_total", "Length together of the gaps that are over.", "s", x.GapTime)
	for _, b := range x.Backends {
		of := label{"backend", b.Backend}
		l.total("splitbench_watch_requests_total", "Answers of the backend.", "{request}", float64(b.Observed), of)
		low, high := math.NaN(), math.NaN() // which add leaves out
		if i := b.Interval; i != nil && i.Low != nil && i.High != nil {
			low, high = *i.Low, *i.High
		}
		l.add("splitbench_watch_share_low_ratio", "Low end of the likely range of the share, at all looks together.", "1",
			low, of)
		l.add("splitbench_watch_share_high_ratio", "High end of the likely range of the share, at all looks together.", "1",
			high, of)
	}
	return l.metrics
}

// total adds a number that only ever rises.
func (l *list) total(name, help, unit string, value float64, labels ...label) {
	l.metrics = append(l.metrics, metric{name, help, unit, labels, value, true})
}
