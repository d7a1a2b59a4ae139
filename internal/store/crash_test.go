package store

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// childDir makes the test binary a writer that dies: see TestMain.
const childDir = "SPLITBENCH_STORE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(writeUntilKilled(dir, os.Getenv(childDir+"_STAGE")))
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes a run up to the stage, says so, and waits for the end.
func writeUntilKilled(dir, stage string) int {
	if stage == "whole" {
		return writeWhole(dir)
	}
	r, err := Create(dir, idA)
	if err != nil {
		return 1
	}
	if err := errors.Join(r.WriteFile("manifest.json", []byte("{}")), r.Append([]byte("whole"))); err != nil {
		return 1
	}
	switch stage {
	case "writing":
		// Half a file under its temporary name, as a kill in the middle of a write leaves it.
		err = os.WriteFile(filepath.Join(r.Dir, tempPrefix+"verdict.json"), []byte("ha"), 0o644)
	case "closing":
		err = atomicWrite(r.Dir, StatusFile, []byte(Complete+"\n")) // the sums are still missing
	}
	if err != nil {
		return 1
	}
	os.Stdout.WriteString("ready\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed; with nothing to wait for, Go ends a process as deadlocked
	runtime.KeepAlive(r)                 // with its lock
	return 1
}

// writeWhole writes a run from its first to its last byte, and says when it begins and ends.
func writeWhole(dir string) int {
	os.Stdout.WriteString("started\n")
	r, err := Create(dir, idA)
	if err != nil {
		return 1
	}
	for i := range 20 {
		err = errors.Join(err, r.Append(bytes.Repeat([]byte{byte(i)}, 4096)))
		if i%10 == 0 {
			err = errors.Join(err, r.WriteFile("manifest.json", []byte("{}")))
		}
	}
	for _, name := range []string{"verdict.json", "report.md", "summary.json"} {
		err = errors.Join(err, r.WriteFile(name, []byte(name)))
	}
	if err := errors.Join(err, r.Close(Complete)); err != nil {
		return 1
	}
	os.Stdout.WriteString("ready\n")
	return 0
}

// wholeRun starts a writer of a whole run and returns when it has begun.
func wholeRun(t *testing.T, dir string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childDir+"_STAGE=whole")
	pipe, err := cmd.StdoutPipe()
	do(t, err, cmd.Start())
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("the writer said %q, %v", line, err)
	}
	return cmd, out
}

// A writer that is killed at any moment leaves nothing, or a run that is partial or complete: never one that is damaged, and
// never one that cannot be opened. The moments are spread over the time that a whole run takes to be written.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	cmd, out := wholeRun(t, t.TempDir())
	begun := time.Now()
	if line, err := out.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the writer said %q, %v", line, err)
	}
	took := time.Since(begun)
	do(t, cmd.Wait())
	seen := map[string]int{}
	const moments = 100
	for i := range moments {
		dir := t.TempDir()
		cmd, _ := wholeRun(t, dir)
		timer := time.AfterFunc(took*time.Duration(i)/moments, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // killed, or done before
		timer.Stop()
		for _, name := range names(t, dir) {
			seen[stateAfterKill(t, dir, name, i)]++
		}
	}
	t.Logf("%d moments in %s: %v", moments, took, seen)
	if seen["partial"] == 0 {
		t.Error("no moment was inside a run: the test shows nothing")
	}
}

func stateAfterKill(t *testing.T, dir, name string, moment int) string {
	t.Helper()
	if strings.HasPrefix(name, createdPrefix) {
		return "none" // killed before the folder had its name: nobody lists or opens it
	}
	f, err := Open(dir, name)
	if err != nil {
		t.Fatalf("moment %d: %v", moment, err)
	}
	v, err := f.Verify()
	if err != nil || v.State == Damaged || v.Running || string(v.State) != string(f.Status) {
		t.Fatalf("moment %d: status %s, %v, %v", moment, f.Status, v, err)
	}
	if b, err := f.ReadFile(SamplesFile); v.State == VerifiedComplete && (err != nil || len(b) != 20*4096) {
		t.Fatalf("moment %d: complete with %d bytes of samples: %v", moment, len(b), err)
	}
	return string(v.State)
}

func TestKilledWriter(t *testing.T) {
	for _, stage := range []string{"writing", "closing"} {
		for _, by := range []string{"Open", "List"} {
			t.Run(stage+", found by "+by, func(t *testing.T) {
				dir := t.TempDir()
				kill := startWriter(t, dir, stage)
				if f, err := Open(dir, idA); err != nil || f.Status == Partial {
					t.Fatalf("while it lives: %s, %v, want no mark", f.Status, err)
				}
				kill()
				if v := wantState(t, Folder{ID: idA, Dir: filepath.Join(dir, idA)}, "partial"); v.Running {
					t.Error("Verify says that it runs")
				}
				var f Folder
				var err error
				if by == "Open" {
					f, err = Open(dir, idA)
				} else {
					var all []Folder
					if all, err = List(dir); len(all) == 1 {
						f = all[0]
					}
				}
				if err != nil || f.Status != Partial {
					t.Fatalf("after the kill: %q, %v, want partial", f.Status, err)
				}
				wantState(t, f, "partial")
				want := []string{SumsFile, SamplesFile, "manifest.json", StatusFile}
				if diff := cmp.Diff(want, names(t, f.Dir)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				if b, err := f.ReadFile(SamplesFile); err != nil || !bytes.Equal(b, []byte("whole")) {
					t.Errorf("samples = %q, %v", b, err)
				}
			})
		}
	}
}

// A dead run that may not be written is partial all the same, and a run elsewhere is not touched.
func TestKilledWriterElsewhere(t *testing.T) {
	dir := t.TempDir()
	startWriter(t, dir, "writing")()
	before := names(t, filepath.Join(dir, idA))
	f, err := Open(t.TempDir(), filepath.Join(dir, idA))
	if err != nil || f.Status != Partial {
		t.Fatalf("Open = %q, %v, want partial", f.Status, err)
	}
	if diff := cmp.Diff(before, names(t, f.Dir)); diff != "" {
		t.Errorf("a foreign folder was changed (-before +after):\n%s", diff)
	}
}

func startWriter(t *testing.T, dir, stage string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childDir+"_STAGE="+stage)
	_, err := cmd.StdinPipe() // never written to
	do(t, err)
	out, err := cmd.StdoutPipe()
	do(t, err, cmd.Start())
	stopped := false
	kill = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the writer said %q, %v", line, err)
	}
	return kill
}
