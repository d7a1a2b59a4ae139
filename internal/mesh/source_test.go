package mesh

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/splitbench/splitbench/internal/law"
)

// mustConnectNowhere is a client of an address where nothing listens: port 1 of the loopback.
func mustConnectNowhere(t *testing.T, like Client) Client {
	t.Helper()
	c, err := Connect(&rest.Config{Host: "http://127.0.0.1:1"}, like.Context)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const frontendPod = "pods/test/frontend-7-xxxxx"

// pod is one more frontend pod: name, template hash, creation time, and the state of its Ready condition.
func pod(name, hash, created, ready string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: test, uid: %s, creationTimestamp: %q, labels: {app: frontend, pod-template-hash: %q}}, "+
		"spec: {containers: [{name: nginx}]}, status: {phase: Running, conditions: [{type: Ready, status: %q}], "+
		"containerStatuses: [{name: nginx, ready: true, state: {running: {}}}]}}", name, name, created, hash, ready)
}

func TestSourcePodIsTheOldestReadyOneOfTheNewestRevision(t *testing.T) {
	for _, row := range []struct {
		name string
		edit func(*apiServer)
		want string
	}{
		{"one pod", func(*apiServer) {}, "frontend-7-xxxxx"},
		{"oldest", func(s *apiServer) {
			s.put(pod("young", "7", "2026-11-03T00:00:00Z", "True"))
			s.put(pod("aged", "7", "2026-10-01T00:00:00Z", "True"))
		}, "aged"},
		{"by name at equal age", func(s *apiServer) { s.put(pod("a", "7", "2026-11-01T10:00:00Z", "True")) }, "a"},
		{"not the unready one", func(s *apiServer) { s.put(pod("aged", "7", "2026-10-01T00:00:00Z", "False")) }, "frontend-7-xxxxx"},
		{"not the terminating one", func(s *apiServer) {
			s.put(pod("aged", "7", "2026-10-01T00:00:00Z", "True"))
			s.set("pods/test/aged", "metadata/deletionTimestamp", "2026-11-03T00:00:00Z")
		}, "frontend-7-xxxxx"},
		{"newest revision by its number, though another pod is newer", func(s *apiServer) {
			s.put(pod("current", "8", "2026-11-02T00:00:00Z", "True"))
			s.put(pod("rescheduled", "7", "2026-11-03T00:00:00Z", "True"))
			for hash, revision := range map[string]string{"7": "3", "8": "4", "9": "99"} { // 9 has no pods
				s.put(fmt.Sprintf("{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: frontend-%s, namespace: test, labels: {app: frontend, pod-template-hash: %q}, "+
					"annotations: {deployment.kubernetes.io/revision: %q}}}", hash, hash, revision))
			}
		}, "current"},
		{"newest pod where ReplicaSets may not be read", func(s *apiServer) {
			s.put(pod("new", "8", "2026-11-02T00:00:00Z", "True"))
			s.refuse["/apis/apps/v1/namespaces/test/replicasets"] = 403
		}, "new"},
		{"an unready one where none is ready", func(s *apiServer) {
			s.set(frontendPod, "status/conditions/0/status", "False")
		}, "frontend-7-xxxxx"},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			row.edit(west)
			s := mustDiscover(t, west, east, query())
			if s.Source.Name != row.want {
				t.Errorf("took %s", s.Source.Name)
			}
			several := len(west.objects) > len(newServer(t, "testdata/west.yaml").objects)
			if noted := strings.Contains(strings.Join(s.Notes, "\n"), "pods fit --from deploy/frontend"); noted != several {
				t.Errorf("notes %q", s.Notes)
			}
		})
	}
}

func TestSourceByPodAndSelector(t *testing.T) {
	for _, q := range []Query{
		{Namespace: "test", Split: "podinfo", From: "pod/frontend-7-xxxxx"},
		{Namespace: "test", Split: "podinfo", From: "frontend-7-xxxxx"},
		{Namespace: "test", Split: "podinfo", Selector: "app=frontend,pod-template-hash notin (8)"},
	} {
		west, east := clusters(t)
		if s := mustDiscover(t, west, east, q); s.Source.UID != "pod-frontend" {
			t.Errorf("%+v: source %+v", q, s.Source)
		}
	}
	west, east := clusters(t)
	s := mustDiscover(t, west, east, Query{Namespace: "test", Split: "podinfo"})
	if s.Source.Name != "" || !strings.Contains(strings.Join(s.Notes, "\n"), "no source pod was named") {
		t.Errorf("source %+v, notes %q", s.Source, s.Notes)
	}
}

