package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// checkDeadline bounds the agent of a check: some thirty requests of five seconds at most.
const checkDeadline = 3 * time.Minute

// prober lets checks ask the source pod through an agent's session.
type prober struct{ f fetcher }

var _ preflight.Prober = prober{}

// Fetch implements preflight.Prober.
func (p prober) Fetch(ctx context.Context, q preflight.Get) (preflight.Answer, error) {
	res, body, err := p.f.Fetch(ctx, wire.FetchRequest{
		URL: q.URL, Header: q.Header, TimeoutMs: probeTimeout, MaxBytes: q.MaxBytes, Keep: q.Keep,
	})
	if err != nil {
		return preflight.Answer{}, err
	}
	return preflight.Answer{
		Status: res.Status, Header: res.Header, Body: body, Truncated: res.Truncated, Error: res.Error, RemoteAddr: res.Remote,
		Empty: res.Class == attack.ErrEmpty.String(),
	}, nil
}

// ProbePod has the source pod of the View ask what only it can see. Errors are of the way to the pod; the agent is taken back in
// any case.
func ProbePod(ctx context.Context, cfg Config, v preflight.View) (probed *preflight.Probed, err error) {
	pod := v.Source
	switch {
	case pod.Name == "":
		return nil, errors.New("probe: no source pod was named")
	case pod.Problem != "":
		return nil, fmt.Errorf("probe pod %s: %s", pod.Name, mesh.Safe(pod.Problem))
	}
	container, err := podexec.New(cfg.REST, podexec.Target{Namespace: pod.Namespace, Pod: pod.Name, Container: pod.Container},
		podexec.Options{Protocol: cfg.Protocol})
	if err != nil {
		return nil, err
	}
	prog, err := provision(ctx, container, pod, cfg.Self, checkDeadline)
	if err != nil {
		return nil, err
	}
	session, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	client, err := agent.Open(session, container, prog.argv, agent.ClientOptions{Stderr: newRunLog(cfg.Log)})
	if err != nil {
		return nil, errors.Join(err, prog.remove(ctx, container))
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return preflight.Probe(ctx, v, cfg.URL, prober{client})
}

// probeChecks asks the pod before the run does, and looks at the checks again. A run that they forbid ends here.
func (r *run) probeChecks(ctx context.Context, f fetcher) (refused bool, err error) {
	r.progress("check", "asking the pod what it sees")
	v := preflight.View{Snapshot: *r.m.Before}
	if v.Probed, err = preflight.Probe(ctx, v, r.m.Plan.URL, prober{f}); err != nil {
		return false, err
	}
	r.m.Checks = preflight.Run(v)
	preflight.Waive(r.m.Checks, r.cfg.IgnoreChecks, ignoreFlag)
	return r.m.refused(), nil
}

// ignoreFlag is how the user waives a check.
const ignoreFlag = "--ignore-check"
