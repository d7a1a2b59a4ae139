package law

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Ref is one thing that a verdict rests on: an object by its name, or the EndpointSlices of a Service.
type Ref struct {
	Cluster   string `json:"cluster"` // Role in Snapshot.Clusters: RoleClient, or the remote cluster's name
	Group     string `json:"group"`
	Version   string `json:"version"`
	Resource  string `json:"resource"` // plural, e.g. "trafficsplits"
	Namespace string `json:"namespace"`
	Name      string `json:"name"` // of the object; of EndpointSlices: of their Service
	What      string `json:"what"` // as a sentence names it, e.g. "TrafficSplit test/podinfo"
	Law       bool   `json:"law"`  // the weights that proxies obey are read from it
}

// RoleClient is the role of the cluster that the client is in.
const RoleClient = "client"

// Refs are the objects whose change during a run takes away what its verdict rests on: those that say the weights, the
// Services, where the backends' endpoints are, and the pods that draw. An object that is not there is named too, where
// its coming would change the weights.
func (s Snapshot) Refs() []Ref {
	var out []Ref
	seen := map[string]bool{}
	add := func(r Ref) {
		r.Cluster = RoleClient
		if key := r.Group + "/" + r.Resource + "/" + r.Namespace + "/" + r.Name; r.Name != "" && !seen[key] {
			seen[key] = true
			out = append(out, r)
		}
	}
	for _, r := range s.lawRefs() {
		r.Law = true
		add(r)
	}
	core := func(resource, kind, namespace, name string) {
		what := kind + " " + namespace + "/" + name
		add(Ref{Version: "v1", Resource: resource, Namespace: namespace, Name: name, What: what})
	}
	service := func(v Service) {
		if v.Found {
			core("services", "Service", v.Namespace, v.Name)
		}
	}
	core("pods", "pod", s.Source.Namespace, s.Source.Name)
	service(s.Root)
	for _, b := range s.Backends {
		service(b.Service)
		r := Ref{Namespace: b.Service.Namespace, Name: b.Service.Name, What: "endpoints of backend " + b.Name}
		switch {
		case !b.Service.Found || b.Unread != "":
			continue
		case b.Mirror != nil: // what the service mirror writes; slices are a copy that may lag
			r.Version, r.Resource = "v1", "endpoints"
		default:
			r.Group, r.Version, r.Resource = "discovery.k8s.io", "v1", "endpointslices"
		}
		add(r)
	}
	for _, p := range s.Through.pods() {
		core("pods", "pod", p.Namespace, p.Name)
	}
	return out
}

// lawRefs are the objects that say the weights.
func (s Snapshot) lawRefs() []Ref {
	var out []Ref
	object := func(o ObjectRef) {
		gv, err := schema.ParseGroupVersion(o.APIVersion)
		if err != nil || o.Kind == "" {
			return
		}
		out = append(out, Ref{
			Group: gv.Group, Version: gv.Version, Resource: strings.ToLower(o.Kind) + "s", // holds for every kind of law
			Namespace: o.Namespace, Name: o.Name, What: o.String(),
		})
	}
	for _, o := range s.Law.Objects {
		object(o)
	}
	if s.Split.Found {
		object(s.Split.Object())
	}
	if s.Split.Profile.State == ProfileAbsent { // it would be obeyed from the moment it is there
		object(ObjectRef{
			APIVersion: ServiceProfiles().Group + "/" + ServiceProfiles().Versions[0], Kind: string(PathServiceProfile),
			Namespace: s.Split.Namespace, Name: s.Split.Root + "." + s.Split.Namespace + ".svc.cluster.local",
		})
	}
	return out
}

// WeightsText tells the weights of an object that is read for them, for the sentence about its change.
func (r Ref) WeightsText(u *unstructured.Unstructured) string {
	list, name := "backends", "service"
	switch r.Resource {
	case TrafficSplits().Plural:
	case ServiceProfiles().Plural:
		list, name = "dstOverrides", "authority"
	default:
		return untrusted.Cut(ruleText(u), 300)
	}
	_, declared, _ := readLeaves(u, r.What, list, name)
	if len(declared) == 0 {
		return ""
	}
	return "(" + untrusted.Short(lawTextOf(declared), 300) + ")"
}
