package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/chart"
)

// HistoryValue is one number of a run, of one backend, with its likely range.
type HistoryValue struct {
	Backend string   `json:"backend"`
	Value   *float64 `json:"value"`
	Low     *float64 `json:"low"`
	High    *float64 `json:"high"`
}

// sharesOf are the observed shares of a report, for a list of runs to compare.
func sharesOf(r Report) (out []HistoryValue) {
	for _, b := range r.Backends[:min(len(r.Backends), maxLines)] {
		m := HistoryValue{Backend: b.Name, Value: b.ObservedShare}
		if b.Interval != nil {
			m.Low, m.High = b.Interval.Low, b.Interval.High
		}
		out = append(out, m)
	}
	return out
}

// costsOf is what the gateway cost at the median, in ms.
func costsOf(g *GatewayCost) (out []HistoryValue) {
	if g == nil {
		return nil
	}
	for _, c := range g.Costs[:min(len(g.Costs), maxLines)] {
		for _, q := range c.Quantiles {
			if q.Quantile == 0.5 {
				out = append(out, HistoryValue{c.Backend, q.Ms, q.LowMs, q.HighMs})
			}
		}
	}
	return out
}

// History is how the runs of one split went, oldest first; All is how many there are, where these are the newest.
type History struct {
	Subject string    `json:"subject"`
	All     int       `json:"all"`
	Runs    []Summary `json:"runs"`
}

// Outline is the history as people read it: the outcome is the newest run's.
func (h History) Outline() Outline {
	count := map[string]int{}
	for _, s := range h.Runs {
		count[s.Outcome]++
	}
	o := Outline{
		Title: "history of " + h.Subject, Subject: h.Subject, Headline: "no run is stored", Script: "splitbench-history",
	}
	if len(h.Runs) == 0 {
		return o
	}
	first, last := h.Runs[0], h.Runs[len(h.Runs)-1]
	o.Outcome, o.Word = last.Outcome, strings.ToUpper(last.Outcome)
	var counts []string
	for _, outcome := range []string{Pass, Fail, Inconclusive, Invalid, Measured} {
		if n := count[outcome]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, outcome))
		}
	}
	o.Headline = fmt.Sprintf("the newest run is %s; of %s: %s", last.Outcome, plural(int64(len(h.Runs)), "run"),
		strings.Join(counts, ", "))
	o.Facts.add("From", day(first.Started))
	o.Facts.add("To", day(last.Started))
	if h.All > len(h.Runs) {
		o.Facts.add("Shown", fmt.Sprintf("the newest %d of %d", len(h.Runs), h.All))
	}
	o.Sections = outlined(
		Section{ID: "shares", Title: "Shares", Blocks: []Block{h.figure("share-history",
			"Observed share of each backend, run by run, with its likely range.", percentTight,
			func(s Summary) []HistoryValue { return s.Shares })}},
		Section{ID: "cost", Title: "What the gateway cost", Blocks: []Block{h.figure("cost-history",
			"How much longer the median answer of another cluster took, run by run, with its likely range.", axisMs,
			func(s Summary) []HistoryValue { return s.Costs })}},
		Section{ID: "runs", Title: "Runs", Blocks: []Block{Fields{
			{Label: "All of them", Text: "with filters, to open or compare", Link: "/?split=" + url.QueryEscape(h.Subject)},
			{Label: "Newest", Text: last.ID, Link: "/runs/" + url.PathEscape(last.ID) + "/"},
		}}},
	)
	return o
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// figure draws numbers of each run where it began; nil where no run has any.
func (h History) figure(id, about string, text func(float64) string, of func(Summary) []HistoryValue) *Figure {
	var lines []chart.Line
	place := map[string]int{}
	for _, s := range h.Runs {
		for _, m := range of(s) {
			i, ok := place[m.Backend]
			if !ok && len(lines) == maxLines {
				continue
			}
			if !ok {
				i = len(lines)
				place[m.Backend] = i
				lines = append(lines, chart.Line{Name: m.Backend, Series: i, Dots: true, Apart: len(h.Runs) == 1})
			}
			if m.Value == nil {
				continue
			}
			p := chart.Point{X: float64(s.Started.Unix()), Y: *m.Value}
			if m.Low != nil && m.High != nil {
				p.Range = &chart.Range{Low: *m.Low, High: *m.High}
			}
			lines[i].Points = append(lines[i].Points, p)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	first, last := h.Runs[0].Started, h.Runs[len(h.Runs)-1].Started
	return &Figure{ID: id, Summary: about, Caption: about, Chart: chart.Plot{
		X:      dates(first, last),
		Panels: []chart.Panel{{Height: chart.High, Y: chart.Axis{Text: text}, Lines: lines}},
	}}
}

// dates is an axis of days, or of hours where there are few days.
func dates(first, last time.Time) chart.Axis {
	layout, span := "2 Jan 2006", last.Sub(first)
	if span < 5*24*time.Hour {
		layout = "2 Jan 15:04"
	}
	const steps = 5
	a := chart.Axis{
		Label: "start of the run (UTC)",
		Text:  func(v float64) string { return time.Unix(int64(v), 0).UTC().Format(layout) },
	}
	margin := max(span/50, time.Minute) // so that no dot lies on the edge
	a.Min, a.Max = float64(first.Add(-margin).Unix()), float64(last.Add(margin).Unix())
	for i := range steps {
		a.Ticks = append(a.Ticks, a.Min+(a.Max-a.Min)*(float64(i)+0.5)/steps)
	}
	return a
}

// SummarySchema names the layout of a run's summary.json.
const SummarySchema = "splitbench.summary/v1"

// Kinds of stored runs: what was measured, and so what the other files of the folder mean.
const (
	KindSplit   = "split"   // do the shares follow the weights
	KindLatency = "latency" // what the gateway costs
	KindDrill   = "drill"   // what a failover does
)

// Summary is what a list of runs shows of each one: a few hundred bytes, so that a thousand runs are listed without
// reading a thousand reports. It says nothing that the report does not say.
type Summary struct {
	Schema    string            `json:"schema"`
	ID        string            `json:"id"`
	Kind      string            `json:"kind"`
	Outcome   string            `json:"outcome"`
	Subject   string            `json:"subject"` // namespace/name of what was measured
	Weights   string            `json:"weights,omitempty"`
	Started   time.Time         `json:"started"`
	Ended     time.Time         `json:"ended"`
	Requests  int64             `json:"requests"`
	Labels    map[string]string `json:"labels,omitempty"`
	Tool      string            `json:"tool"`
	Simulated bool              `json:"simulated"`

	Shares []HistoryValue `json:"shares,omitempty"` // of the first backends
	Costs  []HistoryValue `json:"costs,omitempty"`  // of the gateway at the median, in ms
}

// Summarize takes the summary of a run from its report.
func Summarize(r Report) Summary {
	s := Summary{Schema: SummarySchema, Kind: runKind(r), Outcome: r.Verdict.Outcome}
	if len(r.Backends) > 0 {
		s.Weights = weightsLabel(r)
	}
	s.Shares, s.Costs = sharesOf(r), costsOf(r.GatewayCost)
	d := r.document()
	s.Subject, s.Requests = d.subject(), d.requests()
	if r.Run != nil {
		s.ID, s.Started, s.Ended, s.Labels, s.Tool = r.Run.ID, r.Run.Started, r.Run.Ended, r.Run.Labels, r.Run.Tool
		s.Simulated = r.Run.Simulated != ""
	}
	return s
}

// WriteSummary gives the bytes of summary.json.
func WriteSummary(s Summary) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write summary: %w", err)
	}
	return append(b, '\n'), nil
}

