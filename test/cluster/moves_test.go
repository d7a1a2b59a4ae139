package cluster

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

// A change of the weights in the middle of a run gives two segments, each judged by its own weights, and the time from the
// write to the first request that was drawn by it: here the laboratory's command writes the objects and then has its
// stand-in mesh follow, which takes it a part of a second.
func TestWeightsThatMoveOnARealCluster(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	cmd, stdout, stderr := l.start(t, dir, l.runArgs("--requests", "10000", "--rate", "1000")...)
	waitForSamples(t, dir)
	l.setWeights(t, "90", "10")
	_ = cmd.Wait() // its exit code is looked at below
	r, err := report.ReadJSON(stdout)
	if err != nil {
		t.Fatalf("stdout is no report: %v\n%s", err, stderr)
	}
	if code := cmd.ProcessState.ExitCode(); code != 4 || r.Verdict.Outcome != report.Invalid {
		t.Errorf("outcome %s, exit %d, reasons %q", r.Verdict.Outcome, code, r.Verdict.Reasons)
	}
	if len(r.Segments) != 2 || r.Segments[1].Propagation == nil || r.Segments[1].Propagation.Seconds == nil {
		t.Fatalf("segments %+v", r.Segments)
	}
	first, second := r.Segments[0], r.Segments[1]
	p := second.Propagation
	t.Logf("%s written at %.2f s; followed %.0f ms later (%.0f to %.0f ms, clocks within %.1f ms); %d and %d requests, by themselves %s and %s",
		p.What, p.WriteAtSeconds, 1000**p.Seconds, 1000**p.LowSeconds, 1000**p.HighSeconds, p.ClockErrorMs, first.Requests, second.Requests,
		first.Outcome, second.Outcome)
	// The second has 4,000 requests and more: a true 90/10 passes by more than 5 standard deviations.
	if first.Backends[0].Weight != 50 || second.Backends[0].Weight != 90 || second.Outcome != report.Pass || first.Outcome == report.Fail {
		t.Errorf("segments %+v", r.Segments)
	}
	if *p.Seconds > 5 {
		t.Errorf("the data plane followed %.2f s after the write", *p.Seconds)
	}
	if r.Witness == nil || r.Witness.Available { // the stand-in has no counters
		t.Errorf("witness %+v", r.Witness)
	}
}

// A proxy that is restarted in the middle takes the verdict away, and the reasons name it.
func TestAProxyThatIsRestartedIsNoPass(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	// 200 requests in a row without an answer end a burst: at 50 a second the proxy has four seconds to be back.
	cmd, stdout, stderr := l.start(t, dir, l.runArgs("--requests", "500", "--rate", "50")...)
	waitForBytes(t, dir, 1_500)
	t.Cleanup(func() {
		l.in(t, l.west, "", "-n", namespace, "wait", "--for=condition=Ready", "pod", "-l", "app=frontend", "--timeout=60s")
	})
	// TERM, as a kubelet sends it: nginx ends at once, and the kubelet starts the container anew.
	if out, err := exec.CommandContext(t.Context(), "kubectl", "--context", l.west, "-n", namespace, "exec", "deploy/frontend", "-c",
		"linkerd-proxy", "--", "sh", "-c", "kill -TERM 1").CombinedOutput(); err != nil {
		t.Fatalf("restart the proxy: %v\n%s", err, out)
	}
	began := time.Now()
	_ = cmd.Wait() // its exit code is looked at below
	r, err := report.ReadJSON(stdout)
	if err != nil {
		t.Fatalf("stdout is no report: %v\n%s", err, stderr)
	}
	reasons := strings.Join(r.Verdict.Reasons, "\n")
	if code := cmd.ProcessState.ExitCode(); code != 4 || r.Verdict.Outcome != report.Invalid || !strings.Contains(reasons, "changed during the run: proxy of") {
		t.Errorf("outcome %s, exit %d, %s after the restart, reasons:\n%s", r.Verdict.Outcome, code, time.Since(began), reasons)
	}
}

// What is expected and what the cluster says: exit 4 with both, and nothing is sent.
func TestExpectedWeights(t *testing.T) {
	l := need(t)
	e := l.do(t, t.TempDir(), l.runArgs("--expect", "90/10")...)
	e.want(t, "invalid", 4)
	if reasons := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(reasons, "the cluster says 50/50, you expected 90/10") {
		t.Errorf("reasons %q", reasons)
	}
}
