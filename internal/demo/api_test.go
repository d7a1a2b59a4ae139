package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/agent"
)

var splits = schema.GroupVersionResource{Group: "split.smi-spec.io", Version: "v1alpha2", Resource: "trafficsplits"}

func typed(t *testing.T, c *Clusters, cluster string) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(restConfig(t, c, cluster))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func untyped(t *testing.T, c *Clusters, cluster string) *dynamic.DynamicClient {
	t.Helper()
	client, err := dynamic.NewForConfig(restConfig(t, c, cluster))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// watchPods opens a watch, tells when its first event is there, and goes on until it ends.
func watchPods(ctx context.Context, config *rest.Config, open chan<- struct{}) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	w, err := client.CoreV1().Pods("test").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer w.Stop()
	<-w.ResultChan()
	close(open)
	for range w.ResultChan() { // only the end of it matters
	}
	return errors.New("watch ended")
}

func TestDiscovery(t *testing.T) {
	c := start(t, Options{})
	for cluster, want := range map[string][]string{
		"west": {
			"apps/v1", "authentication.k8s.io/v1", "authorization.k8s.io/v1", "batch/v1", "coordination.k8s.io/v1", "discovery.k8s.io/v1", "gateway.networking.k8s.io/v1",
			"linkerd.io/v1alpha2", "multicluster.linkerd.io/v1alpha1", "multicluster.linkerd.io/v1alpha2",
			"multicluster.linkerd.io/v1alpha3", "split.smi-spec.io/v1alpha1", "split.smi-spec.io/v1alpha2", "v1",
		},
		"east": {
			"apps/v1", "authentication.k8s.io/v1", "authorization.k8s.io/v1", "batch/v1", "coordination.k8s.io/v1", "discovery.k8s.io/v1", "gateway.networking.k8s.io/v1",
			"linkerd.io/v1alpha2", "multicluster.linkerd.io/v1alpha1", "multicluster.linkerd.io/v1alpha2",
			"multicluster.linkerd.io/v1alpha3", "v1",
		},
	} {
		client, err := discovery.NewDiscoveryClientForConfig(restConfig(t, c, cluster))
		if err != nil {
			t.Fatal(err)
		}
		_, lists, err := client.ServerGroupsAndResources()
		if err != nil {
			t.Fatal(err)
		}
		served := map[string]bool{}
		for _, l := range lists {
			served[l.GroupVersion] = len(l.APIResources) > 0
		}
		expected := map[string]bool{}
		for _, gv := range want {
			expected[gv] = true
		}
		if d := cmp.Diff(expected, served); d != "" {
			t.Errorf("%s serves (-want +got):\n%s", cluster, d)
		}
		v, err := client.ServerVersion()
		if err != nil || v.GitVersion != apiVersionOfServer {
			t.Errorf("version %v, error %v", v, err)
		}
	}
}

func TestEveryResourceListsAndGets(t *testing.T) {
	c := start(t, Options{})
	for _, cl := range []*cluster{c.west, c.east} {
		client := untyped(t, c, cl.site.Cluster)
		for _, r := range cl.resources {
			if !r.has("list") {
				continue
			}
			for _, v := range r.Versions {
				gvr := schema.GroupVersionResource{Group: r.Group, Version: v, Resource: r.Name}
				l, err := client.Resource(gvr).List(t.Context(), metav1.ListOptions{})
				if err != nil {
					t.Errorf("list %s: %v", gvr, err)
					continue
				}
				for _, o := range l.Items {
					if o.GetAPIVersion() != gvr.GroupVersion().String() || o.GetKind() != r.Kind || o.GetUID() == "" ||
						o.GetResourceVersion() == "" || o.GetCreationTimestamp().Unix() <= 0 || len(o.GetManagedFields()) == 0 && o.Object["spec"] != nil {
						t.Errorf("%s %s lacks what every object has: %v", gvr, o.GetName(), o.Object["metadata"])
					}
					for a := range o.GetAnnotations() {
						if strings.HasPrefix(a, hintPrefix) {
							t.Errorf("%s %s shows the hint %s", gvr, o.GetName(), a)
						}
					}
					one, err := client.Resource(gvr).Namespace(o.GetNamespace()).Get(t.Context(), o.GetName(), metav1.GetOptions{})
					if err != nil || cmp.Diff(o.Object, one.Object) != "" {
						t.Errorf("get %s %s: error %v, or it differs from the list's", gvr, o.GetName(), err)
					}
				}
			}
		}
	}
}

