package mesh

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/util/workqueue"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// reviewers is how many access reviews are under way at a time.
const reviewers = 8

// Review asks the API server whether each access is allowed, in the same order. Asking needs no permission of its own.
func Review(ctx context.Context, c Client, wanted []law.Access) ([]law.Access, error) {
	out := make([]law.Access, len(wanted))
	errs := make([]error, len(wanted))
	workqueue.ParallelizeUntil(context.WithoutCancel(ctx), reviewers, len(wanted), func(i int) {
		out[i], errs[i] = remember(c.memo, fmt.Sprintf("review %+v", wanted[i]), func() (law.Access, error) {
			return review(ctx, c, wanted[i])
		})
	})
	for i, err := range errs {
		if err != nil {
			return nil, apiError(c, "ask for permission", wanted[i].Verb+" "+wanted[i].What(), err)
		}
	}
	return out, nil
}

func review(ctx context.Context, c Client, a law.Access) (law.Access, error) {
	asked := &authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorization.ResourceAttributes{
			Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace, Name: a.Name,
		},
	}}
	got, err := c.kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, asked, metav1.CreateOptions{})
	if err != nil {
		return a, err
	}
	a.Allowed, a.Reason = got.Status.Allowed && !got.Status.Denied, untrusted.Safe(got.Status.Reason)
	return a, nil
}

// execAccess is what running the agent needs. Kubernetes asks for create on exec over SPDY; over WebSocket, whose
// handshake is a GET, it asks for get, and newer servers for create as well.
func execAccess(namespace string) []law.Access {
	return []law.Access{
		{Verb: "create", Resource: "pods", Subresource: "exec", Namespace: namespace, For: "requests from the source pod"},
		{
			Verb: "get", Resource: "pods", Subresource: "exec", Namespace: namespace, Optional: true,
			For: "exec over WebSocket",
		},
	}
}

// optional is an access without which a discovery knows less, and works.
func optional(verb, group, resource, namespace, why string) law.Access {
	return law.Access{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Optional: true, For: why}
}

// named is the access to one object of a resource.
func named(group, resource, namespace, name, why string) law.Access {
	a := optional("get", group, resource, namespace, why)
	a.Name = name
	return a
}

// localAccess is what a discovery reads in the client's cluster. What is not served need not be asked for.
func (d *finder) localAccess(ctx context.Context) []law.Access {
	ns, from := d.t.Namespace, d.t.FromNamespace
	out := []law.Access{{Verb: "list", Resource: "services", Namespace: ns, For: "root and backends"}}
	add := func(as ...law.Access) { out = append(out, as...) }
	list := func(r law.Resource, namespace, why string, required bool) {
		if d.local.serves(ctx, r) {
			a := optional("list", r.Group, r.Plural, namespace, why)
			a.Optional = !required
			add(a)
		}
	}
	for _, k := range law.Kinds() {
		if !k.MayRule(d.t.splitKind) {
			continue
		}
		where := ns
		if k.Everywhere {
			where = ""
		}
		for _, r := range k.Resources {
			list(r, where, k.For, k.Needed && k.Essential(d.t.splitKind))
		}
		for _, r := range k.Beside {
			list(r, ns, "which pods a subset has", false)
		}
	}
	list(law.ServiceProfiles(), ns, "what proxies obey", false)
	if d.t.clientNS != ns {
		list(law.ServiceProfiles(), d.t.clientNS, "a profile that hides the split's", false)
	}
	for _, k := range policyKinds() {
		list(k, ns, "whom the backends' proxies let in", false)
	}
	list(law.Links(), "", "the other clusters", false)
	if d.local.serves(ctx, law.Links()) {
		add(optional("list", "apps", "deployments", linkNamespace, "whether the service mirrors run"))
	}
	add(optional("list", "discovery.k8s.io", "endpointslices", ns, "whether backends have ready endpoints"),
		optional("get", "", "endpoints", ns, "where mirrors lead"),
		optional("list", "", "pods", ns, "the pods behind backends"),
		optional("list", "apps", "deployments", ns, "rollouts"),
		named("", "namespaces", "", ns, "settings of the namespace"))
	if d.t.clientNS != ns {
		add(named("", "namespaces", "", d.t.clientNS, "settings of the client's namespace"))
	}
	if d.local.serves(ctx, law.ServiceProfiles()) {
		add(named("", "configmaps", controlNamespace, controlConfigMap, "networks of Linkerd"),
			named("", "configmaps", controlNamespace, anchorsConfigMap, "trust anchors of Linkerd"))
	}
	add(named("", "configmaps", ciliumNamespace, ciliumConfigMap, "settings of the network plugin"))
	if d.local.serves(ctx, law.TrafficSplits()) {
		add(named("apps", "deployments", smiNamespace, smiDeployment, "the SMI adaptor"))
	}
	return append(out, d.sourceAccess(from)...)
}

