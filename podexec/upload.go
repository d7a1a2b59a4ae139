package podexec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	uploadTries    = 16 // in all directories together
	uploadDirCount = 64 // candidates taken from the caller
)

// Upload is a file to put into the container, and run there.
type Upload struct {
	// Data is the whole file, an executable for the node's platform.
	Data []byte
	// Packed is Data as gzip has it, which is sent where the container can unpack it; nil: Data is.
	Packed []byte
	// Name is the file's name, without a slash; see [UploadName].
	Name string
	// Dirs are absolute paths to try first, in order; then come the container's $TMPDIR, /tmp, /var/tmp, /run, $PWD.
	Dirs []string
	// Shared are mounts that somebody outside the container can write to, who could put another file in place of this one
	// that would run as the container's user. Nothing is put there, nor below, but where one of Dirs lies between.
	Shared []string
}

// Sent is how a file travelled.
type Sent struct {
	Path  string        // where it is in the container
	Bytes int           // over the wire
	By    string        // what unpacked it in the container; "": it was sent as it is
	Took  time.Duration // until the container had it whole and checked
}

// NoShellError says that the container has no sh, so that nothing can be uploaded.
type NoShellError struct{ Err error }

// Error says what to do.
func (e *NoShellError) Error() string {
	return "no sh in the container, so nothing can be uploaded: choose a container that has one (-c), " +
		"add one (--via ephemeral --ephemeral-image busybox:1.36), or use an image that holds the program already: " +
		clean(e.Err.Error())
}

// Unwrap returns the StartError of the shell.
func (e *NoShellError) Unwrap() error { return e.Err }

// Attempt is a directory and why the file could not stay there.
type Attempt struct{ Dir, Reason string }

// UploadError says that the file is in none of the directories.
type UploadError struct{ Tried []Attempt }

// Error lists the directories.
func (e *UploadError) Error() string {
	parts := make([]string, 0, len(e.Tried))
	for _, a := range e.Tried {
		parts = append(parts, clean(a.Dir)+" ("+clean(a.Reason)+")")
	}
	if len(parts) == 0 {
		parts = append(parts, "no directory at all")
	}
	return "no directory to put and run a file in, mount an emptyDir at /tmp; tried " + strings.Join(parts, ", ")
}

// UploadName returns ".splitbench-", the first 12 hexadecimal digits of the data's SHA-256, "-", and 16 random ones:
// the name by which the uploaded program knows that it may remove itself. It fails only if random does.
func UploadName(data []byte, random io.Reader) (string, error) {
	var salt [8]byte
	if _, err := io.ReadFull(random, salt[:]); err != nil {
		return "", fmt.Errorf("name an upload: %w", err)
	}
	sum := sha256.Sum256(data)
	return ".splitbench-" + hex.EncodeToString(sum[:])[:12] + "-" + hex.EncodeToString(salt[:]), nil
}

// Upload is the program that will be in the container when it is run. It connects to nothing.
func (c *Container) Upload(u Upload) (*Program, error) {
	bad := func(r rune) bool { return r == '/' || unicode.IsControl(r) }
	switch {
	case len(u.Data) == 0:
		return nil, errors.New("upload: no data")
	case u.Name == "" || u.Name == "." || u.Name == ".." || len(u.Name) > 200 || strings.ContainsFunc(u.Name, bad):
		return nil, fmt.Errorf("upload %q: not a file name", u.Name)
	case len(u.Dirs) > uploadDirCount:
		return nil, fmt.Errorf("upload %q: %d directories to try, at most %d", u.Name, len(u.Dirs), uploadDirCount)
	}
	for _, dir := range u.Dirs {
		if !usableDir(dir) {
			return nil, fmt.Errorf("upload %q: directory %q: must be an absolute path", u.Name, dir)
		}
	}
	return c.program(u, []string{"TMPDIR", "/tmp", "/var/tmp", "/run", "PWD"}), nil
}

func (c *Container) program(u Upload, fallback []string) *Program {
	return &Program{
		c: c, u: u, dirs: unique(append(slices.Clone(u.Dirs), fallback...)), running: make(chan struct{}),
	}
}

func usableDir(dir string) bool {
	return path.IsAbs(dir) && len(dir) <= 4096 && !strings.ContainsFunc(dir, unicode.IsControl)
}

// shared reports whether the deepest mount that holds dir is one of Shared.
func (u *Upload) shared(dir string) bool {
	deepest := func(mounts []string) (most int) {
		for _, m := range mounts {
			if m = path.Clean(m); m == "/" || dir == m || strings.HasPrefix(dir, m+"/") {
				most = max(most, len(m))
			}
		}
		return most
	}
	n := deepest(append(slices.Clone(u.Shared), "/dev/shm")) // which all containers of a pod share
	return n > 0 && n >= deepest(u.Dirs)
}

func unique(dirs []string) []string {
	var out []string
	for _, dir := range dirs {
		if path.IsAbs(dir) {
			dir = path.Clean(dir)
		}
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}
