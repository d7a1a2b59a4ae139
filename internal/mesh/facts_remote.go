package mesh

import (
	"context"
	"slices"
	"strings"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// readMirrorFacts reads what the client's cluster says of a mirror beside its Endpoints.
func (d *finder) readMirrorFacts(ctx context.Context, b *law.Backend) {
	m := b.Mirror
	if m.Mode != law.MirrorGateway {
		m.Credentials, m.CredentialsWhy = d.credentials(ctx, m.Cluster)
		return
	}
	// Proxies read EndpointSlices. Kubernetes copies them from the Endpoints, annotations and all; one that lacks the
	// gateway's identity makes a client dial in plain text.
	bySvc, err := d.local.slicesOf(ctx, b.Service.Namespace, []string{b.Service.Name})
	if m.Slices, m.SlicesWhy = sightOf(err); m.Slices != law.Seen {
		return
	}
	found := bySvc[b.Service.Name]
	if len(found) == 0 {
		m.Slices = law.Absent
		return
	}
	for i := range found {
		id := annotation(&found[i], annGatewayIdentity)
		if !slices.Contains(m.SliceIdentities, id) {
			m.SliceIdentities = append(m.SliceIdentities, id)
		}
	}
	slices.Sort(m.SliceIdentities)
}

// readRemoteFacts reads what the target cluster says of the mirrored Services: the pods behind them, a split of their
// own, and the anchors that the mesh there trusts.
func (d *finder) readRemoteFacts(ctx context.Context, cluster string, c Client) {
	if d.t.SplitOnly {
		return
	}
	mirrors := d.mirrorsOf(cluster)
	for _, b := range mirrors {
		if !b.Mirror.RemoteFound {
			continue
		}
		b.Pods = podSet(ctx, c, true, b.Mirror.RemoteService, d.remoteEndpoints[b.Name])
		b.Mirror.RemoteSplit, b.Mirror.RemoteSplitWhy = readRemoteSplit(ctx, c, b.Mirror)
	}
	if len(mirrors) == 0 {
		return
	}
	control := ""
	for _, l := range d.snap.Links {
		if l.TargetCluster == cluster {
			control = l.TargetControlPlane
		}
	}
	d.snap.Facts.Anchors = append(d.snap.Facts.Anchors, readAnchors(ctx, c, cluster, control))
	d.snap.Facts.Rollouts = append(d.snap.Facts.Rollouts, d.rollouts(ctx, c, cluster, d.backendsOf(cluster))...)
}

// readRemoteSplit looks for a split of the mirrored Service in its own cluster. The gateway there asks for the profile
// of the name that it is called by and obeys it, so the share of that cluster is split once more.
func readRemoteSplit(ctx context.Context, c Client, m *law.Mirror) (*law.RemoteSplit, string) {
	ns, name, _ := strings.Cut(m.Remote, "/")
	items, err := c.list(ctx, law.ServiceProfiles(), ns)
	if sight, why := sightOf(err); sight == law.Unread {
		return nil, why
	}
	out := law.SplitOfProfile(items, ns, name)
	if out == nil {
		return nil, ""
	}
	svcs, err := c.servicesOf(ctx, ns)
	if err != nil {
		return out, ""
	}
	for _, w := range out.Weights {
		for i := range svcs {
			if _, mirror := readMirror(&svcs[i]); mirror && svcs[i].Name == w.Service {
				out.Back = append(out.Back, w.Service)
			}
		}
	}
	return out, ""
}

// serviceOf is one Service: asked for by itself, or found in the list where many are looked at.
func (c Client) serviceOf(ctx context.Context, ns, name string) (*core.Service, error) {
	if c.wide {
		all, err := c.servicesOf(ctx, ns)
		for i := range all {
			if all[i].Name == name {
				return &all[i], nil
			}
		}
		if err == nil {
			return nil, apierrors.NewNotFound(core.Resource("services"), name)
		}
	}
	return get(ctx, c, "service", ns, name, c.kube.CoreV1().Services(ns))
}

// servicesOf lists the Services of a namespace.
func (c Client) servicesOf(ctx context.Context, ns string) ([]core.Service, error) {
	return remember(c.memo, "services "+ns, func() ([]core.Service, error) {
		out, more, err := paged(ctx, c.kube.CoreV1().Services(ns), metav1.ListOptions{}, maxObject,
			func(l *core.ServiceList) []core.Service { return l.Items })
		if err == nil && more {
			err = errTooMany
		}
		return out, err
	})
}

// readMirrorStatus reads a Link's status, which is where the service mirror says why something is not mirrored.
func readMirrorStatus(u *unstructured.Unstructured) []law.MirrorStatus {
	var status struct {
		MirrorServices []struct {
			RemoteRef  struct{ Namespace, Name string }
			Conditions []struct {
				Type, Status, Reason, Message string
				LocalRef                      struct{ Name string }
			}
		}
	}
	if law.Decode(u.Object["status"], &status) != nil {
		return nil
	}
	var out []law.MirrorStatus
	for _, s := range status.MirrorServices {
		if len(out) == maxObject {
			break
		}
		m := law.MirrorStatus{Remote: untrusted.Short(s.RemoteRef.Namespace+"/"+s.RemoteRef.Name, 300)}
		for _, c := range s.Conditions {
			if c.Type == "Mirrored" {
				m.Mirrored, m.Local = c.Status == "True", untrusted.Short(c.LocalRef.Name, 253)
				m.Reason, m.Message = untrusted.Short(c.Reason, 100), untrusted.Short(c.Message, 300)
			}
		}
		out = append(out, m)
	}
	return out
}
