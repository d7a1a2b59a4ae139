package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

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
