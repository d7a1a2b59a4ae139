package podexec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	uploadTries    = 3  // of one directory, when the file arrived damaged
	uploadDirs     = 16 // good directories tried before giving up
	uploadDirCount = 64 // candidates taken from the caller
	cleanupLimit   = 5 * time.Second
)

// Upload is a file to put into the container and how it proves that it arrived.
type Upload struct {
	// Data is the whole file, an executable for the node's platform.
	Data []byte
	// Packed is Data as gzip has it, which is sent where the container can unpack it; nil: Data is.
	Packed []byte
	// Sent, where it is not nil, is told what was sent.
	Sent *Sent
	// Name is the file's name, without a slash; see [UploadName].
	Name string
	// Dirs are absolute paths to try first, in order; then come the container's $TMPDIR, /tmp, /var/tmp, /run, $PWD.
	Dirs []string
	// Shared are mounts that somebody outside the container can write to, who could put another file in place of this one
	// that would run as the container's user. Nothing is put there, nor below, but where one of Dirs lies between.
	Shared []string
	// TryArgs make the file end at once with exit code 0, "--version" for example: that proves the architecture and the
	// permission to run.
	TryArgs []string
}

// Sent is how a file travelled.
type Sent struct {
	Bytes int           // over the wire
	By    string        // what unpacked it in the container; "": it was sent as it is
	Took  time.Duration // until the container had it whole
}

