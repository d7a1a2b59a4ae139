package report

import (
	"fmt"
	"math"
	"strings"
	"time"

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

func answers(ok int64, typical time.Duration) Answers {
	return Answers{Statuses: map[uint16]int64{200: ok}, Service: sampleTimes(ok, typical), Response: sampleTimes(ok, typical+100*time.Microsecond)}
}

// overTime spreads counts over windows in a fixed wavy shape that adds up.
func overTime(counts []int64, unattributed int64, length time.Duration) *OverTime {
	var all int64
	for _, n := range counts {
		all += n
	}
	windows := int(min(40, max(1, all/MinPerWindow)))
	o := &OverTime{WindowSeconds: length.Seconds() / float64(windows), Windows: windows, Unattributed: make([]int64, windows), Errors: make([]int64, windows)}
	o.Unattributed[windows/2], o.Errors[windows/2] = unattributed, unattributed
	for b, n := range counts {
		c := WindowCount{Observed: make([]int64, windows)}
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
			NullModel: law.RandomPerRequest, Backends: []law.LawBackend{
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

func baseRun() *Run {
	return &Run{
		ID: "20261122t071502z-test-podinfo-k3f9", Dir: "results/20261122t071502z-test-podinfo-k3f9",
		Started: time.Date(2026, 11, 22, 7, 15, 2, 0, time.UTC), Ended: time.Date(2026, 11, 22, 7, 15, 42, 0, time.UTC),
		URL: "http://podinfo.test.svc.cluster.local:9898/", Command: []string{"splitbench", "run", "ts/podinfo", "-n", "test", "--from", "deploy/frontend"},
		Seed: 1, Tool: "v0.1.0 (0123abc)", Complete: true,
	}
}

// run is a whole run of two backends.
func run(outcome analyze.Outcome, weights analyze.Weights, a, b, unattributed int64) Input {
	c := analyze.Counts{N: []int64{a, b}, Unattributed: unattributed}
	n := a + b + unattributed
	load := &LoadFacts{
		Backends: []Answers{answers(a, 3*time.Millisecond), answers(b, 41*time.Millisecond)},
		WarmUp:   50, TargetRate: 50, Duration: time.Duration(n) * 20 * time.Millisecond, SendLags: sampleTimes(n, 80*time.Microsecond),
		CPU: time.Duration(n) * 90 * time.Microsecond, Connections: 4, Engine: "vegeta", EndReason: "done", OnTime: true,
	}
	load.OverTime = overTime([]int64{a, b}, unattributed, load.Duration)
	if unattributed > 0 {
		load.Unattributed = Answers{Errors: map[attack.ErrorClass]int64{attack.ErrTimeout: unattributed}}
	}
	return Input{
		Weights: weights, Counts: c, Options: analyze.DefaultOptions(), Decision: decided(outcome, weights, c, 5),
		Checks: greenChecks(), Before: snapshot(), After: snapshot(), Transport: "websocket", Agent: "uploaded v0.1.0",
		Signatures: map[string]string{"podinfo": "pod names in /hostname", "podinfo-east": "pod names in /hostname"},
		Load:       load, Run: baseRun(),
	}
}

// hostile is what an attacker who names things and answers requests could send.
const hostile = "<script>alert(1)</script>\x1b[2J\x1b]0;pwned\x07 |`**_~~ @octocat #1 ![x](http://evil.test/x.png) www.evil.test\r\n## PASS\u202etxt\u200b\x9b31m\x00"

// inputs are one report for each thing that can happen.
func inputs() map[string]Input {
	in := map[string]Input{
		"pass":              run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0),
		"pass-small-canary": run(analyze.Pass, twoWeights(99, 1), 49_481, 519, 3),
		"fail":              run(analyze.Fail, twoWeights(50, 50), 6488, 3512, 0),
		"inconclusive":      run(analyze.Inconclusive, twoWeights(50, 50), 17, 13, 0),
	}
	pass := in["pass"]
	pass.Decision.Reasons = []analyze.Reason{{Code: "within-tolerance", Text: "every share is within 5 points of its weight"}}
	in["pass"] = pass

	witnessed := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	fit := StatisticOf(analyze.Statistic{Value: 0.21, DF: 1, Asymptotic: p(0.646), Exact: p(0.653)})
	witnessed.Witness = &Witness{
		Available: true, Proxy: "linkerd", URL: "http://127.0.0.1:4191/metrics", Path: "ServiceProfile",
		Counter: "requests handed to each backend's balancer (outbound_http_balancer_queue_requests_total)",
		Draws: []WitnessDraws{
			{Backend: "podinfo", Drawn: 1251, DrawnShare: finite(0.5052), Answered: 1212},
			{Backend: "podinfo-east", Drawn: 1225, DrawnShare: finite(0.4948), Answered: 1188},
		},
		Requests: 2450, Background: 26, Outcome: Pass, GoodnessOfFit: &fit, Agrees: true, Undisturbed: true,
	}
	in["pass-witness"] = witnessed

	pinned := run(analyze.Inconclusive, twoWeights(50, 50), 61, 67, 0)
	pinned.Witness = &Witness{
		Available: true, Proxy: "linkerd", URL: "http://127.0.0.1:4191/metrics", Path: "connections", Unit: unitConnection, Agrees: true,
		Undisturbed: true, UnitWhy: "the proxy does not look into the connections to this port: it drew a backend for each of 128 connections, not for each request, so connections are judged",
		Requests: 2420, Findings: []string{"the proxy does not look into the connections to this port: it drew a backend for each of 128 connections, not for each request, so connections are judged"},
	}
	pinned.Decision.Reasons = []analyze.Reason{{Code: "too-few-requests", Text: "128 connections cannot tell the 50/50 weights from a wrong split"}}
	pinned.Decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	in["inconclusive-connections"] = pinned

	early := run(analyze.Pass, twoWeights(50, 50), 548, 552, 0)
	early.Sequential = &Sequential{Every: 50, Looks: 22, Requests: 1100, Maximum: 5000, LnE: -3.1, Anytime: analyze.PValue{P: 1, Method: analyze.Exact}}
	early.Decision.Reasons = []analyze.Reason{{Code: "sequential", Text: "at look 22, after 1100 requests, the likely range of every share lies within its tolerance"}}
	in["pass-sequential"] = early

	fail := in["fail"]
	fail.Decision.Reasons = []analyze.Reason{{Code: "outside-tolerance", Text: "podinfo got 64.9 % of 10,000 requests, which is 14.9 points from its 50 %; 5 points are allowed"}}
	fail.Warnings = []string{"the split was written 12s before the run"}
	in["fail"] = fail

	few := in["inconclusive"]
	few.Decision.Reasons = []analyze.Reason{{Code: "too-few-requests", Text: "30 requests cannot tell the 50/50 weights from a wrong split: the true share of podinfo-east could be anywhere from 18.5 % to 68.2 %."}}
	few.Decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	few.Decision.NeededIfAsObserved = analyze.Needed{Why: "the observed share lies on the edge of the tolerance"}
	in["inconclusive"] = few

	edge := run(analyze.Inconclusive, twoWeights(50, 50), 5500, 4500, 12)
	edge.Decision.Unattributed.Decides = true
	edge.Decision.Reasons = []analyze.Reason{{Code: "unattributed-decide", Text: "12 requests without a known backend could change the outcome"}}
	edge.Decision.NeededIfOnTarget = analyze.Needed{Why: "requests without a known backend decide it, however many there are"}
	in["inconclusive-unattributed"] = edge

	leak := run(analyze.Fail, analyze.Weights{{Backend: "podinfo", W: 100}, {Backend: "podinfo-east", W: 0}}, 1997, 3, 0)
	leak.Decision.Reasons = []analyze.Reason{{Code: "leak", Text: "podinfo-east has weight 0 and answered 3 requests"}}
	in["fail-leak"] = leak

	down := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	down.Diagnostics = []Diagnostic{{Name: "independence", P: finite(1e-12), Text: "backends come in runs, as if they were drawn per connection", Effect: EffectDowngrade}}
	in["inconclusive-diagnostic"] = down

	in["invalid-off-mesh"] = Input{
		Weights: twoWeights(50, 50), Counts: analyze.Counts{N: []int64{0, 0}}, Options: analyze.DefaultOptions(), Before: snapshot(),
		Checks: append(greenChecks()[:1], preflight.Result{
			ID: "SB002", Category: "client", Name: "client pod is meshed", Severity: preflight.Fatal, Status: preflight.Failed,
			Seen: "pod frontend-7d9c-x2x has no container linkerd-proxy",
			Hint: "annotate the pod template with linkerd.io/inject: enabled and restart it: kubectl rollout restart deploy/frontend -n test",
		}, preflight.Result{
			ID: "SB012", Category: "mirror", Name: "remote Service is exported", Severity: preflight.Fatal, Status: preflight.Unknown, Seen: "no --remote-context was given",
			Hint: "give --remote-context east",
		}), Run: baseRun(), Remedies: nil,
	}

	changed := run(analyze.Fail, twoWeights(50, 50), 1700, 700, 0)
	after := snapshot()
	after.Split.Effective = []law.Weight{{Service: "podinfo", Weight: 90}, {Service: "podinfo-east", Weight: 10}}
	changed.After = after
	half := StatisticOf(analyze.Statistic{Value: 0.3, DF: 1, Asymptotic: p(0.58), Exact: p(0.6)})
	changed.Segments = []Segment{
		{
			ToSeconds: 23.4, Requests: 1171, Outcome: Pass, Pearson: &half, Backends: []SegmentBackend{
				{Name: "podinfo", Weight: 50, ExpectedShare: 0.5, Observed: 590, ObservedShare: finite(0.5038)},
				{Name: "podinfo-east", Weight: 50, ExpectedShare: 0.5, Observed: 581, ObservedShare: finite(0.4962)},
			},
		},
		{
			FromSeconds: 23.9, ToSeconds: 48, Requests: 1203, Outcome: Inconclusive, Pearson: &half, Backends: []SegmentBackend{
				{Name: "podinfo", Weight: 90, ExpectedShare: 0.9, Observed: 1083, ObservedShare: finite(0.9002)},
				{Name: "podinfo-east", Weight: 10, ExpectedShare: 0.1, Observed: 120, ObservedShare: finite(0.0998)},
			},
			Propagation: &Propagation{
				What: "TrafficSplit test/podinfo", WriteAtSeconds: 23.1, Seconds: finite(0.62), LowSeconds: finite(0.31), HighSeconds: finite(1.2), ClockErrorMs: 1.4,
			},
		},
	}
	after.Split.YAML = []byte(strings.Replace(strings.Replace(splitYAML, "weight: 50", "weight: 90", 1), "weight: 50", "weight: 10", 1))
	changed.Load.Marks = []Mark{{AtSeconds: 18.2, Text: "split written by kubectl-apply"}}
	in["invalid-changed"] = changed

	cutShort := run(analyze.Inconclusive, twoWeights(50, 50), 260, 251, 1)
	cutShort.Interrupted, cutShort.After = "SIGINT", nil
	in["interrupted"] = cutShort

	w := twoWeights(50, 50)
	c := analyze.Counts{N: []int64{5212, 4788}}
	in["counts-only"] = Input{Weights: w, Counts: c, Decision: decided(analyze.Inconclusive, w, c, 2)}
	in["counts-only"].Decision.NeededIfOnTarget = analyze.Needed{Requests: 26_000}
	in["counts-only"].Decision.NeededIfAsObserved = analyze.Needed{Requests: 4_000_000}

	cost := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	cost.GatewayCost = gatewayCostFacts()
	in["gateway-cost"] = cost
	late := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	late.GatewayCost = &CostFacts{Why: "the generator was late, so the times are its own as much as the backends'"}
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
	in["nothing"] = Input{}
	return in
}

// more are the reasons for an inconclusive or invalid outcome that the others do not have.
func more(in map[string]Input) {
	edge := run(analyze.Inconclusive, twoWeights(50, 50), 5490, 4510, 0)
	edge.Decision.Reasons = []analyze.Reason{{Code: analyze.CodeEdge, Text: "The share of podinfo-east lies on the edge of its tolerance: 45.1 % where 45 % to 55 % are allowed."}}
	edge.Decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	edge.Decision.NeededIfAsObserved = analyze.Needed{Requests: 541_000}
	in["inconclusive-edge"] = edge

	power := run(analyze.Inconclusive, twoWeights(50, 50), 210, 190, 0)
	power.Decision.Gate, power.Decision.Options.Gate = analyze.GateChiSquare, analyze.GateChiSquare
	power.Decision.Reasons = []analyze.Reason{{Code: analyze.CodeTooFew, Text: "400 requests find no difference, but would not have noticed one of 5 points."}}
	power.Decision.NeededIfOnTarget = analyze.Needed{Requests: 2401}
	in["inconclusive-chisquare"] = power

	unknown := run(analyze.Pass, twoWeights(50, 50), 1212, 1180, 8)
	unknown.Load.Unattributed = Answers{Statuses: map[uint16]int64{200: 8}}
	unknown.Invalid = []string{"8 complete answers came from no known backend"}
	unknown.Specimens = []attack.Specimen{{Seq: 12, Status: 200, Body: `{"message":"greetings from north"}`}}
	in["invalid-unknown-backend"] = unknown

	late := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 0)
	late.Load.OnTime, late.Load.Dropped = false, 300
	late.Invalid = []string{"the generator was overloaded: the times of 300 of 2400 requests were lost"}
	late.Remedies = []string{"lower --rate, or raise --connections if answers are slow"}
	in["invalid-overloaded"] = late

	silent := run(analyze.Inconclusive, twoWeights(50, 50), 0, 0, 200)
	silent.Decision, silent.Load.Backends = nil, []Answers{{}, {}}
	in["invalid-no-answers"] = silent

	errors := run(analyze.Pass, twoWeights(50, 50), 1212, 1188, 4)
	errors.Load.Backends[1].Statuses = map[uint16]int64{200: 1150, 404: 3, 503: 35}
	errors.Load.Unattributed = Answers{Errors: map[attack.ErrorClass]int64{attack.ErrTimeout: 3, attack.ErrDial: 1}}
	in["pass-errors"] = errors
}

// severalPods is a run from three source pods, one of which was taken up again.
func severalPods() Input {
	in := run(analyze.Pass, twoWeights(50, 50), 1206, 1194, 3)
	in.Pods = nil
	for i, counts := range [][]int64{{402, 398}, {405, 395}, {399, 401}} {
		in.Pods = append(in.Pods, NewSourcePod(SourcePod{
			Pod: fmt.Sprintf("frontend-7d9c-x%d", i), Agent: "uploaded v0.1.0", Transport: "websocket", Segments: 1 + i/2,
			Lost: int64(i / 2 * 3), Unattributed: int64(i / 2 * 3),
		}, []string{"podinfo", "podinfo-east"}, counts))
	}
	in.Diagnostics = []Diagnostic{{Name: analyze.DiagnosticPods, OK: true, P: finite(0.95), Text: "nothing found", Effect: EffectKeep}}
	return in
}

func many(backends int64) Input {
	var w analyze.Weights
	var c analyze.Counts
	load := &LoadFacts{TargetRate: 1000, Duration: 16 * time.Second, OnTime: true, Engine: "vegeta", Connections: 16}
	for i := range backends {
		w = append(w, analyze.Weight{Backend: fmt.Sprintf("checkout-service-with-a-long-name-in-cluster-%02d", i), W: 100})
		c.N = append(c.N, 1000+(i-8)*3)
		load.Backends = append(load.Backends, answers(1000+(i-8)*3, time.Duration(i+2)*time.Millisecond))
	}
	load.OverTime = overTime(c.N, 0, load.Duration)
	return Input{Weights: w, Counts: c, Decision: decided(analyze.Pass, w, c, 5), Load: load, Run: baseRun(), Checks: greenChecks()}
}

func hostileInput() Input {
	in := run(analyze.Fail, analyze.Weights{{Backend: hostile, W: 50}, {Backend: "podinfo-east|" + strings.Repeat("x", 80), W: 50}}, 1900, 500, 5)
	in.Decision.Reasons = []analyze.Reason{{Code: "outside-tolerance", Text: hostile}, {Text: "- list\n# heading"}, {Text: "1. list"}}
	in.Specimens = []attack.Specimen{{Seq: 7, Status: 200, Body: hostile}, {Seq: 9, Status: 503, Body: "</pre></details>\n\n| a | b |\n|---|---|\xff\xfe"}}
	before := snapshot()
	before.Split.Name, before.Split.EffectiveFrom, before.Source.Name = "x--><script>"+hostile, hostile, hostile
	before.Clusters[0].Context = hostile
	before.Split.YAML, before.Split.LastWriter = []byte("kind: "+hostile+"\n"+"</pre><script>alert(2)</script>\n"), hostile
	in.Load.Marks = []Mark{{AtSeconds: 3, Text: hostile}}
	in.Before, in.After = before, before
	in.Warnings = []string{hostile, strings.Repeat("long ", 1000)}
	in.Checks = []preflight.Result{{ID: "SB002", Category: hostile, Name: hostile, Severity: preflight.Warn, Status: preflight.Warning, Seen: hostile, Hint: hostile}}
	in.Run.URL, in.Run.Command = hostile, []string{"splitbench", "run", hostile, "a'b"}
	in.Run.Labels = map[string]string{hostile: hostile}
	in.Signatures = map[string]string{hostile: hostile}
	return in
}
