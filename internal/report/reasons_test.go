package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/analyze"
)

// TestSentences holds the words of stored documents: tools compare them.
func TestSentences(t *testing.T) {
	even := analyze.Weights{{Backend: "a", W: 50}, {Backend: "b", W: 50}}
	five := make(analyze.Weights, 5)
	p := func(p float64) analyze.PValue { return analyze.PValue{P: p, LnP: math.Log(p), Method: analyze.Exact} }
	b := analyze.Reason{
		Weights: even, Backend: "b", Requests: 2410, Share: 0.4788, Expected: 0.5, Points: 5, Low: 0.45, High: 0.507, Power: 0.99,
		P: p(4e-9), OnTarget: analyze.Needed{Requests: 2410}, AsObserved: analyze.Needed{Why: analyze.NeedEdge, Backend: "b"},
	}
	with := func(code string, change func(r *analyze.Reason)) analyze.Reason {
		r := b
		r.Code = code
		if change != nil {
			change(&r)
		}
		return r
	}
	explained := func(c analyze.Cause, why string) analyze.Reason {
		return analyze.Reason{Code: analyze.CodeDiagnostic, Cause: &c, Why: why, Complete: analyze.Fail, Requests: 1205}
	}
	found := func(d analyze.Diagnostic, why string) analyze.Reason {
		return analyze.Reason{Code: analyze.CodeDiagnostic, Finding: &d, Why: why, Complete: analyze.Fail, Requests: 1205}
	}
	turns := func(r *analyze.Reason) { r.Deviation, r.Bound, r.Requests = 3.5, 2, 1000 }
	for _, c := range []struct {
		r    analyze.Reason
		want string
	}{
		{
			with(analyze.CodeWithin, nil),
			"Traffic follows the 50/50 weights: b got 47.9 %, expected 50 %, tolerance 5 points; were any share " +
				"outside its tolerance, counts like these would turn up in about 4 of 1,000,000,000 runs.",
		},
		{
			with(analyze.CodeWithin, func(r *analyze.Reason) { r.Weights = five }),
			"Traffic follows the declared weights of 5 backends: b got 47.9 %, expected 50 %, tolerance 5 " +
				"points; were any share outside its tolerance, counts like these would turn up in about 4 of " +
				"1,000,000,000 runs.",
		},
		{
			with(analyze.CodeWithin, func(r *analyze.Reason) { r.Weights, r.P = even[:1], p(1e-10) }),
			"Traffic follows the weight of the only backend: b got 47.9 %, expected 50 %, tolerance 5 points; " +
				"were any share outside its tolerance, counts like these would turn up in fewer than 1 in a billion " +
				"runs.",
		},
		{
			with(analyze.CodeOutside, nil),
			"Traffic does NOT follow the 50/50 weights: b got 47.9 %, expected 50 % within 5 points; were it " +
				"inside, counts like these would turn up in about 4 of 1,000,000,000 runs.",
		},
		{
			with(analyze.CodeByChance, nil),
			"Traffic does NOT follow the 50/50 weights: b got 47.9 %, expected 50 %, more than chance explains.",
		},
		{
			with(analyze.CodeNoDifference, nil),
			"Traffic follows the 50/50 weights: the counts show no difference, and a run of this size would " +
				"have noticed a shift beyond the tolerance.",
		},
		{
			with(analyze.CodeLeak, func(r *analyze.Reason) { r.Points, r.Requests = 0, 1 }),
			"b has weight 0 but answered 1 request (47.9 %): it must get none.",
		},
		{
			with(analyze.CodeLeak, func(r *analyze.Reason) { r.Points = 0.1 }),
			"b has weight 0 but answered 2,410 requests (47.9 %): at most 0.1 % is tolerated.",
		},
		{
			with(analyze.CodeLeakUnsure, func(r *analyze.Reason) { r.Points, r.Unit = 1, "connection" }),
			"Backends of weight 0 answered 2,410 connections: too few connections to tell whether their share " +
				"is above the tolerated 1 %.",
		},
		{
			with(analyze.CodeApproximate, nil),
			"The probability of counts like these could only be simulated or bounded, and lies too close to " +
				"alpha to decide.",
		},
		{
			with(analyze.CodeTooFew, func(r *analyze.Reason) { r.AsObserved = analyze.Needed{Requests: 9000} }),
			"2,410 requests cannot tell the 50/50 weights from a wrong split: the true share of b could be " +
				"anywhere from 45 % to 50.7 %, and the tolerance is 45 % to 55 %. 2,410 in all would decide 99 " +
				"times in 100 if the split is on target, 9,000 if it is as observed.",
		},
		{
			with(analyze.CodeEdge, func(r *analyze.Reason) { r.Unit = "connection" }),
			"2,410 connections cannot tell the 50/50 weights from a wrong split: the true share of b could be " +
				"anywhere from 45 % to 50.7 %, and the tolerance is 45 % to 55 %. 2,410 in all would decide 99 " +
				"times in 100 if the split is on target; the observed share of b lies on the edge of the tolerance: " +
				"no number of connections helps, widen or narrow the tolerance.",
		},
		{
			with(analyze.CodeEdge, func(r *analyze.Reason) { r.OnTarget = analyze.Needed{Why: analyze.NeedNarrow} }),
			"2,410 requests cannot tell the 50/50 weights from a wrong split: the true share of b could be " +
				"anywhere from 45 % to 50.7 %, and the tolerance is 45 % to 55 %. the observed share of b lies on " +
				"the edge of the tolerance: no number of requests helps, widen or narrow the tolerance.",
		},
		{
			with(analyze.CodeNoRequests, func(r *analyze.Reason) { r.Requests, r.AsObserved.Why = 12, "" }),
			"No request was attributed to a backend (12 unattributed): nothing was measured. 2,410 in all would " +
				"decide 99 times in 100 if the split is on target.",
		},
		{
			with(analyze.CodeUnattributed, func(r *analyze.Reason) { r.Backend, r.Requests, r.Complete = "", 1, analyze.Pass }),
			"1 unattributed request decides it: the attributed requests alone would be a pass, but not if the " +
				"others all belonged to the wrong backend. Find out where they went, then run again.",
		},
		{
			with(analyze.CodeUnattributed, func(r *analyze.Reason) { r.Backend, r.Unit, r.Complete = "", "draw", analyze.Fail }),
			"2,410 unattributed draws decide it: the attributed draws alone would be a fail, but not if the " +
				"others belonged where they are missing. Find out where they went, then run again.",
		},
		{
			with(analyze.CodeUnattributed, nil),
			"2,410 unattributed requests decide it: any of them may have reached b, which has weight 0. Find " +
				"out where they went, then run again.",
		},
		{
			with(analyze.CodeChance, nil),
			"If the mesh really used the 50/50 weights, a gap this large or larger would turn up in about 4 of " +
				"1,000,000,000 runs by chance.",
		},
		{
			with(analyze.CodeNoticeable, func(r *analyze.Reason) { r.Points = 1 }),
			"This run would have noticed a shift of about 1 point or more (99 times in 100).",
		},
		{
			with(analyze.CodeNoHits, func(r *analyze.Reason) { r.High = 0.0019 }),
			"b has weight 0 and answered none of 2,410 requests; its true share is at most 0.19 %.",
		},
		{
			with(analyze.CodeTurns, turns),
			"Traffic follows the 50/50 weights by turns: b got 47.9 %, 3.5 requests off its weight, and turns " +
				"by weight keep within 2; no weights outside the tolerance give such counts.",
		},
		{
			with(analyze.CodeTurnsFew, turns),
			"1,000 requests cannot tell the 50/50 weights from others: b got 47.9 %, 3.5 requests off its " +
				"weight, and turns by weight keep within 2; about 2,410 requests would.",
		},
		{
			with(analyze.CodeTurnsBroken, turns),
			"b is 3.5 requests off its weight, and turns by weight would be off by 2 at most: other clients " +
				"share the schedule, or a backend was left out for a while. The counts were judged as random draws, " +
				"which is strict enough for turns.",
		},
		{
			with(analyze.CodeUnattributed, turns),
			"1,000 requests without a known backend may have reached one of weight 0, which must get nothing; " +
				"else: b got 47.9 %, 3.5 requests off its weight, and turns by weight keep within 2.",
		},
		{
			analyze.Reason{Code: analyze.CodeOutside, Quantile: 0.5, Target: "svc/b"},
			"svc/b: p50 is slower by more than the margin",
		},
		{
			analyze.Reason{Code: analyze.CodeEdge, Quantile: 0.99},
			"p99 is so near the margin that no number of blocks would tell",
		},
		{
			analyze.Reason{Code: analyze.CodeTooFew, Quantile: 0.99, Why: "needs about 528 answers"},
			"p99 has no interval: it needs about 528 answers",
		},
		{
			analyze.Reason{Code: analyze.CodeTooFew, Quantile: 0.9, Blocks: 60},
			"p90 may or may not be slower by more than the margin: about 60 blocks on each side would tell",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseSticky, Runs: analyze.RunsResult{Runs: 40, Mean: 1205.2}}, analyze.WhyDraws),
			"a request goes where the one before it went more often than chance does: 40 runs, about 1,205 expected. Likely " +
				"cause: connections are pinned to a backend (a TCP or opaque port splits per connection). The counts alone " +
				"would be a fail, but nobody can say how many independent draws are behind them.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseSticky, Runs: analyze.RunsResult{Runs: 2000, Mean: 1205}}, ""),
			"a request goes where the one before it did not go more often than chance does: 2,000 runs, about 1,205 " +
				"expected. Likely cause: a round robin, not a random draw, splits the traffic: something other than the mesh " +
				"is in the path.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseTurns, Also: analyze.CauseChange}, ""),
			"backends take turns: the one that is furthest behind its share is next, which a random draw does not care for; " +
				"besides, the shares changed during the run. Likely cause: a round robin, not a random draw, splits the " +
				"traffic: something other than the mesh is in the path.",
		},
		{
			explained(analyze.Cause{
				Kind: analyze.CauseChange, Backend: "b", Index: 1, Requests: 2410,
				Places: []analyze.Place{{
					At: 1200, Time: 6700 * time.Millisecond, LowTime: 6640 * time.Millisecond, HighTime: 6780 * time.Millisecond,
				}},
				Parts: []analyze.Stretch{{N: []int64{600, 600}}, {N: []int64{1210, 0}}},
			}, analyze.WhyMixed),
			// Exact binomial tails by bisection, Python 3: 600 of 1200 0.4713 to 0.5287, 0 of 1210 0 to 0.0030
			"the shares changed 6.7 s after the start (99 of 100 sure: 6.6 s to 6.8 s), after request 1,200 of 2,410: " +
				"before, b had 50 % (47.1 to 52.9); after, 0 % (0 to 0.3); each part by itself is like independent draws. Likely cause: the weights that proxies obey changed " +
				"during the run, whether or not an object did. The counts alone would be a fail, but there is no single split " +
				"to judge.",
		},
		{
			explained(analyze.Cause{
				Kind: analyze.CauseChange, Backend: "a", Requests: 900, Places: []analyze.Place{{At: 300}, {At: 600}},
				Parts: []analyze.Stretch{{N: []int64{300, 0}}, {N: []int64{0, 300}}, {N: []int64{300, 0}}},
			}, ""),
			"the shares changed 2 times, after request 300 of 900, and after request 600 of 900: a had 100 % (98.8 to 100), " +
				"then 0 % (0 to 1.2), then 100 % (98.8 to 100); each part by itself is like independent draws. Likely cause: the weights that proxies obey changed during " +
				"the run, whether or not an object did.",
		},
		{
			explained(analyze.Cause{
				Kind: analyze.CauseChange, Backend: "a", Requests: 900,
				Places: []analyze.Place{{At: 100}, {At: 200}, {At: 300}, {At: 400}},
				Parts:  []analyze.Stretch{{N: []int64{100, 0}}, {N: []int64{0, 100}}, {N: []int64{9, 91}}},
			}, ""),
			"the shares changed at least 4 times, more often than can be told apart, first after request 100 of 900 and last " +
				"after request 400 of 900: a had between 0 % and 100 %. Likely cause: the weights that proxies obey changed " +
				"during the run, whether or not an object did.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseDrift, Backend: "a", Begin: 0.5, End: 0.6012}, analyze.WhyMixed),
			"the share of a moved slowly, from 50 % at the start to 60.1 % at the end. Likely cause: something shifts traffic " +
				"little by little, such as a progressive rollout. The counts alone would be a fail, but there is no single " +
				"split to judge.",
		},
		{
			explained(analyze.Cause{
				Kind: analyze.CausePods, Backend: "a",
				Parts: []analyze.Stretch{{Name: "p-1", N: []int64{500, 500}}, {Name: "p-2", N: []int64{900, 100}}},
			}, analyze.WhyMixed),
			// Likewise: 500 of 1000 0.4685 to 0.5315, 900 of 1000 0.8797 to 0.9179
			"source pods do not send to the same shares: a got 50 % (46.9 to 53.1) of the requests of p-1 and 90 % (88 to " +
				"91.8) of those of p-2. Likely cause: one source pod's proxy still has old weights. The counts alone would be a " +
				"fail, but there is no single split to judge.",
		},
		{
			explained(analyze.Cause{
				Kind: analyze.CauseLost, Backend: "b", Parts: []analyze.Stretch{{From: 500 * time.Millisecond, Lost: 31}},
			}, analyze.WhyMixed),
			"from 500 ms after the start on, answers of b were lost: 31 requests since then have no known backend, and the " +
				"shares stayed the same if they are its own. Likely cause: the backend, or the way to it, fails. The counts " +
				"alone would be a fail, but there is no single split to judge.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseUnnamed, Connections: 16}, ""),
			"where a request goes repeats every 16 requests, as if so many connections were used in turns and each kept its " +
				"backend. Likely cause: the port is opaque or TCP, so the split is drawn per connection.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseUnknown}, ""),
			"the order of requests is not that of independent draws, and nothing that was tried explains it better.",
		},
		{
			found(analyze.Diagnostic{Name: analyze.DiagnosticErrors, Backend: "b", Share: 0.25}, ""),
			"b fails more often than the others: 25 % of its answers are errors; a proxy that retries draws " +
				"again, so its share may look too small. Likely cause: the backend itself fails.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseConnections, Connections: 16}, analyze.WhyFew),
			"connections do not send to the same shares (16 connections). Likely cause: the port is opaque or " +
				"TCP, so the split is drawn per connection. The counts alone would be a fail, but fewer than 20 " +
				"connections cannot carry it.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseConnections, Connections: 60, Requests: 2410, Independent: 60}, analyze.WhyFewer),
			"requests of one connection stay together: 2,410 requests on 60 connections tell as much as 60 " +
				"independent ones. Likely cause: the port is opaque or TCP, so the split is drawn per connection. " +
				"The counts alone would be a fail, but they tell only as much as 1,205 independent requests.",
		},
		{
			explained(analyze.Cause{Kind: analyze.CauseConnections, Connections: 1, Backend: "b"}, analyze.WhyFew),
			"every request went to b, on 1 connection: if connections are pinned, they tell no more than one " +
				"draw each. Likely cause: the split sends everything to one backend. The counts alone would be a " +
				"fail, but fewer than 20 connections cannot carry it.",
		},
		{
			found(analyze.Diagnostic{
				Name: analyze.DiagnosticRuns, Backend: "b", Least: analyze.Part{Name: "r1", Share: 0.48}, Most: analyze.Part{Name: "r2", Share: 0.5512},
			}, analyze.WhyMixed),
			"the runs differ by more than chance: b got 48.0 % in run r1 and 55.1 % in run r2. Likely cause: the weights " +
				"that proxies obey, or the pods behind them, changed between the runs. The counts alone would be a fail, " +
				"but there is no single split to judge.",
		},
	} {
		if got := Sentence(c.r); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.r.Code, got, c.want)
		}
	}
}

