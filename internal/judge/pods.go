package judge

import (
	"github.com/splitbench/splitbench/analyze"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
)

// stepsOf are the ways that were tried to get the generator into the first pod.
func stepsOf(m record.Manifest) (out []report.SourceStep) {
	for _, s := range m.Agent.Steps {
		out = append(out, report.SourceStep{Via: s.Via, Used: s.Used, Seen: s.Seen})
	}
	return out
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
		p.Lost += t.lostOf(s, len(out))
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

// brokenStreams says which pods' streams broke and what became of the requests between.
func (doc *draft) brokenStreams(m record.Manifest, t *Tally) {
	for _, s := range m.Streams {
		if s.Next == 0 {
			continue
		}
		doc.warn(report.SayStreamBroke, s.Name, s.Next, t.lostOf(s, m.Pods()), s.Broken)
	}
}

// lostOf is how many requests were lost where a stream of one of so many pods broke.
func (t *Tally) lostOf(s record.Stream, pods int) (n int64) {
	for _, seq := range t.lost {
		if at := seq / uint64(pods); seq%uint64(pods) == uint64(s.Pod) && s.First <= at && at < s.Next {
			n++
		}
	}
	return n
}
