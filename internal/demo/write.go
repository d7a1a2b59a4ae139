package demo

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
)

// serveWrite creates, replaces, patches or deletes an object. Nothing is validated beyond what keeps the store whole:
// a wrong weight must be storable, because real clusters store it.
func (c *cluster) serveWrite(w http.ResponseWriter, r *http.Request, t target) error {
	if t.Namespaced && t.namespace == "" {
		return apierrors.NewMethodNotSupported(t.groupResource(), strings.ToLower(r.Method))
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	dry := r.URL.Query().Get("dryRun") != ""
	if r.Method == http.MethodDelete {
		return c.delete(w, t, dry)
	}
	code := http.StatusOK
	var o *unstructured.Unstructured
	var err error
	switch r.Method {
	case http.MethodPost:
		code = http.StatusCreated
		o, err = c.created(w, r, t)
	case http.MethodPut:
		o, err = c.replaced(w, r, t)
	default:
		o, err = c.patched(w, r, t)
	}
	if err != nil {
		return err
	}
	manage(o, fieldManager(r), time.Now())
	if !dry {
		c.store.put(t.Name, o)
		c.tell(t.resource, o, false)
	}
	writeJSON(w, code, t.in(o).Object)
	return nil
}

// tell says to whom it may concern that an object of the resource was written, or is gone.
func (c *cluster) tell(r resource, o *unstructured.Unstructured, gone bool) {
	if c.changed != nil {
		c.changed(r, o, gone)
	}
}

func (c *cluster) delete(w http.ResponseWriter, t target, dry bool) error {
	o, err := c.lookup(t)
	if err != nil {
		return err
	}
	if !dry {
		c.store.remove(t.key())
		c.tell(t.resource, o, true)
	}
	writeJSON(w, http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: t.name, Group: t.Group, Kind: t.Name, UID: o.GetUID()},
	})
	return nil
}

func (c *cluster) created(w http.ResponseWriter, r *http.Request, t target) (*unstructured.Unstructured, error) {
	o, err := readObject(w, r, t)
	if err != nil {
		return nil, err
	}
	if o.GetName() == "" {
		return nil, apierrors.NewBadRequest("name is required: this server generates none")
	}
	o.SetNamespace(t.namespace)
	if _, ok := c.store.get(keyOf(t.Name, o)); ok {
		return nil, apierrors.NewAlreadyExists(t.groupResource(), o.GetName())
	}
	now := metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	// A new object under an old name is another object: its uid must differ.
	_, rv := c.store.list(t.Name, t.namespace)
	o.SetUID(types.UID(uid(c.site.Cluster, t.Kind, t.namespace, fmt.Sprint(o.GetName(), "\x00", rv))))
	o.SetCreationTimestamp(now)
	o.SetGeneration(1)
	return o, nil
}

func (c *cluster) replaced(w http.ResponseWriter, r *http.Request, t target) (*unstructured.Unstructured, error) {
	old, err := c.lookup(t)
	if err != nil {
		return nil, err
	}
	o, err := readObject(w, r, t)
	if err != nil {
		return nil, err
	}
	return merged(t, old, o)
}

// patched merges a JSON merge patch (RFC 7386). The other kinds of patch are refused as by a server that lacks them.
func (c *cluster) patched(w http.ResponseWriter, r *http.Request, t target) (*unstructured.Unstructured, error) {
	old, err := c.lookup(t)
	if err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != string(types.MergePatchType) {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", t.groupResource(), t.name,
			"the body of the request was in an unknown format - accepted media types include: "+string(types.MergePatchType),
			0, true)
	}
	var patch map[string]any
	if err := readBody(w, r, func(b []byte) error { return json.Unmarshal(b, &patch) }); err != nil {
		return nil, err
	}
	o := &unstructured.Unstructured{Object: mergePatch(runtime.DeepCopyJSON(old.Object), patch)}
	return merged(t, old, o)
}

// merged keeps what a client may not change, refuses a stale resourceVersion and counts the generation.
func merged(t target, old, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if o.GetName() != "" && o.GetName() != old.GetName() {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)",
			o.GetName(), old.GetName()))
	}
	if rv := o.GetResourceVersion(); rv != "" && rv != old.GetResourceVersion() {
		return nil, apierrors.NewConflict(t.groupResource(), t.name, fmt.Errorf(
			"the object has been modified; please apply your changes to the latest version and try again"))
	}
	o.SetAPIVersion(old.GetAPIVersion())
	o.SetKind(old.GetKind())
	o.SetName(old.GetName())
	o.SetNamespace(old.GetNamespace())
	o.SetUID(old.GetUID())
	o.SetCreationTimestamp(old.GetCreationTimestamp())
	o.SetManagedFields(old.GetManagedFields())
	o.SetGeneration(old.GetGeneration())
	if _, ok := old.Object["spec"]; ok && !reflect.DeepEqual(old.Object["spec"], o.Object["spec"]) {
		o.SetGeneration(old.GetGeneration() + 1)
	}
	return o, nil
}

func mergePatch(into, patch map[string]any) map[string]any {
	if into == nil {
		into = map[string]any{}
	}
	for name, value := range patch {
		switch v := value.(type) {
		case nil:
			delete(into, name)
		case map[string]any:
			old, _ := into[name].(map[string]any)
			into[name] = mergePatch(old, v)
		default:
			into[name] = v
		}
	}
	return into
}

func readObject(w http.ResponseWriter, r *http.Request, t target) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	decode := o.UnmarshalJSON
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == runtime.ContentTypeProtobuf {
		decode = func(b []byte) error { return fromProtobuf(b, o) }
	}
	if err := readBody(w, r, decode); err != nil {
		return nil, err
	}
	if want := (schema.GroupVersion{Group: t.Group, Version: t.version}).WithKind(t.Kind); o.GroupVersionKind() != want {
		return nil, apierrors.NewBadRequest(
			fmt.Sprintf("the object is a %s, this path takes a %s", o.GroupVersionKind(), want))
	}
	o.SetAPIVersion(t.apiVersion(t.Versions[len(t.Versions)-1]))
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

func readBody(w http.ResponseWriter, r *http.Request, decode func([]byte) error) error {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	if err := decode(b); err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("the body is not an object: %v", err))
	}
	return nil
}

// fieldManager is who the client says it is, or the first word of its User-Agent.
func fieldManager(r *http.Request) string {
	if m := r.URL.Query().Get("fieldManager"); m != "" {
		return m
	}
	m, _, _ := strings.Cut(r.UserAgent(), "/")
	if m == "" {
		return "unknown"
	}
	return m
}
