package mesh

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
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
