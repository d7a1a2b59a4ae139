package agent

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// A block goes out when it holds so many results, or when the next tick comes.
const blockResults = 256

// batch gathers results into sample blocks and keeps the totals, which stay exact also where blocks are dropped.
type batch struct {
	out *outbox

	mu      sync.Mutex
	pending []attack.Result
	tally   wire.Tally
	totals  wire.Totals
}

func (b *batch) add(r attack.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tally.Add(r)
	b.pending = append(b.pending, r)
	if len(b.pending) >= blockResults {
		b.emit()
	}
}

func (b *batch) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.pending) > 0 {
		b.emit()
	}
}

// emit offers the pending results as one block. The caller holds the lock.
func (b *batch) emit() {
	block := wire.AppendSamples(nil, b.pending)
	n := uint64(len(b.pending))
	b.pending = b.pending[:0]
	if !b.out.offer(wire.Samples, block) {
		b.totals.Dropped += n
		return
	}
	b.totals.Samples += n
	b.totals.Blocks++
	b.totals.SamplesCRC = wire.Checksum(b.totals.SamplesCRC, block)
}

// burst carries out a PLAN: warm-up, counted burst, END. It always ends with END, whatever went wrong.
func (s *server) burst(ctx context.Context, payload []byte) {
	batch := &batch{out: s.out}
	var plan attack.Plan
	if err := json.Unmarshal(payload, &plan); err != nil {
		batch.totals.Reason, batch.totals.Error = wire.ReasonError, "read plan: "+err.Error()
		s.end(batch)
		return
	}
	plan = plan.WithDefaults()
	burstCtx, stop := context.WithCancel(ctx)
	defer stop()
	s.mu.Lock()
	s.stop, s.batch, s.progress = stop, batch, wire.Progress{}
	if s.stopped { // while the plan was on its way here
		stop()
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.stop, s.batch = nil, nil
		s.mu.Unlock()
	}()

	engine := attack.NewEngine(plan, attack.EngineOptions{Dial: s.o.Dial, Unmatched: func(x attack.Specimen) {
		batch.totals.Specimens = append(batch.totals.Specimens, x)
	}})
	batch.totals.Engine = plan.EngineName()
	defer engine.Close()

	err := s.warmUp(burstCtx, engine, plan, &batch.totals)
	batch.totals.Specimens = nil // of the warm-up
	batch.totals.StartedUnixNs = time.Now().UnixNano()
	cpu := cpuTime()
	if err == nil {
		err = s.count(burstCtx, engine, plan, batch)
	}
	batch.totals.CPUUs = (cpuTime() - cpu).Microseconds()
	batch.totals.Connections = engine.Dialled()
	batch.totals.Reason, batch.totals.Error = reason(ctx, err)
	s.end(batch)
}

// warmUp sends the requests that are never counted: they open connections and fill caches on the way.
func (s *server) warmUp(ctx context.Context, engine attack.Engine, plan attack.Plan, totals *wire.Totals) error {
	plan.Requests = plan.WarmUp
	if plan.Requests == 0 {
		return nil
	}
	for r, err := range engine.Attack(ctx, plan) {
		if err != nil {
			return err
		}
		totals.WarmUp++
		if r.Status != 0 {
			totals.WarmUpAnswered++
		}
		s.note(r)
	}
	return nil
}

func (s *server) count(ctx context.Context, engine attack.Engine, plan attack.Plan, b *batch) error {
	for r, err := range engine.Attack(ctx, plan) {
		if err != nil {
			return err
		}
		b.add(r)
		s.note(r)
	}
	return nil
}

func (s *server) note(r attack.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress.Requests++
	if r.Status != 0 {
		s.progress.Answered++
	}
}

func (s *server) end(b *batch) {
	b.flush()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.totals.Requests = b.tally.Len()
	b.totals.Tally = b.tally.Entries()
	payload, err := json.Marshal(b.totals)
	if err != nil { // cannot be: the type has nothing that JSON refuses
		payload = []byte(`{"reason":"error"}`)
	}
	s.out.send(wire.End, payload)
}

// reason says why a burst ended. session is the session's context, which outlives a STOP.
func reason(session context.Context, err error) (code, text string) {
	var gaveUp *attack.GaveUpError
	switch cause := context.Cause(session); {
	case errors.Is(cause, errDeadline):
		return wire.ReasonDeadline, cause.Error()
	case cause != nil:
		return wire.ReasonClientGone, cause.Error()
	case err == nil:
		return wire.ReasonDone, ""
	case errors.Is(err, context.Canceled):
		return wire.ReasonStopped, ""
	case errors.As(err, &gaveUp):
		return wire.ReasonGaveUp, err.Error()
	}
	return wire.ReasonError, err.Error()
}
