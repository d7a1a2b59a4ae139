package judge

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/witness"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
)

// hostile is what an attacker who names things and answers requests could send.
const hostile = "<script>alert(1)</script>\x1b[2J\x1b]0;pwned\x07 |`**_~~ @octocat #1 ![x](http://evil.test/x.png) www.evil.test\r\n## PASS\u202etxt\u200b\x9b31m\x00"

// inputs are one report for each thing that can happen.
func inputs() map[string]*draft {
	in := map[string]*draft{
		"pass":              run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0),
		"pass-small-canary": run(analyze.Pass, twoWeights(99, 1), 49_481, 519, 3),
		"fail":              run(analyze.Fail, twoWeights(50, 50), 6488, 3512, 0),
		"inconclusive":      run(analyze.Inconclusive, twoWeights(50, 50), 17, 13, 0),
	}
	pass := in["pass"]
	pass.onlyBecause(pass.decision, "within-tolerance", "%s", "every share is within 5 points of its weight")
	in["pass"] = pass

	witnessed := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	fit := statistic(analyze.Statistic{Value: 0.21, DF: 1, Asymptotic: p(0.646), Exact: p(0.653)})
	witnessed.Witness = &report.Witness{
		Available: true, Proxy: "linkerd", URL: "http://127.0.0.1:4191/metrics", Path: "ServiceProfile",
		Counter: "requests handed to each backend's balancer (outbound_http_balancer_queue_requests_total)",
		Draws: []report.WitnessDraws{
			{Backend: "podinfo", Drawn: 1251, DrawnShare: report.Finite(0.5052), Answered: 1212},
			{Backend: "podinfo-east", Drawn: 1225, DrawnShare: report.Finite(0.4948), Answered: 1188},
		},
		Requests: 2450, Background: 26, Outcome: report.Pass, GoodnessOfFit: &fit, Agrees: true, Undisturbed: true,
	}
	in["pass-witness"] = witnessed

	pinned := run(analyze.Inconclusive, twoWeights(50, 50), 61, 67, 0)
	pinned.Witness = &report.Witness{
		Available: true, Proxy: "linkerd", URL: "http://127.0.0.1:4191/metrics", Path: "connections", Unit: witness.UnitConnection, Agrees: true,
		Undisturbed: true, UnitWhy: "the proxy does not look into the connections to this port: it drew a backend for each of 128 connections, not for each request, so connections are judged",
		Requests: 2420, Findings: []string{"the proxy does not look into the connections to this port: it drew a backend for each of 128 connections, not for each request, so connections are judged"},
	}
	pinned.onlyBecause(pinned.decision, "too-few-requests", "%s", "128 connections cannot tell the 50/50 weights from a wrong split")
	pinned.decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	in["inconclusive-connections"] = pinned

	early := run(analyze.Pass, twoWeights(50, 50), 548, 552, 0)
	early.Sequential = &report.SequentialLooks{
		Every: 50, Looks: 22, Requests: 1100, Maximum: 5000, LnE: report.Finite(-3.1), Anytime: probability(analyze.PValue{P: 1, Method: analyze.Exact}),
	}
	early.onlyBecause(early.decision, "sequential", "%s", "at look 22, after 1100 requests, the likely range of every share lies within its tolerance")
	in["pass-sequential"] = early

	fail := in["fail"]
	fail.onlyBecause(fail.decision, "outside-tolerance", "%s", "podinfo got 64.9 % of 10,000 requests, which is 14.9 points from its 50 %; 5 points are allowed")
	fail.Warnings = []string{"the split was written 12s before the run"}
	in["fail"] = fail

	few := in["inconclusive"]
	few.onlyBecause(few.decision, "too-few-requests", "%s", "30 requests cannot tell the 50/50 weights from a wrong split: the true share of podinfo-east could be anywhere from 18.5 % to 68.2 %.")
	few.decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	few.decision.NeededIfAsObserved = analyze.Needed{Why: "the observed share lies on the edge of the tolerance"}
	in["inconclusive"] = few

	edge := run(analyze.Inconclusive, twoWeights(50, 50), 5500, 4500, 12)
	edge.decision.Unattributed.Decides = true
	edge.onlyBecause(edge.decision, "unattributed-decide", "%s", "12 requests without a known backend could change the outcome")
	edge.decision.NeededIfOnTarget = analyze.Needed{Why: "requests without a known backend decide it, however many there are"}
	in["inconclusive-unattributed"] = edge

	leak := run(analyze.Fail, analyze.Weights{{Backend: "podinfo", W: 100}, {Backend: "podinfo-east", W: 0}}, 1997, 3, 0)
	leak.onlyBecause(leak.decision, "leak", "%s", "podinfo-east has weight 0 and answered 3 requests")
	in["fail-leak"] = leak

	down := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	down.Diagnostics = []report.Diagnostic{{Name: "independence", P: report.Finite(1e-12), Text: "backends come in runs, as if they were drawn per connection", Effect: report.EffectDowngrade}}
	in["inconclusive-diagnostic"] = down

	in["invalid-off-mesh"] = drafted(record.Manifest{
		Weights: twoWeights(50, 50), Options: analyze.DefaultOptions(), Before: snapshot(),
		Checks: append(greenChecks()[:1], preflight.Result{
			ID: "SB002", Category: "client", Name: "client pod is meshed", Severity: preflight.Fatal, Status: preflight.Failed,
			Seen: "pod frontend-7d9c-x2x has no container linkerd-proxy",
			Hint: "annotate the pod template with linkerd.io/inject: enabled and restart it: kubectl rollout restart deploy/frontend -n test",
		}, preflight.Result{
			ID: "SB012", Category: "mirror", Name: "remote Service is exported", Severity: preflight.Fatal, Status: preflight.Unknown, Seen: "no --remote-context was given",
			Hint: "give --remote-context east",
		}),
	})

	changed := run(analyze.Fail, twoWeights(50, 50), 1700, 700, 0)
	after := snapshot()
	after.Split.Effective = []law.Weight{{Service: "podinfo", Weight: 90}, {Service: "podinfo-east", Weight: 10}}
	changed.after = after
	half := statistic(analyze.Statistic{Value: 0.3, DF: 1, Asymptotic: p(0.58), Exact: p(0.6)})
	changed.Segments = []report.Segment{
		{
			ToSeconds: 23.4, Requests: 1171, Outcome: report.Pass, Pearson: &half, Backends: []report.SegmentBackend{
				{Name: "podinfo", Weight: 50, ExpectedShare: 0.5, Observed: 590, ObservedShare: report.Finite(0.5038)},
				{Name: "podinfo-east", Weight: 50, ExpectedShare: 0.5, Observed: 581, ObservedShare: report.Finite(0.4962)},
			},
		},
		{
			FromSeconds: 23.9, ToSeconds: 48, Requests: 1203, Outcome: report.Inconclusive, Pearson: &half, Backends: []report.SegmentBackend{
				{Name: "podinfo", Weight: 90, ExpectedShare: 0.9, Observed: 1083, ObservedShare: report.Finite(0.9002)},
				{Name: "podinfo-east", Weight: 10, ExpectedShare: 0.1, Observed: 120, ObservedShare: report.Finite(0.0998)},
			},
			Propagation: &report.Propagation{
				What: "TrafficSplit test/podinfo", WriteAtSeconds: 23.1, Seconds: report.Finite(0.62), LowSeconds: report.Finite(0.31), HighSeconds: report.Finite(1.2), ClockErrorMs: 1.4,
			},
		},
	}
	after.Split.YAML = []byte(strings.Replace(strings.Replace(splitYAML, "weight: 50", "weight: 90", 1), "weight: 50", "weight: 10", 1))
	changed.Series.Marks = []report.Mark{{AtSeconds: 18.2, Text: "split written by kubectl-apply"}}
	in["invalid-changed"] = changed

	cutShort := run(analyze.Inconclusive, twoWeights(50, 50), 260, 251, 1)
	cutShort.Run.CutShort, cutShort.Run.Complete, cutShort.after = "SIGINT", false, nil
	in["interrupted"] = cutShort

	w := twoWeights(50, 50)
	c := analyze.Counts{N: []int64{5212, 4788}}
	in["counts-only"] = &draft{weights: w, counts: c, decision: decided(analyze.Inconclusive, w, c, 2)}
	in["counts-only"].decision.NeededIfOnTarget = analyze.Needed{Requests: 26_000}
	in["counts-only"].decision.NeededIfAsObserved = analyze.Needed{Requests: 4_000_000}

	cost := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	cost.GatewayCost = gatewayCostOfRun()
	for i := range cost.Series.OverTime.Backends { // the last window has too few answers for what 9 of 10 kept to
		b, median := &cost.Series.OverTime.Backends[i], []float64{3, 41}[i]
		for k := range cost.Series.OverTime.Windows {
			b.P50Ms = append(b.P50Ms, report.Finite(Rounded(median*(1+math.Sin(float64(k))/20))))
			b.P90Ms = append(b.P90Ms, report.Finite(Rounded(median*(1.5+math.Cos(float64(k))/10))))
		}
		b.P90Ms[len(b.P90Ms)-1] = nil
	}
	in["gateway-cost"] = cost
	late := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	late.GatewayCost = &report.GatewayCost{Why: "the generator was late, so the times are its own as much as the backends'"}
	in["gateway-cost-refused"] = late

	in["latency"], in["latency-sweep"] = comparisonInput(), sweepInput()
	in["drill"], in["watch"], in["watch-fail"] = drillInput(), watchInput(), failedWatchInput()
	in["many-backends"] = many(16)
	in["three-backends"], in["eight-backends"] = many(3), many(8)
	in["pass-pods"] = severalPods()
	in["pass-pods-apart"] = podsApart()
	more(in)
	in["hostile"] = hostileInput()

	simulated := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	simulated.Run.Simulated = "both clusters, their API servers and the mesh are simulated in this process; the requests and the statistics are real"
	in["simulated"] = simulated
	in["nothing"] = &draft{}
	return in
}

