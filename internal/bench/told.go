package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/podexec"
)

// TellerOf asks the control plane over port-forwards.
func TellerOf(cfg *rest.Config, protocol podexec.Protocol) mesh.Teller { return teller{cfg, protocol} }

type teller struct {
	cfg      *rest.Config
	protocol podexec.Protocol
}

// Tell implements mesh.Teller.
func (t teller) Tell(ctx context.Context, controlPlane law.Pod, q law.Question) (law.Law, error) {
	return told.Ask(ctx, func(ctx context.Context, port int) (net.Conn, error) {
		to := podexec.Port{Namespace: controlPlane.Namespace, Pod: controlPlane.Name, Number: port}
		return podexec.Forward(ctx, t.cfg, to, t.protocol)
	}, q)
}

// tellAgain asks once more right before the burst, where the law was told at the check. A law that has changed since
// then is none that requests were planned for.
func (r *run) tellAgain(ctx context.Context) error {
	before := r.m.Before.Told
	if before == nil || before.Why != "" {
		return nil
	}
	at := time.Now()
	now, err := r.cfg.Query.Teller.Tell(ctx, law.Pod{Namespace: before.Namespace, Name: before.Pod}, r.m.Before.Question())
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && before.Required:
		return fmt.Errorf("--law told: right before the burst the control plane was not heard: %w", err)
	case err != nil:
		r.m.Warnings = append(r.m.Warnings, "what proxies are told was heard at the check and not right before the burst: "+
			brief(err.Error()))
	case !now.Same(r.m.Before.Law, r.m.Before.Port):
		return fmt.Errorf("what proxies are told changed between the check and the burst, from %s: run it again",
			untrusted.Safe(r.m.Before.Split.Effective.String()))
	default:
		before.At, before.TookMs = at.UTC(), time.Since(at).Milliseconds()
	}
	return nil
}
