package law

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// pickRoute makes the route that is meant the split of the Snapshot.
func (c *Case) pickRoute() (bool, error) {
	r := c.routeMeant()
	if r == nil {
		return false, nil
	}
	c.takeRoute(r)
	return true, nil
}

// routeMeant is the route that is named, or the ruling one of a root Service by whose name no TrafficSplit is obeyed.
// nil: none.
func (c *Case) routeMeant() *route {
	if c.Kind != "" {
		return c.namedRoute(c.Kind, c.Name)
	}
	name, ns, splits := c.Name, c.Namespace, c.Objects.TrafficSplits
	if base, other, ok := cutLast(name); ok {
		if _, own := c.Services[name]; !own {
			name, ns = base, other
		}
	}
	c.root = serviceRef{namespace: ns, name: name}
	byRoot := find(splits, func(u *unstructured.Unstructured) bool { return RootOf(u) == c.Name }) != nil
	if byRoot {
		if u, _ := pickProfile(c.Objects.Profiles, name, ns, c.ClientNamespace); u != nil {
			return nil
		}
	}
	q := c.question()
	q.port = c.Port
	if law, _ := q.byRoutes(c.Objects.routes); law != nil {
		ruling := func(r *route) bool { return r.ref == law.Objects[0] && r.ref.Namespace == c.Namespace }
		if r := find(c.Objects.routes, ruling); r != nil {
			return r
		}
	}
	if byRoot || find(splits, func(u *unstructured.Unstructured) bool { return u.GetName() == c.Name }) != nil {
		return nil
	}
	root := serviceRef{namespace: ns, name: name}
	// One that names the root and is of no effect: checks say why.
	if r := find(c.Objects.routes, func(r *route) bool {
		return r.ref.Namespace == c.Namespace &&
			r.boundTo(root)
	}); r != nil {
		return r
	}
	for _, k := range routes() {
		if r := c.namedRoute(k.Path, c.Name); r != nil {
			return r
		}
	}
	return nil
}

// namedRoute finds a route of the split's namespace by kind and name. Of two HTTPRoutes of one name in two groups that
// which rules is taken, else that of the Gateway API.
func (c *Case) namedRoute(kind Path, name string) *route {
	var first *route
	for i := range c.Objects.routes {
		switch r := &c.Objects.routes[i]; {
		case r.kind != kind || !r.is(c.Namespace, name):
		case first == nil:
			first = r
		case c.ruling(r) && !c.ruling(first):
			return r
		}
	}
	return first
}

// ruling reports whether a route rules its first parent.
func (c *Case) ruling(r *route) bool {
	parents := r.parentsOf()
	if len(parents) == 0 {
		return false
	}
	asked := *c
	asked.root = serviceRef{namespace: parents[0].namespace, name: parents[0].name}
	q := asked.question()
	q.port = cmp.Or(c.Port, parents[0].port)
	law, _ := q.byRoutes(c.Objects.routes)
	return law != nil && law.Objects[0] == r.ref
}

// boundTo reports whether the Service is one of the route's parents, by whichever port.
func (r route) boundTo(root serviceRef) bool {
	return slices.ContainsFunc(r.parentsOf(), func(p serviceRef) bool {
		p.port = 0
		return p == root
	})
}

// takeRoute makes a route the split of the Snapshot. Its root is the Service that was asked for, else the first that it
// is bound to.
func (c *Case) takeRoute(r *route) {
	s := splitOf(r.raw)
	parents := r.parentsOf()
	root := serviceRef{}
	for i, p := range parents {
		if i == 0 || c.Kind == "" && p.name == c.root.name && p.namespace == c.root.namespace {
			root = p
		}
	}
	switch {
	case len(parents) == 0:
		s.WeightErr = &WeightError{
			Object: r.ref.String(), Field: "spec.parentRefs",
			Why: "names no Service as a parent (kind: Service), so that no request to a Service follows it",
		}
	case len(parents) > 1:
		c.note("%s is bound to %d Services; %s is the one that is looked at", r.ref, len(parents), untrusted.Safe(root.name))
	}
	if root.port != 0 && c.Port == 0 {
		c.Port = root.port
	}
	c.root = serviceRef{namespace: root.namespace, name: root.name}
	s.Root = c.rootName(c.root)
	c.Split = s
	q := c.question()
	q.port = c.Port
	if m, ok := q.bestRule([]*route{r}); ok {
		c.Split.Declared = q.declared(r, m.rule)
		backends, _ := q.backendsOf(r, m.rule)
		c.declaredLaw = weightsOf(backends)
	}
	if r.problem != "" && s.WeightErr == nil {
		c.Split.WeightErr = &WeightError{Object: r.ref.String(), Field: "spec", Why: r.problem}
	}
}

// declared is what a rule of a route writes, by the names of the Snapshot.
func (q question) declared(r *route, rule int) []Declared {
	var leaves []Leaf
	for _, ref := range r.spec.Rules[rule].BackendRefs {
		leaves = append(leaves, q.backend(r, ref, orElse(ref.Weight, 1)))
	}
	var out []Declared
	for _, b := range q.apart(leaves) {
		out = append(out, Declared{Service: b.Name, Raw: fmt.Sprint(b.Weight)})
	}
	return out
}
