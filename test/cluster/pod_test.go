package cluster

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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
	bare := os.Getenv("SPLITBENCH_TEST_BARE_IMAGE")
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
		)
		if bare != "" {
			spec["containers"] = append(spec["containers"].([]any), map[string]any{"name": "bare", "image": bare, "imagePullPolicy": "IfNotPresent"})
		}
	})
	from := []string{"--from", "deploy/frontend-readonly"}
	l.do(t, t.TempDir(), l.runArgs(append(from, short...)...)...).want(t, "pass", 0)

	wants := map[string]string{"sealed": "mount an emptyDir", "bare": "no sh in the container"}
	if bare == "" {
		t.Log("SPLITBENCH_TEST_BARE_IMAGE is not set: a container without a shell is not tested")
		delete(wants, "bare")
	}
	for name, want := range wants {
		// Left to itself it would go on to the image's curl.
		e := l.do(t, t.TempDir(), l.runArgs(append(from, "-c", name, "--via", "upload")...)...)
		e.want(t, "invalid", 4)
		if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, want) {
			t.Errorf("container %s: %q is not in %q", name, want, text)
		}
	}
}

// A plain go install has no agents inside. Where the platforms match, the program uploads itself.
func TestAProgramWithoutAgentsUploadsItself(t *testing.T) {
	l := need(t)
	agents, err := filepath.Glob("../../internal/agentbin/bin/*.zst")
	if err != nil || len(agents) == 0 {
		t.Fatalf("no agents to leave out: %v", err)
	}
	replace := map[string]string{}
	for _, a := range agents {
		abs, err := filepath.Abs(a)
		if err != nil {
			t.Fatal(err)
		}
		replace[abs] = "" // as if it were not there
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := l
	plain.binary = filepath.Join(dir, "splitbench")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, "-o", plain.binary, "../../cmd/splitbench")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	e := plain.do(t, t.TempDir(), l.runArgs(short...)...)
	e.want(t, "pass", 0)
	if e.report.Source == nil || !strings.Contains(e.report.Source.Agent, "this program") {
		t.Errorf("agent: %+v", e.report.Source)
	}
	l.nothingLeft(t, 0)
}
