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

// decided makes a Decision of plausible numbers by the normal approximation. Its tests are of words and layout: whether
// the numbers are right is tested in package analyze.
func decided(outcome analyze.Outcome, w analyze.Weights, c analyze.Counts, points float64) *analyze.Decision {
	o := analyze.DefaultOptions()
	d := &analyze.Decision{Outcome: outcome, Gate: o.Gate, Options: o, Match: p(0.0001), Differs: p(0.9)}
	if outcome == analyze.Fail {
		d.Match, d.Differs = p(1), analyze.PValue{P: 0, LnP: -871.5, Method: analyze.Exact}
	}
	var sum, n, x2, g float64
	for i := range w {
		sum += float64(w[i].W)
		n += float64(c.N[i])
	}
	d.Requests = int64(n)
	for i := range w {
		share, seen := float64(w[i].W)/sum, float64(c.N[i])/n
		row := analyze.BackendResult{
			Backend: w[i].Backend, Weight: w[i].W, ExpectedShare: share, Expected: share * n, Observed: c.N[i], ObservedShare: seen,
			TolerancePoints: min(points, share*50),
		}
		half := 2.576 * math.Sqrt((seen*(1-seen)+1/n)/n)
		row.Interval = analyze.Interval{Low: max(0, seen-half), High: min(1, seen+half), Level: 0.99, Method: "wilson"}
		noticed := 0.0
		if share > 0 {
			x2 += (float64(c.N[i]) - row.Expected) * (float64(c.N[i]) - row.Expected) / row.Expected
			row.StandardizedResidual = (float64(c.N[i]) - row.Expected) / math.Sqrt(max(1e-9, row.Expected*(1-share)))
			row.AdjustedP = p(math.Erfc(math.Abs(row.StandardizedResidual) / math.Sqrt2))
			noticed = 100 * 4.9 * math.Sqrt(share*(1-share)/n)
			g += 2 * float64(c.N[i]) * math.Log(math.Max(1, float64(c.N[i]))/row.Expected)
		} else {
			row.LeakUpper = seen + half
			if c.N[i] > 0 {
				x2 = math.Inf(1)
			}
		}
		d.NoticeablePoints = append(d.NoticeablePoints, noticed)
		d.GoodnessOfFit.TotalVariation += math.Abs(seen-share) / 2
		d.GoodnessOfFit.MaxDeviationPoints = math.Max(d.GoodnessOfFit.MaxDeviationPoints, 100*math.Abs(seen-share))
		d.Backends = append(d.Backends, row)
		d.Unattributed.Low = append(d.Unattributed.Low, float64(c.N[i])/(n+float64(c.Unattributed)))
		d.Unattributed.High = append(d.Unattributed.High, (float64(c.N[i])+float64(c.Unattributed))/(n+float64(c.Unattributed)))
	}
	d.Unattributed.Count = c.Unattributed
	pv := p(math.Erfc(math.Sqrt(x2 / 2)))
	if pv.P < 1e-300 {
		pv.P, pv.LnP = 0, -x2/2
	}
	d.GoodnessOfFit.CohensW = math.Sqrt(x2 / n)
	d.GoodnessOfFit.Pearson = analyze.Statistic{Value: x2, DF: len(w) - 1, Asymptotic: pv, Exact: pv}
	d.GoodnessOfFit.G = analyze.Statistic{Value: g, DF: len(w) - 1, Asymptotic: pv, Exact: pv}
	return d
}

func p(v float64) analyze.PValue {
	return analyze.PValue{P: v, LnP: math.Log(v), Method: analyze.Exact, Lo: v, Hi: v}
}

func twoWeights(a, b int64) analyze.Weights {
	return analyze.Weights{{Backend: "podinfo", W: a}, {Backend: "podinfo-east", W: b}}
}

// sampleTimes are n service times around typical, in a fixed skewed shape.
func sampleTimes(n int64, typical time.Duration) []int64 {
	s := make([]int64, n)
	for i := range s {
		q := (float64(i) + 0.5) / float64(n)
		s[i] = int64(float64(typical) * (1 - 0.3*math.Log(1-q)))
	}
	return s
}

func answered(ok int64, typical time.Duration) answers {
	return answers{statuses: map[uint16]int64{200: ok}, service: sampleTimes(ok, typical), response: sampleTimes(ok, typical+100*time.Microsecond)}
}

