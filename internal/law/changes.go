package law

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Change is one thing that a verdict rests on and that two Snapshots tell differently.
type Change struct{ What, Before, After string }

// String is the change as a sentence's part: "effective weights: podinfo=50 -> podinfo=90".
func (c Change) String() string { return c.What + ": " + c.Before + " -> " + c.After }

// Changes compares what a verdict rests on: the split and the weights that proxies obey, the pods that draw and their
// proxies, the Services of the backends and where mirrors lead. Pods of ordinary backends may come and go without a
// change: the weights are of Services. They count where the last ready one goes or the first one comes, because proxies
// then give the backend's share to the others.
func Changes(before, after Snapshot) []Change {
	var out []Change
	add := func(what, a, b string) {
		if a != b {
			out = append(out, Change{What: what, Before: OrNone(a), After: OrNone(b)})
		}
	}
	if before.Split.Found && !after.Split.Found {
		out = append(out, Change{What: before.Split.String(), Before: "there", After: "deleted"})
	} else {
		add("split UID", before.Split.UID, after.Split.UID)
	}
	add("root Service", before.Split.Root, after.Split.Root)
	if !sameLaw(before.Split.Effective, after.Split.Effective) {
		add("effective weights", before.Split.Effective.String(), after.Split.Effective.String())
	}
	add("object that weights are read from", before.Split.EffectiveFrom, after.Split.EffectiveFrom)
	changesOfLaw(add, before, after)
	// A change that was taken back leaves the same weights, and requests in between that were drawn by others.
	b, a := before.Split, after.Split
	if b.UID == a.UID {
		add("split object", Written(b.Generation, b.ResourceVersion), Written(a.Generation, a.ResourceVersion))
	}
	if b.Profile.UID == a.Profile.UID {
		add("ServiceProfile", Written(b.Profile.Generation, b.Profile.ResourceVersion),
			Written(a.Profile.Generation, a.Profile.ResourceVersion))
	} else if b.EffectiveFrom == a.EffectiveFrom { // else it was said above
		add("ServiceProfile", b.Profile.UID, a.Profile.UID)
	}
	add("Service "+before.Root.Name, before.Root.Identity(), after.Root.Identity())
	changesOfPod(add, "source pod", before.Source, after.Source)
	others := by(func(p Pod) string { return p.Name }, after.Others)
	for _, p := range before.Others {
		changesOfPod(add, "source pod", p, others[p.Name])
	}
	changesOfThrough(add, before.Through, after.Through)

	name := func(b Backend) string { return b.Name }
	old, now := by(name, before.Backends), by(name, after.Backends)
	for _, b := range before.Backends {
		add("Service of backend "+b.Name, b.Service.Identity(), now[b.Name].Service.Identity())
		add("endpoints of backend "+b.Name, where(b), where(now[b.Name]))
		if m, n := b.Mirror, now[b.Name].Mirror; m != nil && n != nil {
			add("pods of backend "+b.Name+" in cluster "+m.Cluster, behind(m), behind(n))
		}
	}
	for _, b := range after.Backends {
		if _, ok := old[b.Name]; !ok {
			add("Service of backend "+b.Name, "", b.Service.Identity())
		}
	}
	return out
}

// Written says how often an object was written: by its generation, or where the server keeps none by its version.
func Written(generation int64, resourceVersion string) string {
	if generation > 0 {
		return fmt.Sprintf("generation %d", generation)
	}
	if resourceVersion == "" {
		return ""
	}
	return "version " + resourceVersion
}

// OrNone is s, or "none" for nothing.
func OrNone(s string) string { return cmp.Or(s, "none") }

// Identity is the Service as far as its clients notice; "" where it is not there.
func (s Service) Identity() string {
	if !s.Found {
		return ""
	}
	return strings.TrimSpace(s.UID + " " + s.ClusterIP)
}

func changesOfPod(add func(what, a, b string), what string, before, after Pod) {
	add(what, podText(before), podText(after))
	if before.UID != after.UID {
		return
	}
	add(ProxyOf(before), before.ProxyState(), after.ProxyState())
}

// ProxyOf is what changes of a pod's proxy are called.
func ProxyOf(p Pod) string { return "proxy of " + p.Name }

func podText(p Pod) string { return strings.TrimSpace(p.Name + " " + p.UID) }

// ProxyState says how often the pod's proxy was started, and when; "" where it has none.
func (p Pod) ProxyState() string {
	if !p.Meshed {
		return ""
	}
	started := "not running"
	if !p.ProxyStartedAt.IsZero() {
		started = "started " + p.ProxyStartedAt.Format(time.RFC3339)
	}
	return fmt.Sprintf("%d restarts, %s", p.ProxyRestarts, started)
}

func changesOfThrough(add func(what, a, b string), before, after *Through) {
	uid := func(p Pod) string { return p.UID }
	old, now := by(uid, before.pods()), by(uid, after.pods())
	all := maps.Clone(old)
	maps.Copy(all, now)
	for _, uid := range slices.Sorted(maps.Keys(all)) {
		changesOfPod(add, "pod that draws", old[uid], now[uid])
	}
}

func (t *Through) pods() []Pod {
	if t == nil {
		return nil
	}
	return t.Pods
}

// by is a list by a key of its entries.
func by[T any](key func(T) string, list []T) map[string]T {
	out := map[string]T{}
	for _, x := range list {
		out[key(x)] = x
	}
	return out
}

// where is the endpoints as far as a change of them changes the split. What could be read once and not again has
// changed: that it stayed the same was not seen.
func where(b Backend) string {
	if b.Name == "" || !b.Service.Found {
		return ""
	}
	switch {
	case b.Unread != "":
		return "not read"
	case b.Mirror == nil:
		return SomeReady(b.Ready())
	}
	var parts []string
	for _, e := range b.Endpoints {
		state := ""
		if !e.Ready {
			state = " not ready"
		}
		parts = append(parts, fmt.Sprintf("%s:%d%s", e.Address, e.Port, state))
	}
	return strings.Join(parts, ", ")
}

// behind is whether a mirror has pods that answer, as its own cluster tells it.
func behind(m *Mirror) string {
	switch {
	case m.Context == "":
		return ""
	case m.RemoteUnread != "":
		return "not read"
	}
	return SomeReady(m.RemoteReady)
}

// SomeReady says whether any of n endpoints is ready.
func SomeReady(n int) string {
	if n > 0 {
		return "some ready"
	}
	return "none ready"
}

// changesOfLaw compares which object rules by which of its rules, and how often the others of the law were written.
func changesOfLaw(add func(what, a, b string), before, after Snapshot) {
	line := func(l Law) string {
		return strings.Join(strings.Fields(string(l.Provider)+" "+string(l.Path)+" "+l.Rule+" "+string(l.NullModel)), " ")
	}
	if before.Split.EffectiveFrom == after.Split.EffectiveFrom { // else it was said already
		add("law", line(before.Law), line(after.Law))
	}
	split := before.Split.ObjectRef
	for _, a := range before.Law.Objects {
		if a.Is(split) || a.Kind == string(PathServiceProfile) || a.Kind == string(PathTrafficSplit) {
			continue // compared as the split object, or as its profile
		}
		for _, b := range after.Law.Objects {
			if a.Is(b) && a.UID == b.UID {
				add(a.String(), Written(a.Generation, a.ResourceVersion), Written(b.Generation, b.ResourceVersion))
			}
		}
	}
}

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
		object(s.Split.ObjectRef)
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