func TestWalkthrough(t *testing.T) {
	c := start(t, Options{})
	west, east := typed(t, c, "west"), typed(t, c, "east")
	pod, err := west.CoreV1().Pods("test").Get(t.Context(), frontendPod(c), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, container := range pod.Spec.Containers {
		names = append(names, container.Name)
		if s := pod.Status.ContainerStatuses[i]; !s.Ready || s.State.Running == nil || s.Name != container.Name {
			t.Errorf("container %s: %+v", container.Name, s)
		}
	}
	if d := cmp.Diff([]string{"nginx", "internal", "external", "linkerd-proxy"}, names); d != "" {
		t.Error(d)
	}
	if pod.Annotations[agentAnnotation] != agentPath {
		t.Errorf("annotations %v", pod.Annotations)
	}
	profile, err := untyped(t, c, "west").Resource(schema.GroupVersionResource{Group: "linkerd.io", Version: "v1alpha2", Resource: "serviceprofiles"}).
		Namespace("test").Get(t.Context(), "podinfo.test.svc.cluster.local", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p := profile.GetCreationTimestamp(); !p.Before(&pod.CreationTimestamp) { // or its proxy might not know the split
		t.Errorf("the profile is of %v, the pod of %v", p, pod.CreationTimestamp)
	}
	gateway, err := east.CoreV1().Services("linkerd-multicluster").Get(t.Context(), "linkerd-gateway", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mirror, err := west.DiscoveryV1().EndpointSlices("test").List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=podinfo-east"})
	if err != nil || len(mirror.Items) != 1 {
		t.Fatalf("slices of the mirror: %v, error %v", mirror, err)
	}
	if got, want := mirror.Items[0].Endpoints[0].Addresses[0], gateway.Status.LoadBalancer.Ingress[0].IP; got != want {
		t.Errorf("the mirror's endpoint is %s, the gateway %s", got, want)
	}
	slices, err := west.DiscoveryV1().EndpointSlices("test").List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=podinfo"})
	if err != nil || len(slices.Items) != 1 || len(slices.Items[0].Endpoints) != 2 || *slices.Items[0].Ports[0].Port != 9898 {
		t.Fatalf("slices of podinfo: %v, error %v", slices, err)
	}
	node, err := west.CoreV1().Nodes().Get(t.Context(), pod.Spec.NodeName, metav1.GetOptions{})
	if err != nil || node.Status.NodeInfo.Architecture != runtime.GOARCH || node.Status.NodeInfo.OperatingSystem != runtime.GOOS {
		t.Errorf("node %+v, error %v", node.Status.NodeInfo, err)
	}
}

func TestOptionsShowInTheObjects(t *testing.T) {
	t.Run("off mesh", func(t *testing.T) {
		c := start(t, Options{OffMesh: true})
		pod, err := typed(t, c, "west").CoreV1().Pods("test").Get(t.Context(), frontendPod(c), metav1.GetOptions{})
		if err != nil || len(pod.Spec.Containers) != 3 || pod.Annotations["linkerd.io/inject"] != "disabled" {
			t.Errorf("pod %+v, error %v", pod.Spec.Containers, err)
		}
	})
	t.Run("gateway down", func(t *testing.T) {
		c := start(t, Options{GatewayDown: true})
		e, err := typed(t, c, "west").CoreV1().Endpoints("test").Get(t.Context(), "podinfo-east", metav1.GetOptions{})
		if err != nil || len(e.Subsets[0].Addresses) != 0 || len(e.Subsets[0].NotReadyAddresses) != 1 {
			t.Errorf("endpoints %+v, error %v", e.Subsets, err)
		}
		d, err := typed(t, c, "east").AppsV1().Deployments("linkerd-multicluster").Get(t.Context(), "linkerd-gateway", metav1.GetOptions{})
		if err != nil || d.Status.ReadyReplicas != 0 || d.Status.UnavailableReplicas != 1 {
			t.Errorf("deployment %+v, error %v", d.Status, err)
		}
		s, err := typed(t, c, "east").DiscoveryV1().EndpointSlices("linkerd-multicluster").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(s.Items) != 1 || *s.Items[0].Endpoints[0].Conditions.Ready {
			t.Errorf("slices %+v, error %v", s.Items, err)
		}
	})
}

func TestSelectors(t *testing.T) {
	c := start(t, Options{})
	pods := typed(t, c, "west").CoreV1().Pods("")
	for name, tc := range map[string]struct {
		o    metav1.ListOptions
		want int
	}{
		"label":         {metav1.ListOptions{LabelSelector: "app=podinfo"}, 2},
		"set of labels": {metav1.ListOptions{LabelSelector: "app in (podinfo, frontend),pod-template-hash"}, 3},
		"no such label": {metav1.ListOptions{LabelSelector: "app=nothing"}, 0},
		"name":          {metav1.ListOptions{FieldSelector: "metadata.name=legacy"}, 1},
		"namespace":     {metav1.ListOptions{FieldSelector: "metadata.namespace=linkerd-smi"}, 1},
		"node":          {metav1.ListOptions{FieldSelector: "spec.nodeName=west"}, 7},
		"other node":    {metav1.ListOptions{FieldSelector: "spec.nodeName!=west"}, 0},
		"both":          {metav1.ListOptions{LabelSelector: "app", FieldSelector: "status.phase=Running,metadata.namespace=test"}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := pods.List(t.Context(), tc.o)
			if err != nil || len(l.Items) != tc.want {
				t.Errorf("%d pods, want %d, error %v", len(l.Items), tc.want, err)
			}
		})
	}
	for _, o := range []metav1.ListOptions{{FieldSelector: "spec.color=red"}, {LabelSelector: "a=b=c"}} {
		if _, err := pods.List(t.Context(), o); !apierrors.IsBadRequest(err) {
			t.Errorf("%v: error %v", o, err)
		}
	}
}

func TestErrorsAreStatuses(t *testing.T) {
	c := start(t, Options{})
	client := untyped(t, c, "west")
	_, err := client.Resource(splits).Namespace("test").Get(t.Context(), "nothing", metav1.GetOptions{})
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Code != 404 || status.ErrStatus.Reason != metav1.StatusReasonNotFound ||
		status.ErrStatus.Details.Name != "nothing" || status.ErrStatus.Details.Group != "split.smi-spec.io" {
		t.Errorf("get: %v", err)
	}
	unknown := schema.GroupVersionResource{Group: "split.smi-spec.io", Version: "v1alpha4", Resource: "trafficsplits"}
	if _, err := client.Resource(unknown).Namespace("test").List(t.Context(), metav1.ListOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("unknown version: %v", err)
	}
	err = client.Resource(splits).Namespace("test").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
	if !apierrors.IsMethodNotSupported(err) {
		t.Errorf("delete all: %v", err)
	}
	_, err = client.Resource(splits).Namespace("test").Patch(t.Context(), "podinfo", types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
	if !apierrors.IsUnsupportedMediaType(err) {
		t.Errorf("strategic merge patch of a custom resource: %v", err)
	}
}

// What kubectl sends for patch, apply, scale and rollout restart, and what becomes of it.
func TestWritesMoveTheCluster(t *testing.T) {
	c := start(t, Options{})
	west := typed(t, c, "west")
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	pods := func(app string) []string { names, _ := podsOf(c.west.store, app); return names }
	for _, tt := range []struct {
		name, sub string
		kind      types.PatchType
		body      string
		manager   string
		podinfos  int
		refused   func(error) bool
	}{
		{name: "JSON", kind: types.JSONPatchType, body: `[{"op":"replace","path":"/spec/replicas","value":0}]`},
		{name: "JSON of what is not so", kind: types.JSONPatchType, body: `[{"op":"test","path":"/spec/replicas","value":7}]`, refused: apierrors.IsBadRequest},
		{name: "scale", sub: "scale", kind: types.MergePatchType, body: `{"spec":{"replicas":3}}`, podinfos: 3},
		{name: "status", sub: "status", kind: types.MergePatchType, body: `{"spec":{"replicas":9}}`, podinfos: 3},
		{name: "strategic", kind: types.StrategicMergePatchType, body: `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}}}}}`, podinfos: 3},
		{name: "apply", kind: types.ApplyPatchType, body: "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3}", manager: "a", podinfos: 3},
		{name: "apply against another", kind: types.ApplyPatchType, body: "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1}", manager: "b", podinfos: 3, refused: apierrors.IsConflict},
		{name: "wrong type", kind: types.MergePatchType, body: `{"spec":{"replicas":"many"}}`, podinfos: 3, refused: apierrors.IsBadRequest},
		{name: "unknown field", kind: types.MergePatchType, body: `{"spec":{"replica":1}}`, podinfos: 3, refused: apierrors.IsBadRequest},
		{name: "another kind of patch", kind: "text/plain", body: `{}`, podinfos: 3, refused: apierrors.IsUnsupportedMediaType},
	} {
		before := pods(backendWest)
		o := metav1.PatchOptions{FieldManager: tt.manager, FieldValidation: metav1.FieldValidationStrict}
		var sub []string
		if tt.sub != "" {
			sub = append(sub, tt.sub)
		}
		_, err := untyped(t, c, "west").Resource(deployments).Namespace("test").Patch(t.Context(), "podinfo", tt.kind, []byte(tt.body), o, sub...)
		if tt.refused == nil && err != nil || tt.refused != nil && !tt.refused(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		after := pods(backendWest)
		if len(after) != tt.podinfos {
			t.Errorf("%s: pods %v, want %d", tt.name, after, tt.podinfos)
		}
		if tt.name == "strategic" && slices.ContainsFunc(after, func(name string) bool { return slices.Contains(before, name) }) {
			t.Errorf("restarted: %v, before %v", after, before)
		}
		e, err := west.CoreV1().Endpoints("test").Get(t.Context(), "podinfo", metav1.GetOptions{})
		ready := 0
		for _, s := range e.Subsets {
			ready += len(s.Addresses)
		}
		if err != nil || ready != tt.podinfos {
			t.Errorf("%s: %d endpoints, want %d, %v", tt.name, ready, tt.podinfos, err)
		}
	}
}

// An agent ends with its pod, as a container does.
func TestExecEndsWithThePod(t *testing.T) {
	c := start(t, Options{})
	in, hold := io.Pipe()
	defer hold.Close()
	serving, ended := make(chan struct{}), make(chan error, 1)
	c.west.runner.main = func(ctx context.Context, _ []string, _ io.Reader, _, _ io.Writer, _ agent.ServeOptions) int {
		close(serving)
		<-ctx.Done()
		return 0
	}
	pod, config := frontendPod(c), restConfig(t, c, "west")
	go func() {
		_, _, err := runExec(t.Context(), config, webSocket, execRequest{pod: pod, container: "nginx", argv: []string{agentPath, "serve"}, stdin: in})
		ended <- err
	}()
	<-serving
	if err := typed(t, c, "west").CoreV1().Pods("test").Delete(t.Context(), pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "137") {
		t.Errorf("the exec ended with %v", err)
	}
	if now := frontendPod(c); now == pod || strings.Contains(now, " ") {
		t.Errorf("after %s there is %s", pod, now)
	}
}

func TestNobodyGetsInWithoutTheToken(t *testing.T) {
	c := start(t, Options{})
	config := restConfig(t, c, "west")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer tr.CloseIdleConnections()
	for _, token := range []string{"", "Bearer ", "Bearer x", config.BearerToken, "Bearer " + restConfig(t, c, "east").BearerToken} {
		for _, path := range []string{"/version", "/readyz", "/api/v1/pods", "/api/v1/namespaces/test/pods/legacy/exec?command=x"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", token)
			resp, err := (&http.Client{Transport: tr}).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			var status metav1.Status
			if err != nil || json.Unmarshal(b, &status) != nil || resp.StatusCode != 401 || status.Reason != metav1.StatusReasonUnauthorized {
				t.Errorf("%s with %q: %d %.200s", path, token, resp.StatusCode, b)
			}
		}
	}
}

func TestReviews(t *testing.T) {
	c := start(t, Options{})
	review, err := typed(t, c, "west").AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: "test", Verb: "create", Resource: "pods", Subresource: "exec",
		}},
	}, metav1.CreateOptions{})
	if err != nil || !review.Status.Allowed || review.Spec.ResourceAttributes.Subresource != "exec" {
		t.Errorf("review %+v, error %v", review, err)
	}
}