// overTime spreads counts over windows in a fixed wavy shape that adds up.
func overTime(w analyze.Weights, counts []int64, unattributed int64, length time.Duration) *report.OverTime {
	var all int64
	for _, n := range counts {
		all += n
	}
	windows := int(min(40, max(1, all/report.MinPerWindow)))
	o := &report.OverTime{WindowSeconds: length.Seconds() / float64(windows), Windows: windows, Unattributed: make([]int64, windows), Errors: make([]int64, windows)}
	o.Unattributed[windows/2], o.Errors[windows/2] = unattributed, unattributed
	for b, n := range counts {
		c := report.WindowCount{Backend: w[b].Backend, Observed: make([]int64, windows)}
		left := n
		for i := range windows {
			v := left / int64(windows-i)
			if i < windows-1 {
				v = min(left, max(0, v+int64(math.Round(0.6*math.Sqrt(float64(v))*math.Sin(float64(3*i+2*b))))))
			}
			c.Observed[i], left = v, left-v
		}
		o.Backends = append(o.Backends, c)
	}
	return o
}

const splitYAML = `apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata:
  generation: 7
  name: podinfo
  namespace: test
spec:
  backends:
  - service: podinfo
    weight: 50
  - service: podinfo-east
    weight: 50
  service: podinfo
`

func snapshot() *law.Snapshot {
	return &law.Snapshot{
		Split: law.Split{
			Kind: "TrafficSplit", APIVersion: "split.smi-spec.io/v1alpha2", Namespace: "test", Name: "podinfo", Found: true,
			UID: "5a4c1d2e-0000-4000-8000-000000000001", ResourceVersion: "4711", Generation: 7, Root: "podinfo",
			Effective:     []law.Weight{{Service: "podinfo", Weight: 50}, {Service: "podinfo-east", Weight: 50}},
			EffectiveFrom: "ServiceProfile test/podinfo.test.svc.cluster.local", LastWriter: "kubectl-apply",
			LastWritten: time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC), YAML: []byte(splitYAML),
		},
		Law: law.Law{
			Provider: law.ProviderLinkerd, Path: law.PathServiceProfile, Probe: law.Probe{Method: "GET", Path: "/", Host: "podinfo"},
			NullModel: law.RandomPerRequest, Backends: []law.Leaf{
				{Name: "podinfo", Namespace: "test", Service: "podinfo", Weight: 50, Probability: 0.5},
				{Name: "podinfo-east", Namespace: "test", Service: "podinfo-east", Weight: 50, Probability: 0.5},
			},
			Objects: []law.ObjectRef{{
				APIVersion: "linkerd.io/v1alpha2", Kind: "ServiceProfile", Namespace: "test", Name: "podinfo.test.svc.cluster.local",
				UID: "5a4c1d2e-0000-4000-8000-000000000003", ResourceVersion: "4712", Generation: 9,
			}},
			Shadowed: []law.Shadowed{{
				Object: law.ObjectRef{APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute", Namespace: "test", Name: "podinfo", UID: "5a4c1d2e-0000-4000-8000-000000000004", ResourceVersion: "4000", Generation: 1},
				Why:    "a ServiceProfile with routes or dstOverrides comes before every route",
			}},
		},
		Backends: []law.Backend{{Name: "podinfo"}, {Name: "podinfo-east", Mirror: &law.Mirror{Cluster: "east", Context: "east"}}},
		Source: law.Pod{
			Namespace: "test", Name: "frontend-7d9c-x2x", UID: "5a4c1d2e-0000-4000-8000-000000000002", Node: "west-1", Container: "nginx",
			ContainerWhy: "-c", Meshed: true, ProxyImage: "cr.l5d.io/linkerd/proxy:edge-26.10.3",
		},
		Clusters: []law.Cluster{{Role: "client", Context: "west", Version: "v1.36.3"}},
	}
}

func greenChecks() []preflight.Result {
	return []preflight.Result{
		{ID: "SB001", Category: "client", Name: "client pod is ready", Severity: preflight.Fatal, Status: preflight.OK, Seen: "frontend-7d9c-x2x"},
		{ID: "SB002", Category: "client", Name: "client pod is meshed", Severity: preflight.Fatal, Status: preflight.OK, Seen: "container linkerd-proxy is ready"},
		{ID: "SB010", Category: "mirror", Name: "gateway address is the mirror's endpoint", Severity: preflight.Fatal, Status: preflight.OK, Seen: "10.0.2.15:4143"},
	}
}

