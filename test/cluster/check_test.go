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

// healthyChecks: nothing failed, and what is not green is what the laboratory cannot show. It has no Linkerd, so no anchors, no
// networks, no policies, no service mirror and no proxy's word; its backends have no proxy.
func healthyChecks(t *testing.T, l lab) {
	t.Helper()
	allowed := map[string]preflight.Status{
		"SB013": preflight.Unknown, "SB020": preflight.Unknown, "SB025": preflight.Unknown, "SB030": preflight.Unknown,
		"SB028": preflight.Warning, "SB039": preflight.Warning,
	}
	code, bad := l.check(t)
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for id, r := range bad {
		if id == "SB001" && r.Status != preflight.Failed {
			continue // other tests write the profile, or make it anew, after the proxy started: that is a remark
		}
		if want, ok := allowed[id]; !ok || r.Status != want || r.Seen == "" || r.Hint == "" {
			t.Errorf("not green: %+v", r)
		}
	}
	for id := range allowed {
		if _, there := bad[id]; !there {
			t.Errorf("%s is green, and the laboratory has nothing that would show it", id)
		}
	}
}

func TestCheckHasNothingAgainstTheHealthyClusters(t *testing.T) { healthyChecks(t, need(t)) }

// With --probe the pod settles what only it can: who lets it in, and what comes back.
func TestCheckAsksThePod(t *testing.T) {
	l := need(t)
	code, bad := l.check(t, "--probe")
	for _, id := range []string{"SB025", "SB030", "SB015", "SB002"} {
		if r, there := bad[id]; there {
			t.Errorf("not green: %+v", r)
		}
	}
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	l.nothingLeft(t, 0)
}

// The control experiment of the walkthrough.
func TestCheckThatAClientOutsideTheMeshIsRefused(t *testing.T) {
	l := need(t)
	off := []string{"--from", "deploy/offmesh", "--expect-off-mesh"}
	if code, bad := l.check(t, append(off, "--probe")...); code != 0 || bad["SB037"].Status != "" {
		t.Errorf("exit %d, %+v", code, bad["SB037"])
	}
	if code, bad := l.check(t, off...); code != 0 || bad["SB037"].Status != preflight.Unknown {
		t.Errorf("not asked: exit %d, %+v", code, bad["SB037"])
	}
	if code, bad := l.check(t, "--expect-off-mesh"); code != 4 || bad["SB037"].Status != preflight.Failed {
		t.Errorf("a meshed client: exit %d, %+v", code, bad["SB037"])
	}
}

// A cluster without any of the custom resources gives a list, and exit code 4. East is one.
func TestCheckWithoutCustomResources(t *testing.T) {
	l := need(t)
	for _, args := range [][]string{{"ts/podinfo"}, {}, {"-A"}} {
		e := l.do(t, t.TempDir(), append([]string{"check", "--context", l.east, "-n", namespace, "-o", "json"}, args...)...)
		var doc struct{ Checks []preflight.Result }
		if err := json.Unmarshal([]byte(e.stdout), &doc); err != nil || e.code != 4 || len(doc.Checks) < 30 {
			t.Errorf("%v: exit %d, %d checks, %v\n%s", args, e.code, len(doc.Checks), err, e.stderr)
		}
		for _, c := range doc.Checks {
			if c.ID == "SB031" && (c.Status != preflight.Failed || c.CausedBy != "" || c.Hint == "") {
				t.Errorf("%v: %+v", args, c)
			}
		}
	}
}
