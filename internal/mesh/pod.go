package mesh

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
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

// Names and annotations of pods.
const (
	annDefaultContainer = "kubectl.kubernetes.io/default-container"
	annAgent            = "splitbench.io/agent"
)

// isProxy tells a mesh's proxy by its container's name.
func isProxy(container string) bool { return law.ProviderOf(container) != "" }

// pickContainer chooses the container to run in: the one that is named, else the default-container annotation's, else
// the first that is not the proxy. The proxy is refused even by name: its image has no shell and no writable directory,
// and its own traffic goes around the split, since the redirect to the proxy leaves out the proxy's user.
func pickContainer(pod *core.Pod, named string) (c *core.Container, why, note string, err error) {
	var names []string
	byName := map[string]*core.Container{}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		byName[c.Name] = c
		if !isProxy(c.Name) {
			names = append(names, c.Name)
		}
	}
	if named != "" {
		return namedContainer(pod, byName[named], named, names)
	}
	if def := pod.Annotations[annDefaultContainer]; def != "" {
		if c := byName[def]; c != nil && !isProxy(def) {
			return c, "default-container annotation", "", nil
		}
		note = fmt.Sprintf("pod %s: its default-container annotation names %q, which cannot be used", pod.Name,
			untrusted.Safe(def))
	}
	if len(names) == 0 {
		return nil, "", note, notFound("choose container of", "pod "+pod.Name, "it has no container but the proxy",
			"name another pod with --from")
	}
	why = "first container that is not the proxy"
	if len(pod.Spec.Containers) == 1 {
		why = "only container"
	}
	return byName[names[0]], why, note, nil
}

func namedContainer(pod *core.Pod, c *core.Container, named string, names []string) (*core.Container, string, string,
	error,
) {
	if c != nil && !isProxy(named) {
		return c, "-c", "", nil
	}
	cause := "it has no such container"
	if slices.ContainsFunc(pod.Spec.InitContainers, func(c core.Container) bool { return c.Name == named }) {
		cause = "that is an init container"
	}
	if isProxy(named) {
		cause = "requests of the proxy itself are not split, and its image has no shell"
	}
	return nil, "", "", notFound("choose container of", fmt.Sprintf("pod %s with -c %q", pod.Name, untrusted.Safe(named)),
		cause, law.Candidates(named, "containers", names))
}

// readProxy finds the proxy where either kind of injection puts it: among the containers, or among the init containers
// as a native sidecar (restartPolicy Always), which is Linkerd's default since 2.20.
func readProxy(pod *core.Pod, p *law.Pod) {
	statuses := pod.Status.ContainerStatuses
	var proxy *core.Container
	for i := range pod.Spec.Containers {
		if isProxy(pod.Spec.Containers[i].Name) {
			proxy = &pod.Spec.Containers[i]
		}
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if isProxy(c.Name) && c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways {
			proxy, statuses = c, pod.Status.InitContainerStatuses
		}
	}
	if proxy == nil {
		return
	}
	readProxySettings(pod, p)
	p.Meshed, p.ProxyContainer, p.ProxyImage = true, proxy.Name, untrusted.Cut(proxy.Image, 500)
	for _, s := range statuses {
		if s.Name != proxy.Name {
			continue
		}
		p.ProxyReady, p.ProxyRestarts, p.ProxyImageID = s.Ready, s.RestartCount, untrusted.Short(s.ImageID, 500)
		if s.State.Running != nil {
			p.ProxyStartedAt = s.State.Running.StartedAt.UTC()
		}
	}
}

// writableDirs are the emptyDir mounts of the container that may be written to, in the pod's order.
func writableDirs(pod *core.Pod, c *core.Container) []string {
	empty := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		empty[v.Name] = v.EmptyDir != nil
	}
	var out []string
	for _, m := range c.VolumeMounts {
		if empty[m.Name] && !m.ReadOnly && m.SubPath == "" && m.SubPathExpr == "" {
			out = append(out, m.MountPath)
		}
	}
	return out
}

// sharedDirs are the container's mounts that somebody else may write to: another container of the pod, or whoever has
// what is no emptyDir. An init container that has ended writes nothing any more.
func sharedDirs(pod *core.Pod, c *core.Container) []string {
	private := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		private[v.Name] = v.EmptyDir != nil
	}
	theirs := func(name string, mounts []core.VolumeMount) {
		for _, m := range mounts {
			if name != c.Name && !m.ReadOnly {
				private[m.Name] = false
			}
		}
	}
	for _, other := range pod.Spec.Containers {
		theirs(other.Name, other.VolumeMounts)
	}
	for _, other := range pod.Spec.InitContainers {
		if other.RestartPolicy != nil && *other.RestartPolicy == core.ContainerRestartPolicyAlways {
			theirs(other.Name, other.VolumeMounts)
		}
	}
	for _, other := range pod.Spec.EphemeralContainers {
		theirs(other.Name, other.VolumeMounts)
	}
	var out []string
	for _, m := range c.VolumeMounts {
		if !private[m.Name] && !m.ReadOnly {
			out = append(out, m.MountPath)
		}
	}
	return out
}

// installedAgent is the path in the agent annotation, if it is a path that can be run as it is.
func installedAgent(pod *core.Pod) (string, string) {
	v := pod.Annotations[annAgent]
	if v == "" {
		return "", ""
	}
	if len(v) > 1024 || !path.IsAbs(v) || path.Clean(v) != v || untrusted.Safe(v) != v || strings.ContainsAny(v, " \t") {
		return "", fmt.Sprintf("pod %s: its annotation %s is %q, not a plain absolute path; it is left aside", pod.Name,
			annAgent, untrusted.Safe(v))
	}
	return v, ""
}

// containerProblem says why nothing can be run in the container now.
func containerProblem(pod *core.Pod, container string) string {
	if pod.DeletionTimestamp != nil {
		return "the pod is terminating"
	}
	if pod.Status.Phase != core.PodRunning {
		return "the pod is " + untrusted.Safe(string(pod.Status.Phase)) + law.Reason(pod.Status.Reason)
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name != container {
			continue
		}
		switch {
		case s.State.Running != nil:
			return ""
		case s.State.Waiting != nil:
			return "container " + container + " is waiting" + law.Reason(s.State.Waiting.Reason)
		case s.State.Terminated != nil:
			return "container " + container + " has ended" + law.Reason(s.State.Terminated.Reason)
		}
	}
	return "container " + container + " has not started"
}