func baseRun() *report.Run {
	return &report.Run{
		ID: "20261122t071502z-test-podinfo-k3f9", Dir: "results/20261122t071502z-test-podinfo-k3f9",
		Started: time.Date(2026, 11, 22, 7, 15, 2, 0, time.UTC), Ended: time.Date(2026, 11, 22, 7, 15, 42, 0, time.UTC),
		URL: "http://podinfo.test.svc.cluster.local:9898/", Command: []string{"splitbench", "run", "ts/podinfo", "-n", "test", "--from", "deploy/frontend"},
		Seed: 1, Tool: "v0.1.0 (0123abc)", Complete: true,
	}
}

// run is a whole run of two backends.
func run(outcome analyze.Outcome, weights analyze.Weights, a, b, unattributed int64) *draft {
	c := analyze.Counts{N: []int64{a, b}, Unattributed: unattributed}
	n := a + b + unattributed
	length := time.Duration(n) * 20 * time.Millisecond
	doc := newDraft(record.Manifest{
		Weights: weights, Options: analyze.DefaultOptions(), Checks: greenChecks(), Before: snapshot(), After: snapshot(),
		Agent:      record.AgentFacts{Transport: "websocket", How: "uploaded v0.1.0"},
		Signatures: map[string]string{"podinfo": "pod names in /hostname", "podinfo-east": "pod names in /hostname"},
	}, true)
	doc.Run, doc.counts, doc.decision = baseRun(), c, decided(outcome, weights, c, 5)
	doc.answers = []answers{answered(a, 3*time.Millisecond), answered(b, 41*time.Millisecond)}
	doc.lags, doc.cpu = sampleTimes(n, 80*time.Microsecond), time.Duration(n)*90*time.Microsecond
	doc.Load = &report.Load{
		WarmUpRequests: 50, TargetRatePerSecond: 50, DurationSeconds: length.Seconds(), Connections: 4, Engine: "vegeta",
		EndReason: "done", OnTime: true,
	}
	doc.Series = &report.Series{OverTime: overTime(weights, []int64{a, b}, unattributed, length)}
	if unattributed > 0 {
		doc.rest = answers{errors: map[attack.ErrorClass]int64{attack.ErrTimeout: unattributed}}
	}
	return &doc
}

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
	in["gateway-cost"] = cost
	late := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	late.GatewayCost = &report.GatewayCost{Why: "the generator was late, so the times are its own as much as the backends'"}
	in["gateway-cost-refused"] = late

	in["latency"], in["latency-sweep"] = comparisonInput(), sweepInput()
	in["drill"], in["watch"], in["watch-fail"] = drillInput(), watchInput(), failedWatchInput()
	in["many-backends"] = many(16)
	in["three-backends"], in["eight-backends"] = many(3), many(8)
	in["pass-pods"] = severalPods()
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

// severalPods is a run from three source pods, one of which was taken up again.
func severalPods() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 1206, 1194, 3)
	m := record.Manifest{Weights: twoWeights(50, 50)}
	t := NewTally(2)
	for i, counts := range [][]int64{{402, 398}, {405, 395}, {399, 401}} {
		agent := record.AgentFacts{How: "uploaded v0.1.0", Transport: "websocket"}
		m.Streams = append(m.Streams, record.Stream{Pod: i, Name: fmt.Sprintf("frontend-7d9c-x%d", i), Segment: i / 2, Agent: agent})
		t.byPod = append(t.byPod, analyze.Counts{N: counts, Unattributed: int64(i / 2 * 3)})
		t.lostByPod = append(t.lostByPod, int64(i/2*3))
	}
	in.Source.Pods = podsOf(m, t)
	in.Diagnostics = []report.Diagnostic{{Name: analyze.DiagnosticPods, OK: true, P: report.Finite(0.95), Text: "nothing found", Effect: report.EffectKeep}}
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

