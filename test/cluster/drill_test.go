package cluster

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

// scale changes a Deployment of a cluster and says when.
func (l lab) scale(t *testing.T, kubeContext, ns, deployment, replicas string) time.Time {
	t.Helper()
	if out, err := exec.Command("kubectl", "--context", kubeContext, "-n", ns, "scale", "deployment", deployment, "--replicas", replicas).CombinedOutput(); err != nil {
		t.Errorf("scale %s to %s: %v\n%s", deployment, replicas, err, out)
	}
	return time.Now()
}

// TestDrillOfADeadBackend scales podinfo in west to 0 and back while a drill runs. The stand-in mesh does not redistribute: half
// of the requests are lost until it is back, and the report must say that nothing took over. Pods that end still answer for
// some seconds, and requests that wait for a connection are answered when it is back, so times agree within 15 s.
func TestDrillOfADeadBackend(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	t.Cleanup(func() { l.nothingLeft(t, 5*time.Second) })
	t.Cleanup(func() {
		l.scale(t, l.west, namespace, "podinfo", "2")
		if out, err := exec.Command("kubectl", "--context", l.west, "-n", namespace, "rollout", "status", "deployment/podinfo", "--timeout=60s").CombinedOutput(); err != nil {
			t.Errorf("podinfo is not back: %v\n%s", err, out)
		}
	})
	args := l.runArgs("--duration", "45s", "--rate", "50", "--max-lost", "0")
	args[0] = "drill"
	cmd, stdout, stderr := l.start(t, dir, args...)
	running := time.Now()
	for !strings.Contains(l.do(t, dir, "mark", "latest", "the test is there").stderr, "marked") {
		if time.Since(running) > 30*time.Second {
			t.Fatalf("the drill does not run: %s", stderr)
		}
	}
	down := l.scale(t, l.west, namespace, "podinfo", "0")
	l.do(t, dir, "mark", "latest", "scaled podinfo to 0")
	time.Sleep(15 * time.Second) // how long it is away is part of the drill
	up := l.scale(t, l.west, namespace, "podinfo", "2")
	if err := cmd.Wait(); err == nil {
		t.Error("requests were lost and none were allowed, and the exit code is 0")
	}
	r, err := report.ReadJSON(bytes.NewReader(stdout.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	d := r.Drill
	if r.Verdict.Outcome != report.Fail || d == nil || len(d.Failovers) == 0 {
		t.Fatalf("%s %q: %+v", r.Verdict.Outcome, r.Verdict.Reasons, d)
	}
	if d.Sent != 2250 || d.Sent != d.Answered+d.Lost || !d.Accounted {
		t.Errorf("sent %d, answered %d, lost %d", d.Sent, d.Answered, d.Lost)
	}
	var marked float64
	for _, e := range d.Events {
		if e.Kind == "mark" && strings.Contains(e.Text, "to 0") {
			marked = e.AtSeconds
		}
	}
	away := up.Sub(down).Seconds()
	f := d.Failovers[0]
	if f.Backend != "podinfo" || f.By != report.ByNobody || f.FirstError == nil || f.Recovered == nil {
		t.Fatalf("%+v", f)
	}
	if at := f.FirstError.AtSeconds - marked; at < -1 || at > 15 {
		t.Errorf("first error %.1fs after the mark", at)
	}
	if at := f.Recovered.AtSeconds - marked; at < away-1 || at > away+15 {
		t.Errorf("recovery %.1fs after the mark, it was away for %.1fs", at, away)
	}
}

// TestDrillInWhichNothingHappens must not pass.
func TestDrillInWhichNothingHappens(t *testing.T) {
	l := need(t)
	args := l.runArgs("--duration", "5s", "--rate", "50", "--max-lost", "0")
	args[0] = "drill"
	e := l.do(t, t.TempDir(), args...)
	if e.code != report.ExitInconclusive || !strings.Contains(e.stdout, "nothing failed while it ran") {
		t.Errorf("exit %d\n%s%s", e.code, e.stdout, e.stderr)
	}
}
