package mesh

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// getter and lister are parts of a typed client: of Pods, say.
type (
	getter[T any] interface {
		Get(ctx context.Context, name string, o metav1.GetOptions) (T, error)
	}
	lister[L any] interface {
		List(ctx context.Context, o metav1.ListOptions) (L, error)
	}
)

// get reads one object by its name, once for each memory. what tells its kind apart from others.
func get[T any](ctx context.Context, c Client, what, ns, name string, from getter[T]) (T, error) {
	return remember(c.memo, what+" "+ns+"/"+name, func() (T, error) { return from.Get(ctx, name, metav1.GetOptions{}) })
}

// maxPages bounds a list whose pages hold little or nothing and always name another.
const maxPages = 64

// paged reads a list page by page until it ends or has most items, and reports whether there was more. A continuation
// that has expired (410, the server has compacted its history meanwhile) begins the list anew, once.
func paged[T any, L metav1.ListInterface](
	ctx context.Context, from lister[L], opts metav1.ListOptions, most int, items func(L) []T,
) ([]T, bool, error) {
	var out []T
	opts.Limit = pageSize
	ctx = withinList(ctx)
	again := false
	for pages := 1; ; pages++ {
		l, err := from.List(ctx, opts)
		if err != nil && opts.Continue != "" && !again && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) {
			out, opts.Continue, again = nil, "", true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		out = append(out, items(l)...)
		if l.GetContinue() == "" || len(out) >= most || pages >= maxPages {
			return out[:min(len(out), most)], l.GetContinue() != "" || len(out) > most, nil
		}
		opts.Continue = l.GetContinue()
	}
}
