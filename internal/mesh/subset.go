package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// subsetsStep narrows the endpoints of backends that are subsets of a Service to their pods, by the labels that a
// DestinationRule gives the subset. Requests to a subset that no rule knows are answered with 503.
func (d *finder) subsetsStep(ctx context.Context) error {
	if !slices.ContainsFunc(d.snap.Law.Backends, func(b law.Leaf) bool { return b.Subset != "" }) {
		return nil
	}
	var rules []unstructured.Unstructured
	var unread error
	for _, ns := range slices.Compact([]string{d.t.Namespace, d.t.clientNS, law.IstioRoot}) {
		items, err := d.local.list(ctx, law.DestinationRules(), ns)
		if err != nil && !errors.Is(err, errNotServed) {
			unread = err
		}
		rules = append(rules, items...)
	}
	for i := range d.snap.Law.Backends {
		lb := &d.snap.Law.Backends[i]
		b := slices.IndexFunc(d.snap.Backends, func(b law.Backend) bool { return b.Name == lb.Name })
		if lb.Subset == "" || b < 0 {
			continue
		}
		set, rule, found := law.SubsetLabels(rules, *lb)
		switch {
		case found:
			if !slices.Contains(d.snap.Law.Objects, rule) {
				d.snap.Law.Objects = append(d.snap.Law.Objects, rule)
			}
			d.narrow(ctx, &d.snap.Backends[b], set)
		case unread != nil:
			d.snap.Backends[b].Unread = "DestinationRules could not be read: " + law.Brief(unread)
			d.note("DestinationRules could not be read, so which pods subset %s has is not known: %s", untrusted.Safe(lb.Name),
				law.Brief(unread))
		default:
			lb.Problem = fmt.Sprintf("no DestinationRule names subset %s of Service %s/%s: its share is answered with 503",
				untrusted.Safe(lb.Subset), untrusted.Safe(lb.Namespace), untrusted.Safe(lb.Service))
			lb.ProxyStatus = http.StatusServiceUnavailable
			d.snap.Backends[b].ProxyStatus, d.snap.Backends[b].Endpoints = lb.ProxyStatus, nil
		}
	}
	return nil
}

// narrow keeps the endpoints whose pods bear the labels.
func (d *finder) narrow(ctx context.Context, b *law.Backend, set map[string]string) {
	pods, err := d.podsOf(ctx, b.Service.Namespace, labels.SelectorFromSet(set),
		"bear the labels of subset "+untrusted.Safe(b.Name))
	if err != nil {
		b.Unread = "pods of the subset could not be read: " + law.Brief(err)
		d.note("pods of subset %s could not be read: %s", untrusted.Safe(b.Name), law.Brief(err))
		return
	}
	of := map[string]bool{}
	for i := range pods {
		of[pods[i].Name] = true
	}
	b.Endpoints = slices.DeleteFunc(slices.Clone(b.Endpoints), func(e law.Endpoint) bool { return !of[e.Pod] })
}
