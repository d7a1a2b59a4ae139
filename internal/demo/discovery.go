package demo

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/yaml"
)

// resource is one line of the fixtures' list of what is served: what discovery says of it, and where it is served.
type resource struct {
	metav1.APIResource `json:",inline"`

	Versions []string `json:"versions"` // in order of preference
	Clusters []string `json:"clusters"` // empty: all

	Subresources []string `json:"subresources"` // status and scale
}

func (r resource) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Name}
}

func (r resource) apiVersion(v string) string {
	return schema.GroupVersion{Group: r.Group, Version: v}.String()
}

func (r resource) has(verb string) bool { return slices.Contains(r.Verbs, verb) }

// resources are what one cluster serves.
type resources []resource

func readResources(s site) (resources, error) {
	docs, err := readDocuments("resources.yaml", s)
	if err != nil {
		return nil, err
	}
	var all, served resources
	if err := yaml.UnmarshalStrict(docs[0], &all); err != nil {
		return nil, fmt.Errorf("fixture resources.yaml: %w", err)
	}
	for _, r := range all {
		if len(r.Clusters) > 0 && !slices.Contains(r.Clusters, s.Cluster) {
			continue
		}
		if len(r.Verbs) == 0 {
			r.Verbs = []string{"create", "delete", "get", "list", "patch", "update", "watch"}
		}
		served = append(served, r)
	}
	return served, nil
}

func (rs resources) byKind(kind string) (resource, bool) {
	return rs.first(func(r resource) bool { return r.Kind == kind })
}

func (rs resources) byName(plural string) (resource, bool) {
	return rs.first(func(r resource) bool { return r.Name == plural })
}

func (rs resources) first(is func(resource) bool) (resource, bool) {
	if i := slices.IndexFunc(rs, is); i >= 0 {
		return rs[i], true
	}
	return resource{}, false
}

// find resolves a request's group, version and plural.
func (rs resources) find(group, v, plural string) (resource, bool) {
	r, ok := rs.byName(plural)
	return r, ok && r.Group == group && slices.Contains(r.Versions, v)
}

// groups lists the named groups with their versions, the preferred one first.
func (rs resources) groups() []metav1.APIGroup {
	var found []metav1.APIGroup
	for _, r := range rs {
		if r.Group == "" || slices.ContainsFunc(found, func(g metav1.APIGroup) bool { return g.Name == r.Group }) {
			continue
		}
		g := metav1.APIGroup{Name: r.Group}
		for _, v := range r.Versions {
			g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: r.apiVersion(v), Version: v})
		}
		g.PreferredVersion = g.Versions[0]
		found = append(found, g)
	}
	return found
}

// list is the discovery document of one group and version; ok is false where nothing is served there.
func (rs resources) list(group, v string) (l metav1.APIResourceList, ok bool) {
	l = metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}}
	l.GroupVersion = schema.GroupVersion{Group: group, Version: v}.String()
	for _, r := range rs {
		if r.Group != group || !slices.Contains(r.Versions, v) {
			continue
		}
		r.Group = "" // that of the list
		l.APIResources = append(l.APIResources, r.APIResource)
		if r.Kind == "Pod" {
			l.APIResources = append(l.APIResources, metav1.APIResource{
				Name: "pods/exec", Namespaced: true, Kind: "PodExecOptions", Verbs: []string{"create", "get"},
			})
		}
		for _, name := range r.Subresources {
			sub := metav1.APIResource{
				Name: r.Name + "/" + name, Namespaced: r.Namespaced, Kind: r.Kind, Verbs: []string{"get", "patch", "update"},
			}
			if name == scaleSubresource {
				sub.Group, sub.Version, sub.Kind = "autoscaling", "v1", "Scale"
			}
			l.APIResources = append(l.APIResources, sub)
		}
	}
	return l, len(l.APIResources) > 0
}

// serveDiscovery answers the paths of discovery, which is not aggregated: clients fall back by themselves.
func (c *cluster) serveDiscovery(w http.ResponseWriter, path []string) bool {
	switch {
	case len(path) == 1 && path[0] == "api":
		writeJSON(w, http.StatusOK, metav1.APIVersions{
			TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"},
			ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: c.address}},
		})
	case len(path) == 1 && path[0] == "apis":
		writeJSON(w, http.StatusOK, metav1.APIGroupList{
			TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: c.resources.groups(),
		})
	case len(path) == 2 && path[0] == "apis":
		groups := c.resources.groups()
		i := slices.IndexFunc(groups, func(g metav1.APIGroup) bool { return g.Name == path[1] })
		if i < 0 {
			return false
		}
		g := groups[i]
		g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
		writeJSON(w, http.StatusOK, g)
	case len(path) == 2 && path[0] == "api", len(path) == 3 && path[0] == "apis":
		group, v := "", path[1]
		if len(path) == 3 {
			group, v = path[1], path[2]
		}
		l, ok := c.resources.list(group, v)
		if !ok {
			return false
		}
		writeJSON(w, http.StatusOK, l)
	default:
		return false
	}
	return true
}

