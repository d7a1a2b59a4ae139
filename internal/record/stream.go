package record

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/wire"
)

// Stream is what one session contributed to a run: those requests of one source pod that a session sent before its
// stream ended or broke. A run of one pod whose stream did not break is one stream, in frames.sbw.
//
// Numbers, instants and connections in a stream's samples are its own. Of pod k of n, request i of a stream whose first
// is First is request (First+i)*n+k of the run, its instants are Offset later, and its connections are numbered behind
// those of the pod's earlier streams.
type Stream struct {
	File    string `json:"file"`
	Pod     int    `json:"pod"` // its number among the source pods
	Name    string `json:"podName"`
	Segment int    `json:"segment"` // 0: the pod's first
	First   uint64 `json:"first"`   // number in the pod's schedule of the stream's request 0
	// Next is the number with which the next segment goes on, or, where the pod was lost, the one after its last; 0: the
	// stream is the pod's last, and whole.
	Next   uint64        `json:"next,omitempty"`
	Offset time.Duration `json:"offsetNs"`         // of the stream's instant 0 from the run's
	Broken string        `json:"broken,omitempty"` // how it broke, where Next is set
	Agent  AgentFacts    `json:"agent"`
	// Bursts is of a comparison how many bursts the pod carried out before it was lost, where Broken says why it was.
	Bursts int `json:"bursts,omitempty"`
	// Started is how much later than all were let go it began, at most, and Clock is its pod's: of the first segments of
	// several pods.
	Started time.Duration `json:"startedNs,omitempty"`
	Clock   Clock         `json:"clock,omitzero"`
}

// Placement turns a stream's results into the run's.
type Placement struct {
	Stream
	Of        int
	FirstConn int32    // first connection number
	NextConn  int32    // first connection number of the next segment
	MayLose   bool     // which requests have a result is kept, for Lost
	seen      []uint64 // a bit for each request from First on that has one
	tally     wire.Tally
	Totals    wire.Totals // of END; empty where there is none
	Plan      attack.Plan // of the run
	Own       ProxyAnswers
}

// Take places a result of one stream among those of the run.
func (p *Placement) Take(r attack.Result) attack.Result {
	p.tally.Add(r)
	r = p.Own.Tell(r)
	if p.MayLose {
		for r.Seq/64 >= uint64(len(p.seen)) {
			p.seen = append(p.seen, 0)
		}
		p.seen[r.Seq/64] |= 1 << (r.Seq % 64)
	}
	n := p.First + r.Seq
	r.Seq = n*uint64(p.Of) + uint64(p.Pod)
	for _, at := range []*time.Duration{&r.Planned, &r.Sent, &r.FirstByte, &r.Done} {
		if *at != 0 || at == &r.Planned {
			*at += p.Offset
		}
	}
	if r.Conn >= 0 {
		r.Conn += p.FirstConn
		p.NextConn = max(p.NextConn, r.Conn+1)
		r.Conn = r.Conn*int32(p.Of) + int32(p.Pod)
	}
	return r
}

// Lost are the requests of a stream that broke which may have been sent and have no result, as results of their own.
func (p *Placement) Lost() iter.Seq[attack.Result] {
	return func(yield func(attack.Result) bool) {
		schedule := PartOf(p.Plan, p.Pod, p.Of).Schedule()
		for n := p.First; n < p.Next; n++ {
			if i := n - p.First; i/64 < uint64(len(p.seen)) && p.seen[i/64]&(1<<(i%64)) != 0 {
				continue
			}
			at := schedule.At(n) + Stagger(p.Plan, p.Pod)
			r := attack.Result{
				Seq: n*uint64(p.Of) + uint64(p.Pod), Planned: at, Sent: at, Done: at, Conn: attack.UnknownConn,
				Backend: attack.Unattributed, Err: attack.ErrLost,
			}
			p.tally.Add(r)
			if !yield(r) {
				return
			}
		}
	}
}

// Sum is what the stream adds to the run's totals. A stream that broke has no END: what arrived is what is known.
func (p *Placement) Sum() wire.Totals {
	t := p.Totals
	if t.Reason != "" {
		return t
	}
	n := p.tally.Len()
	return wire.Totals{Requests: n, Samples: n, Tally: p.tally.Entries()}
}

