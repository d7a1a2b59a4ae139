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

// checkLength bounds a check's requests, with the session's margin: some thirty of them, of five seconds at most.
const checkLength = time.Minute

// ProbePod has the source pod of the View ask what only it can see. Errors are of the way to the pod; the agent is
// taken back in any case.
func ProbePod(ctx context.Context, cfg Config, v preflight.View) (probed *preflight.Probed, err error) {
	pod := v.Source
	switch {
	case pod.Name == "":
		return nil, errors.New("probe: no source pod was named")
	case pod.Problem != "":
		return nil, fmt.Errorf("probe pod %s: %s", pod.Name, untrusted.Safe(pod.Problem))
	}
	cfg.Load.speak(v.Law.Probe)
	like := cfg.Load.Plan("http://"+pod.Name, 1)
	if err := like.ValidateRequest(); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	l := ladder{cfg: cfg, pod: pod, length: checkLength, options: agent.ClientOptions{Stderr: newRunLog(cfg.Log)}}
	client, _, err := l.provide(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return preflight.Probe(ctx, v, cfg.URL, prober{client, like})
}

// prober lets checks ask the source pod through an agent's session.
type prober struct {
	f    fetcher
	like attack.Plan // whose requests the law is asked for
}

var _ preflight.Prober = prober{}

// Fetch implements preflight.Prober.
func (p prober) Fetch(ctx context.Context, q preflight.Get) (preflight.Answer, error) {
	fetch := wire.FetchRequest{URL: q.URL, TimeoutMs: probeTimeout}
	if q.Asked {
		fetch = fetchLike(p.like, q.URL)
	}
	fetch.MaxBytes, fetch.Keep = q.MaxBytes, q.Keep
	res, body, err := p.f.Fetch(ctx, fetch)
	if err != nil {
		return preflight.Answer{}, err
	}
	return answerOf(res, body), nil
}

func answerOf(res wire.FetchResult, body []byte) preflight.Answer {
	return preflight.Answer{
		Status: res.Status, Header: res.Header, Body: body, Truncated: res.Truncated, Error: res.Error,
		RemoteAddr: res.Remote, Empty: res.Class == attack.ErrEmpty.String(),
	}
}
