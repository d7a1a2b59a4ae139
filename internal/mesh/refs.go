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

// stateOf is what a verdict rests on of the objects that a ref stands for, in words; "" where there is none. A write that
// leaves it the same, as to an object's status or to a pod's labels, is no change.
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
			return serviceState(u)
		case "pods":
			return podState(u)
		case "endpoints":
			return endpointsState(u)
		}
		return strings.TrimSpace(law.Written(u.GetGeneration(), u.GetResourceVersion()) + " " + r.WeightsText(u))
	}
	return ""
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

func serviceState(u *unstructured.Unstructured) string {
	var s core.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &s); err != nil {
		return "unreadable"
	}
	return readService(&s).Identity()
}

func podState(u *unstructured.Unstructured) string {
	var p core.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &p); err != nil {
		return "unreadable"
	}
	out := law.Pod{UID: string(p.UID)}
	readProxy(&p, &out)
	return strings.TrimSpace(out.UID + " " + out.ProxyState())
}

func endpointsState(u *unstructured.Unstructured) string {
	var e core.Endpoints //nolint:staticcheck // deprecated as it is, it is what service mirrors write
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &e); err != nil {
		return "unreadable"
	}
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
