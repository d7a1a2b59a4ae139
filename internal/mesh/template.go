package mesh

import (
	"context"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/splitbench/splitbench/internal/law"
)

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
