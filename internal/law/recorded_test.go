package law_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/linkerd/linkerd2-proxy-api/go/meta"
	"github.com/linkerd/linkerd2-proxy-api/go/outbound"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/told"
	"github.com/splitbench/splitbench/test/recorded"
)

var recordings = flag.String("recordings", "", "a file of further recordings of the form of test/recorded/linkerd.json, "+
	"to be compared in place of it")

// The root Service that all situations ask about.
const rootNS, rootName = "law", "podinfo"

// TestRecorded holds the law that is worked out from objects to what a real control plane told a proxy about them, for a
// GET / or, where the port is gRPC's alone, a gRPC call.
func TestRecorded(t *testing.T) {
	all, err := recorded.Linkerd()
	if *recordings != "" {
		all, err = recorded.Read(*recordings)
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%d recordings: %v", len(all), err)
	}
	differ := 0
	for _, s := range all {
		q := law.Question{
			Root: law.Service{Namespace: rootNS, Name: rootName}, Port: s.Port, Probe: law.Probe{Host: rootName},
		}
		if s.Policy.GetProtocol().GetGrpc() != nil {
			q.Probe.Method, q.Probe.Path = "POST", "/grpc.health.v1.Health/Check"
		}
		want, err := told.Linkerd{Profile: s.Profile, Policy: s.Policy}.Law(q)
		if err != nil {
			t.Errorf("%s: what was told: %v", s.ID, err)
			differ++
			continue
		}
		got := workedOut(t, s, q.Probe)
		if got.Same(want, s.Port) {
			continue
		}
		differ++
		t.Errorf("%s: told %s; worked out %s", s.ID, lawText(want, s.Port), lawText(got, s.Port))
	}
	t.Logf("%d of %d situations differ", differ, len(all))
}

// workedOut is the law that comes of the situation's objects for a request by a pod of the client's namespace.
func workedOut(t *testing.T, r recorded.Situation, probe law.Probe) law.Law {
	t.Helper()
	c := law.Case{
		Namespace: rootNS, ClientNamespace: r.ClientNamespace, Name: rootName, Port: r.Port, Probe: probe,
		Ports: map[string]int32{}, Services: map[string]law.Service{},
		Source: law.Pod{Namespace: r.ClientNamespace, Meshed: true, ProxyContainer: "linkerd-proxy"},
	}
	elsewhere := map[string]law.Service{}
	for _, o := range r.Services {
		if s := serviceOf(o.Object); s.Namespace == rootNS {
			c.Services[s.Name] = s
		} else {
			elsewhere[s.Name+"."+s.Namespace] = s
		}
	}
	byKind := map[law.Path][]unstructured.Unstructured{}
	age := ages(r.Policy)
	for _, u := range r.Objects {
		if u.GetKind() == string(law.PathServiceProfile) || !stored(t, r, &u) {
			continue
		}
		u.SetCreationTimestamp(metav1.NewTime(time.Unix(1<<30+age[routeName(&u)], 0)))
		byKind[law.Path(u.GetKind())] = append(byKind[law.Path(u.GetKind())], u)
	}
	for _, k := range law.Kinds() {
		c.Objects.Add(k, byKind[k.Path])
	}
	c.Objects.Profiles = profilesOf(t, r)
	if err := c.Pick(); err != nil { // several TrafficSplits of one root: whichever is asked about, the profile rules
		c.Kind, c.Name = law.PathTrafficSplit, byKind[law.PathTrafficSplit][0].GetName()
		if err := c.Pick(); err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
	}
	c.Root, c.DialPort, c.Elsewhere = c.Services[rootName], r.Port, map[string]law.Service{}
	for _, name := range c.Foreign() {
		c.Elsewhere[name] = elsewhere[name] // not found where it is not there
	}
	c.Decide()
	return c.Law
}

// ages are creation times of routes, which recordings lack: one second for all, unless the control plane, which tells
// routes by age and then by name, told them in another order than that of their names.
func ages(policy *outbound.OutboundPolicy) map[string]int64 {
	p := policy.GetProtocol()
	told := slices.Concat(names(p.GetDetect().GetHttp1().GetRoutes()), names(p.GetHttp1().GetRoutes()),
		names(p.GetHttp2().GetRoutes()), names(p.GetGrpc().GetRoutes()), names(p.GetTls().GetRoutes()),
		names(p.GetOpaque().GetRoutes()))
	if slices.IsSortedFunc(told, func(a, b string) int { return cmp.Or(strings.Compare(path.Base(a), path.Base(b)), -1) }) {
		return nil
	}
	out := map[string]int64{}
	for i, name := range told {
		out[name] = int64(i)
	}
	return out
}

func names[R interface{ GetMetadata() *meta.Metadata }](routes []R) []string {
	var out []string
	for _, r := range routes {
		if at := r.GetMetadata().GetResource(); at != nil {
			out = append(out, at.GetGroup()+"/"+at.GetNamespace()+"/"+at.GetName())
		}
	}
	return out
}

