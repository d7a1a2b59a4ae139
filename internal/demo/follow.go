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
func profileKey() key { return key{"serviceprofiles", testNamespace, backendWest + clusterSuffix} }

// follow makes the data plane obey west's objects after an object of r was written or taken away. It plays the SMI
// adaptor first. A profile that was written by hand stands until the split is written again, and a weight that cannot
// be read leaves everything as it was, both as in a real cluster. Called with west.writing held.
func (c *Clusters) follow(r resource, o *unstructured.Unstructured, gone bool) {
	switch r.Name {
	case splitKey().plural:
		c.adapt(o, gone)
		c.obey()
	case "deployments":
		c.settle(o, gone)
		c.obey()
	case profileKey().plural, routeKey().plural:
		c.obey()
	}
}

// obey makes the data plane do what the objects say now.
func (c *Clusters) obey() {
	if c.options.Route {
		c.followRoute()
		return
	}
	profile, ok := c.west.store.get(profileKey())
	if !ok {
		c.plane.split.declare(nil)
		return
	}
	var shares []share
	for _, o := range mapsAt(profile.Object, "spec", "dstOverrides") {
		w, err := milli(o["weight"])
		if err != nil {
			return // proxies keep what they had
		}
		host, _, _ := strings.Cut(fmt.Sprint(o["authority"]), ":")
		shares = append(shares, share{backend: strings.TrimSuffix(host, clusterSuffix), weight: w})
	}
	// Those of weight 0 are dropped, a single one too: the root's own pods then get everything.
	c.plane.split.declare(shares)
}

// followRoute makes the data plane obey the HTTPRoute.
func (c *Clusters) followRoute() {
	var shares []share
	if route, ok := c.west.store.get(routeKey()); ok {
		for _, rule := range mapsAt(route.Object, "spec", "rules") {
			for _, b := range mapsAt(rule, "backendRefs") {
				n := int64(1) // where none is written
				if w := b["weight"]; w != nil {
					var err error
					if n, err = strconv.ParseInt(fmt.Sprint(w), 10, 32); err != nil || n < 0 {
						return
					}
				}
				shares = append(shares, share{backend: fmt.Sprint(b["name"]), weight: n})
			}
		}
	}
	if len(shares) == 1 {
		shares[0].weight = 1 // one backendRef gets everything, whatever its weight
	}
	c.plane.split.declare(shares)
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
	if a, ok := store.get(adaptorKey()); !ok || available(a) == 0 {
		return
	}
	root, _, _ := unstructured.NestedString(split.Object, "spec", "service")
	at := key{profileKey().plural, split.GetNamespace(), root + clusterSuffix}
	o, ok := store.get(at)
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
	manage(o, "smi-adaptor", time.Now())
	store.put(at.plural, o)
}

func available(deployment *unstructured.Unstructured) int64 {
	n, _, _ := unstructured.NestedInt64(deployment.Object, "status", "availableReplicas")
	return n
}

// settle plays the controllers for a Deployment of west that was written: it has at once what it wants. An SMI adaptor
// that begins to run looks at every split.
func (c *Clusters) settle(o *unstructured.Unstructured, gone bool) {
	if gone {
		return
	}
	want, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	before := available(o)
	o = o.DeepCopy()
	for _, n := range []string{"replicas", "updatedReplicas", "readyReplicas", "availableReplicas"} {
		_ = unstructured.SetNestedField(o.Object, want, "status", n)
	}
	_ = unstructured.SetNestedField(o.Object, o.GetGeneration(), "status", "observedGeneration")
	c.west.store.put("deployments", o)
	if keyOf("deployments", o) == adaptorKey() && before == 0 && want > 0 {
		splits, _ := c.west.store.list(splitKey().plural, "")
		for _, s := range splits {
			c.adapt(s, false)
		}
	}
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
	manage(o, "kubectl-patch", time.Now())
	r, _ := c.west.resources.byName(at.plural)
	c.west.store.put(r.Name, o)
	c.follow(r, o, false)
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

// CutGateway takes east's gateway away, or gives it back, without an object showing it: what is sent to it ends as 504.
func (c *Clusters) CutGateway(away bool) { c.plane.cut.Store(away) }