// more are the reasons for an inconclusive or invalid outcome that the others do not have.
func more(in map[string]*draft) {
	edge := run(analyze.Inconclusive, twoWeights(50, 50), 5490, 4510, 0)
	edge.onlyBecause(edge.decision, analyze.CodeEdge, "%s", "The share of podinfo-east lies on the edge of its tolerance: 45.1 % where 45 % to 55 % are allowed.")
	edge.decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	edge.decision.NeededIfAsObserved = analyze.Needed{Requests: 541_000}
	in["inconclusive-edge"] = edge

	power := run(analyze.Inconclusive, twoWeights(50, 50), 210, 190, 0)
	power.decision.Gate, power.decision.Options.Gate = analyze.GateChiSquare, analyze.GateChiSquare
	power.onlyBecause(power.decision, analyze.CodeTooFew, "%s", "400 requests find no difference, but would not have noticed one of 5 points.")
	power.decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	in["inconclusive-chisquare"] = power

	unknown := run(analyze.Pass, twoWeights(50, 50), 1212, 1180, 8)
	unknown.rest = answers{statuses: map[uint16]int64{200: 8}}
	unknown.invalid = []string{"8 complete answers came from no known backend"}
	unknown.Unattributed.Specimens = []report.Specimen{{Seq: 12, Status: 200, Body: `{"message":"greetings from north"}`}}
	in["invalid-unknown-backend"] = unknown

	late := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	late.Load.OnTime, late.Load.Dropped = false, 300
	late.invalid = []string{"the generator was overloaded: the times of 300 of 2400 requests were lost"}
	late.remedies = []string{"lower --rate, or raise --connections if answers are slow"}
	in["invalid-overloaded"] = late

	silent := run(analyze.Inconclusive, twoWeights(50, 50), 0, 0, 200)
	silent.decision, silent.answers = nil, []answers{{}, {}}
	in["invalid-no-answers"] = silent

	errors := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 4)
	errors.answers[1].statuses = map[uint16]int64{200: 1150, 404: 3, 503: 35}
	errors.rest = answers{errors: map[attack.ErrorClass]int64{attack.ErrTimeout: 3, attack.ErrDial: 1}}
	in["pass-errors"] = errors
}

