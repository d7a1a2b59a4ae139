package mesh

import (
	"context"
	"errors"
	"sort"
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
	where := "in namespace " + Safe(namespace)
	if namespace == "" {
		where = "in all namespaces"
	}
	var out []Found
	items, err := c.list(ctx, trafficSplits(), trafficSplits().servedBy(groups), namespace)
	if err != nil && !errors.Is(err, errNotServed) {
		return nil, apiError(c, "list", "TrafficSplits "+where, err)
	}
	for i := range items {
		out = append(out, Found{items[i].GetNamespace(), shortName(PathTrafficSplit, items[i].GetName())})
	}
	for _, kind := range routeKinds() {
		items, err := c.list(ctx, kind, kind.servedBy(groups), namespace)
		if err != nil && !errors.Is(err, errNotServed) {
			return nil, apiError(c, "list", kind.plural+"."+kind.group+" "+where, err)
		}
		for i := range items {
			if r := readRoute(&items[i]); len(r.parentsOf()) > 0 {
				out = append(out, Found{r.ref.Namespace, shortName(r.kind, r.ref.Name)})
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
