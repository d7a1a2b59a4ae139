package mesh

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/splitbench/splitbench/internal/law"
	"github.com/splitbench/splitbench/internal/untrusted"
)

// Found is a split that there is.
type Found struct {
	Namespace string
	Split     string // as Query.Split has it: "ts/podinfo"
}

// Find names the splits of a namespace, "" for all namespaces, sorted: TrafficSplits, and routes that have a Service for a
// parent. None is no error, nor is a kind that the API server does not serve.
func Find(ctx context.Context, c Client, namespace string) ([]Found, error) {
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, apiError(c, "list", "API groups", err)
	}
	where := "in namespace " + untrusted.Safe(namespace)
	if namespace == "" {
		where = "in all namespaces"
	}
	var out []Found
	items, err := c.list(ctx, law.TrafficSplits(), law.TrafficSplits().ServedBy(groups), namespace)
	if err != nil && !errors.Is(err, errNotServed) {
		return nil, apiError(c, "list", "TrafficSplits "+where, err)
	}
	for i := range items {
		out = append(out, Found{items[i].GetNamespace(), law.ShortName(law.PathTrafficSplit, items[i].GetName())})
	}
	for _, kind := range law.RouteResources() {
		items, err := c.list(ctx, kind, kind.ServedBy(groups), namespace)
		if err != nil && !errors.Is(err, errNotServed) {
			return nil, apiError(c, "list", kind.Plural+"."+kind.Group+" "+where, err)
		}
		for i := range items {
			if law.BoundToService(&items[i]) {
				out = append(out, Found{items[i].GetNamespace(), law.ShortName(law.Path(items[i].GetKind()), items[i].GetName())})
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Namespace != out[j].Namespace {
			return out[i].Namespace < out[j].Namespace
		}
		return out[i].Split < out[j].Split
	})
	return out, nil
}

// Splits names the splits of a namespace as a command line does, sorted: TrafficSplits as "ts/NAME", routes that are bound
// to a Service by their kinds; none where the API server has none of them.
func Splits(ctx context.Context, c Client, namespace string) ([]string, error) {
	groups, err := c.groups(ctx)
	if err != nil {
		return nil, apiError(c, "list", "API groups", err)
	}
	var names []string
	items, err := c.list(ctx, law.TrafficSplits(), law.TrafficSplits().ServedBy(groups), namespace)
	if err != nil && !errors.Is(err, errNotServed) {
		return nil, apiError(c, "list", "TrafficSplits in namespace "+untrusted.Safe(namespace), err)
	}
	for _, item := range items {
		names = append(names, law.ShortName(law.PathTrafficSplit, item.GetName()))
	}
	for _, kind := range law.RouteResources() {
		items, err := c.list(ctx, kind, kind.ServedBy(groups), namespace)
		if err != nil { // candidates: what may not be read is not offered
			continue
		}
		for i := range items {
			if law.BoundToService(&items[i]) {
				names = append(names, law.ShortName(law.Path(items[i].GetKind()), items[i].GetName()))
			}
		}
	}
	sort.Strings(names)
	return slices.Compact(names), nil
}
