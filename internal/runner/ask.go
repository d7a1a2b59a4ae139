package runner

import (
	"cmp"
	"context"
	"slices"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Ask has the API server say, without making anything, what it would make of the pods: a Job is taken whatever its
// pods are, so one pod is asked for, with dryRun. Admission then answers as for a real one: quotas, Pod Security,
// injectors.
func Ask(ctx context.Context, kube kubernetes.Interface, s Spec) law.Runners {
	out := law.Runners{Pods: s.Pods, Image: s.Image, Account: cmp.Or(s.Pod().Spec.ServiceAccountName, "default")}
	pod, err := kube.CoreV1().Pods(s.Namespace).Create(ctx, s.Pod(),
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err == nil:
		out.Sight, out.Meshed = law.Seen, meshed(pod.Spec)
	case apierrors.IsForbidden(err) && !mayNot(err):
		out.Sight, out.Refused = law.Seen, untrusted.Short(err.Error(), 600)
		return out
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsInternalError(err) ||
		apierrors.IsNotFound(err):
		out.Sight, out.Refused = law.Seen, untrusted.Short(err.Error(), 600)
		return out
	default:
		out.Sight, out.Why = law.Unread, law.Brief(err)
		pod = s.Pod()
	}
	out.Shortages = shortages(ctx, kube, s, pod)
	return out
}

// mayNot tells a user without the permission from a pod that admission refuses: both are 403.
func mayNot(err error) bool {
	return apierrors.ReasonForError(err) == metav1.StatusReasonForbidden && cannot.MatchString(err.Error())
}

// meshed reports whether a proxy is among the containers, as either kind of sidecar.
func meshed(spec core.PodSpec) bool {
	return slices.ContainsFunc(slices.Concat(spec.InitContainers, spec.Containers), func(c core.Container) bool {
		return law.ProviderOf(c.Name) != ""
	})
}

// shortages are the quotas of the namespace that do not leave room for all pods. Those for some pods only are left to
// the API server; what may not be read says nothing.
func shortages(ctx context.Context, kube kubernetes.Interface, s Spec, pod *core.Pod) (out []law.Shortage) {
	quotas, err := kube.CoreV1().ResourceQuotas(s.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	each := usage(pod.Spec)
	for _, q := range quotas.Items {
		if len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil {
			continue
		}
		for name, hard := range q.Status.Hard {
			need, used := each[name], q.Status.Used[name]
			if need.IsZero() {
				continue
			}
			left := hard.DeepCopy()
			left.Sub(used)
			room := int(left.AsApproximateFloat64() / need.AsApproximateFloat64())
			if room < s.Pods {
				out = append(out, law.Shortage{
					Quota: untrusted.Safe(q.Name), Resource: untrusted.Safe(string(name)), Hard: hard.String(), Used: used.String(),
					Each: need.String(), Room: max(0, room),
				})
			}
		}
	}
	slices.SortFunc(out, func(a, b law.Shortage) int { return a.Room - b.Room })
	return out
}

// usage is what a pod takes of what quotas count, as the quota's own evaluator adds it up: containers and sidecars
// together, or an init container where that takes more.
func usage(spec core.PodSpec) core.ResourceList {
	out := core.ResourceList{core.ResourcePods: resource.MustParse("1"), "count/pods": resource.MustParse("1")}
	add := func(prefix string, of func(core.Container) core.ResourceList) {
		total, most := core.ResourceList{}, core.ResourceList{}
		for _, c := range spec.InitContainers {
			if sidecar := c.RestartPolicy != nil && *c.RestartPolicy == core.ContainerRestartPolicyAlways; sidecar {
				plus(total, of(c))
				continue
			}
			beside := total.DeepCopy()
			plus(beside, of(c))
			atLeast(most, beside)
		}
		for _, c := range spec.Containers {
			plus(total, of(c))
		}
		atLeast(total, most)
		for name, q := range total {
			out[core.ResourceName(prefix)+name] = q
			if prefix == "requests." {
				out[name] = q
			}
		}
	}
	add("requests.", func(c core.Container) core.ResourceList { return c.Resources.Requests })
	add("limits.", func(c core.Container) core.ResourceList { return c.Resources.Limits })
	return out
}

func plus(total, more core.ResourceList) {
	for name, q := range more {
		have := total[name]
		have.Add(q)
		total[name] = have
	}
}

func atLeast(total, least core.ResourceList) {
	for name, q := range least {
		if have := total[name]; have.Cmp(q) < 0 {
			total[name] = q
		}
	}
}
