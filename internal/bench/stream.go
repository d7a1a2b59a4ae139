package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/wire"
)

// Stream is what one session contributed to a run: those requests of one source pod that a session sent before its stream
// ended or broke. A run of one pod whose stream did not break is one stream, in frames.sbw.
//
// Numbers, instants and connections in a stream's samples are its own. Of pod k of n, request i of a stream whose first is
// First is request (First+i)*n+k of the run, its instants are Offset later, and its connections are numbered behind those
// of the pod's earlier streams.
type Stream struct {
	File    string        `json:"file"`
	Pod     int           `json:"pod"` // its number among the source pods
	Name    string        `json:"podName"`
	Segment int           `json:"segment"`          // 0: the pod's first
	First   uint64        `json:"first"`            // number in the pod's schedule of the stream's request 0
	Next    uint64        `json:"next,omitempty"`   // number with which the next segment goes on; 0: there is none
	Offset  time.Duration `json:"offsetNs"`         // of the stream's instant 0 from the run's
	Broken  string        `json:"broken,omitempty"` // how it broke, where there is a next segment
	Agent   AgentFacts    `json:"agent"`
}

// placing turns a stream's results into the run's.
type placing struct {
	Stream
	pods   int
	conns  int32           // first connection number
	next   int32           // first connection number of the next segment
	seen   map[uint64]bool // numbers in the pod's schedule that have a result; kept where requests may be lost
	tally  wire.Tally
	totals wire.Totals // of END; empty where there is none
	plan   attack.Plan // of the run
}

func (p *placing) take(r attack.Result) attack.Result {
	p.tally.Add(r)
	n := p.First + r.Seq
	if p.seen != nil {
		p.seen[n] = true
	}
	r.Seq = n*uint64(p.pods) + uint64(p.Pod)
	for _, at := range []*time.Duration{&r.Planned, &r.Sent, &r.FirstByte, &r.Done} {
		if *at != 0 || at == &r.Planned {
			*at += p.Offset
		}
	}
	if r.Conn >= 0 {
		r.Conn += p.conns
		p.next = max(p.next, r.Conn+1)
		r.Conn = r.Conn*int32(p.pods) + int32(p.Pod)
	}
	return r
}

// lost are the requests of a stream that broke which may have been sent and have no result, as results of their own.
func (p *placing) lost() iter.Seq[attack.Result] {
	return func(yield func(attack.Result) bool) {
		schedule := partOf(p.plan, p.Pod, p.pods).Schedule()
		for n := p.First; n < p.Next; n++ {
			if p.seen[n] {
				continue
			}
			at := schedule.At(n) + stagger(p.plan, p.Pod)
			r := attack.Result{
				Seq: n*uint64(p.pods) + uint64(p.Pod), Planned: at, Sent: at, Done: at, Conn: attack.UnknownConn,
				Backend: attack.Unattributed, Err: attack.ErrLost,
			}
			p.tally.Add(r)
			if !yield(r) {
				return
			}
		}
	}
}

// sum is what the stream adds to the run's totals. A stream that broke has no END: what arrived is what is known.
func (p *placing) sum() wire.Totals {
	t := p.totals
	if t.Reason != "" {
		return t
	}
	n := p.tally.Len()
	return wire.Totals{Requests: n, Samples: n, Tally: p.tally.Entries()}
}

// pods is how many pods sent.
func (m *Manifest) pods() int {
	n := 1
	for _, s := range m.Streams {
		n = max(n, s.Pod+1)
	}
	return n
}

// checkStreams refuses streams that no run has: a manifest may have been brought here from anywhere.
func (m *Manifest) checkStreams() error {
	for i, s := range m.Streams {
		bad := s.Pod < 0 || s.Pod >= mesh.MaxPods || s.Offset < 0 || s.Next != 0 && s.Next <= s.First ||
			max(s.First, s.Next) > m.Plan.Requests || m.Plan.Requests > maxStreamed || m.Plan.Shape != nil // only a constant rate is shared out
		if bad {
			return fmt.Errorf("read %s of run %s: stream %d (%.100q) is none that a run can have", ManifestFile, m.ID, i, s.File)
		}
	}
	return nil
}

// maxStreamed bounds the requests of a run of several streams.
const maxStreamed = 1 << 32