// comparisonInput is a comparison of three targets with a margin, a baseline and rounds of 2 s.
func comparisonInput() *draft {
	in := drafted(record.Manifest{
		Options: analyze.DefaultOptions(), Before: snapshot(), Checks: greenChecks(),
		Agent: record.AgentFacts{Transport: "websocket", How: "uploaded v0.1.0"},
	})
	in.concluded(report.Fail, "svc/podinfo-east: p50 is slower by more than the margin")
	margin := 5.0
	row := func(name string, typical float64) report.LatencyTarget {
		return report.LatencyTarget{
			Name: name, URL: "http://" + name[4:] + ":9898/", Sent: 2400, Counted: 2400, Quantiles: []report.QuantileTime{
				{Quantile: 0.5, Ms: &typical, LowMs: &typical, HighMs: &typical, DesignEffect: 1.3},
				{Quantile: 0.99, DesignEffect: 1, Why: "needs about 1,500 answers"},
			},
		}
	}
	d := func(target string, direction string, outcome string, low, value, high float64) report.TargetDifference {
		out := report.TargetDifference{Target: target, Than: "svc/podinfo", Outcome: outcome, Quantiles: []report.QuantileVerdict{
			{Quantile: 0.5, Ms: &value, LowMs: &low, HighMs: &high, Direction: direction, P: 0.0012, Outcome: outcome},
			{Quantile: 0.99, Direction: analyze.DirectionNone, P: 1, Outcome: report.Inconclusive, Why: "needs about 1,500 answers"},
		}}
		out.Say("slower", "faster")
		return out
	}
	root := row("svc/podinfo", 3)
	root.Root, root.Counted, root.Elsewhere = "TrafficSplit podinfo", 1190, 1210
	in.Comparison = &report.Comparison{
		Against: "svc/podinfo", Targets: []report.LatencyTarget{row("svc/podinfo-east", 41), row("svc/podinfo-north", 3.2), root}, Rounds: 24, RoundTime: 2,
		Rate: 50, WarmUp: 20, Level: 0.99, Margin: &report.Margin{Ms: &margin, Text: "5ms"},
		Differences: []report.TargetDifference{
			d("svc/podinfo-east", analyze.DirectionSlower, report.Fail, 37.2, 38, 38.9), d("svc/podinfo-north", analyze.DirectionNone, report.Pass, -0.4, 0.2, 0.9),
		},
		Baseline: &report.Baseline{
			ID: "20261101t000000z-test-podinfo-aaaa", Started: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Labels: map[string]string{"linkerd": "2.17"},
			Differences: []report.TargetDifference{d("svc/podinfo-east", analyze.DirectionFaster, report.Pass, -2, -1.2, -0.4)},
			Costs: []report.TargetDifference{costDifference("svc/podinfo-east over svc/podinfo", "20261101t000000z-test-podinfo-aaaa", []costAt{
				{0.5, analyze.CostChange{Change: -1_300_000, CI: analyze.Interval{Low: -2_100_000, High: -500_000}, Outcome: analyze.Pass, Different: true}},
				{0.99, analyze.CostChange{CI: analyze.Interval{Low: math.Inf(-1), High: math.Inf(1), Why: "the base run needs about 1,500 answers"}, Outcome: analyze.Inconclusive}},
			}, []float64{0.0003, 1}, 0.002, true)},
		},
	}
	return in
}

// sweepInput is a sweep whose limit breaks; the last step is too short for a range of its p99.
func sweepInput() *draft {
	in := comparisonInput()
	held, broke := 500.0, 540.0
	times := func(p50, p90, p99 float64, ranges bool) []report.QuantileTime {
		var out []report.QuantileTime
		for i, v := range []float64{p50, p90, p99} {
			q := report.QuantileTime{Quantile: []float64{0.5, 0.9, 0.99}[i], Ms: report.Finite(v), DesignEffect: 1}
			if ranges || i < 2 {
				q.LowMs, q.HighMs = report.Finite(0.9*v), report.Finite(1.2*v)
			} else {
				q.Why = "needs about 1,500 answers"
			}
			out = append(out, q)
		}
		return out
	}
	in.Comparison = &report.Comparison{
		Targets: in.Comparison.Targets[:1], Rounds: 24, RoundTime: 2, Rate: 50, Level: 0.99, Differences: []report.TargetDifference{},
		Sweep: &report.Sweep{
			Target: "svc/podinfo-east", Limit: &report.SweepLimit{Quantile: 0.99, Ms: 50}, HoldsAt: &held, BreaksAt: &broke,
			Sentence: "svc/podinfo-east keeps to a p99 of at most 50 ms up to 500 requests per second and breaks it at 540.",
			Steps: []report.SweepStep{
				{Rate: 50, Sent: 100, Achieved: 50, State: "holds", Quantiles: times(3.1, 4.4, 7.5, true)},
				{Rate: 200, Sent: 400, Achieved: 200, State: "holds", Quantiles: times(3.4, 5.2, 9.1, true)},
				{Rate: 500, Sent: 1000, Achieved: 499.1, State: "holds", Quantiles: times(4.9, 8.8, 12.5, true)},
				{Rate: 540, Sent: 1080, Achieved: 502, Errors: 3, State: "breaks", Quantiles: times(20, 90, 180, false)},
			},
		},
	}
	in.concluded(report.Fail, in.Comparison.Sweep.Sentence)
	return in
}

