package demo

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// maxBody bounds what a client may send as an object; the API server's own limit.
const maxBody = 3 << 20

// cluster is one API server.
type cluster struct {
	site      site
	store     *store
	resources resources
	proxies   map[string]bool // names of injected containers
	token     string
	address   string // host:port
	runner    *agentRunner
	life      *lifetime
	// dials ports of the control plane's pod; nil: there is none
	controlPlane func(ctx context.Context, port int) (net.Conn, error)
	forward      map[string]string // see Options

	controllers
	types   builtIn
	writing *sync.Mutex // one write at a time in both clusters, so that reading, changing and storing is one step
	// called after each write with what was written, or what is gone, with writing held
	changed func(c *cluster, r resource, o *unstructured.Unstructured, gone bool)
}

// listen serves the API by TLS until the lifetime ends.
func (c *cluster) listen(life *lifetime, config *tls.Config) (err error) {
	c.life = life
	c.address, err = life.serve("cluster "+c.site.Cluster, c, config, nil)
	return err
}

// ServeHTTP answers one request as an API server would, as far as the demo goes.
func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+c.token)) != 1 {
		writeError(w, apierrors.NewUnauthorized("Unauthorized"))
		return
	}
	switch r.URL.Path {
	case "/version", "/version/":
		writeJSON(w, http.StatusOK, versionInfo())
		return
	case "/healthz", "/readyz", "/livez":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok"))
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if r.Method == http.MethodGet && (c.serveDiscovery(w, path) || c.serveOpenAPI(w, path)) {
		return
	}
	t, err := c.target(path)
	if err != nil {
		writeError(w, err)
		return
	}
	if err := c.serveObject(w, r, t); err != nil {
		writeError(w, err)
	}
}

// target is what a path speaks of.
type target struct {
	resource
	version         string
	namespace, name string
	subresource     string
}

func (t target) key() key { return key{t.Name, t.namespace, t.name} }

// kind is what the path takes and gives.
func (t target) kind() schema.GroupVersionKind {
	if t.subresource == scaleSubresource {
		return autoscalingv1.SchemeGroupVersion.WithKind("Scale")
	}
	return schema.GroupVersionKind{Group: t.Group, Version: t.version, Kind: t.Kind}
}

func (t target) subresourced(name string) bool { return slices.Contains(t.Subresources, name) }

// target parses /api/v1/... and /apis/GROUP/VERSION/..., namespaced or not.
func (c *cluster) target(path []string) (target, error) {
	var group, version string
	var rest []string
	switch {
	case len(path) > 2 && path[0] == "api":
		version, rest = path[1], path[2:]
	case len(path) > 3 && path[0] == "apis":
		group, version, rest = path[1], path[2], path[3:]
	default:
		return target{}, errNoSuchPath("")
	}
	t := target{version: version}
	if rest[0] == "namespaces" && len(rest) > 2 {
		t.namespace, rest = rest[1], rest[2:]
	}
	var ok bool
	if t.resource, ok = c.resources.find(group, version, rest[0]); !ok || len(rest) > 3 {
		return target{}, errNoSuchPath(rest[0])
	}
	if t.namespace != "" && !t.Namespaced {
		return target{}, errNoSuchPath(rest[0])
	}
	if len(rest) > 1 {
		t.name = rest[1]
	}
	if len(rest) > 2 {
		t.subresource = rest[2]
	}
	if t.Namespaced && t.namespace == "" && t.name != "" {
		return target{}, errNoSuchPath(rest[0])
	}
	return t, nil
}

// serveObject answers a request for objects or for the exec of a pod. A returned error has not been written yet.
func (c *cluster) serveObject(w http.ResponseWriter, r *http.Request, t target) error {
	switch {
	case t.subresource == "exec" && t.Kind == "Pod":
		return c.serveExec(w, r, t)
	case t.subresource == "portforward" && t.Kind == "Pod":
		return c.serveForward(w, r, t)
	case t.subresource != "" && !t.subresourced(t.subresource):
		return errNoSuchPath(t.Name)
	case t.subresource != "" && (r.Method == http.MethodPost || r.Method == http.MethodDelete):
	case r.Method == http.MethodPost && t.name == "" && !t.has("get"):
		return c.serveReview(w, r, t)
	case r.Method == http.MethodGet && t.name != "" && t.has("get"):
		return c.serveGet(w, r, t)
	case r.Method == http.MethodGet && t.name == "" && t.has("list"):
		return c.serveList(w, r, t)
	case r.Method == http.MethodPost && t.name == "" && t.has("create"),
		r.Method == http.MethodPut && t.name != "" && t.has("update"),
		r.Method == http.MethodPatch && t.name != "" && t.has("patch"),
		r.Method == http.MethodDelete && t.name != "" && t.has("delete"):
		return c.serveWrite(w, r, t)
	}
	return apierrors.NewMethodNotSupported(t.groupResource(), strings.ToLower(r.Method))
}

func errNoSuchPath(plural string) error {
	what := schema.GroupResource{Resource: plural}
	return apierrors.NewGenericServerResponse(http.StatusNotFound, "", what, "", "", 0, false)
}

// writeError writes the error as a Status object.
func writeError(w http.ResponseWriter, err error) {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	writeJSON(w, int(status.Code), status)
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	b, err := json.Marshal(body)
	if err != nil { // only our own types come here
		http.Error(w, fmt.Sprintf("encode %T: %v", body, err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache, private")
	w.WriteHeader(code)
	_, _ = w.Write(append(b, '\n'))
}

// serveReview answers the self reviews: the one user there is may do everything.
func (c *cluster) serveReview(w http.ResponseWriter, r *http.Request, t target) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	x := write{target: t, body: body}
	x.format, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	o, err := x.read()
	if err != nil {
		return err
	}
	review := o.Object
	review["apiVersion"], review["kind"] = t.apiVersion(t.version), t.Kind
	switch t.Kind {
	case "SelfSubjectAccessReview":
		review["status"] = authorizationv1.SubjectAccessReviewStatus{Allowed: true}
	case "SelfSubjectRulesReview":
		all := []string{"*"}
		review["status"] = authorizationv1.SubjectRulesReviewStatus{
			ResourceRules:    []authorizationv1.ResourceRule{{Verbs: all, APIGroups: all, Resources: all}},
			NonResourceRules: []authorizationv1.NonResourceRule{{Verbs: all, NonResourceURLs: all}},
		}
	case "SelfSubjectReview":
		review["metadata"] = map[string]any{"creationTimestamp": metav1.Now()}
		review["status"] = authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{
			Username: "splitbench-demo", Groups: []string{"system:masters", "system:authenticated"},
		}}
	}
	writeJSON(w, http.StatusCreated, review)
	return nil
}
