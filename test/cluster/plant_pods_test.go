package cluster

import (
	"slices"
	"strings"
	"testing"
)

// podFaults are pods that are wired wrongly. Each is a copy of frontend, so that nothing else changes.
func podFaults() []fault {
	return []fault{
		{name: "port goes around the proxy", id: "SB018", args: []string{"--from", "deploy/frontend-skips"}, plant: func(t *testing.T, l lab) {
			// The rule that sends the port to the proxy is not made, and the arguments say so, as linkerd-init's do.
			l.clone(t, "frontend-skips", func(spec map[string]any) {
				init := spec["initContainers"].([]any)[0].(map[string]any)
				init["command"], init["args"] = []any{"sh", "-c", "true"}, []any{"linkerd-init", "--outbound-ports-to-ignore", "25,9898"}
			})
		}},
		{name: "proxy container gone", id: "SB002", args: []string{"--from", "deploy/frontend-bare"}, plant: func(t *testing.T, l lab) {
			l.clone(t, "frontend-bare", func(spec map[string]any) {
				delete(spec, "initContainers")
				spec["containers"] = slices.DeleteFunc(spec["containers"].([]any), func(c any) bool { return c.(map[string]any)["name"] == "linkerd-proxy" })
			})
		}},
		{name: "proxy follows what it looked up before", id: "SB001", args: []string{"--from", "deploy/frontend-stale"}, probed: true, plant: func(t *testing.T, l lab) {
			l.admin(t, "frontend-stale", `route_request_total{direction=\"outbound\",dst=\"podinfo.test.svc.cluster.local:9898\"} 7
outbound_http_route_backend_requests_total{$p,route_group=\"\",route_kind=\"default\",route_namespace=\"\",route_name=\"http\",$west} $n`)
		}},
		{name: "backend that is never drawn", id: "SB012", args: []string{"--from", "deploy/frontend-undrawn"}, probed: true, plant: func(t *testing.T, l lab) {
			l.admin(t, "frontend-undrawn", `route_request_total{direction=\"outbound\",dst=\"podinfo.test.svc.cluster.local:9898\"} $n
outbound_http_balancer_queue_requests_total{$p,$west} $n
outbound_http_balancer_queue_requests_total{$p,$east} 3`)
		}},
	}
}

// admin makes a copy of frontend whose proxy's admin port has these counters, written as a shell does. $n grows with every look.
func (l lab) admin(t *testing.T, name, counters string) {
	t.Helper()
	l.clone(t, name, func(spec map[string]any) {
		spec["containers"] = append(spec["containers"].([]any), map[string]any{
			"name": "admin", "image": "docker.io/splitlab/tools:1", "imagePullPolicy": "Never",
			"command":        []any{"sh", "-c", strings.ReplaceAll(adminScript, "COUNTERS", counters)},
			"readinessProbe": map[string]any{"tcpSocket": map[string]any{"port": 4191}, "periodSeconds": 1},
		})
	})
}

const adminScript = `cat >/tmp/answer <<'END'
#!/bin/sh
while read -r line; do [ ${#line} -le 1 ] && break; done
n=$(cat /tmp/n 2>/dev/null || echo 0); n=$((n+25)); echo $n >/tmp/n
p='parent_group="core",parent_kind="Service",parent_namespace="test",parent_name="podinfo",parent_port="9898",parent_section_name=""'
west='backend_group="core",backend_kind="Service",backend_namespace="test",backend_name="podinfo",backend_port="9898",backend_section_name=""'
east='backend_group="core",backend_kind="Service",backend_namespace="test",backend_name="podinfo-east",backend_port="9898",backend_section_name=""'
body="process_start_time_seconds 1700000000
COUNTERS
"
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' ${#body} "$body"
END
chmod +x /tmp/answer; exec busybox nc -ll -p 4191 -e /tmp/answer`
