package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/report"
	"github.com/splitbench/splitbench/internal/store"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
)

// openAgent provides a generator in a pod and starts it. The session lives until life ends or it is closed; length is how long
// it will be sending.
func (r *run) openAgent(ctx, life context.Context, pod law.Pod, length time.Duration, o agent.ClientOptions) (session, record.AgentFacts, error) {
	l, err := r.cfg.ladder(pod)
	if err != nil {
		return nil, record.AgentFacts{}, err
	}
	o.Stderr = r.log
	l.plan, l.deadline, l.options = r.m.Plan, length+sessionMargin, o
	client, facts, err := l.provide(ctx, life)
	if err != nil {
		return nil, facts, err
	}
	if err := r.checkAgent(client.Hello()); err != nil {
		return nil, facts, errors.Join(err, client.Close())
	}
	return client, facts, nil
}

// withAgent opens a session in the source pod, keeps what it verifies, and has it do something.
func (r *run) withAgent(ctx context.Context, length time.Duration, do func(context.Context, session) error) (err error) {
	// The session outlives ctx: a run that is interrupted still fetches what the agent has, and says goodbye.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r.progress("settle", "starting the agent in pod "+r.m.Before.Source.Name)
	client, facts, err := r.openAgent(ctx, life, r.m.Before.Source, length, agent.ClientOptions{Verified: r.recordFrames})
	r.m.Agent = facts
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := client.Close(); err == nil && closeErr != nil {
			r.m.Warnings = append(r.m.Warnings, "the agent's end could not be seen: "+untrusted.Safe(closeErr.Error()))
		}
	}()
	return do(ctx, client)
}

// recordFrames stores one verified frame of a session of several bursts as it came.
func (r *run) recordFrames(t wire.Type, raw []byte) error {
	if t == wire.Hello {
		raw = append(wire.Opening(), raw...)
	}
	if err := r.folder.Append(raw); err != nil {
		return &StoreError{err}
	}
	return nil
}

// close writes the report into the run's folder and closes it. Where that fails it is a warning in the report.
func (r *run) close(rep *report.Report, measured bool) {
	status := store.Complete
	switch {
	case !measured:
		status = store.Aborted
	case !rep.Run.Complete:
		status = store.Partial
	}
	if err := r.write(*rep); err != nil {
		rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the run's folder is not whole: %v", err)))
		status = store.Partial
	}
	if err := r.folder.Close(status); err != nil {
		rep.Warnings = append(rep.Warnings, untrusted.Safe(fmt.Sprintf("the run's folder could not be closed: %v", err)))
	}
}