// ErrNotSummary says that a file is no summary of ours.
var ErrNotSummary = errors.New("not a summary of a run")

// maxSummary bounds what ReadSummary takes.
const maxSummary = 1 << 20

// ReadSummary reads what WriteSummary wrote. Another kind of file is ErrNotSummary, another version ErrNewer; keys that
// are not known are passed over, because a list must also show the runs of a later version.
func ReadSummary(b []byte) (Summary, error) {
	var s Summary
	if len(b) > maxSummary {
		return s, fmt.Errorf("read summary: %w: larger than %d bytes", ErrNotSummary, maxSummary)
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&s); err != nil {
		return Summary{}, fmt.Errorf("read summary: %w: %w", ErrNotSummary, err)
	}
	if s.Schema != SummarySchema {
		if name, _, _ := strings.Cut(SummarySchema, "/"); strings.HasPrefix(s.Schema, name+"/") {
			return Summary{}, fmt.Errorf("read summary: version %q: %w, this one reads %q", s.Schema, ErrNewer, SummarySchema)
		}
		return Summary{}, fmt.Errorf("read summary: %w: its schema is %q", ErrNotSummary, s.Schema)
	}
	return s, nil
}

// Size is how many requests were counted, as people write it.
func (s Summary) Size() string { return count(s.Requests) }

// HasLabels reports whether the run has every one of the labels.
func (s Summary) HasLabels(want map[string]string) bool {
	for k, v := range want {
		if got, ok := s.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
