package mesh

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Found is a split that there is.
type Found struct {
	Namespace string
	Split     string // as Query.Split has it: "ts/podinfo"
}

// Compare orders by namespace, then by split.
func (f Found) Compare(g Found) int {
	return cmp.Or(cmp.Compare(f.Namespace, g.Namespace), cmp.Compare(f.Split, g.Split))
}

// Find names the splits of a namespace, "" for all namespaces, sorted: TrafficSplits, and routes that have a Service
// for a parent. None is no error, nor is a kind that the API server does not serve. With a selector only those with
// such labels are named; nil: all.
func Find(ctx context.Context, c Client, namespace string, selector labels.Selector) ([]Found, error) {
	return find(ctx, c, namespace, true, selector)
}

// Splits names the splits of a namespace as a command line does, sorted. They are candidates: of routes that may not be
// read none is offered.
func Splits(ctx context.Context, c Client, namespace string) ([]string, error) {
	found, err := find(ctx, c, namespace, false, nil)
	var names []string
	for _, f := range found {
		names = append(names, f.Split)
	}
	return names, err
}

// find names the splits of all kinds that are offered; unless all must be read, those of the kinds that can be.
func find(ctx context.Context, c Client, namespace string, all bool, selector labels.Selector) ([]Found, error) {
	c = c.remembered()
	if _, err := c.groups(ctx); err != nil {
		return nil, apiError(c, "list", "API groups", err)
	}
	where := "in namespace " + untrusted.Safe(namespace)
	if namespace == "" {
		where = "in all namespaces"
	}
	var out []Found
	for _, k := range law.Kinds() {
		if !k.IsOffered() {
			continue
		}
		for _, r := range k.Resources {
			if !c.serves(ctx, r) { // who asks nevertheless is told that it is forbidden
				continue
			}
			items, err := c.list(ctx, r, namespace)
			if err != nil && !errors.Is(err, errNotServed) && (all || k.Needed) {
				return nil, apiError(c, "list", string(k.Path)+"s "+where, err)
			}
			for i := range items {
				if selector != nil && !selector.Matches(labels.Set(items[i].GetLabels())) {
					continue
				}
				if name, ok := k.Offered(&items[i]); ok {
					out = append(out, Found{items[i].GetNamespace(), name})
				}
			}
		}
	}
	slices.SortFunc(out, Found.Compare)
	return slices.Compact(out), nil
}

// Namespaces names the namespaces of a cluster, sorted, at most one page of them: they are offered, not acted on.
func Namespaces(ctx context.Context, c Client) ([]string, error) {
	l, err := c.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, apiError(c, "list", "namespaces", err)
	}
	return slices.Sorted(slices.Values(namesOf("", l.Items))), nil
}

// Sources names what requests can be sent from, as --from does: workloads, then pods, a page of each. What may not be
// listed is left out.
func Sources(ctx context.Context, c Client, namespace string) ([]string, error) {
	d := &finder{local: c, t: target{Query: Query{FromNamespace: namespace}}}
	var names []string
	for _, kind := range []string{"deployment", "statefulset", "daemonset"} {
		names = append(names, d.namesOfWorkloads(ctx, kindOf(kind))...)
	}
	l, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: pageSize})
	if err == nil {
		names = append(names, namesOf("pod/", l.Items)...)
	}
	return names, nil
}

// Containers names the containers that requests can be sent from, in the pods whose names begin with a prefix.
func Containers(ctx context.Context, c Client, namespace, prefix string) ([]string, error) {
	l, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, apiError(c, "list", "pods", err)
	}
	var names []string
	for _, pod := range l.Items {
		for _, container := range pod.Spec.Containers {
			if strings.HasPrefix(pod.Name, prefix) && !isProxy(container.Name) && !slices.Contains(names, container.Name) {
				names = append(names, container.Name)
			}
		}
	}
	return names, nil
}

// Services names the Services of a namespace as svc/NAME, at most one page of them.
func Services(ctx context.Context, c Client, namespace string) ([]string, error) {
	l, err := c.kube.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, apiError(c, "list", "services", err)
	}
	return namesOf("svc/", l.Items), nil
}

// namesOf names objects, each behind a prefix.
func namesOf[T any, P interface {
	*T
	GetName() string
}](prefix string, objects []T) []string {
	var names []string
	for i := range objects {
		names = append(names, prefix+P(&objects[i]).GetName())
	}
	return names
}
