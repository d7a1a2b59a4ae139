package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// comparisonInput is a comparison of three targets with a margin, a baseline and rounds of 2 s.
func comparisonInput() Input {
	in := Input{
		Options: analyze.DefaultOptions(), Before: snapshot(), Checks: greenChecks(), Transport: "websocket", Agent: "uploaded v0.1.0", Run: baseRun(),
		Judged: &Judged{Outcome: Fail, Reasons: []analyze.Reason{{Code: analyze.CodeOutside, Text: "svc/podinfo-east: p50 is slower by more than the margin"}}},
	}
	margin := 5.0
	row := func(name string, typical float64) LatencyTarget {
		return LatencyTarget{
			Name: name, URL: "http://" + name[4:] + ":9898/", Sent: 2400, Counted: 2400, Quantiles: []QuantileTime{
				{Quantile: 0.5, Ms: &typical, LowMs: &typical, HighMs: &typical, DesignEffect: 1.3},
				{Quantile: 0.99, DesignEffect: 1, Why: "needs about 1,500 answers"},
			},
		}
	}
	d := func(target string, direction string, outcome string, low, value, high float64) TargetDifference {
		out := TargetDifference{Target: target, Than: "svc/podinfo", Outcome: outcome, Quantiles: []QuantileVerdict{
			{Quantile: 0.5, Ms: &value, LowMs: &low, HighMs: &high, Direction: direction, P: 0.0012, Outcome: outcome},
			{Quantile: 0.99, Direction: analyze.DirectionNone, P: 1, Outcome: Inconclusive, Why: "needs about 1,500 answers"},
		}}
		out.Sentence = differenceSentence(out)
		return out
	}
	root := row("svc/podinfo", 3)
	root.Root, root.Counted, root.Elsewhere = "TrafficSplit podinfo", 1190, 1210
	in.Comparison = &Comparison{
		Against: "svc/podinfo", Targets: []LatencyTarget{row("svc/podinfo-east", 41), row("svc/podinfo-north", 3.2), root}, Rounds: 24, RoundTime: 2,
		Rate: 50, WarmUp: 20, Level: 0.99, Margin: &Margin{Ms: &margin, Text: "5ms"},
		Differences: []TargetDifference{
			d("svc/podinfo-east", analyze.DirectionSlower, Fail, 37.2, 38, 38.9), d("svc/podinfo-north", analyze.DirectionNone, Pass, -0.4, 0.2, 0.9),
		},
		Baseline: &Baseline{
			ID: "20261101t000000z-test-podinfo-aaaa", Started: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Labels: map[string]string{"linkerd": "2.17"},
			Differences: []TargetDifference{d("svc/podinfo-east", analyze.DirectionFaster, Pass, -2, -1.2, -0.4)},
			Costs: []TargetDifference{CostDifferenceOf("svc/podinfo-east over svc/podinfo", "20261101t000000z-test-podinfo-aaaa", []float64{0.5, 0.99}, []analyze.CostChange{
				{Change: -1_300_000, CI: analyze.Interval{Low: -2_100_000, High: -500_000}, Outcome: analyze.Pass, Different: true},
				{CI: analyze.Interval{Low: math.Inf(-1), High: math.Inf(1), Why: "the base run needs about 1,500 answers"}, Outcome: analyze.Inconclusive},
			}, []float64{0.0003, 1}, 0.002, true)},
		},
	}
	return in
}

// sweepInput is a sweep whose limit breaks; the last step is too short for a range of its p99.
func sweepInput() Input {
	in := comparisonInput()
	held, broke := 500.0, 540.0
	times := func(p50, p90, p99 float64, ranges bool) []QuantileTime {
		var out []QuantileTime
		for i, v := range []float64{p50, p90, p99} {
			q := QuantileTime{Quantile: []float64{0.5, 0.9, 0.99}[i], Ms: finite(v), DesignEffect: 1}
			if ranges || i < 2 {
				q.LowMs, q.HighMs = finite(0.9*v), finite(1.2*v)
			} else {
				q.Why = "needs about 1,500 answers"
			}
			out = append(out, q)
		}
		return out
	}
	in.Comparison = &Comparison{
		Targets: in.Comparison.Targets[:1], Rounds: 24, RoundTime: 2, Rate: 50, Level: 0.99, Differences: []TargetDifference{},
		Sweep: &Sweep{
			Target: "svc/podinfo-east", Limit: &SweepLimit{Quantile: 0.99, Ms: 50}, HoldsAt: &held, BreaksAt: &broke,
			Sentence: "svc/podinfo-east keeps to a p99 of at most 50 ms up to 500 requests per second and breaks it at 540.",
			Steps: []SweepStep{
				{Rate: 50, Sent: 100, Achieved: 50, State: "holds", Quantiles: times(3.1, 4.4, 7.5, true)},
				{Rate: 200, Sent: 400, Achieved: 200, State: "holds", Quantiles: times(3.4, 5.2, 9.1, true)},
				{Rate: 500, Sent: 1000, Achieved: 499.1, State: "holds", Quantiles: times(4.9, 8.8, 12.5, true)},
				{Rate: 540, Sent: 1080, Achieved: 502, Errors: 3, State: "breaks", Quantiles: times(20, 90, 180, false)},
			},
		},
	}
	in.Judged.Reasons = []analyze.Reason{{Code: analyze.CodeOutside, Text: in.Comparison.Sweep.Sentence}}
	return in
}

// The chart of a sweep holds each rate with its quantiles, ranges where there are some, the limit, and where it holds and breaks.
func TestSweepChart(t *testing.T) {
	s := sweepInput().Comparison.Sweep
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
		{Rate: 1e-300, Quantiles: []QuantileTime{{Quantile: 0.5, Ms: &huge}}}, {Rate: 1e300, Quantiles: []QuantileTime{{Quantile: 0.5, Ms: finite(-1)}}},
	}})
	if c == nil || notDrawable.MatchString(string(c.Chart.SVG(""))) {
		t.Errorf("%+v", c)
	}
}
