package judge

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// podsOn are pods on nodes in zones, and what each got of two backends.
func podsOn(at [][2]string, counts ...[2]int64) (*draft, *Tally) {
	doc := &draft{Report: report.Report{Source: &report.Source{}}, weights: twoWeights(50, 50)}
	t := NewTally(2)
	for i, n := range counts {
		doc.Source.Pods = append(doc.Source.Pods, report.SourcePod{Pod: fmt.Sprintf("x%d", i), Node: at[i][0], Zone: at[i][1]})
		t.byPod = append(t.byPod, analyze.Counts{N: n[:]})
	}
	return doc, t
}

func TestPodsNodesAndZonesAreCompared(t *testing.T) {
	even := [2]int64{500, 500}
	type seen struct {
		Pods, Nodes, Zones, StandOut int
		Furthest, Why                string
		Alike                        bool
	}
	groups := func(g *report.GroupTest) int {
		if g == nil {
			return 0
		}
		return g.Groups
	}
	two := [][2]string{{"n1", "a"}, {"n1", "a"}, {"n2", "b"}, {"n2", "b"}}
	apart := [2]int64{540, 460} // a pod against all others: p 0.0039; a node against the other: 4.9e-7 (SciPy 1.17.1, fisher_exact)
	for name, c := range map[string]struct {
		at     [][2]string
		counts [][2]int64
		change func(*draft)
		want   seen
	}{
		"alike":                 {two, [][2]int64{even, even, even, even}, nil, seen{Pods: 4, Nodes: 2, Alike: true}},
		"three zones of six":    {append(two, [2]string{"n3", "b"}, [2]string{"n3", "b"}), [][2]int64{even, even, even, even, even, even}, nil, seen{Pods: 6, Nodes: 3, Zones: 2, Alike: true}},
		"one pod stands out":    {two, [][2]int64{even, even, {620, 380}, even}, nil, seen{Pods: 4, Nodes: 2, StandOut: 1, Furthest: "n1"}},
		"a node differs":        {two, [][2]int64{{460, 540}, {460, 540}, apart, apart}, nil, seen{Pods: 4, Nodes: 2, Furthest: "n1"}},
		"a pod on each node":    {[][2]string{{"n1", "a"}, {"n2", "a"}}, [][2]int64{even, even}, nil, seen{Pods: 2, Alike: true}},
		"a node is not known":   {[][2]string{{"n1", "a"}, {"", ""}}, [][2]int64{even, even}, nil, seen{Pods: 2, Alike: true}},
		"one sent nothing":      {two, [][2]int64{even, {}, even, even}, nil, seen{Pods: 3, Nodes: 2, Alike: true}},
		"one answered":          {two, [][2]int64{even, {}, {}, {}}, nil, seen{Alike: true, Why: report.SayPodsSilent}},
		"too few for the whole": {two, [][2]int64{{1, 0}, {0, 1}, {0, 1}, {0, 1}}, nil, seen{Pods: 4, Nodes: 2, Alike: true}},
		"connections are pinned": {
			two,
			[][2]int64{{1000, 0}, {0, 1000}, even, even},
			func(d *draft) { d.Cause = &report.Cause{Kind: analyze.CauseConnections} },
			seen{Alike: true, Why: report.SayPodsTogether},
		},
		"a change, and requests that stick": {
			two,
			[][2]int64{{1000, 0}, {0, 1000}, even, even},
			func(d *draft) { d.Cause = &report.Cause{Kind: analyze.CauseChange, Also: analyze.CauseSticky} },
			seen{Alike: true, Why: report.SayPodsTogether},
		},
		"pods are the cause": {
			two,
			[][2]int64{{1000, 0}, even, even, even},
			func(d *draft) { d.Cause = &report.Cause{Kind: analyze.CausePods} },
			seen{Pods: 4, Nodes: 2, StandOut: 4, Furthest: "n1"},
		},
	} {
		doc, tally := podsOn(c.at, c.counts...)
		if c.change != nil {
			c.change(doc)
		}
		doc.comparePods(tally, 0)
		a := doc.Source.Agreement
		got := seen{groups(a.Pods), groups(a.Nodes), groups(a.Zones), a.StandOutPods, "", a.Why, a.Alike}
		if a.Nodes != nil && a.Nodes.Furthest != nil {
			got.Furthest = a.Nodes.Furthest.Node
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	doc, tally := podsOn(two, even, even, even, even)
	if doc.comparePods(tally, 1); doc.Source.Agreement.Why != report.SayPodsDropped {
		t.Errorf("dropped samples: %+v", doc.Source.Agreement)
	}
}

// Who stands out is beside the verdict: of the same counts it is the same, word for word, whichever pods they are from.
func TestPodsThatStandOutChangeNoVerdict(t *testing.T) {
	apart, alike := podsApart(), podsApart()
	alike.Source.Agreement = nil
	if d := cmp.Diff(alike.finish().Verdict, apart.finish().Verdict); d != "" {
		t.Errorf("(-without +with)\n%s", d)
	}
}

// Where connections are drawn, not requests, connections are compared: 40 of each pod, one answer and fifty repeats each.
// By its requests each pod would stand out, or none of three that are apart by 16 of 40 connections.
func TestPodsAreComparedByWhatIsDrawn(t *testing.T) {
	tally := NewTally(2)
	tally.Pods = 2
	for conn := range 80 {
		backend := conn / 2 % 2 // of pod 0 and pod 1 in turns
		if conn%16 == 0 {
			backend = 1 - backend
		}
		for range 50 {
			o := analyze.Observation{Seq: tally.N, Sent: time.Duration(tally.N), Backend: backend, Conn: conn, Pod: conn % 2, OK: true}
			tally.observations = append(tally.observations, o)
			tally.countByPod(o.Pod, o.Backend)
			tally.counts.Add(o.Backend, 1)
			tally.N++
		}
	}
	drawn, err := perConnection(tally, 2)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tally    *Tally
		standOut int
		answers  int64
	}{"connections": {drawn, 0, 40}, "requests": {tally, 2, 2000}} {
		doc := &draft{Report: report.Report{Source: &report.Source{Pods: []report.SourcePod{{Pod: "a"}, {Pod: "b"}}}}, weights: twoWeights(50, 50)}
		doc.comparePods(c.tally, 0)
		if a := doc.Source.Agreement; a.StandOutPods != c.standOut || attributed(c.tally.byPod[0]) != c.answers {
			t.Errorf("%s: %+v of %+v", name, a, c.tally.byPod)
		}
	}
}

// Clocks and starts as they are in documents: a clock of which it is known that it is 12 to 14 ms ahead is 13 ms ahead,
// give or take 1; one of which nothing is known has neither number.
func TestStartsAndClocksOfPods(t *testing.T) {
	m := record.Manifest{Weights: twoWeights(50, 50), StartSkew: 8125 * time.Microsecond, Streams: []record.Stream{
		{Pod: 0, Name: "a", Clock: record.Clock{LowNs: -2_000_000, HighNs: 1_000_000, Known: true}},
		{Pod: 1, Name: "b", Started: 8125 * time.Microsecond, Clock: record.Clock{LowNs: 12_000_000, HighNs: 14_000_000, Known: true}},
		{Pod: 2, Name: "c", Started: 1500 * time.Microsecond},
		{Pod: 2, Name: "c", Segment: 1, Started: time.Hour, Clock: record.Clock{LowNs: 1, HighNs: 2, Known: true}}, // resumed
	}}
	doc := &draft{Report: report.Report{Source: &report.Source{}}}
	doc.pods(m, NewTally(2))
	if doc.Source.StartSkewMs != 8.125 {
		t.Errorf("started within %g ms", doc.Source.StartSkewMs)
	}
	type clock struct {
		Started    float64
		Ahead, Err *float64
	}
	var got []clock
	for _, p := range doc.Source.Pods {
		got = append(got, clock{p.StartedMs, p.ClockAheadMs, p.ClockErrorMs})
	}
	f := report.Finite
	if d := cmp.Diff([]clock{{0, f(-0.5), f(1.5)}, {8.125, f(13), f(1)}, {1.5, nil, nil}}, got); d != "" {
		t.Error(d)
	}
}

// Of the requests that a broken stream lost, those of each stream are counted, and what is kept grows by streams alone.
func TestLostRequestsAreCountedByStream(t *testing.T) {
	tally := NewTally(1)
	tally.Pods = 2
	for at := uint64(10); at < 300_000; at++ { // pod 1's first stream broke at 10, the second, from 200,000 on, at once
		tally.lose(2*at + 1)
	}
	tally.lose(0)
	for i, c := range []struct {
		stream record.Stream
		want   int64
	}{
		{record.Stream{Pod: 0, Next: 5}, 1},
		{record.Stream{Pod: 1, Next: 200_000}, 199_990},
		{record.Stream{Pod: 1, Segment: 1, First: 200_000, Next: 300_000}, 100_000},
		{record.Stream{Pod: 1, First: 300_000, Next: 400_000}, 0},
	} {
		if got := tally.lostOf(c.stream); got != c.want {
			t.Errorf("%d: %d requests lost, want %d", i, got, c.want)
		}
	}
	if kept := len(tally.lost[0]) + len(tally.lost[1]); kept != 2 {
		t.Errorf("%d spans are kept of two rows", kept)
	}
}
