package mesh

import (
	"context"
	"sort"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Namespaces names the namespaces of a cluster, sorted, at most one page of them: they are offered, not acted on.
func Namespaces(ctx context.Context, c Client) ([]string, error) {
	l, err := c.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: pageSize})
	if err != nil {
		return nil, apiError(c, "list", "namespaces", err)
	}
	names := make([]string, 0, len(l.Items))
	for i := range l.Items {
		names = append(names, l.Items[i].Name)
	}
	sort.Strings(names)
	return names, nil
}
