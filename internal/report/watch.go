package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/chart"
)

// Watch is what anytime-valid monitoring has seen: looks without end, with one error rate for all of them together.
type Watch struct {
	Requests int64   `json:"requests"` // with a known backend
	Lost     int64   `json:"lost"`     // without
	Looks    int64   `json:"looks"`
	Seconds  float64 `json:"seconds"` // since the first request
	// ln of the e-value against the weights; null after an answer of a weight-0 backend
	LnE       *float64      `json:"lnE"`
	Anytime   *Probability  `json:"anytime"`
	Backends  []WatchedPart `json:"backends"`
	SetAside  int64         `json:"setAside"` // results of looks that broke off, counted nowhere
	Pods      []string      `json:"pods"`     // that sent, in order; the last 100
	Gaps      []WatchGap    `json:"gaps"`     // in which nothing was measured; the last 100
	GapCount  int64         `json:"gapCount"`
	GapTime   float64       `json:"gapSeconds"`      // together
	Memory    int64         `json:"memoryBytes"`     // that splitbench itself had at the last look
	FailedAt  *float64      `json:"failedAtSeconds"` // null: it did not
	Failure   *WatchFailure `json:"failure"`         // null: none was seen
	Decided   bool          `json:"decided"`         // every likely range lay within its tolerance
	Tolerance float64       `json:"tolerancePoints"`
	// what was known at looks from the first to the last; absent in documents of versions that did not keep it
	History []WatchedLook `json:"history,omitempty"`
}

// MaxHistory bounds the History of a Watch: where there would be more, every second look goes.
const MaxHistory = 240

// WatchedLook is what was known at one look.
type WatchedLook struct {
	AtSeconds float64       `json:"atSeconds"` // since the first request
	LnE       *float64      `json:"lnE"`       // as of the Watch
	Backends  []WatchedPart `json:"backends"`
}

// WatchedPart is one backend.
type WatchedPart struct {
	Backend  string    `json:"backend"`
	Weight   int64     `json:"weight"`
	Observed int64     `json:"observed"`
	Interval *Interval `json:"interval"` // of its share; holds at all looks together
}

// WatchGap is a time in which nothing was measured, and why.
type WatchGap struct {
	At time.Time `json:"at"`
	// the same since the first request; absent in documents of versions that did not tell
	AtSeconds *float64 `json:"atSeconds,omitempty"`
	Seconds   float64  `json:"seconds"`
	From      string   `json:"fromPod"` // that sent before
	To        string   `json:"toPod"`   // that sent after it, "" where none did
	Why       string   `json:"why"`     // what began it
}

// String is the gap as one line.
func (g WatchGap) String() string {
	text := fmt.Sprintf("%s, %s, ", g.At.Format(time.RFC3339), seconds(g.Seconds))
	switch {
	case g.To == "":
		text += "until the end of the watch, pod " + g.From
	case g.To == g.From:
		text += "pod " + g.From
	default:
		text += "from pod " + g.From + " to pod " + g.To
	}
	return text + ": " + g.Why
}

// WatchFailure is what showed that a share was outside its tolerance: the look back that did it most clearly.
type WatchFailure struct {
	Backend      string    `json:"backend"`
	Side         string    `json:"side"` // above or below its tolerance, or leak: weight 0, and it answered
	Edge         float64   `json:"edge"` // of the tolerance, a share
	Since        time.Time `json:"since"`
	Seconds      float64   `json:"seconds"`  // since then
	Requests     int64     `json:"requests"` // of that time, those without a known backend too
	Observed     int64     `json:"observed"` // of them, answered by the backend
	Unattributed int64     `json:"unattributed"`
}

// Sides of a WatchFailure.
const (
	SideAbove = "above"
	SideBelow = "below"
	SideLeak  = "leak"
)

