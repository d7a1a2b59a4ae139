package cluster

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
)

// kubectl changes the laboratory; splitbench itself never calls it.
func (l lab) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("kubectl", append([]string{"--context", l.west, "-n", namespace}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, exitText(err))
	}
	return string(out)
}

func exitText(err error) string {
	if x, ok := err.(*exec.ExitError); ok {
		return string(x.Stderr)
	}
	return ""
}

// restore puts an object back as it was read, when the test ends.
func (l lab) restore(t *testing.T, kind, name string, then ...func()) {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal([]byte(l.kubectl(t, "", "get", kind, name, "-o", "json")), &object); err != nil {
		t.Fatal(err)
	}
	metadata := object["metadata"].(map[string]any)
	for _, k := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"} {
		delete(metadata, k)
	}
	delete(object, "status")
	b, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.kubectl(t, string(b), "apply", "--server-side", "--force-conflicts", "-f", "-")
		for _, f := range then {
			f()
		}
	})
}

// check runs splitbench check and returns its exit code and the checks that are not green.
func (l lab) check(t *testing.T, more ...string) (int, map[string]preflight.Result) {
	t.Helper()
	e := l.do(t, t.TempDir(), append([]string{
		"check", "ts/podinfo", "--context", l.west, "--remote-context", l.east, "-n", namespace,
		"--from", "deploy/frontend", "-c", "nginx", "-o", "json",
	}, more...)...)
	var doc struct {
		Kind   string
		Checks []preflight.Result
	}
	if err := json.Unmarshal([]byte(e.stdout), &doc); err != nil || len(doc.Checks) < 8 {
		t.Fatalf("check: exit %d, %v\n%s%s", e.code, err, e.stdout, e.stderr)
	}
	bad := map[string]preflight.Result{}
	for _, c := range doc.Checks {
		if c.Status != preflight.OK {
			bad[c.ID] = c
		}
	}
	return e.code, bad
}

func TestCheckIsGreenOnTheHealthyClusters(t *testing.T) {
	l := need(t)
	if code, bad := l.check(t); code != 0 || len(bad) != 0 {
		t.Errorf("exit %d, not green: %+v", code, bad)
	}
}

func TestCheckNamesWhatIsBroken(t *testing.T) {
	l := need(t)
	rollout := func() { l.kubectl(t, "", "rollout", "status", "deploy/frontend", "--timeout=60s") }
	tests := []struct {
		name  string
		plant func(t *testing.T)
		id    string
	}{
		{"mirror endpoint moved", func(t *testing.T) {
			l.restore(t, "endpoints", "podinfo-east")
			l.kubectl(t, "", "patch", "endpoints", "podinfo-east", "--type=json",
				"-p", `[{"op":"replace","path":"/subsets/0/addresses/0/ip","value":"172.30.44.77"}]`)
		}, "SB011"},
		{"TrafficSplit deleted", func(t *testing.T) {
			l.restore(t, "trafficsplit", "podinfo")
			l.kubectl(t, "", "delete", "trafficsplit", "podinfo")
		}, "SB031"},
		{"proxy container gone", func(t *testing.T) {
			var d struct {
				Spec struct {
					Template struct {
						Spec struct{ Containers []struct{ Name string } }
					}
				}
			}
			if err := json.Unmarshal([]byte(l.kubectl(t, "", "get", "deploy", "frontend", "-o", "json")), &d); err != nil {
				t.Fatal(err)
			}
			if len(d.Spec.Template.Spec.Containers) == 0 || d.Spec.Template.Spec.Containers[0].Name != "linkerd-proxy" {
				t.Fatalf("the first container is not the proxy: %+v", d)
			}
			t.Cleanup(func() {
				l.kubectl(t, "", "rollout", "undo", "deploy/frontend")
				rollout()
			})
			l.kubectl(t, "", "patch", "deploy", "frontend", "--type=json",
				"-p", `[{"op":"remove","path":"/spec/template/spec/containers/0"}]`)
			rollout()
		}, "SB002"},
		{"backend without the port", func(t *testing.T) {
			l.restore(t, "service", "podinfo-east")
			l.kubectl(t, "", "patch", "service", "podinfo-east", "--type=json", "-p", `[{"op":"remove","path":"/spec/ports/0"}]`)
		}, "SB009"},
		{"weight that nobody can read", func(t *testing.T) {
			l.restore(t, "trafficsplits.v1alpha1.split.smi-spec.io", "podinfo")
			l.kubectl(t, "", "patch", "trafficsplits.v1alpha1.split.smi-spec.io", "podinfo", "--type=json",
				"-p", `[{"op":"replace","path":"/spec/backends/0/weight","value":"abc"}]`)
		}, "SB014"},
		{"negative weight", func(t *testing.T) {
			l.restore(t, "trafficsplits.v1alpha1.split.smi-spec.io", "podinfo")
			l.kubectl(t, "", "patch", "trafficsplits.v1alpha1.split.smi-spec.io", "podinfo", "--type=json",
				"-p", `[{"op":"replace","path":"/spec/backends/1/weight","value":-5}]`)
		}, "SB014"},
		{"mirror Service deleted", func(t *testing.T) {
			l.restore(t, "endpoints", "podinfo-east")
			l.restore(t, "service", "podinfo-east")
			l.kubectl(t, "", "delete", "service", "podinfo-east")
		}, "SB010"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.plant(t)
			code, bad := l.check(t)
			r, named := bad[tt.id]
			if code != 4 || !named || r.Status != preflight.Failed || r.Hint == "" {
				t.Errorf("exit %d, not green: %+v; want %s failed, with a hint", code, bad, tt.id)
			}
			// A run is refused before its first request.
			e := l.do(t, t.TempDir(), l.runArgs("--requests", "100", "--rate", "1000")...)
			e.want(t, "invalid", 4)
			if e.report.Load != nil {
				t.Errorf("requests were sent: %+v", e.report.Load)
			}
		})
	}
	if code, bad := l.check(t); code != 0 || len(bad) != 0 {
		t.Errorf("after putting everything back: exit %d, not green: %+v", code, bad)
	}
}