// drillInput is a drill in which west died and the weights moved to east.
func drillInput() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 1000, 1300, 100)
	in.decision = nil
	in.concluded(report.Fail, "100 requests were lost, 10 are allowed")
	limit := int64(10)
	at := func(v float64) *report.Instant {
		return &report.Instant{AtSeconds: v, LowSeconds: v - 0.04, HighSeconds: v}
	}
	in.Drill = &report.Drill{
		Sent: 2400, Answered: 2300, Lost: 100, LostByKind: map[string]int64{"http 502": 98, "timeout": 2}, Accounted: true,
		Outage: report.Span{Seconds: 4.1, LowSeconds: 4, HighSeconds: 4.2}, Limits: report.DrillLimits{MaxLost: &limit}, Unwatched: []string{},
		Failovers: []report.Failover{{
			Backend: "podinfo", Silent: *at(10), FirstError: at(10.1), Lost: 100, TakenOver: at(14.2), By: report.ByWeights, Recovered: at(30), BackToSplit: at(30.2),
			Sentences: []string{`podinfo gave its last answer at 10.0s; the first request was lost at 10.1s (between 10.1 and 10.1), 0.4s after mark "scaled podinfo to 0".`},
		}},
		Events:   []report.DrillEvent{{AtSeconds: 9.7, Kind: "mark", Text: "scaled podinfo to 0"}, {AtSeconds: 14.1, Kind: "weights", Text: "TrafficSplit test/podinfo: 50/50 -> 0/100", Weights: map[string]int64{"podinfo": 0, "podinfo-east": 100}}},
		Timeline: drillTimeline(),
	}
	return in
}

// drillTimeline is the timeline of 48 s at 50 a second: podinfo falls silent at 10.1 s, from 14.2 s on podinfo-east carries all, and
// at 30 s podinfo answers again. 98 requests are answered with a 502, 2 time out.
func drillTimeline() report.Timeline {
	const bins = 480
	t := report.Timeline{
		BinMs: 100, Sent: make([]int64, bins), Lost: make([]int64, bins), P50Ms: make([]*float64, bins), MaxMs: make([]*float64, bins),
		Backends: []report.TimelineShare{{Backend: "podinfo", Answered: make([]int64, bins)}, {Backend: "podinfo-east", Answered: make([]int64, bins)}},
		Losses:   []report.TimelineLoss{{Kind: "http 502"}, {Kind: "timeout"}},
	}
	lost := int64(0)
	for i := range bins {
		t.Sent[i] = 5
		west := int64(2 + i%2)
		switch {
		case i >= 101 && i < 142:
			n := min(west, 100-lost)
			lost += n
			kind := 0
			if i > 139 {
				kind = 1
			}
			t.Lost[i] = n
			l := &t.Losses[kind]
			l.Bins, l.Lost = append(l.Bins, int64(i)), append(l.Lost, n)
			t.Backends[1].Answered[i] = 5 - n
		case i >= 142 && i < 300:
			t.Backends[1].Answered[i] = 5
		default:
			t.Backends[0].Answered[i], t.Backends[1].Answered[i] = west, 5-west
		}
		p50, most := 3+float64(i%7)/10, 40+float64(i%11)
		t.P50Ms[i], t.MaxMs[i] = &p50, &most
	}
	return t
}

