package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// apiServer is as much of an API server as a discovery talks to, on the real wire: discovery documents, get, list with
// label selector and pages, and access reviews. Objects are what testdata says, edited by each test.
type apiServer struct {
	t       *testing.T
	objects map[string]map[string]any // by plural/namespace/name
	groups  map[string][]string       // custom groups and the versions they serve
	refuse  map[string]int            // by path prefix, or by a whole path with $ after it: status to answer with
	byGroup bool                      // objects that are put from now on are of their own group alone, get cannot find them
	denied  map[string]bool           // by verb: access reviews that say no
	ahead   time.Duration             // of its clock
	expire  int                       // how many continuations of lists have expired when they come

	mu    sync.Mutex
	calls []string
}

func newServer(t *testing.T, file string) *apiServer {
	t.Helper()
	s := &apiServer{
		t: t, objects: map[string]map[string]any{}, refuse: map[string]int{}, denied: map[string]bool{},
		groups: map[string][]string{
			"split.smi-spec.io":       {"v1alpha1", "v1alpha2"},
			"linkerd.io":              {"v1alpha2"},
			"multicluster.linkerd.io": {"v1alpha1", "v1alpha2", "v1alpha3"},
		},
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range bytes.Split(b, []byte("\n---\n")) {
		s.put(string(doc))
	}
	return s
}

// put adds an object written as YAML, in place of the one of its name.
func (s *apiServer) put(doc string) {
	s.t.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
		s.t.Fatalf("%v in:\n%s", err, doc)
	}
	meta := o["metadata"].(map[string]any)
	kind := strings.ToLower(o["kind"].(string))
	plural := kind + "s"
	switch {
	case strings.HasSuffix(kind, "s"): // Endpoints
		plural = kind
	case strings.HasSuffix(kind, "y"): // AuthorizationPolicy
		plural = strings.TrimSuffix(kind, "y") + "ies"
	}
	ns, _ := meta["namespace"].(string)
	key := plural + "/" + ns + "/" + meta["name"].(string)
	if s.byGroup {
		key += "@" + groupOf(o["apiVersion"])
	}
	s.objects[key] = o
}

func groupOf(apiVersion any) string {
	group, _, _ := strings.Cut(fmt.Sprint(apiVersion), "/")
	return group
}

// object is the object of a key such as "pods/test/frontend-7-xxxxx", to be edited in place.
func (s *apiServer) object(key string) map[string]any {
	s.t.Helper()
	o, ok := s.objects[key]
	if !ok {
		s.t.Fatalf("no object %s", key)
	}
	return o
}

// set replaces the value at a dotted path of an object; numbers in the path index lists. nil deletes.
func (s *apiServer) set(key, path string, value any) {
	s.t.Helper()
	var at any = s.object(key)
	parts := strings.Split(path, "/")
	for i, p := range parts {
		last := i == len(parts)-1
		switch x := at.(type) {
		case map[string]any:
			switch {
			case last && value == nil:
				delete(x, p)
			case last:
				x[p] = value
			case x[p] == nil:
				x[p] = map[string]any{}
			}
			at = x[p]
		case []any:
			n, err := strconv.Atoi(p)
			if err != nil || n >= len(x) {
				s.t.Fatalf("%s: no %s", path, p)
			}
			if last {
				x[n] = value
			}
			at = x[n]
		default:
			s.t.Fatalf("%s: %s is a %T", path, p, at)
		}
	}
}

func (s *apiServer) drop(key string) {
	s.t.Helper()
	s.object(key)
	delete(s.objects, key)
}

// client starts the server and connects to it under the context name.
func (s *apiServer) client(context string) Client {
	s.t.Helper()
	srv := httptest.NewServer(s)
	s.t.Cleanup(srv.Close)
	c, err := Connect(&rest.Config{Host: srv.URL}, context)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	w.Header().Set("Date", time.Now().Add(s.ahead).UTC().Format(http.TimeFormat))
	for prefix, code := range s.refuse {
		if strings.HasPrefix(r.URL.Path+"$", prefix) {
			status(w, code, "refused by the test")
			return
		}
	}
	switch {
	case r.URL.Path == "/version":
		reply(w, map[string]any{"gitVersion": "v1.36.3"})
	case r.URL.Path == "/api":
		reply(w, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/apis":
		reply(w, s.groupList())
	case strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews"):
		s.review(w, r)
	default:
		s.serveObjects(w, r)
	}
}

func (s *apiServer) groupList() any {
	var groups []any
	for name, versions := range s.groups {
		var vs []any
		for _, v := range versions {
			vs = append(vs, map[string]any{"groupVersion": name + "/" + v, "version": v})
		}
		groups = append(groups, map[string]any{"name": name, "versions": vs, "preferredVersion": vs[0]})
	}
	return map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
}

func (s *apiServer) review(w http.ResponseWriter, r *http.Request) {
	var o map[string]any
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		status(w, http.StatusBadRequest, err.Error())
		return
	}
	verb := o["spec"].(map[string]any)["resourceAttributes"].(map[string]any)["verb"].(string)
	o["status"] = map[string]any{"allowed": !s.denied[verb], "reason": ""}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(o)
}