// severalPods is a run from three source pods, one of which was resumed.
func severalPods() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 1206, 1194, 3)
	m := record.Manifest{Weights: twoWeights(50, 50)}
	t := NewTally(2)
	t.Pods = 3
	for i, counts := range [][]int64{{402, 398}, {405, 395}, {399, 401}} {
		agent := record.AgentFacts{How: "uploaded v0.1.0", Transport: "websocket"}
		m.Streams = append(m.Streams, record.Stream{Pod: i, Name: fmt.Sprintf("frontend-7d9c-x%d", i), Segment: i / 2, Next: uint64(i / 2 * 3), Agent: agent})
		t.byPod = append(t.byPod, analyze.Counts{N: counts, Unattributed: int64(i / 2 * 3)})
		for n := range i / 2 * 3 {
			t.lose(uint64(3*n + i))
		}
	}
	in.Source.Pods = podsOf(m, t)
	in.comparePods(t, 0)
	in.Diagnostics = []report.Diagnostic{{Name: analyze.DiagnosticPods, OK: true, P: report.Finite(0.95), Text: "nothing found", Effect: report.EffectKeep}}
	return in
}

// podsApart is a run from eight pods on four nodes in two zones, one of which still has other weights.
func podsApart() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 1245, 1155, 0)
	t := NewTally(2)
	for i, east := range []int64{150, 147, 154, 195, 149, 152, 146, 152} {
		in.Source.Pods = append(in.Source.Pods, report.SourcePod{
			Pod: fmt.Sprintf("frontend-7d9c-x%d", i), Node: fmt.Sprintf("west-%d", i/2), Zone: fmt.Sprintf("zone-%d", i/4), Agent: "uploaded v0.1.0", Transport: "websocket",
			Segments: 1, Requests: 300, StartedMs: float64(i), ClockAheadMs: report.Finite(float64(10*i) - 20), ClockErrorMs: report.Finite(0.4),
			Backends: []report.PodShare{{Name: "podinfo", Observed: east, ObservedShare: report.Finite(float64(east) / 300)}, {Name: "podinfo-east", Observed: 300 - east, ObservedShare: report.Finite(1 - float64(east)/300)}},
		})
		t.byPod = append(t.byPod, analyze.Counts{N: []int64{east, 300 - east}})
	}
	in.Source.StartSkewMs = 7
	in.comparePods(t, 0)
	return in
}

