// Package law says which object's weights the client's proxy obeys, and by which distribution it draws a backend.
//
// It is pure: what API servers told is a Snapshot (internal/mesh fills it) and lists of objects; out of them and a
// request comes a Law. It does no I/O, has no clock, and judges nothing: whether answers follow the law is for others
// to say. It is, with internal/mesh, the only place that knows the API groups, labels and annotations of SMI, Linkerd,
// Istio, Traefik and the Gateway API, and the only one that decides by those of Istio and Traefik.
//
// Invariant: a Law tells what the client's proxy obeys, not what the split object wishes.
package law

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Case is one split on its way to its law: what is asked, what was read, and what comes of it. Pick and then Decide
// fill the last.
type Case struct {
	Namespace       string // of the split
	ClientNamespace string // of the pods that draw
	Kind            Path   // that was named; "": any
	Name            string // of the split or of its root Service; "": the only one there is
	Port            int32  // of the root Service; 0: none was named. Pick takes a route's own for it
	Probe           Probe

	Objects      Objects
	Services     map[string]Service // of the namespace, by name
	Elsewhere    map[string]Service // of other namespaces, by name.namespace: those of Foreign that could be read
	Source       Pod
	SourceLabels map[string]string
	Through      *Through
	Root         Service // known to Decide
	DialPort     int32   // of the root Service, known to Decide

	Split Split
	Law   Law
	Ports map[string]int32 // that proxies dial where it is not DialPort, by backend
	Notes []string         // what could not be seen, one sentence each

	leaves        []leafWeight // of the split object
	root          serviceRef   // of the split
	declaredLaw   Weights      // what the rule of the route that was named says, whoever rules
	profileRef    ObjectRef
	profileRules  bool // the profile has routes or targets, so that proxies follow it and no route
	profileSplits bool // it has targets

	profileSettings []Setting
}

// Objects are the custom resources that a law may be read from, as they were listed.
type Objects struct {
	TrafficSplits []unstructured.Unstructured // of the namespace
	NoSplits      string                      // why there are none; empty: they were listed
	Profiles      []unstructured.Unstructured // ServiceProfiles of the client's and the split's namespace
	ProfilesState ProfileState                // ProfileNotServed and ProfileUnread: why Profiles are none
	ProfilesWhy   string                      // why they could not be read
	Unread        []string                    // what could not be listed, in words

	routes  []route
	virtual []virtualService
	traefik []traefikService
}

// Add takes objects of a kind as they were listed.
func (o *Objects) Add(k Kind, items []unstructured.Unstructured) {
	for i := range items {
		if k.is(&items[i]) {
			k.read(o, &items[i])
		}
	}
}

// Unclear is why no split could be picked: none is there, or several fit where one must be named.
type Unclear struct {
	Several             bool
	Object, Cause, Hint string
}

// Error says what was seen and what to do.
func (u *Unclear) Error() string { return u.Object + ": " + u.Cause + "; " + u.Hint }

func (c *Case) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}
