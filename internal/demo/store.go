package demo

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// key finds an object: plural is unique in the fixtures' list of resources, so no group is needed.
type key struct{ plural, namespace, name string }

// event is one change, as watches see it.
type event struct {
	kind   string // ADDED, MODIFIED or DELETED
	plural string
	rv     int64
	object *unstructured.Unstructured
}

// store holds the objects of one cluster. Objects in it are never changed, only replaced, so readers may keep them.
// The log of changes is kept whole: it grows only by what somebody writes while the demo runs.
type store struct {
	mu      sync.Mutex
	rv      int64
	objects map[key]*unstructured.Unstructured
	log     []event
	notify  chan struct{} // closed and replaced at every change
}

func newStore() *store {
	return &store{rv: 1000, objects: map[key]*unstructured.Unstructured{}, notify: make(chan struct{})}
}

func keyOf(plural string, o *unstructured.Unstructured) key {
	return key{plural, o.GetNamespace(), o.GetName()}
}

func (s *store) get(k key) (*unstructured.Unstructured, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[k]
	return o, ok
}

// all returns every object.
func (s *store) all() map[key]*unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects)
}

// list returns the objects of a namespace ("" for all) by namespace and name, and the version of the whole.
func (s *store) list(plural, namespace string) ([]*unstructured.Unstructured, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*unstructured.Unstructured
	for k, o := range s.objects {
		if k.plural == plural && (namespace == "" || namespace == k.namespace) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return found, s.rv
}

// put stores the object, which the caller gives away, with a new resourceVersion.
func (s *store) put(plural string, o *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := "ADDED"
	if _, ok := s.objects[keyOf(plural, o)]; ok {
		kind = "MODIFIED"
	}
	s.record(kind, plural, o)
	s.objects[keyOf(plural, o)] = o
}

// remove takes the object out; the event carries it as it was last, with a resourceVersion of its own.
func (s *store) remove(k key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[k]
	if !ok {
		return
	}
	s.record("DELETED", k.plural, o.DeepCopy())
	delete(s.objects, k)
}

func (s *store) record(kind, plural string, o *unstructured.Unstructured) {
	s.rv++
	o.SetResourceVersion(strconv.FormatInt(s.rv, 10))
	s.log = append(s.log, event{kind: kind, plural: plural, rv: s.rv, object: o})
	close(s.notify)
	s.notify = make(chan struct{})
}

// since returns the changes after a version, the version they lead to, and a channel that closes at the next one.
func (s *store) since(rv int64) ([]event, int64, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.log), func(i int) bool { return s.log[i].rv > rv })
	return s.log[i:len(s.log):len(s.log)], s.rv, s.notify
}

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