// Argv runs the uploaded file with args if it is still the one that was sent: what is hashed and what is executed is
// one open descriptor, whatever has become of its name.
func (u *Upload) Argv(file string, args ...string) []string {
	sum := sha256.Sum256(u.Data)
	return append([]string{"sh", "-c", runScript, "splitbench", file, hex.EncodeToString(sum[:])}, args...)
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

// Upload puts the file into the first candidate directory in which files can be created and run, mode 0700, and returns
// its path after size and SHA-256 were checked and it has run there ([Upload.Argv]). A file of that name is left alone:
// fs.ErrExist. A directory that turns out to be full is passed over; a file that arrived damaged is sent again, three
// times at most.
//
// Errors: [*UploadError] with every directory tried, [*NoShellError], a [*StartError] with WrongArch for a file built
// for another architecture, and those of [Container.Exec]. After an error no file is left, as far as the container can
// still be reached.
func (c *Container) Upload(ctx context.Context, u Upload) (string, error) {
	if err := u.check(); err != nil {
		return "", err
	}
	return c.upload(ctx, u, []string{"TMPDIR", "/tmp", "/var/tmp", "/run", "PWD"})
}

func (u *Upload) check() error {
	bad := func(r rune) bool { return r == '/' || unicode.IsControl(r) }
	switch {
	case len(u.Data) == 0:
		return errors.New("upload: no data")
	case u.Name == "" || u.Name == "." || u.Name == ".." || len(u.Name) > 200 || strings.ContainsFunc(u.Name, bad):
		return fmt.Errorf("upload %q: not a file name", u.Name)
	case len(u.TryArgs) == 0:
		return fmt.Errorf("upload %q: no arguments to try it with", u.Name)
	case len(u.Dirs) > uploadDirCount:
		return fmt.Errorf("upload %q: %d directories to try, at most %d", u.Name, len(u.Dirs), uploadDirCount)
	}
	for _, dir := range u.Dirs {
		if !usableDir(dir) {
			return fmt.Errorf("upload %q: directory %q: must be an absolute path", u.Name, dir)
		}
	}
	return nil
}

func usableDir(dir string) bool {
	return path.IsAbs(dir) && len(dir) <= 4096 && !strings.ContainsFunc(dir, unicode.IsControl)
}

func (c *Container) upload(ctx context.Context, u Upload, fallback []string) (string, error) {
	dirs := unique(append(slices.Clone(u.Dirs), fallback...))
	var refused []Attempt // good at the probe, not good after all
	for skip := range uploadDirs {
		dir, bad, unpacker, err := c.probe(ctx, u.Name, skip, dirs)
		if err != nil {
			return "", fmt.Errorf("upload %s: find a directory: %w", u.Name, err)
		}
		if dir == "" {
			return "", fmt.Errorf("upload %s to %s: %w", u.Name, c.target, &UploadError{Tried: append(bad, refused...)})
		}
		if u.shared(dir) {
			refused = append(refused, Attempt{Dir: dir, Reason: "shared: others could put another program in its place"})
			continue
		}
		file := path.Join(dir, u.Name)
		reason, err := c.place(ctx, file, u, unpacker)
		if err == nil && reason == "" {
			return file, nil
		}
		if !errors.Is(err, fs.ErrExist) { // then it is not ours
			c.remove(ctx, file)
		}
		if err != nil {
			return "", fmt.Errorf("upload %s: %w", file, err)
		}
		refused = append(refused, Attempt{Dir: dir, Reason: reason})
	}
	return "", fmt.Errorf("upload %s to %s: %w", u.Name, c.target, &UploadError{Tried: refused})
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

// probe returns the first good directory after skip others, or "", what is wrong with those before it, and what unpacks
// gzip there, or "".
func (c *Container) probe(ctx context.Context, name string, skip int, dirs []string) (
	good string, bad []Attempt, unpacker string, err error,
) {
	argv := append([]string{"sh", "-c", probeScript, "splitbench", name + ".probe", strconv.Itoa(skip)}, dirs...)
	out, err := c.output(ctx, argv, nil)
	var start *StartError
	if errors.As(err, &start) && start.Reason == NoSuchFile { // the script itself cannot end with 127
		return "", nil, "", &NoShellError{Err: err}
	}
	if err != nil {
		return "", nil, "", err
	}
	return parseProbe(out)
}

func parseProbe(out string) (good string, bad []Attempt, unpacker string, err error) {
	for line := range strings.Lines(out) {
		switch f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); {
		case len(f) == 1 && f[0] == "end":
			return good, bad, unpacker, nil
		case len(f) == 2 && f[0] == "unpack" && slices.Contains([]string{"gzip", "zcat", "busybox"}, f[1]):
			unpacker = f[1]
		case len(f) == 2 && f[0] == "ok" && good == "" && usableDir(f[1]):
			good = f[1]
		case len(f) == 3 && f[0] == "bad":
			bad = append(bad, Attempt{Dir: f[1], Reason: f[2]})
		}
	}
	return "", nil, "", fmt.Errorf("search ended early, after %d bytes of output", len(out))
}

// place writes the file and lets it check itself. A reason means that another directory may do better; an error that
// none will. What does not arrive packed is sent as it is.
func (c *Container) place(ctx context.Context, file string, u Upload, unpacker string) (reason string, err error) {
	var damage string
	for try := range uploadTries {
		if u.Packed == nil || try > 0 {
			unpacker = ""
		}
		damage, err = c.write(ctx, file, u, unpacker)
		var exit *ExitError
		if errors.As(err, &exit) && exit.Code != exitExists && unpacker != "" {
			continue // there is no file; the same as it is says whether the directory or the unpacking is to blame
		}
		if errors.As(err, &exit) && exit.Code == exitExists {
			return "", fmt.Errorf("%w in %s", fs.ErrExist, c.target)
		}
		if errors.As(err, &exit) {
			return "not written: " + lastLine(exit.Stderr), nil
		}
		if err == nil && damage == "" {
			_, err = c.output(ctx, u.Argv(file, u.TryArgs...), nil)
			var start *StartError
			if errors.As(err, &exit) && exit.Code == exitChanged {
				damage, err = lastLine(exit.Stderr), nil
			}
			if errors.As(err, &exit) && exit.Code == exitNoHash {
				return lastLine(exit.Stderr), nil
			}
			if errors.As(err, &start) && start.Reason == NotExecutable {
				return start.Error(), nil
			}
		}
		if err != nil || damage == "" {
			return "", err
		}
		c.remove(ctx, file)
	}
	return "", fmt.Errorf("damaged on the way, %d times: %s", uploadTries, damage)
}

func (c *Container) write(ctx context.Context, file string, u Upload, unpacker string) (damage string, err error) {
	data, began := u.Data, time.Now()
	if unpacker != "" {
		data = u.Packed
	}
	size := strconv.Itoa(len(u.Data))
	out, err := c.output(ctx, []string{"sh", "-c", writeScript, "splitbench", file, size, unpacker}, bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	f := strings.Fields(out)
	if len(f) != 3 || f[0] != "size" || f[2] != "end" {
		return "stream ended before the file's size came", nil
	}
	if f[1] != size {
		return fmt.Sprintf("%s of %s bytes arrived", clean(f[1]), size), nil
	}
	if u.Sent != nil {
		*u.Sent = Sent{Bytes: len(data), By: unpacker, Took: time.Since(began)}
	}
	return "", nil
}

// remove tries to leave nothing behind, also after the end of ctx.
func (c *Container) remove(ctx context.Context, file string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupLimit)
	defer cancel()
	_, _ = c.output(ctx, []string{"rm", "-f", "--", file}, nil) // the first error is the one to report
}

// output runs argv and returns its stdout, at most 64 KiB of it.
func (c *Container) output(ctx context.Context, argv []string, stdin io.Reader) (string, error) {
	var out limited
	err := c.Exec(ctx, argv, stdin, &out, nil)
	return string(out.kept), err
}

type limited struct{ kept []byte }

// Write keeps the first 64 KiB and takes the rest without keeping it.
func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), 64<<10-len(l.kept))]...)
	return len(p), nil
}
