package law

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// Resource is a kind of custom object as an API server lists it.
type Resource struct {
	Group, Plural string
	Versions      []string // that can be read, newest first
}

// ServedBy is the versions of r to try, newest first: those that the API server serves; all known ones where it would
// not tell; none where the group is not there.
func (r Resource) ServedBy(groups *metav1.APIGroupList) []string {
	if groups == nil {
		return r.Versions
	}
	var out []string
	for _, g := range groups.Groups {
		if g.Name != r.Group {
			continue
		}
		for _, v := range g.Versions {
			if slices.Contains(r.Versions, v.Version) {
				out = append(out, v.Version)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	return out
}

// Links are the objects by which Linkerd's multicluster extension knows other clusters.
func Links() Resource {
	return Resource{"multicluster.linkerd.io", "links", []string{"v1alpha3", "v1alpha2", "v1alpha1"}}
}