// Pods is how many pods sent.
func (m *Manifest) Pods() int {
	n := 1
	for _, s := range m.Streams {
		n = max(n, s.Pod+1)
	}
	return n
}

// PodNames are the pods that sent, by their numbers; nil where one did.
func (m *Manifest) PodNames() []string {
	n := 1
	if m.checkStreams() == nil {
		n = m.Pods()
	}
	if n == 1 {
		return nil
	}
	names := make([]string, n)
	for _, s := range m.Streams {
		names[s.Pod] = s.Name
	}
	return names
}

// checkStreams refuses streams that no run has: a manifest may have been brought here from anywhere.
func (m *Manifest) checkStreams() error {
	for i, s := range m.Streams {
		bad := s.Pod < 0 || s.Pod >= law.MaxPods || s.Offset < 0 || s.Next != 0 && s.Next <= s.First ||
			// only a constant rate is shared out
			max(s.First, s.Next) > m.Plan.Requests || m.Plan.Requests > maxStreamed || m.Plan.Shape != nil
		if bad {
			return fmt.Errorf("read %s of run %s: stream %d (%.100q) is none that a run can have", ManifestFile, m.ID, i, s.File)
		}
	}
	return nil
}

// maxStreamed bounds the requests of a run of several streams.
const maxStreamed = 1 << 32

// PartOf is what pod k of n sends. Whatever is counted is shared out whole: what does not divide goes one each to the
// first pods, so that the parts add up. A plan for several pods has a connection at least for each.
func PartOf(p attack.Plan, k, n int) attack.Plan {
	if n == 1 {
		return p
	}
	of := func(total uint64) uint64 {
		part := total / uint64(n)
		if uint64(k) < total%uint64(n) {
			part++
		}
		return part
	}
	p.Requests, p.WarmUp = of(p.Requests), of(p.WarmUp)
	p.Connections = int(of(uint64(p.Connections)))
	p.Rate.Per *= time.Duration(n)
	if p.Limits != nil && p.Limits.Bytes > 0 {
		l := *p.Limits
		l.Bytes = max(1, int64(of(uint64(l.Bytes)))) // 0 would be no limit
		p.Limits = &l
	}
	return p
}

// Stagger is how much later than the first pod's the schedule of pod k begins.
func Stagger(p attack.Plan, k int) time.Duration {
	return attack.Plan{Rate: p.Rate}.Schedule().At(uint64(k))
}

// Failure names what a request failed by, "" where it was answered.
func Failure(r attack.Result) string {
	switch {
	case r.Err != attack.OK:
		return r.Err.String()
	case r.Status >= 500:
		return fmt.Sprintf("http %d", r.Status)
	}
	return ""
}

// ProxyAnswers says by its status to which party of the law an answer belongs that the client's proxy gave itself.
type ProxyAnswers map[uint16]int16

// ProxyAnswers are those that the law of the run expects. Where two parties are answered by one status no answer can be
// told to either.
func (m *Manifest) ProxyAnswers() ProxyAnswers {
	out := ProxyAnswers{}
	for i, w := range m.Weights {
		status := uint16(m.Law().Leaf(w.Backend).ProxyStatus)
		if status == 0 {
			continue
		}
		if _, taken := out[status]; taken {
			out[status] = attack.Unattributed
			continue
		}
		out[status] = int16(i)
	}
	return out
}

// Tell has a result name its party.
func (a ProxyAnswers) Tell(r attack.Result) attack.Result {
	if party, ok := a[r.Status]; ok && r.Backend < 0 && r.Err == attack.OK {
		r.Backend = party
	}
	return r
}

// TellAll has the counts of totals name their parties.
func (a ProxyAnswers) TellAll(t wire.Totals) wire.Totals {
	t.Tally = slices.Clone(t.Tally)
	for i, e := range t.Tally {
		if party, ok := a[e.Status]; ok && e.Backend < 0 && e.Class == attack.OK.String() {
			t.Tally[i].Backend = party
		}
	}
	return t
}
