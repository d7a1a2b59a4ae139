package demo

import (
	"cmp"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// The subresources that objects have.
const (
	scaleSubresource  = "scale"
	statusSubresource = "status"
)

// write is a request that creates, replaces, patches or applies an object, or a part of it that is a subresource.
type write struct {
	*cluster
	target
	*http.Request
	format string // of the body
	body   []byte
}

// serveWrite carries out a write or deletes an object.
func (c *cluster) serveWrite(w http.ResponseWriter, r *http.Request, t target) error {
	if t.Namespaced && t.namespace == "" {
		return apierrors.NewMethodNotSupported(t.groupResource(), strings.ToLower(r.Method))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	x := write{cluster: c, target: t, Request: r, body: body}
	x.format, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	dry := r.URL.Query().Get("dryRun") != ""
	old, missing := c.lookup(t)
	if missing != nil && r.Method != http.MethodPost && (!x.applies() || t.subresource != "") {
		return missing
	}
	if r.Method == http.MethodDelete {
		return c.delete(w, t, old, dry)
	}
	o, err := x.outcome(old)
	code := http.StatusOK
	if err == nil && old == nil {
		code, err = http.StatusCreated, c.create(t, o)
	}
	if err == nil && !x.applies() {
		err = manage(orNothing(old, o), o, fieldManager(r))
	}
	if err != nil {
		return err
	}
	if !dry {
		c.store.put(t.Name, o)
		c.tell(t.resource, o, false)
	}
	writeJSON(w, code, t.shown(o).Object)
	return nil
}

// applies reports whether this is a server-side apply.
func (x write) applies() bool {
	return x.Method == http.MethodPatch && x.format == string(types.ApplyPatchType)
}

// tell says to whom it may concern that an object of the resource was written, or is gone.
func (c *cluster) tell(r resource, o *unstructured.Unstructured, gone bool) {
	// no controller follows the others, but for what they own
	if gone || r.Group == "" || r.Group == "apps" || r.Group == "batch" {
		c.control()
	}
	if c.changed != nil {
		c.changed(c, r, o, gone)
	}
}

func (c *cluster) delete(w http.ResponseWriter, t target, old *unstructured.Unstructured, dry bool) error {
	if !dry {
		c.store.remove(t.key())
		c.tell(t.resource, old, true)
	}
	writeJSON(w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: t.name, Group: t.Group, Kind: t.Name, UID: old.GetUID()},
	})
	return nil
}

// create gives a new object what makes it one.
func (c *cluster) create(t target, o *unstructured.Unstructured) error {
	_, rv := c.store.list(t.Name, t.namespace)
	if o.GetName() == "" && o.GetGenerateName() != "" {
		o.SetName(o.GetGenerateName() + suffix(5, c.site.Cluster, o.GetGenerateName(), strconv.FormatInt(rv, 10)))
	}
	if o.GetName() == "" {
		return apierrors.NewBadRequest("name or generateName is required")
	}
	o.SetNamespace(t.namespace)
	if _, ok := c.store.get(keyOf(t.Name, o)); ok {
		return apierrors.NewAlreadyExists(t.groupResource(), o.GetName())
	}
	if _, ok := c.store.get(key{"namespaces", "", t.namespace}); t.Namespaced && !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, t.namespace)
	}
	// A new object under an old name is another object: its uid must differ.
	o.SetUID(types.UID(uid(c.site.Cluster, t.Kind, t.namespace, fmt.Sprint(o.GetName(), "\x00", rv))))
	o.SetCreationTimestamp(metav1.NewTime(time.Now().UTC().Truncate(time.Second)))
	o.SetGeneration(1)
	return nil
}

// outcome is the object that the write makes of what is there, which is nil where nothing is.
func (x write) outcome(old *unstructured.Unstructured) (o *unstructured.Unstructured, err error) {
	if x.Method != http.MethodPatch {
		o, err = x.read()
	} else {
		o, err = x.patched(old)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case x.subresource == scaleSubresource:
		replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		o = old.DeepCopy()
		err = unstructured.SetNestedField(o.Object, replicas, "spec", "replicas")
	case x.subresource == statusSubresource:
		o = withStatus(old.DeepCopy(), o.Object["status"])
	case old != nil && x.subresourced(statusSubresource): // it is written apart
		o = withStatus(o, old.Object["status"])
	}
	if err == nil {
		err = x.admit(o)
	}
	if err == nil && old != nil {
		err = x.keepIdentity(old, o)
	}
	return o, err
}

func withStatus(o *unstructured.Unstructured, status any) *unstructured.Unstructured {
	delete(o.Object, "status")
	if status != nil {
		o.Object["status"] = status
	}
	return o
}