// sourceAccess is what finding the source pod and running the agent in it needs; nothing where no pod was named.
func (d *finder) sourceAccess(from string) []law.Access {
	kind := d.t.fromKind.name
	pods := law.Access{Verb: "list", Resource: "pods", Namespace: from, For: "the source pod"}
	var out []law.Access
	switch {
	case d.t.Selector != "":
		out = append(out, pods)
	case kind == "pod":
		pods.Verb = "get"
		out = append(out, pods)
	case kind != "":
		workload := law.Access{
			Verb: "get", Group: "apps", Resource: kind + "s", Namespace: from,
			For: "the source pod's workload",
		}
		out = append(out, workload, pods)
	default:
		return nil
	}
	out = append(out, optional("get", "", "nodes", "", "the platform of the source pod"))
	if d.t.Runners {
		out = append(out, runnerAccess(from)...)
	}
	return append(out, execAccess(from)...)
}

// remoteAccess is what it reads in the cluster behind a mirror.
func remoteAccess(ctx context.Context, c Client, cluster string, namespaces []string) []law.Access {
	var out []law.Access
	for _, ns := range namespaces {
		out = append(out, optional("get", "", "services", ns, "the Service behind a mirror"),
			optional("list", "discovery.k8s.io", "endpointslices", ns, "its endpoints"),
			optional("list", "", "pods", ns, "its pods"),
			optional("list", "apps", "deployments", ns, "rollouts"))
		if p := law.ServiceProfiles(); c.serves(ctx, p) {
			out = append(out, optional("list", p.Group, p.Plural, ns, "whether that cluster splits the Service again"))
		}
	}
	if c.serves(ctx, policyServers()) {
		for _, ns := range append(slices.Clone(namespaces), linkNamespace) {
			for _, k := range policyKinds() {
				out = append(out, optional("list", k.Group, k.Plural, ns, "whom the proxies there let in"))
			}
		}
	}
	out = append(out, named("", "services", linkNamespace, gatewayService, "the gateway"),
		optional("list", "discovery.k8s.io", "endpointslices", linkNamespace, "whether the gateway is ready"),
		optional("list", "", "pods", linkNamespace, "the gateway's pods"),
		named("", "configmaps", controlNamespace, anchorsConfigMap, "trust anchors of Linkerd"))
	for i := range out {
		out[i].Cluster = cluster
	}
	return out
}

// reviewRemote asks what reading the target cluster needs.
func (d *finder) reviewRemote(ctx context.Context, cluster string, c Client) {
	if d.t.SplitOnly {
		return
	}
	var namespaces []string
	for _, b := range d.mirrorsOf(cluster) {
		ns, _, _ := strings.Cut(b.Mirror.Remote, "/")
		namespaces = addOnce(namespaces, ns)
	}
	if len(namespaces) == 0 {
		return
	}
	got, err := Review(ctx, c, remoteAccess(ctx, c, cluster, namespaces))
	if err != nil {
		d.note("permissions in cluster %s could not be asked for: %s", untrusted.Safe(cluster), law.Brief(err))
		return
	}
	d.snap.Access = append(d.snap.Access, got...)
}

// accessStep asks what the discovery and a run need, before anything is read: what is refused later was then foretold.
func (d *finder) accessStep(ctx context.Context) error {
	if _, err := d.local.groups(ctx); err != nil {
		return apiError(d.local, "list", "API groups", err)
	}
	wanted := law.Once(append(d.localAccess(ctx), d.tellAccess(ctx)...))
	if d.t.SplitOnly {
		wanted = execAccess(d.t.FromNamespace)
	}
	got, err := Review(ctx, d.local, wanted)
	if err != nil {
		d.note("permissions could not be asked for: %s", law.Brief(err))
		return nil
	}
	d.snap.Access = append(d.snap.Access, got...)
	return nil
}

// serves reports whether the cluster serves a kind. A group is served for one of its kinds as much as for all, and a
// rule for a kind that is not there would be one too many; so groups of several kinds are asked which they have. Where
// a server does not tell, the kind is taken to be served: reading it then says.
func (c Client) serves(ctx context.Context, k law.Resource) bool {
	groups, err := c.groups(ctx)
	versions := k.ServedBy(groups)
	switch {
	case err != nil || len(versions) == 0:
		return false
	case groups == nil, k.Group != "gateway.networking.k8s.io" && k.Group != policyGroup:
		return true
	}
	return slices.ContainsFunc(versions, func(v string) bool {
		names, err := c.resources(ctx, k.Group+"/"+v)
		return err != nil || slices.Contains(names, k.Plural)
	})
}

