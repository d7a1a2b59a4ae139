package cluster

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/splitbench/splitbench/internal/preflight"
	"github.com/splitbench/splitbench/internal/report"
)

// in runs kubectl on one of the two clusters.
func (l lab) in(t *testing.T, context, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("kubectl", append([]string{"--context", context}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl --context %s %s: %v\n%s", context, strings.Join(args, " "), err, exitText(err))
	}
	return string(out)
}

// create makes objects that are not there, and takes them away in the end.
func (l lab) create(t *testing.T, context, objects string) {
	t.Helper()
	t.Cleanup(func() {
		l.in(t, context, objects, "delete", "--ignore-not-found", "--grace-period=0", "--wait=true", "-f", "-")
	})
	l.in(t, context, objects, "apply", "-f", "-")
}

// patch changes an object of the west's test namespace and puts it back in the end.
func (l lab) patch(t *testing.T, kind, name, jsonPatch string) {
	t.Helper()
	l.restore(t, kind, name)
	l.kubectl(t, "", "patch", kind, name, "--type=json", "-p", jsonPatch)
}

// split makes the TrafficSplit and its ServiceProfile say the same backends in equal parts, as the SMI adaptor would.
func (l lab) split(t *testing.T, backends ...string) {
	t.Helper()
	l.restore(t, "trafficsplit", "podinfo")
	l.restore(t, "serviceprofile", "podinfo.test.svc.cluster.local")
	l.in(t, l.west, splitOf("podinfo", "podinfo", backends...), "apply", "--server-side", "--force-conflicts", "-f", "-")
}

func splitOf(name, root string, backends ...string) string {
	var ts, sp []string
	for _, b := range backends {
		ts = append(ts, fmt.Sprintf("{service: %q, weight: 50}", b))
		sp = append(sp, fmt.Sprintf("{authority: %s.test.svc.cluster.local, weight: \"50\"}", b))
	}
	return fmt.Sprintf(`apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: %s, namespace: test}
spec: {service: %s, backends: [%s]}
---
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {name: %s.test.svc.cluster.local, namespace: test}
spec: {dstOverrides: [%s]}
`, name, root, strings.Join(ts, ", "), root, strings.Join(sp, ", "))
}

func serviceOf(name, spec string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: test}, spec: {%s, ports: [{name: http, port: 9898}]}}\n", name, spec)
}

// fault is one thing that is broken on purpose, and the check that must name it as the root cause.
type fault struct {
	name string
	id   string // docs/checks.md is made from these
	// plant breaks it. What it registers with t.Cleanup mends it.
	plant  func(t *testing.T, l lab)
	args   []string         // in place of, or beside, the walkthrough's
	status preflight.Status // "": failed
	warned bool             // the finding is a remark, and a run may pass in spite of it
	probed bool             // only the pod can tell: check --probe
	heals  bool             // what the hint says is carried out, and mends it
}

// TestCheckNamesWhatIsPlanted breaks one thing at a time, in the API or in the data plane. Each is named by its own check as the root
// cause, whatever else failed says that it follows from it, and a run is then no pass.
func TestCheckNamesWhatIsPlanted(t *testing.T) {
	l := need(t)
	l.linkerdNamespaces(t)
	ids := map[string]bool{}
	for _, f := range append(append(apiFaults(), objectFaults()...), podFaults()...) {
		ids[f.id] = true
		t.Run(f.id+" "+f.name, func(t *testing.T) {
			f.plant(t, l)
			if f.warned || f.probed {
				l.namedByCheck(t, f)
			}
			if !f.warned {
				l.refusedByRun(t, f)
			}
			if f.heals {
				l.healedByHint(t, f)
			}
		})
	}
	modes := 0
	for id := range ids {
		if id <= "SB030" {
			modes++
		}
	}
	if modes < 20 {
		t.Errorf("%d failure modes were planted, want at least 20", modes)
	}
	t.Run("everything mended", func(t *testing.T) { healthyChecks(t, l) })
}

