package bench

import (
	"fmt"
	"slices"

	"github.com/splitbench/splitbench/internal/judge"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// liveStream is a stream that is being received.
type liveStream struct{ record.Placement }

// streamFile is the name of the n-th stream's file.
func streamFile(n int) string {
	if n == 0 {
		return store.SamplesFile
	}
	return fmt.Sprintf("frames-%d.sbw", n)
}

// newStream is a new one of a pod.
func (r *run) newStream(pod int) *liveStream {
	r.taking.Lock()
	defer r.taking.Unlock()
	s := &liveStream{record.Placement{
		Stream: record.Stream{
			File: streamFile(r.files), Pod: pod, Name: r.podName(pod), Offset: record.Stagger(r.m.Plan, pod),
		},
		Of: 1 + len(r.m.Before.Others), Plan: r.m.Plan,
	}}
	if r.cfg.Resume {
		s.Seen = map[uint64]bool{}
	}
	r.files++
	r.streams = append(r.streams, s)
	return s
}

func (r *run) podName(n int) string {
	if n == 0 {
		return r.m.Before.Source.Name
	}
	return r.m.Before.Others[n-1].Name
}

// dropStream forgets a stream that sent nothing.
func (r *run) dropStream(s *liveStream) {
	r.taking.Lock()
	defer r.taking.Unlock()
	r.streams = slices.DeleteFunc(r.streams, func(x *liveStream) bool { return x == s })
}

// gather puts the streams' totals together. Where there are several streams the tally is made anew from the stored ones:
// which results are thinned out must not depend on the order in which pods were heard.
func (r *run) gather() error {
	if len(r.streams) == 1 {
		r.totals = r.streams[0].Totals
		return nil
	}
	r.m.Streams = nil
	for _, s := range r.streams {
		r.m.Streams = append(r.m.Streams, s.Stream)
	}
	again := judge.NewTally(len(r.m.Weights))
	again.Pods = r.tally.Pods
	totals := wire.Totals{}
	for result, err := range r.m.Samples(store.Folder{ID: r.m.ID, Dir: r.folder.Dir}, &totals) {
		if err != nil {
			break // the burst's own error says it
		}
		again.Add(result)
	}
	r.tally, r.totals = again, totals
	return nil
}
