package store

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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
	select {}
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
