package report

import (
	"bytes"
	"testing"
	"time"
)

const comparisonSchema = "../../docs/schema/runcomparison.v1alpha1.json"

// comparisons are documents of every outcome.
func comparisons() map[string]RunComparison {
	run := func(id, weights string) ComparedRun {
		return ComparedRun{
			ID: id, Kind: KindSplit, Outcome: Pass, Subject: "test/podinfo", Weights: weights, Requests: 10000, Tool: "v0.1.0",
			Started: time.Date(2026, 11, 22, 7, 15, 2, 0, time.UTC), Labels: map[string]string{"linkerd": "2.17"},
		}
	}
	num := func(v float64) *float64 { return &v }
	weight := func(v int64) *int64 { return &v }
	share := func(name string, from, to int64, base, latest, low, high float64, outcome string) ShareChange {
		s := ShareChange{
			Backend: name, BaseWeight: weight(from), NewWeight: weight(to), BaseShare: num(base), NewShare: num(latest),
			Points: num(100 * (latest - base)), LowPoints: num(low), HighPoints: num(high), Outcome: outcome,
		}
		s.Say()
		return s
	}
	times := func(name string, d, low, high float64, outcome, more, less string) TimeChange {
		t := TimeChange{Name: name, Outcome: outcome, Quantiles: []QuantileChange{
			{Quantile: 0.5, BaseMs: num(38.1), NewMs: num(38.1 + d), Difference: Difference{Ms: num(d), LowMs: num(low), HighMs: num(high)}, Different: low > 0 || high < 0, Outcome: outcome},
			{Quantile: 0.99, BaseMs: num(61), NewMs: num(61 + d), Difference: Difference{Ms: num(d), Why: "needs about 6,520 answers"}},
		}}
		t.Say(more, less)
		return t
	}
	document := func(changes ...RunChange) RunComparison {
		c := RunComparison{
			APIVersion: APIVersion, Kind: KindRunComparison, Base: run("20261122t071502z-test-podinfo-aaaa", "50/50"), Changes: changes,
			Verdict: ComparisonVerdict{Outcome: Pass, Reasons: []string{}, Alpha: 0.01, Margin: "5ms", SharePoints: 5, Questions: 6},
		}
		for _, x := range changes {
			c.Verdict.Outcome = WorseOutcome(c.Verdict.Outcome, x.Outcome)
			c.Verdict.Reasons = append(c.Verdict.Reasons, x.Reasons...)
		}
		return c
	}
	latest := run("20261123t071502z-test-podinfo-bbbb", "50/50")
	alike := []ShareChange{share("podinfo", 50, 50, 0.5, 0.503, -1.5, 2.1, Pass), share("podinfo-east", 50, 50, 0.5, 0.497, -2.1, 1.5, Pass)}
	hostile := "<script>alert(1)</script>|`x`\x1b[31m@all\u202e"
	return map[string]RunComparison{
		"compare-pass": document(ConcludeChange(RunChange{
			Run: latest, SameWeights: true, Shares: alike, Latency: []TimeChange{times("podinfo-east", -1.2, -2, -0.4, Pass, "slower", "faster")},
			GatewayCost: []TimeChange{times("podinfo-east", 0.1, -0.4, 0.6, Pass, "costs more", "costs less")},
		}, nil)),
		"compare-fail": document(ConcludeChange(RunChange{
			Run: latest, SameWeights: true, Shares: alike, Latency: []TimeChange{times("podinfo-east", 9, 8, 10, Fail, "slower", "faster")}, GatewayCost: []TimeChange{},
		}, nil)),
		"compare-inconclusive": document(ConcludeChange(RunChange{
			Run: run("20261123t071502z-test-podinfo-bbbb", "90/10"), Latency: []TimeChange{times("podinfo-east", 3, -2, 8, Inconclusive, "slower", "faster")}, GatewayCost: []TimeChange{},
			Shares:   []ShareChange{share("podinfo", 50, 90, 0.5, 0.9, 38, 42, ""), share("podinfo-east", 50, 10, 0.5, 0.1, -42, -38, "")},
			Warnings: []string{"run 20261123t071502z-test-podinfo-bbbb: no latencies to compare: the generator was late"},
		}, nil)),
		"compare-invalid": document(ConcludeChange(RunChange{
			Run: latest, Shares: []ShareChange{}, Latency: []TimeChange{}, GatewayCost: []TimeChange{},
		}, []string{"run 20261123t071502z-test-podinfo-bbbb is invalid: the weights changed"})),
		"compare-hostile": document(ConcludeChange(RunChange{
			Run: ComparedRun{ID: hostile, Kind: hostile, Outcome: Pass, Subject: hostile, Labels: map[string]string{hostile: hostile}}, SameWeights: true,
			Shares: []ShareChange{share(hostile, 50, 50, 0.5, 0.6, 8, 12, Fail)}, Latency: []TimeChange{}, GatewayCost: []TimeChange{}, Warnings: []string{hostile},
		}, nil)),
	}
}

func TestGoldenComparisons(t *testing.T) {
	schema := compile(t, comparisonSchema)
	for name, c := range comparisons() {
		t.Run(name, func(t *testing.T) {
			var js bytes.Buffer
			if err := WriteJSON(&js, c); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(decode(t, js.Bytes())); err != nil {
				t.Error(err)
			}
			golden(t, "comparison/"+name+".json", js.Bytes())
			golden(t, "comparison/"+name+".outline", []byte(dump(c.Outline())))
		})
	}
}

// A run that was compared with an earlier one says so in every form, and the document is one that the schema knows.
func TestReportsHoldTheirBaseline(t *testing.T) {
	r := readDocument(t, "pass")
	c := comparisons()["compare-fail"]
	r.Baseline = &c
	js := asJSON(t, r)
	if err := compile(t, reportSchema).Validate(decode(t, js)); err != nil {
		t.Error(err)
	}
	golden(t, "pass-baseline.json", js)
	golden(t, "pass-baseline.outline", []byte(dump(r.Outline())))
	again, err := ReadJSON(bytes.NewReader(js))
	if err != nil || again.Baseline == nil || again.Verdict.Outcome != Pass {
		t.Errorf("read back: %v, %+v", err, again.Baseline)
	}
}