// liveStream is a stream that is being received.
type liveStream struct{ placing }

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
	s := &liveStream{placing{
		Stream: Stream{
			File: streamFile(r.files), Pod: pod, Name: r.podName(pod), Offset: stagger(r.m.Plan, pod),
		},
		pods: 1 + len(r.m.Before.Others), plan: r.m.Plan,
	}}
	if r.cfg.Resume {
		s.seen = map[uint64]bool{}
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
		r.totals = r.streams[0].totals
		return nil
	}
	r.m.Streams = nil
	for _, s := range r.streams {
		r.m.Streams = append(r.m.Streams, s.Stream)
	}
	again := newTally(len(r.m.Weights))
	again.pods = r.tally.pods
	totals := wire.Totals{}
	for result, err := range samples(store.Folder{ID: r.m.ID, Dir: r.folder.Dir}, r.m, &totals) {
		if err != nil {
			break // the burst's own error says it
		}
		again.add(result)
	}
	r.tally, r.totals = again, totals
	return nil
}

// samples yields the results of all streams of a run, as results of the run, and adds up their totals. What is whole comes
// first, then the first reason why something is not.
func samples(f store.Folder, m Manifest, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		streams := m.Streams
		if len(streams) == 0 {
			streams = []Stream{{File: store.SamplesFile}}
		}
		if err := m.checkStreams(); err != nil {
			yield(attack.Result{}, err)
			return
		}
		pods := m.pods()
		conns := make([]int32, pods)
		var parts []wire.Totals
		var failed error
		for _, s := range streams {
			p := placing{Stream: s, pods: pods, plan: m.Plan, conns: conns[s.Pod]}
			if s.Next > 0 {
				p.seen = map[uint64]bool{}
			}
			more, err := p.read(f, yield)
			if !more {
				return
			}
			conns[s.Pod] = max(conns[s.Pod], p.next)
			parts = append(parts, p.sum())
			if err != nil && failed == nil {
				failed = err
			}
		}
		*totals = addUp(parts)
		if failed != nil && len(streams) > 1 {
			totals.Reason, totals.Error = "", "" // what one stream says of its end does not hold for all
		}
		if failed != nil {
			yield(attack.Result{}, failed)
		}
	}
}

// read yields the stream's results. That a stream broke which another one follows is no error: what was lost is yielded too.
func (p *placing) read(f store.Folder, yield func(attack.Result, error) bool) (more bool, err error) {
	file, err := f.OpenStream(p.File)
	if errors.Is(err, fs.ErrNotExist) {
		return true, agent.ErrNoEnd
	}
	if err != nil {
		return true, err
	}
	defer file.Close()
	for result, err := range agent.ReadStored(file, &p.totals) {
		if err != nil && p.Next > 0 {
			p.totals = wire.Totals{}
			for r := range p.lost() {
				if !yield(r, nil) {
					return false, nil
				}
			}
			return true, nil
		}
		if err != nil {
			return true, err
		}
		if !yield(p.take(result), nil) {
			return false, nil
		}
	}
	return true, nil
}

// addUp is the totals of a run of several streams.
func addUp(parts []wire.Totals) wire.Totals {
	if len(parts) == 1 {
		return parts[0]
	}
	var sum wire.Totals
	tally := map[wire.TallyEntry]uint64{}
	for _, t := range parts {
		sum.Requests += t.Requests
		sum.Samples += t.Samples
		sum.Dropped += t.Dropped
		sum.Blocks += t.Blocks
		sum.WarmUp += t.WarmUp
		sum.WarmUpAnswered += t.WarmUpAnswered
		sum.Connections += t.Connections
		sum.CPUUs += t.CPUUs
		sum.ThrottledUs += t.ThrottledUs
		sum.MaxRSSBytes = max(sum.MaxRSSBytes, t.MaxRSSBytes)
		if t.StartedUnixNs != 0 && (sum.StartedUnixNs == 0 || t.StartedUnixNs < sum.StartedUnixNs) {
			sum.StartedUnixNs = t.StartedUnixNs
		}
		if t.Engine != "" {
			sum.Engine = t.Engine
		}
		if t.Reason != "" && (sum.Reason == "" || sum.Reason == wire.ReasonDone) {
			sum.Reason, sum.Error = t.Reason, t.Error
		}
		sum.Times.Merge(t.Times)
		sum.Specimens = append(sum.Specimens, t.Specimens...)
		for _, e := range t.Tally {
			n := e.N
			e.N = 0
			tally[e] += n
		}
	}
	sum.Specimens = sum.Specimens[:min(len(sum.Specimens), attack.MaxSpecimens)]
	for e, n := range tally {
		e.N = n
		sum.Tally = append(sum.Tally, e)
	}
	wire.SortTally(sum.Tally)
	return sum
}
