package law

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/splitbench/splitbench/internal/untrusted"
)

// Which of several objects Istio obeys. It makes a VirtualService of the HTTP and gRPC routes that one namespace has
// for a port of a Service, and sorts it among those that are there (istio 86c9f01fd73,
// pilot/pkg/config/kube/gateway/route_collections.go mergeHTTPRoutes, pilot/pkg/model/virtualservice.go
// SelectVirtualServices and virtualservice_controller.go MergedVirtualServices).

// ruler is one of them: a VirtualService, or routes.
type ruler struct {
	objects []ObjectRef // the oldest first
	virtual *virtualService
	routes  []*route
	host    int // how exactly it names the root Service, as namesHost has it
	reach   int // 0: for its own namespace alone, which is the client's; 1: for the client's, named; 2: for all
	notOwn  int // 0: routes of the client's namespace; 1: anything else
	created time.Time
	name    string
	idle    bool // it has no rule for the client and the port
}

func (r ruler) compare(o ruler) int {
	return cmp.Or(o.host-r.host, r.reach-o.reach, r.notOwn-o.notOwn, r.created.Compare(o.created),
		strings.Compare(r.name, o.name), strings.Compare(r.objects[0].Namespace, o.objects[0].Namespace))
}

// before says why another ruler, which comes later, is not obeyed.
func (r ruler) before(o ruler) string {
	object := r.objects[0]
	switch {
	case r.host > o.host:
		return object.String() + " names the host more exactly"
	case r.reach < o.reach || r.notOwn < o.notOwn:
		return object.String() + " names the same host and is for clients of namespace " + untrusted.Safe(object.Namespace)
	}
	return object.String() + " names the same host and is older"
}

// istioLaw is Istio's. Its second result says what is not obeyed.
func (c *Case) istioLaw(q question) (*Law, []Shadowed) {
	law, shadowed := q.byIstio(c.Objects.routes, c.Objects.virtual, c.SourceLabels)
	if c.Split.Kind == string(PathTrafficSplit) && c.Split.Found {
		shadowed = append(shadowed, Shadowed{Object: c.Split.Object(), Why: "Istio reads no TrafficSplits"})
	}
	return cmp.Or(law, q.defaultLaw()), shadowed
}

// byIstio is the law of what names the root, nil where nothing is in force. Of several with its whole name the first
// that has a rule for the client counts; of wildcards the most exact one alone, rule or not, and none beside a whole
// name (pilot/pkg/networking/core/route/route.go separateVSHostsAndServices).
func (q question) byIstio(routes []route, virtual []virtualService, labels map[string]string) (*Law, []Shadowed) {
	ofRoutes, shadowed := q.routeRulers(routes)
	all, more := q.virtualRulers(virtual, labels)
	all, shadowed = append(all, ofRoutes...), append(shadowed, more...)
	slices.SortStableFunc(all, ruler.compare)
	var first *ruler
	for i, r := range all {
		wild := all[0].host <= len(q.fullName())
		why := "none of its rules is for this client and port"
		switch {
		case first != nil:
			why = first.before(r)
		case !r.idle && (i == 0 || r.host == all[0].host && !wild):
			first = &all[i]
			continue
		case !r.idle:
			why = all[0].before(r)
		}
		for _, o := range r.objects {
			shadowed = append(shadowed, Shadowed{Object: o, Why: why})
		}
	}
	switch {
	case first == nil:
		return nil, shadowed
	case first.virtual != nil:
		return q.ofVirtualService(first.virtual, virtual, labels), shadowed
	}
	return q.ofRoutes(first.routes, shadowed)
}

// virtualRulers are the VirtualServices that name the root.
func (q question) virtualRulers(all []virtualService, labels map[string]string) (out []ruler, shadowed []Shadowed) {
	for i := range all {
		v := &all[i]
		host := v.namesHost(q)
		if host == 0 {
			continue
		}
		if why := v.idle(q); why != "" {
			shadowed = append(shadowed, Shadowed{Object: v.ref, Why: why})
			continue
		}
		r := ruler{virtual: v, host: host, reach: 2, notOwn: 1, created: v.created, name: v.ref.Name}
		r.objects = []ObjectRef{v.ref}
		r.idle = q.opaque == "" && len(v.rulesFor(q, all, labels)) == 0
		if to := v.spec.ExportTo; len(to) > 0 && !slices.Contains(to, "*") {
			r.reach = 1
			if v.ref.Namespace == q.clientNS {
				r.reach = 0
			}
		}
		out = append(out, r)
	}
	return out, shadowed
}

// routeRulers are the routes that are bound to the root, those of one namespace and port together. Routes of requests
// count where the port is HTTP, routes of connections where it is not.
func (q question) routeRulers(all []route) (out []ruler, shadowed []Shadowed) {
	inForce, shadowed := q.bound(all)
	for _, r := range inForce {
		if splitsConnections(r.kind) != (q.opaque != "") {
			why := cmp.Or(q.opaque, "the port is HTTP")
			shadowed = append(shadowed, Shadowed{Object: r.ref, Why: "no " + string(r.kind) + " is read there: " + why})
			continue
		}
		key := r.ref.Namespace
		if slices.Contains(r.parentsOf(), serviceRef{namespace: q.rootNS, name: q.root, port: q.port}) && q.port != 0 {
			key += fmt.Sprintf("~%d", q.port)
		}
		key += "~" + q.fullName()
		group := find(out, func(o *ruler) bool { return o.name == key })
		if group == nil {
			notOwn := 1
			if r.ref.Namespace == q.clientNS {
				notOwn = 0
			}
			out = append(out, ruler{host: len(q.fullName()) + 1, reach: 2, notOwn: notOwn, created: r.created, name: key})
			group = &out[len(out)-1]
		}
		group.routes, group.objects = append(group.routes, r), append(group.objects, r.ref)
	}
	return out, shadowed
}

// fullName is the root's whole name.
func (q question) fullName() string { return q.root + "." + q.rootNS + ".svc.cluster.local" }