func TestMeshed(t *testing.T) {
	sidecar := map[string]any{"name": "linkerd-proxy", "image": "proxy:2", "restartPolicy": "Always"}
	withoutProxy := func(s *apiServer) {
		spec := s.object(frontendPod)["spec"].(map[string]any)
		spec["containers"] = spec["containers"].([]any)[1:]
		st := s.object(frontendPod)["status"].(map[string]any)
		st["containerStatuses"] = st["containerStatuses"].([]any)[1:]
	}
	for _, row := range []struct {
		name          string
		edit          func(*apiServer)
		meshed, ready bool
		restarts      int32
	}{
		{"container", func(*apiServer) {}, true, true, 2},
		{"container that is not ready", func(s *apiServer) { s.set(frontendPod, "status/containerStatuses/0/ready", false) }, true, false, 2},
		{"none", withoutProxy, false, false, 0},
		{"native sidecar", func(s *apiServer) {
			withoutProxy(s)
			s.set(frontendPod, "spec/initContainers", []any{sidecar})
			s.set(frontendPod, "status/initContainerStatuses", []any{map[string]any{
				"name": "linkerd-proxy", "ready": true, "restartCount": 4,
				"state": map[string]any{"running": map[string]any{"startedAt": "2026-11-01T10:00:05Z"}},
			}})
		}, true, true, 4},
		{"native sidecar that is not ready", func(s *apiServer) {
			withoutProxy(s)
			s.set(frontendPod, "spec/initContainers", []any{sidecar})
		}, true, false, 0},
		{"an init container of that name that ends", func(s *apiServer) {
			withoutProxy(s)
			s.set(frontendPod, "spec/initContainers", []any{map[string]any{"name": "linkerd-proxy", "image": "x"}})
		}, false, false, 0},
		{"another sidecar", func(s *apiServer) {
			withoutProxy(s)
			s.set(frontendPod, "spec/initContainers", []any{map[string]any{"name": "log-shipper", "restartPolicy": "Always"}})
		}, false, false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			row.edit(west)
			p := mustDiscover(t, west, east, query()).Source
			if p.Meshed != row.meshed || p.ProxyReady != row.ready || p.ProxyRestarts != row.restarts {
				t.Errorf("meshed %v, ready %v, %d restarts", p.Meshed, p.ProxyReady, p.ProxyRestarts)
			}
			if p.Container != "nginx" {
				t.Errorf("container %s", p.Container)
			}
		})
	}
}

