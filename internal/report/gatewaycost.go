package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// GatewayCost is how much longer answers take that cross a gateway. The split itself sends requests at random to both sides
// at the same moments, so the difference is that of a concurrent randomised comparison. Windows of time are the unit of
// replication: intervals hold where requests of one moment are alike, too.
type GatewayCost struct {
	Why           string         `json:"why,omitempty"` // why it is not stated; then nothing else is set
	Reference     string         `json:"reference,omitempty"`
	Level         float64        `json:"level,omitempty"`         // of each interval
	Windows       int            `json:"windows,omitempty"`       // of the run
	WindowSeconds float64        `json:"windowSeconds,omitempty"` // length of each
	SharedLagMs   *float64       `json:"sharedLagMs,omitempty"`   // where the generator was late: by how much 99 of 100 requests at most, on both sides alike
	Backends      []BackendTimes `json:"backends,omitempty"`
	Costs         []BackendCost  `json:"costs,omitempty"` // one for each backend of another cluster
}

// BackendTimes are quantiles of one backend's response times.
type BackendTimes struct {
	Backend   string         `json:"backend"`
	Requests  int64          `json:"requests"`
	Quantiles []QuantileTime `json:"quantiles"`
}

// QuantileTime is one quantile of a response time with its interval; an end that the sample does not have is null.
type QuantileTime struct {
	Quantile     float64  `json:"quantile"`
	Ms           *float64 `json:"valueMs"`
	LowMs        *float64 `json:"lowMs"`
	HighMs       *float64 `json:"highMs"`
	DesignEffect float64  `json:"designEffect"` // variance against that of independent requests
	Why          string   `json:"why,omitempty"`
}

// BackendCost is what one backend's answers cost more than the reference's.
type BackendCost struct {
	Backend   string               `json:"backend"`
	Path      string               `json:"path"` // gateway, or how else the other cluster is reached
	Sentence  string               `json:"sentence"`
	Quantiles []QuantileDifference `json:"quantiles"`
	Shift     []QuantileDifference `json:"shift"` // at the nine deciles: where in the distribution the difference lies
}

// QuantileDifference is a difference of quantiles with its interval, above 0 where the first is slower.
type QuantileDifference struct {
	Quantile float64  `json:"quantile"`
	Ms       *float64 `json:"differenceMs"`
	LowMs    *float64 `json:"lowMs"`
	HighMs   *float64 `json:"highMs"`
	Why      string   `json:"why,omitempty"`
}

// CostFacts is the gateway cost as it was computed.
type CostFacts struct {
	Why       string // why it is not stated
	Reference string
	Level     float64
	Windows   int
	Window    time.Duration
	SharedLag time.Duration      // 0: the generator was on time
	Backends  []BackendCostFacts // the reference first
}

// BackendCostFacts are those of one backend. Differences and Shift are against the reference, and empty of the reference.
type BackendCostFacts struct {
	Name        string
	Path        string
	Levels      []float64 // quantiles
	Times       []analyze.BlockInterval
	Differences []analyze.BlockDifference
	Shift       []analyze.BlockDifference
}

func gatewayCostOf(f *CostFacts) *GatewayCost {
	if f == nil {
		return nil
	}
	if f.Why != "" {
		return &GatewayCost{Why: f.Why}
	}
	out := &GatewayCost{Reference: f.Reference, Level: f.Level, Windows: f.Windows, WindowSeconds: f.Window.Seconds()}
	if f.SharedLag > 0 {
		out.SharedLagMs = finiteMs(float64(f.SharedLag))
	}
	for _, b := range f.Backends {
		times := BackendTimes{Backend: b.Name, Quantiles: []QuantileTime{}}
		for i, t := range b.Times {
			times.Requests = int64(t.Samples)
			times.Quantiles = append(times.Quantiles, quantileTime(b.Levels[i], t))
		}
		out.Backends = append(out.Backends, times)
		if len(b.Differences) == 0 {
			continue
		}
		c := BackendCost{Backend: b.Name, Path: b.Path, Quantiles: quantileDifferences(b.Differences), Shift: quantileDifferences(b.Shift)}
		c.Sentence = costSentence(c, f.Reference)
		out.Costs = append(out.Costs, c)
	}
	return out
}

