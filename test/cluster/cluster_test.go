// Package cluster tests splitbench on real Kubernetes clusters, through its command line alone. See README.md.
package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

const namespace = "test"

// lab is where the tests run.
type lab struct {
	west, east, binary, weights string
}

// need reads the environment, or skips the test with the reason.
func need(t *testing.T) lab {
	t.Helper()
	l := lab{
		west: os.Getenv("SPLITBENCH_TEST_CONTEXT"), east: os.Getenv("SPLITBENCH_TEST_REMOTE_CONTEXT"),
		binary: os.Getenv("SPLITBENCH_TEST_BINARY"), weights: os.Getenv("SPLITBENCH_TEST_WEIGHTS"),
	}
	if l.west == "" || l.east == "" {
		t.Skip("SPLITBENCH_TEST_CONTEXT and SPLITBENCH_TEST_REMOTE_CONTEXT are not set: no clusters to test on")
	}
	if l.binary == "" {
		l.binary = filepath.Join("..", "..", "bin", "splitbench")
	}
	if _, err := os.Stat(l.binary); err != nil {
		t.Fatalf("no program to test: %v; run make build", err)
	}
	return l
}

// setWeights calls the laboratory's command and puts 50/50 back in the end.
func (l lab) setWeights(t *testing.T, args ...string) {
	t.Helper()
	if l.weights == "" {
		t.Skip("SPLITBENCH_TEST_WEIGHTS is not set: weights cannot be changed")
	}
	t.Cleanup(func() {
		if out, err := exec.Command(l.weights, "50", "50").CombinedOutput(); err != nil {
			t.Errorf("put the weights back: %v\n%s", err, out)
		}
	})
	if out, err := exec.CommandContext(t.Context(), l.weights, args...).CombinedOutput(); err != nil {
		t.Fatalf("set weights %v: %v\n%s", args, err, out)
	}
}

// ended is how a command ended.
type ended struct {
	code           int
	stdout, stderr string
	took           time.Duration
	report         report.Report // of a command with -o json
}

// start starts splitbench with its results in dir.
func (l lab) start(t *testing.T, dir string, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), l.binary, args...)
	cmd.Env = append(os.Environ(), "SPLITBENCH_RESULTS_DIR="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &stdout, &stderr
}

func (l lab) do(t *testing.T, dir string, args ...string) ended {
	t.Helper()
	began := time.Now()
	cmd, stdout, stderr := l.start(t, dir, args...)
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	e := ended{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(began)}
	if args[0] == "run" && slices.Contains(args, "json") && !slices.Contains(args, "--dry-run") && e.code != report.ExitBug {
		if e.report, err = report.ReadJSON(stdout); err != nil {
			t.Fatalf("stdout is no report: %v\n%s\n%s", err, e.stdout, e.stderr)
		}
	}
	return e
}

// runArgs is the run of the walkthrough with flags added. Later flags win.
func (l lab) runArgs(more ...string) []string {
	return append([]string{
		"run", "ts/podinfo", "--context", l.west, "--remote-context", l.east, "-n", namespace,
		"--from", "deploy/frontend", "-c", "nginx", "-o", "json",
	}, more...)
}

// burst is 10,000 requests at 1,000 a second. At 50/50 and the default tolerance of 5 points they pass with probability
// above 0.9999: at alpha 0.01 the share must be off by more than 0.05-2.33*0.005 = 0.0384, which is 7.7 standard deviations.
// At 90/10 the tolerance is 5 points, the deviation 0.003: 14 of them. At a true 65/35 for a declared 50/50 the shares are
// 10 points outside the tolerance, 20 standard deviations.
var burst = []string{"--requests", "10000", "--rate", "1000"}

// The checks of independence are made at 0.001 over all six of them; of those only windows of time that differ can take
// such a pass away (the others would have to cost nine tenths of the requests), in fewer than 2 runs of 10,000.

// short is 5,000 requests at 1,000 a second: 0.05-2.33*0.00707 = 0.0335 is 4.7 standard deviations, passing but for 2 runs
// in a million.
var short = []string{"--requests", "5000", "--rate", "1000"}

func (e ended) want(t *testing.T, outcome string, code int) {
	t.Helper()
	if e.report.Verdict.Outcome != outcome || e.code != code {
		t.Errorf("outcome %q, exit %d; want %q, exit %d\nreasons: %q\nstderr: %s",
			e.report.Verdict.Outcome, e.code, outcome, code, e.report.Verdict.Reasons, e.stderr)
	}
}

// inPod runs a fixed script in the container that splitbench used.
func (l lab) inPod(t *testing.T, ctx context.Context, target, script string) string {
	t.Helper()
	out, err := exec.CommandContext(ctx, "kubectl", "--context", l.west, "-n", namespace, "exec", target, "-c", "nginx", "--",
		"sh", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl exec %s: %v\n%s", target, err, out)
	}
	return string(out)
}

// agentsScript lists the processes of agents in the pod. Their command lines begin with the descriptor of the upload; the
// script's own, which holds the pattern too, begins with sh.
const agentsScript = `for d in /proc/[0-9]*; do c=$(tr '\0' ' ' <"$d/cmdline" 2>/dev/null) || continue
case $c in "/proc/self/fd/3 serve "*) echo "${d#/proc/}";; esac; done; true`

// nothingLeft checks that within the limit no agent runs in the pod any more and no file of one is left.
func (l lab) nothingLeft(t *testing.T, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit+30*time.Second) // t.Context ends before cleanups
	defer cancel()
	deadline := time.Now().Add(limit)
	for {
		left := strings.TrimSpace(l.inPod(t, ctx, "deploy/frontend", agentsScript))
		if left == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("agents still run in the pod after %s: %s", limit, left)
		}
	}
	if files := strings.TrimSpace(l.inPod(t, ctx, "deploy/frontend", `ls -a /tmp /var/tmp /run 2>/dev/null | grep splitbench || true`)); files != "" {
		t.Errorf("files left in the pod: %s", files)
	}
}

// runFolders are the run folders in dir with their states.
func (l lab) runFolders(t *testing.T, dir string) []struct{ ID, Status, Outcome string } {
	t.Helper()
	e := l.do(t, dir, "results", "list", "-o", "json")
	var list struct {
		Runs []struct{ ID, Status, Outcome string }
	}
	if err := json.Unmarshal([]byte(e.stdout), &list); err != nil {
		t.Fatalf("results list: %v\n%s%s", err, e.stdout, e.stderr)
	}
	return list.Runs
}
