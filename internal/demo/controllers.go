package demo

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// controllers play the controllers, the proxy injector and the kubelet of one cluster. What they make is there, and
// ready, at once: no pod waits for its image and no rollout for its pods.
type controllers struct {
	injected corev1.Pod            // what the injector adds, named for the annotation that asks for it
	hints    map[types.UID]fixture // how old what is made of fixtures is; nil: it is new
	start    time.Time             // of the clusters
	made     map[string]int        // pods so far, by what they are made for
	pods     int                   // so far, for their addresses
	services int                   // of which the address was not asked for
}

// control makes what the objects want, once after each write.
func (c *cluster) control() {
	c.collect()
	each(c, "deployments", c.rollOut)
	each(c, "replicasets", c.populate)
	each(c, "jobs", c.parallel)
	each(c, "pods", c.run)
	each(c, "replicasets", c.countPods)
	each(c, "deployments", c.countSets)
	each(c, "services", c.publish)
	c.collect()
}

// each calls f for every object of a built-in kind.
func each[T any](c *cluster, plural string, f func(*T)) { eachOf(c, plural, "", f) }

// eachOf calls f for those that an owner controls, or for all where none is named.
func eachOf[T any](c *cluster, plural string, owner types.UID, f func(*T)) {
	objects, _ := c.store.list(plural, "")
	for _, o := range objects {
		if by := metav1.GetControllerOfNoCopy(o); owner != "" && (by == nil || by.UID != owner) {
			continue
		}
		if typed, err := decode[T](o); err == nil { // what is no such type was refused when it was written
			f(typed)
		}
	}
}

// object is what controllers make.
type object interface {
	metav1.Object
	runtime.Object
}

// make stores an object that a controller made, unless it is there as it is. Age is how old it is at the start.
func (c *cluster) make(typed object, age time.Duration, writer string) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return // our own types convert
	}
	o := &unstructured.Unstructured{Object: fields}
	r, _ := c.resources.byKind(o.GetKind())
	old, ok := c.store.get(keyOf(r.Name, o))
	if !ok {
		at := c.start.Add(-age)
		if c.hints == nil {
			at = time.Now()
		}
		_ = stamp(o, c.site.Cluster, writer, at)
		c.store.put(r.Name, o)
		return
	}
	o.SetUID(old.GetUID())
	o.SetCreationTimestamp(old.GetCreationTimestamp())
	o.SetGeneration(old.GetGeneration())
	o.SetManagedFields(old.GetManagedFields())
	o.SetResourceVersion(old.GetResourceVersion())
	if equality.Semantic.DeepEqual(old.Object, o.Object) {
		return
	}
	if c.hints == nil { // else it is part of what was always there
		_ = manage(old, o, writer)
	}
	c.store.put(r.Name, o)
}

// collect takes away what has lost its owner, its namespace or its Service, until nothing has.
func (c *cluster) collect() {
	for gone := true; gone; {
		gone = false
		all := c.store.all()
		known := map[types.UID]bool{}
		for _, o := range all {
			known[o.GetUID()] = true
		}
		for k, o := range all {
			owners := o.GetOwnerReferences()
			owned := slices.ContainsFunc(owners, func(r metav1.OwnerReference) bool { return known[r.UID] })
			_, homed := all[key{"namespaces", "", k.namespace}]
			_, served := all[key{"services", k.namespace, k.name}]
			if len(owners) > 0 && !owned || k.namespace != "" && !homed || k.plural == "endpoints" && !served {
				c.store.remove(k)
				gone = true
			}
		}
	}
}

const revisionAnnotation = "deployment.kubernetes.io/revision"

func revisionOf(o metav1.Object) int {
	n, _ := strconv.Atoi(o.GetAnnotations()[revisionAnnotation])
	return n
}

// rollOut gives all replicas of a Deployment to the ReplicaSet of its template, which it makes where there is none.
func (c *cluster) rollOut(d *appsv1.Deployment) {
	var current *appsv1.ReplicaSet
	last := 0
	eachOf(c, "replicasets", d.UID, func(rs *appsv1.ReplicaSet) {
		last = max(last, revisionOf(rs))
		template := rs.Spec.Template.DeepCopy()
		delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		if equality.Semantic.DeepEqual(*template, d.Spec.Template) {
			current = rs
			return
		}
		rs.Spec.Replicas = new(int32)
		c.make(rs, 0, "kube-controller-manager")
	})
	if current == nil {
		current = newReplicaSet(d, c.site.Cluster, last)
	}
	if revisionOf(current) < last || last == 0 {
		setAnnotation(&current.ObjectMeta, revisionAnnotation, strconv.Itoa(last+1))
	}
	current.Spec.Replicas = d.Spec.Replicas
	c.make(current, c.hints[d.UID].podAge, "kube-controller-manager")
	setAnnotation(&d.ObjectMeta, revisionAnnotation, current.Annotations[revisionAnnotation])
	c.make(d, 0, "kube-controller-manager")
}

