package podexec

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestUploadPassesOverMounts needs root and the permission to mount: the three traps of a container's file systems, in
// front of a good directory.
func TestUploadPassesOverMounts(t *testing.T) {
	root := t.TempDir()
	mount := func(name string, flags uintptr, options string) string {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
			t.Skipf("mount a tmpfs: %v", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", dir, err)
			}
		})
		return dir
	}
	readOnly := mount("read-only", syscall.MS_RDONLY, "")
	noexec := mount("noexec", syscall.MS_NOEXEC, "")
	full := mount("full", 0, "size=64k") // room for the probe, not for the file
	good := filepath.Join(root, "good")
	if err := os.Mkdir(good, 0o755); err != nil {
		t.Fatal(err)
	}
	bothProtocols(t, func(t *testing.T, p Protocol) {
		c := newServer(t, nil).container(t, Options{Protocol: p})
		u := testUpload(t, program(300_000), readOnly, noexec, full, good)
		_, path, err := put(t, c, u)
		if err != nil || path != filepath.Join(good, u.Name) {
			t.Fatalf("%q, %v", path, err)
		}
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
		for _, dir := range []string{noexec, full} {
			if left := names(t, dir); len(left) != 0 {
				t.Errorf("left in %s: %q", dir, left)
			}
		}
		_, _, err = c.program(testUpload(t, u.Data, readOnly, noexec, full), nil).try(t.Context())
		if !is[*UploadError](err) {
			t.Fatal(err)
		}
		for _, want := range []string{
			readOnly + " (not writable: Read-only file system)", noexec + " (not executable: Permission denied)",
			"No space left on device",
		} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %q", want, err)
			}
		}
	})
}
