package report

import "testing"

func TestAgreementIsSaidInASentence(t *testing.T) {
	pods := []SourcePod{{Node: "n1", Zone: "a"}, {Node: "n1", Zone: "a"}, {Node: "n2", Zone: "b"}, {Node: "n2", Zone: "b"}}
	test := func(p float64, alike bool) *GroupTest {
		return &GroupTest{Test: &Statistic{Asymptotic: &Probability{P: p}}, AdjustedP: &p, Alike: alike}
	}
	odd := func(pod, node string) StandsOut {
		return StandsOut{Pod: pod, Node: node, Zone: "a", Backend: "podinfo", Share: 0.612, OthersShare: 0.501, AdjustedP: Probability{P: 3e-12}}
	}
	zone := odd("", "")
	north := test(1e-6, false)
	north.Furthest = &zone
	many := make([]StandsOut, MostStandOut)
	for i := range many {
		many[i] = odd(string(rune('a'+i)), "")
	}
	for want, c := range map[string]struct {
		agreement Agreement
		pods      []SourcePod
	}{
		"2 pods agree: chance alone gives differences this large 42 % of the time.": {
			Agreement{Alike: true, Pods: test(0.42, true)}, make([]SourcePod, 2),
		},
		"4 pods on 2 nodes in 2 zones agree: chance alone gives differences this large between pods 42 %, between nodes 87 % and between zones 12.3 % of the time.": {
			Agreement{Alike: true, Pods: test(0.42, true), Nodes: test(0.87, true), Zones: test(0.123, true)}, pods,
		},
		"4 pods on 2 nodes in 2 zones agree: chance alone gives differences this large between nodes 87 % of the time.": {
			Agreement{Alike: true, Pods: &GroupTest{Alike: true, Why: SayPodsFew}, Nodes: test(0.87, true)}, pods,
		},
		"None of 2 pods stands out; they sent too little to compare all of them at once.": {
			Agreement{Alike: true, Pods: &GroupTest{Alike: true, Why: SayPodsFew}}, make([]SourcePod, 2),
		},
		"The shares of 2 pods were not compared: the samples of some answers were dropped.": {
			Agreement{Alike: true, Why: SayPodsDropped}, make([]SourcePod, 2),
		},
		"2 of 4 pods on 2 nodes in 2 zones stand out: pod x (node n1, zone a) got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12), " +
			"pod y (zone a) got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12). The verdict is about all pods together, and stays.": {
			Agreement{Pods: test(1e-5, false), StandOut: []StandsOut{odd("x", "n1"), odd("y", "")}, StandOutPods: 2}, pods,
		},
		"Pods differ more than chance explains (corrected p 0.0001), and none of them by itself; " +
			"zones differ: zone a got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12). The verdict is about all pods together, and stays.": {
			Agreement{Pods: test(1e-4, false), Zones: north}, pods,
		},
		"7 of 2 pods stand out: pod a (zone a) got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12), pod b (zone a) got 61.2 % of its answers from podinfo, " +
			"all others 50.1 % (corrected p 3e-12), pod c (zone a) got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12), pod d (zone a) got 61.2 % of its answers from podinfo, " +
			"all others 50.1 % (corrected p 3e-12), pod e (zone a) got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12), and 2 more. " +
			"The verdict is about all pods together, and stays.": {
			Agreement{Pods: test(0.5, true), StandOut: many, StandOutPods: 7}, make([]SourcePod, 2),
		},
	} {
		r := Report{Verdict: Verdict{Outcome: Pass}, Source: &Source{Pods: c.pods, Agreement: &c.agreement}}
		if got := agreementSentence(r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	withheld := Report{Verdict: Verdict{Outcome: Inconclusive}, Source: &Source{Pods: pods, Agreement: &Agreement{Zones: north}}}
	if got := agreementSentence(withheld); got != "Zones differ: zone a got 61.2 % of its answers from podinfo, all others 50.1 % (corrected p 3e-12)." {
		t.Errorf("where there is no verdict: %s", got)
	}
}
