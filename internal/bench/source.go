package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// source is one pod that sends: its part of the plan, and the session that carries it out.
type source struct {
	r       *run
	n       int // its number
	pod     law.Pod
	plan    attack.Plan   // its whole part
	length  time.Duration // of the sending
	session session       // nil where none is open
	facts   record.AgentFacts
	asked   time.Time               // when its proxy was asked for its counters before the burst
	heard   func()                  // is called at each sign of life; nil: nobody asks
	stream  *record.Placement       // of the open session
	failed  error                   // why it sends no more: no session could be opened, or it was lost
	halt    context.CancelCauseFunc // ends its part of the burst alone
	pace    *pace                   // of the burst under way; nil: of one of many
	began   time.Time               // the run's instant 0 on our clock, as closely as results tell
	zero    time.Time               // the instant 0 of the first burst on our clock, at the latest
}

// sources are the pods that send, the first of them the one that the snapshot calls the source. Each has its part of
// the plan: pod k of n sends the requests k, k+n, k+2n and so on of the run, each when it is due.
func (r *run) sources(snap law.Snapshot, length time.Duration) ([]*source, error) {
	pods := append([]law.Pod{snap.Source}, snap.Others...)
	out := make([]*source, len(pods))
	for i, p := range pods {
		if why := unfit(p, snap.Through == nil); i > 0 && why != "" {
			return nil, fmt.Errorf("--pods: pod %s cannot send: %s; wait for it, or name fewer pods", p.Name, why)
		}
		out[i] = &source{
			r: r, n: i, pod: p, plan: record.PartOf(r.m.Plan, i, len(pods)), length: length,
			stream: &record.Placement{Stream: record.Stream{Pod: i, Name: p.Name}},
		}
	}
	return out, nil
}

// unfit says why requests of a pod would not be the split's, "" where they would.
func unfit(p law.Pod, draws bool) string {
	switch {
	case p.Problem != "":
		return p.Problem
	case !p.Ready:
		return "it is not ready: " + strings.Join(p.NotReady, ", ")
	case draws && !p.Meshed:
		return "it has no proxy"
	}
	return ""
}

// left reports whether the pod takes part in bursts.
func (s *source) left() bool { return s.failed == nil }

// send carries out the pod's part. Where its stream breaks, and the run may be resumed, the rest of the schedule is a
// segment of its own; requests that may have been sent are never sent again.
func (s *source) send(ctx context.Context, b burst, gate func(context.Context) error) error {
	s.plan = record.PartOf(b.plan, s.n, len(s.r.active)) // with the rules that were learned since
	s.place(s.stream.Stream, b)
	s.stream.Offset = record.Stagger(b.plan, s.n)
	if s.failed != nil || s.plan.Requests == 0 {
		return s.failed
	}
	ctx, s.halt = context.WithCancelCause(ctx)
	defer s.halt(nil)
	start := agent.Start{Gate: gate, Delay: s.stream.Offset}
	for {
		err := s.segment(ctx, b, start)
		var broken *agent.StreamError
		if !errors.As(err, &broken) || !s.r.cfg.Resume || ctx.Err() != nil || s.stream.Segment+1 >= maxSegments {
			return err
		}
		if start, err = s.resume(ctx, b, err); err != nil {
			return err
		}
	}
}

// place begins to place results of the pod's stream among those of a burst.
func (s *source) place(stream record.Stream, b burst) {
	r := s.r
	*s.stream = record.Placement{
		Stream: stream, Of: len(r.active), Plan: b.plan, Own: r.m.ProxyAnswers(),
		MayLose: b.whole && (r.cfg.Resume || len(r.active) > 1),
	}
}

const (
	// maxSegments bounds how often a pod's part of a run is resumed.
	maxSegments = 3
	// resumeMargin is how far ahead the first request of a new segment is due, so that it can be sent in time.
	resumeMargin = 50 * time.Millisecond
)

// segment carries out what the open session is to send.
func (s *source) segment(ctx context.Context, b burst, start agent.Start) error {
	plan := s.plan
	plan.Requests -= s.stream.First
	if s.stream.Segment > 0 {
		plan.WarmUp = 0 // it would take time in which requests fall due
	}
	if b.whole {
		s.pace = newPace(plan, s.r.cfg.KeepGoing || s.r.m.Kind == report.KindDrill, s.halt) // a drill is about what is slow
	}
	for result, err := range s.session.AttackFrom(ctx, plan, start, &s.stream.Totals) {
		if err != nil {
			return err
		}
		result = s.stream.Take(result)
		s.began = earlier(s.began, time.Now().Add(-result.Done))
		if err := b.take(s, result); err != nil {
			return err
		}
	}
	return nil
}

// loses reports whether an error ends the pod's part alone: the others go on where this pod, its network or the way to
// it is at fault, and not where what it said holds for all.
func (s *source) loses(ctx context.Context, err error) bool {
	var cut *agent.CutShortError
	var store *StoreError
	limit := errors.As(err, &cut) && cut.Reason == wire.ReasonLimit
	return err != nil && len(s.r.active) > 1 && ctx.Err() == nil && !limit && !errors.As(err, &store)
}