// watchInput is a watch of an hour that found nothing.
func watchInput() *draft {
	in := run(analyze.Pass, twoWeights(50, 50), 90_100, 89_900, 12)
	in.decision, in.Load, in.Series, in.answers = nil, nil, nil, nil
	in.concluded(report.Pass)
	lnE, share := -3.4, 0.497
	high := 0.503
	in.Watch = &report.Watch{
		Requests: 180_000, Lost: 12, Looks: 720, Seconds: 3600, LnE: &lnE, Anytime: &report.Probability{P: 1, LnP: report.Finite(0), Method: "exact"}, Decided: true, Tolerance: 5,
		Backends: []report.WatchedPart{{Backend: "podinfo", Weight: 50, Observed: 90_100, Interval: &report.Interval{Low: &share, High: &high, Level: 0.99, Method: analyze.MethodConfidenceSequence}}},
		Pods:     []string{"frontend-7d9c-x2x", "frontend-7d9c-k4f"}, GapCount: 1, GapTime: 4.2,
		SetAside: 31, Memory: 52 << 20,
		Gaps: []report.WatchGap{{
			At: time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC), Seconds: 4.2, From: "frontend-7d9c-x2x", To: "frontend-7d9c-k4f",
			Why: "the agent's exit code 137 (killed: container stopped, or out of memory)",
		}},
	}
	return in
}

// failedWatchInput is a watch that ended at a drift.
func failedWatchInput() *draft {
	in := watchInput()
	f := report.WatchFailure{
		Backend: "podinfo", Side: report.SideAbove, Edge: 0.55, Since: time.Date(2026, 11, 22, 8, 15, 0, 0, time.UTC), Seconds: 15.2,
		Requests: 750, Observed: 530, Unattributed: 3,
	}
	at := 3600.0
	in.Watch.Failure, in.Watch.FailedAt, in.Watch.Decided = &f, &at, false
	in.concluded(report.Fail, f.String())
	return in
}

// gatewayCostOfRun is that of a gateway that costs 38 ms at the median, of which the 99th percentile has no upper end.
func gatewayCostOfRun() *report.GatewayCost {
	f := report.Finite
	const far = "needs about 1,500 answers"
	time := func(q, v, low float64, high *float64, why string) report.QuantileTime {
		return report.QuantileTime{Quantile: q, Ms: f(v), LowMs: f(low), HighMs: high, DesignEffect: 1.2, Why: why}
	}
	difference := func(q, v, low float64, high *float64, why string) report.QuantileDifference {
		return report.QuantileDifference{Quantile: q, Ms: f(v), LowMs: f(low), HighMs: high, Why: why}
	}
	c := report.BackendCost{Backend: "podinfo-east", Path: report.PathGateway, Quantiles: []report.QuantileDifference{
		difference(0.5, 38, 37.2, f(38.9), ""), difference(0.9, 39, 38.1, f(40.1), ""), difference(0.99, 43, 39.5, nil, far),
	}}
	for _, decile := range []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9} {
		c.Shift = append(c.Shift, difference(decile, 38+decile, 37, f(40), ""))
	}
	c.Say("podinfo")
	return &report.GatewayCost{
		Reference: "podinfo", Level: 0.99, Windows: 40, WindowSeconds: 1.2, Costs: []report.BackendCost{c}, Backends: []report.BackendTimes{
			{Backend: "podinfo", Requests: 1200, Quantiles: []report.QuantileTime{
				time(0.5, 3, 2.9, f(3.1), ""), time(0.9, 5, 4.8, f(5.3), ""), time(0.99, 8, 7.1, f(9.4), ""),
			}},
			{Backend: "podinfo-east", Requests: 1200, Quantiles: []report.QuantileTime{
				time(0.5, 41, 40.2, f(41.8), ""), time(0.9, 44, 43.1, f(45), ""), time(0.99, 51, 48, nil, far),
			}},
		},
	}
}

// drafted is a draft of a record, of the run of all fixtures.
func drafted(m record.Manifest) *draft {
	doc := newDraft(m, true)
	doc.Run = baseRun()
	return &doc
}

// concluded gives a verdict that is not about shares.
func (doc *draft) concluded(outcome string, reasons ...string) {
	doc.Verdict = report.Verdict{Outcome: outcome}
	for _, text := range reasons {
		doc.because(analyze.CodeOutside, "%s", text)
	}
}