func TestContainerChoice(t *testing.T) {
	for _, row := range []struct {
		name, named, annotation, want, why, note string
	}{
		{"first that is not the proxy", "", "", "nginx", "first container that is not the proxy", ""},
		{"by annotation", "", "external", "external", "default-container annotation", ""},
		{"-c before the annotation", "internal", "external", "internal", "-c", ""},
		{"the annotation names nothing", "", "gone", "nginx", "first container that is not the proxy", `its default-container annotation names "gone"`},
		{"the annotation names the proxy", "", "linkerd-proxy", "nginx", "first container that is not the proxy", `its default-container annotation names "linkerd-proxy"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			if row.annotation != "" {
				west.object(frontendPod)["metadata"].(map[string]any)["annotations"] = map[string]any{"kubectl.kubernetes.io/default-container": row.annotation}
			}
			q := query()
			q.Container = row.named
			s := mustDiscover(t, west, east, q)
			if s.Source.Container != row.want || s.Source.ContainerWhy != row.why || !strings.Contains(strings.Join(s.Notes, "\n"), row.note) {
				t.Errorf("%s (%s), notes %q", s.Source.Container, s.Source.ContainerWhy, s.Notes)
			}
		})
	}
}

func TestInstalledAgent(t *testing.T) {
	for _, row := range []struct{ value, want string }{
		{"/opt/splitbench-agent", "/opt/splitbench-agent"},
		{"splitbench-agent", ""},
		{"/opt/../bin/sh", ""},
		{"/bin/sh -c x", ""},
		{"/opt/\x1b[2J", ""},
		{"/" + strings.Repeat("a", 2000), ""},
	} {
		west, east := clusters(t)
		west.object(frontendPod)["metadata"].(map[string]any)["annotations"] = map[string]any{"splitbench.io/agent": row.value}
		s := mustDiscover(t, west, east, query())
		if s.Source.AgentPath != row.want || (len(s.Notes) == 0) != (row.want != "") {
			t.Errorf("%q: %q, notes %q", row.value, s.Source.AgentPath, s.Notes)
		}
		if strings.Contains(strings.Join(s.Notes, ""), "\x1b") {
			t.Errorf("escape in notes %q", s.Notes)
		}
	}
}

func TestContainerProblem(t *testing.T) {
	for _, row := range []struct {
		path  string
		value any
		want  string
	}{
		{"status/containerStatuses/1/state", map[string]any{"waiting": map[string]any{"reason": "CrashLoopBackOff"}}, "container nginx is waiting (CrashLoopBackOff)"},
		{"status/containerStatuses/1/state", map[string]any{"terminated": map[string]any{"reason": "Completed"}}, "container nginx has ended (Completed)"},
		{"status/containerStatuses", nil, "container nginx has not started"},
		{"status/phase", "Pending", "the pod is Pending"},
		{"metadata/deletionTimestamp", "2026-11-03T00:00:00Z", "the pod is terminating"},
	} {
		west, east := clusters(t)
		west.set(frontendPod, row.path, row.value)
		q := query()
		q.From = "pod/frontend-7-xxxxx"
		if got := mustDiscover(t, west, east, q).Source.Problem; got != row.want {
			t.Errorf("%s: %q", row.path, got)
		}
	}
}

func TestThrough(t *testing.T) {
	west, east := clusters(t)
	west.put(pod("second", "7", "2026-11-03T00:00:00Z", "True"))
	q := query()
	q.Through = "svc/frontend"
	th := mustDiscover(t, west, east, q).Through
	if th == nil || th.Service.Name != "frontend" || len(th.Pods) != 2 || !th.Pods[0].Meshed || th.Pods[1].Meshed {
		t.Fatalf("%+v", th)
	}
	west.set("pods/test/second", "status/phase", "Succeeded")
	if th = mustDiscover(t, west, east, q).Through; len(th.Pods) != 1 {
		t.Errorf("%d pods draw", len(th.Pods))
	}
	west.set(frontendPod, "status/phase", "Failed")
	if _, err := discover(t, west, east, q); err == nil || !strings.Contains(err.Error(), "none of the 2 pods that it selects is running") {
		t.Errorf("got %v", err)
	}
}

// A list of many pods is read a page at a time, and a source is one pod: the first page will do.
func TestManyPods(t *testing.T) {
	west, east := clusters(t)
	for i := range 600 {
		west.put(pod(fmt.Sprintf("many-%04d", i), "7", "2026-11-02T00:00:00Z", "True"))
	}
	s := mustDiscover(t, west, east, query())
	if s.Source.Name != "frontend-7-xxxxx" || !strings.Contains(strings.Join(s.Notes, "\n"), "more than 500 pods fit") {
		t.Errorf("%s, notes %q", s.Source.Name, s.Notes)
	}
}

func TestChanges(t *testing.T) {
	q := query()
	q.Through = "svc/frontend"
	for _, row := range []struct {
		name string
		edit func(west, east *apiServer)
		want []string // what changed; none: no change
	}{
		{"nothing", func(_, _ *apiServer) {}, nil},
		{"pods of a backend come and go", func(w, _ *apiServer) {
			w.drop("endpointslices/test/podinfo-fghij")
			w.set("endpointslices/test/podinfo-abcde", "endpoints/0/conditions/ready", false)
		}, nil},
		{"resource version alone", func(w, _ *apiServer) { w.set("trafficsplits/test/podinfo", "metadata/resourceVersion", "999") }, nil},
		{"weights", func(w, _ *apiServer) {
			w.set("serviceprofiles/test/podinfo.test.svc.cluster.local", "spec/dstOverrides/0/weight", "90")
		}, []string{"effective weights: podinfo=50,podinfo-east=50 -> podinfo=90,podinfo-east=50"}},
		{"the same weights in other numbers", func(w, _ *apiServer) {
			w.set("serviceprofiles/test/podinfo.test.svc.cluster.local", "spec/dstOverrides/0/weight", "5")
			w.set("serviceprofiles/test/podinfo.test.svc.cluster.local", "spec/dstOverrides/1/weight", "5")
		}, nil},
		{"split replaced", func(w, _ *apiServer) { w.set("trafficsplits/test/podinfo", "metadata/uid", "new") }, []string{"split UID: ts-podinfo -> new"}},
		{"split deleted", func(w, _ *apiServer) { w.drop("trafficsplits/test/podinfo") }, []string{"TrafficSplit test/podinfo: there -> deleted"}},
		{
			"profile deleted", func(w, _ *apiServer) { w.drop("serviceprofiles/test/podinfo.test.svc.cluster.local") },
			[]string{
				"effective weights: podinfo=50,podinfo-east=50 -> podinfo=1,podinfo-east=0",
				"object that weights are read from: ServiceProfile test/podinfo.test.svc.cluster.local -> the root Service alone: nothing splits it",
			},
		},
		{"proxy restarted", func(w, _ *apiServer) {
			w.set(frontendPod, "status/containerStatuses/0/restartCount", 3)
			w.set(frontendPod, "status/containerStatuses/0/state/running/startedAt", "2026-11-09T00:00:00Z")
		}, []string{
			"proxy of frontend-7-xxxxx: 2 restarts, started 2026-11-01T10:00:05Z -> 3 restarts, started 2026-11-09T00:00:00Z",
			"proxy of frontend-7-xxxxx: 2 restarts, started 2026-11-01T10:00:05Z -> 3 restarts, started 2026-11-09T00:00:00Z",
		}},
		{"source pod replaced", func(w, _ *apiServer) { w.set(frontendPod, "metadata/uid", "other") }, []string{
			"source pod: frontend-7-xxxxx pod-frontend -> frontend-7-xxxxx other",
			"pod that draws: none -> frontend-7-xxxxx other",
			"pod that draws: frontend-7-xxxxx pod-frontend -> none",
		}},
		{"backend's Service gone", func(w, _ *apiServer) { w.drop("services/test/podinfo-east") }, []string{
			"Service of backend podinfo-east: svc-podinfo-east 10.1.0.11 -> none",
			"endpoints of backend podinfo-east: 192.0.2.10:4143 -> none",
		}},
		{
			"mirror moved", func(w, _ *apiServer) { w.set("endpoints/test/podinfo-east", "subsets/0/addresses/0/ip", "192.0.2.99") },
			[]string{"endpoints of backend podinfo-east: 192.0.2.10:4143 -> 192.0.2.99:4143"},
		},
		{"gateway found dead", func(w, _ *apiServer) {
			w.set("endpoints/test/podinfo-east", "subsets/0/notReadyAddresses", []any{map[string]any{"ip": "192.0.2.10"}})
			w.set("endpoints/test/podinfo-east", "subsets/0/addresses", nil)
		}, []string{"endpoints of backend podinfo-east: 192.0.2.10:4143 -> 192.0.2.10:4143 not ready"}},
		{"last pod of a backend gone", func(w, _ *apiServer) {
			w.drop("endpointslices/test/podinfo-fghij")
			w.drop("endpointslices/test/podinfo-abcde")
		}, []string{"endpoints of backend podinfo: some ready -> none ready"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			west, east := clusters(t)
			before := mustDiscover(t, west, east, q)
			row.edit(west, east)
			after := mustDiscover(t, west, east, q.Pinned(before))
			var got []string
			for _, c := range law.Changes(before, after) {
				got = append(got, c.String())
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
