package demo

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// loadCluster stores the fixtures of one cluster and lets its controllers make of them what they make.
func loadCluster(s site, o Options, now time.Time, writing *sync.Mutex) (*cluster, error) {
	s = s.with(o)
	c := &cluster{
		site: s, store: newStore(), token: rand.Text(), proxies: map[string]bool{}, writing: writing, types: newBuiltIn(),
	}
	c.controllers = controllers{hints: map[types.UID]fixture{}, made: map[string]int{}, start: now}
	var err error
	if c.resources, err = readResources(s); err != nil {
		return nil, err
	}
	docs, err := readDocuments("proxy.yaml", c.site)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(docs[0], &c.injected); err != nil {
		return nil, fmt.Errorf("fixture proxy.yaml: %w", err)
	}
	for _, container := range c.injected.Spec.Containers {
		c.proxies[container.Name] = true
	}
	for _, name := range []string{"common.yaml", s.Cluster + ".yaml"} {
		found, err := readFixtures(name, s)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			r, ok := c.resources.byKind(f.object.GetKind())
			if !ok {
				return nil, fmt.Errorf("fixture %s %s: not among the resources", f.object.GetKind(), f.object.GetName())
			}
			if err := stamp(f.object, s.Cluster, f.writer, now.Add(-f.age)); err != nil {
				return nil, err
			}
			c.hints[f.object.GetUID()] = f
			c.store.put(r.Name, f.object)
		}
	}
	c.control()
	c.hints = nil
	return c, nil
}

// stamp gives a new object the metadata that an API server gives.
func stamp(o *unstructured.Unstructured, cluster, writer string, at time.Time) error {
	created := metav1.NewTime(at.UTC().Truncate(time.Second))
	if o.GetUID() == "" {
		o.SetUID(types.UID(uid(cluster, o.GetKind(), o.GetNamespace(), o.GetName())))
	}
	o.SetCreationTimestamp(created)
	if _, ok := o.Object["spec"]; ok {
		o.SetGeneration(1)
	}
	if o.GetKind() == "Namespace" {
		o.SetLabels(withLabel(o.GetLabels(), "kubernetes.io/metadata.name", o.GetName()))
		o.Object["spec"] = map[string]any{"finalizers": []any{"kubernetes"}}
		o.Object["status"] = map[string]any{"phase": "Active"}
	}
	err := manage(orNothing(nil, o), o, writer)
	entries := o.GetManagedFields()
	for i := range entries {
		entries[i].Time = &created
	}
	o.SetManagedFields(entries)
	return err
}

func setAnnotation(m *metav1.ObjectMeta, name, value string) {
	m.Annotations = withLabel(m.Annotations, name, value)
}

// withLabel returns a copy of the labels with one more.
func withLabel(labels map[string]string, name, value string) map[string]string {
	return k8slabels.Merge(labels, k8slabels.Set{name: value})
}

// decode returns the object as one of the API's types.
func decode[T any](o *unstructured.Unstructured) (*T, error) {
	into := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return into, nil
}
