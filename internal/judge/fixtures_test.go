package judge

import (
	"math"
	"time"

	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"

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
			ObjectRef: law.ObjectRef{
				Kind: "TrafficSplit", APIVersion: "split.smi-spec.io/v1alpha2", Namespace: "test", Name: "podinfo",
				UID: "5a4c1d2e-0000-4000-8000-000000000001", ResourceVersion: "4711", Generation: 7,
			},
			Found: true, Root: "podinfo",
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
