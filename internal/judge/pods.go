package judge

import (
	"slices"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// pods has the report say what each source pod sent, where several did.
func (doc *draft) pods(m record.Manifest, t *Tally) {
	if doc.Source != nil {
		doc.Source.Pods = podsOf(m, t)
		doc.Source.StartSkewMs = max(0, float64(m.StartSkew.Microseconds())/1e3)
	}
	doc.brokenStreams(m, t)
}

// podsOf is what each source pod sent; nil where one pod sent all in one segment.
func podsOf(m record.Manifest, t *Tally) []report.SourcePod {
	if len(m.Streams) < 2 {
		return nil
	}
	out := make([]report.SourcePod, m.Pods())
	for _, s := range m.Streams {
		p := &out[s.Pod]
		p.Pod, p.Agent, p.Transport = s.Name, s.Agent.How, s.Agent.Transport
		p.Segments = max(p.Segments, s.Segment+1)
		p.Lost += t.lostOf(s)
		p.Why = ""
		if s.Next > 0 { // unless another stream follows
			p.Why = s.Broken
		}
		if s.Segment == 0 && len(out) > 1 {
			p.StartedMs = Rounded(float64(s.Started.Microseconds()) / 1e3)
			p.ClockAheadMs, p.ClockErrorMs = aheadMs(s.Clock)
		}
		if at := s.Pod - 1; at >= 0 && m.Before != nil && at < len(m.Before.Others) {
			p.Node, p.Zone = m.Before.Others[at].Node, m.Before.Others[at].Zone
		} else if s.Pod == 0 && m.Before != nil {
			p.Node, p.Zone = m.Before.Source.Node, m.Before.Source.Zone
		}
	}
	for i := range out {
		counts := analyze.Counts{N: make([]int64, len(m.Weights))}
		switch {
		case len(out) == 1:
			counts = t.counts
		case i < len(t.byPod):
			counts = t.byPod[i]
		}
		out[i].Unattributed = counts.Unattributed
		known := attributed(counts)
		out[i].Requests = known + counts.Unattributed
		for b, w := range m.Weights {
			share := report.PodShare{Name: w.Backend, Observed: counts.N[b]}
			if known > 0 {
				share.ObservedShare = report.Finite(float64(share.Observed) / float64(known))
			}
			out[i].Backends = append(out[i].Backends, share)
		}
	}
	return out
}

// comparePods has the report say whether source pods, their nodes and their zones got the same shares. It changes no
// verdict: what does that, where pods differ, is the diagnostic.
func (doc *draft) comparePods(t *Tally, dropped uint64) {
	if doc.Source == nil || t == nil || len(t.byPod) < 2 || len(t.byPod) != len(doc.Source.Pods) {
		return
	}
	out := &report.Agreement{Level: unlikeLevel, Alike: true, StandOut: []report.StandsOut{}}
	doc.Source.Agreement = out
	switch c := doc.Cause; {
	case dropped > 0:
		out.Why = report.SayPodsDropped
		return
	case c != nil && (apart(c.Kind) || apart(c.Also)):
		out.Why = report.SayPodsTogether
		return
	}
	pods, outliers := doc.compared(t, func(p report.SourcePod) report.StandsOut {
		return report.StandsOut{Pod: p.Pod, Node: p.Node, Zone: p.Zone}
	})
	if pods == nil {
		out.Why = report.SayPodsSilent
		return
	}
	out.Pods, out.StandOutPods = pods, len(outliers)
	out.StandOut = append(out.StandOut, outliers[:min(len(outliers), report.MostStandOut)]...)
	nodes, _ := doc.compared(t, func(p report.SourcePod) report.StandsOut {
		return report.StandsOut{Node: p.Node, Zone: p.Zone}
	})
	zones, _ := doc.compared(t, func(p report.SourcePod) report.StandsOut { return report.StandsOut{Zone: p.Zone} })
	tests := []*report.GroupTest{pods}
	if nodes != nil && nodes.Groups < pods.Groups { // else the same groups once more
		out.Nodes, tests = nodes, append(tests, nodes)
	}
	if zones != nil && zones.Groups < tests[len(tests)-1].Groups {
		out.Zones, tests = zones, append(tests, zones)
	}
	out.Alike = holm(tests) && out.StandOutPods == 0
}

// holm corrects the tests that could be made for being several, and reports whether they find nothing.
func holm(tests []*report.GroupTest) bool {
	tests = slices.DeleteFunc(slices.Clone(tests), func(g *report.GroupTest) bool { return g.Test == nil })
	p := make([]float64, len(tests))
	for i, g := range tests {
		p[i] = g.Test.Asymptotic.P
	}
	alike := true
	for i, adjusted := range analyze.Holm(p) {
		tests[i].AdjustedP, tests[i].Alike = &adjusted, adjusted > unlikeLevel
		alike = alike && tests[i].Alike
	}
	return alike
}

// apart reports whether a cause makes requests go together, so that pods differ without a share of their own.
func apart(cause string) bool {
	return slices.Contains([]string{analyze.CauseConnections, analyze.CauseUnnamed, analyze.CauseSticky}, cause)
}

// compared is the test of pods, or of what they are grouped by, and those that stand out; nil where there are not two,
// or where it is not known what a pod is of.
func (doc *draft) compared(
	t *Tally, of func(report.SourcePod) report.StandsOut,
) (*report.GroupTest, []report.StandsOut) {
	var groups []report.StandsOut
	var table [][]int64
	for i, p := range doc.Source.Pods {
		g := of(p)
		switch {
		case attributed(t.byPod[i]) == 0:
			continue
		case g == report.StandsOut{}:
			return nil, nil
		}
		at := slices.Index(groups, g)
		if at < 0 {
			at, groups, table = len(groups), append(groups, g), append(table, make([]int64, len(doc.weights)))
		}
		for b, n := range t.byPod[i].N {
			table[at][b] += n
		}
	}
	a, err := analyze.Agree(table, unlikeLevel)
	if err != nil || len(groups) < 2 {
		return nil, nil
	}
	test := &report.GroupTest{Groups: a.Groups, Alike: true, Why: report.SayPodsFew}
	if a.Test.DF > 0 {
		test.Test, test.Why = new(statistic(a.Test)), ""
	}
	var outliers []report.StandsOut
	for _, o := range a.StandOut {
		g := groups[o.Group]
		g.Backend, g.Observed, g.Requests = doc.weights[o.Backend].Backend, o.Observed, o.Requests
		g.Share, g.OthersShare, g.AdjustedP = o.Share, o.Others, *probability(o.AdjustedP)
		outliers = append(outliers, g)
	}
	if len(outliers) > 0 && outliers[0].Pod == "" {
		test.Furthest = &outliers[0]
	}
	return test, outliers
}

// aheadMs is how far a clock is ahead of this machine's, and by how much that may be wrong; nil where it is not known.
func aheadMs(c record.Clock) (ahead, off *float64) {
	if !c.Known {
		return nil, nil
	}
	return report.Finite(float64(c.LowNs/2+c.HighNs/2) / 1e6), report.Finite(float64(c.HighNs-c.LowNs) / 2e6)
}

// brokenStreams says which pods' streams broke and what became of the requests between, and which pods were lost.
func (doc *draft) brokenStreams(m record.Manifest, t *Tally) {
	last := map[int]int{}
	for _, s := range m.Streams {
		last[s.Pod] = max(last[s.Pod], s.Segment)
	}
	for _, s := range m.Streams {
		switch n := t.lostOf(s); {
		case s.Next == 0:
		case s.Segment == last[s.Pod]:
			doc.warn(report.SayPodLost, s.Name, n, s.Broken)
		default:
			doc.warn(report.SayStreamBroke, s.Name, s.Next, n, s.Broken)
		}
	}
}

// lostPods says which pods of a comparison were lost, and names those that sent.
func (doc *draft) lostPods(m record.Manifest) {
	for _, s := range m.Streams {
		if s.Broken != "" {
			doc.warn(report.SayPodLeft, s.Name, s.Bursts, len(m.Latency.Bursts), s.Broken)
		}
	}
}

// lostOf is how many requests were lost where a stream broke.
func (t *Tally) lostOf(s record.Stream) (n int64) {
	for _, l := range t.lost[s.Pod] {
		if first, next := max(l.first, s.First), min(l.next, s.Next); first < next {
			n += int64(next - first)
		}
	}
	return n
}
