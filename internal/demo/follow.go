package demo

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// The objects that move the data plane, in west.
const (
	testNamespace = "test"
	clusterSuffix = "." + testNamespace + ".svc.cluster.local"
)

func splitKey() key   { return key{"trafficsplits", testNamespace, backendWest} }
func routeKey() key   { return key{"httproutes", testNamespace, backendWest} }
func profileKey() key { return key{"serviceprofiles", testNamespace, backendWest + clusterSuffix} }

// follow makes the data plane obey west's objects after a write to r. It plays the SMI adaptor first: a written split
// is copied into the profile. A profile that was written by hand stands until the split is written again, and a weight
// that cannot be read leaves everything as it was, both as in a real cluster. Called with west.writing held, or before
// the server starts.
func (c *Clusters) follow(r resource) {
	if r.Name == splitKey().plural {
		c.adapt()
	}
	if r.Name != "" && r.Name != splitKey().plural && r.Name != profileKey().plural && r.Name != routeKey().plural {
		return
	}
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

// adapt copies the split's weights into the profile.
func (c *Clusters) adapt() {
	store := c.west.store
	profile, ok := store.get(profileKey())
	if !ok {
		return
	}
	o := profile.DeepCopy()
	unstructured.RemoveNestedField(o.Object, "spec", "dstOverrides")
	if split, ok := store.get(splitKey()); ok {
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
	o.SetGeneration(profile.GetGeneration() + 1)
	manage(o, "smi-adaptor", time.Now())
	store.put(profileKey().plural, o)
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
	c.follow(r)
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
