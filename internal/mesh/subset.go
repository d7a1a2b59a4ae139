package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func destinationRules() customKind {
	return customKind{group: "networking.istio.io", plural: "destinationrules", known: []string{"v1", "v1beta1", "v1alpha3"}}
}

// subsetSpec is as much of a DestinationRule as names subsets.
type subsetSpec struct {
	Host    string `json:"host"`
	Subsets []struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"subsets"`
}

// subsetsStep narrows the endpoints of backends that are subsets of a Service to their pods, by the labels that a
// DestinationRule gives the subset. Requests to a subset that no rule knows are answered with 503.
func (d *finder) subsetsStep(ctx context.Context) error {
	if !slices.ContainsFunc(d.snap.Law.Backends, func(b LawBackend) bool { return b.Subset != "" }) {
		return nil
	}
	kind := destinationRules()
	var rules []unstructured.Unstructured
	var unread error
	for _, ns := range slices.Compact([]string{d.t.Namespace, d.t.clientNS, istioRoot}) {
		items, err := d.local.list(ctx, kind, kind.servedBy(d.groups), ns)
		if err != nil && !errors.Is(err, errNotServed) {
			unread = err
		}
		rules = append(rules, items...)
	}
	for i := range d.snap.Law.Backends {
		lb := &d.snap.Law.Backends[i]
		b := slices.IndexFunc(d.snap.Backends, func(b Backend) bool { return b.Name == lb.Name })
		if lb.Subset == "" || b < 0 {
			continue
		}
		set, found := d.subsetLabels(rules, *lb)
		switch {
		case found:
			d.narrow(ctx, &d.snap.Backends[b], set)
		case unread != nil:
			d.snap.Backends[b].Unread = "DestinationRules could not be read: " + brief(unread)
			d.note("DestinationRules could not be read, so which pods subset %s has is not known: %s", Safe(lb.Name), brief(unread))
		default:
			lb.Problem = fmt.Sprintf("no DestinationRule names subset %s of Service %s/%s: its share is answered with 503", Safe(lb.Subset), Safe(lb.Namespace), Safe(lb.Service))
			d.snap.Backends[b].Endpoints = nil
		}
	}
	return nil
}

func (d *finder) subsetLabels(rules []unstructured.Unstructured, b LawBackend) (map[string]string, bool) {
	for i := range rules {
		var spec subsetSpec
		raw, _ := rules[i].Object["spec"].(map[string]any)
		if remarshal(raw, &spec) != nil {
			continue
		}
		ref, ok := hostOf(spec.Host, rules[i].GetNamespace())
		if !ok || ref.name != b.Service || ref.namespace != b.Namespace {
			continue
		}
		for _, s := range spec.Subsets {
			if s.Name == b.Subset {
				if o := refOf(&rules[i]); !slices.Contains(d.snap.Law.Objects, o) {
					d.snap.Law.Objects = append(d.snap.Law.Objects, o)
				}
				return s.Labels, true
			}
		}
	}
	return nil, false
}

// narrow keeps the endpoints whose pods bear the labels.
func (d *finder) narrow(ctx context.Context, b *Backend, set map[string]string) {
	l, err := d.local.kube.CoreV1().Pods(b.Service.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(set).String(), Limit: pageSize,
	})
	if err != nil {
		b.Unread = "pods of the subset could not be read: " + brief(err)
		d.note("pods of subset %s could not be read: %s", Safe(b.Name), brief(err))
		return
	}
	if l.Continue != "" {
		d.note("more than %d pods bear the labels of subset %s; only the first were looked at", pageSize, Safe(b.Name))
	}
	of := map[string]bool{}
	for i := range l.Items {
		of[l.Items[i].Name] = true
	}
	b.Endpoints = slices.DeleteFunc(slices.Clone(b.Endpoints), func(e Endpoint) bool { return !of[e.Pod] })
}

// serviceOf is the Service that a backend of the split stands for.
func (d *finder) serviceOf(ctx context.Context, backend string) Service {
	for _, b := range d.snap.Law.Backends {
		if b.Name == backend && b.Subset != "" && b.Namespace != "" {
			return d.service(ctx, question{names: d.t.Namespace}.name(b.Namespace, b.Service))
		}
	}
	return d.service(ctx, backend)
}
