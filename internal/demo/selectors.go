package demo

import (
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// selection is what labelSelector and fieldSelector ask for.
type selection struct {
	labels labels.Selector
	fields fields.Selector
}

// newSelection parses the selectors of a request. Fields that the resource cannot be selected by are an error, as in
// an API server: silently matching nothing, or everything, would hide a typing mistake.
func newSelection(q url.Values, r resource) (selection, error) {
	byLabel, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		return selection{}, apierrors.NewBadRequest(fmt.Sprintf("unable to parse requirement: %v", err))
	}
	byField, err := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil {
		return selection{}, apierrors.NewBadRequest(err.Error())
	}
	for _, f := range byField.Requirements() {
		if !selectable(r, f.Field) {
			return selection{}, apierrors.NewBadRequest(fmt.Sprintf(
				"Unable to find %q that match label selector %q, field selector %q: field label not supported: %s",
				r.groupResource().WithVersion(r.Versions[0]).String(), byLabel, byField, f.Field))
		}
	}
	return selection{byLabel, byField}, nil
}

func selectable(r resource, field string) bool {
	switch field {
	case "metadata.name":
		return true
	case "metadata.namespace":
		return r.Namespaced
	case "spec.nodeName", "status.phase", "status.podIP":
		return r.Kind == "Pod"
	}
	return r.Kind == "Event" // nothing is recorded, so any field of it selects nothing
}

func (s selection) matches(o *unstructured.Unstructured) bool {
	if !s.labels.Matches(labels.Set(o.GetLabels())) {
		return false
	}
	if s.fields.Empty() {
		return true
	}
	set := fields.Set{"metadata.name": o.GetName(), "metadata.namespace": o.GetNamespace()}
	for _, path := range [][]string{{"spec", "nodeName"}, {"status", "phase"}, {"status", "podIP"}} {
		value, _, _ := unstructured.NestedString(o.Object, path...)
		set[path[0]+"."+path[1]] = value
	}
	return s.fields.Matches(set)
}
