package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/splitbench/splitbench/internal/chart"
)

// Sentences that go with charts and tables, and what the words of a report mean.

// usersSentence says what the split means for those who use the service. It needs times of every backend and enough of them.
func usersSentence(r Report) string {
	if (r.Verdict.Outcome != Pass && r.Verdict.Outcome != Fail) || len(r.Backends) != 2 {
		return ""
	}
	a, b := r.Backends[0], r.Backends[1]
	if a.ObservedShare == nil || b.ObservedShare == nil || *a.ObservedShare == 0 || *b.ObservedShare == 0 {
		return ""
	}
	s := fmt.Sprintf("About %s to %s", inWords(*b.ObservedShare), b.Name)
	if p, q := medianOf(a), medianOf(b); p != nil && q != nil {
		difference := math.Abs(*q - *p)
		word := "slower"
		if *q < *p {
			word = "faster"
		}
		if difference < 0.05*max(*p, *q) {
			return s + fmt.Sprintf(", which is about as fast at the median (%s and %s).", ms(q), ms(p))
		}
		s += fmt.Sprintf(", which is %s %s than %s at the median (%s instead of %s)", ms(&difference), word, a.Name, ms(q), ms(p))
	}
	return s + "."
}

func medianOf(b Backend) *float64 {
	if b.Latency == nil {
		return nil
	}
	return b.Latency.ResponseTime.P50Ms
}

// inWords is a share as people say it.
func inWords(share float64) string {
	if share >= 0.35 {
		return percent(share) + " of the requests go"
	}
	return fmt.Sprintf("1 in %s requests goes", count(int64(math.Round(1/share))))
}

func shareValue(b Backend) string {
	if b.ObservedShare == nil {
		return "nothing observed"
	}
	s := percent(*b.ObservedShare)
	if low, high, ok := b.Interval.ends(); ok {
		s += fmt.Sprintf(", likely %s to %s", percent(low), percent(high))
	}
	return s + ", weight " + percent(b.ExpectedShare)
}

// ends are the ends of an interval that has both.
func (i *Interval) ends() (low, high float64, ok bool) {
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

func latencyNotes(r Report) []string {
	var s []string
	if n := quantileNote(r); n != "" {
		s = append(s, n)
	}
	if r.Load != nil && !r.Load.OnTime {
		s = append(s, "The generator was late: these times are not the mesh's alone.")
	}
	return s
}

// labels are the labels of a run in the order of their keys.
func labels(m map[string]string) []string {
	var s []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		s = append(s, k+"="+m[k])
	}
	return s
}

// glossary says what the words of a report mean, to a reader who knows no statistics.
func glossary() []pair {
	return []pair{
		{"Pass", "Every share is within its tolerance of the weight, and that was shown: were one outside, so good a result would be rarer than the stated error rate."},
		{"Fail", "Some share is outside its tolerance, and that was shown; or a backend of weight 0 answered."},
		{"Inconclusive", "These requests cannot tell. It is neither good nor bad news; more requests would decide, and the report says how many."},
		{"Invalid", "What was measured is not what was declared, or nothing was measured. The reasons say what to mend."},
		{"Weight and expected share", "Weights only count in proportion: 90 and 10 declare 90 % and 10 %. The expected share is the weight divided by the sum of all."},
		{"Likely range", "A confidence interval: where the true share can be after what was seen. More requests make it narrower."},
		{"Tolerance", "How far a share may be from its weight and still be called right. It is set before the run; by default the smaller of 5 points and half the share."},
		{"Points", "Percentage points: from 10 % to 12 % is 2 points."},
		{"By chance", "Even a perfect split never gives exactly its weights, since each request is drawn. The report says how often a gap like this one would turn up in runs against a perfect split."},
		{"Response time", "From the instant at which a request was planned to be sent until its answer was read. Service time counts from when it was really sent."},
		{"p50, p99", "Half of the requests, or 99 of 100, were answered within that time."},
		{"Unattributed", "Requests of which nobody can say which backend answered. They are never left out: where they could change the outcome it is inconclusive."},
	}
}
