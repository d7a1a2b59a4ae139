package demo

import (
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// loadCluster reads the fixtures of one cluster, plays its controllers and stores the objects.
func loadCluster(s site, o Options, now time.Time) (*cluster, error) {
	s = s.with(o)
	c := &cluster{site: s, store: newStore(), token: rand.Text(), proxies: map[string]bool{}}
	var err error
	if c.resources, err = readResources(s); err != nil {
		return nil, err
	}
	var fixtures []fixture
	for _, name := range []string{"common.yaml", s.Cluster + ".yaml"} {
		found, err := readFixtures(name, s)
		if err != nil {
			return nil, err
		}
		fixtures = append(fixtures, found...)
	}
	if fixtures, err = c.control(fixtures, now); err != nil {
		return nil, err
	}
	for _, f := range fixtures {
		r, ok := c.resources.byKind(f.object.GetKind())
		if !ok {
			return nil, fmt.Errorf("fixture %s %s: not among the resources", f.object.GetKind(), f.object.GetName())
		}
		stamp(f, s.Cluster, now)
		c.store.put(r.Name, f.object)
	}
	return c, nil
}

// control adds to the fixtures what controllers and the kubelet would have made of them.
func (c *cluster) control(fixtures []fixture, now time.Time) ([]fixture, error) {
	w := &workloads{site: c.site, now: now}
	docs, err := readDocuments("proxy.yaml", c.site)
	if err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalStrict(docs[0], &w.injected); err != nil {
		return nil, fmt.Errorf("fixture proxy.yaml: %w", err)
	}
	for _, container := range w.injected.Spec.Containers {
		c.proxies[container.Name] = true
	}
	var made []fixture
	for i := range fixtures {
		f := &fixtures[i]
		switch f.object.GetKind() {
		case "Deployment":
			more, err := w.addStatus(f)
			if err != nil {
				return nil, err
			}
			made = append(made, more...)
		case "Pod":
			pod, err := decode[corev1.Pod](f.object)
			if err != nil {
				return nil, err
			}
			w.run(pod, f.podAge, f.ready)
			if f.object, err = toUnstructured(pod); err != nil {
				return nil, err
			}
		}
	}
	fixtures = append(fixtures, made...)
	more, err := publish(fixtures, c.site.Cluster)
	return append(fixtures, more...), err
}

// publish completes Services and adds their Endpoints, unless a fixture has them, and their EndpointSlices.
func publish(fixtures []fixture, cluster string) ([]fixture, error) {
	var pods []corev1.Pod
	written := map[types.NamespacedName]*corev1.Endpoints{} //nolint:staticcheck // deprecated, still read
	for _, f := range fixtures {
		switch f.object.GetKind() {
		case "Pod":
			p, err := decode[corev1.Pod](f.object)
			if err != nil {
				return nil, err
			}
			p.UID = types.UID(uid(cluster, "Pod", p.Namespace, p.Name))
			pods = append(pods, *p)
		case "Endpoints":
			e, err := decode[corev1.Endpoints](f.object) //nolint:staticcheck // as above
			if err != nil {
				return nil, err
			}
			written[types.NamespacedName{Namespace: e.Namespace, Name: e.Name}] = e
		}
	}
	var made []fixture
	for i := range fixtures {
		f := &fixtures[i]
		if f.object.GetKind() != "Service" {
			continue
		}
		s, err := decode[corev1.Service](f.object)
		if err != nil {
			return nil, err
		}
		completeService(s)
		s.UID = types.UID(uid(cluster, "Service", s.Namespace, s.Name))
		if f.object, err = toUnstructured(s); err != nil {
			return nil, err
		}
		add := []any{}
		e, ok := written[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}]
		if !ok {
			e = endpointsOf(s, pods)
			add = append(add, e)
		}
		for _, object := range append(add, sliceOf(e, s, cluster)) {
			o, err := toUnstructured(object)
			if err != nil {
				return nil, err
			}
			made = append(made, fixture{object: o, age: f.age, writer: "kube-controller-manager"})
		}
	}
	return made, nil
}

// stamp gives the object the metadata that an API server gives.
func stamp(f fixture, cluster string, now time.Time) {
	o, created := f.object, now.Add(-f.age).UTC().Truncate(time.Second)
	o.SetUID(types.UID(uid(cluster, o.GetKind(), o.GetNamespace(), o.GetName())))
	o.SetCreationTimestamp(metav1.NewTime(created))
	if _, ok := o.Object["spec"]; ok {
		o.SetGeneration(1)
	}
	if o.GetKind() == "Namespace" {
		o.SetLabels(withLabel(o.GetLabels(), "kubernetes.io/metadata.name", o.GetName()))
		o.Object["spec"] = map[string]any{"finalizers": []any{"kubernetes"}}
		o.Object["status"] = map[string]any{"phase": "Active"}
	}
	manage(o, f.writer, created)
}

// manage records who wrote the object last. One entry for each manager is enough: nobody applies here.
func manage(o *unstructured.Unstructured, manager string, at time.Time) {
	owned := map[string]any{}
	for name := range o.Object {
		if name != "metadata" && name != "apiVersion" && name != "kind" {
			owned[name] = o.Object[name]
		}
	}
	entry := map[string]any{
		"manager": manager, "operation": "Update", "apiVersion": o.GetAPIVersion(),
		"time": at.UTC().Format(time.RFC3339), "fieldsType": "FieldsV1", "fieldsV1": fieldSet(owned),
	}
	kept := []any{}
	old, _, _ := unstructured.NestedSlice(o.Object, "metadata", "managedFields")
	for _, e := range old {
		if m, ok := e.(map[string]any); ok && m["manager"] != manager {
			kept = append(kept, e)
		}
	}
	_ = unstructured.SetNestedSlice(o.Object, append(kept, entry), "metadata", "managedFields")
}

// fieldSet lists the fields of an object as managedFields do; lists are taken as one field each.
func fieldSet(m map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range m {
		child := map[string]any{}
		if inner, ok := value.(map[string]any); ok {
			child = fieldSet(inner)
		}
		out["f:"+name] = child
	}
	return out
}