// TestStreamedList asks as client-go's informers do by default: the list comes as a watch, a bookmark ends it, and what
// changes comes after it.
func TestStreamedList(t *testing.T) {
	c := start(t, Options{})
	client := untyped(t, c, "west").Resource(splits).Namespace("test")
	initial := true
	w, err := client.Watch(t.Context(), metav1.ListOptions{
		SendInitialEvents: &initial, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect := func(want string) {
		t.Helper()
		e := <-w.ResultChan()
		if got := fmt.Sprint(e.Type, " ", weightsOf(e.Object)); got != want {
			t.Errorf("seen %q, want %q", got, want)
		}
		if o, ok := e.Object.(*unstructured.Unstructured); ok && e.Type == watch.Bookmark &&
			o.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" {
			t.Errorf("bookmark %v", o)
		}
	}
	expect("ADDED [50 50]")
	expect("BOOKMARK []")
	if err := c.SetWeights(90, 10); err != nil {
		t.Fatal(err)
	}
	expect("MODIFIED [90 10]")
	if err := client.Delete(t.Context(), "podinfo", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("DELETED [90 10]")
}

func weightsOf(o any) []string {
	var found []string
	for _, b := range mapsAt(o.(*unstructured.Unstructured).Object, "spec", "backends") {
		found = append(found, fmt.Sprint(b["weight"]))
	}
	return found
}

func TestWatchFromNothingSendsWhatThereIs(t *testing.T) {
	c := start(t, Options{})
	w, err := typed(t, c, "west").CoreV1().Pods("test").Watch(t.Context(), metav1.ListOptions{LabelSelector: "app=podinfo"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for range 2 {
		e := <-w.ResultChan()
		if pod, ok := e.Object.(*corev1.Pod); !ok || e.Type != watch.Added || pod.Labels["app"] != "podinfo" {
			t.Errorf("event %v", e)
		}
	}
}

// YAML takes an unquoted no for false, which once was the short name of nodes.
func TestShortNamesAreNotBooleans(t *testing.T) {
	served, err := readResources(westSite())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range served {
		for _, name := range r.ShortNames {
			if name == "true" || name == "false" {
				t.Errorf("%s have the short name %q", r.Name, name)
			}
		}
	}
	if nodes, ok := served.byName("nodes"); !ok || !slices.Equal(nodes.ShortNames, []string{"no"}) {
		t.Errorf("nodes: %v", nodes)
	}
}
