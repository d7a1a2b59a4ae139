package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/record"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/internal/untrusted"
	"github.com/splitbench/splitbench/internal/wire"
	"github.com/splitbench/splitbench/internal/witness"
)

// tellWord is how what must be told is asked for.
const tellWord = "--law told: "

// heardBefore tells the law anew as it was told at the check.
func (r *run) heardBefore(before *law.Snapshot) func(context.Context) (law.Law, error) {
	pod := law.Pod{Namespace: before.Told.Namespace, Name: before.Told.Pod}
	return func(ctx context.Context) (law.Law, error) {
		ask, err := r.cfg.Query.Teller.Reach(ctx, pod, before.Law.Provider)
		if err != nil {
			return law.Law{}, err
		}
		return ask(ctx, before.Question())
	}
}

// heard settles whom what is told is heard from: who was asked at the check, else the client's own Envoy through a
// session. What its Envoy holds is the law from then on: the split is read and planned for anew where that is not what
// the objects say.
func (r *run) heard(ctx context.Context, f fetcher) error {
	before, q := r.m.Before, &r.cfg.Query
	kind, address, err := witness.Locate(cmp.Or(r.cfg.Witness, witness.Auto), *before)
	switch {
	case q.Use != law.UseAuto && q.Use != law.UseTold:
		return nil
	case before.Told != nil && before.Told.Why == "":
		r.tell = r.heardBefore(before)
		return nil
	case err == nil && kind == witness.Envoy:
	case q.Use == law.UseTold:
		return errors.New(tellWord + "there is neither a control plane nor a proxy of the client that can be asked")
	default:
		return nil
	}
	ask := func(ctx context.Context) (law.Law, error) { return askEnvoy(ctx, f, address, before.Question()) }
	t := r.hear(ctx, ask)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case t.Why != "" && t.Required:
		return errors.New(tellWord + "the client's Envoy could not be read: " + t.Why)
	case t.Why == "":
		r.tell = ask
	}
	q.Told = &t
	if t.Why != "" || before.Law.Same(t.Law, before.Port) {
		before.Told = new(t)
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
	r.m.Checks = r.cfg.checks(preflight.View{Snapshot: snap})
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
	envoy, err := held(told.EnvoyPages(), func(page string) (int, []byte, error) {
		res, body, err := f.Fetch(ctx, wire.FetchRequest{
			URL: "http://" + admin.Host + page, TimeoutMs: probeTimeout, MaxBytes: maxWitnessPage,
		})
		switch {
		case err == nil && res.Error != "":
			err = errors.New(res.Error)
		case err == nil && res.Truncated:
			err = errEndless
		}
		return res.Status, body, err
	}, told.ReadEnvoy)
	if err != nil {
		return law.Law{}, err
	}
	return envoy.Law(q)
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
		return fmt.Errorf(tellWord+"what proxies are told could not be asked right before the burst: %w", err)
	case err != nil:
		r.m.Warnings = append(r.m.Warnings, "what proxies are told was asked at the check, but could not be asked again "+
			"right before the burst: "+
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
