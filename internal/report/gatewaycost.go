package report

import (
	"fmt"
	"math"

	"github.com/splitbench/splitbench/analyze"
)

// GatewayCost is how much longer answers take that cross a gateway. The split itself sends requests at random to both
// sides at the same moments, so the difference is that of a concurrent randomised comparison. Windows of time are the
// unit of replication: intervals hold where requests of one moment are alike, too.
type GatewayCost struct {
	Why           string  `json:"why,omitempty"` // why it is not stated; then nothing else is set
	Reference     string  `json:"reference,omitempty"`
	Level         float64 `json:"level,omitempty"`         // of each interval
	Windows       int     `json:"windows,omitempty"`       // of the run
	WindowSeconds float64 `json:"windowSeconds,omitempty"` // length of each
	// share of the requests that were sent late, and are left out of the differences, on both sides alike
	LateShare *float64       `json:"lateShare,omitempty"`
	Backends  []BackendTimes `json:"backends,omitempty"`
	Costs     []BackendCost  `json:"costs,omitempty"` // one for each backend of another cluster
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
	Quantile float64 `json:"quantile"`
	Difference
}

// Difference is a difference of times in milliseconds with its likely range; an end that the samples do not give is
// null.
type Difference struct {
	Ms     *float64 `json:"differenceMs"`
	LowMs  *float64 `json:"lowMs"`
	HighMs *float64 `json:"highMs"`
	Why    string   `json:"why,omitempty"` // why there is no range
}

// DifferenceOf is a difference in nanoseconds with its likely range.
func DifferenceOf(ns int64, ci analyze.Interval) Difference {
	return Difference{Ms: Ms(float64(ns)), LowMs: Ms(ci.Low), HighMs: Ms(ci.High), Why: ci.Why}
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
func timeCell(v, low, high *float64, signed bool) Cell {
	if v == nil {
		return Cell{Text: dash}
	}
	form := msNumber
	if signed {
		form = signedMs
	}
	if low == nil && high == nil {
		return numberCell(form(*v), *v)
	}
	end := func(v *float64) string {
		if v == nil {
			return "?"
		}
		return form(*v)
	}
	return numberCell(fmt.Sprintf("%s (%s to %s)", form(*v), end(low), end(high)), *v)
}

func signedMs(v float64) string {
	if v > 0 {
		return "+" + msNumber(v)
	}
	return msNumber(v)
}

// costTable is a row for each quantile, in milliseconds: each side, and what the gateway adds.
func costTable(g *GatewayCost) Table {
	t := Table{
		Caption: "Response times of each side and what the gateway adds, in ms, with likely ranges.",
		Columns: headings(1, "ms"),
	}
	for _, b := range g.Backends {
		t.Columns = append(t.Columns, Column{Title: b.Backend})
	}
	for _, c := range g.Costs {
		t.Columns = append(t.Columns, Column{Title: "cost of " + c.Backend})
	}
	if len(g.Backends) == 0 {
		return t
	}
	for i, q := range g.Backends[0].Quantiles {
		cells := row(quantileName(q.Quantile))
		for _, b := range g.Backends {
			var v QuantileTime
			if i < len(b.Quantiles) { // a document may be incomplete
				v = b.Quantiles[i]
			}
			cells = append(cells, timeCell(v.Ms, v.LowMs, v.HighMs, false))
		}
		for _, c := range g.Costs {
			var d QuantileDifference
			if i < len(c.Quantiles) {
				d = c.Quantiles[i]
			}
			cells = append(cells, timeCell(d.Ms, d.LowMs, d.HighMs, true))
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// decileTable is where in the distribution the cost lies.
func decileTable(g *GatewayCost) Table {
	t := Table{
		Caption: "What the gateway adds at each decile of the response time, in ms, with likely ranges.",
		Columns: headings(1, "Decile"),
	}
	for i, c := range g.Costs {
		t.Columns = append(t.Columns, Column{Title: "cost of " + c.Backend})
		for j, d := range c.Shift {
			if i == 0 {
				t.Rows = append(t.Rows, row(quantileName(d.Quantile)))
			}
			if j < len(t.Rows) {
				t.Rows[j] = append(t.Rows[j], timeCell(d.Ms, d.LowMs, d.HighMs, true))
			}
		}
	}
	return t
}

// costSections are what the gateway costs, or why that is not stated.
func costSections(g *GatewayCost) []Section {
	if g == nil {
		return nil
	}
	if g.Why != "" {
		return []Section{{
			ID: "cost", Title: "Gateway cost", Blocks: paragraphs("What the gateway costs is not stated: " + g.Why + "."),
		}}
	}
	var said []Block
	for _, c := range g.Costs {
		said = append(said, Paragraph(c.Sentence))
	}
	return []Section{
		{ID: "cost", Title: "Gateway cost", Blocks: append(said, costFigure(g), costTable(g), Paragraph(costNote(g)))},
		{ID: "deciles", Title: "Gateway cost by decile", Level: Comment, Folded: true, Blocks: []Block{decileTable(g)}},
	}
}

// costNote says how the ranges came about.
func costNote(g *GatewayCost) string {
	note := fmt.Sprintf("Response times in ms, ranges %s sure, from %d windows of %s in which both sides were measured "+
		"at the same moments. %s", percent(g.Level), g.Windows, seconds(g.WindowSeconds), rareMoments)
	for _, b := range g.Backends {
		for _, q := range b.Quantiles {
			if q.Ms == nil && q.Why != "" {
				note += fmt.Sprintf(" The %s of %s is not stated: it %s.", quantileName(q.Quantile), b.Backend, q.Why)
			}
		}
	}
	if g.LateShare != nil {
		note += fmt.Sprintf(" Of the requests %.2g %% were sent late, whichever backend was to answer them: the "+
			"differences are "+
			"without them.", 100**g.LateShare)
	}
	return note
}

// rareMoments is where ranges do not hold their level: docs/statistics.md has by how much.
const rareMoments = "They are less sure of slow moments that were met fewer than about 20 times."
