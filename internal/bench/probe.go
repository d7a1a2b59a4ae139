package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
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
	return answerOf(res, body), nil
}

func answerOf(res wire.FetchResult, body []byte) preflight.Answer {
	return preflight.Answer{
		Status: res.Status, Header: res.Header, Body: body, Truncated: res.Truncated, Error: res.Error, RemoteAddr: res.Remote,
		Empty: res.Class == attack.ErrEmpty.String(),
	}
}

// ProbePod has the source pod of the View ask what only it can see. Errors are of the way to the pod; the agent is taken back in
// any case.
func ProbePod(ctx context.Context, cfg Config, v preflight.View) (probed *preflight.Probed, err error) {
	pod := v.Source
	switch {
	case pod.Name == "":
		return nil, errors.New("probe: no source pod was named")
	case pod.Problem != "":
		return nil, fmt.Errorf("probe pod %s: %s", pod.Name, untrusted.Safe(pod.Problem))
	}
	l, err := cfg.ladder(pod)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.deadline, l.options = checkDeadline, agent.ClientOptions{Stderr: newRunLog(cfg.Log)}
	client, _, err := l.provide(ctx, life)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return preflight.Probe(ctx, v, cfg.URL, prober{client})
}

// rawAnswer is one answer that settling got, of a backend asked by itself or of the root (attack.Unattributed).
type rawAnswer struct {
	backend int
	preflight.Answer
}

// seen is what settling saw of the pod's view. It is what a check with --probe asks for, less the proxy's counters: the second
// witness reads those around the burst.
func (l *learner) seen() *preflight.Probed {
	p := &preflight.Probed{
		URL: l.url, Direct: map[string][]preflight.Answer{}, Path: preflight.PathSeen{Why: "the second witness reads them around the burst"},
	}
	for _, a := range l.raw {
		if a.backend < 0 {
			p.Root = append(p.Root, a.Answer)
		} else if a.backend < len(l.snap.Backends) {
			name := l.snap.Backends[a.backend].Name
			p.Direct[name] = append(p.Direct[name], a.Answer)
		}
	}
	return p
}

// checkAgain looks at the checks again, with what the pod saw, and reports whether they forbid the run now.
func (r *run) checkAgain(p *preflight.Probed) (refused bool) {
	r.m.Checks = preflight.Run(preflight.View{Snapshot: *r.m.Before, Probed: p})
	preflight.Waive(r.m.Checks, r.cfg.IgnoreChecks, ignoreFlag)
	return r.m.Refused()
}

// ignoreFlag is how the user waives a check.
const ignoreFlag = "--ignore-check"