// admit holds an object of a built-in kind against its type, and fills in defaults. Of custom resources nothing is
// validated: a wrong weight must be storable, because real clusters store it.
func (x write) admit(o *unstructured.Unstructured) error {
	typed, err := scheme.Scheme.New(o.GroupVersionKind())
	if err != nil {
		return nil //nolint:nilerr // it is custom
	}
	strict := x.URL.Query().Get("fieldValidation") == metav1.FieldValidationStrict
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, typed, strict); err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", x.Kind, x.version,
			x.Kind, err))
	}
	switch typed := typed.(type) {
	case *corev1.Service:
		x.complete(typed)
	case *corev1.Pod:
		if x.Method == http.MethodPost { // what controllers make is injected when it is run
			x.inject(typed)
		}
	case *appsv1.Deployment:
		typed.Spec.Replicas = cmp.Or(typed.Spec.Replicas, new(int32(1)))
	case *appsv1.ReplicaSet:
		typed.Spec.Replicas = cmp.Or(typed.Spec.Replicas, new(int32(1)))
	}
	o.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	return err
}

// keepIdentity keeps what a client may not change, refuses a stale resourceVersion and counts the generation.
func (x write) keepIdentity(old, o *unstructured.Unstructured) error {
	if o.GetName() != "" && o.GetName() != old.GetName() {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)",
			o.GetName(), old.GetName()))
	}
	if rv := o.GetResourceVersion(); rv != "" && rv != old.GetResourceVersion() {
		return apierrors.NewConflict(x.groupResource(), x.name, fmt.Errorf(
			"the object has been modified; please apply your changes to the latest version and try again"))
	}
	o.SetGroupVersionKind(old.GroupVersionKind())
	o.SetName(old.GetName())
	o.SetNamespace(old.GetNamespace())
	o.SetUID(old.GetUID())
	o.SetCreationTimestamp(old.GetCreationTimestamp())
	if !x.applies() {
		o.SetManagedFields(old.GetManagedFields())
	}
	o.SetGeneration(old.GetGeneration())
	if _, ok := old.Object["spec"]; ok && !reflect.DeepEqual(old.Object["spec"], o.Object["spec"]) {
		o.SetGeneration(old.GetGeneration() + 1)
	}
	return nil
}

// patched is the object, or its scale, with the patch applied. Custom resources take no strategic merge patch.
func (x write) patched(old *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if x.applies() {
		return x.applied(old)
	}
	before, err := x.shown(old).MarshalJSON()
	if err != nil {
		return nil, err
	}
	after, refused := before, error(nil)
	model, unknown := scheme.Scheme.New(x.kind())
	switch kind := types.PatchType(x.format); {
	case kind == types.JSONPatchType:
		var p jsonpatch.Patch
		if p, refused = jsonpatch.DecodePatch(x.body); refused == nil {
			after, refused = p.Apply(before)
		}
	case kind == types.MergePatchType:
		after, refused = jsonpatch.MergePatch(before, x.body)
	case kind == types.StrategicMergePatchType && unknown == nil:
		after, refused = strategicpatch.StrategicMergePatch(before, x.body, model)
	default:
		accepted := []types.PatchType{types.JSONPatchType, types.MergePatchType, types.ApplyPatchType}
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", x.groupResource(), x.name,
			fmt.Sprintf("the body of the request was in an unknown format - accepted media types include: %s", accepted),
			0, true)
	}
	if refused != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the patch cannot be applied: %v", refused))
	}
	x.body, x.format = after, runtime.ContentTypeJSON
	return x.read()
}

func (x write) applied(old *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	b, err := yaml.YAMLToJSON(x.body)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body is not an object: %v", err))
	}
	x.body, x.format = b, runtime.ContentTypeJSON
	o, err := x.read()
	if err != nil {
		return nil, err
	}
	o.SetName(x.name)
	o.SetNamespace(x.namespace)
	force, _ := strconv.ParseBool(x.URL.Query().Get("force"))
	return x.types.applied(orNothing(old, o), o, fieldManager(x.Request), force)
}

// orNothing is the old object, or an empty one of the new one's kind.
func orNothing(old, o *unstructured.Unstructured) *unstructured.Unstructured {
	if old == nil {
		old = &unstructured.Unstructured{}
		old.SetGroupVersionKind(o.GroupVersionKind())
	}
	return old
}

// read decodes the body as what the path takes.
func (x write) read() (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	err := error(nil)
	if x.format == runtime.ContentTypeProtobuf {
		err = fromProtobuf(x.body, o)
	} else {
		err = o.UnmarshalJSON(x.body)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the body is not an object: %v", err))
	}
	if o.GroupVersionKind() != x.kind() {
		return nil, apierrors.NewBadRequest(
			fmt.Sprintf("the object is a %s, this path takes a %s", o.GroupVersionKind(), x.kind()))
	}
	if x.subresource != scaleSubresource {
		o.SetAPIVersion(x.apiVersion(x.Versions[len(x.Versions)-1]))
	}
	return o, nil
}

// fromProtobuf decodes what typed clients of the built-in kinds send unless told otherwise.
func fromProtobuf(b []byte, into *unstructured.Unstructured) error {
	typed, kind, err := scheme.Codecs.UniversalDeserializer().Decode(b, nil, nil)
	if err != nil {
		return err
	}
	into.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	into.SetGroupVersionKind(*kind)
	return err
}

// fieldManager is who the client says it is, or the first word of its User-Agent.
func fieldManager(r *http.Request) string {
	program, _, _ := strings.Cut(r.UserAgent(), "/")
	return cmp.Or(r.URL.Query().Get("fieldManager"), program, "unknown")
}

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