func quantileTime(q float64, t analyze.BlockInterval) QuantileTime {
	out := QuantileTime{
		Quantile: q, LowMs: finiteMs(t.CI.Low), HighMs: finiteMs(t.CI.High),
		DesignEffect: math.Round(1000*t.DesignEffect) / 1000, Why: t.CI.Why,
	}
	if t.Samples > 0 {
		out.Ms = finiteMs(float64(t.Value))
	}
	return out
}

func quantileDifferences(d []analyze.BlockDifference) []QuantileDifference {
	out := make([]QuantileDifference, len(d))
	for i, x := range d {
		out[i] = QuantileDifference{
			Quantile: x.Q, Ms: finiteMs(float64(x.Difference)), LowMs: finiteMs(x.DifferenceCI.Low), HighMs: finiteMs(x.DifferenceCI.High),
			Why: x.DifferenceCI.Why,
		}
	}
	return out
}

// finiteMs turns nanoseconds into milliseconds, to the microsecond; nil where there is no such end.
func finiteMs(ns float64) *float64 {
	if math.IsInf(ns, 0) || math.IsNaN(ns) {
		return nil
	}
	return finite(math.Round(ns/1e3) / 1e3)
}

// costSentence says the difference at the median in words, or that none is proven.
func costSentence(c BackendCost, reference string) string {
	way := "through the gateway"
	if c.Path != PathGateway {
		way = "from the other cluster"
	}
	who := fmt.Sprintf("Answers %s (%s)", way, c.Backend)
	for _, q := range c.Quantiles {
		if q.Quantile != 0.5 {
			continue
		}
		if q.Ms == nil || q.LowMs == nil || q.HighMs == nil {
			return fmt.Sprintf("%s and those of %s cannot be compared at the median: it %s.", who, reference, q.Why)
		}
		d, low, high := *q.Ms, *q.LowMs, *q.HighMs
		switch {
		case low > 0:
			return fmt.Sprintf("%s take %s longer at the median, range %s to %s.", who, msText(d), msNumber(low), msNumber(high))
		case high < 0:
			return fmt.Sprintf("%s take %s less at the median, range %s to %s.", who, msText(-d), msNumber(-high), msNumber(-low))
		}
		return fmt.Sprintf("%s: no difference proven at the median, range %s to %s.", who, msNumber(low), msText(high))
	}
	return ""
}

// PathGateway is the Path of a backend that a gateway leads to.
const PathGateway = "gateway"

