package demo

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// The objects that move the data plane, in west.
const (
	testNamespace = "test"
	clusterSuffix = "." + testNamespace + ".svc.cluster.local"
)

func splitKey() key   { return key{"trafficsplits", testNamespace, backendWest} }
func routeKey() key   { return key{"httproutes", testNamespace, backendWest} }
func linkKey() key    { return key{"links", "linkerd-multicluster", "east"} }
func mirrorKey() key  { return key{"endpoints", testNamespace, backendEast} }
func profileKey() key { return key{"serviceprofiles", testNamespace, backendWest + clusterSuffix} }

// follow plays what watches both clusters after an object of one was written or taken away: the SMI adaptor, the
// service mirror and the proxies. A profile that was written by hand stands until the split is written again, and a
// weight that cannot be read leaves everything as it was, both as in a real cluster. Called with writing held.
func (c *Clusters) follow(in *cluster, r resource, o *unstructured.Unstructured, gone bool) {
	if in == c.west && r.Name == splitKey().plural {
		c.adapt(o, gone)
	}
	if runs := c.runs(adaptorKey()); runs != c.adapting {
		c.adapting = runs
		splits, _ := c.west.store.list(splitKey().plural, "")
		for _, s := range splits { // one that begins to run looks at every split
			c.adapt(s, false)
		}
	}
	if c.mirror() {
		c.west.control()
	}
	c.obey()
}

// runs reports whether a Deployment of west has a ready pod.
func (c *Clusters) runs(k key) bool {
	d, ok := c.west.store.get(k)
	if !ok {
		return false
	}
	n, _, _ := unstructured.NestedInt64(d.Object, "status", "availableReplicas")
	return n > 0
}

// mirror is what the service mirror of west does, as that of edge-26.8.3 was seen to: the Endpoints of the mirror are
// the Link's gateway while the original has a ready endpoint, and empty while it has none. Whether the gateway answers
// is not seen in them. It reports whether it wrote them.
func (c *Clusters) mirror() bool {
	link, linked := c.west.store.get(linkKey())
	e, ok := c.west.store.get(mirrorKey())
	if !linked || !ok || !c.runs(key{"deployments", linkKey().namespace, "controller-east"}) {
		return false
	}
	at, want := "", ""
	for _, subset := range mapsAt(e.Object, "subsets") {
		for _, a := range append(mapsAt(subset, "addresses"), mapsAt(subset, "notReadyAddresses")...) {
			at = fmt.Sprint(a["ip"])
		}
	}
	if len(c.east.ready(backendWest, testNamespace)) > 0 {
		want, _, _ = unstructured.NestedString(link.Object, "spec", "gatewayAddress")
	}
	if at == want {
		return false
	}
	old := e
	e = e.DeepCopy()
	delete(e.Object, "subsets")
	if want != "" {
		text, _, _ := unstructured.NestedString(link.Object, "spec", "gatewayPort")
		port, _ := strconv.ParseInt(text, 10, 32)
		var ports []any
		service, _ := c.west.store.get(key{"services", testNamespace, backendEast})
		for _, p := range mapsAt(service.Object, "spec", "ports") {
			ports = append(ports, map[string]any{"name": p["name"], "port": port, "protocol": "TCP"})
		}
		e.Object["subsets"] = []any{map[string]any{"addresses": []any{map[string]any{"ip": want}}, "ports": ports}}
	}
	_ = manage(old, e, "service-mirror")
	c.west.store.put("endpoints", e)
	return true
}

// ready are the pods, or addresses that are no pods, that the Endpoints of a Service have as ready.
func (c *cluster) ready(service, namespace string) (names []string) {
	e, ok := c.store.get(key{"endpoints", namespace, service})
	if !ok {
		return nil
	}
	for _, subset := range mapsAt(e.Object, "subsets") {
		for _, a := range mapsAt(subset, "addresses") {
			name, ok, _ := unstructured.NestedString(a, "targetRef", "name")
			if !ok {
				name = fmt.Sprint(a["ip"])
			}
			names = append(names, name)
		}
	}
	return names
}