func (s *apiServer) serveObjects(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	version := ""
	if parts[0] == "api" {
		version, parts = "v1", parts[2:]
	} else {
		if served, custom := s.groups[parts[1]]; !slices.Contains(served, parts[2]) && (custom || strings.Contains(parts[1], "linkerd") || strings.Contains(parts[1], "smi")) {
			status(w, http.StatusNotFound, "404 page not found")
			return
		}
		version, parts = parts[1]+"/"+parts[2], parts[3:]
		if len(parts) == 0 { // which kinds a version has is not told: they are then taken to be there
			status(w, http.StatusNotFound, "404 page not found")
			return
		}
	}
	ns := ""
	if parts[0] == "namespaces" && len(parts) > 2 {
		ns, parts = parts[1], parts[2:]
	}
	if len(parts) == 2 {
		o, ok := s.objects[parts[0]+"/"+ns+"/"+parts[1]]
		if !ok {
			status(w, http.StatusNotFound, fmt.Sprintf("%s %q not found", parts[0], parts[1]))
			return
		}
		reply(w, asVersion(o, version))
		return
	}
	s.list(w, r, parts[0], ns, version)
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request, plural, ns, version string) {
	sel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		status(w, http.StatusBadRequest, err.Error())
		return
	}
	var keys []string
	for key, o := range s.objects {
		set := labels.Set{}
		if l, ok := o["metadata"].(map[string]any)["labels"].(map[string]any); ok {
			for k, v := range l {
				set[k] = v.(string)
			}
		}
		if _, group, own := strings.Cut(key, "@"); own && group != groupOf(version) {
			continue
		}
		if p := strings.Split(key, "/"); p[0] == plural && (ns == "" || p[1] == ns) && sel.Matches(set) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	if from > 0 && s.expire > 0 {
		s.expire--
		status(w, http.StatusGone, "the provided continue parameter is too old")
		return
	}
	to, next := len(keys), ""
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 && from+limit < to {
		to = from + limit
		next = strconv.Itoa(to)
	}
	items := []any{}
	for _, k := range keys[from:to] {
		items = append(items, asVersion(s.objects[k], version))
	}
	// The kind must be the right one: typed clients decode a bare "List" into nothing, without an error.
	kind := map[string]string{
		"services": "Service", "pods": "Pod", "namespaces": "Namespace", "endpointslices": "EndpointSlice", "deployments": "Deployment",
		"replicasets": "ReplicaSet", "trafficsplits": "TrafficSplit", "serviceprofiles": "ServiceProfile", "links": "Link", "httproutes": "HTTPRoute", "grpcroutes": "GRPCRoute",
		"tlsroutes": "TLSRoute", "tcproutes": "TCPRoute", "virtualservices": "VirtualService", "traefikservices": "TraefikService", "destinationrules": "DestinationRule",
		"configmaps": "ConfigMap", "secrets": "Secret", "servers": "Server", "authorizationpolicies": "AuthorizationPolicy", "felixconfigurations": "FelixConfiguration",
	}[plural] + "List"
	reply(w, map[string]any{"kind": kind, "apiVersion": version, "metadata": map[string]any{"resourceVersion": "1000", "continue": next}, "items": items})
}

// mute is a client of a server that accepts connections and never answers.
func mute(t *testing.T) Client {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(srv.Close)
	c, err := Connect(&rest.Config{Host: srv.URL, Timeout: 50 * time.Millisecond}, "mute")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// asVersion is the object as another version of its kind; the CRDs convert nothing but apiVersion.
func asVersion(o map[string]any, version string) map[string]any {
	out := map[string]any{}
	for k, v := range o {
		out[k] = v
	}
	out["apiVersion"] = version
	return out
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func status(w http.ResponseWriter, code int, message string) {
	reason := map[int]string{403: "Forbidden", 404: "NotFound", 401: "Unauthorized", 410: "Expired", 429: "TooManyRequests", 500: "InternalError"}[code]
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code})
}
