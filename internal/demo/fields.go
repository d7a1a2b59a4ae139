package demo

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

// manage records who wrote which fields of an object that replaces another, by the code of the API server. Types are
// deduced, as for custom resources without a schema: a list is one field.
func manage(old, o *unstructured.Unstructured, manager string) error {
	m, err := managerOf(managedfields.NewDeducedTypeConverter(), o.GroupVersionKind())
	if err != nil {
		return err
	}
	managed, err := m.Update(old, o, manager)
	return into(o, managed, err)
}

// builtIn knows the types of built-in kinds, in which items of lists are fields of their own. Reading them takes a
// second, so that it is left until somebody applies.
type builtIn func() managedfields.TypeConverter

func newBuiltIn() builtIn {
	return sync.OnceValue(func() managedfields.TypeConverter {
		return applyconfigurations.NewTypeConverter(scheme.Scheme)
	})
}

// applied is what a server-side apply of the object makes of what is there. Conflicts are the API's errors.
func (b builtIn) applied(
	old, o *unstructured.Unstructured, manager string, force bool,
) (*unstructured.Unstructured, error) {
	types := managedfields.NewDeducedTypeConverter()
	if scheme.Scheme.Recognizes(o.GroupVersionKind()) {
		types = b()
	}
	m, err := managerOf(types, o.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	o.SetManagedFields(nil)
	made := &unstructured.Unstructured{}
	managed, err := m.Apply(old, o, manager, force)
	return made, into(made, managed, err)
}

func into(o *unstructured.Unstructured, managed runtime.Object, err error) error {
	if err != nil {
		return err
	}
	u, ok := managed.(*unstructured.Unstructured)
	if !ok {
		return fmt.Errorf("the field manager made a %T", managed)
	}
	o.Object = u.Object
	return nil
}

func managerOf(types managedfields.TypeConverter, kind schema.GroupVersionKind) (*managedfields.FieldManager, error) {
	return managedfields.NewDefaultFieldManager(types, oneVersion{}, oneVersion{}, oneVersion{}, kind, kind.GroupVersion(),
		"", nil)
}

// oneVersion is what the field manager wants to know of kinds: objects are stored in one version and have no defaults.
type oneVersion struct{ runtime.ObjectConvertor }

// ConvertToVersion leaves objects as they are.
func (oneVersion) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}

// Default does nothing.
func (oneVersion) Default(runtime.Object) {}

// New makes an empty object.
func (oneVersion) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	return o, nil
}
