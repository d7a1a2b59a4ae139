package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mount gives a small file system of its own; it skips where that may not be made.
func mount(t *testing.T, options string) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestDiskFullInMidRun(t *testing.T) {
	dir := mount(t, "size=256k")
	r := create(t, dir, idA)
	do(t, r.WriteFile("manifest.json", []byte("{}")))
	block := bytes.Repeat([]byte("s"), 10_000)
	var blocks int64
	var full error
	for full == nil && blocks < 100 {
		if full = r.Append(block); full == nil {
			blocks++
		}
	}
	if !errors.Is(full, ErrNoSpace) || !strings.Contains(full.Error(), "--results-dir") {
		t.Fatalf("Append = %v after %d blocks, want ErrNoSpace naming --results-dir", full, blocks)
	}
	if err := r.Append(nil); !errors.Is(err, full) {
		t.Errorf("Append after the end = %v, want the first error", err)
	}
	// What was held back is enough for the verdict, the reports and the sums.
	do(t, r.WriteFile("verdict.json", bytes.Repeat([]byte("v"), 30_000)), r.WriteFile("report.txt", []byte("r")), r.Close(Partial))
	f, err := Open(dir, idA)
	do(t, err)
	if f.Status != Partial {
		t.Errorf("status = %s, want partial", f.Status)
	}
	wantState(t, f, "partial")
	samples, err := f.OpenStream(SamplesFile)
	do(t, err)
	defer samples.Close()
	if n, err := io.Copy(io.Discard, samples); err != nil || n != blocks*int64(len(block)) {
		t.Errorf("%d bytes of samples, %v, want %d whole blocks", n, err, blocks)
	}
}

func TestDiskFullFromTheStart(t *testing.T) {
	dir := mount(t, "size=32k")
	if _, err := Create(dir, idA); !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "--results-dir") {
		t.Errorf("Create = %v, want ErrNoSpace naming --results-dir", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := mount(t, "size=1m")
	stored(t, dir, idA, Complete)
	startWriter(t, filepath.Join(dir, "killed"), "writing")()
	do(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	if _, err := Create(dir, idB); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "--results-dir") {
		t.Errorf("Create = %v, want ErrReadOnly naming --results-dir", err)
	}
	f, err := Open(dir, idA)
	do(t, err)
	wantState(t, f, "complete")
	f, err = Open(filepath.Join(dir, "killed"), idA)
	if err != nil || f.Status != Partial {
		t.Errorf("killed run = %q, %v, want partial though it cannot be marked", f.Status, err)
	}
	wantState(t, f, "partial")
}

func TestNoPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	do(t, os.Chmod(dir, 0o500))
	if _, err := Create(dir, idA); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Create = %v, want ErrReadOnly", err)
	}
}