func many(backends int64) *draft {
	var w analyze.Weights
	var c analyze.Counts
	doc := draft{Report: report.Report{Run: baseRun(), Checks: greenChecks()}}
	for i := range backends {
		w = append(w, analyze.Weight{Backend: fmt.Sprintf("checkout-service-with-a-long-name-in-cluster-%02d", i), W: 100})
		c.N = append(c.N, 1000+(i-8)*3)
		doc.answers = append(doc.answers, answered(1000+(i-8)*3, time.Duration(i+2)*time.Millisecond))
	}
	doc.Load = &report.Load{TargetRatePerSecond: 1000, DurationSeconds: 16, OnTime: true, Engine: "vegeta", Connections: 16}
	doc.Series = &report.Series{OverTime: overTime(w, c.N, 0, 16*time.Second)}
	doc.weights, doc.counts, doc.decision = w, c, decided(analyze.Pass, w, c, 5)
	return &doc
}

func hostileInput() *draft {
	in := run(analyze.Fail, analyze.Weights{{Backend: hostile, W: 50}, {Backend: "podinfo-east|" + strings.Repeat("x", 80), W: 50}}, 1900, 500, 5)
	in.onlyBecause(in.decision, "outside-tolerance", "%s", hostile)
	in.because("", "- list\n# heading")
	in.because("", "1. list")
	in.Unattributed.Specimens = []report.Specimen{{Seq: 7, Status: 200, Body: hostile}, {Seq: 9, Status: 503, Body: "</pre></details>\n\n| a | b |\n|---|---|\xff\xfe"}}
	before := snapshot()
	before.Split.Name, before.Split.EffectiveFrom, before.Source.Name = "x--><script>"+hostile, hostile, hostile
	before.Clusters[0].Context = hostile
	before.Split.YAML, before.Split.LastWriter = []byte("kind: "+hostile+"\n"+"</pre><script>alert(2)</script>\n"), hostile
	in.Series.Marks = []report.Mark{{AtSeconds: 3, Text: hostile}}
	in.before, in.after = before, before
	in.Source = sourceOf(before, record.AgentFacts{Transport: "websocket", How: "uploaded v0.1.0"})
	in.Warnings = []string{hostile, strings.Repeat("long ", 1000)}
	in.Checks = []preflight.Result{{ID: "SB002", Category: hostile, Name: hostile, Severity: preflight.Warn, Status: preflight.Warning, Seen: hostile, Hint: hostile}}
	in.Run.URL, in.Run.Command = hostile, []string{"splitbench", "run", hostile, "a'b"}
	in.Run.Labels = map[string]string{hostile: hostile}
	in.signatures = map[string]string{hostile: hostile}
	return in
}
