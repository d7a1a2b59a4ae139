package mesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"

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
	case d.t.fromKind.name == "pod":
		return d.sourcePod(ctx)
	default:
		label = "--from " + d.t.From
		if w, err = d.readWorkload(ctx); err != nil {
			return err
		}
	}
	if pods, err = d.podsOf(ctx, d.t.FromNamespace, w.selector, "fit "+untrusted.Safe(w.selector.String())); err != nil {
		return apiError(d.local, "list", "pods in namespace "+d.t.FromNamespace, err)
	}
	if len(pods) == 0 {
		return d.noPods(ctx, label)
	}
	ready := slices.DeleteFunc(slices.Clone(pods), func(p core.Pod) bool { return !usable(&p) })
	if d.t.Selector != "" && len(ready) > 1 && d.t.Pods == 0 {
		return &Error{
			Kind: KindAmbiguous, Op: "find source pod", Object: label, Cause: fmt.Errorf("%d running pods fit", len(ready)),
			Hint: "name one with --from pod/NAME, or their workload with --from deploy/NAME; " +
				law.Candidates("", "pods", namesOf("pod/", ready)),
		}
	}
	fit := ready
	if len(fit) == 0 {
		fit = pods // none is ready: the checks say so of the one that is looked at
	}
	if w.label == "" && d.t.fromKind.name == "deployment" {
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
	ns := d.t.FromNamespace
	pod, err := get(ctx, d.local, "pod", ns, d.t.fromName, d.local.kube.CoreV1().Pods(ns))
	if apierrors.IsNotFound(err) {
		return d.noPods(ctx, "--from "+d.t.From)
	}
	if err != nil {
		return apiError(d.local, "read", "pod "+d.t.fromName+" in namespace "+ns, err)
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
	d.snap.Source, d.sourceLabels = p, pod.Labels
	sending := []*law.Pod{&d.snap.Source}
	for i := range d.snap.Others {
		sending = append(sending, &d.snap.Others[i])
	}
	d.readNodes(ctx, sending)
	return d.pinnedSources(ctx)
}

// podsOf lists the pods that a selector fits: the first page of them, since one is enough and they come sorted by name.
// fit says of the note that there are more how pods are chosen.
func (d *finder) podsOf(ctx context.Context, ns string, sel labels.Selector, fit string) ([]core.Pod, error) {
	l, err := remember(d.local.memo, "pods "+ns+" for "+sel.String(), func() (*core.PodList, error) {
		return d.local.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: sel.String(), Limit: pageSize})
	})
	if err != nil {
		return nil, err
	}
	if l.Continue != "" {
		d.note("more than %d pods %s; only the first were looked at", pageSize, fit)
	}
	return slices.Clone(l.Items), nil
}

// noPods is the error for a source that is not there; it offers the pods that are.
func (d *finder) noPods(ctx context.Context, label string) error {
	var names []string
	if l, err := d.local.kube.CoreV1().Pods(d.t.FromNamespace).List(ctx, metav1.ListOptions{Limit: pageSize}); err == nil {
		names = namesOf("pod/", l.Items)
	}
	if d.t.fromName != "" {
		names = append(d.namesOfWorkloads(ctx, kindOf("deployment")), names...) // of a name alone its workload is meant
	}
	return notFound("find source pod", untrusted.Safe(label)+" in namespace "+d.t.FromNamespace, "there is no such pod",
		law.Candidates(d.t.From, "pods", names))
}

// workloads are the workloads of the kind that --from names. They are read unstructured: of each kind the selector
// alone counts.
func (d *finder) workloads(k workKind) dynamic.ResourceInterface {
	kind := apps.SchemeGroupVersion.WithResource(k.name + "s")
	return d.local.dynamic.Resource(kind).Namespace(d.t.FromNamespace)
}

func (d *finder) readWorkload(ctx context.Context) (workload, error) {
	var w workload
	object, in := "--from "+untrusted.Safe(d.t.From), " in namespace "+d.t.FromNamespace
	u, err := remember(d.local.memo, object+in, func() (*unstructured.Unstructured, error) {
		return d.workloads(d.t.fromKind).Get(ctx, d.t.fromName, metav1.GetOptions{})
	})
	if apierrors.IsNotFound(err) {
		return w, notFound("find source pod", object+in, "there is no such "+d.t.fromKind.name,
			law.Candidates(d.t.From, d.t.fromKind.name+"s", d.namesOfWorkloads(ctx, d.t.fromKind)))
	}
	if err != nil {
		return w, apiError(d.local, "read", object+in, err)
	}
	var read struct {
		Spec   struct{ Selector *metav1.LabelSelector }
		Status struct{ UpdateRevision string }
	}
	if err = law.Decode(u.Object, &read); err == nil {
		w.selector, err = metav1.LabelSelectorAsSelector(read.Spec.Selector)
	}
	if err != nil || w.selector.Empty() {
		return w, &Error{
			Kind: KindServer, Op: "find source pod", Object: object, Cause: errors.New("its selector fits no pod"),
			Hint: "name the pod itself with --from pod/NAME",
		}
	}
	if d.t.fromKind.name == "statefulset" {
		w.label, w.revision = "controller-revision-hash", read.Status.UpdateRevision
	}
	return w, nil
}

// namesOfWorkloads are those of a kind, as --from takes them; none where they may not be listed.
func (d *finder) namesOfWorkloads(ctx context.Context, k workKind) (names []string) {
	if l, err := d.workloads(k).List(ctx, metav1.ListOptions{Limit: pageSize}); err == nil {
		names = namesOf(k.short+"/", l.Items)
	}
	return names
}

const labelTemplateHash = "pod-template-hash"

// newestRevision finds the newest revision of a Deployment among pods of several: by its ReplicaSets' revision numbers,
// or by the newest pod where ReplicaSets may not be listed. It asks nothing where all pods are of one revision.
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
		d.note("ReplicaSets could not be read, so the newest pod tells the newest revision: %s", law.Brief(err))
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

// pickPod takes the oldest pod of the newest revision, by name where two are of one age: the same one every time.
func pickPod(pods []core.Pod, w workload) *core.Pod {
	older := func(p *core.Pod) int {
		if w.label == "" || p.Labels[w.label] == w.revision {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(pods, func(a, b core.Pod) int {
		return cmp.Or(older(&a)-older(&b), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return &pods[0]
}
