package law

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// listed is an object that may say the law, as it was listed.
type listed struct {
	ref     ObjectRef
	created time.Time
	raw     *unstructured.Unstructured
	problem string // why the control plane takes no notice of it; empty: it does
}

// readObject reads an object and its spec into a typed one. It never fails: an object that cannot be read says why in
// problem.
func readObject(u *unstructured.Unstructured, spec any) listed {
	o := listed{ref: refOf(u), created: u.GetCreationTimestamp().UTC(), raw: u}
	fields, _ := u.Object["spec"].(map[string]any)
	if err := Decode(fields, spec); err != nil {
		o.problem = "its spec cannot be read: " + Brief(err)
	}
	return o
}

// older compares two objects by age, the oldest first; those of one age by a name.
func (o listed) older(p listed, name func(ObjectRef) string) int {
	return cmp.Or(o.created.Compare(p.created), strings.Compare(name(o.ref), name(p.ref)))
}

// is reports whether it is the object of that name.
func (o listed) is(namespace, name string) bool {
	return o.ref.Namespace == namespace && o.ref.Name == name
}

// find is the first of all that fits, nil where none does.
func find[T any](all []T, fits func(*T) bool) *T {
	for i := range all {
		if fits(&all[i]) {
			return &all[i]
		}
	}
	return nil
}

// Decode reads a part of an unstructured object into a typed one.
func Decode(from, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

// orElse is what p points to, or otherwise where it is not given.
func orElse[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// refOf names the version of an object that was read.
func refOf(u *unstructured.Unstructured) ObjectRef {
	return ObjectRef{
		APIVersion: untrusted.Cut(u.GetAPIVersion(), 253), Kind: untrusted.Cut(u.GetKind(), 63),
		Namespace: u.GetNamespace(), Name: u.GetName(),
		UID: string(u.GetUID()), ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
	}
}

// splitOf is the split that an object is, less its weights.
func splitOf(u *unstructured.Unstructured) Split {
	ref := refOf(u)
	s := Split{
		Kind: ref.Kind, APIVersion: ref.APIVersion, Namespace: ref.Namespace, Name: ref.Name, UID: ref.UID,
		ResourceVersion: ref.ResourceVersion, Generation: ref.Generation, Found: true, YAML: yamlOf(u), Drivers: drivers(u),
	}
	s.LastWriter, s.LastWritten = lastWriter(u)
	return s
}

// yamlOf is the object for the record, less what only servers read.
func yamlOf(u *unstructured.Unstructured) []byte {
	bare := u.DeepCopy()
	bare.SetManagedFields(nil)
	if b, err := yaml.Marshal(bare.Object); err == nil && len(b) <= maxYAML {
		return b
	}
	return nil
}

// lastWriter is who wrote the object last by its managedFields, status aside.
func lastWriter(u *unstructured.Unstructured) (who string, when time.Time) {
	for _, f := range u.GetManagedFields() {
		if f.Subresource != "status" && f.Time != nil && !f.Time.Time.Before(when) {
			who, when = untrusted.Short(f.Manager, 128), f.Time.UTC()
		}
	}
	return who, when
}
