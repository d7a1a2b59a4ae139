package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/splitbench/splitbench/internal/demo"
	"github.com/splitbench/splitbench/internal/preflight"
)

// shell carries out the commands of hints on the demo's clusters, as kubectl and linkerd would: those that hints have, and no others.
type shell struct {
	t       *testing.T
	world   *demo.Clusters
	file    string                       // kubeconfig
	clients map[string]dynamic.Interface // by context
}

func newShell(t *testing.T) *shell {
	t.Helper()
	world, err := demo.Start(t.Context(), demo.Options{Seed: 1, GatewayDelay: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Close() })
	s := &shell{t: t, world: world, file: filepath.Join(t.TempDir(), "kubeconfig"), clients: map[string]dynamic.Interface{}}
	if err := os.WriteFile(s.file, world.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, context := range []string{"west", "east"} {
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: s.file},
			&clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
		if err != nil {
			t.Fatal(err)
		}
		if s.clients[context], err = dynamic.NewForConfig(config); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func resourceOf(t *testing.T, kind string) schema.GroupVersionResource {
	t.Helper()
	for _, r := range []schema.GroupVersionResource{
		{Version: "v1", Resource: "services"},
		{Version: "v1", Resource: "endpoints"},
		{Group: "apps", Version: "v1", Resource: "deployments"},
		{Group: "split.smi-spec.io", Version: "v1alpha1", Resource: "trafficsplits"},
		{Group: "linkerd.io", Version: "v1alpha2", Resource: "serviceprofiles"},
		{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
		{Group: "multicluster.linkerd.io", Version: "v1alpha3", Resource: "links"},
	} {
		if name := strings.TrimSuffix(kind, "s"); name != "" && strings.HasPrefix(r.Resource, name) || kind == r.Resource {
			return r
		}
	}
	t.Fatalf("kubectl: no kind %q", kind)
	return schema.GroupVersionResource{}
}

// run carries out a line of commands that are joined by &&.
func (s *shell) run(line string) {
	s.t.Helper()
	for _, command := range strings.Split(line, " && ") {
		switch words := strings.Fields(command); {
		case words[0] == "linkerd" && strings.Contains(command, "multicluster link-gen --cluster-name east | kubectl --context west apply -f -"):
			s.relink()
		case words[0] == "kubectl" && !strings.ContainsAny(command, "'|"):
			s.kubectl(words[1:])
		default:
			s.t.Fatalf("not a command that can be carried out: %q", command)
		}
	}
}

func (s *shell) kubectl(words []string) {
	s.t.Helper()
	context, namespace, verb, rest := "west", "test", "", []string{}
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "--context":
			i++
			context = words[i]
		case w == "-n":
			i++
			namespace = words[i]
		case w == "--overwrite":
		case verb == "":
			verb = w
		case strings.Contains(w, "/") && !strings.Contains(w, "=") && !strings.HasSuffix(w, "-"):
			kind, name, _ := strings.Cut(w, "/")
			rest = append(rest, kind, name)
		default:
			rest = append(rest, w)
		}
	}
	if verb == "rollout" { // restart KIND/NAME
		s.world.RestartProxy()
		return
	}
	objects := s.clients[context].Resource(resourceOf(s.t, rest[0])).Namespace(namespace)
	patch := func(body any) {
		s.t.Helper()
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		before, err := objects.Get(s.t.Context(), rest[1], metav1.GetOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		after, err := objects.Patch(s.t.Context(), rest[1], types.MergePatchType, b, metav1.PatchOptions{})
		if err != nil {
			s.t.Fatal(err)
		}
		before.SetResourceVersion("")
		after.SetResourceVersion("")
		before.SetManagedFields(nil)
		after.SetManagedFields(nil)
		if fmt.Sprint(before) == fmt.Sprint(after) {
			s.t.Errorf("kubectl %s changes nothing", strings.Join(words, " "))
		}
	}
	switch verb {
	case "delete":
		for i := 0; i+1 < len(rest); i += 2 {
			if err := objects.Delete(s.t.Context(), rest[i+1], metav1.DeleteOptions{}); err != nil {
				s.t.Fatal(err)
			}
		}
	case "annotate", "label":
		values := map[string]any{}
		for _, w := range rest[2:] {
			if name, value, set := strings.Cut(w, "="); set {
				values[name] = value
			} else {
				values[strings.TrimSuffix(name, "-")] = nil
			}
		}
		patch(map[string]any{"metadata": map[string]any{map[string]string{"annotate": "annotations", "label": "labels"}[verb]: values}})
	case "scale":
		var n int64
		if _, err := fmt.Sscanf(rest[2], "--replicas=%d", &n); err != nil {
			s.t.Fatal(err)
		}
		patch(map[string]any{"spec": map[string]any{"replicas": n}})
	case "patch":
		var body map[string]any
		if err := json.Unmarshal([]byte(rest[2]), &body); err != nil {
			s.t.Fatal(err)
		}
		patch(body)
	default:
		s.t.Fatalf("kubectl %s: a hint that only looks", verb)
	}
	if context == "east" && rest[0] == "service" {
		s.mirror()
	}
}

// mirror is what the service mirror does when the original is written: the mirror has its ports.
func (s *shell) mirror() {
	s.t.Helper()
	services := func(context string) dynamic.ResourceInterface {
		return s.clients[context].Resource(resourceOf(s.t, "services")).Namespace("test")
	}
	original, err := services("east").Get(s.t.Context(), "podinfo", metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	ports, _, _ := unstructured.NestedSlice(original.Object, "spec", "ports")
	b, _ := json.Marshal(map[string]any{"spec": map[string]any{"ports": ports}})
	if _, err := services("west").Patch(s.t.Context(), "podinfo-east", types.MergePatchType, b, metav1.PatchOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// relink is what a new Link comes to: it and the mirror lead to where the gateway is, and the way is open again.
func (s *shell) relink() {
	s.t.Helper()
	s.kubectl([]string{"-n", "linkerd-multicluster", "patch", "link", "east", `{"spec":{"gatewayAddress":"172.30.44.100"}}`})
	s.world.CutGateway(false)
	s.world.ShutGate(false)
}

// check asks for the checks of a split, with the pod's own word.
func (s *shell) check(split string) []preflight.Result {
	s.t.Helper()
	args := strings.Fields("splitbench check " + split + " --context west --remote-context east -n test --from deploy/frontend -c nginx --probe -o json")
	var stdout, stderr bytes.Buffer
	run(s.t.Context(), args, surroundings{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(k string) string {
		return map[string]string{"SPLITBENCH_KUBECONFIG": s.file}[k]
	}})
	var doc struct{ Checks []preflight.Result }
	if err := json.Unmarshal(stdout.Bytes(), &doc); err != nil {
		s.t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	return doc.Checks
}

// create makes an object in west.
func (s *shell) create(kind string, object map[string]any) {
	s.t.Helper()
	if _, err := s.clients["west"].Resource(resourceOf(s.t, kind)).Namespace("test").Create(s.t.Context(),
		&unstructured.Unstructured{Object: object}, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// secondSplit is another TrafficSplit of the root: written last, it rules.
func (s *shell) secondSplit() {
	s.create("trafficsplits", map[string]any{
		"apiVersion": "split.smi-spec.io/v1alpha1", "kind": "TrafficSplit", "metadata": map[string]any{"name": "second"},
		"spec": map[string]any{"service": "podinfo", "backends": []any{map[string]any{"service": "podinfo", "weight": int64(1)}}},
	})
}

// route is an HTTPRoute of the root that the policy controller has accepted.
func (s *shell) route() {
	ref := map[string]any{"group": "core", "kind": "Service", "name": "podinfo", "port": int64(9898)}
	s.create("httproutes", map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": map[string]any{"name": "podinfo"},
		"spec": map[string]any{"parentRefs": []any{ref}, "rules": []any{map[string]any{"backendRefs": []any{
			map[string]any{"name": "podinfo", "port": int64(9898), "weight": int64(1)}, map[string]any{"name": "podinfo-east", "port": int64(9898), "weight": int64(1)},
		}}}},
		"status": map[string]any{"parents": []any{map[string]any{
			"controllerName": "linkerd.io/policy-controller", "parentRef": ref,
			"conditions": []any{map[string]any{"type": "Accepted", "status": "True", "reason": "Accepted"}},
		}}},
	})
}

// TestHintsHeal plants a fault, carries out what the root cause's hint says, and wants every check that failed healed and no other
// made. The demo's SMI adaptor does what that of linkerd-smi 0.2.7 did beside Linkerd edge-26.8.3: a deleted split leaves an empty
// profile whoever else names the root, and any write to a split makes it anew.
func TestHintsHeal(t *testing.T) {
	const profile = "podinfo.test.svc.cluster.local"
	for _, row := range []struct {
		name, id string
		split    string
		plant    func(s *shell)
		also     []string // what follows from it
		left     []string // what the demo cannot play: its data plane follows one kind of object
	}{
		{name: "adaptor scaled to nothing", id: "SB003", plant: func(s *shell) { s.run("kubectl -n linkerd-smi scale deployment smi-adaptor --replicas=0") }},
		{name: "adaptor that missed a change", id: "SB003", also: []string{"SB004"}, plant: func(s *shell) {
			s.run("kubectl -n linkerd-smi scale deployment smi-adaptor --replicas=0")
			s.run(`kubectl patch trafficsplit podinfo {"spec":{"backends":[{"service":"podinfo","weight":90},{"service":"podinfo-east","weight":10}]}}`)
		}},
		{name: "profile edited", id: "SB004", plant: func(s *shell) {
			s.run(`kubectl patch serviceprofile ` + profile + ` {"spec":{"dstOverrides":[{"authority":"podinfo.test.svc.cluster.local","weight":"90"},{"authority":"podinfo-east.test.svc.cluster.local","weight":"10"}]}}`)
		}},
		{name: "profile deleted", id: "SB004", plant: func(s *shell) { s.run("kubectl delete serviceprofile " + profile) }},
		{name: "profile emptied", id: "SB004", plant: func(s *shell) {
			s.secondSplit()
			s.run("kubectl delete trafficsplit second")
		}},
		{name: "adaptor told to skip", id: "SB004", plant: func(s *shell) {
			s.run("kubectl annotate serviceprofile " + profile + " smi.linkerd.io/skip=x")
			s.run(`kubectl patch trafficsplit podinfo {"spec":{"backends":[{"service":"podinfo","weight":90},{"service":"podinfo-east","weight":10}]}}`)
		}},
		{name: "two splits of one root", id: "SB005", also: []string{"SB004"}, plant: (*shell).secondSplit},
		{name: "route behind a TrafficSplit", id: "SB005", split: "httproute/podinfo", also: []string{"SB004", "SB021"}, plant: (*shell).route, left: []string{"SB001"}},
		{name: "mirror without the port of its original", id: "SB009", plant: func(s *shell) {
			s.run(`kubectl patch service podinfo-east {"spec":{"ports":[{"name":"grpc","port":9999,"protocol":"TCP"}]}}`)
		}},
		{name: "service mirror scaled to nothing", id: "SB039", plant: func(s *shell) {
			s.run("kubectl -n linkerd-multicluster scale deployment controller-east --replicas=0")
		}},
		{name: "port that is opaque by the Service", id: "SB017", plant: func(s *shell) {
			s.run("kubectl annotate service podinfo config.linkerd.io/opaque-ports=9898")
		}},
		{name: "export withdrawn", id: "SB010", plant: func(s *shell) {
			s.run("kubectl --context east label service podinfo mirror.linkerd.io/exported-")
		}},
		{name: "Link to an address that is no gateway's", id: "SB011", also: []string{"SB008", "SB012"}, plant: func(s *shell) {
			s.run(`kubectl -n linkerd-multicluster patch link east {"spec":{"gatewayAddress":"192.0.2.7"}}`)
			s.world.CutGateway(true)
			s.world.ShutGate(true)
		}},
		{name: "weight in the profile that nobody can read", id: "SB014", also: []string{"SB004"}, plant: func(s *shell) {
			s.run(`kubectl patch serviceprofile ` + profile + ` {"spec":{"dstOverrides":[{"authority":"podinfo.test.svc.cluster.local","weight":"abc"}]}}`)
		}},
	} {
		t.Run(row.id+" "+row.name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t)
			split := "ts/podinfo"
			if row.split != "" {
				split = row.split
			}
			row.plant(s)
			hint, found := "", []string{}
			for _, r := range s.check(split) {
				switch {
				case r.ID == row.id && r.CausedBy == "":
					hint = r.Hint
				case r.Status != preflight.Failed:
				case r.CausedBy != row.id:
					t.Errorf("failed for itself: %+v", r)
				default:
					found = append(found, r.ID)
				}
			}
			slices.Sort(found)
			if hint == "" || fmt.Sprint(found) != fmt.Sprint(row.also) && len(found)+len(row.also) > 0 {
				t.Fatalf("hint %q; with it %v, want %v", hint, found, row.also)
			}
			hint, _, _ = strings.Cut(hint, ", or let each")
			command := hint[strings.LastIndex(hint, ": ")+2:]
			if i := strings.Index(hint, ": linkerd "); i >= 0 {
				command, _, _ = strings.Cut(hint[i+2:], " (before")
			}
			s.run(command)
			after := s.check(split)
			for _, r := range after {
				// Proxies that were asked meanwhile keep what they looked up: that check has a hint of its own.
				if r.ID == "SB001" && r.Status == preflight.Failed && !slices.Contains(row.left, r.ID) {
					s.run(r.Hint[strings.LastIndex(r.Hint, ": ")+2:])
					after = s.check(split)
				}
			}
			for _, r := range after {
				if (r.Status == preflight.Failed || r.ID == row.id && r.Status != preflight.OK) && !slices.Contains(row.left, r.ID) {
					t.Errorf("after %q: %+v", command, r)
				}
			}
		})
	}
}
