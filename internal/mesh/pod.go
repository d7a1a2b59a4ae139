package mesh

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// readPod takes one pod apart; container is the one that is asked for by name, if any.
func readPod(pod *core.Pod, container string) (law.Pod, []string, error) {
	var notes []string
	p := law.Pod{
		Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Node: pod.Spec.NodeName, Ready: usable(pod),
		Workload: "pod/" + pod.Name, HostNetwork: pod.Spec.HostNetwork,
	}
	if pod.Status.StartTime != nil {
		p.StartedAt = pod.Status.StartTime.UTC()
	}
	if pod.Spec.OS != nil {
		p.OS = string(pod.Spec.OS.Name)
	}
	c, why, note, err := pickContainer(pod, container)
	if err != nil {
		return p, nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	p.Container, p.ContainerWhy, p.Image = c.Name, why, untrusted.Cut(c.Image, 500)
	p.WritableDirs, p.SharedDirs = writableDirs(pod, c), sharedDirs(pod, c)
	if cpu := c.Resources.Limits.Cpu(); !cpu.IsZero() {
		p.CPULimit = cpu.String()
	}
	p.Problem = containerProblem(pod, c.Name)
	readProxy(pod, &p)
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == c.Name {
			p.ImageID = untrusted.Cut(s.ImageID, 500)
		}
		if !s.Ready {
			p.NotReady = append(p.NotReady, s.Name)
		}
	}
	if p.AgentPath, note = installedAgent(pod); note != "" {
		notes = append(notes, note)
	}
	return p, notes, nil
}

// zoneLabel is a node's label that says in which zone it is.
const zoneLabel = "topology.kubernetes.io/zone"

// readNodes tells which agent fits each pod that sends, and where its node is: each node is read once. Nodes are not
// namespaced, and many users may not read them: the first refusal is the last.
func (d *finder) readNodes(ctx context.Context, pods []*law.Pod) {
	nodes := map[string]*core.Node{}
	for _, p := range pods {
		if p.Node == "" {
			continue
		}
		if nodes[p.Node] == nil {
			node, err := get(ctx, d.local, "node", "", p.Node, d.local.kube.CoreV1().Nodes())
			if err != nil {
				d.note("node %s of the source pod could not be read, so its architecture is not known: %s",
					untrusted.Safe(p.Node), law.Brief(err))
				return
			}
			nodes[p.Node] = node
		}
		info := nodes[p.Node].Status.NodeInfo
		p.OS, p.Arch = untrusted.Short(info.OperatingSystem, 32), untrusted.Short(info.Architecture, 32)
		p.Zone = untrusted.Short(nodes[p.Node].Labels[zoneLabel], 64)
	}
}

// throughStep reads the Service whose pods draw the backend, and those pods.
func (d *finder) throughStep(ctx context.Context) error {
	if d.t.through == "" {
		return nil
	}
	object := "--through svc/" + d.t.through
	svc := d.service(ctx, d.t.through)
	if !svc.Found {
		var names []string
		for n := range d.services {
			names = append(names, "svc/"+n)
		}
		return notFound("find Service", object+" in namespace "+d.t.Namespace, "there is no such Service",
			law.Candidates("svc/"+d.t.through, "Services", names))
	}
	if len(svc.Selector) == 0 {
		return notFound("find pods of", object, "the Service has no selector, so nobody can say which pods draw",
			"name a Service that selects pods")
	}
	pods, err := d.podsOf(ctx, svc.Namespace, labels.SelectorFromSet(svc.Selector), "are behind "+object)
	if err != nil {
		return apiError(d.local, "list", "pods of "+object, err)
	}
	through := &law.Through{Service: svc}
	for i := range pods {
		if pod := &pods[i]; pod.DeletionTimestamp == nil && pod.Status.Phase == core.PodRunning {
			p, _, err := readPod(pod, "")
			if err != nil { // a pod of nothing but the proxy still draws
				d.note("pod %s behind %s: %s", p.Name, object, law.Brief(err))
				readProxy(pod, &p)
			}
			through.Pods = append(through.Pods, p)
		}
	}
	if len(through.Pods) == 0 {
		return notFound("find pods of", object, fmt.Sprintf("none of the %d pods that it selects is running", len(pods)),
			"wait for them, or name another Service")
	}
	d.snap.Through = through
	return nil
}

// AllPods asks for every ready pod, up to law.MaxPods.
const AllPods = -1