// linkerdNamespaces makes the namespace that Linkerd's control plane would be in, which the laboratory lacks. It is kept until the
// end, because deleting a namespace takes seconds.
func (l lab) linkerdNamespaces(t *testing.T) {
	t.Helper()
	for _, context := range []string{l.west, l.east} {
		l.in(t, context, "{apiVersion: v1, kind: Namespace, metadata: {name: linkerd}}", "apply", "-f", "-")
		t.Cleanup(func() { l.in(t, context, "", "delete", "namespace", "linkerd", "--wait=true", "--timeout=60s") })
	}
}

func (f fault) want() preflight.Status {
	if f.status == "" {
		return preflight.Failed
	}
	return f.status
}

// judge looks at checks: the planted one is a root cause, and no other failure stands for itself.
func (f fault) judge(t *testing.T, checks []preflight.Result) {
	t.Helper()
	i := slices.IndexFunc(checks, func(c preflight.Result) bool { return c.ID == f.id })
	if i < 0 {
		t.Fatalf("no check %s among %d", f.id, len(checks))
	}
	if c := checks[i]; c.Status != f.want() || c.CausedBy != "" || c.Hint == "" {
		t.Errorf("%+v", c)
	}
	for _, c := range checks {
		if c.Status == preflight.Failed && c.ID != f.id && c.CausedBy != f.id {
			t.Errorf("failed for itself: %+v", c)
		}
	}
}

// withSplit is the command line with the fault's own SPLIT in place of the walkthrough's, where it has one.
func (f fault) withSplit(args []string) []string {
	more := slices.Clone(f.args)
	if len(more) > 0 && strings.Contains(more[0], "/") {
		args[1], more = more[0], more[1:]
	}
	return append(args, more...)
}

func (l lab) refusedByRun(t *testing.T, f fault) {
	t.Helper()
	e := l.do(t, t.TempDir(), f.withSplit(l.runArgs("--requests", "200", "--rate", "1000"))...)
	e.want(t, "invalid", 4)
	if f.probed {
		return // requests were sent; that they came to nothing is said above
	}
	f.judge(t, e.report.Checks)
	if e.report.Load != nil {
		t.Errorf("requests were sent: %+v", e.report.Load)
	}
}

// healedByHint pastes the command of the hint into a shell: the check is green then, and nothing else has failed.
func (l lab) healedByHint(t *testing.T, f fault) {
	t.Helper()
	_, bad := l.check(t, f.args...)
	hint, _, _ := strings.Cut(bad[f.id].Hint, ", or let each")
	command := hint[strings.LastIndex(hint, ": ")+2:]
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	for id, deployment := range map[string][]string{"SB003": {"linkerd-smi", "smi-adaptor"}, "SB039": {"linkerd-multicluster", "controller-east"}} {
		if f.id == id {
			l.in(t, l.west, "", "-n", deployment[0], "rollout", "status", "deploy/"+deployment[1], "--timeout=60s")
		}
	}
	_, bad = l.check(t, f.args...)
	for id, r := range bad {
		if id == f.id || r.Status == preflight.Failed {
			t.Errorf("after %q: %+v", command, r)
		}
	}
}

func (l lab) namedByCheck(t *testing.T, f fault) {
	t.Helper()
	args := []string{
		"check", "ts/podinfo", "--context", l.west, "--remote-context", l.east, "-n", namespace, "--from", "deploy/frontend", "-c", "nginx", "-o", "json",
	}
	if f.probed {
		args = append(args, "--probe")
	}
	e := l.do(t, t.TempDir(), f.withSplit(args)...)
	var doc report.CheckReport
	if err := json.Unmarshal([]byte(e.stdout), &doc); err != nil {
		t.Fatalf("exit %d, %v\n%s%s", e.code, err, e.stdout, e.stderr)
	}
	if want := map[bool]int{true: 0, false: 4}[f.warned]; e.code != want {
		t.Errorf("exit %d, want %d\n%s", e.code, want, e.stderr)
	}
	f.judge(t, doc.Checks)
}