// msNumber is a time in milliseconds with as many digits as can matter.
func msNumber(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func msText(v float64) string { return msNumber(v) + " ms" }

// quantileName is p50 for 0.5.
func quantileName(q float64) string { return fmt.Sprintf("p%g", math.Round(1e6*q)/1e4) }

// timeCell is a quantile with its range, signed where it is a difference.
func timeCell(v, low, high *float64, signed bool) string {
	if v == nil {
		return "-"
	}
	form := msNumber
	if signed {
		form = signedMs
	}
	if low == nil && high == nil {
		return form(*v)
	}
	end := func(v *float64) string {
		if v == nil {
			return "?"
		}
		return form(*v)
	}
	return fmt.Sprintf("%s (%s to %s)", form(*v), end(low), end(high))
}

func signedMs(v float64) string {
	if v > 0 {
		return "+" + msNumber(v)
	}
	return msNumber(v)
}

// costRows is the table of the gateway cost: a row for each quantile, in milliseconds.
func costRows(g *GatewayCost) (titles []string, rows [][]string) {
	titles = []string{"MS"}
	for _, b := range g.Backends {
		titles = append(titles, b.Backend)
	}
	for _, c := range g.Costs {
		titles = append(titles, "cost of "+c.Backend)
	}
	if len(g.Backends) == 0 {
		return titles, nil
	}
	for i, q := range g.Backends[0].Quantiles {
		row := []string{quantileName(q.Quantile)}
		for _, b := range g.Backends {
			var t QuantileTime
			if i < len(b.Quantiles) { // a document may be incomplete
				t = b.Quantiles[i]
			}
			row = append(row, timeCell(t.Ms, t.LowMs, t.HighMs, false))
		}
		for _, c := range g.Costs {
			var d QuantileDifference
			if i < len(c.Quantiles) {
				d = c.Quantiles[i]
			}
			row = append(row, timeCell(d.Ms, d.LowMs, d.HighMs, true))
		}
		rows = append(rows, row)
	}
	return titles, rows
}

// costSentences are what is said of the gateway cost in prose.
func costSentences(g *GatewayCost) []string {
	if g == nil {
		return nil
	}
	var s []string
	for _, c := range g.Costs {
		s = append(s, c.Sentence)
	}
	return s
}

// costNote says how the ranges came about, or why there are none.
func costNote(g *GatewayCost) string {
	switch {
	case g == nil:
		return ""
	case g.Why != "":
		return "What the gateway costs is not stated: " + g.Why + "."
	}
	note := fmt.Sprintf("Response times in ms, ranges %s sure, from %d windows of %s in which both sides were measured at the same moments. %s",
		percent(g.Level), g.Windows, seconds(g.WindowSeconds), rareMoments)
	if g.SharedLagMs != nil {
		note += fmt.Sprintf(" The generator was late, for both sides alike: 99 of 100 requests by at most %s, which is in the times of each and not in their difference at the median.",
			msText(*g.SharedLagMs))
	}
	return note
}

// rareMoments is where ranges do not hold their level: docs/statistics.md has by how much.
const rareMoments = "They are less sure of slow moments that were met fewer than about 20 times."

// markdownCost is the gateway cost as Markdown, of a report whose strings are escaped.
func markdownCost(g *GatewayCost) string {
	if g == nil || g.Why != "" {
		return costNote(g)
	}
	titles, rows := costRows(g)
	var lines []string
	for _, row := range rows {
		var cells []string
		for i, cell := range row[1:] {
			cells = append(cells, titles[i+1]+" "+cell)
		}
		lines = append(lines, "- "+row[0]+": "+strings.Join(cells, "; "))
	}
	var shift []string
	for _, c := range g.Costs {
		var deciles []string
		for _, d := range c.Shift {
			deciles = append(deciles, quantileName(d.Quantile)+" "+timeCell(d.Ms, d.LowMs, d.HighMs, true))
		}
		shift = append(shift, fmt.Sprintf("Cost of %s by decile: %s", code(c.Backend), strings.Join(deciles, ", ")))
	}
	return costNote(g) + "\n\n" + strings.Join(lines, "\n") + "\n\n" + strings.Join(shift, "\n\n")
}

// textCost is the table of the gateway cost within the width: without the backends' own times where they do not fit.
func textCost(g *GatewayCost, width int) (string, error) {
	if g == nil || g.Why != "" {
		return "", nil
	}
	titles, rows := costRows(g)
	table, err := leftTable(titles, rows)
	if err != nil || widest(table) <= width {
		return table, err
	}
	cut := len(g.Backends)
	for i, row := range rows {
		rows[i] = append(row[:1:1], row[1+cut:]...)
	}
	return leftTable(append(titles[:1:1], titles[1+cut:]...), rows)
}

// leftTable draws a table whose first column is text and the others numbers.
func leftTable(titles []string, rows [][]string) (string, error) {
	left := make([]bool, len(titles))
	left[0] = true
	return drawTable(titles, left, rows, "  ")
}

// cost writes the gateway cost: the sentence, the table, and what it rests on.
func (p *page) cost(g *GatewayCost) error {
	table, err := textCost(g, p.width)
	if err != nil {
		return err
	}
	p.list(costSentences(g))
	if table != "" {
		p.line("")
		p.b.WriteString(table)
	}
	p.list(nonEmpty(costNote(g)))
	return nil
}
