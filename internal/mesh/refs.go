package mesh

import (
	"fmt"
	"strings"

	core "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

func resourceOf(r law.Ref) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.Group, Version: r.Version, Resource: r.Resource}
}

// byLabel reports whether the ref stands for all objects that bear its Service's label.
func byLabel(r law.Ref) bool { return r.Resource == "endpointslices" }

// stateOf is what a verdict rests on of the objects that a ref stands for, in words; "" where there is none. A write
// that leaves it the same, as to an object's status or to a pod's labels, is no change.
func stateOf(r law.Ref, objects map[string]*unstructured.Unstructured) string {
	if len(objects) == 0 {
		return ""
	}
	if byLabel(r) {
		return slicesState(objects)
	}
	for _, u := range objects {
		switch r.Resource {
		case "services":
			return stateAs(u, func(s *core.Service) string { return readService(s).Identity() })
		case "pods":
			return stateAs(u, podState)
		case "endpoints":
			return stateAs(u, endpointsState)
		}
		return strings.TrimSpace(law.Written(u.GetGeneration(), u.GetResourceVersion()) + " " + r.WeightsText(u))
	}
	return ""
}

// stateAs is the state of an object of a known kind.
func stateAs[T any](u *unstructured.Unstructured, state func(*T) string) string {
	var o T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &o); err != nil {
		return "unreadable"
	}
	return state(&o)
}

func slicesState(objects map[string]*unstructured.Unstructured) string {
	ready := 0
	for _, u := range objects {
		var s discoveryv1.EndpointSlice
		if runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &s) != nil {
			continue
		}
		for _, e := range sliceEndpoints(&s, "") {
			if e.Ready {
				ready++
			}
		}
	}
	return law.SomeReady(ready)
}

func podState(pod *core.Pod) string {
	p := law.Pod{UID: string(pod.UID)}
	readProxy(pod, &p)
	return strings.TrimSpace(p.UID + " " + p.ProxyState())
}

//nolint:staticcheck // deprecated as it is, it is what service mirrors write
func endpointsState(e *core.Endpoints) string {
	var parts []string
	for _, s := range e.Subsets {
		for _, a := range s.Addresses {
			parts = append(parts, a.IP)
		}
		for _, a := range s.NotReadyAddresses {
			parts = append(parts, a.IP+" not ready")
		}
	}
	if len(parts) > maxNamed {
		parts = append(parts[:maxNamed], fmt.Sprintf("and %d more", len(parts)-maxNamed))
	}
	return untrusted.Cut(strings.Join(parts, ", "), 500)
}
