package cluster

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splitbench/splitbench/internal/report"
)

// long is a burst that does not end before something happens to it.
var long = []string{"--requests", "60000", "--rate", "1000"}

// waitForSamples waits until the run's folder holds samples: the burst is under way.
func waitForSamples(t *testing.T, dir string) {
	t.Helper()
	waitForBytes(t, dir, 10_000)
}

// waitForBytes is waitForSamples of a slow burst, which needs long for many.
func waitForBytes(t *testing.T, dir string, bytes int64) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		files, err := filepath.Glob(filepath.Join(dir, "*", "frames.sbw"))
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 1 {
			if info, err := os.Stat(files[0]); err == nil && info.Size() > bytes {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no samples within 30 s")
		}
	}
}

// partial checks that the one run in dir was kept, is marked, and is judged invalid again from what it has.
func (l lab) partial(t *testing.T, dir string) {
	t.Helper()
	runs := l.runFolders(t, dir)
	if len(runs) != 1 || runs[0].Status != "partial" {
		t.Fatalf("stored: %+v, want one partial run", runs)
	}
	e := l.do(t, dir, "analyze", "latest", "-o", "json")
	r, err := report.ReadJSON(strings.NewReader(e.stdout))
	if err != nil {
		t.Fatalf("analyze: %v\n%s", err, e.stderr)
	}
	if e.code != 4 || r.Verdict.Outcome != "invalid" || r.Load == nil || r.Load.Requests == 0 {
		t.Errorf("judged again: exit %d, outcome %s, load %+v", e.code, r.Verdict.Outcome, r.Load)
	}
}

func TestInterruptedRunIsKept(t *testing.T) {
	l := need(t)
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd, stdout, stderr := l.start(t, dir, l.runArgs(long...)...)
			waitForSamples(t, dir)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != code {
				t.Errorf("exit %d, want %d\n%s", got, code, stderr)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s to stop", took)
			}
			r, err := report.ReadJSON(stdout)
			if err != nil {
				t.Fatalf("stdout is no report: %v", err)
			}
			if r.Verdict.Outcome != "invalid" || r.Run == nil || r.Run.Complete || r.Load == nil || r.Load.Requests == 0 {
				t.Errorf("outcome %s, run %+v", r.Verdict.Outcome, r.Run)
			}
			l.partial(t, dir)
			l.nothingLeft(t, 10*time.Second)
		})
	}
}

func TestKilledSplitbenchLeavesNoAgent(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	cmd, _, _ := l.start(t, dir, l.runArgs(long...)...)
	waitForSamples(t, dir)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	l.nothingLeft(t, 10*time.Second)
	l.partial(t, dir)
}

func TestKilledAgentIsNoPass(t *testing.T) {
	l := need(t)
	dir := t.TempDir()
	cmd, stdout, stderr := l.start(t, dir, l.runArgs(long...)...)
	waitForSamples(t, dir)
	l.inPod(t, t.Context(), "deploy/frontend", `for p in $(`+agentsScript+`); do kill -9 "$p"; done`)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 4 {
		t.Errorf("exit %d, want 4\n%s", code, stderr)
	}
	r, err := report.ReadJSON(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Outcome != "invalid" || r.Load == nil || r.Load.Requests == 0 {
		t.Errorf("outcome %s, load %+v", r.Verdict.Outcome, r.Load)
	}
	l.partial(t, dir)
	l.nothingLeft(t, 10*time.Second)
}

func TestFullDiskInMidRun(t *testing.T) {
	l := need(t)
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	// Room for the folder's small files, the store's reserve and some 10,000 samples of 8 bytes.
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	e := l.do(t, dir, l.runArgs(long...)...)
	e.want(t, "invalid", 4)
	if text := strings.Join(e.report.Verdict.Reasons, " "); !strings.Contains(text, "no space left") {
		t.Errorf("the full disk is not named: %s", text)
	}
	if e.took > 50*time.Second {
		t.Errorf("the burst of 60 s went on after the disk was full: %s", e.took)
	}
	l.partial(t, dir)
	l.nothingLeft(t, 10*time.Second)
}
