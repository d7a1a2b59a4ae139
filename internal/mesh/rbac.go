package mesh

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/discovery"
)

// serves reports whether the client's cluster serves a kind. A group is served for one of its kinds as much as for all, and a
// rule for a kind that is not there would be one too many; so groups of several kinds are asked which they have. Where a
// server does not tell, the kind is taken to be served: reading it then says.
func (d *finder) serves(ctx context.Context, k customKind) bool {
	versions := k.servedBy(d.groups)
	if len(versions) == 0 || d.groups == nil || d.local.kube == nil {
		return len(versions) > 0
	}
	if k.group != "gateway.networking.k8s.io" && k.group != policyGroup {
		return true
	}
	for _, v := range versions {
		names, err := d.local.resources(ctx, k.group+"/"+v)
		if err != nil || slices.Contains(names, k.plural) {
			return true
		}
	}
	return false
}

// resources names what a version of a group serves.
func (c Client) resources(ctx context.Context, groupVersion string) ([]string, error) {
	return remember(c.memo, "resources "+groupVersion, func() ([]string, error) {
		l, err := discovery.ToDiscoveryInterfaceWithContext(c.kube.Discovery()).ServerResourcesForGroupVersionWithContext(ctx, groupVersion)
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
func Missing(ctx context.Context, c Client, accesses []Access) []string {
	there, err := Namespaces(ctx, c)
	if err != nil || len(there) >= pageSize {
		return nil
	}
	var out []string
	for _, a := range accesses {
		if a.Namespace != "" && !slices.Contains(there, a.Namespace) && !slices.Contains(out, a.Namespace) {
			out = append(out, a.Namespace)
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

// Needs lists what a command needs of the client's cluster, or with remote of one that a mirror leads to: each with what it
// is for, and whether the command works without it. It is the list that a discovery asks the API server about. A cluster is
// asked only which kinds it serves; nil: all kinds are taken to be there.
func Needs(ctx context.Context, c *Client, command string, q Query, remote bool) ([]Access, error) {
	t, err := q.parse()
	if err != nil {
		return nil, err
	}
	d := &finder{t: t}
	if c != nil {
		d.local = c.remembered()
		if d.groups, err = d.local.groups(ctx); err != nil {
			return nil, apiError(*c, "list", "API groups", err)
		}
	}
	if remote {
		if command == CommandConvert || command == CommandPlan {
			return nil, nil
		}
		return remoteAccess("", []string{t.Namespace}, d.serves(ctx, serviceProfiles()), d.serves(ctx, policyServers())), nil
	}
	all := once(d.localAccess(ctx))
	switch command {
	case CommandConvert:
		return slices.DeleteFunc(all, func(a Access) bool { return a.Resource != "trafficsplits" && (a.Resource != "services" || a.Optional) }), nil
	case CommandPlan:
		return slices.DeleteFunc(all, func(a Access) bool { return !saysTheLaw(a) && (a.Optional || a.Subresource != "") }), nil
	case CommandCheck: // that a run may be started is one of its checks
		return all, nil
	case CommandRun:
		if t.fromKind != "" || t.Selector != "" { // the second look is at the pod that was found
			all = once(append(all, Access{Verb: "get", Resource: "pods", Namespace: t.FromNamespace, For: "whether the source pod is the same after the run"}))
		}
		return append(all, d.watchAccess(all)...), nil
	}
	return nil, fmt.Errorf("rbac %q: no command that reads a cluster", command)
}

// once joins accesses that are needed for several things: required for one, it is required.
func once(all []Access) []Access {
	var out []Access
	at := map[Access]int{}
	for _, a := range all {
		key := Access{Cluster: a.Cluster, Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace, Name: a.Name}
		i, ok := at[key]
		if !ok {
			at[key] = len(out)
			out = append(out, a)
			continue
		}
		out[i].Optional = out[i].Optional && a.Optional
		if out[i].For != a.For {
			out[i].For += ", " + a.For
		}
	}
	return out
}

// saysTheLaw reports an access to objects that may rule.
func saysTheLaw(a Access) bool {
	switch a.Group {
	case "split.smi-spec.io", "linkerd.io", "gateway.networking.k8s.io", policyGroup, "networking.istio.io", "traefik.io", "traefik.containo.us":
		return a.Subresource == ""
	}
	return false
}

// watchAccess is what a run watches while it sends: the objects that its verdict rests on. Where that is refused it reads them
// once a second, for which it needs to get them.
func (d *finder) watchAccess(read []Access) []Access {
	var out []Access
	seen := map[string]bool{}
	for _, a := range read {
		watched := saysTheLaw(a) || a.Subresource == "" && a.Name == "" && slices.Contains([]string{"services", "pods", "endpoints", "endpointslices"}, a.Resource)
		key := a.Namespace + "/" + a.What()
		if !watched || a.Namespace == "" || seen[key] || saysTheLaw(a) && !d.mayRule(a) {
			continue
		}
		seen[key] = true
		out = append(out, Access{
			Verb: "watch", Group: a.Group, Resource: a.Resource, Namespace: a.Namespace, Optional: true, For: "seeing at once that it changes during the run",
		})
	}
	return out
}

// mayRule reports whether objects of the kind are watched: the split that was named, and the profile that may take its place.
func (d *finder) mayRule(a Access) bool {
	switch kind := d.t.splitKind; {
	case kind == "", a.Resource == serviceProfiles().plural:
		return true
	default:
		return a.Resource == strings.ToLower(string(kind))+"s"
	}
}

// Subject is who a role is bound to.
type Subject struct {
	Kind      string // "ServiceAccount", "User" or "Group"
	Namespace string // of a ServiceAccount
	Name      string
}

// maxSubject bounds the name of a user or a group.
const maxSubject = 253

// RoleYAML is roles and bindings that grant the accesses, ready to apply: a Role for each namespace, a ClusterRole for what has
// none, each bound to the subject. Optional accesses say so in a comment; without optional they are left out.
func RoleYAML(name string, accesses []Access, to Subject, optional bool) (string, error) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 || to.Name == "" || len(to.Name) > maxSubject || Safe(to.Name) != to.Name {
		return "", fmt.Errorf("%q: not a name that can be bound", Safe(to.Name))
	}
	var docs []string
	if to.Kind == "ServiceAccount" {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n", to.Name, to.Namespace))
	}
	var namespaces []string
	for _, a := range accesses {
		if (optional || !a.Optional) && !slices.Contains(namespaces, a.Namespace) {
			namespaces = append(namespaces, a.Namespace)
		}
	}
	slices.Sort(namespaces)
	for _, ns := range namespaces {
		kind, meta := "Role", fmt.Sprintf("{name: %s, namespace: %s}", name, ns)
		if ns == "" {
			kind, meta = "ClusterRole", fmt.Sprintf("{name: %s}", name)
		}
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: %s\nrules:\n", kind, meta)
		for _, a := range accesses {
			if a.Namespace == ns && (optional || !a.Optional) {
				b.WriteString(ruleLine(a))
			}
		}
		docs = append(docs, b.String(), fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\nmetadata: %s\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects: [%s]\n", kind, meta, kind, name, to.yaml()))
	}
	return strings.Join(docs, "---\n"), nil
}

func (s Subject) yaml() string {
	if s.Kind == "ServiceAccount" {
		return fmt.Sprintf("{kind: ServiceAccount, name: %s, namespace: %s}", s.Name, s.Namespace)
	}
	return fmt.Sprintf("{kind: %s, name: %q, apiGroup: rbac.authorization.k8s.io}", s.Kind, s.Name)
}

// ruleLine is one access as a rule of its own, so that it can be taken out alone.
func ruleLine(a Access) string {
	resource, names, mark := a.Resource, "", ""
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	if a.Name != "" {
		names = fmt.Sprintf(", resourceNames: [%q]", a.Name)
	}
	if a.Optional {
		mark = "optional: "
	}
	return fmt.Sprintf("- {apiGroups: [%q], resources: [%q]%s, verbs: [%q]} # %s%s\n", a.Group, resource, names, a.Verb, mark, a.For)
}

// ViewRoleYAML is a ClusterRole that lets whoever has the role view read splits too, which none of the kinds' makers ships.
func ViewRoleYAML() string {
	var b strings.Builder
	b.WriteString("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: splitbench-view\n  labels:\n" +
		"    rbac.authorization.k8s.io/aggregate-to-view: \"true\"\nrules:\n")
	groups := map[string][]string{}
	var order []string
	kinds := slices.Concat([]customKind{trafficSplits(), serviceProfiles(), linkResource(), virtualServices(), destinationRules()}, routeKinds(), traefikServices())
	for _, k := range kinds {
		if groups[k.group] == nil {
			order = append(order, k.group)
		}
		groups[k.group] = append(groups[k.group], k.plural)
	}
	for _, g := range order {
		fmt.Fprintf(&b, "- {apiGroups: [%q], resources: [%s], verbs: [get, list, watch]}\n", g, strings.Join(groups[g], ", "))
	}
	return b.String()
}
