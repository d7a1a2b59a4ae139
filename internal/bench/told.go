package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/mesh"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
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

// heard settles whom what is told is heard from: the control plane, which was asked at the check, or the client's own
// Envoy through a session. What its Envoy holds is the law from then on: the split is read and planned for anew where
// that is not what the objects say.
func (r *run) heard(ctx context.Context, f fetcher) error {
	before, q := r.m.Before, &r.cfg.Query
	kind, address, err := witness.Locate(cmp.Or(r.cfg.Witness, witness.Auto), *before)
	switch {
	case q.Use != law.UseAuto && q.Use != law.UseTold:
		return nil
	case before.Told != nil && before.Told.Why == "":
		pod := law.Pod{Namespace: before.Told.Namespace, Name: before.Told.Pod}
		r.tell = func(ctx context.Context) (law.Law, error) { return q.Teller.Tell(ctx, pod, before.Question()) }
		return nil
	case err == nil && kind == witness.Envoy:
	case q.Use == law.UseTold:
		return errors.New("--law told: neither a control plane nor the client's own proxy can be asked")
	default:
		return nil
	}
	ask := func(ctx context.Context) (law.Law, error) { return askEnvoy(ctx, f, address, before.Question()) }
	t := r.hear(ctx, ask)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case t.Why != "" && t.Required:
		return errors.New("--law told: the client's Envoy was not heard: " + t.Why)
	case t.Why == "":
		r.tell = ask
	}
	q.Told = &t
	if t.Why != "" || before.Law.Same(t.Law, before.Port) {
		same := t
		before.Told = &same
		return nil
	}
	return r.planAnew(ctx)
}

// hear asks the client's own proxy.
func (r *run) hear(ctx context.Context, ask func(context.Context) (law.Law, error)) law.Told {
	pod := r.m.Before.Source
	t := law.Told{
		Namespace: pod.Namespace, Pod: pod.Name, Own: true, At: time.Now().UTC(), Required: r.cfg.Query.Use == law.UseTold,
	}
	var err error
	if t.Law, err = ask(ctx); err != nil {
		t.Why = untrusted.Short(err.Error(), 300)
	}
	t.TookMs = time.Since(t.At).Milliseconds()
	return t
}

// planAnew reads the split with the law that was told, and plans for it.
func (r *run) planAnew(ctx context.Context) error {
	length := r.m.Plan.Duration()
	snap, err := Discover(ctx, r.cfg)
	if err != nil {
		return err
	}
	r.m.Before, r.m.Weights = &snap, record.WeightsOf(snap)
	r.m.Checks = preflight.Run(preflight.View{Snapshot: snap})
	preflight.Waive(r.m.Checks, r.cfg.IgnoreChecks, ignoreFlag)
	if r.m.Refused() {
		return nil
	}
	if r.m.Plan, err = r.plan(snap); err != nil {
		return err
	}
	r.identify(r.m.ID)
	if longer := r.m.Plan.Duration() - length; longer > sessionMargin/2 {
		return fmt.Errorf("the client's Envoy holds other weights than the objects say, which need %s more: "+
			"give --requests", longer.Round(time.Second))
	}
	return nil
}

// askEnvoy reads the routes that an Envoy holds, at the admin interface that its counters are read from.
func askEnvoy(ctx context.Context, f fetcher, counters string, q law.Question) (law.Law, error) {
	admin, err := url.Parse(counters)
	if err != nil {
		return law.Law{}, err
	}
	var pages [][]byte
	for _, page := range told.EnvoyPages() {
		res, body, err := f.Fetch(ctx, wire.FetchRequest{
			URL: "http://" + admin.Host + page, TimeoutMs: probeTimeout, MaxBytes: maxWitnessPage,
		})
		switch {
		case err != nil:
			return law.Law{}, err
		case res.Error != "":
			return law.Law{}, fmt.Errorf("its routes could not be read at %s: %s", admin.Host, brief(res.Error))
		case res.Status == http.StatusNotFound: // it has none of this kind
		case res.Status != http.StatusOK:
			return law.Law{}, fmt.Errorf("its routes could not be read at %s: status %d", admin.Host, res.Status)
		case res.Truncated:
			return law.Law{}, fmt.Errorf("its routes at %s are more than %d MiB", admin.Host, maxWitnessPage>>20)
		default:
			pages = append(pages, body)
		}
	}
	return told.Envoy(pages, q)
}

// tellAgain asks once more right before the burst, where the law was told. A law that has changed since then is none
// that requests were planned for.
func (r *run) tellAgain(ctx context.Context) error {
	if r.tell == nil {
		return nil
	}
	before := r.m.Before.Told
	at := time.Now()
	now, err := r.tell(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && before.Required:
		return fmt.Errorf("--law told: what proxies are told was not heard right before the burst: %w", err)
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

// tellAfter asks the client's own proxy right after the burst, for the look that follows. The control plane is asked by
// that look itself.
func (r *run) tellAfter(ctx context.Context) {
	if t := r.cfg.Query.Told; t != nil && r.tell != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), witnessTimeout)
		defer cancel()
		*t = r.hear(ctx, r.tell)
	}
}
