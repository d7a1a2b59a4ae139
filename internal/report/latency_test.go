package report

import (
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
			Differences: []TargetDifference{d("svc/podinfo-east", analyze.DirectionFaster, Pass, -2, -1.2, -0.4)}, Costs: []TargetDifference{},
		},
	}
	return in
}

// sweepInput is a sweep whose limit breaks.
func sweepInput() Input {
	in := comparisonInput()
	held, broke, p99, slow := 500.0, 540.0, 12.5, 180.0
	in.Comparison = &Comparison{
		Targets: in.Comparison.Targets[:1], Rounds: 24, RoundTime: 2, Rate: 50, Level: 0.99, Differences: []TargetDifference{},
		Sweep: &Sweep{
			Target: "svc/podinfo-east", Limit: &SweepLimit{Quantile: 0.99, Ms: 50}, HoldsAt: &held, BreaksAt: &broke,
			Sentence: "svc/podinfo-east keeps to a p99 of at most 50 ms up to 500 requests per second and breaks it at 540.",
			Steps: []SweepStep{
				{Rate: 500, Sent: 1000, Achieved: 499.1, State: "holds", Quantiles: []QuantileTime{{Quantile: 0.99, Ms: &p99, DesignEffect: 1}}},
				{Rate: 540, Sent: 1080, Achieved: 502, Errors: 3, State: "breaks", Quantiles: []QuantileTime{{Quantile: 0.99, Ms: &slow, DesignEffect: 1}}},
			},
		},
	}
	in.Judged.Reasons = []analyze.Reason{{Code: analyze.CodeOutside, Text: in.Comparison.Sweep.Sentence}}
	return in
}
