package mesh

import (
	"cmp"
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

// gatewayService is the gateway's name unless the extension was told otherwise.
const gatewayService = "linkerd-gateway"

// remotesStep reads behind the mirrors: the Service there, its pods, the export label and the gateway.
func (d *finder) remotesStep(ctx context.Context) error {
	clusters := d.clusterNames()
	used := map[int]bool{}
	for _, name := range clusters {
		i := d.remoteFor(name, clusters)
		if i < 0 {
			if d.mirrored(name) {
				d.note("no --remote-context leads to cluster %s: its pods, export label and gateway were not read",
					untrusted.Safe(name))
			}
			continue
		}
		used[i] = true
		d.readRemote(ctx, name, d.remotes[i].Client)
	}
	for i, r := range d.remotes {
		if used[i] {
			continue
		}
		if r.Cluster != "" && !slices.Contains(clusters, r.Cluster) {
			return usage("match", "--remote-context "+untrusted.Safe(r.Cluster)+"="+untrusted.Safe(r.Client.Context),
				"no mirror Service and no Link names cluster "+untrusted.Safe(r.Cluster),
				law.Candidates(r.Cluster, "clusters", clusters))
		}
		d.note("no mirror Service and no Link leads to remote context %s: it was not read", untrusted.Safe(r.Client.Context))
	}
	return nil
}

// clusterNames are the target clusters in the order of the backends, then of the Links.
func (d *finder) clusterNames() []string {
	var names []string
	for _, b := range d.snap.Backends {
		if b.Mirror != nil {
			names = addOnce(names, b.Mirror.Cluster)
		}
	}
	for _, l := range d.snap.Links {
		names = addOnce(names, l.TargetCluster)
	}
	return names
}

// mirrorsOf are the backends that mirror Services of the cluster.
func (d *finder) mirrorsOf(cluster string) []*law.Backend {
	var out []*law.Backend
	for i := range d.snap.Backends {
		if b := &d.snap.Backends[i]; b.Mirror != nil && b.Mirror.Cluster == cluster {
			out = append(out, b)
		}
	}
	return out
}

func (d *finder) mirrored(cluster string) bool { return len(d.mirrorsOf(cluster)) > 0 }

// remoteFor matches a target cluster to a remote: by the name the user gave, by the name of the context, or, where
// there is one unnamed remote and one cluster that is mirrored, to that one.
func (d *finder) remoteFor(cluster string, clusters []string) int {
	if i := slices.IndexFunc(d.remotes, func(r Remote) bool { return r.Cluster == cluster }); i >= 0 {
		return i
	}
	byContext := func(r Remote) bool { return r.Cluster == "" && r.Client.Context == cluster }
	if i := slices.IndexFunc(d.remotes, byContext); i >= 0 {
		return i
	}
	mirrored := 0
	for _, c := range clusters {
		if d.mirrored(c) {
			mirrored++
		}
	}
	only := len(clusters) == 1 || mirrored == 1 && d.mirrored(cluster)
	if only && len(d.remotes) == 1 && d.remotes[0].Cluster == "" {
		return 0
	}
	return -1
}

// readRemote reads one target cluster. What it does not tell is noted, or stands in the Unread fields: a target cluster
// that is down is a finding, not the end of the discovery.
func (d *finder) readRemote(ctx context.Context, cluster string, c Client) {
	entry := law.Cluster{Role: cluster, Context: c.Context, Server: c.server}
	v, skew, err := c.version(ctx)
	entry.SkewMs = skew
	if err != nil && !apierrors.IsForbidden(err) {
		entry.Problem = law.Brief(apiError(c, "connect", "--remote-context "+untrusted.Safe(c.Context), err))
		d.snap.Clusters = append(d.snap.Clusters, entry)
		d.note("cluster %s could not be read: %s", untrusted.Safe(cluster), entry.Problem)
		for _, b := range d.mirrorsOf(cluster) {
			b.Mirror.Context, b.Mirror.RemoteUnread = c.Context, entry.Problem
		}
		d.snap.Gateways = append(d.snap.Gateways, law.Gateway{
			Cluster: cluster, Context: c.Context, Namespace: linkNamespace,
			Name: gatewayService, Unread: entry.Problem,
		})
		return
	}
	entry.Version = v
	d.snap.Clusters = append(d.snap.Clusters, entry)
	d.reviewRemote(ctx, cluster, c)
	for _, b := range d.mirrorsOf(cluster) {
		b.Mirror.Context = c.Context
		d.readRemoteService(ctx, c, b)
	}
	d.snap.Gateways = append(d.snap.Gateways, d.readGateway(ctx, cluster, c))
	d.readRemoteFacts(ctx, cluster, c)
}

// readRemoteService reads the Service behind a mirror and the names of its pods, which are what an answer is known by.
func (d *finder) readRemoteService(ctx context.Context, c Client, b *law.Backend) {
	m := b.Mirror
	ns, name, _ := strings.Cut(m.Remote, "/")
	svc, err := c.serviceOf(ctx, ns, name)
	if apierrors.IsNotFound(err) {
		return
	}
	if err != nil {
		m.RemoteUnread = law.Brief(err)
		d.note("Service %s of cluster %s could not be read: %s", untrusted.Safe(m.Remote), untrusted.Safe(m.Cluster),
			m.RemoteUnread)
		return
	}
	m.RemoteFound, m.RemoteExported, m.RemoteService = true, d.exported(m.Cluster, svc), readService(svc)
	of := servicePort{name, readService(svc).PortName(b.Port)}
	got, unread := endpointsOf(ctx, c, ns, of)
	if why := unread[of]; why != "" {
		m.RemoteUnread = why
		d.note("pods of Service %s of cluster %s could not be read: %s", untrusted.Safe(m.Remote), untrusted.Safe(m.Cluster),
			why)
		return
	}
	b.RemotePods = law.Backend{Endpoints: got[of]}.PodNames()
	d.remoteEndpoints[b.Name] = got[of]
	m.RemoteReady = law.Backend{Endpoints: got[of]}.Ready()
}

// gatewayProxyPort is where the gateway's proxy takes requests in; its Service's port leads there.
const gatewayProxyPort = 4143

// readGateway reads the gateway's Service and whether something is ready behind it. It is looked for where the
// extension puts it, then in the namespace of the cluster's Link.
func (d *finder) readGateway(ctx context.Context, cluster string, c Client) law.Gateway {
	g := law.Gateway{Cluster: cluster, Context: c.Context, Namespace: linkNamespace, Name: gatewayService}
	namespaces := []string{linkNamespace}
	for _, l := range d.snap.Links {
		if l.TargetCluster == cluster && l.Namespace != linkNamespace {
			namespaces = append(namespaces, l.Namespace)
		}
	}
	for _, ns := range namespaces {
		svc, err := c.serviceOf(ctx, ns, gatewayService)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			g.Unread = law.Brief(err)
			d.note("the gateway of cluster %s could not be read: %s", untrusted.Safe(cluster), g.Unread)
			return g
		}
		g.Found, g.Namespace, g.Addresses = true, ns, gatewayAddresses(svc)
		g.Identity = annotation(svc, annGatewayOwnIdentity)
		g.Pods = podSet(ctx, c, !d.t.SplitOnly, readService(svc), []law.Endpoint{{Port: gatewayProxyPort}})
		of := servicePort{service: gatewayService}
		got, unread := endpointsOf(ctx, c, ns, of)
		if why := unread[of]; why != "" {
			g.Unread = why
			d.note("the endpoints of the gateway of cluster %s could not be read: %s", untrusted.Safe(cluster), why)
			return g
		}
		g.Ready = law.Backend{Endpoints: got[of]}.Ready() > 0
		return g
	}
	return g
}

// gatewayAddresses are where a load balancer takes the gateway's traffic in: IPs, or host names where a cloud gives no
// IP. Of an entry with both, a Link has the IP.
func gatewayAddresses(svc *core.Service) []string {
	var out []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a := cmp.Or(in.IP, in.Hostname); a != "" && !slices.Contains(out, a) {
			out = append(out, untrusted.Cut(a, 253))
		}
	}
	slices.Sort(out)
	return out
}

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
