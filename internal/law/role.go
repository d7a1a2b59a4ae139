package law

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Subject is who a role is bound to.
type Subject struct {
	Kind      string // "ServiceAccount", "User" or "Group"
	Namespace string // of a ServiceAccount
	Name      string
}

// maxSubject bounds the name of a user or a group.
const maxSubject = 253

// RoleYAML is roles and bindings that grant the accesses, ready to apply: a Role for each namespace, a ClusterRole for
// what has none, each bound to the subject. Optional accesses say so in a comment; without optional they are left out.
func RoleYAML(name string, accesses []Access, to Subject, optional bool) (string, error) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 || to.Name == "" || len(to.Name) > maxSubject ||
		untrusted.Safe(to.Name) != to.Name {
		return "", fmt.Errorf("%q: not a name that can be bound", untrusted.Safe(to.Name))
	}
	var docs []string
	if to.Kind == "ServiceAccount" {
		docs = append(docs, fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s, namespace: %s}\n",
			to.Name, to.Namespace))
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
				b.WriteString(a.Rule())
			}
		}
		docs = append(docs, b.String(), fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\nmetadata: "+
			"%s\n"+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects: "+
			"[%s]\n", kind, meta, kind, name, to.yaml()))
	}
	return strings.Join(docs, "---\n"), nil
}

func (s Subject) yaml() string {
	if s.Kind == "ServiceAccount" {
		return fmt.Sprintf("{kind: ServiceAccount, name: %s, namespace: %s}", s.Name, s.Namespace)
	}
	return fmt.Sprintf("{kind: %s, name: %q, apiGroup: rbac.authorization.k8s.io}", s.Kind, s.Name)
}

// Rule is the access as a rule of a role by itself, on one line, so that it can be taken out alone.
func (a Access) Rule() string {
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
	return fmt.Sprintf("- {apiGroups: [%q], resources: [%q]%s, verbs: [%q]} # %s%s\n", a.Group, resource, names, a.Verb,
		mark, a.For)
}

// ViewRoleYAML is a ClusterRole that lets the role view read splits too, which none of the kinds' makers ships.
func ViewRoleYAML() string {
	var b strings.Builder
	b.WriteString("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: splitbench-view\n" +
		"  labels:\n" +
		"    rbac.authorization.k8s.io/aggregate-to-view: \"true\"\nrules:\n")
	resources := []Resource{ServiceProfiles(), Links()}
	for _, k := range Kinds() {
		resources = slices.Concat(resources, k.Resources, k.Beside)
	}
	groups := map[string][]string{}
	var order []string
	for _, r := range resources {
		if groups[r.Group] == nil {
			order = append(order, r.Group)
		}
		groups[r.Group] = append(groups[r.Group], r.Plural)
	}
	for _, g := range order {
		fmt.Fprintf(&b, "- {apiGroups: [%q], resources: [%s], verbs: [get, list, watch]}\n", g, strings.Join(groups[g], ", "))
	}
	return b.String()
}

// Access is one permission and whether the API server grants it to this user.
type Access struct {
	Cluster     string `json:"cluster"` // role, as Cluster has it; "": the client's
	Verb        string `json:"verb"`
	Group       string `json:"group"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource"`
	Namespace   string `json:"namespace"` // "": all namespaces, or a resource that has none
	Name        string `json:"name"`      // "": every object of the resource
	Optional    bool   `json:"optional"`  // without it something is unknown, and nothing else is amiss
	For         string `json:"for"`       // what it is needed for

	Allowed bool   `json:"allowed"`
	Reason  string `json:"reason"` // of the authorizer; often empty
}

// What is the resource as kubectl writes it: "pods/exec", "deployments.apps".
func (a Access) What() string {
	s := a.Resource
	if a.Group != "" {
		s += "." + a.Group
	}
	if a.Subresource != "" {
		s += "/" + a.Subresource
	}
	return s
}

// Everywhere turns what is needed in one namespace into what the same needs in all of them.
func Everywhere(all []Access, namespace string) []Access {
	out := slices.Clone(all)
	for i, a := range out {
		switch {
		case a.Namespace == namespace:
			out[i].Namespace = ""
		case a.Namespace == "" && a.Resource == "namespaces":
			out[i].Name = ""
		}
	}
	return slices.DeleteFunc(Once(out), func(a Access) bool {
		all := a
		all.Namespace, all.Name = "", ""
		return a.Namespace != "" && slices.ContainsFunc(out, func(b Access) bool { return b.key() == all.key() })
	})
}

// key is an access without what it is for and whether it is granted.
func (a Access) key() Access {
	a.Optional, a.For, a.Allowed, a.Reason = false, "", false, ""
	return a
}

// Once joins accesses that are needed for several things: required for one, it is required.
func Once(all []Access) []Access {
	var out []Access
	at := map[Access]int{}
	for _, a := range all {
		i, ok := at[a.key()]
		if !ok {
			at[a.key()] = len(out)
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