// obey tells the data plane what the objects say now: by whose rules the root is split, and which pods answer.
func (c *Clusters) obey() {
	c.plane.west.pods(c.west.ready(backendWest, testNamespace))
	c.plane.east.pods(c.east.ready(backendWest, testNamespace))
	c.plane.gates[backendWest].set(func(g *gate) { g.empty = len(c.west.ready(backendWest, testNamespace)) == 0 })
	c.plane.gates[backendEast].set(func(g *gate) {
		g.empty = !slices.Contains(c.west.ready(backendEast, testNamespace), c.west.site.GatewayIP) ||
			len(c.east.ready("linkerd-gateway", linkKey().namespace)) == 0
	})
	profile, _ := c.west.store.get(profileKey())
	route, routed := c.west.store.get(routeKey())
	c.plane.split.declare(func(l *law) {
		l.profiled = profile != nil && len(mapsAt(profile.Object, "spec", "dstOverrides")) > 0
		if l.profiled {
			l.profile = sharesOfProfile(profile, l.profile)
		}
		were := l.policy.shares
		l.policy = ruling{rules: rulesOfNobody}
		if routed {
			l.policy = ruling{rulesOfRoute, sharesOfRoute(route, were)}
		}
	})
}

// sharesOfProfile are those that were where a weight cannot be read: proxies keep what they had. Shares of weight 0 are
// dropped, a single one too: the root's own pods then get everything.
func sharesOfProfile(profile *unstructured.Unstructured, were []share) (shares []share) {
	for _, o := range mapsAt(profile.Object, "spec", "dstOverrides") {
		w, err := milli(o["weight"])
		if err != nil {
			return were
		}
		host, _, _ := strings.Cut(fmt.Sprint(o["authority"]), ":")
		shares = append(shares, share{backend: strings.TrimSuffix(host, clusterSuffix), weight: w})
	}
	return shares
}

func sharesOfRoute(route *unstructured.Unstructured, were []share) (shares []share) {
	for _, rule := range mapsAt(route.Object, "spec", "rules") {
		for _, b := range mapsAt(rule, "backendRefs") {
			n := int64(1) // where none is written
			if w := b["weight"]; w != nil {
				var err error
				if n, err = strconv.ParseInt(fmt.Sprint(w), 10, 32); err != nil || n < 0 {
					return were
				}
			}
			shares = append(shares, share{backend: fmt.Sprint(b["name"]), weight: n})
		}
	}
	if len(shares) == 1 {
		shares[0].weight = 1 // one backendRef gets everything, whatever its weight
	}
	return shares
}

// adaptorKey is the Deployment of the SMI adaptor.
func adaptorKey() key { return key{"deployments", "linkerd-smi", "smi-adaptor"} }

// adaptorProfile is the profile that the adaptor makes, and the annotations of those that it leaves alone.
func adaptorProfile() (made *unstructured.Unstructured, skip []string) {
	both, err := readFixtures("adaptor.yaml", site{})
	if err != nil {
		panic(err) // it is embedded
	}
	return both[0].object, slices.Collect(maps.Keys(both[1].object.GetAnnotations()))
}