// A rate in a sentence is not written with a power of ten.
func TestOverloadedSaysWholeNumbers(t *testing.T) {
	const want = "the generator was overloaded: it sent 432 requests per second, 1000 were planned"
	if got := Overloaded(431.7, 1000); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for x, want := range map[float64]string{0.4567: "0.457", 12.345: "12.3", 99.96: "100", 12_345.6: "12346", 1e6: "1000000"} {
		if got := threeDigits(x); got != want {
			t.Errorf("%v: %q, want %q", x, got, want)
		}
	}
}

func TestCombinedEvidence(t *testing.T) {
	for lnE, want := range map[float64]string{
		-3: "1", 0: "1", math.Log(20): "0.05", 1000: "below 1e-434", math.Inf(1): "0: a backend of weight 0 answered", // 1000/ln 10 = 434.29
	} {
		if got := CombinedEvidence(2, lnE, true, true); !strings.Contains(got, "(p "+want+")") {
			t.Errorf("%v: %q, want %q", lnE, got, want)
		}
	}
}

func TestInRuns(t *testing.T) {
	for p, want := range map[float64]string{
		1: "nearly every run", 0.37: "about 37 of 100 runs", 0.0016: "about 2 of 1,000 runs",
		2.2e-5: "about 2 of 100,000 runs", 1e-10: "fewer than 1 in a billion runs",
	} {
		if got := inRuns(analyze.PValue{P: p, LnP: math.Log(p), Method: analyze.Exact}); got != want {
			t.Errorf("%v: %q, want %q", p, got, want)
		}
	}
	if got := inRuns(analyze.PValue{LnP: math.Inf(-1)}); got != "no run at all" {
		t.Errorf("impossible: %q", got)
	}
	if got := inRuns(analyze.PValue{P: 0.02, LnP: math.Log(0.02), Method: analyze.Bound}); got != "at most 2 of 100 runs" {
		t.Errorf("a bound: %q", got)
	}
}

// A lag that nobody could know is not told as lateness.
func TestLatenessIsToldWhereItIsKnown(t *testing.T) {
	lag := 2500.0
	for _, p99 := range []*float64{nil, &lag} {
		text := strings.Join(warnings(Report{Load: &Load{SendLag: SendLag{P99Us: p99}}}), " ")
		if strings.Contains(text, "late") != (p99 != nil) {
			t.Errorf("p99 %v: %q", p99, text)
		}
	}
}
