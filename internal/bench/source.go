package bench

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync/atomic"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// maxSegments bounds how often a pod's part of a run is taken up again.
const maxSegments = 3

// source is one pod that sends: its part of the plan, and the session that carries it out.
type source struct {
	r      *run
	n      int // its number
	ladder ladder
	pod    law.Pod
	plan   attack.Plan // its whole part
	client session     // nil where none is open
	facts  record.AgentFacts
	asked  time.Time   // when its proxy was asked for its counters before the burst
	stream *liveStream // of the open session
	sent   atomic.Uint64
	began  time.Time // the run's instant 0 on our clock, as closely as results tell
}

// open provides the generator and starts a session, whose samples are a stream of their own. after is the process of the
// session before it, which must have ended; 0: there was none.
func (s *source) open(ctx, life context.Context, after int) error {
	r := s.r
	s.stream = r.newStream(s.n)
	l := s.ladder
	l.plan, l.deadline, l.after = s.plan, r.m.Plan.Duration()+r.m.Plan.Timeout+sessionMargin, after
	l.options = agent.ClientOptions{Stderr: r.log, Verified: s.record, Progress: s.tick}
	client, facts, err := l.provide(ctx, life)
	s.facts, s.stream.Agent = facts, facts
	if err != nil {
		return err
	}
	s.client = client
	return r.checkAgent(client.Hello())
}

func (s *source) close() error {
	if s.client == nil {
		return nil
	}
	err := s.client.Close()
	s.client = nil
	return err
}

// record stores one verified frame as it came.
func (s *source) record(t wire.Type, raw []byte) error {
	if t == wire.Hello {
		if err := s.r.folder.AppendTo(s.stream.File, wire.Opening()); err != nil {
			return &StoreError{err}
		}
	}
	if err := s.r.folder.AppendTo(s.stream.File, raw); err != nil {
		return &StoreError{err}
	}
	return nil
}

func (s *source) tick(p wire.Progress) {
	r := s.r
	s.sent.Store(s.stream.First + p.Requests)
	r.taking.Lock()
	defer r.taking.Unlock()
	var sent uint64
	for _, other := range r.active {
		sent += other.sent.Load()
	}
	r.tick(Progress{Phase: "attack", Requests: sent, Planned: r.m.Plan.Requests + r.m.Plan.WarmUp})
}

// send carries out the pod's part. Where its stream breaks, and the run may be taken up again, the rest of the schedule is a
// segment of its own; requests that may have been sent are never sent again.
func (s *source) send(ctx, life context.Context, gate func(context.Context) error, stop context.CancelCauseFunc) error {
	start := agent.Start{Gate: gate, Delay: record.Stagger(s.r.m.Plan, s.n)}
	for {
		err := s.segment(ctx, start, stop)
		var broken *agent.StreamError
		if err == nil || !s.r.cfg.Resume || !errors.As(err, &broken) || ctx.Err() != nil || s.stream.Segment+1 >= maxSegments {
			return err
		}
		if start, err = s.resume(ctx, life, err, stop); err != nil {
			return err
		}
	}
}

// segment carries out what the open session is to send.
func (s *source) segment(ctx context.Context, start agent.Start, stop context.CancelCauseFunc) error {
	st := s.stream
	plan := s.plan
	plan.Requests -= st.First
	if st.Segment > 0 {
		plan.WarmUp = 0 // it would take time in which requests fall due
	}
	for result, err := range s.client.AttackFrom(ctx, plan, start, &st.Totals) {
		if err != nil {
			return err
		}
		result = st.Take(result)
		if at := time.Now().Add(-result.Done); s.began.IsZero() || at.Before(s.began) {
			s.began = at
		}
		if err := s.r.take(result, stop); err != nil {
			return err
		}
	}
	return nil
}

// resumeMargin is how far ahead the first request of a new segment is due, so that it can be sent in time.
const resumeMargin = 50 * time.Millisecond

// resume opens a session for the rest of the schedule. What fell due while the agent may still have been sending, and has no
// result, is counted as lost, not sent again. An agent whose exit code came has sent nothing after that; of one that was only
// lost sight of, it is known that it has ended when the next one begins, and no sooner.
func (s *source) resume(ctx, life context.Context, broken error, stop context.CancelCauseFunc) (agent.Start, error) {
	r, before := s.r, s.stream
	if s.began.IsZero() {
		return agent.Start{}, broken // nothing had come: there is no schedule to go on with
	}
	ended := time.Since(s.began)
	s.close() //nolint:errcheck // it is broken; that is what is reported
	r.progress("attack", fmt.Sprintf("the stream from pod %s broke, taking the rest of the schedule up: %s", s.pod.Name, untrusted.Safe(broken.Error())))
	if err := s.open(ctx, life, s.facts.Hello.PID); err != nil {
		return agent.Start{}, errors.Join(broken, fmt.Errorf("take the run up again: %w", err))
	}
	now := time.Since(s.began)
	var exit *podexec.ExitError
	if !errors.As(broken, &exit) {
		ended = now
	}
	schedule := s.plan.Schedule()
	due := func(n uint64) time.Duration { return schedule.At(n) + record.Stagger(r.m.Plan, s.n) }
	next := max(before.First, uint64(sort.Search(int(s.plan.Requests), func(n int) bool { return due(uint64(n)) >= ended })))
	if next >= s.plan.Requests {
		r.dropStream(s.stream)
		return agent.Start{}, broken // all that was left has fallen due meanwhile
	}
	st := s.stream
	st.Segment, st.First, st.Offset = before.Segment+1, next, max(due(next), now+resumeMargin)
	st.FirstConn = max(before.FirstConn, before.NextConn)
	before.Broken, before.Next = untrusted.Safe(broken.Error()), next
	for lost := range before.Lost() {
		if err := r.take(lost, stop); err != nil {
			return agent.Start{}, err
		}
	}
	return agent.Start{Delay: st.Offset - now}, nil
}
