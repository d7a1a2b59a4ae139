package law

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/version"
)

// Kind is a kind of split: what it is called, where it is read, and how. Each is a value in a file of its own; who adds
// one adds it to Kinds too.
type Kind struct {
	Path      Path
	Short     string     // before the slash on a command line
	Resources []Resource // that its objects are listed from, the preferred one first
	Beside    []Resource // that its backends are read from
	For       string     // what its objects are read for, as a rule of a role says it

	Provider   Provider // whose data plane alone reads it; "": more than one
	Everywhere bool     // objects of other namespaces count
	Home       string   // a namespace whose objects count besides, where not all may be listed; may be empty
	Needed     bool     // a split that may be of this kind cannot be looked for without
	NamedOnly  bool     // it is looked for only where it is named
	Copied     bool     // an adaptor copies its objects into ServiceProfiles, which Linkerd's proxies obey
	Nested     bool     // its objects may name each other, and each keeps a schedule of its own
	Unserved   string   // what is said where the API server does not serve it; empty: nothing

	offers func(*unstructured.Unstructured) bool      // whether an object is a split that can be offered; nil: none is
	read   func(*Objects, *unstructured.Unstructured) // takes one that was listed
	rules  func(*unstructured.Unstructured) []Weights // of each rule of an object
	splits func(*Case) []candidate                    // of the namespace
	pick   func(*Case) (found bool, err error)        // makes the split that is meant c.Split, if it is of this kind
}

// Kinds are all kinds of splits: those that are looked for under any name first; routes in the order in which Linkerd
// prefers them on one parent.
func Kinds() []Kind {
	return slices.Concat([]Kind{serviceProfileKind(), trafficSplit()}, routes(),
		[]Kind{virtualServiceKind(), traefikServiceKind()})
}

// KindNamed is the kind of that name, the zero Kind where there is none.
func KindNamed(path Path) Kind {
	for _, k := range Kinds() {
		if k.Path == path {
			return k
		}
	}
	return Kind{}
}

// KindOf is the kind of splits that kubectl's users type, plural and group allowed; "" if it is none.
func KindOf(s string) Path {
	name, _, _ := strings.Cut(strings.ToLower(s), ".")
	for _, k := range Kinds() {
		if name == k.Short || strings.TrimSuffix(name, "s") == strings.ToLower(string(k.Path)) {
			return k.Path
		}
	}
	return ""
}

// Shorts are the words that may stand before the slash of a split's name.
func Shorts() (out []string) {
	for _, k := range Kinds() {
		if k.Short != "" {
			out = append(out, k.Short, strings.ToLower(string(k.Path)))
		}
	}
	return out
}

// ShortName names an object of the kind as a command line does, "ts/podinfo"; of no kind by its bare name.
func ShortName(kind Path, name string) string {
	switch short := KindNamed(kind).Short; {
	case short != "":
		return short + "/" + name
	case kind == "":
		return name
	}
	return strings.ToLower(string(kind)) + "/" + name
}

// Short is the split as a command line names it.
func (s Split) Short() string { return ShortName(Path(s.Kind), s.Name) }

// is reports whether an object is of the kind, as all objects of a list of it should be.
func (k Kind) is(u *unstructured.Unstructured) bool { return u.GetKind() == string(k.Path) }

// Asked is the split that is missing as it was asked for.
func (s Split) Asked() string {
	if s.AnyKind {
		return s.Name
	}
	return s.Short()
}

// IsOffered reports whether splits of the kind are offered at all.
func (k Kind) IsOffered() bool { return k.offers != nil }

// Offered names an object as a command line does, where it is a split of the kind that a client of a mesh may follow.
func (k Kind) Offered(u *unstructured.Unstructured) (name string, ok bool) {
	if !k.is(u) || !k.offers(u) {
		return "", false
	}
	return k.Short + "/" + u.GetName(), true
}

// MayRule reports whether objects of the kind matter where a split of the kind asked was named; "": none was.
func (k Kind) MayRule(asked Path) bool {
	return k.Provider == "" || k.Path == asked || asked == "" && !k.NamedOnly
}

// Essential reports whether such a question cannot be answered without reading objects of the kind.
func (k Kind) Essential(asked Path) bool {
	return k.Needed && (asked == "" || asked == k.Path) || k.NamedOnly && asked == k.Path
}

// SaysTheLaw reports whether objects of an API group may rule.
func SaysTheLaw(group string) bool {
	if group == ServiceProfiles().Group {
		return true
	}
	return slices.ContainsFunc(Kinds(), func(k Kind) bool {
		return slices.ContainsFunc(slices.Concat(k.Resources, k.Beside), func(r Resource) bool { return r.Group == group })
	})
}

// ruleText is the weights of an object of any kind, for the sentence about its change: of all its rules, since which of
// them fits a request is not known here.
func ruleText(u *unstructured.Unstructured) string {
	k := KindNamed(Path(u.GetKind()))
	if k.rules == nil {
		return ""
	}
	var rules []string
	for _, ws := range k.rules(u) {
		rules = append(rules, ws.String())
	}
	if len(rules) == 0 {
		return ""
	}
	return "(" + strings.Join(rules, "; ") + ")"
}

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
