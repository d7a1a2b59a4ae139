package mesh

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// reviewers is how many access reviews are under way at a time.
const reviewers = 8

// Review asks the API server whether each access is allowed, in the same order. Asking needs no permission of its own.
func Review(ctx context.Context, c Client, wanted []law.Access) ([]law.Access, error) {
	out := make([]law.Access, len(wanted))
	errs := make([]error, len(wanted))
	var wait sync.WaitGroup
	slots := make(chan struct{}, reviewers)
	for i := range wanted {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			out[i], errs[i] = remember(c.memo, fmt.Sprintf("review %+v", wanted[i]), func() (law.Access, error) { return review(ctx, c, wanted[i]) })
		})
	}
	wait.Wait()
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
		{Verb: "get", Resource: "pods", Subresource: "exec", Namespace: namespace, Optional: true, For: "exec over WebSocket"},
	}
}

// localAccess is what a discovery reads in the client's cluster.
func (d *finder) localAccess(ctx context.Context) []law.Access {
	ns, from := d.t.Namespace, d.t.FromNamespace
	out := []law.Access{{Verb: "list", Resource: "services", Namespace: ns, For: "root and backends"}}
	add := func(verb, group, resource, namespace, why string) {
		out = append(out, law.Access{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Optional: true, For: why})
	}
	need := func(verb, group, resource, namespace, why string) {
		out = append(out, law.Access{Verb: verb, Group: group, Resource: resource, Namespace: namespace, For: why})
	}
	named := func(group, resource, namespace, name, why string) {
		out = append(out, law.Access{Verb: "get", Group: group, Resource: resource, Namespace: namespace, Name: name, Optional: true, For: why})
	}
	// What is not served need not be asked for: the kinds of splits of meshes that are not here.
	custom := func(k law.Resource, namespace, why string) {
		if d.serves(ctx, k) {
			add("list", k.Group, k.Plural, namespace, why)
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
			if d.serves(ctx, r) {
				required := k.Needed && k.Essential(d.t.splitKind)
				out = append(out, law.Access{Verb: "list", Group: r.Group, Resource: r.Plural, Namespace: where, Optional: !required, For: k.For})
			}
		}
		for _, r := range k.Beside {
			custom(r, ns, "which pods a subset has")
		}
	}
	custom(law.ServiceProfiles(), ns, "what proxies obey")
	if d.t.clientNS != ns {
		custom(law.ServiceProfiles(), d.t.clientNS, "a profile that hides the split's")
	}
	for _, k := range policyKinds() {
		custom(k, ns, "whom the backends' proxies let in")
	}
	custom(law.Links(), "", "the other clusters")
	add("list", "discovery.k8s.io", "endpointslices", ns, "whether backends have ready endpoints")
	add("get", "", "endpoints", ns, "where mirrors lead")
	add("list", "", "pods", ns, "the pods behind backends")
	add("list", "apps", "deployments", ns, "rollouts")
	named("", "namespaces", "", ns, "settings of the namespace")
	if d.t.clientNS != ns {
		named("", "namespaces", "", d.t.clientNS, "settings of the client's namespace")
	}
	if d.serves(ctx, law.ServiceProfiles()) {
		named("", "configmaps", controlNamespace, controlConfigMap, "networks of Linkerd")
		named("", "configmaps", controlNamespace, anchorsConfigMap, "trust anchors of Linkerd")
	}
	named("", "configmaps", ciliumNamespace, ciliumConfigMap, "settings of the network plugin")
	if d.serves(ctx, law.TrafficSplits()) {
		named("apps", "deployments", smiNamespace, smiDeployment, "the SMI adaptor")
	}
	switch {
	case d.t.Selector != "":
		need("list", "", "pods", from, "the source pod")
	case d.t.fromKind == "pod":
		need("get", "", "pods", from, "the source pod")
	case d.t.fromKind != "":
		need("get", "apps", d.t.fromKind+"s", from, "the source pod's workload")
		need("list", "", "pods", from, "the source pod")
	}
	if d.t.fromKind != "" || d.t.Selector != "" {
		add("get", "", "nodes", "", "the platform of the source pod")
		out = append(out, execAccess(from)...)
	}
	return out
}

// remoteAccess is what it reads in the cluster behind a mirror.
func remoteAccess(cluster string, namespaces []string, profiles, policies bool) []law.Access {
	var out []law.Access
	add := func(verb, group, resource, namespace, why string) {
		out = append(out, law.Access{Cluster: cluster, Verb: verb, Group: group, Resource: resource, Namespace: namespace, Optional: true, For: why})
	}
	for _, ns := range namespaces {
		add("get", "", "services", ns, "the Service behind a mirror")
		add("list", "discovery.k8s.io", "endpointslices", ns, "its endpoints")
		add("list", "", "pods", ns, "its pods")
		if profiles {
			add("list", law.ServiceProfiles().Group, law.ServiceProfiles().Plural, ns, "whether that cluster splits the Service again")
		}
	}
	if policies {
		for _, ns := range append(slices.Clone(namespaces), linkNamespace) {
			for _, k := range policyKinds() {
				add("list", k.Group, k.Plural, ns, "whom the proxies there let in")
			}
		}
	}
	add("get", "", "services", linkNamespace, "the gateway")
	out[len(out)-1].Name = gatewayService
	add("list", "discovery.k8s.io", "endpointslices", linkNamespace, "whether the gateway is ready")
	add("list", "", "pods", linkNamespace, "the gateway's pods")
	add("get", "", "configmaps", controlNamespace, "trust anchors of Linkerd")
	out[len(out)-1].Name = anchorsConfigMap
	return out
}

// reviewRemote asks what reading the target cluster needs.
func (d *finder) reviewRemote(ctx context.Context, cluster string, c Client) {
	if d.t.SplitOnly {
		return
	}
	var namespaces []string
	for _, b := range d.snap.Backends {
		if b.Mirror == nil || b.Mirror.Cluster != cluster {
			continue
		}
		if ns, _, _ := strings.Cut(b.Mirror.Remote, "/"); ns != "" && !slices.Contains(namespaces, ns) {
			namespaces = append(namespaces, ns)
		}
	}
	if len(namespaces) == 0 {
		return
	}
	groups, err := c.groups(ctx)
	profiles := err == nil && len(law.ServiceProfiles().ServedBy(groups)) > 0
	got, err := Review(ctx, c, remoteAccess(cluster, namespaces, profiles, err == nil && len(policyServers().ServedBy(groups)) > 0))
	if err != nil {
		d.note("permissions in cluster %s could not be asked for: %s", untrusted.Safe(cluster), brief(err))
		return
	}
	d.snap.Access = append(d.snap.Access, got...)
}

// accessStep asks what the discovery and a run need, before anything is read: what is refused later was then foretold.
func (d *finder) accessStep(ctx context.Context) error {
	var err error
	if d.groups, err = d.local.groups(ctx); err != nil {
		return apiError(d.local, "list", "API groups", err)
	}
	wanted := law.Once(d.localAccess(ctx))
	if d.t.SplitOnly {
		wanted = execAccess(d.t.FromNamespace)
	}
	got, err := Review(ctx, d.local, wanted)
	if err != nil {
		d.note("permissions could not be asked for: %s", brief(err))
		return nil
	}
	d.snap.Access = append(d.snap.Access, got...)
	return nil
}