// routeName is a route's group, namespace and name.
func routeName(u *unstructured.Unstructured) string {
	group, _, _ := strings.Cut(u.GetAPIVersion(), "/")
	return group + "/" + u.GetNamespace() + "/" + u.GetName()
}

// stored reports whether the API server took the object, and gives a route the status that was written.
func stored(t *testing.T, r recorded.Situation, u *unstructured.Unstructured) bool {
	t.Helper()
	if !strings.HasSuffix(u.GetKind(), "Route") {
		return !slices.ContainsFunc(r.Refused, func(s string) bool {
			return strings.Contains(s, u.GetKind()) && strings.Contains(s, strconv.Quote(u.GetName()))
		})
	}
	group, at, _ := strings.Cut(routeName(u), "/")
	raw, ok := r.Status[strings.ToLower(u.GetKind())+"s."+group+"/"+at]
	if !ok {
		return len(r.Refused) == 0
	}
	var said []struct {
		Parent     map[string]any       `json:"parent"`
		Conditions map[string][2]string `json:"conditions"` // status and reason, by type
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		t.Fatalf("%s: status: %v", r.ID, err)
	}
	var parents []any
	for _, p := range said {
		var conditions []any
		for kind, is := range p.Conditions {
			conditions = append(conditions, map[string]any{"type": kind, "status": is[0], "reason": is[1]})
		}
		parents = append(parents, map[string]any{
			"controllerName": "linkerd.io/policy-controller", "parentRef": p.Parent, "conditions": conditions,
		})
	}
	u.Object["status"] = map[string]any{"parents": parents}
	return true
}

// profilesOf are the ServiceProfiles: those of the root's namespace as they were in the end, which recordings keep
// without their names, in the order of their names; others as they were applied.
func profilesOf(t *testing.T, r recorded.Situation) []unstructured.Unstructured {
	t.Helper()
	const domain = ".svc.cluster.local"
	var all []unstructured.Unstructured
	kept := []string{}
	for _, u := range r.Objects {
		switch {
		case !stored(t, r, &u):
		case u.GetKind() == string(law.PathTrafficSplit):
			kept = append(kept, law.RootOf(&u)+"."+u.GetNamespace()+domain)
		case u.GetKind() == string(law.PathServiceProfile) && u.GetNamespace() == rootNS:
			kept = append(kept, u.GetName())
		case u.GetKind() == string(law.PathServiceProfile):
			all = append(all, u)
		}
	}
	slices.Sort(kept)
	kept = slices.Compact(kept)
	if len(kept) != len(r.ServiceProfiles) {
		kept = []string{rootName + "." + rootNS + domain}
	}
	for i, spec := range r.ServiceProfiles[:min(len(kept), len(r.ServiceProfiles))] {
		all = append(all, unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "linkerd.io/v1alpha2", "kind": "ServiceProfile", "spec": spec,
			"metadata": map[string]any{"namespace": rootNS, "name": kept[i]},
		}})
	}
	return all
}

// serviceOf reads a Service as internal/mesh does.
func serviceOf(o map[string]any) law.Service {
	u := unstructured.Unstructured{Object: o}
	s := law.Service{Namespace: u.GetNamespace(), Name: u.GetName(), Found: true, Settings: u.GetAnnotations()}
	s.OpaquePorts, s.OpaquePortsSet, _ = unstructured.NestedString(o, "metadata", "annotations", law.AnnOpaquePorts)
	s.ClusterIP, _, _ = unstructured.NestedString(o, "spec", "clusterIP")
	s.Headless = s.ClusterIP == "None"
	s.ExternalName, _, _ = unstructured.NestedString(o, "spec", "externalName")
	raw, _, _ := unstructured.NestedFieldNoCopy(o, "spec", "ports")
	var ports []struct {
		law.Port
		Protocol string
	}
	if err := law.Decode(raw, &ports); err != nil {
		panic(err)
	}
	for _, p := range ports {
		if p.Protocol == "" || p.Protocol == "TCP" {
			s.Ports = append(s.Ports, p.Port)
		}
	}
	return s
}

// lawText is what matters of a law on one line.
func lawText(l law.Law, port int32) string {
	text := []string{string(l.Path)}
	for _, o := range l.Objects[:min(1, len(l.Objects))] {
		text = append(text, o.Group()+"/"+o.Namespace+"/"+o.Name)
	}
	text = append(text, string(l.NullModel))
	for _, b := range l.Backends {
		name := fmt.Sprintf("%s/%s:%d", b.Namespace, b.Service, cmp.Or(b.Port, port))
		if b.ProxyStatus != 0 {
			name = fmt.Sprint(b.ProxyStatus)
		}
		text = append(text, fmt.Sprintf("%s=%.6g", name, b.Probability))
	}
	return strings.Join(append(text, l.Problem), " ")
}
