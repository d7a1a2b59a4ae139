package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	kubetest "k8s.io/client-go/testing"

	"github.com/splitbench/splitbench/internal/law"
)

// answering has the API server answer one kind of request.
func answering(verb, resource string, answer func() (runtime.Object, error), objects ...runtime.Object) *fake.Clientset {
	kube := fake.NewClientset(objects...)
	kube.PrependReactor(verb, resource, func(kubetest.Action) (bool, runtime.Object, error) {
		o, err := answer()
		return true, o, err
	})
	return kube
}

func refuse(text string) func() (runtime.Object, error) {
	return func() (runtime.Object, error) {
		return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "splitbench-1-0", errors.New(text))
	}
}

// The sentences are Kubernetes 1.36.3's.
func TestWhatTheAPIServerSaysOfAPod(t *testing.T) {
	injected := func() (runtime.Object, error) {
		return &core.Pod{Spec: core.PodSpec{InitContainers: []core.Container{{Name: "linkerd-proxy"}}}}, nil
	}
	plain := func() (runtime.Object, error) { return &core.Pod{}, nil }
	for name, c := range map[string]struct {
		answer  func() (runtime.Object, error)
		sight   law.Sight
		refused string
		meshed  bool
	}{
		"a native sidecar": {injected, law.Seen, "", true},
		"no injector":      {plain, law.Seen, "", false},
		"a quota": {
			refuse("exceeded quota: four, requested: pods=1, used: pods=4, limited: pods=4"), law.Seen, "exceeded quota: four", false,
		},
		"Pod Security": {
			refuse(`violates PodSecurity "restricted:latest": unrestricted capabilities (container "linkerd-init" must not include "NET_ADMIN")`),
			law.Seen, `violates PodSecurity "restricted:latest"`, false,
		},
		"no permission to ask": {
			refuse(`User "auditor" cannot create resource "pods" in API group "" in the namespace "test"`), law.Unread, "", false,
		},
		"a server that is gone": {func() (runtime.Object, error) { return nil, errors.New("connection refused") }, law.Unread, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := Ask(t.Context(), answering("create", "pods", c.answer), spec(t))
			if got.Sight != c.sight || got.Meshed != c.meshed || (c.refused == "") != (got.Refused == "") || !strings.Contains(got.Refused, c.refused) ||
				(got.Sight == law.Unread) != (got.Why != "") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func amounts(cpu, memory string) core.ResourceList {
	return core.ResourceList{core.ResourceCPU: resource.MustParse(cpu), core.ResourceMemory: resource.MustParse(memory)}
}

// Quotas count what the pod is after admission: with its proxy, and with an init container that takes more for a moment.
func TestQuotasThatDoNotLeaveRoom(t *testing.T) {
	always := core.ContainerRestartPolicyAlways
	quota := func(name string, hard, used map[core.ResourceName]string, scopes ...core.ResourceQuotaScope) *core.ResourceQuota {
		q := &core.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "test"}}
		q.Spec.Scopes = scopes
		q.Status.Hard, q.Status.Used = core.ResourceList{}, core.ResourceList{}
		for r, amount := range hard {
			q.Status.Hard[r] = resource.MustParse(amount)
		}
		for r, amount := range used {
			q.Status.Used[r] = resource.MustParse(amount)
		}
		return q
	}
	pod := &core.Pod{Spec: core.PodSpec{
		InitContainers: []core.Container{
			{Name: "linkerd-proxy", RestartPolicy: &always, Resources: core.ResourceRequirements{Requests: amounts("100m", "20Mi")}},
			{Name: "copy", Resources: core.ResourceRequirements{Requests: amounts("10m", "200Mi")}},
		},
		Containers: []core.Container{{Name: Container, Resources: core.ResourceRequirements{Requests: amounts("100m", "64Mi"), Limits: amounts("1", "1Gi")}}},
	}}
	kube := answering("create", "pods", func() (runtime.Object, error) { return pod, nil },
		quota("four", map[core.ResourceName]string{"pods": "12"}, map[core.ResourceName]string{"pods": "8"}),
		quota("enough", map[core.ResourceName]string{"pods": "16", "secrets": "0"}, map[core.ResourceName]string{"pods": "8"}),
		quota("cpu", map[core.ResourceName]string{"requests.cpu": "1"}, map[core.ResourceName]string{"requests.cpu": "0"}),
		quota("memory", map[core.ResourceName]string{"memory": "1Gi"}, nil),
		quota("limits", map[core.ResourceName]string{"limits.cpu": "1"}, map[core.ResourceName]string{"limits.cpu": "2"}),
		quota("scoped", map[core.ResourceName]string{"pods": "0"}, nil, core.ResourceQuotaScopeBestEffort),
	)
	room := map[string]int{}
	for _, s := range Ask(t.Context(), kube, spec(t)).Shortages {
		room[s.Quota] = s.Room
	}
	// 220Mi is what the init container takes beside the sidecar, more than the 84Mi of all that runs.
	if d := cmp.Diff(map[string]int{"four": 4, "cpu": 5, "memory": 4, "limits": 0}, room); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func waiting(reason, message string) core.PodStatus {
	return core.PodStatus{Phase: core.PodPending, ContainerStatuses: []core.ContainerStatus{{
		Name: Container, Image: "x:1", State: core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

func TestWhatKeepsPodsFromBeingReady(t *testing.T) {
	condition := func(kind core.PodConditionType, status core.ConditionStatus, reason, message string) core.PodStatus {
		return core.PodStatus{Phase: core.PodPending, Conditions: []core.PodCondition{{Type: kind, Status: status, Reason: reason, Message: message}}}
	}
	ended := core.PodStatus{Phase: core.PodFailed, ContainerStatuses: []core.ContainerStatus{{
		Name: Container, Image: "x:1", State: core.ContainerState{Terminated: &core.ContainerStateTerminated{ExitCode: 255, Reason: "Error", Message: "exec /splitbench: exec format error"}},
	}}}
	for name, c := range map[string]struct {
		status core.PodStatus
		want   state
	}{
		"ready":    {condition(core.PodReady, core.ConditionTrue, "", ""), state{ready: 1}},
		"starting": {waiting("ContainerCreating", ""), state{}},
		"no image": {
			waiting("ErrImagePull", "not found"), state{failed: "pod p, container splitbench, image x:1: ErrImagePull: not found"},
		},
		"another architecture": {
			ended, state{failed: "pod p, container splitbench, image x:1: it ended with exit code 255 (Error): exec /splitbench: exec format error"},
		},
		"evicted": {core.PodStatus{Phase: core.PodFailed, Reason: "Evicted"}, state{failed: "pod p has failed: Evicted"}},
		"no node": {
			condition(core.PodScheduled, core.ConditionFalse, "Unschedulable", "0/1 nodes are available"),
			state{waiting: "pod p has no node (Unschedulable: 0/1 nodes are available)"},
		},
	} {
		got := stateOf([]core.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: c.status}})
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A Job whose controller is refused says so by its events; what was made is taken away by End, also after the context ended.
func TestAJobThatMakesNoPods(t *testing.T) {
	s := spec(t)
	kube := fake.NewClientset(&core.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "test"}, Reason: "FailedCreate", Message: "pods is forbidden: exceeded quota: four",
		InvolvedObject: core.ObjectReference{Kind: "Job", Name: s.Name},
	})
	began := time.Now()
	err := Start(t.Context(), kube, s, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "exceeded quota: four") || time.Since(began) > time.Minute {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // one that is not there is as it should be
		if err := End(ctx, kube, s); err != nil {
			t.Error(err)
		}
	}
	if left, err := kube.BatchV1().Jobs("test").List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAJobThatIsRefused(t *testing.T) {
	kube := answering("create", "jobs", func() (runtime.Object, error) { return &batch.Job{}, fmt.Errorf("no") })
	if err := Start(t.Context(), kube, spec(t), func(string) {}); err == nil || err.Error() != "make Job splitbench-1: no" {
		t.Error(err)
	}
}