// String is the failure as a sentence.
func (f WatchFailure) String() string {
	if f.Side == SideLeak {
		return fmt.Sprintf("%s has weight 0 and answered %s", f.Backend, plural(f.Observed, "request"))
	}
	text := fmt.Sprintf("%s answered %s of the %s of the last %s (%s), %s the %s where its tolerance ends", f.Backend,
		count(f.Observed),
		plural(f.Requests, "request"), seconds(f.Seconds), percent(float64(f.Observed)/float64(f.Requests)), f.Side,
		percent(f.Edge))
	if f.Unattributed > 0 {
		text += fmt.Sprintf(", wherever the %s without a known backend went", count(f.Unattributed))
	}
	return text
}

// MaxWatchList bounds the lists of a Watch: it has no end.
const MaxWatchList = 100

// watchReport is a report about shares without end.
type watchReport struct{ splitReport }

func (d watchReport) title() string {
	return d.subject() + ", " + weightsLabel(d.Report) + " weights, watched"
}

func (d watchReport) headline() string {
	w := d.Watch
	size := fmt.Sprintf("%s in %s, %s", plural(w.Requests, "request"), seconds(w.Seconds), plural(w.GapCount, "gap"))
	switch d.Verdict.Outcome {
	case Pass:
		return "traffic followed the weights whenever it was measured (" + size + ")"
	case Fail:
		at := 0.0
		if w.FailedAt != nil {
			at = *w.FailedAt
		}
		return fmt.Sprintf("traffic does NOT follow the weights, seen after %s (%s)", seconds(at), size)
	case Inconclusive:
		return "not decided (" + size + ")"
	}
	return notMeasured(d.Verdict.Reasons)
}

func (d watchReport) lead() string    { return "" }
func (d watchReport) requests() int64 { return d.Watch.Requests + d.Watch.Lost }

// matter: its bounds are widened by them, and nobody asked what they would be without.
func (d watchReport) matter() string { return "the ranges of the shares count them on either side" }

func (d watchReport) sentences() []string {
	s := d.Watch.sentences()
	if f := inForceSentence(d.Report); f != "" {
		s = append([]string{f}, s...)
	}
	return s
}

func (d watchReport) sections() []Section {
	gaps := List{Ordered: true} // by the numbers in the chart
	for _, g := range d.Watch.Gaps {
		gaps.Items = append(gaps.Items, Item{Text: g.String()})
	}
	out := []Section{
		{ID: "result", Title: "Result", Blocks: paragraphs(d.sentences()...)},
		{ID: "watched", Title: "Over the watch", Level: Page, Blocks: []Block{watchFigure(d.Report)}},
		{ID: "gaps", Title: "Gaps", Blocks: []Block{gaps}},
	}
	if d.splitReport.requests() > d.Unattributed.Requests {
		out = append([]Section{sharesSection(d.Report)}, out...)
	}
	return out
}

