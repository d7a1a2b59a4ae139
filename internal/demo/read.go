package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
)

func (c *cluster) lookup(t target) (*unstructured.Unstructured, error) {
	o, ok := c.store.get(t.key())
	if !ok {
		return nil, apierrors.NewNotFound(t.groupResource(), t.name)
	}
	return o, nil
}

// shown returns the object in the asked version, or its scale. Nothing but apiVersion differs between versions, and the
// stored object stays as it is.
func (t target) shown(o *unstructured.Unstructured) *unstructured.Unstructured {
	if t.subresource == scaleSubresource {
		return scaleOf(o)
	}
	out := maps.Clone(o.Object)
	out["apiVersion"] = t.apiVersion(t.version)
	return &unstructured.Unstructured{Object: out}
}

// scaleOf is the scale of a Deployment or ReplicaSet.
func scaleOf(o *unstructured.Unstructured) *unstructured.Unstructured {
	replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	now, _, _ := unstructured.NestedInt64(o.Object, "status", "replicas")
	labels, _, _ := unstructured.NestedStringMap(o.Object, "spec", "selector", "matchLabels")
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v1", "kind": "Scale",
		"metadata": map[string]any{
			"name": o.GetName(), "namespace": o.GetNamespace(), "uid": string(o.GetUID()),
			"resourceVersion": o.GetResourceVersion(), "creationTimestamp": o.GetCreationTimestamp().UTC().Format(time.RFC3339),
		},
		"spec":   map[string]any{"replicas": replicas},
		"status": map[string]any{"replicas": now, "selector": k8slabels.FormatLabels(labels)},
	}}
}

func (c *cluster) serveGet(w http.ResponseWriter, r *http.Request, t target) error {
	o, err := c.lookup(t)
	if err != nil {
		return err
	}
	if wantsTable(r) {
		writeJSON(w, http.StatusOK, tableOf(t, []*unstructured.Unstructured{o}, o.GetResourceVersion()))
		return nil
	}
	writeJSON(w, http.StatusOK, t.shown(o).Object)
	return nil
}

func (c *cluster) serveList(w http.ResponseWriter, r *http.Request, t target) error {
	q := r.URL.Query()
	chosen, err := newSelection(q, t.resource)
	if err != nil {
		return err
	}
	if watch, _ := strconv.ParseBool(q.Get("watch")); watch {
		return c.serveWatch(w, r, t, chosen)
	}
	objects, rv := c.store.list(t.Name, t.namespace)
	found := objects[:0:0]
	for _, o := range objects {
		if chosen.matches(o) {
			found = append(found, o)
		}
	}
	if wantsTable(r) {
		writeJSON(w, http.StatusOK, tableOf(t, found, strconv.FormatInt(rv, 10)))
		return nil
	}
	items := []any{}
	for _, o := range found {
		items = append(items, t.shown(o).Object)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"apiVersion": t.apiVersion(t.version), "kind": t.Kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.FormatInt(rv, 10)}, "items": items,
	})
	return nil
}

// serveWatch streams changes until the client goes, the clusters close or timeoutSeconds have passed. With no
// resourceVersion, or 0, it begins with what there is; with sendInitialEvents a bookmark marks the end of that.
func (c *cluster) serveWatch(w http.ResponseWriter, r *http.Request, t target, chosen selection) error {
	q, ctx := r.URL.Query(), r.Context()
	if s, err := strconv.Atoi(q.Get("timeoutSeconds")); err == nil && s > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(s)*time.Second)
		defer cancel()
	}
	var from int64
	if text := q.Get("resourceVersion"); text != "" {
		var err error
		if from, err = strconv.ParseInt(text, 10, 64); err != nil || from < 0 {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %q", text))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out := watchWriter{w: http.NewResponseController(w), enc: json.NewEncoder(w), t: t, table: wantsTable(r)}
	initial, _ := strconv.ParseBool(q.Get("sendInitialEvents"))
	if from == 0 || initial {
		var objects []*unstructured.Unstructured
		objects, from = c.store.list(t.Name, t.namespace)
		for _, o := range objects {
			if chosen.matches(o) {
				out.send("ADDED", o)
			}
		}
		if initial {
			out.bookmark(from)
		}
	}
	for {
		out.flush()
		events, reached, next := c.store.since(from)
		from = reached
		for _, e := range events {
			if e.plural == t.Name && (t.namespace == "" || t.namespace == e.object.GetNamespace()) && chosen.matches(e.object) {
				out.send(e.kind, e.object)
			}
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		}
	}
}

// watchWriter writes one JSON document for each event. Errors are left to the request's context: it ends with the
// connection.
type watchWriter struct {
	w     *http.ResponseController
	enc   *json.Encoder
	t     target
	table bool
}

func (o watchWriter) send(kind string, object *unstructured.Unstructured) {
	var body any = o.t.shown(object).Object
	if o.table {
		body = tableOf(o.t, []*unstructured.Unstructured{object}, object.GetResourceVersion())
	}
	_ = o.enc.Encode(map[string]any{"type": kind, "object": body})
}

func (o watchWriter) bookmark(rv int64) {
	_ = o.enc.Encode(map[string]any{"type": "BOOKMARK", "object": map[string]any{
		"apiVersion": o.t.apiVersion(o.t.version), "kind": o.t.Kind,
		"metadata": map[string]any{
			"resourceVersion": strconv.FormatInt(rv, 10), "creationTimestamp": nil,
			"annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"},
		},
	}})
}

func (o watchWriter) flush() { _ = o.w.Flush() }