func newReplicaSet(d *appsv1.Deployment, cluster string, revisions int) *appsv1.ReplicaSet {
	parts := []string{cluster, d.Namespace, d.Name, "template"}
	if revisions > 0 {
		parts = append(parts, strconv.Itoa(revisions))
	}
	hash := suffix(10, parts...)
	template := d.Spec.Template.DeepCopy()
	template.Labels = withLabel(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	selector := cmp.Or(d.Spec.Selector.DeepCopy(), &metav1.LabelSelector{})
	selector.MatchLabels = withLabel(selector.MatchLabels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	rs := &appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name + "-" + hash, Namespace: d.Namespace, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment")),
			},
		},
		Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: *template},
	}
	setAnnotation(&rs.ObjectMeta, revisionAnnotation, strconv.Itoa(revisions+1))
	return rs
}

// hintOf is the hint of the Deployment that something is made for.
func (c *cluster) hintOf(o metav1.Object) fixture {
	if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == "ReplicaSet" {
		rs, _ := c.store.get(key{"replicasets", o.GetNamespace(), owner.Name})
		o = rs
	}
	if owner := metav1.GetControllerOf(o); owner != nil {
		return c.hints[owner.UID]
	}
	return c.hints[o.GetUID()]
}

// populate makes and takes away pods until a ReplicaSet has as many as it wants.
func (c *cluster) populate(rs *appsv1.ReplicaSet) {
	var pods []string
	eachOf(c, "pods", rs.UID, func(p *corev1.Pod) { pods = append(pods, p.Name) })
	for range max(0, int(*rs.Spec.Replicas)-len(pods)) {
		name := rs.Name + "-" + suffix(5, c.site.Cluster, rs.Namespace, rs.Name, strconv.Itoa(c.made[rs.Name]))
		c.made[rs.Name]++
		pod := podOf(name, rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), rs.Spec.Template)
		pod.GenerateName = rs.Name + "-"
		c.make(pod, c.hintOf(rs).podAge, "kubelet")
	}
	for _, p := range pods[min(len(pods), int(*rs.Spec.Replicas)):] {
		c.store.remove(key{"pods", rs.Namespace, p})
	}
}

// parallel makes the pods of a new Job. Their containers run until the Job is deleted: no deadline is kept.
func (c *cluster) parallel(j *batchv1.Job) {
	some := false
	eachOf(c, "pods", j.UID, func(*corev1.Pod) { some = true })
	for i := 0; !some && i < int(ptr.Deref(j.Spec.Parallelism, 1)); i++ {
		name := fmt.Sprintf("%s-%d", j.Name, i)
		name += "-" + suffix(5, c.site.Cluster, j.Namespace, name)
		c.make(podOf(name, j, batchv1.SchemeGroupVersion.WithKind("Job"), j.Spec.Template), 0, "kube-controller-manager")
	}
}

// podOf is a pod of a template, owned by what the template is of.
func podOf(name string, owner metav1.Object, kind schema.GroupVersionKind, t corev1.PodTemplateSpec) *corev1.Pod {
	t = *t.DeepCopy()
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: owner.GetNamespace(), Labels: t.Labels, Annotations: t.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind)},
		},
		Spec: t.Spec,
	}
}

// inject adds the proxy to a pod that asks for it, or whose namespace does, unless it has one.
func (c *cluster) inject(pod *corev1.Pod) {
	if slices.ContainsFunc(pod.Spec.Containers, func(x corev1.Container) bool { return c.proxies[x.Name] }) {
		return
	}
	asks := c.injected.Name
	wish := pod.Annotations[asks]
	if ns, ok := c.store.get(key{"namespaces", "", pod.Namespace}); ok && wish == "" {
		wish = ns.GetAnnotations()[asks]
	}
	if wish != "enabled" {
		return
	}
	for k, v := range c.injected.Labels {
		pod.Labels = withLabel(pod.Labels, k, v)
	}
	for k, v := range c.injected.Annotations {
		setAnnotation(&pod.ObjectMeta, k, v)
	}
	pod.Spec.Containers = append(pod.Spec.Containers, c.injected.Spec.Containers...)
}

