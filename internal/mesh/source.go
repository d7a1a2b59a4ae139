package mesh

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// workload is what --from names, as far as its pods are concerned.
type workload struct {
	selector labels.Selector
	revision string // value of a pod label that the newest revision bears; "": not known
	label    string // that label
}

// sourceStep finds the pod that sends the requests. Without --from and -l there is none, and checks of it are unknown.
func (d *finder) sourceStep(ctx context.Context) error {
	var pods []core.Pod
	var w workload
	var err error
	label := "-l " + d.t.Selector
	switch {
	case d.t.Selector != "":
		w.selector = d.t.selector
	case d.t.From == "":
		d.note("no source pod was named (--from or -l): nothing about the client could be seen")
		return nil
	case d.t.fromKind == "pod":
		return d.sourcePod(ctx)
	default:
		label = "--from " + d.t.From
		if w, err = d.readWorkload(ctx); err != nil {
			return err
		}
	}
	if pods, err = d.podsOf(ctx, w.selector); err != nil {
		return err
	}
	if len(pods) == 0 {
		return d.noPods(ctx, label)
	}
	ready := usablePods(pods)
	if d.t.Selector != "" && len(ready) > 1 && d.t.Pods == 0 {
		return &Error{
			Kind: KindAmbiguous, Op: "find source pod", Object: label, Cause: fmt.Errorf("%d running pods fit",
				len(ready)),
			Hint: "name one with --from pod/NAME, or their workload with --from deploy/NAME; " + law.Candidates("pods", namesOf(ready)),
		}
	}
	fit := ready
	if len(fit) == 0 {
		fit = pods // none is ready: the checks say so of the one that is looked at
	}
	if w.label == "" && d.t.fromKind == "deployment" {
		w = d.newestRevision(ctx, w, fit)
	}
	chosen := pickPod(fit, w)
	if d.t.Pods != 0 {
		if err := d.otherSources(fit[1:], len(ready), label); err != nil {
			return err
		}
	}
	if len(pods) > 1 && d.t.Pods == 0 {
		d.note("%d pods fit %s, %d of them ready; %s was taken, the oldest ready one of the newest revision", len(pods),
			untrusted.Safe(label), len(ready), chosen.Name)
	}
	return d.setSource(ctx, chosen, label)
}

func (d *finder) sourcePod(ctx context.Context) error {
	pod, err := d.local.kube.CoreV1().Pods(d.t.FromNamespace).Get(ctx, d.t.fromName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return d.noPods(ctx, "--from "+d.t.From)
	}
	if err != nil {
		return apiError(d.local, "read", "pod "+d.t.fromName+" in namespace "+d.t.FromNamespace, err)
	}
	return d.setSource(ctx, pod, "pod/"+pod.Name)
}

func (d *finder) setSource(ctx context.Context, pod *core.Pod, label string) error {
	p, notes, err := readPod(pod, d.t.Container)
	if err != nil {
		return err
	}
	for _, n := range notes {
		d.note("%s", n)
	}
	p.Workload = untrusted.Safe(label)
	d.readNode(ctx, &p)
	d.snap.Source, d.sourceLabels = p, pod.Labels
	for i := range d.snap.Others {
		d.readNode(ctx, &d.snap.Others[i])
	}
	return d.pinnedSources(ctx)
}

// podsOf lists the pods that a selector fits: the first page of them, since one is enough and they come sorted by name.
func (d *finder) podsOf(ctx context.Context, sel labels.Selector) ([]core.Pod, error) {
	l, err := d.local.kube.CoreV1().Pods(d.t.FromNamespace).List(ctx, metav1.ListOptions{
		LabelSelector: sel.String(),
		Limit:         pageSize,
	})
	if err != nil {
		return nil, apiError(d.local, "list", "pods in namespace "+d.t.FromNamespace, err)
	}
	if l.Continue != "" {
		d.note("more than %d pods fit %s; only the first were looked at", pageSize, untrusted.Safe(sel.String()))
	}
	return l.Items, nil
}

// noPods is the error for a source that is not there; it offers the pods that are.
func (d *finder) noPods(ctx context.Context, label string) error {
	e := &Error{
		Kind: KindNotFound, Op: "find source pod", Object: untrusted.Safe(label) + " in namespace " + d.t.FromNamespace,
		Cause: errors.New("there is no such pod"),
	}
	var names []string
	if l, err := d.local.kube.CoreV1().Pods(d.t.FromNamespace).List(ctx, metav1.ListOptions{Limit: pageSize}); err == nil {
		for _, p := range l.Items {
			names = append(names, "pod/"+p.Name)
		}
	}
	e.Hint = law.Candidates("pods", names)
	return e
}