// resources names what a version of a group serves.
func (c Client) resources(ctx context.Context, groupVersion string) ([]string, error) {
	return remember(c.memo, "resources "+groupVersion, func() ([]string, error) {
		server := discovery.ToDiscoveryInterfaceWithContext(c.kube.Discovery())
		l, err := server.ServerResourcesForGroupVersionWithContext(ctx, groupVersion)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, r := range l.APIResources {
			names = append(names, r.Name)
		}
		return names, nil
	})
}

// Missing names the namespaces of the accesses that the cluster lacks; nil where namespaces may not be listed.
func Missing(ctx context.Context, c Client, accesses []law.Access) []string {
	there, err := Namespaces(ctx, c)
	if err != nil || len(there) >= pageSize {
		return nil
	}
	var out []string
	for _, a := range accesses {
		if a.Namespace != "" && !slices.Contains(there, a.Namespace) {
			out = addOnce(out, a.Namespace)
		}
	}
	return out
}

// Commands that read a cluster, as Needs knows them.
const (
	CommandCheck   = "check"
	CommandPlan    = "plan"
	CommandRun     = "run"
	CommandConvert = "convert"
)

// Needs lists what a command needs of the client's cluster, or with remote of one that a mirror leads to: each with
// what it is for, and whether the command works without it. It is the list that a discovery asks the API server about.
// A cluster is asked only which kinds it serves; nil: all kinds are taken to be there.
func Needs(ctx context.Context, c *Client, command string, q Query, remote bool) ([]law.Access, error) {
	t, err := q.parse()
	if err != nil {
		return nil, err
	}
	d := &finder{t: t}
	if c != nil {
		d.local = c.remembered()
		if _, err = d.local.groups(ctx); err != nil {
			return nil, apiError(*c, "list", "API groups", err)
		}
	}
	if remote {
		if command == CommandConvert || command == CommandPlan {
			return nil, nil
		}
		return remoteAccess(ctx, d.local, "", []string{t.Namespace}), nil
	}
	all := law.Once(d.localAccess(ctx))
	switch command {
	case CommandConvert:
		return slices.DeleteFunc(all, func(a law.Access) bool {
			return a.Resource != law.TrafficSplits().Plural && (a.Resource != "services" || a.Optional)
		}), nil
	case CommandPlan:
		all = slices.DeleteFunc(all, func(a law.Access) bool {
			return !saysTheLaw(a) && (a.Optional || a.Subresource != "")
		})
		return append(all, d.tellAccess(ctx)...), nil
	case CommandCheck: // that a run may be started is one of its checks
		return append(all, d.tellAccess(ctx)...), nil
	case CommandRun:
		if t.fromKind.name != "" || t.Selector != "" { // the second look is at the pod that was found
			all = law.Once(append(all, law.Access{
				Verb: "get", Resource: "pods", Namespace: t.FromNamespace, For: "whether the source pod is the same after the run",
			}))
		}
		return slices.Concat(all, d.watchAccess(all), d.tellAccess(ctx)), nil
	}
	return nil, fmt.Errorf("rbac %q: no command that reads a cluster", command)
}

// saysTheLaw reports an access to objects that may rule.
func saysTheLaw(a law.Access) bool { return a.Subresource == "" && law.SaysTheLaw(a.Group) }

// watchAccess is what a run watches while it sends: the objects that its verdict rests on. Where that is refused it
// reads them once a second, for which it needs to get them.
func (d *finder) watchAccess(read []law.Access) []law.Access {
	var out []law.Access
	seen := map[string]bool{}
	objects := []string{"services", "pods", "endpoints", "endpointslices"}
	for _, a := range read {
		watched := saysTheLaw(a) || a.Subresource == "" && a.Name == "" && slices.Contains(objects, a.Resource)
		key := a.Namespace + "/" + a.What()
		if !watched || a.Namespace == "" || seen[key] || saysTheLaw(a) && !d.mayRule(a) {
			continue
		}
		seen[key] = true
		out = append(out, optional("watch", a.Group, a.Resource, a.Namespace,
			"seeing at once that it changes during the run"))
	}
	return out
}

// mayRule reports whether objects of the kind are watched: the split that was named, and its profile.
func (d *finder) mayRule(a law.Access) bool {
	named := func(r law.Resource) bool { return r.Plural == a.Resource }
	return d.t.splitKind == "" || named(law.ServiceProfiles()) ||
		slices.ContainsFunc(law.KindNamed(d.t.splitKind).Resources, named)
}