// otherSources takes further pods that send, in the order in which the first was chosen. Only ready ones can be waited
// for at a start, so others are passed over, and their number is said.
func (d *finder) otherSources(candidates []core.Pod, ready int, label string) error {
	want := d.t.Pods
	if want == AllPods {
		want = law.MaxPods
	}
	for i := range candidates {
		if len(d.snap.Others)+1 >= want {
			break
		}
		if !usable(&candidates[i]) {
			continue
		}
		p, _, err := readPod(&candidates[i], d.t.Container)
		if err != nil {
			return err
		}
		p.Workload = untrusted.Safe(label)
		d.snap.Others = append(d.snap.Others, p)
	}
	if d.t.Pods != AllPods && len(d.snap.Others)+1 < d.t.Pods {
		return notFound("find source pods", untrusted.Safe(label)+" in namespace "+d.t.FromNamespace,
			fmt.Sprintf("%d pods are ready, --pods asks for %d", ready, d.t.Pods), "wait for more, or lower --pods")
	}
	d.note("%d pods fit %s and are ready; %d of them send", ready, untrusted.Safe(label), len(d.snap.Others)+1)
	return nil
}

// pinnedSources reads the further pods of a pinned query again. One that is gone shows as a change.
func (d *finder) pinnedSources(ctx context.Context) error {
	for _, name := range d.t.others {
		pod, err := d.local.kube.CoreV1().Pods(d.t.FromNamespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return apiError(d.local, "read", "pod "+name+" in namespace "+d.t.FromNamespace, err)
		}
		p, _, err := readPod(pod, d.t.Container)
		if err != nil {
			return err
		}
		d.snap.Others = append(d.snap.Others, p)
	}
	return nil
}

// justEnded is how long ago a container's end can be why a process in it was killed now.
const justEnded = 2 * time.Minute

// HowItEnded says what became of a process that was killed in a pod; "" where the API server does not know.
func HowItEnded(ctx context.Context, c Client, p law.Pod) string {
	now, err := c.kube.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && string(now.UID) != p.UID:
		return "pod " + p.Name + " was deleted"
	case err != nil:
		return ""
	case now.DeletionTimestamp != nil:
		return "pod " + p.Name + " is being deleted"
	}
	for _, s := range now.Status.ContainerStatuses {
		if s.Name != p.Container {
			continue
		}
		if t := s.LastTerminationState.Terminated; t != nil && time.Since(t.FinishedAt.Time) < justEnded {
			return "container " + p.Container + " ended: " + t.Reason
		}
	}
	return ""
}

// Template is what the pods of the workload of q are made from: its own template, or, where a pod or a selector is
// named, that of the pod which was found.
func Template(ctx context.Context, c Client, q Query, found law.Pod) (core.PodTemplateSpec, error) {
	t, err := q.parse()
	if err != nil {
		return core.PodTemplateSpec{}, err
	}
	if t.fromKind.name == "" || t.fromKind.name == "pod" {
		pod, err := c.kube.CoreV1().Pods(found.Namespace).Get(ctx, found.Name, metav1.GetOptions{})
		if err != nil {
			return core.PodTemplateSpec{}, apiError(c, "read", "pod "+found.Name+" in namespace "+found.Namespace, err)
		}
		return core.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}, nil
	}
	object := "--from " + t.From + " in namespace " + t.FromNamespace
	d := finder{t: t, local: c}
	u, err := d.workloads(t.fromKind).Get(ctx, t.fromName, metav1.GetOptions{})
	if err != nil {
		return core.PodTemplateSpec{}, apiError(c, "read", object, err)
	}
	var read struct {
		Spec struct{ Template core.PodTemplateSpec }
	}
	if err := law.Decode(u.Object, &read); err != nil {
		return core.PodTemplateSpec{}, &Error{Kind: KindServer, Op: "read", Object: object, Cause: err}
	}
	return read.Spec.Template, nil
}

// runnerAccess is what pods of our own need: their Job, and what says beforehand whether the API server would take
// them. Exec cannot be granted for them alone: rules know no labels, and names are made by the Job's controller.
func runnerAccess(namespace string) []law.Access {
	job := func(verb, why string) law.Access {
		return law.Access{Verb: verb, Group: "batch", Resource: "jobs", Namespace: namespace, For: why}
	}
	get := job("get", "why the Job of runner pods makes none")
	get.Optional = true
	return []law.Access{
		job("create", "the Job of runner pods"), job("delete", "taking it away again"),
		{Verb: "list", Resource: "pods", Namespace: namespace, For: "the runner pods"},
		get,
		optional("list", "", "events", namespace, "why the Job of runner pods makes none"),
		optional("create", "", "pods", namespace, "asking beforehand, with dryRun, whether runner pods would be taken"),
		optional("list", "", "resourcequotas", namespace, "whether quotas leave room for the runner pods"),
	}
}
