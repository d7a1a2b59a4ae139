package law

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

// Once joins accesses that are needed for several things: required for one, it is required.
func Once(all []Access) []Access {
	var out []Access
	at := map[Access]int{}
	for _, a := range all {
		key := Access{
			Cluster: a.Cluster, Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource,
			Namespace: a.Namespace, Name: a.Name,
		}
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
