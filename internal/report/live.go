package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/chart"
)

// Live is what a measurement has found so far, for who waits for its end. It decides nothing: its ranges hold together
// at all moments at which they are shown, and a run is judged when it is over.
type Live struct {
	Elapsed, Left     time.Duration // Left is 0 where no end is known
	Requests, Planned uint64        // Planned is 0 where no number is
	Failures          string        // by kind; "": none
	FailedNow         float64       // per second, since the facts before these
	Times             Quantiles     // of complete answers, since they were due
	SendLagP99Us      *float64
	Parts             []LivePart
}

// LivePart is a backend of a split, or a target or step of a comparison.
type LivePart struct {
	Name     string
	Weight   *float64 // its share of the weights; nil where there are none
	Observed int64
	Share    *float64 // nil where it is no part of a whole
	Range    *Interval
	Now      float64    // per second, since the facts before these
	Times    *Quantiles // nil of a backend: they are those of all
}

// LiveOf are the facts of a load so far.
func LiveOf(s *attack.Summary) Live {
	return Live{
		Requests: s.Requests, Failures: FailuresOf(s, attack.Dials{}), Times: QuantilesOf(s.Timed(), s.ResponseTime),
		SendLagP99Us: QuantileOf(int64(s.Sent), 0.99, s.SendLag, time.Microsecond),
	}
}

// Outline is the facts as a terminal shows them: what matters most is above, for one that is low.
func (l Live) Outline() Outline {
	var facts Fields
	facts.add("Errors", l.errors())
	facts.add("Answers", l.Times.live())
	facts.add("Sent", l.lag())
	bars := chart.Bars{X: chart.Axis{Most: 1, Text: percentTight}, Values: "share so far", Targets: "weight"}
	for _, p := range l.Parts {
		if p.Weight != nil {
			bars.Rows = append(bars.Rows, chart.Bar{Name: p.Name, Value: p.Share, Target: *p.Weight})
		}
	}
	blocks := []Block{Paragraph(l.progress()), l.table(), facts, &Figure{Chart: bars}}
	return Outline{Sections: outlined(Section{ID: "live", Blocks: blocks})}
}

func (l Live) table() Table {
	t := Table{Columns: headings(1, "Backend", "Weight", "So far", "Range", "Answers", "Now")}
	if len(l.Parts) > 0 && l.Parts[0].Times != nil {
		t.Columns = headings(1, "Target", "Sent", "Now", "p50", "p90", "p99")
	}
	for _, p := range l.Parts {
		now := rate(p.Now)
		if p.Times != nil {
			t.Rows = append(t.Rows, row(p.Name, count(p.Observed), now, ms(p.Times.P50Ms), ms(p.Times.P90Ms), ms(p.Times.P99Ms)))
			continue
		}
		t.Rows = append(t.Rows, row(p.Name, known(p.Weight, shareColumn), known(p.Share, shareColumn), likelyRange(p.Range),
			count(p.Observed), now))
	}
	return t
}

// Line is the facts in one line, for a log.
func (l Live) Line() string {
	said := []string{l.progress()}
	for i, p := range l.Parts {
		if i == maxLines {
			said = append(said, fmt.Sprintf("and %d more", len(l.Parts)-i))
			break
		}
		said = append(said, p.String())
	}
	said = append(said, "errors "+l.errors(), "answers "+l.Times.live())
	if lag := l.lag(); lag != "" {
		said = append(said, "sent "+lag)
	}
	return strings.Join(said, "; ")
}

// String is the part in a line of several.
func (p LivePart) String() string {
	switch {
	case p.Times != nil:
		return fmt.Sprintf("%s %s sent, %s", p.Name, count(p.Observed), p.Times.live())
	case p.Weight == nil || p.Share == nil:
		return p.Name + " " + count(p.Observed)
	}
	text := fmt.Sprintf("%s %s (weight %s", p.Name, percentTight(*p.Share), percentTight(*p.Weight))
	if p.Range != nil {
		text += ", range so far " + likelyRange(p.Range)
	}
	return text + ")"
}

func (l Live) progress() string {
	text := l.Elapsed.Round(time.Second).String()
	if l.Left > 0 {
		text += fmt.Sprintf(", %s left", l.Left.Round(time.Second))
	}
	if l.Planned > 0 {
		return fmt.Sprintf("%s: %s of %s", text, count(int64(l.Requests)), plural(int64(l.Planned), "request"))
	}
	return text + ": " + plural(int64(l.Requests), "request")
}

func (l Live) errors() string {
	switch {
	case l.Failures == "":
		return "none"
	case l.FailedNow > 0:
		return fmt.Sprintf("%s; now %s", l.Failures, rate(l.FailedNow))
	}
	return l.Failures
}

func (l Live) lag() string {
	if l.SendLagP99Us == nil {
		return ""
	}
	return "99 in 100 within " + micros(l.SendLagP99Us) + " of the plan"
}

// live writes the quantiles that are watched.
func (q Quantiles) live() string {
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s", ms(q.P50Ms), ms(q.P90Ms), ms(q.P99Ms))
}