func (d *finder) readWorkload(ctx context.Context) (workload, error) {
	apps, ns, name := d.local.kube.AppsV1(), d.t.FromNamespace, d.t.fromName
	var sel *metav1.LabelSelector
	var w workload
	var err error
	switch d.t.fromKind {
	case "deployment":
		o, e := apps.Deployments(ns).Get(ctx, name, metav1.GetOptions{})
		sel, err = o.Spec.Selector, e
	case "statefulset":
		o, e := apps.StatefulSets(ns).Get(ctx, name, metav1.GetOptions{})
		sel, err = o.Spec.Selector, e
		w.label, w.revision = "controller-revision-hash", o.Status.UpdateRevision
	case "daemonset":
		o, e := apps.DaemonSets(ns).Get(ctx, name, metav1.GetOptions{})
		sel, err = o.Spec.Selector, e
	case "replicaset":
		o, e := apps.ReplicaSets(ns).Get(ctx, name, metav1.GetOptions{})
		sel, err = o.Spec.Selector, e
	}
	object := "--from " + untrusted.Safe(d.t.From)
	if apierrors.IsNotFound(err) {
		return w, &Error{
			Kind: KindNotFound, Op: "find source pod", Object: object + " in namespace " + ns,
			Cause: errors.New("there is no such " + d.t.fromKind), Hint: d.workloads(ctx),
		}
	}
	if err != nil {
		return w, apiError(d.local, "read", object+" in namespace "+ns, err)
	}
	if w.selector, err = metav1.LabelSelectorAsSelector(sel); err != nil || w.selector.Empty() {
		return w, &Error{
			Kind: KindServer, Op: "find source pod", Object: object, Cause: errors.New("its selector fits no pod"),
			Hint: "name the pod itself with --from pod/NAME",
		}
	}
	return w, nil
}

// workloads is the hint that lists workloads of the kind that was asked for.
func (d *finder) workloads(ctx context.Context) string {
	apps, ns, opts := d.local.kube.AppsV1(), d.t.FromNamespace, metav1.ListOptions{Limit: pageSize}
	var names []string
	switch d.t.fromKind {
	case "deployment":
		if l, err := apps.Deployments(ns).List(ctx, opts); err == nil {
			for _, o := range l.Items {
				names = append(names, "deploy/"+o.Name)
			}
		}
	case "statefulset":
		if l, err := apps.StatefulSets(ns).List(ctx, opts); err == nil {
			for _, o := range l.Items {
				names = append(names, "sts/"+o.Name)
			}
		}
	case "daemonset":
		if l, err := apps.DaemonSets(ns).List(ctx, opts); err == nil {
			for _, o := range l.Items {
				names = append(names, "ds/"+o.Name)
			}
		}
	case "replicaset":
		if l, err := apps.ReplicaSets(ns).List(ctx, opts); err == nil {
			for _, o := range l.Items {
				names = append(names, "rs/"+o.Name)
			}
		}
	}
	return law.Candidates(d.t.fromKind+"s", names)
}

const labelTemplateHash = "pod-template-hash"

// newestRevision finds the newest revision of a Deployment among pods of several: by its ReplicaSets' revision numbers, or
// by the newest pod where ReplicaSets may not be listed. It asks nothing where all pods are of one revision.
func (d *finder) newestRevision(ctx context.Context, w workload, pods []core.Pod) workload {
	hashes := map[string]bool{}
	newest := &pods[0]
	for i := range pods {
		hashes[pods[i].Labels[labelTemplateHash]] = true
		if newest.CreationTimestamp.Before(&pods[i].CreationTimestamp) {
			newest = &pods[i]
		}
	}
	if len(hashes) < 2 {
		return w
	}
	w.label, w.revision = labelTemplateHash, newest.Labels[labelTemplateHash]
	l, err := d.local.kube.AppsV1().ReplicaSets(d.t.FromNamespace).List(ctx,
		metav1.ListOptions{LabelSelector: w.selector.String(), Limit: pageSize})
	if err != nil {
		d.note("ReplicaSets could not be read, so the newest pod tells the newest revision: %s", brief(err))
		return w
	}
	best := -1
	for _, rs := range l.Items {
		n, err := strconv.Atoi(rs.Annotations["deployment.kubernetes.io/revision"])
		if err == nil && n > best && hashes[rs.Labels[labelTemplateHash]] {
			best, w.revision = n, rs.Labels[labelTemplateHash]
		}
	}
	return w
}

// usable reports a pod that requests can be sent from.
func usable(p *core.Pod) bool {
	if p.DeletionTimestamp != nil || p.Status.Phase != core.PodRunning {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == core.PodReady {
			return c.Status == core.ConditionTrue
		}
	}
	return false
}

func usablePods(pods []core.Pod) []core.Pod {
	var out []core.Pod
	for i := range pods {
		if usable(&pods[i]) {
			out = append(out, pods[i])
		}
	}
	return out
}

func namesOf(pods []core.Pod) []string {
	var names []string
	for i := range pods {
		names = append(names, "pod/"+pods[i].Name)
	}
	return names
}

// pickPod takes the oldest pod of the newest revision, by name where two are of one age: the same one every time.
func pickPod(pods []core.Pod, w workload) *core.Pod {
	current := func(p *core.Pod) bool { return w.label == "" || p.Labels[w.label] == w.revision }
	sort.SliceStable(pods, func(i, j int) bool {
		a, b := &pods[i], &pods[j]
		if current(a) != current(b) {
			return current(a)
		}
		if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
			return a.CreationTimestamp.Before(&b.CreationTimestamp)
		}
		return a.Name < b.Name
	})
	return &pods[0]
}
