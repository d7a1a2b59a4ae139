package demo

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// workloads plays the controllers, the proxy injector and the kubelet of one cluster, once: it makes ReplicaSets and
// running pods of Deployments.
type workloads struct {
	site     site
	now      time.Time
	injected corev1.Pod // what the injector adds
	nextIP   int
}

// addStatus gives the Deployment its status and returns its ReplicaSet and pods.
func (w *workloads) addStatus(f *fixture) ([]fixture, error) {
	d, err := decode[appsv1.Deployment](f.object)
	if err != nil {
		return nil, err
	}
	hash := suffix(10, w.site.Cluster, d.Namespace, d.Name, "template")
	ready := *d.Spec.Replicas
	if !f.ready {
		ready = 0
	}
	available := corev1.ConditionTrue
	if ready < *d.Spec.Replicas {
		available = corev1.ConditionFalse
	}
	created := metav1.NewTime(w.now.Add(-f.age).UTC().Truncate(time.Second))
	d.Status = appsv1.DeploymentStatus{
		ObservedGeneration: 1, Replicas: *d.Spec.Replicas, UpdatedReplicas: *d.Spec.Replicas,
		ReadyReplicas: ready, AvailableReplicas: ready, UnavailableReplicas: *d.Spec.Replicas - ready,
		Conditions: []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentAvailable, Status: available, Reason: "MinimumReplicasAvailable",
			LastUpdateTime: created, LastTransitionTime: created,
		}, {
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable",
			LastUpdateTime: created, LastTransitionTime: created,
		}},
	}
	setAnnotation(&d.ObjectMeta, "deployment.kubernetes.io/revision", "1")
	d.UID = types.UID(uid(w.site.Cluster, "Deployment", d.Namespace, d.Name))
	rs := w.replicaSet(d, hash, ready)
	made := []fixture{{age: f.podAge, writer: "kube-controller-manager"}}
	if f.object, err = toUnstructured(d); err != nil {
		return nil, err
	}
	if made[0].object, err = toUnstructured(rs); err != nil {
		return nil, err
	}
	for i := range int(*d.Spec.Replicas) {
		pod := w.pod(rs, i)
		if f.meshed {
			w.inject(pod)
		}
		w.run(pod, f.podAge, f.ready)
		o, err := toUnstructured(pod)
		if err != nil {
			return nil, err
		}
		made = append(made, fixture{object: o, age: f.podAge, writer: "kubelet"})
	}
	return made, nil
}

func (w *workloads) replicaSet(d *appsv1.Deployment, hash string, ready int32) *appsv1.ReplicaSet {
	template := d.Spec.Template.DeepCopy()
	template.Labels = withLabel(template.Labels, "pod-template-hash", hash)
	name := d.Name + "-" + hash
	return &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: d.Namespace, Labels: template.Labels,
			UID:             types.UID(uid(w.site.Cluster, "ReplicaSet", d.Namespace, name)),
			Annotations:     map[string]string{"deployment.kubernetes.io/revision": "1"},
			OwnerReferences: ownedBy(d, "Deployment"),
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: d.Spec.Replicas,
			Selector: &metav1.LabelSelector{MatchLabels: withLabel(d.Spec.Selector.MatchLabels, "pod-template-hash", hash)},
			Template: *template,
		},
		Status: appsv1.ReplicaSetStatus{
			Replicas: *d.Spec.Replicas, FullyLabeledReplicas: *d.Spec.Replicas, ReadyReplicas: ready,
			AvailableReplicas: ready, ObservedGeneration: 1,
		},
	}
}

func (w *workloads) pod(rs *appsv1.ReplicaSet, i int) *corev1.Pod {
	template := rs.Spec.Template.DeepCopy()
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name:         rs.Name + "-" + suffix(5, w.site.Cluster, rs.Namespace, rs.Name, fmt.Sprint(i)),
			GenerateName: rs.Name + "-", Namespace: rs.Namespace, Labels: template.Labels, Annotations: template.Annotations,
			OwnerReferences: ownedBy(rs, "ReplicaSet"),
		},
		Spec: template.Spec,
	}
}

func ownedBy(o metav1.Object, kind string) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(o, appsv1.SchemeGroupVersion.WithKind(kind))}
}

func (w *workloads) inject(pod *corev1.Pod) {
	for k, v := range w.injected.Labels {
		pod.Labels = withLabel(pod.Labels, k, v)
	}
	for k, v := range w.injected.Annotations {
		setAnnotation(&pod.ObjectMeta, k, v)
	}
	pod.Spec.Containers = append(pod.Spec.Containers, w.injected.Spec.Containers...)
}

// run schedules the pod and reports its containers as running, ready or not.
func (w *workloads) run(pod *corev1.Pod, age time.Duration, ready bool) {
	w.nextIP++
	ip := fmt.Sprintf("%s.%d", w.site.PodNet, 10+w.nextIP)
	created := metav1.NewTime(w.now.Add(-age).UTC().Truncate(time.Second))
	started := metav1.NewTime(created.Add(3 * time.Second))
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	pod.Spec.NodeName = w.site.Cluster
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	pod.Spec.DNSPolicy = corev1.DNSClusterFirst
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: w.site.NodeIP, HostIPs: []corev1.HostIP{{IP: w.site.NodeIP}},
		PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &created, QOSClass: corev1.PodQOSBurstable,
		ObservedGeneration: 1,
	}
	for _, c := range pod.Spec.Containers {
		id := suffix(32, pod.Namespace, pod.Name, c.Name)
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: ready, Started: &ready,
			ImageID:     fmt.Sprintf("%s@sha256:%x", strings.Split(c.Image, ":")[0], []byte(suffix(32, c.Image))),
			ContainerID: fmt.Sprintf("demo://%x", id),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
	isReady := corev1.ConditionFalse
	if ready {
		isReady = corev1.ConditionTrue
	}
	for _, c := range []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
		{Type: corev1.ContainersReady, Status: isReady},
		{Type: corev1.PodReady, Status: isReady},
	} {
		c.LastTransitionTime = started
		status.Conditions = append(status.Conditions, c)
	}
	pod.Status = status
}

func setAnnotation(m *metav1.ObjectMeta, name, value string) {
	m.Annotations = withLabel(m.Annotations, name, value)
}

// withLabel returns a copy of the labels with one more.
func withLabel(labels map[string]string, name, value string) map[string]string {
	return k8slabels.Merge(labels, k8slabels.Set{name: value})
}

// decode returns the object as one of the API's types.
func decode[T any](o *unstructured.Unstructured) (*T, error) {
	into := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, into); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return into, nil
}

func toUnstructured(typed any) (*unstructured.Unstructured, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, fmt.Errorf("convert %T: %w", typed, err)
	}
	return &unstructured.Unstructured{Object: m}, nil
}