// run schedules a new pod and reports its containers as running and ready.
func (c *cluster) run(pod *corev1.Pod) {
	if pod.Status.PodIP != "" {
		return
	}
	c.inject(pod)
	c.pods++
	ip := fmt.Sprintf("%s.%d.%d", c.site.PodNet, c.pods/240%256, 10+c.pods%240)
	hint, fixed := c.hintOf(pod), c.hints != nil
	ready := !fixed || hint.ready
	started := metav1.NewTime(pod.CreationTimestamp.Time)
	if fixed {
		started = metav1.NewTime(started.Add(3 * time.Second))
	}
	pod.Spec.ServiceAccountName = cmp.Or(pod.Spec.ServiceAccountName, "default")
	pod.Spec.NodeName = c.site.Cluster
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	pod.Spec.DNSPolicy = corev1.DNSClusterFirst
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: c.site.NodeIP, HostIPs: []corev1.HostIP{{IP: c.site.NodeIP}},
		PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &pod.CreationTimestamp, QOSClass: corev1.PodQOSBurstable,
		ObservedGeneration: 1,
	}
	for _, x := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(pod, x, ready, started))
	}
	isReady := conditionOf(ready)
	for _, condition := range []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
		{Type: corev1.ContainersReady, Status: isReady},
		{Type: corev1.PodReady, Status: isReady},
	} {
		condition.LastTransitionTime = started
		status.Conditions = append(status.Conditions, condition)
	}
	pod.Status = status
	c.make(pod, 0, "kubelet")
}

func containerStatus(p *corev1.Pod, c corev1.Container, ready bool, started metav1.Time) corev1.ContainerStatus {
	id := suffix(32, p.Namespace, p.Name, c.Name)
	return corev1.ContainerStatus{
		Name: c.Name, Image: c.Image, Ready: ready, Started: &ready,
		ImageID:     fmt.Sprintf("%s@sha256:%x", strings.Split(c.Image, ":")[0], []byte(suffix(32, c.Image))),
		ContainerID: fmt.Sprintf("demo://%x", id),
		State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
	}
}

func conditionOf(on bool) corev1.ConditionStatus {
	if on {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

// countPods gives a ReplicaSet its status.
func (c *cluster) countPods(rs *appsv1.ReplicaSet) {
	rs.Status = appsv1.ReplicaSetStatus{ObservedGeneration: rs.Generation}
	eachOf(c, "pods", rs.UID, func(p *corev1.Pod) {
		rs.Status.Replicas++
		if podReady(p) {
			rs.Status.ReadyReplicas++
		}
	})
	rs.Status.FullyLabeledReplicas, rs.Status.AvailableReplicas = rs.Status.Replicas, rs.Status.ReadyReplicas
	c.make(rs, 0, "kube-controller-manager")
}

// countSets gives a Deployment its status.
func (c *cluster) countSets(d *appsv1.Deployment) {
	old := d.Status.Conditions
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation}
	eachOf(c, "replicasets", d.UID, func(rs *appsv1.ReplicaSet) {
		d.Status.Replicas += rs.Status.Replicas
		d.Status.ReadyReplicas += rs.Status.ReadyReplicas
		if revisionOf(rs) == revisionOf(d) {
			d.Status.UpdatedReplicas = rs.Status.Replicas
		}
	})
	d.Status.AvailableReplicas = d.Status.ReadyReplicas
	d.Status.UnavailableReplicas = d.Status.Replicas - d.Status.ReadyReplicas
	available := conditionOf(d.Status.UnavailableReplicas == 0)
	since := metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	if c.hints != nil {
		since = d.CreationTimestamp
	} else if len(old) > 0 && old[0].Status == available {
		since = old[0].LastTransitionTime
	}
	for _, condition := range []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: available, Reason: "MinimumReplicasAvailable"},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
	} {
		condition.LastUpdateTime, condition.LastTransitionTime = since, since
		d.Status.Conditions = append(d.Status.Conditions, condition)
	}
	c.make(d, 0, "kube-controller-manager")
}
