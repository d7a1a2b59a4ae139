package mesh

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// paged reads a list page by page until it ends or has most items, and reports whether there was more. A continuation that has
// expired (410, the server has compacted its history meanwhile) begins the list anew, once.
func paged[T any](most int, opts metav1.ListOptions, list func(metav1.ListOptions) ([]T, string, error)) ([]T, bool, error) {
	var out []T
	opts.Limit = pageSize
	again := false
	for {
		items, next, err := list(opts)
		if err != nil && opts.Continue != "" && !again && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) {
			out, opts.Continue, again = nil, "", true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		out = append(out, items...)
		if next == "" || len(out) >= most {
			return out, next != "", nil
		}
		opts.Continue = next
	}
}
