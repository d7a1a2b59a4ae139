package mesh

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/client-go/discovery"

	"github.com/splitbench/splitbench/internal/law"
)

// serves reports whether the cluster serves a kind. A group is served for one of its kinds as much as for all, and a rule
// for a kind that is not there would be one too many; so groups of several kinds are asked which they have. Where a
// server does not tell, the kind is taken to be served: reading it then says.
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

// Missing names the namespaces of the accesses that the cluster does not have: no role can be applied there. nil where
// namespaces may not be listed.
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

// mayRule reports whether objects of the kind are watched: the split that was named, and the profile that may take its
// place.
func (d *finder) mayRule(a law.Access) bool {
	named := func(r law.Resource) bool { return r.Plural == a.Resource }
	return d.t.splitKind == "" || named(law.ServiceProfiles()) ||
		slices.ContainsFunc(law.KindNamed(d.t.splitKind).Resources, named)
}
