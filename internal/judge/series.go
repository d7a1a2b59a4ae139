package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// Windows of time are counted as results come, when nobody knows yet how long the burst will be: they start narrow, and
// two become one whenever there are too many. So memory is bounded and every request is counted, also of ten million.
const (
	firstWidth = 5 * time.Millisecond
	maxCounted = 512 // windows while counting; the report has fewer
)

// windows counts results by the instant at which they were sent. The zero value counts nothing.
type windows struct {
	width  time.Duration
	fields int     // of one window: the backends, then unattributed, then errors
	cells  []int64 // window by window
}

func newWindows(backends int) windows {
	return windows{width: firstWidth, fields: backends + 2}
}

func (w *windows) add(r attack.Result) {
	if w.width == 0 {
		return
	}
	at := int(max(r.Sent, 0) / w.width)
	for at >= maxCounted {
		w.join(2)
		at = int(max(r.Sent, 0) / w.width)
	}
	for len(w.cells) < (at+1)*w.fields {
		w.cells = append(w.cells, make([]int64, w.fields)...)
	}
	cell := w.cells[at*w.fields:]
	backends := w.fields - 2
	if b := int(r.Backend); b >= 0 && b < backends {
		cell[b]++
	} else {
		cell[backends]++
	}
	if r.Err != attack.OK || r.Status >= 500 {
		cell[backends+1]++
	}
}

// join makes one window of every n.
func (w *windows) join(n int) {
	have := w.count()
	joined := (have + n - 1) / n
	for i := range have {
		into, from := w.cells[i/n*w.fields:], w.cells[i*w.fields:]
		for f := range w.fields {
			v := from[f]
			if i%n == 0 {
				into[f] = 0 // its old content was read before: windows only move towards the front
			}
			into[f] += v
		}
	}
	w.cells = w.cells[:joined*w.fields]
	w.width *= time.Duration(n)
}

func (w *windows) count() int {
	if w.fields == 0 {
		return 0
	}
	return len(w.cells) / w.fields
}

// maxNumbers bounds what a report holds of all windows and backends together.
const maxNumbers = 4000

// overTime is nil where nothing was counted. requests is how many were.
func (w *windows) overTime(requests uint64, weights analyze.Weights) *report.OverTime {
	have := w.count()
	if have == 0 || requests == 0 {
		return nil
	}
	most := max(1, min(report.MaxWindows, maxNumbers/w.fields))
	// As many as hold enough requests each, but never so few that nothing can be seen over time.
	want := min(most, max(int(requests/report.MinPerWindow), min(4, have)))
	c := windows{width: w.width, fields: w.fields, cells: append([]int64(nil), w.cells...)}
	if n := (have + want - 1) / want; n > 1 {
		c.join(n)
	}
	out := &report.OverTime{WindowSeconds: c.width.Seconds(), Windows: c.count()}
	column := func(f int) []int64 {
		v := make([]int64, c.count())
		for i := range v {
			v[i] = c.cells[i*c.fields+f]
		}
		return v
	}
	for i, x := range weights {
		out.Backends = append(out.Backends, report.WindowCount{Backend: x.Backend, Observed: column(i)})
	}
	out.Unattributed, out.Errors = column(c.fields-2), column(c.fields-1)
	return out
}

// overTime adds quantiles of the response times of each window that has enough of them.
func (c *costTimes) overTime(o *report.OverTime) {
	if o == nil || o.Windows > report.MaxWindows {
		return
	}
	width := time.Duration(o.WindowSeconds * float64(time.Second))
	times := make([][][]int64, len(o.Backends))
	for i := range times {
		times[i] = make([][]int64, o.Windows)
	}
	for _, x := range c.kept {
		if at := int(max(x.due, 0) / width); int(x.who) < len(times) && at < o.Windows {
			times[x.who][at] = append(times[x.who][at], x.took)
		}
	}
	for i, windows := range times {
		of := func(q float64) []*float64 {
			values, known := make([]*float64, o.Windows), false
			for k, w := range windows {
				if report.Enough(int64(len(w)), q) {
					values[k], known = report.Ms(float64(quantilesOf(w)(q))), true
				}
			}
			if !known {
				return nil
			}
			return values
		}
		o.Backends[i].P50Ms, o.Backends[i].P90Ms = of(0.5), of(0.9)
	}
}

// startedAt is the pod's clock when the burst began, zero where it did not say.
func startedAt(t wire.Totals) time.Time {
	if t.StartedUnixNs <= 0 {
		return time.Time{}
	}
	return time.Unix(0, t.StartedUnixNs).UTC()
}

// marksOf are what happened while the burst was sent, in order: what the user marked, what was seen to change, and
// where no change of the split was seen, what the split says of its last writer. They are placed by this machine's
// clock, whose distance from the pod's is known; where it is not, what it would place is left out.
func marksOf(m record.Manifest, totals wire.Totals, length time.Duration) []report.Mark {
	var out []report.Mark
	written := false
	if m.Clock.Known && totals.StartedUnixNs > 0 {
		began, _ := m.Clock.Local(totals.StartedUnixNs)
		add := func(at time.Time, text string) {
			out = append(out, report.Mark{AtSeconds: Rounded(at.Sub(began).Seconds()), Text: text})
		}
		for _, x := range m.Marks {
			add(x.At, fmt.Sprintf(report.SayMark, x.Text))
		}
		for _, x := range m.Moves {
			written = written || x.Law
			add(x.At, fmt.Sprintf(report.SayMove, x.What, x.Before, x.After))
		}
	}
	if mark, ok := lastWrite(m, startedAt(totals), length); ok && !written {
		out = append(out, mark)
	}
	slices.SortStableFunc(out, func(a, b report.Mark) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) })
	return out
}

// lastWrite is what the split says of when it was written, if that was during the burst.
func lastWrite(m record.Manifest, started time.Time, length time.Duration) (report.Mark, bool) {
	if m.Before == nil || m.After == nil || started.IsZero() {
		return report.Mark{}, false
	}
	at := m.After.Split.LastWritten.Sub(started)
	if !m.After.Split.LastWritten.After(m.Before.Split.LastWritten) || at < 0 || at > length {
		return report.Mark{}, false
	}
	text := report.SayWritten
	if who := m.After.Split.LastWriter; who != "" {
		text = fmt.Sprintf(report.SayWrittenBy, untrusted.Safe(who))
	}
	return report.Mark{AtSeconds: at.Seconds(), Text: text}, true
}
