package mesh

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/splitbench/splitbench/internal/law"
)

// sightOf classes the error of a read. Not served counts as absent: no object of a kind that the server does not know
// exists.
func sightOf(err error) (law.Sight, string) {
	switch {
	case err == nil:
		return law.Seen, ""
	case apierrors.IsNotFound(err), errors.Is(err, errNotServed):
		return law.Absent, ""
	}
	return law.Unread, law.Brief(err)
}

// factsStep reads what is asked of the client's cluster. Nothing of it ends a discovery.
func (d *finder) factsStep(ctx context.Context) error {
	if d.t.SplitOnly {
		return nil
	}
	f := &d.snap.Facts
	s := d.snap.Split
	if s.Found && law.KindNamed(law.Path(s.Kind)).Copied && s.Profile.State != law.ProfileNotServed {
		f.Adaptor = readAdaptor(ctx, d.local)
	}
	f.SocketLB = d.readSocketLB(ctx)
	d.readControllers(ctx)
	control := d.snap.Source.ControlPlane
	f.Networks = d.readNetworks(ctx, control)
	for _, n := range slices.Compact([]string{d.t.Namespace, d.t.clientNS}) {
		f.Namespaces = append(f.Namespaces, readNamespace(ctx, d.local, n))
	}
	for i := range d.snap.Backends {
		b := &d.snap.Backends[i]
		if b.Service.Found && b.Mirror == nil {
			b.Pods = podSet(ctx, d.local, true, b.Service, b.Endpoints)
		}
		if b.Service.Found && b.Mirror != nil {
			d.readMirrorFacts(ctx, b)
		}
	}
	f.Rollouts = append(f.Rollouts, d.rollouts(ctx, d.local, "", d.backendsOf(""))...)
	if slices.ContainsFunc(d.snap.Backends, func(b law.Backend) bool { return b.Mirror != nil }) {
		f.Anchors = append([]law.TrustAnchors{readAnchors(ctx, d.local, "client", control)}, f.Anchors...)
	}
	return nil
}