// watchFigure is the likely range of each share as it was known at each look, the evidence against the weights, and
// the gaps; nil where no looks were kept.
func watchFigure(r Report) *Figure {
	w := r.Watch
	if len(w.History) < 2 {
		return nil
	}
	shares := chart.Panel{
		Title: "Share of each backend, with the range it is likely in at all looks together", Height: chart.High,
		Y: chart.Axis{Most: 1, Text: percentTight},
	}
	for i, b := range r.Backends[:min(len(r.Backends), maxLines)] {
		line, ranges := chart.Line{Name: b.Name, Series: i}, []chart.Point{}
		for _, look := range w.History {
			if i >= len(look.Backends) {
				continue
			}
			part, total := look.Backends[i], int64(0)
			for _, other := range look.Backends {
				total += other.Observed
			}
			p := chart.Point{X: look.AtSeconds, Y: float64(part.Observed) / float64(total)}
			line.Points = append(line.Points, p)
			if low, high, ok := part.Interval.Ends(); ok {
				p.Range = &chart.Range{Low: low, High: high}
				ranges = append(ranges, p)
			}
		}
		shares.Lines, shares.Bands = append(shares.Lines, line), append(shares.Bands, ranges)
		for _, edge := range []float64{b.ExpectedShare - w.Tolerance/100, b.ExpectedShare + w.Tolerance/100} {
			rule := chart.Rule{Y: edge, Text: fmt.Sprintf("tolerance of %s", b.Name)}
			same := func(other chart.Rule) bool { return math.Abs(other.Y-edge) < 1e-9 }
			if b.Weight > 0 && len(r.Backends) <= maxBands && !slices.ContainsFunc(shares.Rules, same) {
				shares.Rules = append(shares.Rules, rule)
			}
		}
	}
	plot := chart.Plot{
		X:      chart.Axis{Label: sinceFirst, Text: plainNumber},
		Panels: []chart.Panel{shares, evidencePanel(r)},
	}
	for i, g := range w.Gaps {
		if g.AtSeconds != nil {
			within := &chart.Range{Low: *g.AtSeconds, High: *g.AtSeconds + g.Seconds}
			plot.Events = append(plot.Events, chart.Mark{
				At: within.Low, Range: within, Text: strconv.Itoa(i + 1),
				Shape: chart.Letter,
			})
		}
	}
	if w.FailedAt != nil {
		plot.Moments = []chart.Mark{{At: *w.FailedAt, Text: "failed"}}
	}
	last := w.History[len(w.History)-1]
	return &Figure{
		ID: "watched", Chart: plot,
		Summary: fmt.Sprintf("Shares and evidence at %s over %s. %s", plural(w.Looks, "look"), seconds(last.AtSeconds),
			strings.Join(w.sentences(), " ")),
		Caption: "Shaded: where a share is likely to be, at all looks together; it narrows as requests come. Dashed: " +
			"where the " +
			"tolerance ends. Numbers above are gaps, in the list below, in which nothing was measured or the watch moved to " +
			"another pod.",
	}
}

// evidencePanel is the evidence that the weights are not met exactly, on a logarithmic axis.
func evidencePanel(r Report) chart.Panel {
	line := chart.Line{Series: 0}
	for _, look := range r.Watch.History {
		p := chart.Point{X: look.AtSeconds, Y: math.NaN()}
		if look.LnE != nil {
			p.Y = *look.LnE / math.Ln10
		}
		line.Points = append(line.Points, p)
	}
	panel := chart.Panel{
		Title: "Evidence that the weights are not met exactly (e)", Height: 110, Lines: []chart.Line{line},
		Y: chart.Axis{Text: func(v float64) string { return "1e" + plainNumber(v) }},
	}
	if a := r.Verdict.Alpha; a > 0 {
		panel.Rules = []chart.Rule{{Y: -math.Log10(a), Text: "shown from here on"}}
	}
	return panel
}

func (w *Watch) sentences() []string {
	var s []string
	holds := "at all looks together"
	if w.Failure != nil {
		holds = "if it had been the same all the time" // which it was not, if it left its tolerance later
	}
	for _, b := range w.Backends {
		s = append(s, fmt.Sprintf("%s: weight %d, %s answers, likely range %s %s.", b.Backend, b.Weight, count(b.Observed),
			likelyRange(b.Interval), holds))
	}
	if w.LnE != nil {
		s = append(s, fmt.Sprintf("Evidence that the weights are not met exactly, over all of the watch: e = %.3g after "+
			"%s; from 1/alpha on it would be shown.", math.Exp(*w.LnE), plural(w.Looks, "look")))
	}
	if w.GapCount > 0 {
		s = append(s, fmt.Sprintf("%s of together %s, in which nothing was measured; %s of looks that broke off are "+
			"counted nowhere.", plural(w.GapCount, "gap"), seconds(w.GapTime), plural(w.SetAside, "result")))
	}
	if w.Lost > 0 {
		s = append(s, fmt.Sprintf("%s without a known backend.", plural(w.Lost, "request")))
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