// serveOpenAPI tells kubectl that the server validates what it is sent, which is what a validated apply asks first:
// each kind with its PATCH and the parameters of that, and no fields (OpenAPI v3, as kubectl since 1.27 reads it).
func (c *cluster) serveOpenAPI(w http.ResponseWriter, path []string) bool {
	if len(path) < 2 || path[0] != "openapi" || path[1] != "v3" {
		return false
	}
	at, found := strings.Join(path[2:], "/"), map[string]any{}
	for _, r := range c.resources {
		for _, v := range r.Versions {
			root := "apis/" + r.apiVersion(v)
			if r.Group == "" {
				root = "api/" + v
			}
			switch at {
			case "":
				found[root] = map[string]string{"serverRelativeURL": "/openapi/v3/" + root}
			case root:
				found["/"+root+"/"+r.Name+"/{name}"] = map[string]any{"patch": patchOperation(r, v)}
			}
		}
	}
	if len(found) == 0 {
		return false
	}
	body := map[string]any{"paths": found}
	if at != "" {
		body["openapi"], body["info"] = "3.0.0", map[string]string{"title": "Kubernetes", "version": apiVersionOfServer}
	}
	writeJSON(w, http.StatusOK, body)
	return true
}

func patchOperation(r resource, v string) map[string]any {
	var parameters []any
	for _, name := range []string{"dryRun", "fieldManager", "fieldValidation", "force"} {
		parameters = append(parameters, map[string]any{
			"name": name, "in": "query", "schema": map[string]any{"type": "string", "uniqueItems": true},
		})
	}
	return map[string]any{
		"parameters":                      parameters,
		"responses":                       map[string]any{},
		"x-kubernetes-group-version-kind": map[string]any{"group": r.Group, "version": v, "kind": r.Kind},
	}
}

func versionInfo() version.Info {
	return version.Info{
		Major: "1", Minor: "36", GitVersion: apiVersionOfServer, GitTreeState: "clean", GoVersion: runtime.Version(),
		Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// wantsTable tells whether the client would have the rows that kubectl prints.
func wantsTable(r *http.Request) bool {
	first, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	return strings.Contains(first, "as=Table") && strings.Contains(first, "v=v1")
}

// tableOf prints objects as rows; kinds that have no columns of their own get name and age.
func tableOf(t target, objects []*unstructured.Unstructured, rv string) map[string]any {
	names, cells := columns(t.Kind)
	defs := []any{map[string]any{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}}
	for _, n := range append(names, "Age") {
		defs = append(defs, map[string]any{"name": n, "type": "string", "format": "", "description": "", "priority": 0})
	}
	rows := []any{}
	for _, o := range objects {
		row := []any{o.GetName()}
		for _, cell := range cells {
			row = append(row, cell(o.Object))
		}
		age := duration.HumanDuration(time.Since(o.GetCreationTimestamp().Time))
		rows = append(rows, map[string]any{"cells": append(row, age), "object": map[string]any{
			"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": o.Object["metadata"],
		}})
	}
	return map[string]any{
		"apiVersion": "meta.k8s.io/v1", "kind": "Table", "metadata": metav1.ListMeta{ResourceVersion: rv},
		"columnDefinitions": defs, "rows": rows,
	}
}

type cell func(o map[string]any) string

func columns(kind string) ([]string, []cell) {
	switch kind {
	case "Pod":
		return []string{"Ready", "Status", "Restarts"}, []cell{podReadyCell, text("status", "phase"), podRestarts}
	case "Service":
		return []string{"Type", "Cluster-IP", "External-IP", "Port(s)"},
			[]cell{text("spec", "type"), text("spec", "clusterIP"), externalIP, servicePorts}
	case "Deployment":
		return []string{"Ready", "Up-to-date", "Available"}, []cell{
			func(o map[string]any) string {
				return text("status", "readyReplicas")(o) + "/" + text("spec", "replicas")(o)
			},
			text("status", "updatedReplicas"), text("status", "availableReplicas"),
		}
	case "ReplicaSet":
		return []string{"Desired", "Current", "Ready"},
			[]cell{text("spec", "replicas"), text("status", "replicas"), text("status", "readyReplicas")}
	case "Endpoints":
		return []string{"Endpoints"}, []cell{endpointAddresses}
	case "TrafficSplit":
		return []string{"Service"}, []cell{text("spec", "service")}
	case "Namespace":
		return []string{"Status"}, []cell{text("status", "phase")}
	}
	return nil, nil
}

func text(path ...string) cell {
	return func(o map[string]any) string {
		v, ok, _ := unstructured.NestedFieldNoCopy(o, path...)
		if !ok {
			return "0"
		}
		return fmt.Sprint(v)
	}
}

func podReadyCell(o map[string]any) string {
	ready, all := 0, mapsAt(o, "status", "containerStatuses")
	for _, c := range all {
		if c["ready"] == true {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, len(all))
}

func podRestarts(o map[string]any) string {
	var n int64
	for _, c := range mapsAt(o, "status", "containerStatuses") {
		r, _ := c["restartCount"].(int64)
		n += r
	}
	return strconv.FormatInt(n, 10)
}

func externalIP(o map[string]any) string {
	for _, i := range mapsAt(o, "status", "loadBalancer", "ingress") {
		return fmt.Sprint(i["ip"])
	}
	return "<none>"
}

func endpointAddresses(o map[string]any) string {
	var found []string
	for _, subset := range mapsAt(o, "subsets") {
		for _, a := range mapsAt(subset, "addresses") {
			for _, p := range mapsAt(subset, "ports") {
				found = append(found, fmt.Sprintf("%v:%v", a["ip"], p["port"]))
			}
		}
	}
	if len(found) == 0 {
		return "<none>"
	}
	return strings.Join(found, ",")
}

func servicePorts(o map[string]any) string {
	var ports []string
	for _, p := range mapsAt(o, "spec", "ports") {
		ports = append(ports, fmt.Sprintf("%v/%v", p["port"], p["protocol"]))
	}
	return strings.Join(ports, ",")
}
