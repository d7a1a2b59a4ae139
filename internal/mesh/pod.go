package mesh

import (
	"context"
	"errors"
	"fmt"

	core "k8s.io/api/core/v1"
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
		Workload: "pod/" + pod.Name,
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
	p.WritableDirs = writableDirs(pod, c)
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

// readNode tells which agent fits. Nodes are not namespaced, and many users may not read them.
func (d *finder) readNode(ctx context.Context, p *law.Pod) {
	if p.Node == "" {
		return
	}
	node, err := d.local.kube.CoreV1().Nodes().Get(ctx, p.Node, metav1.GetOptions{})
	if err != nil {
		d.note("node %s of the source pod could not be read, so its architecture is not known: %s", untrusted.Safe(p.Node), brief(err))
		return
	}
	p.OS, p.Arch = untrusted.Cut(untrusted.Safe(node.Status.NodeInfo.OperatingSystem), 32), untrusted.Cut(untrusted.Safe(node.Status.NodeInfo.Architecture), 32)
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
		return &Error{
			Kind: KindNotFound, Op: "find Service", Object: object + " in namespace " + d.t.Namespace,
			Cause: errors.New("there is no such Service"), Hint: law.Candidates("Services", names),
		}
	}
	if len(svc.Selector) == 0 {
		return &Error{
			Kind: KindNotFound, Op: "find pods of", Object: object,
			Cause: errors.New("the Service has no selector, so nobody can say which pods draw"),
			Hint:  "name a Service that selects pods",
		}
	}
	sel := labels.SelectorFromSet(svc.Selector)
	l, err := d.local.kube.CoreV1().Pods(svc.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: sel.String(),
		Limit:         pageSize,
	})
	if err != nil {
		return apiError(d.local, "list", "pods of "+object, err)
	}
	if l.Continue != "" {
		d.note("more than %d pods are behind %s; only the first were looked at", pageSize, object)
	}
	through := &law.Through{Service: svc}
	for i := range l.Items {
		if pod := &l.Items[i]; pod.DeletionTimestamp == nil && pod.Status.Phase == core.PodRunning {
			p, _, err := readPod(pod, "")
			if err != nil { // a pod of nothing but the proxy still draws
				d.note("pod %s behind %s: %s", p.Name, object, brief(err))
				readProxy(pod, &p)
			}
			through.Pods = append(through.Pods, p)
		}
	}
	if len(through.Pods) == 0 {
		return &Error{
			Kind: KindNotFound, Op: "find pods of", Object: object,
			Cause: fmt.Errorf("none of the %d pods that it selects is running", len(l.Items)),
			Hint:  "wait for them, or name another Service",
		}
	}
	d.snap.Through = through
	return nil
}
