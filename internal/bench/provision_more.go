package bench

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/splitbench/splitbench/attack"
	"github.com/splitbench/splitbench/internal/agent"
	"github.com/splitbench/splitbench/internal/curl"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/podexec"
)

// curlSession makes a session of the image's own curl or wget.
type curlSession struct{ *curl.Client }

var _ session = curlSession{}

// AttackFrom starts when the gate opens and the delay is over; the warm-up belongs to the burst.
func (c curlSession) AttackFrom(ctx context.Context, plan attack.Plan, start agent.Start, totals *wire.Totals) iter.Seq2[attack.Result, error] {
	return func(yield func(attack.Result, error) bool) {
		if start.Gate != nil {
			if err := start.Gate(ctx); err != nil {
				yield(attack.Result{}, err)
				return
			}
		}
		t := time.NewTimer(start.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			yield(attack.Result{}, context.Cause(ctx))
			return
		}
		c.Attack(ctx, plan, totals)(yield)
	}
}

// curl drives the image's own curl or wget.
func (l ladder) curl(ctx, _ context.Context) (session, string, error) {
	if err := curl.Check(l.plan); err != nil {
		return nil, "", err
	}
	c, err := curl.Open(ctx, l.container, curl.Options{Progress: l.options.Progress, Verified: l.options.Verified})
	if err != nil {
		return nil, "", err
	}
	return curlSession{c}, fmt.Sprintf("%s of the image, one request after the other", untrusted.Safe(c.Hello().Version)), nil
}

// ephemeral adds an ephemeral container to the pod, puts the agent there and starts it. The container ends by itself with the
// session's deadline; Kubernetes keeps its entry in the pod's spec.
func (l ladder) ephemeral(ctx, life context.Context) (session, string, error) {
	name, err := podexec.AddEphemeral(ctx, l.rest, l.container.Target(), podexec.Ephemeral{
		Image: l.image, Command: []string{"sleep", fmt.Sprint(int(l.deadline.Seconds()) + 1)},
	})
	if err != nil {
		return nil, "", err
	}
	target := l.container.Target()
	target.Container = name
	c, err := podexec.New(l.rest, target, podexec.Options{Protocol: l.protocol})
	if err != nil {
		return nil, "", err
	}
	s, how, err := l.upload(ctx, life, c)
	if err != nil {
		return nil, "", err
	}
	return s, fmt.Sprintf("ephemeral container %s of image %s, which stays in the pod's spec: %s", name, untrusted.Safe(l.image), how), nil
}