// adapt is what the SMI adaptor does when a TrafficSplit was written or is gone, as version 0.2.7 was seen to: the
// split that was written last is in the profile, which is made where there is none, and the end of any of them empties
// it, whoever else names the same root. It does nothing while it does not run, or where the profile says that it must
// not.
func (c *Clusters) adapt(split *unstructured.Unstructured, gone bool) {
	store := c.west.store
	if !c.runs(adaptorKey()) {
		return
	}
	root, _, _ := unstructured.NestedString(split.Object, "spec", "service")
	at := key{profileKey().plural, split.GetNamespace(), root + clusterSuffix}
	old, ok := store.get(at)
	o := old
	made, skip := adaptorProfile()
	switch {
	case ok:
		if slices.ContainsFunc(skip, func(name string) bool { _, has := o.GetAnnotations()[name]; return has }) {
			return
		}
		o = o.DeepCopy()
		o.SetGeneration(o.GetGeneration() + 1)
	case gone:
		return
	default:
		o = made
		o.SetName(at.name)
		o.SetNamespace(at.namespace)
		o.SetUID(types.UID(uid("west", "ServiceProfile", at.namespace, at.name+split.GetResourceVersion())))
		o.SetCreationTimestamp(metav1.NewTime(time.Now().UTC().Truncate(time.Second)))
		o.SetGeneration(1)
	}
	unstructured.RemoveNestedField(o.Object, "spec", "dstOverrides")
	if !gone {
		var overrides []any
		for _, b := range mapsAt(split.Object, "spec", "backends") {
			if _, err := milli(b["weight"]); err != nil {
				return
			}
			overrides = append(overrides, map[string]any{
				"authority": fmt.Sprint(b["service"], clusterSuffix), "weight": fmt.Sprint(b["weight"]),
			})
		}
		_ = unstructured.SetNestedSlice(o.Object, overrides, "spec", "dstOverrides")
	}
	_ = manage(orNothing(old, o), o, "smi-adaptor")
	store.put(at.plural, o)
}

// mapsAt returns the objects in the list at a path; what is not an object is left out.
func mapsAt(o map[string]any, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedSlice(o, path...)
	var found []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
}

// SetWeights writes new weights into west's TrafficSplit or HTTPRoute, as kubectl would; the adaptor and the data plane
// follow. Errors: weights below 0 or all 0, or no split to write to.
func (c *Clusters) SetWeights(west, east int64) error {
	if err := checkWeights(west, east); err != nil {
		return fmt.Errorf("set weights: %w", err)
	}
	c.west.writing.Lock()
	defer c.west.writing.Unlock()
	at := splitKey()
	if c.options.Route {
		at = routeKey()
	}
	old, ok := c.west.store.get(at)
	if !ok {
		return fmt.Errorf("set weights: no %s %s/%s", at.plural, testNamespace, backendWest)
	}
	o := &unstructured.Unstructured{Object: runtime.DeepCopyJSON(old.Object)}
	var err error
	if c.options.Route {
		err = unstructured.SetNestedSlice(o.Object, []any{map[string]any{"backendRefs": []any{
			map[string]any{"name": backendWest, "port": int64(9898), "weight": west},
			map[string]any{"name": backendEast, "port": int64(9898), "weight": east},
		}}}, "spec", "rules")
	} else {
		err = unstructured.SetNestedSlice(o.Object, []any{
			map[string]any{"service": backendWest, "weight": west},
			map[string]any{"service": backendEast, "weight": east},
		}, "spec", "backends")
	}
	if err != nil {
		return fmt.Errorf("set weights: %w", err)
	}
	o.SetGeneration(old.GetGeneration() + 1)
	if err := manage(old, o, "kubectl-patch"); err != nil {
		return fmt.Errorf("set weights: %w", err)
	}
	r, _ := c.west.resources.byName(at.plural)
	c.west.store.put(r.Name, o)
	c.west.tell(r, o, false)
	return nil
}

// SetTrueWeights makes the data plane obey these weights from now on, and no object show it. Errors: weights below 0
// or all 0.
func (c *Clusters) SetTrueWeights(west, east int64) error {
	if err := checkWeights(west, east); err != nil {
		return fmt.Errorf("set true weights: %w", err)
	}
	c.plane.split.force([]share{{backendWest, west}, {backendEast, east}})
	return nil
}

// CutGateway makes east's gateway answer 504 to everything, or makes it pass on again. No object shows it, and nobody
// takes over: the gateway itself is there.
func (c *Clusters) CutGateway(away bool) { c.plane.cut.Store(away) }
