package report

import (
	"math"
	"strings"
	"testing"
)

// The chart of a sweep holds each rate with its quantiles, ranges where there are some, the limit, and where it holds and breaks.
func TestSweepChart(t *testing.T) {
	s := readDocument(t, "latency-sweep").Comparison.Sweep
	c := sweepFigure(s)
	if c == nil {
		t.Fatal("there is none")
	}
	plot := plotOf(t, c)
	panel := plot.Panels[0]
	if len(panel.Lines) != 3 || len(panel.Rules) != 1 || len(plot.Events) != 2 {
		t.Fatalf("%+v", plot)
	}
	for i, l := range panel.Lines {
		ranges := 0
		for _, p := range l.Points {
			if p.Range != nil {
				ranges++
			}
		}
		if len(l.Points) != 4 || ranges != 4-i/2 {
			t.Errorf("%s has %d points and %d ranges, want 4 and %d", l.Name, len(l.Points), ranges, 4-i/2)
		}
	}
	if text := plot.Events[0].Text + plot.Events[1].Text; !strings.Contains(text, "holds at 500") || !strings.Contains(text, "breaks at 540") {
		t.Errorf("marks %+v", plot.Events)
	}
	if !strings.Contains(c.Summary, "540/s: p50 20.0 ms p90 90.0 ms p99 180 ms, limit breaks") || !strings.Contains(c.Caption, "logarithmic axis of rates") {
		t.Errorf("%q, %q", c.Summary, c.Caption)
	}
	near := *s
	near.Steps = s.Steps[1:]
	if c := sweepFigure(&near); c == nil || !strings.Contains(c.Caption, "linear axis of rates") {
		t.Errorf("rates from 200 to 540: %+v", c)
	}
	// What cannot be drawn has no chart, and what a document from elsewhere says is drawn as far as it goes.
	huge := 1e300
	for name, steps := range map[string][]SweepStep{
		"one rate": s.Steps[:1], "none": nil, "no times": {{Rate: 1}, {Rate: 2}}, "rates of nothing": {{Rate: 0}, {Rate: -1}},
	} {
		if c := sweepFigure(&Sweep{Steps: steps}); c != nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if c := sweepFigure(&Sweep{Steps: []SweepStep{{Rate: 1e300, Quantiles: []QuantileTime{{Quantile: 0.5, Ms: &huge}}}, {Rate: math.Nextafter(1e300, 2e300)}}}); c == nil {
		t.Error("neighbouring floats have no chart")
	}
	c = sweepFigure(&Sweep{Limit: &SweepLimit{}, HoldsAt: &huge, Steps: []SweepStep{
		{Rate: 1e-300, Quantiles: []QuantileTime{{Quantile: 0.5, Ms: &huge}}}, {Rate: 1e300, Quantiles: []QuantileTime{{Quantile: 0.5, Ms: Finite(-1)}}},
	}})
	if c == nil || notDrawable.MatchString(string(c.Chart.SVG(""))) {
		t.Errorf("%+v", c)
	}
}