// lose leaves the pod out from now on. The other pods' results stand.
func (s *source) lose(ctx context.Context, b burst, err error) error {
	p := s.stream
	if s.failed = err; p.Broken != "" {
		return nil // it was lost in an earlier burst
	}
	p.Broken = untrusted.Safe(brief(s.r.textOf(ctx, err, s.pod)))
	s.r.progress("attack", fmt.Sprintf("pod %s is lost, the others go on: %s", s.pod.Name, p.Broken))
	if !b.whole {
		p.Bursts = b.before
		return nil
	}
	p.Next = s.plan.Requests
	return s.takeLost(b, p)
}

// takeLost takes what a stream was to bring and did not.
func (s *source) takeLost(b burst, p *record.Placement) error {
	for lost := range p.Lost() {
		if err := b.take(s, lost); err != nil {
			return err
		}
	}
	return nil
}

// earlier is the earlier of two instants, of which the first may not be known yet.
func earlier(known, at time.Time) time.Time {
	if known.IsZero() || at.Before(known) {
		return at
	}
	return known
}

// resume opens a session for the rest of the schedule. What fell due while the agent may still have been sending, and
// has no result, is counted as lost, not sent again. An agent whose exit code came has sent nothing after that; of one
// that was only lost sight of, it is known that it has ended when the next one begins, and no sooner.
func (s *source) resume(ctx context.Context, b burst, broken error) (agent.Start, error) {
	r, before := s.r, s.stream
	if s.began.IsZero() {
		return agent.Start{}, broken // nothing had come: there is no schedule to go on with
	}
	ended := time.Since(s.began)
	s.close() //nolint:errcheck // it is broken; that is what is reported
	r.progress("attack", fmt.Sprintf("the stream from pod %s broke, resuming with the rest of the schedule: %s",
		s.pod.Name, untrusted.Safe(broken.Error())))
	st := r.newStream(s)
	s.stream = st
	failed := s.open(ctx, s.facts.Hello.PID)
	now := time.Since(s.began)
	var exit *podexec.ExitError
	if !errors.As(broken, &exit) {
		ended = now
	}
	schedule := s.plan.Schedule()
	due := func(n uint64) time.Duration { return schedule.At(n) + record.Stagger(b.plan, s.n) }
	first := sort.Search(int(s.plan.Requests), func(n int) bool { return due(uint64(n)) >= ended })
	next := max(before.First, uint64(first))
	if failed != nil || next >= s.plan.Requests { // all that was left has fallen due meanwhile
		r.dropStream(st)
		s.stream = before
		if failed != nil {
			failed = fmt.Errorf("resume the run: %w", failed)
		}
		return agent.Start{}, errors.Join(broken, failed)
	}
	s.place(st.Stream, b)
	st.Segment, st.First, st.Offset = before.Segment+1, next, max(due(next), now+resumeMargin)
	st.FirstConn = max(before.FirstConn, before.NextConn)
	before.Broken, before.Next = untrusted.Safe(broken.Error()), next
	return agent.Start{Delay: st.Offset - now}, s.takeLost(b, before)
}

// open provides the generator and starts a session, whose samples are kept where its stream has a file. after is the
// process of the session before it, which must have ended; 0: there was none.
func (s *source) open(ctx context.Context, after int) (err error) {
	r := s.r
	l := ladder{pod: s.pod, plan: s.plan, length: s.length, after: after, options: agent.ClientOptions{Progress: s.tick}}
	if s.stream.File != "" {
		l.options.Verified = r.storeFrames(s.stream.File)
	}
	s.session, s.facts, err = r.openSession(ctx, l)
	s.stream.Agent = s.facts
	return err
}

func (s *source) close() error {
	if s.session == nil {
		return nil
	}
	err := s.session.Close()
	s.session = nil
	return err
}

// newStream is where a new session of the pod is received.
func (r *run) newStream(s *source) *record.Placement {
	r.taking.Lock()
	defer r.taking.Unlock()
	p := &record.Placement{
		Stream: record.Stream{File: store.SamplesFile, Pod: s.n, Name: s.pod.Name, Offset: record.Stagger(r.m.Plan, s.n)},
	}
	if r.files > 0 {
		p.File = fmt.Sprintf("frames-%d.sbw", r.files)
	}
	r.files++
	r.streams = append(r.streams, p)
	return p
}

// dropStream forgets a stream that sent nothing.
func (r *run) dropStream(p *record.Placement) {
	r.taking.Lock()
	defer r.taking.Unlock()
	r.streams = slices.DeleteFunc(r.streams, func(x *record.Placement) bool { return x == p })
}

// storeFrames stores the verified frames of a session as they come.
func (r *run) storeFrames(file string) func(wire.Type, []byte) error {
	return func(t wire.Type, raw []byte) error {
		if t == wire.Hello {
			raw = append(wire.Opening(), raw...)
		}
		if err := r.folder.AppendTo(file, raw); err != nil {
			return &StoreError{err}
		}
		return nil
	}
}

// tick is a sign of life.
func (s *source) tick(p wire.Progress) {
	r := s.r
	if s.heard != nil {
		s.heard()
	}
	if p.Burst != nil {
		if s.stream.Segment == 0 {
			s.zero = earlier(s.zero, time.Now().Add(-time.Duration(p.Burst.ElapsedUs)*time.Microsecond))
		}
		if s.pace != nil {
			if say := s.pace.see(*p.Burst); say != "" {
				r.progress("attack", "pod "+s.pod.Name+": "+say)
			}
		}
	}
	r.showLive()
}
