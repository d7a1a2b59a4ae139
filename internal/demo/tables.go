package demo

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/duration"
)

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
