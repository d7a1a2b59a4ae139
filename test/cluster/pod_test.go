package cluster

import (
	"encoding/json"
	"strings"
	"testing"
)

// clone makes a second frontend that differs from the first as change says, and waits until it is ready.
func (l lab) clone(t *testing.T, name string, change func(podSpec map[string]any)) {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal([]byte(l.kubectl(t, "", "get", "deploy", "frontend", "-o", "json")), &d); err != nil {
		t.Fatal(err)
	}
	labels := map[string]any{"app": name}
	d["metadata"] = map[string]any{"name": name, "labels": labels}
	delete(d, "status")
	spec := d["spec"].(map[string]any)
	spec["selector"] = map[string]any{"matchLabels": labels}
	template := spec["template"].(map[string]any)
	template["metadata"].(map[string]any)["labels"] = labels
	change(template["spec"].(map[string]any))
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.kubectl(t, "", "delete", "deploy", name, "--ignore-not-found") })
	l.kubectl(t, string(b), "apply", "-f", "-")
	l.kubectl(t, "", "rollout", "status", "deploy/"+name, "--timeout=60s")
}

func container(podSpec map[string]any, name string) map[string]any {
	for _, c := range podSpec["containers"].([]any) {
		if m := c.(map[string]any); m["name"] == name {
			return m
		}
	}
	return nil
}

func TestReadOnlyRootFileSystem(t *testing.T) {
	l := need(t)
	l.clone(t, "frontend-readonly", func(spec map[string]any) {
		nginx := container(spec, "nginx") // its /tmp is an emptyDir
		nginx["securityContext"] = map[string]any{"readOnlyRootFilesystem": true}
		nginx["command"] = []any{"sleep", "infinity"}
		// A second container without any place to write, and a third without a shell.
		spec["containers"] = append(spec["containers"].([]any),
			map[string]any{
				"name": "sealed", "image": nginx["image"], "imagePullPolicy": "Never", "command": []any{"sleep", "infinity"},
				"securityContext": map[string]any{"readOnlyRootFilesystem": true},
			},
			map[string]any{"name": "bare", "image": "docker.io/splitlab/pause:1", "imagePullPolicy": "Never"})
	})
	from := []string{"--from", "deploy/frontend-readonly"}
	l.do(t, t.TempDir(), l.runArgs(append(from, short...)...)...).want(t, "pass", 0)

	for name, want := range map[string]string{"sealed": "mount an emptyDir", "bare": "no sh in the container"} {
		e := l.do(t, t.TempDir(), l.runArgs(append(from, "-c", name)...)...)
		e.want(t, "invalid", 4)
		if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, want) {
			t.Errorf("container %s: %q is not in %q", name, want, text)
		}
	}
}
