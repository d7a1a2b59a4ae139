package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/wire"
)

// burst carries out a PLAN: warm-up, counted burst, END. It always ends with END, whatever went wrong.
func (s *server) burst(ctx context.Context, payload []byte) {
	batch := newBatch(s.out)
	var request wire.PlanRequest
	err := json.Unmarshal(payload, &request)
	if err != nil {
		err = fmt.Errorf("read plan: %w", err)
	}
	plan := request.Plan.WithDefaults()
	if err == nil {
		err = enoughFiles(plan.Connections)
	}
	if err != nil {
		batch.totals.Reason, batch.totals.Error = wire.ReasonError, err.Error()
		s.end(batch)
		return
	}
	burstCtx, stop := context.WithCancel(ctx)
	defer stop()
	s.mu.Lock()
	s.stop, s.batch, s.progress, s.gate, s.released = stop, batch, wire.Progress{}, make(chan struct{}), false
	if s.stopped { // while the plan was on its way here
		stop()
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.stop, s.batch = nil, nil
		s.mu.Unlock()
	}()

	engine := s.o.Engine(plan, attack.EngineOptions{Dial: s.o.Dial, Unmatched: func(x attack.Specimen) {
		batch.totals.Specimens = append(batch.totals.Specimens, x)
	}})
	batch.totals.Engine = plan.EngineName()
	defer engine.Close()

	err = s.warmUp(burstCtx, engine, plan, &batch.totals)
	batch.totals.Specimens = nil // of the warm-up
	if err == nil {
		err = s.await(burstCtx, request)
	}
	if err == nil {
		batch.start()
		err = s.count(burstCtx, engine, plan, batch)
	}
	batch.stop()
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

// MaxDelay bounds what a plan may ask the start to be put off by.
const MaxDelay = time.Minute

// await holds a burst until GO, where the plan wants that, and then for the plan's delay.
func (s *server) await(ctx context.Context, p wire.PlanRequest) error {
	if p.Hold {
		s.out.send(wire.Ready, nil)
		select {
		case <-s.gate:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	delay := time.Duration(p.DelayNs)
	switch {
	case delay <= 0:
		return nil
	case delay > MaxDelay:
		return fmt.Errorf("delay %s: at most %s", delay, MaxDelay)
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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
	s.tick(b) // the last interval's
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
	var abort *attack.AbortError
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
	case errors.As(err, &abort):
		return wire.ReasonLimit, err.Error()
	}
	return wire.ReasonError, err.Error()
}
