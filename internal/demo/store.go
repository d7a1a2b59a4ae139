package demo

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
