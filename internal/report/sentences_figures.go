package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
)

// Sentences that go with charts and tables, and what the words of a report mean.

func shareValue(b Backend) string {
	if b.ObservedShare == nil {
		return "nothing observed"
	}
	s := percent(*b.ObservedShare)
	if low, high, ok := b.Interval.Ends(); ok {
		s += fmt.Sprintf(", likely %s to %s", percent(low), percent(high))
	}
	return s + ", weight " + percent(b.ExpectedShare)
}

// Ends are the ends of an interval that has both.
func (i *Interval) Ends() (low, high float64, ok bool) {
	if i == nil || i.Low == nil || i.High == nil {
		return 0, 0, false
	}
	return *i.Low, *i.High, true
}

func sharesSummary(r Report) string {
	var s []string
	for _, b := range r.Backends {
		s = append(s, b.Name+": "+shareValue(b))
	}
	return "Observed and expected shares. " + strings.Join(s, "; ") + "."
}

func sharesCaption(r Report) string {
	for _, b := range r.Backends {
		if b.Interval != nil && b.Interval.Level > 0 {
			return fmt.Sprintf("The likely range is where the true share is, in %s of all such runs (%s). "+
				"A share is right where its likely range lies within what the tolerance allows.", percent(b.Interval.Level), b.Interval.Method)
		}
	}
	return "Observed shares beside the declared weights."
}

func timeSummary(r Report) string {
	o := r.Series.OverTime
	totals := windowTotals(o)
	var s []string
	for i, b := range o.Backends {
		if points := sharesOverTime(o, totals, b.Observed); i < maxLines && len(points) > 0 {
			share := func(a, b chart.Point) int { return cmp.Compare(a.Y, b.Y) }
			least, most := slices.MinFunc(points, share), slices.MaxFunc(points, share)
			s = append(s, fmt.Sprintf("%s between %s and %s", b.Backend, percent(least.Y), percent(most.Y)))
		}
	}
	return fmt.Sprintf("Share of each backend over time, in %d windows: %s. The numbers are in the table below.", o.Windows, strings.Join(s, ", "))
}

func timeCaption(r Report) string {
	o := r.Series.OverTime
	var n int64
	for _, v := range windowTotals(o) {
		n += v
	}
	s := fmt.Sprintf("Each point is the share in a window of %s, about %s. Dashed lines across: the weights.",
		secondsOf(o.WindowSeconds, o.WindowSeconds), plural(int64(math.Round(float64(n)/float64(o.Windows))), "request"))
	if len(r.Backends) <= maxBands {
		s += " The shaded bands hold about 99 of 100 such windows where the weights are obeyed."
	}
	return s
}

func latencySummary(r Report) string {
	var s []string
	for _, b := range r.Backends {
		if b.Latency != nil {
			q := b.Latency.ResponseTime
			s = append(s, fmt.Sprintf("%s: median %s, 99 of 100 within %s", b.Name, ms(q.P50Ms), ms(q.P99Ms)))
		}
	}
	return "Response time by quantile. " + strings.Join(s, "; ") + "."
}

func latencyCaption() string {
	return "Each step to the right along the axis leaves a tenth of the requests: at 99% one in a hundred took longer. Both axes are logarithmic. " +
		"Lines end where there are too few answers to know more."
}
